"""The filter of the audit log."""

from typing import Annotated, Any

import strawberry

from dicom_graph.graph.inputs.operators import (
    AuditActionFilter,
    AuditOutcomeFilter,
    DateTimeFilter,
    FloatFilter,
    IntFilter,
    StringFilter,
    StringListFilter,
)

_Entry = Annotated["AuditEntryFilter", strawberry.lazy("dicom_graph.graph.inputs.audit")]


def _by(description: str, name: str | None = None) -> Any:
    return strawberry.field(default=None, description=description, name=name)


@strawberry.input(description="Which lines of the audit log; all conditions must hold.")
class AuditEntryFilter:
    and_: list[_Entry] | None = _by("All of these hold.", "and")
    or_: list[_Entry] | None = _by("At least one of these holds.", "or")
    not_: _Entry | None = _by("This does not hold.", "not")
    created_at: DateTimeFilter | None = _by("By when it ended.")
    action: AuditActionFilter | None = _by("By what was done.")
    outcome: AuditOutcomeFilter | None = _by("By how it ended.")
    principal: StringFilter | None = _by("By the name of whoever did it.")
    user_id: IntFilter | None = _by("By the user's number.")
    token_id: IntFilter | None = _by("By the token's number.")
    address: StringFilter | None = _by("By the client's address.")
    route: StringFilter | None = _by("By the route.")
    request_id: StringFilter | None = _by("By the request's id.")
    operation_name: StringFilter | None = _by("By the name of the operation.")
    root_fields: StringListFilter | None = _by("By the fields of the root that it asked for.")
    document_digest: StringFilter | None = _by("By the SHA-256 of its document.")
    seconds: FloatFilter | None = _by("By how long it took.")
    patients: StringListFilter | None = _by(
        "By the PatientIDs that are listed; each line is looked at, so narrow `createdAt` too."
    )
    studies: StringListFilter | None = _by(
        "By the StudyInstanceUIDs that are listed; each line is looked at."
    )
    n_patients: IntFilter | None = _by("By the number of patients.")
    n_studies: IntFilter | None = _by("By the number of studies.")
    n_series: IntFilter | None = _by("By the number of series.")
    n_images: IntFilter | None = _by("By the number of images.")
    detail: StringFilter | None = _by("By codes of errors, or what a command changed.")
