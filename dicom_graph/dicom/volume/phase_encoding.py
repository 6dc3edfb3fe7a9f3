"""Along which axis the phase is encoded, which way, and how far apart the echoes are."""

from collections.abc import Mapping
from typing import NamedTuple

from pydicom.dataset import Dataset

from dicom_graph.dicom.csa.header import CsaTag
from dicom_graph.dicom.functional_groups import FunctionalGroups
from dicom_graph.dicom.volume.ge import ge_is_positive, ge_line_spacing
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.header_values import number, private_element, private_value
from dicom_graph.dicom.volume.mosaic import csa_numbers

PHASE_ENCODING_KEYWORDS = (
    "InPlanePhaseEncodingDirection", "RectilinearPhaseEncodeReordering", "ScanningSequence",
    "AcquisitionMatrix", "ScanOptions", "TemporalPositionIdentifier", "Manufacturer",
)  # fmt: skip
_SIEMENS_XA = "SIEMENS MR SDI 02"
_AXES = {"COL": "j", "COLUMN": "j", "ROW": "i"}


class PhaseEncoding(NamedTuple):
    """`axis`: i or j; `is_positive`: along it; `spacing`: between echoes, of the lines of the
    image, s. None where the header does not tell.
    """

    axis: str | None = None
    is_positive: bool | None = None
    spacing: float | None = None


def read_phase_encoding(
    header: Dataset,
    groups: FunctionalGroups,
    frame: int,
    csa: Mapping[str, CsaTag],
    geometry: VolumeGeometry,
) -> PhaseEncoding:
    """Of a frame, from the standard's elements and the vendors'."""
    direction = groups.value(frame, "MRFOVGeometrySequence", "InPlanePhaseEncodingDirection")
    axis = _AXES.get(str(direction or header.get("InPlanePhaseEncodingDirection") or ""))
    if axis is None:
        return PhaseEncoding()
    lines = geometry.shape[1 if axis == "j" else 0]
    xa = _xa_private(header, frame)
    if xa is not None:
        positive = number(private_element(xa, 0x0021, _SIEMENS_XA, 0x1C))
        bandwidth = number(private_element(xa, 0x0021, _SIEMENS_XA, 0x53))
    else:
        positive = next(iter(csa_numbers(csa, "PhaseEncodingDirectionPositive")), None)
        bandwidth = next(iter(csa_numbers(csa, "BandwidthPerPixelPhaseEncode")), None)
    spacing = 1 / (bandwidth * lines) if bandwidth else ge_line_spacing(header, lines)
    is_positive = _by_other_vendors(header) if positive is None else positive > 0
    return PhaseEncoding(axis, is_positive, spacing)


def _by_other_vendors(header: Dataset) -> bool | None:
    """GE's, and (0065,xx58) of UIH, which is 1 where the phase runs against the axis."""
    uih = number(private_value(header, 0x0065, "Image Private Header", 0x58))
    return ge_is_positive(header) if uih is None else uih == 0


def _xa_private(header: Dataset, frame: int) -> Dataset | None:
    """The private group of a frame of Siemens XA."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or ()
    if frame >= len(frames):
        return None
    found = private_element(frames[frame], 0x0021, _SIEMENS_XA, 0xFE)
    return found[0] if found else None
