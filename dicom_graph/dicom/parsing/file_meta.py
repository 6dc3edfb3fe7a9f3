"""The file meta information, group 0002, before the data set of a file (PS3.10 7.1)."""

from struct import Struct
from typing import NamedTuple

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from dicom_graph.dicom.parsing.byte_source import FileBytes, skip

PREFIX_END = 132
GE_BIG_PIXELS = "1.2.840.113619.5.2"
"""GE's private transfer syntax: implicit VR little endian, with big endian pixel data."""
_HEAD = Struct("<HH2sH").unpack_from
_LONG_LENGTH = Struct("<L").unpack_from
_BIG_HEAD = Struct(">HH2sH").unpack_from
_BIG_LONG_LENGTH = Struct(">L").unpack_from
_LONG = frozenset({b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN", b"UC", b"UR"})
_GROUP = 2
_CLASS, _SYNTAX = 0x0002, 0x0010
_LONGEST_UID = 1024


class FileMeta(NamedTuple):
    """What a file says of its data set; the syntax is empty where it does not say.

    `start`: where the data set begins. `is_repeated`: whether more of the group follows what
    named the transfer syntax. `is_big`: whether the group is big endian, which it must not be.
    """

    syntax: str = ""
    start: int = 0
    is_directory: bool = False
    is_repeated: bool = False
    is_big: bool = False

    @property
    def encoding(self) -> tuple[bool, bool] | None:
        """Whether VRs are implicit, and bytes in little endian order; None without a syntax."""
        if not self.syntax:
            return None
        is_implicit = self.syntax in (ImplicitVRLittleEndian, GE_BIG_PIXELS)
        return is_implicit, self.syntax != ExplicitVRBigEndian

    @property
    def is_deflated(self) -> bool:
        return self.syntax == DeflatedExplicitVRLittleEndian


def file_meta(buffer: bytes) -> FileMeta:
    """What a file says that begins so, with a preamble; not all of it where that is longer.

    Elements of the group that lie beyond the length in (0002,0000) are no part of it: the first
    transfer syntax is the file's.
    """
    position, syntax, sop_class, n_syntaxes = PREFIX_END, "", "", 0
    while position + 12 <= len(buffer):
        group, number, vr, length = _HEAD(buffer, position)
        if group != _GROUP or not vr.isalpha():
            break
        position += 8
        if vr in _LONG:
            (length,) = _LONG_LENGTH(buffer, position)
            position += 4
        if number == _SYNTAX:
            syntax = syntax or _uid(buffer[position : position + length])
            n_syntaxes += 1
        elif number == _CLASS:
            sop_class = sop_class or _uid(buffer[position : position + length])
        position += length
    is_directory = sop_class == MediaStorageDirectoryStorage
    return FileMeta(syntax, position, is_directory, n_syntaxes > 1)


def read_file_meta(source: FileBytes) -> FileMeta:
    """The same of any file, whatever the length; the source is left where the data set begins.

    It is explicit little endian by the standard; some writers made it implicit, or big endian.
    """
    syntax, sop_class, n_syntaxes = "", "", 0
    is_implicit: bool | None = None
    is_big = source.peek(2) == b"\0\x02"
    unpack_head = _BIG_HEAD if is_big else _HEAD
    unpack_length = _BIG_LONG_LENGTH if is_big else _LONG_LENGTH
    while True:
        head = source.peek(12)
        if len(head) < 8:
            break
        group, number, vr, length = unpack_head(head)
        if group != _GROUP:
            break
        if is_implicit is None:
            is_implicit = not vr.isalpha()
        if not is_implicit and not vr.isalpha():
            # The data set itself holds what it must not.
            break
        n_bytes = 8
        if is_implicit:
            (length,) = unpack_length(head, 4)
        elif vr in _LONG and len(head) == 12:
            (length,) = unpack_length(head, 8)
            n_bytes = 12
        skip(source, n_bytes)
        value = source.peek(min(length, _LONGEST_UID))
        if number == _SYNTAX:
            syntax = syntax or _uid(value)
            n_syntaxes += 1
        elif number == _CLASS:
            sop_class = sop_class or _uid(value)
        skip(source, length)
    is_directory = sop_class == MediaStorageDirectoryStorage
    return FileMeta(syntax, source.position, is_directory, n_syntaxes > 1, is_big)


def _uid(value: bytes) -> str:
    return value.decode("ascii", "replace").rstrip("\0 ")
