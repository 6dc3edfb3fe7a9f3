"""Reading the headers of files again, to tell whether they are what was imported."""

from collections.abc import Sequence
from typing import NamedTuple

from dicom_graph.dicom.elements.contents import Item, header_digest
from dicom_graph.dicom.entities import Entities, EntityReader
from dicom_graph.dicom.errors import FileGoneError
from dicom_graph.dicom.files.stored_file import (
    FileState,
    FileVersion,
    open_stored_file,
    reread_header,
)


class HeaderOnDisk(NamedTuple):
    """The digest of a file's header, and the moment at which it was read.

    `content`: all of it, where there is no digest to compare it with.
    """

    moment: FileVersion
    digest: bytes
    content: tuple[Entities, Item] | None


def read_headers(files: Sequence[FileState]) -> list[HeaderOnDisk | None]:
    """The headers of files; None of one that is gone, or is not of that size and time."""
    return [_header(file) for file in files]


def _header(file: FileState) -> HeaderOnDisk | None:
    try:
        opened, _ = open_stored_file(file)
        with opened:
            elements = reread_header(opened).elements
    except FileGoneError:
        return None
    content = (EntityReader().read(elements), elements) if file.digest is None else None
    return HeaderOnDisk(opened.moment, header_digest(elements), content)
