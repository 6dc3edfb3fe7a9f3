"""The BIDS datatype and suffix of a series, the elements that say so, and how surely.

HIGH: the pulse sequence or a code that stands for nothing else says so. MEDIUM: codes and times
that nearly always go with it. LOW: only a name that a person typed. The first rule that holds
names the series. Where none holds there is no label, and the elements are told that would have
helped.

BIDS has no words for what is thrown away or computed from other images: "discard" and "derived"
are those of dcm2niix.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dicom_graph.dicom.mr.facts import Evidence, Facts, evidence_of_all, evidence_of_any
from dicom_graph.dicom.mr.weighting import weighting


class Confidence(StrEnum):
    """How surely a header says something."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


HIGH, MEDIUM, LOW = Confidence


@dataclass(frozen=True, slots=True)
class BidsLabel:
    """What a series is in BIDS. Without a datatype, `evidence` are the elements that lack."""

    datatype: str | None = None
    suffix: str | None = None
    confidence: Confidence | None = None
    evidence: Evidence = ()


class _Rule(NamedTuple):
    datatype: str
    suffix: str
    confidence: Confidence
    holds: Callable[[Facts], Evidence | None]


_DIFFUSION = r"_diff|resolve|stejskal|ep_b\d|ep2d_dif|dwi|dti|dwise|hydi"
_FIELD_MAP = r"gre_field_mapping|\*?fm2d|b0map|fieldmap"
_SINGLE_BAND = r"sb_?ref"
_LABELLED = r"(?<![a-z])(?:p|pc|vs)?asl(?![a-z])|pcasl|pasl"
_PERFUSION = rf"(?<![a-z])(?:perf|perfusion|dsc)(?![a-z])|{_LABELLED}"
_FEW_TIME_POINTS = 20
_NO_AGENTS = frozenset(("", "0", "n", "na", "n/a", "no", "none", "unknown", "without"))
_PROJECTIONS = ("MPR", "MIP", "MNIP", "MINIP", "PROJECTION IMAGE", "REFORMATTED", "CPR", "CSA MPR")


def _diffusion(facts: Facts) -> Evidence | None:
    return evidence_of_any(
        facts.image_type("DIFFUSION"), facts.contrast("DIFFUSION"), facts.sequence(_DIFFUSION),
        facts.diffusion,
    )  # fmt: skip


def _map(*codes: str) -> Callable[[Facts], Evidence | None]:
    """A map that the scanner made of diffusion weighted images."""
    return lambda facts: evidence_of_all(facts.image_type(*codes), _diffusion(facts))


def _field_map(facts: Facts) -> Evidence | None:
    return facts.sequence(_FIELD_MAP)


def _asl(facts: Facts) -> Evidence | None:
    return evidence_of_any(
        facts.sequence(r"fairest|asl|tgse3d"), facts.image_type("ASL"),
        facts.has("ArterialSpinLabelingContrast"),
    )  # fmt: skip


def _echo_planar(facts: Facts) -> Evidence | None:
    return evidence_of_any(facts.sequence(r"ep2d|epfid|epse|^epi|feepi|greepi|seepi|epirt"),
                           facts.scanning("EP"))  # fmt: skip


def shows_perfusion(agent: str | None, *names: str | None) -> bool:
    """A contrast agent, or a name that somebody gave the series, says that perfusion is seen:
    echo planar images of it have the codes and times of functional ones.

    `agent`: ContrastBolusAgent (0018,0010).
    """
    has_agent = (agent or "").strip().casefold() not in _NO_AGENTS
    return has_agent or any(re.search(_PERFUSION, name, re.IGNORECASE) for name in names if name)


def _is_perfusion(facts: Facts) -> bool:
    keywords = ("ContrastBolusAgent", "SeriesDescription", "ProtocolName")
    return shows_perfusion(*map(facts.code, keywords)) or bool(facts.sequence(_PERFUSION))


def _gradient_echo_planar(facts: Facts) -> Evidence | None:
    """By name: T2* weighted echo planar images, as functional series are."""
    return (
        None
        if _is_perfusion(facts)
        else evidence_of_any(
            facts.sequence(r"bold|ep2d_pace|ep2d_fid|epfid2d|epirt|feepi|greepi|fmri"),
            facts.image_type("FMRI"),
        )
    )


def _few_time_points(facts: Facts) -> Evidence | None:
    return () if facts.time_points < _FEW_TIME_POINTS else None


def _spin_echo_planar(facts: Facts) -> Evidence | None:
    is_single = facts.time_points < _FEW_TIME_POINTS
    return facts.sequence(r"ep2d_se|epse2d|seepi") if is_single else None


def _repeated(facts: Facts) -> Evidence | None:
    """Many images of everything, with the echo time of functional ones, and no contrast agent."""
    if facts.time_points < _FEW_TIME_POINTS or _is_perfusion(facts):
        return None
    return evidence_of_all(
        ("NumberOfTemporalPositions",), facts.number("EchoTime", least=12, below=80),
        facts.not_scanning("SE") if facts.has("ScanningSequence") else (),
    )  # fmt: skip


def _mprage(facts: Facts) -> Evidence | None:
    """The sequences of turbo gradient echo are those of dynamic and cardiac images, too: in 2D."""
    if facts.code("MRAcquisitionType") == "2D" or facts.sequence(r"tfl2d"):
        return None
    return evidence_of_any(
        facts.sequence(r"\*?tfl3d|\\tfl|mprage|bravo|t1tfe|gre_fsp"),
        evidence_of_all(
            facts.scanning("GR", "IR"), facts.says("SequenceVariant", "MP"),
            facts.number("InversionTime", least=500, below=1500),
            facts.number("EchoTime", below=10),
        ),
    )  # fmt: skip


def _long_inversion(facts: Facts) -> Evidence | None:
    """Fluid is dark: the inversion time is long, and the echo time that of T2."""
    return evidence_of_all(
        facts.number("InversionTime", least=1300), facts.number("EchoTime", least=60)
    )


def _fluid_attenuated(facts: Facts) -> Evidence | None:
    named = facts.sequence(r"tir2d|tirm|spcir|flair|tir_|\btir\b")
    is_inverted = facts.scanning("IR", "SE") if facts.has("ScanningSequence") else None
    return evidence_of_any(
        facts.contrast("FLUID_ATTENUATED"),
        evidence_of_all(evidence_of_any(named, is_inverted), _long_inversion(facts)),
    )


def _not_inverted(facts: Facts) -> Evidence | None:
    """As far as it is known: with a short inversion fat is dark, with a long one fluid."""
    return None if facts.number("InversionTime", least=50) else ()


def _not_planar(facts: Facts) -> Evidence | None:
    """Known to be no echo planar image."""
    return facts.not_scanning("EP") if _echo_planar(facts) is None else None


def _turbo_spin_echo(facts: Facts) -> Evidence | None:
    return facts.sequence(r"\*?tse|fse|turbose|\btse|spc|space|cube|vista|fase")


def _spin_echo(facts: Facts) -> Evidence | None:
    return evidence_of_all(facts.scanning("SE"), _not_planar(facts))


def _gradient_echo(facts: Facts) -> Evidence | None:
    """With spoiled or without balanced gradients, whose contrast is that of their times."""
    if facts.sequence(r"\*?tfi[23]d|tru?fi|fiesta|bffe|b_?tfe|ssfp|ciss"):
        return None
    return evidence_of_all(
        evidence_of_any(facts.scanning("GR"), facts.sequence(r"\bffe|flash|fspgr|spgr|vibe")),
        _not_planar(facts),
    )


def _of_weight(
    family: Callable[[Facts], Evidence | None], weight: str, is_spin_echo: bool
) -> Callable[[Facts], Evidence | None]:
    def holds(facts: Facts) -> Evidence | None:
        of_family = family(facts)
        return of_family and evidence_of_all(of_family, weighting(facts, weight, is_spin_echo))

    return holds


def _phase(facts: Facts) -> Evidence | None:
    if facts.ge_component == "PHASE":
        return ("(0043,xx2F) of GE",)
    return evidence_of_any(facts.image_type("P", "PHASE"),
                           facts.says("ComplexImageComponent", "PHASE"))  # fmt: skip


def _all(*tests: Callable[[Facts], Evidence | None]) -> Callable[[Facts], Evidence | None]:
    return lambda facts: evidence_of_all(*(test(facts) for test in tests))


def _any(*tests: Callable[[Facts], Evidence | None]) -> Callable[[Facts], Evidence | None]:
    return lambda facts: evidence_of_any(*(test(facts) for test in tests))


def _named(pattern: str) -> Callable[[Facts], Evidence | None]:
    return lambda facts: facts.named(pattern)


def _sequence(pattern: str) -> Callable[[Facts], Evidence | None]:
    return lambda facts: facts.sequence(pattern)


def _type(*codes: str) -> Callable[[Facts], Evidence | None]:
    return lambda facts: facts.image_type(*codes)


def _contrast(*codes: str) -> Callable[[Facts], Evidence | None]:
    return lambda facts: facts.contrast(*codes)


_RULES = (
    _Rule("func", "physio", HIGH, _all(_type("PHYSIO"), _type("RAWDATA"))),
    _Rule("mrs", "svs", HIGH, _sequence(r"svs")),
    _Rule("mrs", "mrsi", HIGH, _sequence(r"csi_|\*csi|\bcsi")),
    _Rule("mrs", "unloc", MEDIUM, _type("SPECTROSCOPY")),
    _Rule("dwi", "ADC", HIGH, _map("ADC", "ADC_UNSPECIFIED")),
    _Rule("dwi", "colFA", HIGH, _map("COLFA", "FA_COLOR", "COLORFA")),
    _Rule("dwi", "FA", HIGH, _map("FA")),
    _Rule("dwi", "trace", HIGH, _map("TRACEW", "TRACE", "ISOTROPIC")),
    _Rule("dwi", "expADC", HIGH, _map("EXPADC", "EADC", "EXPONENTIAL")),
    _Rule("derived", "dwi", HIGH, _map("TENSOR", "DERIVED")),
    _Rule("discard", "localizer", HIGH, _any(
        _type("LOCALIZER"), _sequence(r"3.?plane|aalscout|aahscout|localizer|\bscout"),
    )),
    _Rule("discard", "localizer", MEDIUM, _named(
        r"locali[sz]er|scout|survey|3.?plane|\bloc\b|aahead|aahscout",
    )),
    _Rule("derived", "mpr", HIGH, _type(*_PROJECTIONS)),
    _Rule("fmap", "TB1TFL", HIGH, _sequence(r"b1map")),
    _Rule("anat", "T1map", HIGH, _type("T1 MAP", "T1MAP")),
    _Rule("anat", "UNIT1", HIGH, _all(_type("UNI"), _sequence(r"tfl|mp2rage|wip925"))),
    _Rule("anat", "MP2RAGE", HIGH, _any(
        _sequence(r"mp2rage|wip925"),
        _all(_sequence(r"tfl"), lambda facts: facts.two_inversion_times),
    )),
    _Rule("fmap", "epi", HIGH, _all(_spin_echo_planar, _named(r"field.?map|fmap|topup|pepolar"))),
    _Rule("dwi", "sbref", HIGH, _all(_diffusion, _echo_planar, _named(_SINGLE_BAND))),
    _Rule("dwi", "dwi", HIGH, _all(_diffusion, _echo_planar)),
    _Rule("dwi", "dwi", MEDIUM, _any(_diffusion)),
    _Rule("perf", "m0scan", MEDIUM, _all(_asl, _named(r"(?<![a-z0-9])m0(?![0-9])|m0.?scan"))),
    _Rule("perf", "asl", HIGH, _asl),
    _Rule("fmap", "phasediff", HIGH, _all(_field_map, _phase)),
    _Rule("fmap", "fieldmap", HIGH, _type("FIELD MAP", "FIELD_MAP", "B0 MAP", "B0")),
    _Rule("fmap", "magnitude2", HIGH, _all(_field_map, lambda f: f.number("EchoNumbers", least=2))),
    _Rule("fmap", "magnitude1", HIGH, _field_map),
    _Rule("anat", "T2starw", HIGH, _any(_type("SWI"), _sequence(r"swi3d|swi|swan|ep_seg_fid"))),
    _Rule("anat", "angio", HIGH, _any(_contrast("TOF"), _sequence(r"tof|fl3d1r_t"))),
    _Rule("anat", "angio", MEDIUM, _all(
        _sequence(r"fl3d1r"), lambda facts: facts.number("EchoTime", below=8),
    )),
    _Rule("fmap", "epi", HIGH, _spin_echo_planar),
    _Rule("fmap", "epi", MEDIUM, _all(
        _gradient_echo_planar, _named(r"field.?map|fmap|topup|pepolar"), _few_time_points,
    )),
    _Rule("func", "sbref", HIGH, _all(_gradient_echo_planar, _named(_SINGLE_BAND))),
    _Rule("func", "bold", HIGH, _gradient_echo_planar),
    _Rule("fmap", "epi", MEDIUM, lambda f: evidence_of_all(
        f.scanning("EP", "SE"), _few_time_points(f),
    )),
    _Rule("func", "sbref", MEDIUM, _all(_echo_planar, _named(_SINGLE_BAND))),
    _Rule("func", "bold", MEDIUM, lambda f: None if _is_perfusion(f) else evidence_of_all(
        _echo_planar(f), f.number("EchoTime", least=12, below=80), f.number("FlipAngle", below=91),
    )),
    _Rule("func", "bold", MEDIUM, _repeated),
    _Rule("anat", "T1w", HIGH, _all(_not_planar, _mprage)),
    _Rule("anat", "FLAIR", HIGH, _all(_not_planar, _fluid_attenuated)),
    _Rule("anat", "MEGRE", HIGH, _sequence(r"megre|aspire|qsm")),
    _Rule("anat", "T2starw", MEDIUM, _sequence(r"\*?me[23]d|medic")),
    _Rule("anat", "T2w", HIGH, _of_weight(
        _all(_turbo_spin_echo, _not_planar, _not_inverted), "T2", True,
    )),
    _Rule("anat", "FLAIR", MEDIUM, _all(
        _any(_turbo_spin_echo, _spin_echo), _not_planar, _long_inversion,
    )),
    _Rule("anat", "PDw", MEDIUM, _of_weight(_all(_turbo_spin_echo, _not_planar), "PD", True)),
    _Rule("anat", "T1w", MEDIUM, _of_weight(_all(_turbo_spin_echo, _not_planar), "T1", True)),
    _Rule("anat", "T2w", MEDIUM, _of_weight(_all(_spin_echo, _not_inverted), "T2", True)),
    _Rule("anat", "PDw", MEDIUM, _of_weight(_spin_echo, "PD", True)),
    _Rule("anat", "T1w", MEDIUM, _of_weight(_spin_echo, "T1", True)),
    _Rule("anat", "T2starw", MEDIUM, _of_weight(_gradient_echo, "T2*", False)),
    _Rule("anat", "T1w", MEDIUM, _of_weight(_gradient_echo, "T1", False)),
    _Rule("anat", "PDw", MEDIUM, _of_weight(_gradient_echo, "PD", False)),
    _Rule("anat", "T2starw", MEDIUM, _contrast("T2_STAR")),
    _Rule("anat", "PDw", MEDIUM, _contrast("PROTON_DENSITY")),
    _Rule("func", "bold", LOW, _named(r"bold|fmri|\brest|resting|rsfmri")),
    _Rule("dwi", "dwi", LOW, _named(r"dwi|dti|diffusion")),
    _Rule("perf", "asl", LOW, _named(_LABELLED)),
    _Rule("anat", "FLAIR", LOW, _named(r"flair")),
    _Rule("anat", "angio", LOW, _named(r"\btof\b|angio")),
    _Rule("anat", "T2starw", LOW, _named(r"t2.?star|t2\*|\bswi\b")),
    _Rule("anat", "T1w", LOW, _named(r"t1|mprage")),
    _Rule("anat", "T2w", LOW, _named(r"t2")),
    _Rule("anat", "PDw", LOW, _named(r"\bpd\b|proton.?dens")),
)  # fmt: skip
"""In the order in which they are tried."""
_WOULD_TELL = (
    "ScanningSequence", "SequenceName", "PulseSequenceName", "AcquisitionContrast", "EchoTime",
    "RepetitionTime", "FlipAngle", "SeriesDescription",
)  # fmt: skip
_KEPT_WHEN_DERIVED = ("dwi", "derived", "discard", "fmap", "mrs")


def bids_label(facts: Facts) -> BidsLabel:
    """What a series is in BIDS; without a datatype where nothing says it, or for images of another
    modality than MR and PET. Raises nothing.
    """
    modality = facts.code("Modality")
    if modality == "PT":
        projection = facts.image_type(*_PROJECTIONS)
        if projection is not None:
            return BidsLabel("derived", "mpr", HIGH, projection)
        return BidsLabel("pet", "pet", HIGH, ("Modality",))
    if modality != "MR":
        return BidsLabel(evidence=() if modality else ("Modality",))
    for rule in _RULES:
        evidence = rule.holds(facts)
        if evidence:
            return _or_derived(facts, BidsLabel(*rule[:3], evidence=evidence))
    missing = [
        keyword
        for keyword in _WOULD_TELL
        if not facts.has(keyword)
        and not facts.codes_of_frames(keyword)
        and facts.numbers.get(keyword) is None
    ]
    return BidsLabel(evidence=tuple(missing))


def _or_derived(facts: Facts, label: BidsLabel) -> BidsLabel:
    """An image that was computed from others is none of the raw data."""
    is_derived = facts.image_type("DERIVED", "SECONDARY", "MOCO")
    is_raw = label.suffix in ("UNIT1", "T1map") or label.datatype in _KEPT_WHEN_DERIVED
    if is_derived is None or is_raw:
        return label
    evidence = evidence_of_all(label.evidence, is_derived) or ()
    return BidsLabel("derived", label.suffix, label.confidence, evidence)
