"""AuditEntry: a line of the audit log."""

import datetime as dt
from typing import Any

import strawberry

from dicom_graph.graph.enums.audit import AuditAction, AuditOutcome
from dicom_graph.graph.node import Node, global_id

_field = strawberry.field


@strawberry.type(
    description="A line of the audit log: who did what, when, and what the answer was made of. "
    "It is never changed."
)
class AuditEntry(Node):
    created_at: dt.datetime = _field(description="When it ended, UTC.")
    action: AuditAction = _field(description="What was done.")
    outcome: AuditOutcome = _field(description="How it ended.")
    principal: str = _field(
        description="The name of whoever did it; `nobody` before a name is known, `everyone` on a "
        "server that asks for none."
    )
    user_id: int | None = _field(description="The user's number.")
    token_id: int | None = _field(description="The number of the token that was used.")
    address: str = _field(description="The client's address, or the machine of a command.")
    method: str = _field(description="The method of the request; WS for a WebSocket, CLI.")
    route: str | None = _field(description="The route, without the UIDs in it.")
    status: int | None = _field(description="The HTTP status; null within GraphQL.")
    request_id: str | None = _field(description="The request's id, as in X-Request-ID.")
    operation_name: str | None = _field(description="The name of the operation.")
    root_fields: list[str] | None = _field(description="The fields of the root that it asked for.")
    document_digest: str | None = _field(description="The SHA-256 of its document.")
    seconds: float | None = _field(description="How long it took.")
    patients: list[str] = _field(
        description="PatientIDs of what the answer was made of: the first 1,000."
    )
    studies: list[str] = _field(
        description="StudyInstanceUIDs of what the answer was made of: the first 1,000."
    )
    import_jobs: list[strawberry.ID] = _field(
        description="Imports that it began or told of: the last 1,000."
    )
    n_patients: int = _field(description="Number of patients.")
    n_studies: int = _field(description="Number of studies.")
    n_series: int = _field(description="Number of series.")
    n_images: int = _field(description="Number of images.")
    detail: str | None = _field(
        description="Codes of errors, the name that was tried, or what a command changed."
    )
    pruned_before: dt.datetime | None = _field(
        description="The moment before which `audit prune` deleted lines."
    )

    @classmethod
    def from_row(cls, row: Any) -> "AuditEntry":
        """The entry of a row."""
        mapping = row._mapping
        return cls(
            id=global_id("AuditEntry", row.id),
            created_at=row.created,
            action=AuditAction[row.action],
            outcome=AuditOutcome[row.outcome],
            patients=row.patients or [],
            studies=row.studies or [],
            import_jobs=[global_id("ImportJob", key) for key in row.import_jobs or ()],
            **{name: mapping[name] for name in _PLAIN},
        )


_PLAIN = (
    "principal", "user_id", "token_id", "address", "method", "route", "status", "request_id",
    "operation_name", "root_fields", "document_digest", "seconds", "n_patients", "n_studies",
    "n_series", "n_images", "detail", "pruned_before",
)  # fmt: skip
