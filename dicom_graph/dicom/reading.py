"""From a path to an image's header. A DICOM file is known by its content, never by its name."""

import os
import zlib
from dataclasses import dataclass
from struct import Struct

import pydicom
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from dicom_graph.dicom.elements import Element, Item
from dicom_graph.dicom.errors import NotDicomError, UnreadableFileError
from dicom_graph.dicom.explicit import NeedMore, NotUnderstood, walk
from dicom_graph.dicom.interning import Interner
from dicom_graph.dicom.through_pydicom import intern_data_set, quiet_pydicom, read_with_pydicom

_FIRST_READ = 65_536
_MAX_INFLATED = 128 << 20
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
    """One file's image: its header (all elements, private ones too), and its transfer syntax."""

    elements: Item
    transfer_syntax_uid: str | None
    warnings: tuple[str, ...] = ()


def read_instance(path: str | bytes, interner: Interner) -> Instance:
    """Read the header of a DICOM file; pixel data is never read.

    Raises NotDicomError (skip it: other content, or a DICOMDIR), UnreadableFileError (DICOM, but
    broken or without a SOPInstanceUID) and OSError.
    """
    interner.age()
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        buffer = file.read(_FIRST_READ)
        has_prefix = buffer[128:132] == b"DICM"
        if not has_prefix and not _may_lack_preamble(buffer):
            raise NotDicomError("not a DICOM file")
        instance = _fast(file.fileno(), buffer, size, interner) if has_prefix else None
    if instance is None:
        instance = _through_pydicom(os.fsdecode(path), interner, has_prefix)
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
    syntax, start = _file_meta(buffer)
    if syntax == DeflatedExplicitVRLittleEndian:
        _refuse_deflate_bomb(descriptor, start)
    if syntax in _NOT_EXPLICIT_LITTLE or not syntax.startswith(_STANDARD_SYNTAXES):
        return None
    while True:
        try:
            return Instance(walk(buffer, start, interner, at_end=len(buffer) >= size), syntax)
        except NotUnderstood:
            return None
        except NeedMore:
            if len(buffer) >= size:
                return None
        more = os.pread(descriptor, min(len(buffer) * 7, size - len(buffer)), len(buffer))
        if not more:
            return None
        buffer += more


def _file_meta(buffer: bytes) -> tuple[str, int]:
    """The transfer syntax (empty where it cannot be told) and where the data set starts."""
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


def _refuse_deflate_bomb(descriptor: int, start: int) -> None:
    """Inflate into nothing: pydicom would inflate a few bytes into all the memory there is."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated, position, pending = 0, start, b""
    while inflated <= _MAX_INFLATED and not inflater.eof:
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
    if inflated > _MAX_INFLATED:
        raise UnreadableFileError(f"the deflated data set exceeds {_MAX_INFLATED >> 20} MiB")


def _through_pydicom(path: str, interner: Interner, has_prefix: bool) -> Instance:
    with quiet_pydicom():
        return _read_quietly(path, interner, has_prefix)


def _read_quietly(path: str, interner: Interner, has_prefix: bool) -> Instance:
    try:
        data_set = read_with_pydicom(path, force=not has_prefix)
        _refuse_directory(data_set)
        elements = intern_data_set(data_set, interner)
    except UnreadableFileError:
        if has_prefix:
            raise
        raise NotDicomError("not a DICOM file") from None
    if not has_prefix and _find(elements, _SOP_CLASS) is None:
        raise NotDicomError("not a DICOM file")
    return Instance(elements, _meta(data_set, "TransferSyntaxUID"))


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
