"""The table of what was done. Its migration adds triggers that keep it from being changed."""

import datetime as dt

from sqlalchemy import Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Id, Json, utc_now
from dicom_graph.store.tables.base import Base


class AuditEntry(Base):
    """One operation, download, login or the like. Rows are added, and never changed or deleted:
    triggers refuse that, but for rows before the `pruned_before` of a row that is there.

    `action` and `outcome`: see `store.audit`. `address`: the client's, or the machine of a
    command line. `seconds`: how long it took. `patients` (PatientIDs), `studies`
    (StudyInstanceUIDs) and `import_jobs` (ids): the first of those that were given; `n_…`: how
    many patients, studies, series and images there were. `detail`: codes of errors, or what a
    command changed.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_created", "created"),
        Index("ix_audit_principal", "principal", "id"),
        Index(
            "ix_audit_pruned_before",
            "pruned_before",
            sqlite_where=text("pruned_before IS NOT NULL"),
            postgresql_where=text("pruned_before IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    action: Mapped[str]
    outcome: Mapped[str]
    principal: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(Id)
    token_id: Mapped[int | None] = mapped_column(Id)
    address: Mapped[str]
    method: Mapped[str]
    route: Mapped[str | None]
    status: Mapped[int | None] = mapped_column(Integer)
    request_id: Mapped[str | None]
    operation_name: Mapped[str | None]
    root_fields: Mapped[list[str] | None]
    document_digest: Mapped[str | None]
    seconds: Mapped[float | None]
    patients: Mapped[list[str] | None]
    studies: Mapped[list[str] | None]
    import_jobs: Mapped[list[int] | None] = mapped_column(Json)
    n_patients: Mapped[int] = mapped_column(Integer)
    n_studies: Mapped[int] = mapped_column(Integer)
    n_series: Mapped[int] = mapped_column(Integer)
    n_images: Mapped[int] = mapped_column(Integer)
    detail: Mapped[str | None]
    pruned_before: Mapped[dt.datetime | None]
