"""From a file to what the store writes, or to the reason why not."""

import os

from dicom_graph.dicom.elements.contents import MAX_RAW
from dicom_graph.importing.content import Content, ContentReader, NoImage, Unread
from dicom_graph.store.ingest import FileRecord, Mode, Outcome, ReadFile
from dicom_graph.store.jobs.jobs import Failure, Skip

Result = ReadFile | Outcome | Failure
"""What became of a file; an outcome where it was known."""


class FileReader:
    """Reads files in one mode, in this process. Not thread-safe: it interns what it reads."""

    def __init__(self, mode: Mode, max_inline_bytes: int = MAX_RAW) -> None:
        self._contents = ContentReader(mode, max_inline_bytes)

    def read(self, file: FileRecord, *, replaces: Mode | None = None) -> Result:
        """The file's content, or why it failed. Never raises for a bad file.

        `replaces`: how much is kept of the bytes that this path held before; of the new ones no
        less is.
        """
        content = self._contents.read(path_of(file), replaces or Mode.MINIMAL, file.roots)
        return result_of(file, replaces, content)

    def close(self) -> None:
        """Let go of the folder that was read last; it may read on."""
        self._contents.close()


def path_of(file: FileRecord) -> str:
    """The path of a file."""
    return os.path.join(file.directory, file.name)


def result_of(
    file: FileRecord, replaces: Mode | None, content: Content | NoImage | Unread
) -> Result:
    """What became of a file, by its content or by the reason why there is none."""
    if isinstance(content, NoImage):
        return Skip(path_of(file), content.reason)
    if isinstance(content, Unread):
        return Failure(path_of(file), content.reason, content.code)
    if (file.size, file.mtime_ns) != (content.size, content.mtime_ns):
        file = file._replace(size=content.size, mtime_ns=content.mtime_ns)
    return ReadFile(
        file=file,
        entities=content.entities,
        elements=content.elements,
        mode=content.mode,
        transfer_syntax_uid=content.transfer_syntax_uid,
        warnings=content.warnings,
        weight=content.weight,
        changed=replaces is not None,
        changes=content.changes,
        digest=content.digest,
        stamp=content.stamp,
        link=content.link,
        real_folder=content.real_folder,
    )
