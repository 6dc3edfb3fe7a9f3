"""AcquisitionContrast (0008,9209) and ComplexImageComponent (0008,9208) of PS3.3 C.8.13.3.1, read
or inferred."""

from dataclasses import dataclass

from dicom_graph.dicom.mr.facts import GE_COMPONENTS, Evidence, Facts
from dicom_graph.dicom.mr.label import BidsLabel, Confidence

_OF_SUFFIX = {
    "T1w": "T1", "T2w": "T2", "PDw": "PROTON_DENSITY", "T2starw": "T2_STAR",
    "FLAIR": "FLUID_ATTENUATED", "bold": "T2_STAR", "dwi": "DIFFUSION", "asl": "PERFUSION",
    "angio": "TOF", "ADC": "DIFFUSION", "FA": "DIFFUSION", "trace": "DIFFUSION",
}  # fmt: skip
_CONTRASTS = frozenset(
    ("DIFFUSION", "FLOW_ENCODED", "FLUID_ATTENUATED", "PERFUSION", "PROTON_DENSITY", "STIR",
     "TAGGING", "T1", "T2", "T2_STAR", "TOF")
)  # fmt: skip
"""The defined terms, but for UNKNOWN and MIXED, which say nothing."""
_IMAGE_TYPES = {"M": "MAGNITUDE", "P": "PHASE", "R": "REAL", "I": "IMAGINARY", "PHASE": "PHASE"}
_LONGEST_STIR = 300.0


@dataclass(frozen=True, slots=True)
class InferredCode:
    """A code that the header has or that follows from it; `evidence`: the elements that say so."""

    code: str | None = None
    confidence: Confidence | None = None
    evidence: Evidence = ()


def acquisition_contrast(facts: Facts, label: BidsLabel) -> InferredCode:
    """What the signal mostly depends on: as the header says, else as its label does."""
    said = facts.codes_of_frames("AcquisitionContrast") & _CONTRASTS
    if len(said) == 1:
        return InferredCode(next(iter(said)), Confidence.HIGH, ("AcquisitionContrast",))
    stir = facts.number("InversionTime", least=80, below=_LONGEST_STIR)
    if stir and facts.scanning("SE", "IR") and facts.code("Modality") == "MR":
        return InferredCode("STIR", Confidence.MEDIUM, ("ScanningSequence", *stir))
    code = _OF_SUFFIX.get(label.suffix or "")
    return (
        InferredCode(code, label.confidence, label.evidence) if code is not None else InferredCode()
    )


def complex_component(facts: Facts) -> InferredCode:
    """Which part of the complex images it is: MAGNITUDE, PHASE, REAL, IMAGINARY; none where images
    of several parts are mixed.
    """
    if facts.code("Modality") != "MR":
        return InferredCode()
    said = facts.codes_of_frames("ComplexImageComponent")
    if said:
        code = next(iter(said)) if len(said) == 1 else None
        known = code in GE_COMPONENTS
        return (
            InferredCode(code, Confidence.HIGH, ("ComplexImageComponent",))
            if known
            else InferredCode()
        )
    if facts.ge_component is not None:
        return InferredCode(facts.ge_component, Confidence.HIGH, ("(0043,xx2F) of GE",))
    types = facts.codes_of_frames("ImageType")
    found = {_IMAGE_TYPES[part] for code in types if (part := code.split("_")[0]) in _IMAGE_TYPES}
    return (
        InferredCode(found.pop(), Confidence.HIGH, ("ImageType",))
        if len(found) == 1
        else InferredCode()
    )
