"""Values too large for the database, from the file that holds them."""

from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO

from dicom_graph.dicom.elements.byte_order import swapped_chunks
from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.parsing.byte_source import skip
from dicom_graph.dicom.parsing.data_set_walk import Chunks, DataSetWalk
from dicom_graph.dicom.parsing.file_data_set import open_data_set
from dicom_graph.dicom.parsing.raw_data_set import RawDataSet, RawElement

_SHORTEST = 1024
"""Values of fewer bytes are always in the database."""


def read_bulk_value(file: BinaryIO, tag: int, digest: bytes) -> bytes:
    """The bytes of the element at `tag`, at any depth, whose SHA-256 is `digest`; of an open file.

    They are little endian, as in the database. Raises UnreadableFileError where the file no longer
    holds it, and OSError.
    """
    return b"".join(bulk_value(file, tag, digest))


def bulk_value(file: BinaryIO, tag: int, digest: bytes) -> Iterator[bytes]:
    """The same in pieces, none of which comes before the whole was found."""
    opened = open_data_set(file.fileno())
    search = _Search(tag, digest)
    try:
        walk = DataSetWalk(opened.source, longest=_SHORTEST, takes=search)
        walk.read(*opened.encoding)
    except _Found:
        pass
    if search.found is None:
        raise UnreadableFileError("the file has changed: it no longer holds this value")
    start, length, swapped_vr = search.found
    source = open_data_set(file.fileno()).source
    skip(source, start - source.position)
    chunks = source.chunks(length)
    yield from chunks if swapped_vr is None else swapped_chunks(swapped_vr, chunks)


class _Found(Exception):
    """The walk need not go on."""


class _Search:
    """`found`: where the value begins, its length, and its VR if its bytes are big endian."""

    def __init__(self, tag: int, digest: bytes) -> None:
        self.found: tuple[int, int, str | None] | None = None
        self._tag = tag
        self._digest = digest

    def __call__(self, data_set: RawDataSet, element: RawElement, chunks: Chunks) -> None:
        if element.tag != self._tag:
            return
        vr = None if element.is_little else data_set.vr_of(element)
        whole, length = sha256(), 0
        for chunk in chunks if vr is None else swapped_chunks(vr, chunks):
            whole.update(chunk)
            length += len(chunk)
        if whole.digest() == self._digest:
            self.found = element.start, length, vr
            raise _Found
