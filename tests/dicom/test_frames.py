"""Fields of images whose elements are in functional groups (PS3.3 C.7.6.16.2, C.8.13.5)."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    EnhancedUSVolumeStorage,
    EnhancedXAImageStorage,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
)

from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.entities import EntityReader, SeriesFields
from dicom_graph.dicom.files.reading import read_instance
from tests.support.data import needs_shared, shared_files
from tests.support.make import make_data_set, save

TIMING = "MRTimingAndRelatedParametersSequence"
TWINS = {
    "echo_time": ("MREchoSequence", ("EffectiveEchoTime", "EchoTime")),
    "inversion_time": ("MRModifierSequence", ("InversionTimes", "InversionTime")),
    "repetition_time": (TIMING, ("RepetitionTime",)),
    "flip_angle": (TIMING, ("FlipAngle",)),
    "slice_thickness": ("PixelMeasuresSequence", ("SliceThickness",)),
}


def sequence(**elements: Any) -> list[Dataset]:
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return [item]


def groups(**given: dict[str, Any]) -> Dataset:
    """The functional groups of one item: the elements of each group's sequence."""
    (made,) = sequence(**{name: sequence(**elements) for name, elements in given.items()})
    return made


def enhanced(
    folder: Path, shared: Dataset | None, frames: list[Dataset], **elements: Any
) -> SeriesFields:
    """The series of a file with these groups."""
    made = make_data_set(**{"SOPClassUID": EnhancedMRImageStorage, "EchoTime": None} | elements)
    if shared is not None:
        made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = frames
    syntax = {"syntax": ImplicitVRLittleEndian} if len(frames) % 2 else {}
    path = save(made, folder / f"{made.SOPInstanceUID}.dcm", **syntax)
    series = EntityReader().read(read_instance(path, Interner()).elements).series
    assert series is not None
    return series


def test_what_all_frames_share(tmp_path: Path) -> None:
    shared = groups(
        MRTimingAndRelatedParametersSequence={
            "RepetitionTime": 2000, "FlipAngle": 70, "RFEchoTrainLength": 7,
        },
        MRModifierSequence={"InversionTimes": [900.0]},
        PixelMeasuresSequence={"SliceThickness": 3, "PixelSpacing": [0.5, 0.75]},
    )  # fmt: skip
    frame = groups(MREchoSequence={"EffectiveEchoTime": 30.0})
    read = enhanced(tmp_path, shared, [frame, frame])
    assert (read.repetition_time, read.flip_angle, read.echo_train_length) == (2000, 70, 7)
    assert (read.inversion_time, read.echo_time) == (900, 30)
    assert (read.slice_thickness, read.pixel_spacing) == (3, [0.5, 0.75])
    assert (read.echo_times, read.inversion_times) == ([30], [900])


def test_frames_that_differ_have_no_one_value(tmp_path: Path) -> None:
    shared = groups(MRTimingAndRelatedParametersSequence={"RepetitionTime": 2000})
    frames = [groups(MREchoSequence={"EffectiveEchoTime": echo}) for echo in (7.5, 2.5, 7.5)]
    # The group of a frame counts for it, not the shared one.
    frames[1].MRTimingAndRelatedParametersSequence = sequence(RepetitionTime=1000)
    frames[2].MRModifierSequence = sequence(InversionTimes=[100.0, 300.0])
    read = enhanced(tmp_path, shared, frames)
    assert (read.echo_time, read.echo_times) == (None, [2.5, 7.5])
    assert (read.repetition_time, read.repetition_times) == (None, [1000, 2000])
    assert (read.inversion_time, read.inversion_times) == (None, [100, 300])
    # A group that one frame lacks is no value of all.
    frames = [groups(MREchoSequence={"EffectiveEchoTime": 5.0}), Dataset()]
    assert enhanced(tmp_path, None, frames).echo_time is None
    # Several values at once are none.
    one = [groups(MRModifierSequence={"InversionTimes": [100.0, 300.0]})]
    read = enhanced(tmp_path, None, one)
    assert (read.inversion_time, read.inversion_times) == (None, [100, 300])


@pytest.mark.parametrize(
    "sop_class",
    [
        EnhancedCTImageStorage,
        EnhancedPETImageStorage,
        EnhancedUSVolumeStorage,
        EnhancedXAImageStorage,
    ],
)
def test_pixel_measures_of_every_class(tmp_path: Path, sop_class: str) -> None:
    shared = groups(PixelMeasuresSequence={"SliceThickness": 2.5, "PixelSpacing": [1, 2]})
    read = enhanced(tmp_path, shared, [Dataset()] * 2, SOPClassUID=sop_class)
    assert (read.slice_thickness, read.pixel_spacing) == (2.5, [1, 2])


def test_a_legacy_converted_image(tmp_path: Path) -> None:
    shared = groups(
        UnassignedSharedConvertedAttributesSequence={
            "RepetitionTime": "500.0", "ScanningSequence": ["SE", "IR"],
        },
    )  # fmt: skip
    echoes = ("10", "10.0")
    frames = [groups(UnassignedPerFrameConvertedAttributesSequence={"EchoTime": e}) for e in echoes]
    read = enhanced(tmp_path, shared, frames, SOPClassUID=LegacyConvertedEnhancedMRImageStorage)
    assert (read.repetition_time, read.echo_time) == (500, 10)
    assert read.scanning_sequence == ["SE", "IR"]


def test_what_the_header_says_itself_comes_first(tmp_path: Path) -> None:
    frames = [groups(MREchoSequence={"EffectiveEchoTime": 30.0})]
    read = enhanced(tmp_path, None, frames, EchoTime=25)
    assert (read.echo_time, read.echo_times) == (25, [25])
    # Nothing is taken from elsewhere, nor of another VR than PS3.6 has.
    odd = groups(MREchoSequence={})
    odd.MREchoSequence[0].add_new("EffectiveEchoTime", "DS", "30")
    odd.ReferencedImageSequence = sequence(RepetitionTime=5)
    read = enhanced(tmp_path, odd, [Dataset()])
    assert (read.echo_time, read.repetition_time) == (None, None)


def by_pydicom(header: Dataset, group: str, keywords: tuple[str, ...]) -> Iterator[float]:
    """The numbers of an element of the header, else in the groups of all frames."""
    own = [header[keyword].value for keyword in keywords if header.get(keyword) is not None]
    if own:
        yield float(own[0])
        return
    shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for frame in header.get("PerFrameFunctionalGroupsSequence") or [Dataset()]:
        for item in frame.get(group) or shared[0].get(group) or []:
            found = [item[keyword].value for keyword in keywords if keyword in item]
            yield from map(float, found[:1])


@needs_shared
def test_real_files() -> None:
    n_compared = 0
    for path in shared_files():
        if not {"enhanced", "philips_enhanced"} & set(path.parts) or path.suffix != ".dcm":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True)
        if "PerFrameFunctionalGroupsSequence" not in header:
            continue
        read = EntityReader().read(read_instance(path, Interner()).elements).series
        assert read is not None
        for name, (group, keywords) in TWINS.items():
            found = set(by_pydicom(header, group, keywords))
            assert getattr(read, name) == (found.pop() if len(found) == 1 else None), (path, name)
            n_compared += 1
    assert n_compared >= 25
