"""What a file holds, as far as a mode keeps it. This knows nothing of the store."""

import logging
import os
from dataclasses import dataclass

from dicom_graph.dicom.elements import Item, element_warnings, standard_elements
from dicom_graph.dicom.entities import Entities, EntityReader
from dicom_graph.dicom.errors import NotDicomError, UnreadableFileError
from dicom_graph.dicom.interning import Interner
from dicom_graph.dicom.mode import Mode
from dicom_graph.dicom.reading import read_instance

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Content:
    """An image's header as `mode` keeps it. `weight`: about how many bytes of memory it takes.

    `size` in bytes and `mtime_ns` are those of the file as it was read.
    """

    size: int
    mtime_ns: int
    entities: Entities
    elements: Item
    mode: Mode
    transfer_syntax_uid: str | None
    warnings: tuple[str, ...]
    weight: int


class ContentReader:
    """Reads files in one mode. Not thread-safe: it interns what it reads."""

    def __init__(self, mode: Mode, max_inline_bytes: int) -> None:
        self._mode = mode
        self._interner = Interner(max_raw=max_inline_bytes)
        self._entities = EntityReader()

    def read(self, path: str, at_least: Mode = Mode.MINIMAL) -> Content | str | None:
        """The file's content, or why it failed; None for what is not a DICOM image. Never raises
        for a bad file. No less is kept than `at_least` says.
        """
        try:
            return self._read(path, max(self._mode, at_least))
        except NotDicomError:
            return None
        except UnreadableFileError as error:
            return str(error)
        except OSError as error:
            return error.strerror or type(error).__name__
        except Exception as error:
            log.debug("unexpected error in %s", path, exc_info=True)
            return f"unexpected {type(error).__name__} while reading it"

    def _read(self, path: str, mode: Mode) -> Content:
        before = os.stat(path)
        instance = read_instance(path, self._interner)
        after = os.stat(path)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise UnreadableFileError("it changed while it was read: import it again")
        elements = instance.elements
        if mode is Mode.NORMAL:
            elements = standard_elements(elements)
        elif mode is Mode.MINIMAL:
            elements = ()
        return Content(
            size=before.st_size,
            mtime_ns=before.st_mtime_ns,
            entities=self._entities.read(instance.elements),
            elements=elements,
            mode=mode,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            warnings=tuple(element_warnings(elements)),
            weight=instance.weight,
        )
