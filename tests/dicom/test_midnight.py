"""Time series that pass midnight, and colour pictures that are no slices."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_graph.dicom.volume import AxisName, read_geometries, read_volume
from tests.support.slices import make_image, make_slices

CLOCK = ("235950", "000000", "000010", "000020")
"""Ten seconds apart."""


@pytest.mark.parametrize(
    "dates",
    [
        {},
        # The date of the whole acquisition, of each image, or of none.
        {"AcquisitionDate": ["20200101"] * 4},
        {"AcquisitionDate": ["20200101", *["20200102"] * 3]},
        {"SeriesDate": ["20200101"] * 4, "StudyDate": [None] * 4},
    ],
)
@pytest.mark.parametrize("keyword", ["AcquisitionTime", "ContentTime"])
def test_a_time_series_across_midnight(
    tmp_path: Path, dates: dict[str, list[str | None]], keyword: str
) -> None:
    if keyword == "ContentTime":
        dates = {key.replace("Acquisition", "Content"): value for key, value in dates.items()}

    def each(index: int) -> dict[str, Any]:
        moment = index // 2
        of_moment = {key: values[moment] for key, values in dates.items()}
        return {keyword: CLOCK[moment], "RepetitionTime": 10_000} | of_moment

    paths = make_slices(tmp_path, [0.0, 3.0] * 4, each=each)
    # The order of the files tells nothing.
    (geometry,) = read_geometries(reversed(paths))
    assert geometry.fourth_axis is not None
    assert geometry.fourth_axis.name is AxisName.TIME
    assert geometry.fourth_axis.values == pytest.approx((0, 10, 20, 30))
    assert read_volume(geometry).array[0, 0, 0].tolist() == [0, 2, 4, 6]


def test_a_day_with_a_long_pause_stays_in_order(tmp_path: Path) -> None:
    """Instance numbers say that the evening came later."""
    clock = ("060000", "060010", "200000", "200010")
    paths = make_slices(tmp_path, [0.0] * 4, each=lambda i: {"AcquisitionTime": clock[i]})
    (geometry,) = read_geometries(paths)
    assert geometry.fourth_axis is not None
    assert geometry.fourth_axis.values == pytest.approx((0, 10, 50_400, 50_410))
    assert read_volume(geometry).array[0, 0, 0].tolist() == [0, 1, 2, 3]


def test_colour_pictures_without_a_place_are_no_volume(tmp_path: Path) -> None:
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    elements: dict[str, Any] = {"SeriesInstanceUID": "1.2.3"}
    paths = [
        make_image(tmp_path / f"{number}.dcm", picture + number, InstanceNumber=number, **elements)
        for number in range(3)
    ]
    found = read_geometries(paths)
    assert [geometry.shape for geometry in found] == [(3, 2, 1, 3)] * 3
    grey = [
        make_image(
            tmp_path / f"grey{number}.dcm", picture[..., 0], InstanceNumber=number, **elements
        )
        for number in range(3)
    ]
    assert [geometry.shape for geometry in read_geometries(grey)] == [(3, 2, 3)]
