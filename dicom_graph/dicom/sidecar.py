"""What BIDS and FSL want beside a NIfTI file: a JSON sidecar, `.bval` and `.bvec`."""

import json
from dataclasses import asdict

from dicom_graph.dicom.volume.acquisition import Acquisition

_NAMES = {
    "repetition_time": "RepetitionTime", "echo_time": "EchoTime",
    "inversion_time": "InversionTime", "flip_angle": "FlipAngle",
    "magnetic_field_strength": "MagneticFieldStrength", "slice_timing": "SliceTiming",
    "phase_encoding_direction": "PhaseEncodingDirection",
    "phase_encoding_axis": "PhaseEncodingAxis",
    "effective_echo_spacing": "EffectiveEchoSpacing", "total_readout_time": "TotalReadoutTime",
}  # fmt: skip
"""By the names of BIDS; PhaseEncodingAxis, as dcm2niix has it, where the direction is unknown."""


def sidecar(acquisition: Acquisition) -> str:
    """The JSON sidecar, of what the headers tell."""
    told = {_NAMES[name]: value for name, value in asdict(acquisition).items() if name in _NAMES}
    if told["PhaseEncodingDirection"] is not None:
        del told["PhaseEncodingAxis"]
    return json.dumps({name: each for name, each in told.items() if each is not None}, indent=2)


def b_values_text(acquisition: Acquisition) -> str | None:
    """One line of b values in s/mm²; None where there are none."""
    if acquisition.b_values is None:
        return None
    return " ".join(f"{value:g}" for value in acquisition.b_values) + "\n"


def b_vectors_text(acquisition: Acquisition) -> str | None:
    """Three lines, of x, y and z of each volume; None where there are no directions."""
    if acquisition.b_vectors is None:
        return None
    lines = zip(*acquisition.b_vectors, strict=True)
    return "".join(" ".join(f"{value:g}" for value in line) + "\n" for line in lines)
