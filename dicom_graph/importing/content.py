"""What a file holds, as far as a mode keeps it. This knows nothing of the store."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.elements.contents import (
    Changes,
    Item,
    element_warnings,
    header_digest,
    replaced,
    standard_elements,
)
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.entities import Entities, EntityReader, odd_elements
from dicom_graph.dicom.errors import (
    ChangedFileError,
    FailureCode,
    NotDicomError,
    UnreadableFileError,
)
from dicom_graph.dicom.files.failure_codes import code_of
from dicom_graph.dicom.files.reading import Instance, read_instance
from dicom_graph.dicom.files.regular_file import FolderFiles, Opened, Roots
from dicom_graph.dicom.files.stored_file import FileVersion
from dicom_graph.dicom.mode import Mode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Content:
    """An image's header as `mode` keeps it. `weight`: about how many bytes of memory it takes.

    `size` in bytes and `mtime_ns` are those of the file as it was read. `changes`: what differs
    from the content that the same reader gave before, where that is known. `digest` is the whole
    header's, whatever the mode. `stamp`: see `FileVersion.stamp`. `link`: where the file lies, if
    its name is a symbolic link; `real_folder`: else its folder without links, where that is another
    path.
    """

    size: int
    mtime_ns: int
    entities: Entities
    elements: Item
    mode: Mode
    transfer_syntax_uid: str | None
    warnings: tuple[str, ...]
    weight: int
    changes: Changes | None = None
    digest: bytes | None = None
    stamp: bytes | None = None
    link: str | None = None
    real_folder: str | None = None


class NoImage(NamedTuple):
    """What a file is that is no DICOM image."""

    reason: str


class Unread(NamedTuple):
    """Why a file that may be an image gave no content."""

    reason: str
    code: FailureCode


class ContentReader:
    """Reads files in one mode. Not thread-safe: it interns what it reads."""

    def __init__(self, mode: Mode, max_inline_bytes: int) -> None:
        self._mode = mode
        self._interner = Interner(max_raw=max_inline_bytes)
        self._last: _Kept | None = None
        self._entities = EntityReader()
        self._files = FolderFiles()

    def read(
        self, path: str, at_least: Mode = Mode.MINIMAL, roots: Roots | None = None
    ) -> "Content | Unread | NoImage":
        """The file's content, or why it failed or is skipped. Never raises for a bad file.

        No less is kept than `at_least` says; what lies outside the roots is not read, as in
        `open_regular`.
        """
        try:
            opened = self._files.open(*os.path.split(path), roots)
            try:
                return self._read(path, max(self._mode, at_least), opened)
            finally:
                os.close(opened.descriptor)
        except NotDicomError as error:
            return NoImage(str(error))
        except UnreadableFileError as error:
            return Unread(str(error), error.code)
        except OSError as error:
            return Unread(error.strerror or type(error).__name__, code_of(error))
        except Exception as error:
            log.debug("unexpected error in %s", path, exc_info=True)
            return Unread(
                f"unexpected {type(error).__name__} while reading it", FailureCode.CORRUPT
            )

    def close(self) -> None:
        """Let go of the folder that was read last; it may read on."""
        self._files.close()

    def _read(self, path: str, mode: Mode, opened: Opened) -> Content:
        before = FileVersion.of(opened.descriptor)
        stamp = before.stamp
        instance = read_instance(path, self._interner, opened.descriptor)
        after = FileVersion.of(opened.descriptor)
        if (before.size, before.modified_ns) != (after.size, after.modified_ns):
            raise ChangedFileError("it changed while it was read: import it again")
        kept = self._kept(instance, mode)
        entities, odd = self._entities_of(instance, mode)
        is_elsewhere = opened.place != path and not opened.is_link
        return Content(
            size=before.size,
            mtime_ns=before.modified_ns,
            entities=entities,
            elements=kept.elements,
            mode=mode,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            warnings=(*instance.warnings, *kept.warnings, *odd),
            weight=instance.weight,
            changes=kept.changes,
            digest=header_digest(instance.elements),
            stamp=stamp if after == before else None,
            link=opened.place if opened.is_link else None,
            real_folder=os.path.dirname(opened.place) if is_elsewhere else None,
        )

    def _entities_of(self, instance: Instance, mode: Mode) -> tuple[Entities, Sequence[str]]:
        """What the header belongs to, and warnings of fields that are left out.

        Where no element is kept, nothing could tell later that a field is not as its VR says.
        """
        odd = odd_elements(instance.elements) if mode is Mode.MINIMAL else ()
        if not odd:
            return self._entities.read(instance.elements, instance.changes), ()
        tags = {element.tag for element in odd}
        fit = tuple(element for element in instance.elements if element.tag not in tags)
        warnings = [
            f"{format_tag(each.tag)} of the VR {each.definition.vr} is no such value as it should "
            "be: without the header its field stays empty"
            for each in odd
        ]
        return self._entities.read(fit), warnings

    def _kept(self, instance: Instance, mode: Mode) -> "_Kept":
        last = self._last
        kept = None
        changes = instance.changes
        if last is not None and changes and changes.since is last.header and mode is last.mode:
            kept = last.changed(instance.elements, changes)
        self._last = kept or _Kept.of(instance.elements, mode)
        return self._last


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a mode keeps of a header."""

    header: Item
    mode: Mode
    elements: Item
    warnings: tuple[str, ...]
    changes: Changes | None = None

    @classmethod
    def of(cls, header: Item, mode: Mode) -> "_Kept":
        elements = header
        if mode is Mode.NORMAL:
            elements = standard_elements(header)
        elif mode is Mode.MINIMAL:
            elements = ()
        return cls(header, mode, elements, tuple(element_warnings(elements)))

    def changed(self, header: Item, changes: Changes) -> "_Kept | None":
        """The same of a header with changes since this one; None where that is no less work."""
        if self.warnings or any(element.has_warnings for element in changes.came):
            return None
        if self.mode is Mode.FULL:
            return _Kept(header, self.mode, header, (), changes)
        if self.mode is Mode.MINIMAL:
            return _Kept(header, self.mode, (), ())
        came, went = standard_elements(changes.came), standard_elements(changes.went)
        elements = replaced(self.elements, came, went)
        if elements is None:
            return None
        return _Kept(header, self.mode, elements, (), Changes(self.elements, came, went))
