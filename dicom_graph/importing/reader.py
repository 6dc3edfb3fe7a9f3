"""From a file to what the store writes, or to the reason why not."""

import logging
import os

from dicom_graph.dicom.elements import MAX_RAW, element_warnings, standard_elements
from dicom_graph.dicom.entities import EntityReader
from dicom_graph.dicom.errors import NotDicomError, UnreadableFileError
from dicom_graph.dicom.interning import Interner
from dicom_graph.dicom.reading import read_instance
from dicom_graph.store.ingest import FileRecord, Mode, ReadFile
from dicom_graph.store.jobs import Failure

log = logging.getLogger(__name__)


class FileReader:
    """Reads files in one mode. Not thread-safe: it interns what it reads."""

    def __init__(self, mode: Mode, max_inline_bytes: int = MAX_RAW) -> None:
        self._mode = mode
        self._interner = Interner(max_raw=max_inline_bytes)
        self._entities = EntityReader()

    def read(self, file: FileRecord, *, replaces: Mode | None = None) -> ReadFile | Failure | None:
        """The file's content, or why it failed; None for what is not a DICOM image. Never raises
        for a bad file. `replaces`: how much is kept of the bytes that this path held before; of
        the new ones no less is.
        """
        path = os.path.join(file.directory, file.name)
        try:
            return self._read(path, file, replaces)
        except NotDicomError:
            return None
        except UnreadableFileError as error:
            return Failure(path, str(error))
        except OSError as error:
            return Failure(path, error.strerror or type(error).__name__)
        except Exception as error:
            log.debug("unexpected error in %s", path, exc_info=True)
            return Failure(path, f"unexpected {type(error).__name__} while reading it")

    def _read(self, path: str, file: FileRecord, replaces: Mode | None) -> ReadFile:
        mode = max(self._mode, replaces or Mode.MINIMAL)
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
        return ReadFile(
            file=file._replace(size=before.st_size, mtime_ns=before.st_mtime_ns),
            entities=self._entities.read(instance.elements),
            elements=elements,
            mode=mode,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            warnings=tuple(element_warnings(elements)),
            weight=instance.weight,
            changed=replaces is not None,
        )
