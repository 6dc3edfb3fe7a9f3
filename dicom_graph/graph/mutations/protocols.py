"""Protocols: made by hand, of a series or of most series; changed; forgotten."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import strawberry

from dicom_graph.dicom.protocols import ProtocolError, read_protocol
from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.exports.compliance import as_fields, majority_values
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.inputs.clauses import condition_of
from dicom_graph.graph.inputs.entities import SeriesFilter
from dicom_graph.graph.inputs.operators import checked_text
from dicom_graph.graph.mutations.payload import Refused, UserError, entity_and_key, gone
from dicom_graph.graph.scalars import JSON
from dicom_graph.graph.types.protocol import Protocol
from dicom_graph.store.edit.protocols import (
    NameInUseError,
    add_protocol,
    delete_protocol,
    update_protocol,
)
from dicom_graph.store.read.conditions import Condition, Field, Test

T = TypeVar("T")
_field = strawberry.field
_ERRORS = "Empty where all is well; where one is there, nothing was changed."
_MOST_ELEMENTS, _LONGEST = 500, 200


@strawberry.input(
    description="A protocol to be made: of `json`, or of the `elements` of a reference series, or "
    "of what most series of a `majority` have."
)
class CreateProtocolInput:
    name: str = _field(description="A name that no other protocol has, up to 200 characters.")
    json: JSON | None = _field(default=None, description="JSON in dicompare's schema.")
    series_id: strawberry.ID | None = _field(
        default=None, description="The id of a series whose values are to be had."
    )
    majority: SeriesFilter | None = _field(
        default=None,
        description="Series: of each element the values that most of them have; none where several "
        "are as frequent.",
    )
    elements: list[str] | None = _field(
        default=None,
        description="With a series or a majority: keywords or tags; what is not there is left out.",
    )
    tolerance: float | None = _field(
        default=None, description="With a series or a majority: of numbers, in their unit."
    )


@strawberry.input(description="What is to be changed of a protocol.")
class UpdateProtocolInput:
    id: strawberry.ID = _field(description="The protocol's global id.")
    name: str | None = _field(default=None, description="Another name.")
    json: JSON | None = _field(default=None, description="JSON in dicompare's schema.")


@strawberry.input(description="Which protocol is to be deleted.")
class DeleteProtocolInput:
    id: strawberry.ID = _field(description="The protocol's global id.")


@strawberry.type(description="What became of `createProtocol`.")
class CreateProtocolPayload:
    protocol: Protocol | None = _field(description="The new one; null where none was made.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `updateProtocol`.")
class UpdateProtocolPayload:
    protocol: Protocol | None = _field(description="As it is now; null where there is none.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `deleteProtocol`.")
class DeleteProtocolPayload:
    deleted_id: strawberry.ID | None = _field(description="The id of what is gone.")
    errors: list[UserError] = _field(description=_ERRORS)


_Create = Annotated[CreateProtocolInput, strawberry.argument(description="The protocol.")]
_Update = Annotated[UpdateProtocolInput, strawberry.argument(description="The protocol.")]
_Delete = Annotated[DeleteProtocolInput, strawberry.argument(description="The protocol.")]


@strawberry.type
class ProtocolMutations:
    @computed("Make a protocol: by hand, of a reference series, or of what most series have.")
    async def create_protocol(self, info: Info, input: _Create) -> CreateProtocolPayload:
        try:
            name, content = _named(input.name), await _content(info, input)
            key = await _write(info, lambda found: add_protocol(found, name, content))
            return CreateProtocolPayload(protocol=await _loaded(info, key), errors=[])
        except Refused as refused:
            return CreateProtocolPayload(protocol=None, errors=[refused.error])

    @computed("Change the name or the rules of a protocol.")
    async def update_protocol(self, info: Info, input: _Update) -> UpdateProtocolPayload:
        try:
            _, key = entity_and_key(input.id, "protocol")
            name = _named(input.name) if input.name is not None else None
            content = _checked(input.json) if input.json is not None else None
            if not await _write(info, lambda found: update_protocol(found, key, name, content)):
                raise gone("protocol")
            return UpdateProtocolPayload(protocol=await _loaded(info, key), errors=[])
        except Refused as refused:
            return UpdateProtocolPayload(protocol=None, errors=[refused.error])

    @computed("Delete a protocol.")
    async def delete_protocol(self, info: Info, input: _Delete) -> DeleteProtocolPayload:
        try:
            _, key = entity_and_key(input.id, "protocol")
            if not await _write(info, lambda found: delete_protocol(found, key)):
                raise gone("protocol")
            return DeleteProtocolPayload(deleted_id=input.id, errors=[])
        except Refused as refused:
            return DeleteProtocolPayload(deleted_id=None, errors=[refused.error])


def _named(name: str) -> str:
    stripped = checked_text(name.strip())
    if not 1 <= len(stripped) <= _LONGEST:
        message = f"a name has 1 to {_LONGEST} characters"
        raise Refused(message, "name", ErrorCode.BAD_TEXT)
    return stripped


def _checked(content: Any) -> Any:
    try:
        read_protocol(content)
    except ProtocolError as error:
        raise Refused(str(error), "json", ErrorCode.BAD_INPUT) from None
    return content


async def _content(info: Info, input: CreateProtocolInput) -> Any:
    given = [input.json, input.series_id, input.majority]
    if sum(each is not None for each in given) != 1:
        message = "give `json`, `seriesId` or `majority`, one of them"
        raise Refused(message, None, ErrorCode.BAD_INPUT)
    if input.json is not None:
        return _checked(input.json)
    elements = list(dict.fromkeys(input.elements or ()))
    if not 1 <= len(elements) <= _MOST_ELEMENTS:
        message = f"name 1 to {_MOST_ELEMENTS} elements"
        raise Refused(message, "elements", ErrorCode.BAD_INPUT)
    wanted: Condition | None
    if input.series_id is not None:
        _, key = entity_and_key(input.series_id, "series", field="seriesId")
        if await info.context.loaders.entity("series").load(key) is None:
            raise gone("series", "seriesId")
        wanted = Field("id", Test("eq", key))
    else:
        wanted = condition_of(input.majority)
    try:
        values = await majority_values(info.context.store, elements, wanted)
    except BadInput as error:
        raise Refused(error.message, "elements", error.code) from None
    fields = as_fields(values, input.tolerance)
    content = {"name": input.name, "acquisitions": {input.name.strip(): {"fields": fields}}}
    return _checked(content)


async def _write(info: Info, write: Callable[[Any], T]) -> T:
    def run() -> T:
        with info.context.store.database.writer.begin() as connection:
            return write(connection)

    try:
        found = await asyncio.to_thread(run)
    except NameInUseError as error:
        message = f"another protocol is called {str(error)[:100]!r}"
        raise Refused(message, "name", ErrorCode.BAD_TEXT) from None
    info.context.loaders.forget()
    return found


async def _loaded(info: Info, key: int) -> Protocol | None:
    row = await info.context.loaders.entity("protocol").load(key)
    return Protocol.from_row(row) if row is not None else None
