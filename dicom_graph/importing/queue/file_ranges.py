"""What a batch reads: whole folders, ranges of names of large ones, or files named one by one."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dicom_graph.importing.discover import Discovery
from dicom_graph.importing.listing import Folder


@dataclass(frozen=True, slots=True)
class FileRange:
    """The files of a folder whose names come after one and up to another; or one file.

    `base`: where the import began that found it.
    """

    base: str
    path: str
    after: str = ""
    until: str = ""
    is_folder: bool = True

    @classmethod
    def of_text(cls, text: str) -> "FileRange":
        """From what `text` gave."""
        kind, *fields = text.split(" ")
        base, path, after, until = map(unquoted, fields)
        return cls(base, path, after, until, kind == "folder")

    def text(self) -> str:
        """As text that any database holds, whatever bytes a path has."""
        kind = "folder" if self.is_folder else "file"
        return " ".join([kind, *map(quoted, (self.base, self.path, self.after, self.until))])


def quoted(path: str) -> str:
    """A path without blanks, and in ASCII."""
    return quote_from_bytes(os.fsencode(path))


def unquoted(text: str) -> str:
    """The path again."""
    return os.fsdecode(unquote_to_bytes(text))


class FileRangesWalk:
    """Finds the files of a batch's places, as the import's own discovery would."""

    def __init__(self, discovery: Discovery, places: Sequence[FileRange]) -> None:
        self._discovery = discovery
        self._places = places

    def folders(self) -> Iterator[Folder]:
        """The folders of the places, in their order."""
        for is_folder, group in groupby(self._places, lambda place: place.is_folder):
            if not is_folder:
                files = tuple(place.path for place in group)
                yield from replace(self._discovery, only=files).folders()
                continue
            for place in group:
                yield self._discovery.folder(
                    place.path, place.base, place.after, place.until or None
                )

    def count(self, stopped: Callable[[], bool]) -> Iterator[int]:
        """The plan has counted them."""
        return iter(())
