"""Siemens mosaics: the slices of a volume as tiles of one large image.

The layout is the one that nibabel documents (``doc/source/dicom/dicom_mosaic.rst``) and its
`MosaicWrapper` unpacks. That wrapper is not used, because it needs nibabel's CSA reader (see
`dicom_graph.dicom.csa` for what that cannot read), and because here a tile is a plane like any
other, so that mosaics share all that follows with classic and enhanced images.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_graph.dicom.csa import (
    CSA_CREATOR,
    CSA_GROUP,
    CSA_IMAGE_HEADER,
    CsaError,
    CsaTag,
    parse_csa,
)
from dicom_graph.dicom.volume.labels import integer, private_element, private_value


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """How many slices; tiles along one side; the direction from a tile to the next (LPS+)."""

    n_tiles: int
    per_side: int
    normal: NDArray[np.float64] | None


_MAX_TILES = 4096


def is_mosaic(header: Dataset) -> bool:
    """Whether the image says that it is a mosaic."""
    return "MOSAIC" in (header.get("ImageType") or ())


def read_mosaic(header: Dataset) -> Mosaic | None:
    """What a header says of its mosaic; None where it does not tell how to take it apart."""
    csa = _csa(header)
    n_tiles = integer(private_value(header, 0x0019, "SIEMENS MR HEADER", 0x0A))
    if "NumberOfImagesInMosaic" in csa:
        n_tiles = integer(csa["NumberOfImagesInMosaic"]["value"]) or n_tiles
    if n_tiles is None or not 1 <= n_tiles <= _MAX_TILES:
        return None
    per_side = math.isqrt(n_tiles - 1) + 1
    if header.Rows % per_side or header.Columns % per_side:
        return None
    return Mosaic(n_tiles, per_side, _normal(csa))


def _csa(header: Dataset) -> dict[str, CsaTag]:
    raw = private_element(header, CSA_GROUP, CSA_CREATOR, CSA_IMAGE_HEADER)
    try:
        return parse_csa(raw) if isinstance(raw, bytes) else {}
    except CsaError:
        return {}


def _normal(csa: dict[str, CsaTag]) -> NDArray[np.float64] | None:
    value = csa["SliceNormalVector"]["value"] if "SliceNormalVector" in csa else None
    if not isinstance(value, list) or len(value) != 3:
        return None
    normal = np.array([each if isinstance(each, (int, float)) else math.nan for each in value])
    length = float(np.linalg.norm(normal))
    return normal / length if math.isfinite(length) and length > 0.5 else None
