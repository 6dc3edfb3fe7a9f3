"""From a path to an image's header. A DICOM file is known by its content, never by its name."""

import os
from dataclasses import dataclass, replace

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_graph.dicom.dictionary import element_label
from dicom_graph.dicom.elements.contents import Changes, Element, Item, make_streamed_element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import (
    NoIdentityError,
    NotDicomError,
    TruncatedFileError,
    UnreadableFileError,
)
from dicom_graph.dicom.files.gzipped import inflated, inflated_beginning, is_gzipped
from dicom_graph.dicom.files.other_files import DIRECTORY, what_it_is
from dicom_graph.dicom.files.regular_file import open_regular
from dicom_graph.dicom.parsing.byte_source import FileBytes, InflatedBytes
from dicom_graph.dicom.parsing.explicit import LargeValue, NeedMore, NeedsPydicom
from dicom_graph.dicom.parsing.file_data_set import open_data_set
from dicom_graph.dicom.parsing.file_meta import file_meta
from dicom_graph.dicom.parsing.incremental_walk import changes, walk
from dicom_graph.dicom.parsing.raw_interning import intern, walk_for

_FIRST_READ = 65_536
BEGINNING = 4096
"""So many bytes tell whether a file looks like DICOM, also in a gzip file."""
_LONGEST_BUFFER = 16 << 20
"""Headers that are longer, long bytes aside, are read as they come."""
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
    header that was read before with the same interner, where that is known. `warnings`: what is odd
    about the file itself.
    """

    elements: Item
    transfer_syntax_uid: str | None
    weight: int = 0
    changes: Changes | None = None
    warnings: tuple[str, ...] = ()


def read_instance(path: str | bytes, interner: Interner, descriptor: int | None = None) -> Instance:
    """Read the header of a DICOM file; pixel data is never read.

    `descriptor`: of the file, where it is open; its path is then not opened again, since by now it
    may be another file's. Raises NotDicomError (skip it: other content, or a DICOMDIR),
    UnreadableFileError (DICOM, but broken or without a SOPInstanceUID) and OSError.
    """
    if descriptor is not None:
        return _read_open(descriptor, interner)
    descriptor = open_regular(path)
    try:
        return _read_open(descriptor, interner)
    finally:
        os.close(descriptor)


def _read_open(descriptor: int, interner: Interner) -> Instance:
    interner.age()
    size = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    # What a file of no size gives, as those of /proc do, may have no end, or wait for one.
    buffer = os.read(descriptor, _FIRST_READ) if size else b""
    if is_gzipped(buffer):
        return _read_gzipped(descriptor, buffer, interner)
    has_prefix = buffer[128:132] == b"DICM"
    if not has_prefix and not _may_lack_preamble(buffer):
        raise NotDicomError(what_it_is(buffer))
    instance = _fast(descriptor, buffer, size, interner) if has_prefix else None
    if instance is None:
        instance = _as_it_comes(descriptor, interner, has_prefix)
    _require_sop_instance(instance)
    elements, changed = interner.zones.of_header(instance.elements, instance.changes)
    if elements is instance.elements:
        return instance
    return replace(instance, elements=elements, changes=changed)


def _read_gzipped(descriptor: int, buffer: bytes, interner: Interner) -> Instance:
    beginning = inflated_beginning(buffer)
    if is_gzipped(beginning) or not begins_as_dicom(beginning):
        raise NotDicomError(f"a gzip file, in which is {what_it_is(beginning)}")
    with open(descriptor, "rb", closefd=False) as file, inflated(file) as content:
        return _read_open(content.fileno(), interner)


def begins_as_dicom(buffer: bytes) -> bool:
    """Whether a file that begins so may be DICOM: with the prefix (PS3.10 7.1), without, or in a
    gzip file.
    """
    if is_gzipped(buffer):
        buffer = inflated_beginning(buffer)
    return buffer[128:132] == b"DICM" or _may_lack_preamble(buffer)


def _may_lack_preamble(buffer: bytes) -> bool:
    """Whether the first element could be one of group 0002 or 0008, in any encoding."""
    if len(buffer) < 16:
        return False
    if buffer[:2] in (b"\x02\x00", b"\x08\x00"):
        return buffer[3] == 0
    return buffer[:2] in (b"\x00\x02", b"\x00\x08") and buffer[2] == 0


def _fast(descriptor: int, buffer: bytes, size: int, interner: Interner) -> Instance | None:
    """The instance by the fast walk, or None where it does not understand the file."""
    meta = file_meta(buffer)
    syntax = meta.syntax
    if syntax in _NOT_EXPLICIT_LITTLE or not syntax.startswith(_STANDARD_SYNTAXES):
        return None
    if meta.is_repeated or meta.is_directory:
        return None
    return _walk_file(descriptor, buffer, meta.start, size, interner, syntax)


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
        except NeedsPydicom:
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
            if held >= size or len(buffer) >= _LONGEST_BUFFER:
                return None
        more_size = min(len(buffer) * 7, _LONGEST_BUFFER - len(buffer), size - held)
        more = os.pread(descriptor, more_size, held)
        if not more:
            return None
        buffer += more


def _streamed(descriptor: int, large: LargeValue, start: int, size: int) -> Element:
    creator = large.data_set.creator_of(large.tag)
    if start + large.length > size:
        raise TruncatedFileError(
            f"the file ends at byte {size}, inside {element_label(large.tag, creator)}, whose "
            f"value needs {large.length} bytes"
        )
    chunks = FileBytes(descriptor, start).chunks(large.length)
    return make_streamed_element(large.tag, creator, large.vr, chunks, [], True)


def _as_it_comes(descriptor: int, interner: Interner, has_prefix: bool) -> Instance:
    """The instance by the walk that takes any data set."""
    opened = open_data_set(descriptor)
    if opened.meta.is_directory:
        raise NotDicomError(DIRECTORY)
    data_set_walk = walk_for(opened.source, interner)
    try:
        data_set = data_set_walk.read(*opened.encoding)
    except UnreadableFileError:
        if has_prefix or _SOP_CLASS in data_set_walk.top.elements:
            raise
        raise NotDicomError("not a DICOM file") from None
    if _DIRECTORY_RECORDS in data_set.elements:
        raise NotDicomError(DIRECTORY)
    if not has_prefix and _SOP_CLASS not in data_set.elements:
        raise NotDicomError("not a DICOM file")
    elements = intern(data_set, interner)
    syntax = opened.meta.syntax or None
    notes = tuple(data_set_walk.notes)
    if opened.meta.is_repeated:
        notes = ("the file names a transfer syntax twice: the first is taken", *notes)
    if opened.meta.is_big:
        notes = ("the file meta information is big endian: read so", *notes)
    if isinstance(opened.source, InflatedBytes) and opened.source.has_zlib_header:
        notes = ("the deflated data set has a header of zlib (RFC 1950): passed over", *notes)
    return Instance(elements, syntax, data_set_walk.held, warnings=notes)


def _require_sop_instance(instance: Instance) -> None:
    uid = _find(instance.elements, _SOP_INSTANCE)
    if uid is None or not uid.text:
        raise NoIdentityError("no SOPInstanceUID (0008,0018): the image has no identity")


def _find(elements: Item, tag: int) -> Element | None:
    return next((element for element in elements if element.tag == tag), None)
