"""Any data set that pydicom can read, as interned elements: the truth for the walks."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pydicom
from pydicom import config
from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr_element
from pydicom.hooks import raw_element_vr
from pydicom.tag import BaseTag
from pydicom.valuerep import AMBIGUOUS_VR
from pydicom.values import convert_SQ

from dicom_graph.dicom.dictionary import (
    PIXEL_DATA_TAGS,
    definition,
    format_tag,
    is_private,
    is_private_creator,
    private_block,
)
from dicom_graph.dicom.elements.character_sets import resolve_character_set
from dicom_graph.dicom.elements.contents import Element, Item, make_streamed_element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.elements.values import BYTES_VRS
from dicom_graph.dicom.errors import UnreadableFileError

_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 128
_DEFERRED = 4 << 20
_MAX_MESSAGE = 200
_TAG = re.compile(r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)")
_CHARACTER_SET = BaseTag(0x00080005)
_PIXEL_REPRESENTATION = BaseTag(0x00280103)


@contextmanager
def quiet_pydicom() -> Iterator[list[warnings.WarningMessage]]:
    """pydicom's warnings go into a list: they quote values, which are patient data."""
    with warnings.catch_warnings(record=True) as caught, config.disable_value_validation():
        warnings.simplefilter("always")
        yield caught


def read_with_pydicom(path: str, *, force: bool) -> pydicom.FileDataset:
    """Read a file's data set up to its pixel data.

    Raises UnreadableFileError where pydicom refuses it or its end is missing.
    """
    try:
        with quiet_pydicom() as caught:
            data_set = pydicom.dcmread(
                path, stop_before_pixels=True, force=force, defer_size=_DEFERRED
            )
    except RecursionError:
        raise UnreadableFileError("sequences are nested too deeply") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UnreadableFileError(f"pydicom cannot read it: {_one_line(error)}") from error
    except Exception as error:
        raise UnreadableFileError(f"pydicom cannot read it: {_one_line(error)}") from error
    for warning in caught:
        if str(warning.message).startswith("End of file reached"):
            raise UnreadableFileError("the file ends inside an element of undefined length")
    return data_set


def intern_data_set(data_set: Dataset, interner: Interner) -> Item:
    """The elements of a data set just read, in the order of their tags, at any depth.

    Raises UnreadableFileError for a value that the file cuts short, and for broken sequences.
    """
    with quiet_pydicom():
        try:
            return _intern(data_set, interner, None, [default_encoding], 0)
        except RecursionError:
            raise UnreadableFileError("sequences are nested too deeply") from None


def _intern(
    data_set: Dataset,
    interner: Interner,
    pixel_rep: int | None,
    encodings: list[str],
    depth: int,
) -> Item:
    if depth > _MAX_DEPTH:
        raise UnreadableFileError(f"sequences are nested more than {_MAX_DEPTH} deep")
    # A copy, since looking anything up in the data set replaces raw elements by decoded ones.
    sources = sorted(data_set._dict.items())
    if _PIXEL_REPRESENTATION in data_set._dict:
        pixel_rep = _first_integer(data_set, pixel_rep)
    encodings = _encodings(data_set, encodings)
    elements = [
        _element(data_set, source, interner, pixel_rep, encodings, depth)
        for tag, source in sources
        if tag not in PIXEL_DATA_TAGS
    ]
    return tuple(elements)


def _first_integer(data_set: Dataset, default: int | None) -> int | None:
    try:
        value = data_set.PixelRepresentation
    except Exception:
        return default
    return value if isinstance(value, int) else default


def _element(
    data_set: Dataset,
    source: RawDataElement | DataElement,
    interner: Interner,
    pixel_rep: int | None,
    encodings: list[str],
    depth: int,
) -> Element:
    tag = int(source.tag)
    creator = _private_creator(data_set, tag)
    if isinstance(source, DataElement):
        return _read_element(data_set, source, creator, interner, pixel_rep, encodings, depth)
    if source.value is None and 0 < source.length < _UNDEFINED:
        deferred = _deferred(data_set, source, creator, pixel_rep)
        if isinstance(deferred, Element):
            return deferred
        source = deferred
    if source.length != _UNDEFINED and len(source.value or b"") < source.length:
        raise UnreadableFileError(
            f"the file ends at byte {source.value_tell + len(source.value or b'')}, inside "
            f"{element_label(tag, creator)}, whose value needs {source.length} bytes"
        )
    vr = _resolved_vr(data_set, source, pixel_rep)
    raw = source.value or b""
    if vr != "SQ":
        return interner.element(tag, creator, vr, raw, encodings, source.is_little_endian)
    try:
        items = convert_SQ(
            raw, source.is_implicit_VR, source.is_little_endian, encodings, source.value_tell
        )
    except Exception as error:
        raise UnreadableFileError(
            f"{element_label(tag, creator)} at byte {source.value_tell}: {_one_line(error)}"
        ) from error
    interned = tuple(_intern(item, interner, pixel_rep, encodings, depth + 1) for item in items)
    return interner.sequence(tag, creator, interned)


def _deferred(
    data_set: Dataset, source: RawDataElement, creator: str, pixel_rep: int | None
) -> Element | RawDataElement:
    """A value that pydicom left in the file: bytes in pieces as an element, others as raw."""
    vr = _resolved_vr(data_set, source, pixel_rep)
    with open(str(data_set.filename), "rb", buffering=0) as file:
        descriptor = file.fileno()
        chunks = read_in_chunks(descriptor, source.value_tell, source.length)
        missing = source.value_tell + source.length > os.fstat(descriptor).st_size
        if vr in BYTES_VRS and not missing:
            tag = int(source.tag)
            return make_streamed_element(tag, creator, vr, chunks, [], source.is_little_endian)
        return source._replace(value=b"".join(chunks))


def read_in_chunks(descriptor: int, start: int, length: int) -> Iterator[bytes]:
    """Bytes of an open file, a mebibyte at a time; fewer where it ends."""
    end = start + length
    while start < end and (chunk := os.pread(descriptor, min(1 << 20, end - start), start)):
        start += len(chunk)
        yield chunk


def _read_element(
    data_set: Dataset,
    source: DataElement,
    creator: str,
    interner: Interner,
    pixel_rep: int | None,
    encodings: list[str],
    depth: int,
) -> Element:
    """An element that pydicom decoded while reading: a sequence, or the character set."""
    tag = int(source.tag)
    if source.VR == "SQ":
        items = tuple(
            _intern(item, interner, pixel_rep, encodings, depth + 1) for item in source.value
        )
        return interner.sequence(tag, creator, items)
    if source.tag != _CHARACTER_SET:
        raise UnreadableFileError(f"{element_label(tag, creator)} cannot be read")
    values = source.value if source.VM > 1 else [source.value] * source.VM
    raw = "\\".join(map(str, values)).encode("iso8859", "replace")
    vr = str(source.VR)
    return interner.element(tag, creator, vr, raw + b" " * (len(raw) % 2), ["iso8859"], True)


def _encodings(data_set: Dataset, inherited: list[str]) -> list[str]:
    """The character set of a data set, or that of the one around it (PS3.5 7.5.3)."""
    source = data_set._dict.get(_CHARACTER_SET)
    if source is None:
        return inherited
    if isinstance(source, DataElement):
        names = source.value if source.VM > 1 else [source.value] * source.VM
    else:
        names = (source.value or b"").decode("iso8859").rstrip(" \x00").split("\\")
    return resolve_character_set([str(name).strip(" \x00") for name in names])[0]


def _private_creator(data_set: Dataset, tag: int) -> str:
    if not is_private(tag) or is_private_creator(tag) or tag & 0xFFFF < 0x1000:
        return ""
    try:
        element = data_set.get(BaseTag(private_block(tag)))
    except Exception:
        return ""
    if element is None or element.VM != 1:
        return ""
    # As in any text: PostgreSQL refuses NUL.
    return str(element.value).replace("\x00", "\\x00")


def _resolved_vr(data_set: Dataset, raw: RawDataElement, pixel_rep: int | None) -> str:
    found: dict[str, str] = {}
    raw_element_vr(raw, found, ds=data_set)
    vr = str(found["VR"])
    if vr == "UN" and raw.tag.is_private and raw.tag.element == 0:
        return "UL"  # As PS3.5 7.2 and DCMTK have it.
    if vr not in AMBIGUOUS_VR:
        return vr
    if vr == "US or SS" and pixel_rep is not None:
        return "US" if pixel_rep == 0 else "SS"
    try:
        element = DataElement(raw.tag, vr, raw.value, already_converted=True)
        corrected = correct_ambiguous_vr_element(element, data_set, raw.is_little_endian)
    except Exception:
        return "UN"
    resolved = str(corrected.VR)
    return "UN" if resolved in AMBIGUOUS_VR else resolved


def _one_line(error: Exception) -> str:
    """What pydicom says, without the bytes it may quote at length, but with the element."""
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) <= _MAX_MESSAGE:
        return text
    tag = _TAG.search(text, _MAX_MESSAGE)
    return text[:_MAX_MESSAGE] + "…" + (f" in {tag[0]}" if tag else "")


def element_label(tag: int, creator: str) -> str:
    """An element for a message: tag and keyword, or name."""
    known = definition(tag, creator, "")
    return f"{format_tag(tag)} {known.keyword or known.name}"
