"""The tables of imports: jobs, the files that they could not take, parts of queued jobs."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Id, Int64, utc_now
from dicom_graph.store.tables.base import Base, partial_index


class ImportJob(Base):
    """An import and its report, from its start to its end. `owner`: the process that runs it.

    `verify`: known files are read again. `sync`: images whose files are gone are marked, or with
    `prune` deleted. `retry_of`: the job whose failures this one reads again. `exclude`:
    the entity, its id, and those of its columns that a refresh leaves as they are.
    """

    __tablename__ = "import_job"
    __table_args__ = (
        partial_index("ix_import_job_retry", "retry_of", where="retry_of IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    status: Mapped[str]
    origin: Mapped[str]
    owner: Mapped[str | None]
    paths: Mapped[list[str]]
    mode: Mapped[str]
    pattern: Mapped[str | None]
    stop_on_error: Mapped[bool]
    verify: Mapped[bool] = mapped_column(default=False, server_default=false())
    sync: Mapped[bool] = mapped_column(default=False, server_default=false())
    prune: Mapped[bool] = mapped_column(default=False, server_default=false())
    storage: Mapped[str] = mapped_column(default="IN_PLACE", server_default="IN_PLACE")
    exclude: Mapped[dict[str, Any] | None]
    retry_of: Mapped[int | None] = mapped_column(Id)
    cancel_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    found: Mapped[int] = mapped_column(Int64, default=0)
    images_created: Mapped[int] = mapped_column(Int64, default=0)
    images_updated: Mapped[int] = mapped_column(Int64, default=0)
    images_existing: Mapped[int] = mapped_column(Int64, default=0)
    skipped: Mapped[int] = mapped_column(Int64, default=0)
    failed: Mapped[int] = mapped_column(Int64, default=0)
    missing: Mapped[int] = mapped_column(Int64, default=0, server_default=text("0"))
    moved: Mapped[int] = mapped_column(Int64, default=0, server_default=text("0"))
    error: Mapped[str | None]
    started_at: Mapped[dt.datetime | None]
    resumed_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    heartbeat_at: Mapped[dt.datetime | None]


class ImportFailure(Base):
    """A file that an import could not take, and why; or skipped, and what it is.

    `code`: a `FailureCode`. `batch`: the part of a queued import.
    """

    __tablename__ = "import_failure"
    __table_args__ = (
        Index("ix_import_failure_job", "job_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id"))
    path: Mapped[str]
    message: Mapped[str]
    code: Mapped[str] = mapped_column(default="OTHER", server_default="OTHER")
    batch: Mapped[int | None] = mapped_column(Id)
    is_skipped: Mapped[bool] = mapped_column(default=False, server_default=false())


class ImportBatch(Base):
    """A part of a queued import, until that has ended.

    `places`: what it reads, and `cursor`: how far it has planned, see `importing.queue`.
    `attempt`: how often it was begun; `lost`: how often it then came to no end. `counts`: its share
    of the job's.
    """

    __tablename__ = "import_batch"

    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    status: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    places: Mapped[list[str] | None]
    cursor: Mapped[list[str] | None]
    counts: Mapped[dict[str, Any]]
    error: Mapped[str | None]


class QueueMigration(Base):
    """A migration of the job queue's own tables that this database has had."""

    __tablename__ = "queue_migration"

    name: Mapped[str] = mapped_column(primary_key=True)
