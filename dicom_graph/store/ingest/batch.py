"""What goes into a batch, and what comes out of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from dicom_graph.dicom.elements.contents import Changes, Element, Item
from dicom_graph.dicom.entities import Entities
from dicom_graph.dicom.mode import Mode

__all__ = ["FileRecord", "Mode", "Outcome", "ReadFile", "distinct_elements"]


class Outcome(IntEnum):
    """What became of a file. COPY: its image was there, at other paths. CONFIRMED: it was read
    again, and its image is as it says.
    """

    CREATED = 0
    UPDATED = 1
    EXISTING = 2
    COPY = 3
    CONFIRMED = 4


DECIDING = (Outcome.CREATED, Outcome.UPDATED, Outcome.CONFIRMED)
"""Of a file that made its image what it is."""


class FileRecord(NamedTuple):
    """A file as it lies on disk: folder, name, size in bytes, modification time in ns.

    `roots`: folders, without links, inside which it must lie when it is opened; None: anywhere.
    """

    directory: str
    name: str
    size: int
    mtime_ns: int
    roots: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file and what its header says. `elements` are those that `mode` keeps.

    `weight` is about how many bytes of memory it takes. `changed` says that this path held other
    bytes when it was last read. `source` is where it was read from, if it has been stored elsewhere
    since: that file is no longer the image's. `changes`: what differs from another file's elements,
    where that is known. `digest` is that of the whole header, whatever is kept of it; `stamp`,
    `link` and `real_folder` tell later whether it is the same file, and where it lay (see `File`).
    """

    file: FileRecord
    entities: Entities
    elements: Item
    mode: Mode
    transfer_syntax_uid: str | None
    warnings: tuple[str, ...] = ()
    weight: int = 0
    changed: bool = False
    source: FileRecord | None = None
    changes: Changes | None = None
    digest: bytes | None = None
    stamp: bytes | None = None
    link: str | None = None
    real_folder: str | None = None


def distinct_elements(files: Iterable[ReadFile]) -> set[Element]:
    """The elements of some files: few objects, each of which many files hold."""
    found: set[Element] = set()
    last: Item | None = None
    for file in files:
        follows = file.changes is not None and file.changes.since is last
        found.update(file.changes.came if file.changes and follows else file.elements)
        last = file.elements
    return found
