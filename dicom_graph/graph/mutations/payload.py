"""What all mutations have in common: one input, and errors in their payloads."""

import strawberry

from dicom_graph.errors import BadInput
from dicom_graph.graph.enums.error_code import ErrorCode
from dicom_graph.graph.mutations.input_field import InputField
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.store.global_ids import split_global_id

_field = strawberry.field


@strawberry.type(description="Why a mutation did not do what it was asked to.")
class UserError:
    message: str = _field(description="What was wrong and what to do, for a person.")
    field: InputField | None = _field(description="The field of the input that it is about.")
    code: ErrorCode = _field(description="The same for a program.")

    @classmethod
    def about(cls, field: str | None, message: str, code: ErrorCode) -> "UserError":
        """What is wrong with a field of the input, by its name there."""
        name = InputField(field) if field is not None else None
        return cls(message=message, field=name, code=code)


class Refused(Exception):
    """The mutation cannot do what it was asked to."""

    def __init__(self, message: str, field: str | None, code: ErrorCode) -> None:
        super().__init__(message)
        self.error = UserError.about(field, message, code)


def entity_and_key(id: str, *entities: str, field: str = "id") -> tuple[str, int]:
    """The entity and the row that a global id names, of one of these entities. Raises Refused.

    `field`: of the input that has the id.
    """
    try:
        type_name, key = split_global_id(id)
    except BadInput as error:
        raise Refused(str(error), field, ErrorCode.BAD_ID) from None
    names = {ENTITIES[entity].type_name: entity for entity in entities}
    if type_name in names:
        return names[type_name], key
    wanted = " or ".join(names).lower()
    raise Refused(f"{id[:100]!r} is not the id of a {wanted}", field, ErrorCode.BAD_ID)


def gone(entity: str, field: str = "id") -> Refused:
    """The entity of an id is not there."""
    return Refused(f"there is no such {entity}, or no longer", field, ErrorCode.NOT_FOUND)
