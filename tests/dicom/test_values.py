"""Values from bytes: as the standard says, and as pydicom reads them."""

import datetime as dt
import math
import struct
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import config
from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.valuerep import TM

from dicom_graph.dicom.dictionary import PIXEL_DATA_TAGS
from dicom_graph.dicom.elements.contents import Element, Item, make_element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.elements.values import ALL_VRS, Parsed, Value, parse_values
from dicom_graph.dicom.files.reading import read_instance
from tests.dicom.by_pydicom import intern_data_set, read_with_pydicom
from tests.support.data import nibabel_dicom_files, pydicom_files

UTF_8 = ["UTF8"]
NUMBERS = ("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV")


def parse(vr: str, raw: bytes, encodings: list[str] | None = None, little: bool = True) -> Parsed:
    return parse_values(vr, raw, encodings or ["iso8859"], little)


def only(vr: str, raw: bytes) -> Value:
    """The value of an element that has one."""
    (value,) = parse(vr, raw).values
    return value


def test_there_are_the_34_vrs_of_the_standard() -> None:
    names = "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI"
    assert set(names.split()) | {"UL", "UN", "UR", "US", "UT", "UV"} == ALL_VRS


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("045Y", 45), ("018M", 1.5), ("000D", 0), ("052W", 52 / 52.1429), ("365D", 365 / 365.2422),
    ],
)  # fmt: skip
def test_ages_are_years(text: str, years: float) -> None:
    assert only("AS", text.encode()).number == pytest.approx(years, rel=1e-12)


@pytest.mark.parametrize("text", ["Y", "45", "045X", "-01Y", "1000Y", "4 Y", "045y"])
def test_what_is_no_age_keeps_its_text_and_says_so(text: str) -> None:
    value = only("AS", text.encode())
    assert (value.text, value.number) == (text, None)
    assert "not an age" in (value.warning or "")


@pytest.mark.parametrize("text", ["20200229", "2020.02.29", "20200229 "])
def test_dates_of_the_present_and_the_old_style(text: str) -> None:
    assert only("DA", text.encode()).date == dt.date(2020, 2, 29)


@pytest.mark.parametrize(
    "text",
    ["20190229", "202002", "2020-02-29", "20201301", "00000000", "today", "20200101-20200102"],
)
def test_what_is_no_date_keeps_its_text_and_says_so(text: str) -> None:
    value = only("DA", text.encode())
    assert (value.text, value.date) == (text, None)
    assert value.warning


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("07", dt.time(7)),
        ("0709", dt.time(7, 9)),
        ("070907", dt.time(7, 9, 7)),
        ("070907.0705", dt.time(7, 9, 7, 70_500)),
        ("070907.5", dt.time(7, 9, 7, 500_000)),
        ("070907.705123", dt.time(7, 9, 7, 705_123)),
        ("07:09:07.7", dt.time(7, 9, 7, 700_000)),
        # A leap second; Python has none.
        ("235960", dt.time(23, 59, 59)),
    ],
)
def test_times_at_every_precision(text: str, time: dt.time) -> None:
    assert only("TM", text.encode()).time == time


@pytest.mark.parametrize("text", ["7", "070", "2400", "0760", "070961", "070907.", "noon", "07-08"])
def test_what_is_no_time_keeps_its_text_and_says_so(text: str) -> None:
    value = only("TM", text.encode())
    assert (value.text, value.time) == (text, None)
    assert value.warning


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1953", dt.datetime(1953, 1, 1)),
        ("195308", dt.datetime(1953, 8, 1)),
        ("19530827", dt.datetime(1953, 8, 27)),
        ("1953082711", dt.datetime(1953, 8, 27, 11)),
        ("195308271113", dt.datetime(1953, 8, 27, 11, 13)),
        ("19530827111300.0", dt.datetime(1953, 8, 27, 11, 13)),
        ("19530827111300.000001", dt.datetime(1953, 8, 27, 11, 13, 0, 1)),
        # With an offset it is one moment, whatever the zone: kept in UTC.
        ("19530827111300.0-0500", dt.datetime(1953, 8, 27, 16, 13)),
        ("19530827111300+1000", dt.datetime(1953, 8, 27, 1, 13)),
        ("1953-0500", dt.datetime(1953, 1, 1, 5)),
    ],
)
def test_datetimes_at_every_precision_and_offset(text: str, moment: dt.datetime) -> None:
    assert only("DT", text.encode()).datetime == moment


@pytest.mark.parametrize(
    "text", ["195", "19531301", "19530827256000", "19530827+9900", "00010101+1400", "1953 0827"]
)
def test_what_is_no_datetime_keeps_its_text_and_says_so(text: str) -> None:
    value = only("DT", text.encode())
    assert (value.text, value.datetime) == (text, None)
    assert value.warning


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("-1.5", -1.5), ("+.5", 0.5), ("1.", 1), ("1e3", 1000), ("1E-3", 0.001),
        (" 2.5 ", 2.5), ("-0", 0), ("0.30000000000000004", 0.30000000000000004),
    ],
)  # fmt: skip
def test_decimal_strings(text: str, number: float) -> None:
    value = only("DS", text.encode())
    assert (value.number, value.warning) == (number, None)
    assert value.text == text.strip()


# Python's float() takes the first five.
@pytest.mark.parametrize(
    "text", ["nan", "inf", "-Infinity", "1_0", "1e999", "1,5", "0x10", "1.5.2", "12mm", "-", "."]
)
def test_what_is_no_decimal_number_keeps_its_text_and_says_so(text: str) -> None:
    value = only("DS", text.encode())
    assert (value.text, value.number) == (text, None)
    assert "not a decimal number" in (value.warning or "")


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("+7", 7), ("2147483647", 2**31 - 1), ("-2147483648", -(2**31)), ("12.0", 12)],
)
def test_integer_strings_up_to_their_limits(text: str, number: int) -> None:
    value = only("IS", text.encode())
    assert (value.number, value.warning) == (number, None)


@pytest.mark.parametrize("text", ["2147483648", "-2147483649"])
def test_an_integer_string_beyond_32_bits_says_so(text: str) -> None:
    value = only("IS", text.encode())
    assert value.text == text
    assert "range" in (value.warning or "")


@pytest.mark.parametrize("text", ["1.5", "1_0", "nan", "A", "1e400", "0x1"])
def test_what_is_no_integer_keeps_its_text_and_says_so(text: str) -> None:
    value = only("IS", text.encode())
    assert (value.text, value.number) == (text, None)
    assert "not an integer" in (value.warning or "")


FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize("script", [FULL_WIDTH, ARABIC], ids=["full width", "Arabic"])
@pytest.mark.parametrize(
    ("vr", "text"),
    [("IS", "12"), ("DS", "1.5"), ("DA", "20200229"), ("TM", "1160"), ("TM", "101112"),
     ("DT", "20200229101112"), ("DT", "20200229+0100"), ("AS", "045Y")],
)  # fmt: skip
def test_digits_of_other_scripts_are_no_numbers(vr: str, text: str, script: Any) -> None:
    # PS3.5 6.2: the characters 0 to 9 of the default repertoire. Python's int and float take
    # all digits of Unicode, and undeclared UTF-8 is read as such.
    value = only(vr, text.translate(script).encode())
    assert value.text == text.translate(script)
    assert (value.number, value.date, value.time, value.datetime) == (None,) * 4
    assert value.warning


@pytest.mark.parametrize("fraction", ["5", "123456", "1234567", "123456999", "000000000001"])
@pytest.mark.parametrize("offset", ["", "+0000", "-0330"])
def test_a_fraction_counts_up_to_microseconds(fraction: str, offset: str) -> None:
    six = int(fraction[:6].ljust(6, "0"))
    assert only("TM", f"101112.{fraction}".encode()).time == dt.time(10, 11, 12, six)
    value = only("DT", f"20200102101112.{fraction}{offset}".encode())
    hours = -3.5 if offset == "-0330" else 0
    local = dt.datetime(2020, 1, 2, 10, 11, 12, six)
    assert (value.datetime, value.warning) == (local - dt.timedelta(hours=hours), None)


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize(
    ("vr", "code", "limits"),
    [
        ("SS", "h", (-(2**15), 2**15 - 1)), ("US", "H", (0, 2**16 - 1)),
        ("SL", "i", (-(2**31), 2**31 - 1)), ("UL", "I", (0, 2**32 - 1)),
        ("SV", "q", (-(2**63), 2**63 - 1)), ("UV", "Q", (0, 2**64 - 1)),
    ],
)  # fmt: skip
def test_binary_integers_at_their_limits(
    vr: str, code: str, limits: tuple[int, int], little: bool
) -> None:
    raw = struct.pack(f"{'<' if little else '>'}3{code}", *limits, 1)
    values = parse(vr, raw, little=little).values
    # A double is exact up to 53 bits; beyond them the text is.
    assert [int(value.text or value.number or 0) for value in values] == [*limits, 1]


@pytest.mark.parametrize("number", [2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1])
def test_64_bit_integers_are_exact(number: int) -> None:
    value = only("SV", struct.pack("<q", number))
    assert int(value.text or value.number or 0) == number


@pytest.mark.parametrize(("vr", "code"), [("FL", "f"), ("FD", "d")])
def test_floating_point_numbers_that_json_cannot_hold_say_so(vr: str, code: str) -> None:
    values = parse(vr, struct.pack(f"<4{code}", 0.5, math.nan, math.inf, -math.inf)).values
    assert [value.number for value in values] == [0.5, None, None, None]
    assert [bool(value.warning) for value in values] == [False, True, True, True]


@pytest.mark.parametrize("vr", ["US", "FD", "AT", "UV"])
def test_a_length_that_is_no_multiple_of_the_size_says_so(vr: str) -> None:
    (value,) = parse(vr, b"\x01\x02\x03\x04\x05").values
    assert (value.number, bool(value.warning)) == (None, True)


def test_tags() -> None:
    values = parse("AT", b"\x18\x00\x81\x00\x19\x00\x9c\x10").values
    assert [value.text for value in values] == ["(0018,0081)", "(0019,109C)"]
    assert only("AT", b"\x18\x00\x81\x00").number == 0x00180081


def test_a_nul_inside_a_code_is_kept_but_not_as_nul() -> None:
    # PostgreSQL's text refuses NUL; at the end it is padding.
    value = only("CS", b"MR\0X")
    assert "\0" not in (value.text or "")
    assert value.warning
    assert parse("CS", b"MR\0X").keep_raw
    assert only("CS", b"MR\0\0") == Value("MR")


@pytest.mark.parametrize("vr", ["LT", "ST", "UT", "UR"])
def test_a_backslash_in_text_of_one_value_is_text(vr: str) -> None:
    assert only(vr, b"C:\\temp").text == "C:\\temp"


@pytest.mark.parametrize("vr", ["LO", "SH", "CS", "UC", "PN", "UI", "AE"])
def test_a_backslash_in_other_text_separates_values(vr: str) -> None:
    parsed = parse(vr, b"1\\\\3 ")
    assert [value.text for value in parsed.values] == ["1", "", "3"]
    assert parsed.vm == 3


@pytest.mark.parametrize("vr", sorted(ALL_VRS - {"SQ"}))
def test_an_empty_element_has_no_value(vr: str) -> None:
    assert parse(vr, b"") == Parsed((), 0, False)


@pytest.mark.parametrize("vr", ["LO", "CS", "DS", "DA", "PN", "UI", "LT"])
def test_an_element_of_padding_has_no_value(vr: str) -> None:
    assert (parse(vr, b"    ").values, parse(vr, b"    ").vm) == ((), 0)


def test_multi_byte_text_whose_second_byte_is_a_backslash_is_one_value() -> None:
    # In GB18030, 0x5C is the second byte of some characters (PS3.5 6.1.2.5.3 note).
    raw = "乗".encode("gb18030")
    assert b"\\" in raw
    assert [value.text for value in parse("LO", raw, ["GB18030"]).values] == ["乗"]


def test_bytes_outside_the_character_set_say_so() -> None:
    parsed = parse("LO", b"caf\xe9", UTF_8)
    assert parsed.warning
    assert parsed.keep_raw
    assert parse("LO", "café".encode(), UTF_8).warning is None


def test_letters_outside_ascii_in_a_code_say_so() -> None:
    assert parse("CS", b"M\xc4R").warning


def test_unknown_bytes_that_are_text_are_shown_as_text() -> None:
    assert parse("UN", b"plain text ").values[0].text == "plain text"
    assert parse("UN", b"\x00\x01\xff\xfe").values == ()


CHARSET_FILES = [path for path in pydicom_files() if path.parent.name == "charset_files"]


@pytest.mark.parametrize("path", CHARSET_FILES, ids=lambda path: path.stem)
def test_names_in_all_character_sets(path: Path) -> None:
    # Not by `read_instance`: two of the files have no SOPInstanceUID.
    elements = intern_data_set(read_with_pydicom(str(path), force=False), Interner())
    compared = [
        (list(ours.texts), [str(text) for text in all_values(element)])
        for ours, element in pairs(elements, _header(path))
        if element.VR in ("PN", "LO", "SH")
    ]
    assert compared
    assert all(ours == theirs for ours, theirs in compared)


def all_values(element: DataElement) -> list[Any]:
    """The values that pydicom reads, always as a list."""
    if element.VM == 0:
        return []
    value = element.value
    return list(value) if isinstance(value, MultiValue | list) else [value]


ENCODINGS = st.one_of(
    st.sampled_from([[name] for name in sorted(set(python_encoding.values()))]),
    st.just(["iso8859", "shift_jis", "iso2022_jp", "euc_kr"]),
    st.just(["latin_1", "iso_ir_126", "iso2022_jp_2", "iso_ir_58"]),
)
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [b"\\", b"=", b"^", b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b-F", b"\0", b" ", b"1",
             b"-", b".", b"e9", b"20200229", b"1160", b"99991231235959", b"-9959", b"9" * 400]
        ),
    ),
    max_size=8,
).map(b"".join)  # fmt: skip


@given(st.sampled_from(sorted(ALL_VRS - {"SQ"})), PIECES, ENCODINGS, st.booleans())
@example("PN", b"\x1b$B\xff=\x1b", ["iso8859", "iso2022_jp"], True)
@example("DT", b"00010101-2359", ["iso8859"], True)
def test_no_bytes_of_any_vr_raise_or_give_what_a_database_refuses(
    vr: str, raw: bytes, encodings: list[str], little: bool
) -> None:
    element = make_element(0x00091001, "CREATOR", vr, raw, encodings, little)
    assert element.length == len(raw)
    for value in element.values:
        assert "\0" not in (value.text or "")
        (value.text or "").encode()
        assert value.number is None or math.isfinite(value.number)


@given(st.sampled_from(["DS", "IS"]), st.text("0123456789+-.eE_ \\", max_size=30))
def test_a_number_written_as_text_is_the_number_or_has_a_warning(vr: str, text: str) -> None:
    for value in parse(vr, text.encode()).values:
        if value.warning is None and value.text:
            assert value.number == float(value.text.replace("_", "?"))
        else:
            assert value.number is None or "range" in (value.warning or "")


def pairs(elements: Item, data_set: pydicom.Dataset) -> Iterator[tuple[Element, DataElement]]:
    """Our elements beside pydicom's, at all depths."""
    theirs = [tag for tag in sorted(data_set.keys()) if tag not in PIXEL_DATA_TAGS]
    assert [element.tag for element in elements] == theirs
    for ours, tag in zip(elements, theirs, strict=True):
        element = data_set[tag]
        yield ours, element
        for item, child in zip(ours.items or (), element.value if ours.items else (), strict=True):
            yield from pairs(item, child)


def typed(value: Value, vr: str) -> Any:
    """What we make of a value, in the terms of pydicom."""
    if vr in NUMBERS:
        return int(value.text) if value.text and vr in ("SV", "UV") else value.number
    return {"DA": value.date, "TM": value.time}.get(vr, value.text)


def theirs(value: Any, vr: str) -> Any:
    """What pydicom makes of a value, in our terms."""
    if vr == "DA":
        return dt.date.fromordinal(value.toordinal())
    if vr == "TM":
        # pydicom leaves the old HH:MM:SS as text.
        value = TM(value.replace(":", "")) if isinstance(value, str) else value
        return dt.time(value.hour, value.minute, value.second, value.microsecond)
    if vr in NUMBERS:
        return float(value)
    if vr == "AT":
        return f"({value >> 16:04X},{value & 0xFFFF:04X})"
    return str(value).rstrip(" \0") if vr in ("LT", "ST", "UT", "UR") else str(value).strip(" \0")


COMPARED = {*NUMBERS, "AE", "AT", "CS", "DA", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR",
            "UT"}  # fmt: skip


def test_the_values_of_the_files_of_the_wheels_are_those_of_pydicom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "datetime_conversion", True)
    interner = Interner()
    compared: Counter[str] = Counter()
    for path in (*pydicom_files(), *nibabel_dicom_files()):
        if path.suffix != ".gz":
            compared += compare_file(path, interner)
    print(f"{compared.total()} values are the same: {dict(compared)}")
    assert compared.total() > 10_000
    assert COMPARED - {"SV", "UC", "UR", "UV"} <= set(+compared)


def compare_file(path: Path, interner: Interner) -> Counter[str]:
    """How many values of each VR were compared in a file."""
    compared: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            elements = read_instance(str(path), interner).elements
        except Exception:
            return compared
        for ours, element in pairs(elements, _header(path)):
            compared[element.VR] += compare_values(ours, element)
    return compared


def _header(path: Path) -> pydicom.Dataset:
    return pydicom.dcmread(path, force=True, stop_before_pixels=True)


def compare_values(ours: Element, element: DataElement) -> int:
    """How many of the element's values were compared; those with a warning are not."""
    vr = ours.definition.vr
    if vr not in COMPARED or vr != element.VR:
        return 0
    n_compared = 0
    for value, other in zip(ours.values, all_values(element), strict=True):
        if value.warning is None and value.text != "":
            assert typed(value, vr) == theirs(other, vr), element.tag
            n_compared += 1
    return n_compared
