"""The user who asks, and what they may do."""

from enum import Enum
from typing import Self

import strawberry

from dicom_graph.access.policy import need_of_field, refusal
from dicom_graph.access.principal import Principal, Role

_field = strawberry.field


@strawberry.enum(description="What somebody may do; each role may do what those before it may.")
class ViewerRole(Enum):
    VIEWER = strawberry.enum_value("VIEWER", description="Read.")
    IMPORTER = strawberry.enum_value("IMPORTER", description="Import and upload.")
    EDITOR = strawberry.enum_value("EDITOR", description="Change, delete and refresh.")
    ADMIN = strawberry.enum_value("ADMIN", description="Users, tokens and the audit log.")


@strawberry.type(
    description="Who asks. What it may do is told, so that a client need not offer what is refused."
)
class Viewer:
    name: str = _field(description="Its name; everyone, where the server asks for no names.")
    role: ViewerRole = _field(description="The least of its user's role and its token's.")
    is_deidentified: bool = _field(description="Whether it sees no identities.")
    groups: list[str] | None = _field(
        description="The groups whose patients and studies alone it sees, by name; null where it "
        "sees all."
    )
    can_import: bool = _field(description="Whether it may import, upload and look for files.")
    can_edit: bool = _field(description="Whether it may change, delete, refresh and sync.")
    can_administer: bool = _field(description="Whether it may read the audit log.")

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """The viewer that a principal is."""
        return cls(
            name=principal.name,
            role=ViewerRole[Role(principal.role).name],
            is_deidentified=principal.deidentified,
            groups=sorted(principal.group_names) if principal.is_limited else None,
            can_import=_may(principal, "Mutation", "importPath"),
            can_edit=_may(principal, "Mutation", "updatePatient"),
            can_administer=_may(principal, "Query", "auditEntries"),
        )


def _may(principal: Principal, type_name: str, field: str) -> bool:
    return refusal(principal, need_of_field(type_name, field), field) is None
