"""The filter of the audit log."""

from dicom_graph.graph.inputs.clauses import by_column, filter_input
from dicom_graph.graph.inputs.operators import (
    AuditActionFilter,
    AuditOutcomeFilter,
    DateTimeFilter,
    FloatFilter,
    IntFilter,
    StringFilter,
    StringListFilter,
)


@filter_input("Which lines of the audit log; all conditions must hold.")
class AuditEntryFilter:
    created_at: DateTimeFilter | None = by_column("By when it ended.", "created")
    action: AuditActionFilter | None = by_column("By what was done.", "action")
    outcome: AuditOutcomeFilter | None = by_column("By how it ended.", "outcome")
    principal: StringFilter | None = by_column("By the name of whoever did it.", "principal")
    user_id: IntFilter | None = by_column("By the user's number.", "user_id")
    token_id: IntFilter | None = by_column("By the token's number.", "token_id")
    address: StringFilter | None = by_column("By the client's address.", "address")
    route: StringFilter | None = by_column("By the route.", "route")
    request_id: StringFilter | None = by_column("By the request's id.", "request_id")
    operation_name: StringFilter | None = by_column(
        "By the name of the operation.", "operation_name"
    )
    root_fields: StringListFilter | None = by_column(
        "By the fields of the root that it asked for.", "root_fields"
    )
    document_digest: StringFilter | None = by_column(
        "By the SHA-256 of its document.", "document_digest"
    )
    seconds: FloatFilter | None = by_column("By how long it took.", "seconds")
    patients: StringListFilter | None = by_column(
        "By the PatientIDs that are listed; each line is looked at, so narrow `createdAt` too.",
        "patients",
    )
    studies: StringListFilter | None = by_column(
        "By the StudyInstanceUIDs that are listed; each line is looked at.", "studies"
    )
    n_patients: IntFilter | None = by_column("By the number of patients.", "n_patients")
    n_studies: IntFilter | None = by_column("By the number of studies.", "n_studies")
    n_series: IntFilter | None = by_column("By the number of series.", "n_series")
    n_images: IntFilter | None = by_column("By the number of images.", "n_images")
    detail: StringFilter | None = by_column(
        "By codes of errors, or what a command changed.", "detail"
    )
