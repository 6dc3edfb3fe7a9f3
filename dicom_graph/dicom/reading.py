"""From a path to an image's header. A DICOM file is known by its content, never by its name."""

import os
import zlib
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from dicom_graph.dicom.alike import changes, walk
from dicom_graph.dicom.elements import Changes, Element, Item, make_streamed_element
from dicom_graph.dicom.errors import NotDicomError, UnreadableFileError
from dicom_graph.dicom.explicit import LargeValue, NeedMore, NotUnderstood
from dicom_graph.dicom.interning import Interner
from dicom_graph.dicom.regular_file import open_regular
from dicom_graph.dicom.through_pydicom import (
    element_label,
    intern_data_set,
    quiet_pydicom,
    read_in_chunks,
    read_with_pydicom,
)

_FIRST_READ = 65_536
INFLATED_LIMIT = 128 << 20
"""Bytes that a deflated data set may inflate to."""
_META_ELEMENT = Struct("<HH2sH").unpack_from
_META_LENGTH = Struct("<L").unpack_from
_META_LONG = frozenset({b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN", b"UC", b"UR"})
_NOT_EXPLICIT_LITTLE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
_STANDARD_SYNTAXES = "1.2.840.10008.1.2"
_SOP_CLASS = 0x00080016
_SOP_INSTANCE = 0x00080018
_DIRECTORY_RECORDS = 0x00041220


@dataclass(frozen=True, slots=True)
class Instance:
    """One file's image: its header (all elements, private ones too), and its transfer syntax.

    `weight`: about how many bytes of memory its elements take. `changes`: what differs from the
    header that was read before with the same interner, where that is known.
    """

    elements: Item
    transfer_syntax_uid: str | None
    weight: int = 0
    changes: Changes | None = None


def read_instance(path: str | bytes, interner: Interner, descriptor: int | None = None) -> Instance:
    """Read the header of a DICOM file; pixel data is never read.

    `descriptor`: of the file, where it is open; its path is then not opened again, since by now it
    may be another file's. Raises NotDicomError (skip it: other content, or a DICOMDIR),
    UnreadableFileError (DICOM, but broken or without a SOPInstanceUID) and OSError.
    """
    if descriptor is None:
        descriptor = open_regular(path)
        try:
            return read_instance(path, interner, descriptor)
        finally:
            os.close(descriptor)
    interner.age()
    os.lseek(descriptor, 0, os.SEEK_SET)
    buffer = os.read(descriptor, _FIRST_READ)
    has_prefix = buffer[128:132] == b"DICM"
    if not has_prefix and not _may_lack_preamble(buffer):
        raise NotDicomError("not a DICOM file")
    size = os.fstat(descriptor).st_size
    instance = _fast(descriptor, buffer, size, interner) if has_prefix else None
    if instance is None:
        instance = _through_pydicom(descriptor, interner, has_prefix)
    _require_sop_instance(instance)
    return instance


def _may_lack_preamble(buffer: bytes) -> bool:
    """Whether the first element could be one of group 0002 or 0008, in any encoding."""
    if len(buffer) < 16:
        return False
    if buffer[:2] in (b"\x02\x00", b"\x08\x00"):
        return buffer[3] == 0
    return buffer[:2] == b"\x00\x08" and buffer[2] == 0


def _fast(descriptor: int, buffer: bytes, size: int, interner: Interner) -> Instance | None:
    """The instance by the fast walk, or None where pydicom has to read it."""
    syntax, start = file_meta(buffer)
    if syntax == DeflatedExplicitVRLittleEndian:
        refuse_deflate_bomb(descriptor, start)
    if syntax in _NOT_EXPLICIT_LITTLE or not syntax.startswith(_STANDARD_SYNTAXES):
        return None
    return _walk_file(descriptor, buffer, start, size, interner, syntax)


def _walk_file(
    descriptor: int, buffer: bytes, start: int, size: int, interner: Interner, syntax: str
) -> Instance | None:
    """Walk with a growing buffer; large values are read in pieces and never held."""
    before: Item = ()
    after: LargeValue | None = None
    offset = 0
    while True:
        try:
            at_end = offset + len(buffer) >= size
            elements = walk(buffer, start, interner, at_end=at_end, after=after)
            if before:
                return Instance(before + elements, syntax, weight=len(buffer))
            return Instance(elements, syntax, len(buffer), changes(interner, elements))
        except NotUnderstood:
            return None
        except LargeValue as large:
            value_start = offset + large.start
            element = _streamed(descriptor, large, value_start, size)
            before += (*large.data_set.elements, element)
            after, offset, start = large, value_start + large.length, 0
            buffer = os.pread(descriptor, _FIRST_READ, offset)
            continue
        except NeedMore:
            held = offset + len(buffer)
            if held >= size:
                return None
        more = os.pread(descriptor, min(len(buffer) * 7, size - held), held)
        if not more:
            return None
        buffer += more


def _streamed(descriptor: int, large: LargeValue, start: int, size: int) -> Element:
    creator = large.data_set.creator_of(large.tag)
    if start + large.length > size:
        raise UnreadableFileError(
            f"the file ends at byte {size}, inside {element_label(large.tag, creator)}, whose "
            f"value needs {large.length} bytes"
        )
    chunks = read_in_chunks(descriptor, start, large.length)
    return make_streamed_element(large.tag, creator, large.vr, chunks, True)


def file_meta(buffer: bytes) -> tuple[str, int]:
    """The transfer syntax of a file that begins so, and where its data set starts.

    The syntax is empty where it cannot be told.
    """
    position = 132
    syntax = ""
    while position + 12 <= len(buffer):
        group, number, vr, length = _META_ELEMENT(buffer, position)
        if group != 2:
            break
        position += 8
        if vr in _META_LONG:
            (length,) = _META_LENGTH(buffer, position)
            position += 4
        value = buffer[position : position + length]
        if number == 0x10:
            syntax = value.decode("ascii", "replace").rstrip("\0 ")
        elif number == 2 and value.startswith(MediaStorageDirectoryStorage.encode()):
            return "", position
        position += length
    return syntax, position


def refuse_deflate_bomb(descriptor: int, start: int) -> None:
    """Inflate into nothing: pydicom would inflate a few bytes into all the memory there is.

    Raises UnreadableFileError.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated, position, pending = 0, start, b""
    while inflated <= INFLATED_LIMIT and not inflater.eof:
        if not pending:
            pending = os.pread(descriptor, 1 << 20, position)
            position += len(pending)
            if not pending:
                return
        try:
            inflated += len(inflater.decompress(pending, 1 << 22))
        except zlib.error as error:
            raise UnreadableFileError(f"the deflated data set is corrupt: {error}") from None
        pending = inflater.unconsumed_tail
    if inflated > INFLATED_LIMIT:
        raise UnreadableFileError(f"the deflated data set exceeds {INFLATED_LIMIT >> 20} MiB")


def _through_pydicom(descriptor: int, interner: Interner, has_prefix: bool) -> Instance:
    with quiet_pydicom(), open(os.dup(descriptor), "rb") as file:
        return _read_quietly(file, interner, has_prefix)


def _read_quietly(file: BinaryIO, interner: Interner, has_prefix: bool) -> Instance:
    try:
        file.seek(0)
        data_set = read_with_pydicom(file, force=not has_prefix)
        _refuse_directory(data_set)
        elements = intern_data_set(data_set, interner)
    except UnreadableFileError:
        if has_prefix or _says_what_it_is(file):
            raise
        raise NotDicomError("not a DICOM file") from None
    if not has_prefix and _find(elements, _SOP_CLASS) is None:
        raise NotDicomError("not a DICOM file")
    size = os.fstat(file.fileno()).st_size
    _refuse_stray_bytes(data_set, size)
    return Instance(elements, _meta(data_set, "TransferSyntaxUID"), min(size, INFLATED_LIMIT))


def _says_what_it_is(file: BinaryIO) -> bool:
    """Whether a file without prefix begins as a DICOM image does, however it ends."""
    try:
        file.seek(0)
        data_set = pydicom.dcmread(file, specific_tags=[_SOP_CLASS], force=True)
        return data_set.get(_SOP_CLASS) is not None
    except Exception:
        return False


def _refuse_stray_bytes(data_set: pydicom.FileDataset, size: int) -> None:
    """pydicom stops silently at a file that ends inside the 8 bytes before a value."""
    if not data_set._dict or _meta(data_set, "TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return
    ends = [
        element.value_tell + element.length
        for element in data_set._dict.values()
        if isinstance(element, RawDataElement) and element.length != 0xFFFFFFFF
    ]
    last = data_set._dict[max(data_set._dict)]
    if ends and isinstance(last, RawDataElement) and 0 < size - max(ends) < 8:
        raise UnreadableFileError(f"the file ends at byte {size}, inside an element's header")


def _refuse_directory(data_set: pydicom.FileDataset) -> None:
    sop_class = _meta(data_set, "MediaStorageSOPClassUID")
    if sop_class == MediaStorageDirectoryStorage or _DIRECTORY_RECORDS in data_set._dict:
        raise NotDicomError("a DICOMDIR")


def _meta(data_set: pydicom.FileDataset, keyword: str) -> str | None:
    try:
        value = data_set.file_meta.get(keyword)
    except Exception:
        # pydicom decodes on access, and raises what it likes for what it cannot.
        return None
    return str(value) if value else None


def _require_sop_instance(instance: Instance) -> None:
    uid = _find(instance.elements, _SOP_INSTANCE)
    if uid is None or not uid.text:
        raise UnreadableFileError("no SOPInstanceUID (0008,0018): the image has no identity")


def _find(elements: Item, tag: int) -> Element | None:
    return next((element for element in elements if element.tag == tag), None)
