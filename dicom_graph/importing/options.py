"""How imports read and write, whichever process runs them."""

from dataclasses import dataclass
from pathlib import Path

from dicom_graph.dicom.elements.contents import MAX_RAW
from dicom_graph.importing.timeouts import FILE_SECONDS
from dicom_graph.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """See the settings of the same names; `processes`: how many read files, by default one for each
    core. `storage_root`: where imports that keep their files put them. `file_seconds`: how long a
    file, or a folder's names, may give no answer; then it is a failure.
    """

    batch_size: int = 1000
    max_inline_bytes: int = MAX_RAW
    processes: int | None = None
    storage_root: Path | None = None
    file_seconds: float = FILE_SECONDS

    @classmethod
    def of(cls, settings: Settings) -> "ImportOptions":
        """What the settings say."""
        return cls(
            batch_size=settings.batch_size,
            max_inline_bytes=settings.max_inline_bytes,
            processes=settings.import_processes,
            storage_root=settings.storage_root,
            file_seconds=settings.file_seconds,
        )


DEFAULTS = ImportOptions()
