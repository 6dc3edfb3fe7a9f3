"""Mosaics of Siemens and UIH: the slices of a volume as tiles of one large image.

The layout of Siemens is the one that nibabel documents (``doc/source/dicom/dicom_mosaic.rst``) and
its `MosaicWrapper` unpacks. That wrapper is not used, because it needs nibabel's CSA reader
(`dicom_graph.dicom.csa.header` says what that cannot read), and because here a tile is a plane like
any other, so that mosaics share all that follows with classic and enhanced images. UIH has as many
rows of tiles as are needed, and the corner of each slice in a private sequence.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_graph.dicom.csa.header import (
    CSA_CREATOR,
    CSA_GROUP,
    CSA_IMAGE_HEADER,
    CsaError,
    CsaTag,
    parse_csa,
)
from dicom_graph.dicom.functional_groups import FunctionalGroups
from dicom_graph.dicom.volume.header_values import integer, number, private_element, private_value
from dicom_graph.dicom.volume.moments import acquired


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """How many slices; tiles beside each other, and one above the other; the direction from a tile
    to the next (LPS+), or the corner of each in mm, and when each was acquired, s.
    """

    n_tiles: int
    across: int
    down: int
    normal: NDArray[np.float64] | None = None
    positions: tuple[NDArray[np.float64], ...] | None = None
    acquired: tuple[float | None, ...] | None = None


_MAX_TILES = 4096
_UIH = "Image Private Header"


def is_mosaic(header: Dataset) -> bool:
    """Whether the image says that it is a mosaic."""
    kind = header.get("ImageType") or ()
    return "MOSAIC" in kind or _is_of_uih(header)


def _is_of_uih(header: Dataset) -> bool:
    kind = header.get("ImageType")
    last = kind[-1] if kind and not isinstance(kind, str) else ""
    return str(last).endswith("VFRAME")


def read_mosaic(header: Dataset) -> Mosaic | None:
    """What a header says of its mosaic; None where it does not tell how to take it apart."""
    if _is_of_uih(header):
        return _read_uih(header)
    csa = csa_image_header(header)
    n_tiles = integer(private_value(header, 0x0019, "SIEMENS MR HEADER", 0x0A))
    if "NumberOfImagesInMosaic" in csa:
        n_tiles = integer(csa["NumberOfImagesInMosaic"]["value"]) or n_tiles
    if n_tiles is None or not 1 <= n_tiles <= _MAX_TILES:
        return None
    per_side = math.isqrt(n_tiles - 1) + 1
    if header.Rows % per_side or header.Columns % per_side:
        return None
    return Mosaic(n_tiles, per_side, per_side, normal=_normal(csa))


def _read_uih(header: Dataset) -> Mosaic | None:
    """(0065,xx50) is the number of slices, (0065,xx51) has an item for each, with its corner."""
    n_tiles = integer(private_value(header, 0x0065, _UIH, 0x50))
    frames = private_element(header, 0x0065, _UIH, 0x51)
    if n_tiles is None or not 1 <= n_tiles <= _MAX_TILES or len(frames or ()) != n_tiles:
        return None
    across = math.isqrt(n_tiles - 1) + 1
    down = -(-n_tiles // across)
    if header.Rows % down or header.Columns % across:
        return None
    positions = [_corner(item) for item in frames]
    found = tuple(position for position in positions if position is not None)
    if len(found) < n_tiles:
        return None
    times = tuple(acquired(item, FunctionalGroups(item), 0) for item in frames)
    return Mosaic(n_tiles, across, down, positions=found, acquired=times)


def _corner(item: Dataset) -> NDArray[np.float64] | None:
    try:
        corner = np.array([float(each) for each in item.get("ImagePositionPatient") or ()])
    except (TypeError, ValueError):
        return None
    return corner if corner.shape == (3,) and np.isfinite(corner).all() else None


def csa_image_header(header: Dataset) -> dict[str, CsaTag]:
    """The CSA image header of a Siemens image; empty where there is none that can be read."""
    raw = private_element(header, CSA_GROUP, CSA_CREATOR, CSA_IMAGE_HEADER)
    try:
        return parse_csa(raw) if isinstance(raw, bytes) else {}
    except CsaError:
        return {}


def csa_numbers(csa: Mapping[str, CsaTag], name: str) -> list[float]:
    """The values of a tag of a CSA header that are numbers."""
    found: Any = csa[name]["value"] if name in csa else None
    values = found if isinstance(found, list) else [found]
    numbers = [number(each) for each in values]
    return [each for each in numbers if each is not None]


def _normal(csa: dict[str, CsaTag]) -> NDArray[np.float64] | None:
    value = csa["SliceNormalVector"]["value"] if "SliceNormalVector" in csa else None
    if not isinstance(value, list) or len(value) != 3:
        return None
    normal = np.array([each if isinstance(each, (int, float)) else math.nan for each in value])
    length = float(np.linalg.norm(normal))
    return normal / length if math.isfinite(length) and length > 0.5 else None
