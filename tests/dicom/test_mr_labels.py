"""What MR series are for: labels that vendors' own names and codes stand for, and how surely.

The names of sequences are those that vendors' scanners write, as dcm2niix, heudiconv and BIDScoin
document them; the codes are those of PS3.3 C.8.3.1 and C.8.13.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import dcm2niix
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.entities import EntityReader, SeriesFields
from dicom_graph.dicom.errors import NotDicomError, UnreadableFileError
from dicom_graph.dicom.files.reading import read_instance
from tests.support.data import SHARED, needs_shared, shared_files
from tests.support.make import make_data_set, save

SPIN = {"ScanningSequence": "SE", "SequenceVariant": "SK"}
GRADIENT = {"ScanningSequence": "GR", "SequenceVariant": "SP", "MagneticFieldStrength": 3}
PLANAR = {"ScanningSequence": "EP", "SequenceVariant": "SK", "EchoTime": 30}
INVERSION = {"ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SK", "SP", "MP"]}
INVERTED = {"ScanningSequence": ["SE", "IR"], "SequenceVariant": "SK"}
T2_TIMES = {"EchoTime": 95, "RepetitionTime": 5000}
PHASE = {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}
DERIVED = "DERIVED", "PRIMARY"


def typed(*codes: str) -> dict[str, Any]:
    """An ImageType of an original image."""
    return {"ImageType": ["ORIGINAL", "PRIMARY", *codes]}


LABELS: list[tuple[dict[str, Any], str | None, str | None]] = [
    # Siemens
    ({**INVERSION, "SequenceName": "*tfl3d1_16ns", "InversionTime": 900}, "anat/T1w", "high"),
    ({**SPIN, **T2_TIMES, "SequenceName": "*tse2d1_15"}, "anat/T2w", "high"),
    ({**SPIN, "SequenceName": "*tse2d1_3", "EchoTime": 12, "RepetitionTime": 3000},
     "anat/PDw", "medium"),
    ({"ScanningSequence": ["SE", "IR"], "SequenceName": "*tir2d1rr19", "EchoTime": 120,
      "RepetitionTime": 9000, "InversionTime": 2500}, "anat/FLAIR", "high"),
    ({**SPIN, "SequenceName": "*spc3d1_220ns", "EchoTime": 400, "RepetitionTime": 3200},
     "anat/T2w", "high"),
    ({**PLANAR, "SequenceName": "*epfid2d1_64"}, "func/bold", "high"),
    ({**PLANAR, "SequenceName": "epfid2d1_64", "SeriesDescription": "rest_SBRef"},
     "func/sbref", "high"),
    ({**PLANAR, "SequenceName": "*ep_b1000#12", **typed("DIFFUSION", "NONE")}, "dwi/dwi", "high"),
    ({**PLANAR, "SequenceName": "*ep_b0", "SeriesDescription": "dwi_SBRef"}, "dwi/sbref", "high"),
    ({**PLANAR, "ImageType": [*DERIVED, "DIFFUSION", "ADC"], "SequenceName": "*ep_b0_1000"},
     "dwi/ADC", "high"),
    ({**PLANAR, "ImageType": [*DERIVED, "DIFFUSION", "FA"], "SequenceName": "*ep_b0"},
     "dwi/FA", "high"),
    ({**PLANAR, "ImageType": [*DERIVED, "DIFFUSION", "TRACEW"], "SequenceName": "*ep_b0"},
     "dwi/trace", "high"),
    ({**PLANAR, "SequenceName": "*epse2d1_104"}, "fmap/epi", "high"),
    ({**GRADIENT, "SequenceName": "*fm2d2r", "EchoNumbers": 1}, "fmap/magnitude1", "high"),
    ({**GRADIENT, "SequenceName": "*fm2d2r", "EchoNumbers": 2}, "fmap/magnitude2", "high"),
    ({**GRADIENT, "SequenceName": "*fm2d2r", **PHASE, "EchoNumbers": 2}, "fmap/phasediff", "high"),
    ({**GRADIENT, "SequenceName": "*fl3d1r_ts", "EchoTime": 3}, "anat/angio", "high"),
    ({**GRADIENT, "SequenceName": "*swi3d1r", "EchoTime": 20}, "anat/T2starw", "high"),
    ({**INVERSION, "SequenceName": "*tfl3d1_ns", **typed("M", "UNI")}, "anat/UNIT1", "high"),
    ({**GRADIENT, "SequenceName": "*fl2d1", "SeriesDescription": "localizer"},
     "discard/localizer", "medium"),
    ({**SPIN, "SequenceName": "*svs_se_30"}, "mrs/svs", "high"),
    ({**typed("RAWDATA", "PHYSIO")}, "func/physio", "high"),
    ({"SequenceName": "*tfl3d1_16ns", "ImageType": [*DERIVED, "MPR", "NORM"]},
     "derived/mpr", "high"),
    ({**PLANAR, "SequenceName": "*epfid2d1_64", **typed("PERFUSION", "ASL")}, "perf/asl", "high"),
    # Enhanced images of Siemens XA
    ({"PulseSequenceName": "*epfid2d1_90", "EchoPulseSequence": "GRADIENT",
      "EchoPlanarPulseSequence": "YES"}, "func/bold", "high"),
    ({"PulseSequenceName": "*tfl3d1_16ns", "EchoPulseSequence": "GRADIENT",
      "InversionRecovery": "YES"}, "anat/T1w", "high"),
    # Philips, UIH, and any that says it in DICOM's own code
    ({**GRADIENT, "PulseSequenceName": "T1TFE", "EchoTime": 3.7}, "anat/T1w", "high"),
    ({**PLANAR, "PulseSequenceName": "FEEPI"}, "func/bold", "high"),
    ({"ScanningSequence": ["EP", "SE"], "PulseSequenceName": "SEEPI"}, "fmap/epi", "high"),
    ({"SequenceName": "gre_fsp", "ScanningSequence": "GR"}, "anat/T1w", "high"),
    ({**SPIN, "AcquisitionContrast": "FLUID_ATTENUATED"}, "anat/FLAIR", "high"),
    # Codes and times alone
    ({**SPIN, **T2_TIMES}, "anat/T2w", "medium"),
    ({**SPIN, "EchoTime": 12, "RepetitionTime": 600}, "anat/T1w", "medium"),
    ({**GRADIENT, "EchoTime": 20, "RepetitionTime": 30, "FlipAngle": 15},
     "anat/T2starw", "medium"),
    ({**GRADIENT, "EchoTime": 2, "RepetitionTime": 10, "FlipAngle": 25}, "anat/T1w", "medium"),
    ({**PLANAR, "FlipAngle": 80, "RepetitionTime": 2000}, "func/bold", "medium"),
    # What has the codes of another: fat is dark, not fluid; in 2D; a contrast agent passes
    ({**INVERTED, "SequenceName": "*spcir3d1_91", "InversionTime": 220, **T2_TIMES}, None, None),
    ({**INVERTED, "PulseSequenceName": "fseir", "InversionTime": 160, **T2_TIMES}, None, None),
    ({**SPIN, "SequenceName": "fse_mx", "InversionTime": 2000, **T2_TIMES},
     "anat/FLAIR", "medium"),
    ({"ScanningSequence": "IR", "PulseSequenceName": "TIR", "InversionTime": 2800, **T2_TIMES},
     "anat/FLAIR", "high"),
    ({**GRADIENT, "PulseSequenceName": "T1TFE", "MRAcquisitionType": "2D"}, None, None),
    ({**GRADIENT, "SequenceName": "*fl3d1r", "EchoTime": 20}, "anat/T2starw", "medium"),
    ({**GRADIENT, "SequenceName": "*me2d1r5", "EchoTime": 17}, "anat/T2starw", "medium"),
    ({**GRADIENT, "SequenceName": "*tfi2d1_9", "EchoTime": 2, "RepetitionTime": 4,
      "FlipAngle": 50}, None, None),
    ({**PLANAR, "SequenceName": "*epfid2d1_128", "FlipAngle": 90,
      "ContrastBolusAgent": "Gadovist"}, None, None),
    ({**PLANAR, "SequenceName": "*epfid2d1_128", "ContrastBolusAgent": "NONE"},
     "func/bold", "high"),
    ({**PLANAR, "SequenceName": "*epfid2d1_64", "SeriesDescription": "fmap_PA"},
     "fmap/epi", "medium"),
    ({**PLANAR, "SequenceName": "epse2d1_104", "NumberOfTemporalPositions": 200,
      "ScanningSequence": ["EP", "SE"], "FlipAngle": None}, None, None),
    ({**PLANAR, "SequenceName": "*epfid2d1_64", **typed("M", "MOCO")}, "derived/bold", "high"),
    ({**PLANAR, **typed("ASL"), "SeriesDescription": "pasl_3m0s"}, "perf/asl", "high"),
    ({**PLANAR, **typed("ASL"), "SeriesDescription": "pasl_M0"}, "perf/m0scan", "medium"),
    ({**PLANAR, "SequenceName": "epfid2d1_64", "SeriesDescription": "pcasl_te14"},
     "perf/asl", "low"),
    ({**PLANAR, "SequenceName": "epfid2d1_64", "ProtocolName": "ASL_rest"}, "perf/asl", "low"),
    ({**PLANAR, "SequenceName": "epfid2d1_64", "SeriesDescription": "basline"},
     "func/bold", "high"),
    # A name that a person typed, and nothing
    ({"EchoTime": None, "SeriesDescription": "Sag T1"}, "anat/T1w", "low"),
    ({"EchoTime": None, "SeriesDescription": "whatever"}, None, None),
    ({**SPIN, "EchoTime": 50, "RepetitionTime": 1500}, None, None),
    ({"Modality": "CT", "SeriesDescription": "T1"}, None, None),
    ({"Modality": "PT"}, "pet/pet", "high"),
    ({"Modality": "PT", "ImageType": [*DERIVED, "MIP"]}, "derived/mpr", "high"),
]  # fmt: skip


def read(path: Path) -> SeriesFields:
    series = EntityReader().read(read_instance(path, Interner()).elements).series
    assert series is not None
    return series


def label(series: SeriesFields) -> str | None:
    return f"{series.bids_datatype}/{series.bids_suffix}" if series.bids_datatype else None


def test_labels(tmp_path: Path) -> None:
    for number, (elements, expected, confidence) in enumerate(LABELS):
        path = save(make_data_set(**elements), tmp_path / f"{number}.dcm")
        series = read(path)
        assert (label(series), series.bids_confidence) == (expected, confidence), elements


def test_names_that_ge_and_philips_keep_in_private_elements(tmp_path: Path) -> None:
    named = [
        (0x0019, "GEMS_ACQU_01", 0x9C, "epiRT", PLANAR, "func/bold"),
        (0x0019, "GEMS_ACQU_01", 0x9C, "3-Plane", GRADIENT, "discard/localizer"),
        (0x0019, "GEMS_ACQU_01", 0x9E, "BRAVO", GRADIENT, "anat/T1w"),
        (0x2001, "Philips Imaging DD 001", 0x20, "T1TFE", GRADIENT, "anat/T1w"),
    ]
    for number, (group, creator, element, text, codes, expected) in enumerate(named):
        made = make_data_set(**codes)
        made.private_block(group, creator, create=True).add_new(element, "LO", text)
        series = read(save(made, tmp_path / f"{number}.dcm"))
        assert (label(series), series.bids_confidence) == (expected, "high"), text
    made = make_data_set(ImageType=["ORIGINAL", "PRIMARY", "OTHER"])
    made.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 1)
    assert read(save(made, tmp_path / "phase.dcm")).complex_component == "PHASE"


def test_what_says_so_and_what_is_missing(tmp_path: Path) -> None:
    said = read(save(make_data_set(**SPIN, **T2_TIMES), tmp_path / "said.dcm"))
    assert said.bids_evidence == ["ScanningSequence", "EchoTime", "RepetitionTime"]
    assert said.acquisition_contrast == "T2"
    assert said.complex_component == "MAGNITUDE"
    made = make_data_set(EchoTime=None, SeriesDescription="Nobody^Knows", ImageType=None)
    silent = read(save(made, tmp_path / "silent.dcm"))
    missing = {"ScanningSequence", "SequenceName", "EchoTime", "RepetitionTime"}
    assert missing < set(silent.bids_evidence or ())
    assert "SeriesDescription" not in (silent.bids_evidence or ())
    assert silent.complex_component is None
    # Evidence is names of elements, never what they hold.
    named = read(save(make_data_set(SeriesDescription="T1 of Jane"), tmp_path / "named.dcm"))
    assert named.bids_evidence == ["SeriesDescription"]


def test_codes_of_frames(tmp_path: Path) -> None:
    made = make_data_set(SOPClassUID=EnhancedMRImageStorage, EchoTime=None, ImageType=None)
    kind, frame = Dataset(), Dataset()
    kind.AcquisitionContrast, kind.ComplexImageComponent = "TOF", "MAGNITUDE"
    frame.MRImageFrameTypeSequence = [kind]
    made.PerFrameFunctionalGroupsSequence = [frame, frame]
    series = read(save(made, tmp_path / "tof.dcm"))
    assert (series.acquisition_contrast, series.complex_component) == ("TOF", "MAGNITUDE")
    assert series.acquisition_contrast_confidence == "high"
    assert label(series) == "anat/angio"


@needs_shared
@pytest.mark.slow
def test_as_dcm2niix_guesses(tmp_path: Path) -> None:
    """What is told at HIGH is what dcm2niix guesses, and most of its guesses are told so."""
    ours: dict[str, tuple[str | None, str | None]] = {}
    for path in shared_files():
        if {"nih", "siemens", "enhanced"} & set(path.parts) and "reference" not in path.parts:
            try:
                series = read(path)
            except (NotDicomError, UnreadableFileError):
                # Not an image.
                continue
            ours[series.uid] = label(series), series.bids_confidence
    assert SHARED is not None
    for name in ("nih/dicom", "siemens/files", "enhanced/dicom"):
        options = ["-b", "o", "-ba", "n", "-w", "1", "-f", "%s_%p_%d", "-o", str(tmp_path)]
        command = [dcm2niix.bin, *options, str(SHARED / name)]
        subprocess.run(command, check=False, capture_output=True)
    n_same = n_guessed = 0
    for path in tmp_path.glob("*.json"):
        told = json.loads(path.read_text())
        guess = told.get("BidsGuess")
        if guess is None or told["Modality"] != "MR" or told["SeriesInstanceUID"] not in ours:
            continue
        found, confidence = ours[told["SeriesInstanceUID"]]
        expected = f"{guess[0]}/{guess[1].rpartition('_')[2]}"
        n_guessed += 1
        n_same += found == expected and confidence == "high"
        assert found == expected or confidence != "high" or "fmap" in expected, path
    assert n_guessed >= 10
    assert n_same >= 0.8 * n_guessed
