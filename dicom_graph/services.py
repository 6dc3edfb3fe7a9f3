"""What requests have at hand, whether they come over GraphQL or ask for a download."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dicom_graph.access.audit import AuditLog
from dicom_graph.access.principal import Principal
from dicom_graph.errors import BadInput
from dicom_graph.imaging.deidentified import DeidentifiedImaging
from dicom_graph.imaging.service import Imaging
from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.storage import required_root
from dicom_graph.importing.uploads import Upload
from dicom_graph.research_subjects import Resolver
from dicom_graph.store.answer_budget import AnswerBudget, MemoryBudget
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest, Storage
from dicom_graph.store.read import Condition, Store
from dicom_graph.store.read.deidentified import DeidentifiedStore

DEFAULT_MEMORY = 256 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest figures of an operation, and how many seconds it may take.

    `documents`: the only ones that are executed; None for any. `introspection`: whether the
    schema may be asked for. `counts`: whether `nImages` and the like and `totalCount` may.
    """

    depth: int = 25
    aliases: int = 100
    tokens: int = 5000
    directives: int = 5
    selections: int = 200
    document_bytes: int = 131_072
    conditions: int = 250
    values: int = 20_000
    cost: int = 1_000_000
    seconds: float = 30
    answer_bytes: int = 64 << 20
    introspection: bool = True
    counts: bool = True
    documents: frozenset[str] | None = None


class ParseFilter(Protocol):
    """Reads a filter by the grammar of the schema, and the words of a search."""

    def __call__(
        self, entity: str, text: str | None, limits: Limits, search: str | None = None
    ) -> Condition | None:
        """The condition of both; None where nothing is asked. Raises BadInput."""


def _no_filters(
    entity: str, text: str | None, limits: Limits, search: str | None = None
) -> Condition | None:
    raise BadInput("there are no filters here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What lasts as long as the server, for all its requests.

    `import_mode`, `import_storage`: of imports that do not say theirs. `parse_filter`: the
    condition of a filter of an entity, as JSON text.
    """

    store: Store
    runner: JobRunner
    import_roots: tuple[Path, ...] = ()
    max_page_size: int = 10_000
    storage_root: Path | None = None
    max_upload_bytes: int = 2 << 30
    limits: Limits = field(default_factory=Limits)
    subjects: Resolver | None = None
    imaging: Imaging = field(default_factory=Imaging)
    audit: AuditLog | None = None
    memory: MemoryBudget = field(default_factory=lambda: MemoryBudget(DEFAULT_MEMORY))
    import_mode: Mode = Mode.NORMAL
    import_storage: Storage = Storage.IN_PLACE
    parse_filter: ParseFilter = _no_filters

    def new_budget(self) -> AnswerBudget:
        """For an operation that begins: what it may take."""
        return AnswerBudget(
            seconds=self.limits.seconds, max_bytes=self.limits.answer_bytes, memory=self.memory
        )

    def store_for(self, principal: Principal) -> Store:
        """What of the database a principal sees."""
        groups = principal.groups
        store = DeidentifiedStore.of(self.store) if principal.deidentified else self.store
        return store if groups is None else store.limited_to(groups)

    def imaging_for(self, principal: Principal) -> Imaging:
        """What decodes for a principal."""
        return DeidentifiedImaging(self.imaging) if principal.deidentified else self.imaging

    def begin_upload(self) -> Upload:
        """A new upload. Raises StorageError without a storage root, UploadError."""
        return Upload(required_root(self.storage_root), self.max_upload_bytes)

    def submit_upload(self, upload: Upload, mode: Mode) -> int:
        """Import an upload that is complete; returns the job's id. Raises UploadError."""
        upload.finish()
        return self.runner.submit(JobRequest((upload.path,), mode, storage=Storage.MOVE))
