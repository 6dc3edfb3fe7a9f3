"""Text in every character set of DICOM, and text that is in none that was declared.

What the bytes are is said by Python's codecs, by PS3.5 (annexes H, I, J and K) or by DCMTK.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import encode_string, python_encoding
from pydicom.config import RAISE, settings

from dicom_graph.dicom.elements.character_sets import decode_text, resolve_character_set
from dicom_graph.dicom.elements.contents import Element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.files.reading import read_instance
from tests.support.make import make_data_set, put_raw, save

ESC = b"\x1b"
VRS_OF_TEXT = {
    0x00081030: "LO", 0x00100010: "PN", 0x00081010: "SH", 0x00204000: "LT", 0x00081080: "LO",
    0x00080082: "ST", 0x0040A160: "UT", 0x00080119: "UC",
}  # fmt: skip


def codecs_of(names: str) -> list[str]:
    """The codecs of a value of (0008,0005)."""
    return resolve_character_set(names.split("\\"))[0]


def text_of(raw: bytes, names: str, *, is_name: bool = False, is_single: bool = False) -> str:
    """The text, of which nothing is to be said."""
    text, warning = decode_text(raw, codecs_of(names), is_name=is_name, is_single=is_single)
    assert warning is None
    return text


def warned(raw: bytes, names: str, **options: bool) -> tuple[str, str]:
    """The text and what was said of it."""
    text, warning = decode_text(raw, codecs_of(names), **options)
    assert warning
    return text, warning


# Escape sequence, character set, bytes after it, and the text: by PS3.3 tables C.12-3 and C.12-4.
SINGLE_BYTE = [
    (b"-A", "ISO 2022 IR 100", "Áß", "latin-1"),
    (b"-B", "ISO 2022 IR 101", "Łž", "iso8859-2"),
    (b"-C", "ISO 2022 IR 109", "ĦŬ", "iso8859-3"),
    (b"-D", "ISO 2022 IR 110", "Ķŋ", "iso8859-4"),
    (b"-L", "ISO 2022 IR 144", "Люк", "iso8859-5"),
    (b"-G", "ISO 2022 IR 127", "قباني", "iso8859-6"),
    (b"-F", "ISO 2022 IR 126", "Διονυσιος", "iso8859-7"),
    (b"-H", "ISO 2022 IR 138", "שרון", "iso8859-8"),
    (b"-M", "ISO 2022 IR 148", "Çavuşoğlu", "iso8859-9"),
    (b"-b", "ISO 2022 IR 203", "Œuvre€", "iso8859-15"),
    (b"-T", "ISO 2022 IR 166", "นามสกุล", "tis-620"),
    (b")I", "ISO 2022 IR 13", "ﾔﾏﾀﾞ", "shift-jis"),
    (b"$)C", "ISO 2022 IR 149", "김희중", "euc-kr"),
    (b"$)A", "ISO 2022 IR 58", "张小东", "gb2312"),
]


@pytest.mark.parametrize(("escape", "name", "text", "codec"), SINGLE_BYTE)
def test_each_set_of_the_right_half_is_announced(
    escape: bytes, name: str, text: str, codec: str
) -> None:
    raw = b"one " + ESC + escape + text.encode(codec) + b" two"
    assert text_of(raw, "\\" + name) == f"one {text} two"
    # Announced again after each delimiter, as the standard wants it.
    again = ESC + escape + text.encode(codec)
    name_raw = b"A^B=" + again + b"^" + again + b"\\" + again
    assert text_of(name_raw, "\\" + name, is_name=True) == f"A^B={text}^{text}\\{text}"


@pytest.mark.parametrize(
    ("escape", "name", "text", "codec"),
    [
        (b"$B", "ISO 2022 IR 87", "山田^太郎", "iso2022_jp"),
        (b"$(D", "ISO 2022 IR 159", "丂丄", "iso2022_jp_2"),
    ],
)
@pytest.mark.parametrize("back", [b"(B", b"(J"])
def test_each_set_of_two_bytes_in_the_left_half(
    escape: bytes, name: str, text: str, codec: str, back: bytes
) -> None:
    parts = [part.encode(codec).removesuffix(ESC + b"(B") for part in text.split("^")]
    assert all(part.startswith(ESC + escape) for part in parts)
    raw = b"^".join(part + ESC + back for part in parts)
    declared = f"ISO 2022 IR 13\\{name}"
    assert text_of(raw, declared, is_name=True) == text


def test_backslash_and_delimiters_inside_characters_of_two_bytes_are_none() -> None:
    # 0x5C, 0x5E and 0x3D are halves of characters of JIS X 0208, and 0x5C of GB 18030.
    for text in ("表", "申", "構", "能^予"):
        raw = b"^".join(part.encode("iso2022_jp") for part in text.split("^"))
        assert text_of(raw, "\\ISO 2022 IR 87", is_name=True) == text
    assert text_of("乗".encode("gb18030"), "GB18030") == "乗"


# PS3.5 H.3.1, H.3.2, I.2, J.1, K.2: the examples of the standard, byte for byte.
EXAMPLES = [
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^"
        b"\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6"
        b"\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    (
        "GB18030",
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab",
        "Wang^XiaoDong=王^小东",
    ),
    (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
]


@pytest.mark.parametrize(("names", "raw", "text"), EXAMPLES)
def test_the_examples_of_the_standard(names: str, raw: bytes, text: str) -> None:
    assert text_of(raw, names, is_name=True) == text


def test_lines_of_a_text_begin_with_the_first_character_set() -> None:
    # PS3.5 I.3: the sequence stands again at each line.
    line = ESC + b"$)C" + "고려".encode("euc-kr")
    raw = line + b"\r\n" + line + b" end\\more"
    assert text_of(raw, "\\ISO 2022 IR 149", is_single=True) == "고려\r\n고려 end\\more"
    # With ISO 8859-1 as the first, a line without it is in that.
    mixed = line + b"\r\n" + "é".encode("latin-1")
    declared = "ISO 2022 IR 100\\ISO 2022 IR 149"
    assert text_of(mixed, declared, is_single=True) == "고려\r\né"


def test_what_a_writer_forgot_to_announce_again_is_read_and_said() -> None:
    raw = b"Hong^Gildong=\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7"
    text, warning = warned(raw, "\\ISO 2022 IR 149", is_name=True)
    assert text == "Hong^Gildong=洪^吉洞"
    assert "after a delimiter" in warning


def test_the_set_in_force_when_a_pair_is_left_without_a_word() -> None:
    text, warning = warned(b"\x1b$B;3ED^Taro", "\\ISO 2022 IR 87", is_name=True)
    assert text == "山田^Taro"
    assert "without an escape sequence" in warning


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"end\x1b", "end"),
        (b"end\x1b$", "end"),
        (b"end\x1b$)", "end"),
        (b"a\x1b$)Zb", "ab"),
        (b"a\x1b-Zb", "ab"),
        (b"a\x1b%Gb", "ab"),
        (b"a\x1b\x1bb", "ab"),
        (b"pre\x1bDose", "preDose"),
    ],
)
@pytest.mark.parametrize(
    "names", ["", "ISO_IR 100", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 87", "ISO_IR 999", "cp850"]
)
def test_unknown_and_unterminated_escapes_are_dropped_and_said(
    raw: bytes, text: str, names: str
) -> None:
    found, warning = warned(raw, names)
    assert found == text
    assert "dropped" in warning


@pytest.mark.parametrize("names", ["", "ISO_IR 100", "ISO 2022 IR 6\\ISO 2022 IR 149"])
def test_a_known_escape_that_is_not_declared_is_followed_and_said(names: str) -> None:
    text, warning = warned(b"A=\x1b$B;3ED\x1b(B", names, is_name=True)
    assert text == "A=山田"
    assert "not declared" in warning
    assert warned(b"\x1b$)A\xd5\xc5", names)[0] == "张"
    assert warned(b"\x1b-F\xc4", names)[0] == "Δ"


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [ESC, ESC + b"$B", ESC + b"(B", ESC + b"$)A", ESC + b"-F", ESC + b"$("]
            ),
            st.sampled_from([b"^", b"=", b"\\", b"\r\n"]),
            st.binary(max_size=6),
        ),
        max_size=10,
    ).map(b"".join),
    st.sampled_from(["", "ISO_IR 192", "GBK", "ISO_IR 13", "ISO_IR 999", "\\ISO 2022 IR 58"]),
    st.booleans(),
)
def test_no_text_has_an_escape_character(raw: bytes, names: str, is_name: bool) -> None:
    text, warning = decode_text(raw, codecs_of(names), is_name=is_name)
    assert "\x1b" not in text
    assert warning or ESC not in raw.replace(ESC + b"(B", b"").replace(ESC + b"$)A", b"")


# Bytes, what was declared, the text that a person sees, and what is said to be assumed.
OUTSIDE = [
    ("Müller".encode(), "", "Müller", "UTF-8"),
    ("张三".encode(), "", "张三", "UTF-8"),
    ("Łódź".encode(), "ISO_IR 6", "Łódź", "UTF-8"),
    ("Müller".encode("latin-1"), "", "Müller", "ISO 8859-1"),
    ("it’s".encode("cp1252"), "", "it’s", "Windows-1252"),
    ("it’s €".encode("cp1252"), "ISO_IR 100", "it’s €", "Windows-1252"),
    ("Müße".encode(), "ISO_IR 100", "Müße", "UTF-8"),
    ("Müller".encode("latin-1"), "ISO_IR 192", "Müller", "ISO 8859-1"),
    ("Müller".encode("latin-1"), "ISO_IR 999", "Müller", "ISO 8859-1"),
    ("Müller".encode(), "ISO_IR 999", "Müller", "UTF-8"),
    ("Müller".encode(), "NONSENSE", "Müller", "UTF-8"),
    ("山田".encode(), "ISO_IR 13", "山田", "UTF-8"),
    ("山田".encode("shift-jis"), "ISO_IR 13", "山田", "Shift_JIS"),
    ("山田".encode("shift-jis"), "\\ISO 2022 IR 87", "山田", "Shift_JIS"),
    ("똠방".encode("cp949"), "ISO 2022 IR 149", "똠방", "949"),
    ("镕".encode("gbk"), "ISO 2022 IR 58", "镕", "GB18030"),
    ("Борис".encode(), "ISO_IR 126", "Борис", "UTF-8"),
    ("王小東".encode(), "GB18030", "王小東", "UTF-8"),
    ("Grün".encode() + "Grün".encode()[:3], "", "GrünGr\ufffd", "UTF-8"),
]


@pytest.mark.parametrize(("raw", "names", "text", "assumed"), OUTSIDE)
def test_text_outside_its_character_set_is_read_and_said(
    raw: bytes, names: str, text: str, assumed: str
) -> None:
    found, warning = warned(raw, names)
    assert (found, assumed in warning) == (text, True)
    assert "replaced" not in warning


@pytest.mark.parametrize(
    ("raw", "names", "text"),
    [
        (b"\xd2\xff\xe1", "ISO_IR 126", "\ufffd\ufffdα"),
        (b"a\x81\x8d", "ISO_IR 144", "a\ufffd\ufffd"),
        ("Grün ".encode() + b"\xff\xfe", "ISO_IR 192", "Grün \ufffd\ufffd"),
        (b"\x1b$)C\xff\xff", "\\ISO 2022 IR 149", "\ufffd\ufffd"),
    ],
)
def test_what_cannot_be_anything_is_replaced_and_said(raw: bytes, names: str, text: str) -> None:
    found, warning = warned(raw, names)
    assert (found, "replaced" in warning) == (text, True)


@pytest.mark.parametrize(
    ("names", "codecs", "problem"),
    [
        ([], ["iso8859"], None),
        ([""], ["iso8859"], None),
        (["ISO_IR 100"], ["latin_1"], None),
        (["", "ISO 2022 IR 87"], ["iso8859", "iso2022_jp"], None),
        (["ISO-IR 100"], ["latin_1"], "read as ISO_IR 100"),
        (["iso_ir 192"], ["UTF8"], "read as ISO_IR 192"),
        (["ISO 2022-IR 87"], ["iso2022_jp"], "read as ISO 2022 IR 87"),
        (["ISO_IR 203"], ["iso8859_15"], None),
        (["utf-8"], ["utf-8"], "read as utf-8"),
        (["ISO_IR 192", "ISO 2022 IR 87"], ["UTF8"], "stands alone"),
        (["ISO 2022 IR 100", "GB18030"], ["latin_1"], "stands alone"),
        (["rot13"], ["?rot13"], "unknown"),
        (["utf-16"], ["?utf-16"], "unknown"),
        (["unicode_escape"], ["?unicode_escape"], "unknown"),
        (["ISO_IR 999"], ["?ISO_IR 999"], "'ISO_IR 999' is unknown"),
    ],
)
def test_names_of_character_sets(names: list[str], codecs: list[str], problem: str | None) -> None:
    found, said = resolve_character_set(names)
    assert found == codecs
    assert said is None if problem is None else problem in (said or "")


def test_every_defined_term_is_known() -> None:
    for name, codec in python_encoding.items():
        assert resolve_character_set([name]) == ([codec], None)


@given(
    st.sampled_from(
        ["ISO_IR 100", "ISO_IR 101", "ISO_IR 144", "ISO_IR 126", "ISO_IR 192", "GB18030", "GBK",
         "ISO 2022 IR 100\\ISO 2022 IR 149", "ISO 2022 IR 100\\ISO 2022 IR 126"]
    ),
    st.text("aZ 9.-äßЖΩλ한국山田", min_size=1, max_size=12),
)  # fmt: skip
def test_what_pydicom_encodes_is_read(names: str, text: str) -> None:
    encodings = codecs_of(names)
    mode, settings.writing_validation_mode = settings.writing_validation_mode, RAISE
    try:
        raw = encode_string(text, encodings)
    except UnicodeError:
        return
    finally:
        settings.writing_validation_mode = mode
    assert decode_text(raw, encodings) == (text, None)


def element_of(path: Path, tag: int) -> Element:
    """The element of a file."""
    elements = read_instance(str(path), Interner()).elements
    return next(element for element in elements if element.tag == tag)


def file_with(path: Path, names: str | None, raw: bytes) -> Path:
    """A file in which each VR of text holds these bytes."""
    data_set = make_data_set(PatientName=None, StudyDescription=None)
    if names is not None:
        put_raw(data_set, 0x00080005, "CS", names.encode() + b" " * (len(names) % 2))
    for tag, vr in VRS_OF_TEXT.items():
        put_raw(data_set, tag, vr, raw)
    return save(data_set, path)


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="no DCMTK")
@pytest.mark.parametrize(
    ("names", "raw"),
    [
        # Debian's DCMTK is built without ISO 2022 IR 87 and 159.
        ("\\ISO 2022 IR 149", b"\x1b$)C\xfb\xf3 "),
        ("\\ISO 2022 IR 58", b"\x1b$)A\xd5\xc5 "),
        ("ISO_IR 144", b"\xbb\xee\xda "),
        ("ISO 2022 IR 100\\ISO 2022 IR 126", b"\xe9 \x1b-F\xc4"),
    ],
)
def test_texts_of_all_vrs_are_those_of_dcmtk(tmp_path: Path, names: str, raw: bytes) -> None:
    path = file_with(tmp_path / "file.dcm", names, raw)
    for tag in VRS_OF_TEXT:
        command = ["dcmdump", "+U8", "-q", "+P", f"{tag >> 16:04x},{tag & 0xFFFF:04x}", str(path)]
        said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        element = element_of(path, tag)
        assert element.text == said[said.index("[") + 1 : said.rindex("]")].rstrip()
        assert not element.has_warnings


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_tells_what_was_assumed_of_each_text(tmp_path: Path) -> None:
    path = file_with(tmp_path / "none.dcm", None, "Grün".encode() + b" ")
    for tag in VRS_OF_TEXT:
        element = element_of(path, tag)
        assert element.text == "Grün"
        assert element.warning == "bytes outside the default repertoire (ISO_IR 6): read as UTF-8"
    unknown = file_with(tmp_path / "unknown.dcm", "ISO_IR 999", "Grün".encode() + b" ")
    assert "unknown" in (element_of(unknown, 0x00080005).warning or "")
    assert "ISO_IR 999" in (element_of(unknown, 0x0040A160).warning or "")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_equal_bytes_under_no_and_an_unknown_character_set_are_two_elements(
    tmp_path: Path,
) -> None:
    raw = "Grün".encode() + b" "
    files = [file_with(tmp_path / f"{n}.dcm", n, raw) for n in ("ISO_IR 999", "ISO_IR 998")]
    files.append(file_with(tmp_path / "none.dcm", None, raw))
    found = [element_of(path, 0x00100010) for path in files]
    assert len({element.digest for element in found}) == 3
    assert len({element.warning for element in found}) == 3


def test_codes_have_no_character_set_but_the_default(tmp_path: Path) -> None:
    data_set = make_data_set(Modality=None)
    put_raw(data_set, 0x00080005, "CS", b"ISO_IR 192")
    put_raw(data_set, 0x00080060, "CS", "MÜ".encode() + b"\x1b")
    element = element_of(save(data_set, tmp_path / "file.dcm"), 0x00080060)
    assert element.text == "MÜ"
    assert "CS has no character set" in (element.warning or "")
