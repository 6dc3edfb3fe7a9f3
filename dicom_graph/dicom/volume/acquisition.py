"""How a volume was acquired, in the words and units of BIDS: what its sidecar tells.

Times are in s, angles in degrees. Directions are those of the volume's own axes, i along the
columns and j along the rows as they are stored, so `j` is from front to back in an axial slice.
(Converters that turn rows over say `j-` of the same.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_graph.dicom.csa import CsaTag
from dicom_graph.dicom.functional_groups import FUNCTIONAL_GROUP_TAGS, FunctionalGroups
from dicom_graph.dicom.image_file import open_image
from dicom_graph.dicom.through_pydicom import quiet_pydicom
from dicom_graph.dicom.volume.fourth_axis import AxisName
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.labels import number, private_element, private_value
from dicom_graph.dicom.volume.mosaic import csa_image_header

Vector = tuple[float, float, float]
_SIEMENS_XA = "SIEMENS MR SDI 02"
_KEYWORDS = (
    "EchoTime", "InversionTime", "RepetitionTime", "FlipAngle", "MagneticFieldStrength",
    "InPlanePhaseEncodingDirection", "DiffusionGradientOrientation", "DiffusionBValue",
    "ScanningSequence",
)  # fmt: skip
_PRIVATE_GROUPS = (0x0019, 0x0029, 0x0043, 0x0065)
_BLOCKS = range(0x10, 0x20)
_PRIVATE = ((0x0019, 0x0E), (0x0029, 0x10), (0x0043, 0x2C), (0x0043, 0x83), (0x0065, 0x37))
_TAGS = (
    FUNCTIONAL_GROUP_TAGS
    | frozenset(int(Tag(keyword)) for keyword in _KEYWORDS)
    | frozenset(group << 16 | block for group in _PRIVATE_GROUPS for block in _BLOCKS)
    | frozenset(group << 16 | b << 8 | element for group, element in _PRIVATE for b in _BLOCKS)
)
_AXES = {"COL": "j", "COLUMN": "j", "ROW": "i"}
_TIMING = "MRTimingAndRelatedParametersSequence"


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What the headers tell; None where they do not.

    `slice_timing`: of each slice, when it was acquired after the first of its volume.
    `phase_encoding_axis`: i or j; `phase_encoding_direction`: the same with a minus where the
    phase runs against it, known only where a vendor says so. `effective_echo_spacing` and
    `total_readout_time` as BIDS has them, from the first to the last line of the image.
    `b_values`: s/mm² of each volume. `b_vectors`: unit vectors by FSL's convention: along the
    volume's axes, the first turned over where the affine's determinant is positive.
    """

    repetition_time: float | None = None
    echo_time: float | None = None
    inversion_time: float | None = None
    flip_angle: float | None = None
    magnetic_field_strength: float | None = None
    slice_timing: tuple[float, ...] | None = None
    phase_encoding_axis: str | None = None
    phase_encoding_direction: str | None = None
    effective_echo_spacing: float | None = None
    total_readout_time: float | None = None
    b_values: tuple[float, ...] | None = None
    b_vectors: tuple[Vector, ...] | None = None


class _PhaseEncoding(NamedTuple):
    """`is_positive`: along the axis; `spacing`: between echoes, of the lines of the image, s."""

    axis: str | None = None
    is_positive: bool | None = None
    spacing: float | None = None


def read_acquisition(geometry: VolumeGeometry, *, diffusion: bool = True) -> Acquisition:
    """How a volume was acquired, of the header of its first slice, and of each volume's for
    `diffusion`. Raises PixelError for a file that is gone or broken.
    """
    first = geometry.grid[0][0]
    with quiet_pydicom(), open_image(first.file.origin, _TAGS) as image:
        header = image.header
        groups = FunctionalGroups(header)
        csa = csa_image_header(header)
        phase = _phase_encoding(header, groups, first.frame, csa, geometry)
        slice_timing = _mosaic_timing(csa, geometry) or _timing_of_slices(geometry)

        def value(group: str, keyword: str, classic: str | None = None) -> float | None:
            own = groups.value(first.frame, group, keyword)
            return number(header.get(classic or keyword) if own is None else own)

        echo = value("MREchoSequence", "EffectiveEchoTime", "EchoTime")
        inversion = value("MRModifierSequence", "InversionTimes", "InversionTime")
        angle = value(_TIMING, "FlipAngle")
        field = number(header.get("MagneticFieldStrength"))
    lines = None if phase.axis is None else geometry.shape[1 if phase.axis == "j" else 0]
    sign = {True: "", False: "-", None: None}[phase.is_positive]
    spacing = phase.spacing
    return Acquisition(
        repetition_time=_repetition_time(geometry),
        echo_time=_seconds(echo),
        inversion_time=_seconds(inversion),
        flip_angle=angle,
        magnetic_field_strength=field,
        slice_timing=slice_timing,
        phase_encoding_axis=phase.axis,
        phase_encoding_direction=f"{phase.axis}{sign}" if phase.axis and sign is not None else None,
        effective_echo_spacing=spacing,
        total_readout_time=spacing * (lines - 1) if spacing is not None and lines else None,
        **(_diffusion(geometry) if diffusion else {}),
    )


def _seconds(milliseconds: float | None) -> float | None:
    return milliseconds / 1000 if milliseconds is not None and milliseconds > 0 else None


def _repetition_time(geometry: VolumeGeometry) -> float | None:
    """From volume to volume, as BIDS means it. The header's is more exact than the times of
    acquisition, where it says the same.
    """
    said = _seconds(geometry.grid[0][0].labels.repetition_time)
    axis = geometry.fourth_axis
    if axis is None or axis.name is not AxisName.TIME or axis.unit != "s" or not axis.step:
        return said
    return said if said is not None and abs(said - axis.step) <= 0.02 * said else axis.step


def _csa_numbers(csa: Mapping[str, CsaTag], name: str) -> list[float]:
    found: Any = csa[name]["value"] if name in csa else None
    values = found if isinstance(found, list) else [found]
    numbers = [number(each) for each in values]
    return [each for each in numbers if each is not None]


def _phase_encoding(
    header: Dataset,
    groups: FunctionalGroups,
    frame: int,
    csa: Mapping[str, CsaTag],
    geometry: VolumeGeometry,
) -> _PhaseEncoding:
    direction = groups.value(frame, "MRFOVGeometrySequence", "InPlanePhaseEncodingDirection")
    axis = _AXES.get(str(direction or header.get("InPlanePhaseEncodingDirection") or ""))
    if axis is None:
        return _PhaseEncoding()
    lines = geometry.shape[1 if axis == "j" else 0]
    positive = next(iter(_csa_numbers(csa, "PhaseEncodingDirectionPositive")), None)
    bandwidth = next(iter(_csa_numbers(csa, "BandwidthPerPixelPhaseEncode")), None)
    xa = _xa_private(header, frame)
    if xa is not None:
        positive = number(private_element(xa, 0x0021, _SIEMENS_XA, 0x1C))
        bandwidth = number(private_element(xa, 0x0021, _SIEMENS_XA, 0x53))
    spacing = 1 / (bandwidth * lines) if bandwidth else _ge_spacing(header)
    return _PhaseEncoding(axis, None if positive is None else positive > 0, spacing)


def _ge_spacing(header: Dataset) -> float | None:
    """(0043,xx2C) is the spacing of echoes in µs; the first of (0043,xx83) the part of the lines
    that were acquired, where the rest was made by parallel imaging.
    """
    spacing = number(private_value(header, 0x0043, "GEMS_PARM_01", 0x2C))
    if not spacing or "EP" not in (header.get("ScanningSequence") or ()):
        return None
    return spacing / 1e6 * (number(private_element(header, 0x0043, "GEMS_PARM_01", 0x83)) or 1.0)


def _xa_private(header: Dataset, frame: int) -> Dataset | None:
    """The private group of a frame of Siemens XA."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or ()
    if frame >= len(frames):
        return None
    found = private_element(frames[frame], 0x0021, _SIEMENS_XA, 0xFE)
    return found[0] if found else None


def _mosaic_timing(csa: Mapping[str, CsaTag], geometry: VolumeGeometry) -> tuple[float, ...] | None:
    """MosaicRefAcqTimes, ms, of the tiles in their order; a volume may have them turned over."""
    times = _csa_numbers(csa, "MosaicRefAcqTimes")
    planes = geometry.grid[0]
    if len(times) < len(planes) or any(plane.tile is None for plane in planes):
        return None
    order = sorted(plane.tile for plane in planes if plane.tile is not None)
    of_tile = dict(zip(order, times, strict=False))
    found = [of_tile[plane.tile] for plane in planes if plane.tile is not None]
    return tuple(round((time - min(found)) / 1000, 6) for time in found)


def _timing_of_slices(geometry: VolumeGeometry) -> tuple[float, ...] | None:
    """By the times at which the slices of the first volume were acquired, where they differ, and
    where they lie within one repetition.
    """
    times = [plane.labels.acquired for plane in geometry.grid[0]]
    known = [time for time in times if time is not None]
    repetition = _repetition_time(geometry)
    if len(known) < len(times) or len(set(known)) < 2 or geometry.n_volumes < 2:
        return None
    if repetition is None or max(known) - min(known) >= repetition:
        return None
    return tuple(round(time - min(known), 6) for time in known)


def _diffusion(geometry: VolumeGeometry) -> dict[str, Any]:
    """b values and vectors, where any volume was weighted by diffusion."""
    b_values = [volume[0].labels.b_value for volume in geometry.grid]
    known = [value for value in b_values if value is not None]
    if len(known) < len(b_values) or not any(known):
        return {}
    directions = [_direction(geometry, index) for index in range(geometry.n_volumes)]
    vectors = []
    for b_value, direction in zip(known, directions, strict=True):
        if direction is None and b_value:
            return {"b_values": tuple(known)}
        vectors.append(_in_image(geometry, direction) if direction is not None and b_value else
                       (0.0, 0.0, 0.0))  # fmt: skip
    return {"b_values": tuple(known), "b_vectors": tuple(vectors)}


def _direction(geometry: VolumeGeometry, volume: int) -> NDArray[np.float64] | None:
    """The direction of the gradient in the patient (LPS+): the standard's, Siemens' or UIH's."""
    plane = geometry.grid[volume][0]
    with quiet_pydicom(), open_image(plane.file.origin, _TAGS) as image:
        header = image.header
        item = FunctionalGroups(header).item(plane.frame, "MRDiffusionSequence")
        nested = (item.get("DiffusionGradientDirectionSequence") or [None])[0] if item else None
        found = nested.get("DiffusionGradientOrientation") if nested is not None else None
        if found is None:
            found = header.get("DiffusionGradientOrientation")
        if found is None:
            found = private_element(header, 0x0019, "SIEMENS MR HEADER", 0x0E)
        if found is None:
            found = private_element(header, 0x0065, "Image Private Header", 0x37)
    try:
        vector = np.array([float(each) for each in found])
    except (TypeError, ValueError):
        return None
    length = np.linalg.norm(vector)
    return vector / length if vector.shape == (3,) and 0.5 < length < 2 else None


def _in_image(geometry: VolumeGeometry, direction: NDArray[np.float64]) -> Vector:
    """A direction in the patient (LPS+) along the volume's axes, as FSL wants it."""
    axes = geometry.affine[:3, :3] / np.linalg.norm(geometry.affine[:3, :3], axis=0)
    along = np.linalg.solve(axes, direction * (-1, -1, 1))
    if np.linalg.det(axes) > 0:
        along[0] = -along[0]
    x, y, z = (float(round(each, 6)) + 0.0 for each in along / np.linalg.norm(along))
    return x, y, z
