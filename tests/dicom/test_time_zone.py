"""Timezone Offset From UTC (0008,0201) and what a DT without an offset means (PS3.3 C.12.1).

Moments are checked by Python's own arithmetic of datetimes.
"""

import datetime as dt
from pathlib import Path
from random import Random

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_graph.dicom.elements.contents import Element, Item, make_element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.content import Content, ContentReader
from tests.support.make import make_data_set, put_raw, save

ACQUISITION, OFFSET, START = 0x0008002A, 0x00080201, 0x00404050


def with_offset(offset: str | None, moment: str = "20200102101112", **elements: object) -> Dataset:
    """A header with a moment before (0008,0201), in the order of tags, and behind it."""
    data_set = make_data_set(**elements)
    put_raw(data_set, ACQUISITION, "DT", moment.encode() + b" " * (len(moment) % 2))
    put_raw(data_set, START, "DT", moment.encode() + b" " * (len(moment) % 2))
    if offset is not None:
        put_raw(data_set, OFFSET, "SH", offset.encode() + b" " * (len(offset) % 2))
    return data_set


def find(elements: Item, tag: int) -> Element:
    return next(element for element in elements if element.tag == tag)


def read(path: Path) -> Item:
    return read_instance(str(path), Interner()).elements


def moments(elements: Item) -> list[dt.datetime | None]:
    """The two moments, in UTC where an offset is known."""
    return [find(elements, tag).values[0].datetime for tag in (ACQUISITION, START)]


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("offset", "hours"),
    [("+0200", 2), ("-0930", -9.5), ("+1400", 14), ("-1200", -12), ("+0000", 0), ("+0545", 5.75)],
)
def test_a_moment_without_an_offset_is_in_the_zone_of_the_header(
    tmp_path: Path, syntax: str | None, offset: str, hours: float
) -> None:
    data_set = with_offset(offset)
    path = tmp_path / "file.dcm"
    elements = read(save(data_set, path, syntax) if syntax else save(data_set, path))
    local = dt.datetime(2020, 1, 2, 10, 11, 12)
    assert moments(elements) == [local - dt.timedelta(hours=hours)] * 2
    assert find(elements, ACQUISITION).text == "20200102101112"


@pytest.mark.parametrize("moment", ["20200102101112+0500", "20200102101112-0000", "2020-0500"])
def test_a_moment_with_an_offset_keeps_its_own(tmp_path: Path, moment: str) -> None:
    plain = read(save(with_offset(None, moment), tmp_path / "plain.dcm"))
    zoned = read(save(with_offset("+0200", moment), tmp_path / "zoned.dcm"))
    assert moments(plain) == moments(zoned)
    assert find(plain, ACQUISITION).digest == find(zoned, ACQUISITION).digest


def test_values_with_and_without_an_offset_in_one_element(tmp_path: Path) -> None:
    data_set = with_offset("+0200", "20200102101112\\20200102101112+0500\\x")
    values = find(read(save(data_set, tmp_path / "file.dcm")), ACQUISITION).values
    assert [value.datetime and value.datetime.hour for value in values] == [8, 5, None]
    assert values[2].warning


@pytest.mark.parametrize(
    "offset",
    ["0200", "+02:00", "+0260", "+1500", "-1230", "Z", "+02", "UTC", "+0200\\+0100", "+ 200"],
)
def test_an_invalid_offset_is_ignored_and_told(tmp_path: Path, offset: str) -> None:
    elements = read(save(with_offset(offset), tmp_path / "file.dcm"))
    assert moments(elements) == [dt.datetime(2020, 1, 2, 10, 11, 12)] * 2
    assert "ignored" in (find(elements, OFFSET).warning or "")


@pytest.mark.parametrize("moment", ["20200102101112+1500", "20200102101112-1300", "2020+0060"])
def test_a_moment_of_an_invalid_offset_is_none_and_told(tmp_path: Path, moment: str) -> None:
    value = find(read(save(with_offset("+0200", moment), tmp_path / "f.dcm")), START).values[0]
    assert (value.datetime, value.text) == (None, moment)
    assert "offset" in (value.warning or "")


def test_an_empty_offset_is_none(tmp_path: Path) -> None:
    elements = read(save(with_offset(""), tmp_path / "file.dcm"))
    assert moments(elements) == [dt.datetime(2020, 1, 2, 10, 11, 12)] * 2
    assert not any(element.has_warnings for element in elements)


def test_a_moment_that_leaves_the_calendar_is_told(tmp_path: Path) -> None:
    elements = read(save(with_offset("+0200", "00010101000000"), tmp_path / "file.dcm"))
    value = find(elements, ACQUISITION).values[0]
    assert value.datetime is None
    assert "year 1" in (value.warning or "")


def nested(offset: str | None, own: str | None) -> Dataset:
    """A moment two items deep; the inner one may have an offset of its own."""
    inner, outer = Dataset(), Dataset()
    inner.AcquisitionDateTime = "20200102101112"
    if own is not None:
        inner.TimezoneOffsetFromUTC = own
    outer.ReferencedSeriesSequence = [inner]
    data_set = with_offset(offset)
    data_set.ReferencedStudySequence = [outer]
    return data_set


@pytest.mark.parametrize(
    ("offset", "own", "hour"),
    [("+0200", None, 8), ("+0200", "-0300", 13), (None, "-0300", 13), (None, None, 10),
     ("+0200", "nonsense", 8)],
)  # fmt: skip
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_items_are_in_the_zone_of_the_header_or_in_their_own(
    tmp_path: Path, offset: str | None, own: str | None, hour: int, syntax: str | None
) -> None:
    data_set = nested(offset, own)
    path = tmp_path / "file.dcm"
    elements = read(save(data_set, path, syntax) if syntax else save(data_set, path))
    ((series,),) = find(elements, 0x00081110).items or ()
    (inner,) = series.items or ()
    found = find(inner, ACQUISITION).values[0].datetime
    assert found == dt.datetime(2020, 1, 2, hour, 11, 12)


def test_equal_bytes_in_two_zones_are_two_elements_and_in_one_zone_one(tmp_path: Path) -> None:
    interner = Interner()
    found = [
        find(
            read_instance(str(save(with_offset(o), tmp_path / f"{n}.dcm")), interner).elements,
            START,
        )
        for n, o in enumerate(["+0200", "+0100", None, "+0200"])
    ]
    assert len({element.digest for element in found}) == 3
    assert found[0] is found[3]


@pytest.mark.parametrize("moment", ["20200102101112.1234567", "20200102101112.1234567\\x"])
def test_what_tells_a_header_is_the_same_to_all_versions(tmp_path: Path, moment: str) -> None:
    """Older ones read no moment of a long fraction, so no zone was part of its content."""
    element = find(read(save(with_offset("+0200", moment), tmp_path / "a.dcm")), START)
    raw = moment.encode() + b" " * (len(moment) % 2)
    assert element.content == make_element(START, "", "DT", raw, [], True).content
    assert element.digest != make_element(START, "", "DT", raw, [], True).digest
    assert element.values[0].datetime == dt.datetime(2020, 1, 2, 8, 11, 12, 123456)


def content(content: Content | str | None) -> list[tuple[int, bytes, object]]:
    assert isinstance(content, Content)
    return [(e.tag, e.digest, [v.datetime for v in e.values]) for e in content.elements]


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.NORMAL])
def test_headers_read_after_others_are_as_if_read_alone(tmp_path: Path, mode: Mode) -> None:
    random = Random(3)
    together = ContentReader(mode, 65_536)
    n_changes = 0
    for number in range(120):
        data_set = with_offset(
            random.choice(["+0200"] * 6 + ["-0100", None, "bad"]),
            random.choice(["20200102101112"] * 3 + ["20200102101113", "20200102101112+0500"]),
            InstanceNumber=number,
            StudyInstanceUID="1.2",
            SeriesInstanceUID="1.2.3",
        )
        if random.random() < 0.3:
            data_set.ReferencedStudySequence = nested(None, None).ReferencedStudySequence
        path = str(save(data_set, tmp_path / f"{number}.dcm"))
        first, alone = together.read(path), ContentReader(mode, 65_536).read(path)
        assert content(first) == content(alone)
        assert isinstance(first, Content)
        if first.changes is not None:
            n_changes += 1
            since = {e.tag: e.digest for e in first.changes.since}
            for element in first.changes.went:
                assert since.pop(element.tag) == element.digest
            since |= {e.tag: e.digest for e in first.changes.came}
            assert sorted(since.items()) == [(tag, digest) for tag, digest, _ in content(first)]
    assert n_changes > 20
