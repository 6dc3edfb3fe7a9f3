"""Enums of the audit log."""

from enum import Enum

import strawberry

_value = strawberry.enum_value


@strawberry.enum(description="What was done.")
class AuditAction(Enum):
    QUERY = _value("QUERY", description="A query of GraphQL.")
    MUTATION = _value("MUTATION", description="A mutation of GraphQL.")
    SUBSCRIPTION = _value("SUBSCRIPTION", description="A subscription, when it has ended.")
    DOWNLOAD = _value("DOWNLOAD", description="A file, picture, array, header or archive.")
    UPLOAD = _value("UPLOAD", description="An upload to `/upload`.")
    LOGIN = _value("LOGIN", description="A login on the page, also one that failed.")
    LOGOUT = _value("LOGOUT", description="A logout.")
    ACCESS = _value("ACCESS", description="A request that was refused before it was looked at.")
    COMMAND = _value("COMMAND", description="A command that changed accounts or the database.")
    PRUNE = _value("PRUNE", description="`audit prune`: older lines were deleted.")
    LOSS = _value("LOSS", description="Lines were lost while the database took none.")


@strawberry.enum(description="How it ended.")
class AuditOutcome(Enum):
    SUCCEEDED = _value("SUCCEEDED", description="It was answered.")
    FAILED = _value("FAILED", description="There was an error, maybe beside an answer.")
    REFUSED = _value("REFUSED", description="It was not allowed.")
    CANCELLED = _value("CANCELLED", description="It was broken off; part may have been answered.")
    BEGUN = _value(
        "BEGUN", description="The answer was about to begin; a further line tells of its end."
    )
