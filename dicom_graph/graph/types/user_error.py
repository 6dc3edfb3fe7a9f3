"""UserError: an expected failure of a mutation."""

import strawberry

_field = strawberry.field


@strawberry.type(description="Why a mutation did not do what it was asked to.")
class UserError:
    message: str = _field(description="What was wrong and what to do, for a person.")
    field: str | None = _field(description="The field of the input that it is about.")
    code: str = _field(description="The same for a program: stable, in capitals.")
