"""b values and the directions of the gradients, as FSL wants them.

Each vendor has its own place and its own axes for the direction where it does not write the
standard's element; they are those that dcm2niix found out.
"""

import re
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_graph.dicom.functional_groups import FUNCTIONAL_GROUP_TAGS, FunctionalGroups
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom
from dicom_graph.dicom.pixels.image_file import open_image
from dicom_graph.dicom.volume.ge import ge_direction
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.header_values import (
    number,
    private_element,
    private_tags,
    private_value,
)
from dicom_graph.dicom.volume.planes import Plane

Vector: TypeAlias = tuple[float, float, float]
Array: TypeAlias = NDArray[np.float64]
_KEYWORDS = (
    "DiffusionGradientOrientation", "DiffusionBValue", "InPlanePhaseEncodingDirection",
    "PatientPosition", "ImageComments", "Manufacturer", "ImageType", "AcquisitionContrast",
    "SequenceName", "PulseSequenceName",
)  # fmt: skip
_TAGS = (
    FUNCTIONAL_GROUP_TAGS
    | frozenset(int(Tag(keyword)) for keyword in _KEYWORDS)
    | private_tags(
        ((0x0019, 0x0E), (0x0019, 0xBB), (0x0019, 0xBC), (0x0019, 0xBD), (0x0065, 0x37),
         (0x2005, 0xB0), (0x2005, 0xB1), (0x2005, 0xB2))
    )
)  # fmt: skip
_DIFFUSION_SEQUENCE = re.compile(r"ep_b\d|ep2d_dif|dwi|dti", re.IGNORECASE)
_COMMENT = re.compile(
    r"b=\s*[\d.]+\s*\(\s*([-+\d.eE]+)\s*,\s*([-+\d.eE]+)\s*,\s*([-+\d.eE]+)\s*\)", re.ASCII
)
# By the axis of the patient that the slices are stacked along: right, back, head.
_GE_SIGNS = ((1, 1, -1), (-1, 1, 1), (-1, -1, 1))


def read_diffusion(
    geometry: VolumeGeometry,
) -> tuple[tuple[float, ...] | None, tuple[Vector, ...] | None]:
    """The b value of each volume, s/mm², and the directions; each None where it is not known.

    The directions are unit vectors by FSL's convention: along the volume's axes, the first turned
    over where the affine's determinant is positive. Raises PixelError for a file that is gone.
    """
    b_values = [volume[0].labels.b_value for volume in geometry.grid]
    known = tuple(value for value in b_values if value is not None)
    if len(known) < len(b_values):
        return None, None
    if not any(known) and not _is_diffusion(geometry.grid[0][0]):
        return None, None
    vectors: list[Vector] = []
    for volume, b_value in zip(geometry.grid, known, strict=True):
        direction = _direction(volume[0], geometry) if b_value else np.zeros(3)
        if direction is None:
            return known, None
        vectors.append(_by_fsl(direction, geometry))
    return known, tuple(vectors)


def _is_diffusion(plane: Plane) -> bool:
    """Whether the header says so. Some vendors write a b value of 0 into all images."""
    with quiet_pydicom(), open_image(plane.file.origin, _TAGS) as image:
        header = image.header
        codes = {str(code) for code in header.get("ImageType") or ()}
        names = f"{header.get('SequenceName')} {header.get('PulseSequenceName')}"
        return bool(
            "DIFFUSION" in codes | {str(header.get("AcquisitionContrast"))}
            or _DIFFUSION_SEQUENCE.search(names)
        )


def _by_fsl(direction: Array, geometry: VolumeGeometry) -> Vector:
    along = direction.copy()
    if np.linalg.det(geometry.affine[:3, :3]) > 0:
        along[0] = -along[0]
    length = np.linalg.norm(along)
    x, y, z = (float(round(each, 6)) + 0.0 for each in (along / length if length else along))
    return x, y, z


def _direction(plane: Plane, geometry: VolumeGeometry) -> Array | None:
    """The unit vector along the volume's axes; None where the header has none."""
    with quiet_pydicom(), open_image(plane.file.origin, _TAGS) as image:
        header = image.header
        found = _unit(_in_patient(header, FunctionalGroups(header), plane.frame))
        if found is not None:
            return _along_axes(found, geometry)
        return _unit(_in_image(header, plane))


def _in_patient(header: Dataset, groups: FunctionalGroups, frame: int) -> object:
    """In the patient's axes (LPS+): the standard's element, Siemens' or Philips'."""
    item = groups.item(frame, "MRDiffusionSequence")
    nested = (item.get("DiffusionGradientDirectionSequence") or [None])[0] if item else None
    found = nested.get("DiffusionGradientOrientation") if nested is not None else None
    if found is None:
        found = header.get("DiffusionGradientOrientation")
    if found is None:
        found = private_element(header, 0x0019, "SIEMENS MR HEADER", 0x0E)
    if found is None:
        philips = "Philips MR Imaging DD 001"
        found = [private_value(header, 0x2005, philips, low) for low in (0xB0, 0xB1, 0xB2)]
    return found


def _in_image(header: Dataset, plane: Plane) -> object:
    """Along rows, columns and normal: UIH's; GE's and Canon's, whose axes go with the gradients."""
    uih = private_element(header, 0x0065, "Image Private Header", 0x37)
    if uih is not None:
        return uih
    direction = ge_direction(header)
    if direction is None:
        comment = _COMMENT.search(str(header.get("ImageComments") or ""))
        y, x, z = (number(comment[place]) for place in (1, 2, 3)) if comment else (None,) * 3
        direction = None if x is None or y is None or z is None else (x, y, z)
    phase = header.get("InPlanePhaseEncodingDirection")
    if direction is None or phase not in ("ROW", "COL") or header.get("PatientPosition") != "HFS":
        return None
    signs = _GE_SIGNS[int(np.argmax(np.abs(plane.normal)))]
    x, y, z = (sign * each for sign, each in zip(signs, direction, strict=True))
    return (x, y, z) if phase == "COL" else (y, -x, z)


def _unit(value: object) -> Array | None:
    try:
        vector = np.array([float(each) for each in value])  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return None
    length = np.linalg.norm(vector)
    return vector / length if vector.shape == (3,) and 0.03 < length < 2 else None


def _along_axes(direction: Array, geometry: VolumeGeometry) -> Array:
    axes = geometry.affine[:3, :3] / np.linalg.norm(geometry.affine[:3, :3], axis=0)
    return np.asarray(np.linalg.solve(axes, direction * (-1, -1, 1)))
