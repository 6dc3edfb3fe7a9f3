"""Volumes of values as they are stored, and of labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import SegmentationStorage

from dicom_graph.dicom.volume import read_geometries, read_volume
from tests.support.slices import AXIAL, make_image

LABELS = np.array([[0, 1, 2], [3, 255, 7]])
PLACE = {"ImageOrientationPatient": AXIAL, "PixelSpacing": [1, 1], "SliceThickness": 1}


def image(path: Path, k: int, pixels: Any, **elements: Any) -> Path:
    return make_image(
        path, pixels, SeriesInstanceUID="1.2", InstanceNumber=k, ImagePositionPatient=[0, 0, k],
        **PLACE, **elements,
    )  # fmt: skip


def test_without_slope_and_intercept(tmp_path: Path) -> None:
    pixels = [np.arange(6, dtype=np.int16).reshape(2, 3) * (k + 1) for k in range(2)]
    scaled: dict[str, Any] = {"RescaleSlope": 0.5, "RescaleIntercept": -3}
    paths = [image(tmp_path / f"{k}.dcm", k, each, **scaled) for k, each in enumerate(pixels)]
    (geometry,) = read_geometries(paths)
    np.testing.assert_allclose(
        read_volume(geometry).array, np.stack(pixels).transpose(2, 1, 0) * 0.5 - 3
    )
    (geometry,) = read_geometries(paths, stored=True)
    assert geometry.dtype == np.int16
    np.testing.assert_array_equal(read_volume(geometry).array, np.stack(pixels).transpose(2, 1, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", ["PALETTE COLOR", "MONOCHROME2"])
def test_a_label_map_is_a_volume_of_labels(tmp_path: Path, dtype: Any, photometric: str) -> None:
    """PS3.3 C.8.20.2.3: the values are numbers of segments; a palette is for showing them."""
    table = np.arange(256, dtype="<u2").tobytes()
    palette: dict[str, Any] = {}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = table
    path = image(
        tmp_path / "1.dcm", 1, LABELS.astype(dtype), Modality="SEG",
        SOPClassUID=SegmentationStorage, SegmentationType="LABELMAP",
        PhotometricInterpretation=photometric, **palette,
    )  # fmt: skip
    (geometry,) = read_geometries([path])
    assert (geometry.shape, geometry.dtype) == ((3, 2, 1), np.dtype(dtype))
    np.testing.assert_array_equal(read_volume(geometry).array[..., 0].T, LABELS)
    # Other images of a palette are colours, unless they are wanted as stored.
    other = image(
        tmp_path / "2.dcm", 1, LABELS.astype(dtype), PhotometricInterpretation="PALETTE COLOR",
        **palette,
    )  # fmt: skip
    assert read_geometries([other])[0].has_colours
    (stored,) = read_geometries([other], stored=True)
    np.testing.assert_array_equal(read_volume(stored).array[..., 0].T, LABELS)
