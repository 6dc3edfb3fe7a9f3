"""Root fields ask the policy before they do anything."""

from collections.abc import AsyncIterator
from inspect import isawaitable
from typing import Any

from graphql import GraphQLError, GraphQLField, GraphQLSchema, default_field_resolver

from dicom_graph.access.policy import Need, need_of_field, refusal
from dicom_graph.access.principal import Role
from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.context import Context


class Refused(GraphQLError):
    """The principal may not do this; code UNAUTHENTICATED or FORBIDDEN."""

    def __init__(self, message: str, code: ErrorCode) -> None:
        super().__init__(message, extensions={"code": code})


def guard(schema: GraphQLSchema) -> None:
    """Put the policy before every root field of a schema."""
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for name, field in root.fields.items() if root is not None else ():
            need = need_of_field(root.name if root is not None else "", name)
            if root is schema.subscription_type:
                _guard_events(field, name, need)
            else:
                _guard_answer(field, name, need)


def _guard_answer(field: GraphQLField, name: str, need: Need) -> None:
    resolve = field.resolve or default_field_resolver

    def guarded(source: Any, info: Any, **arguments: Any) -> Any:
        require(info.context, need, name)
        return resolve(source, info, **arguments)

    field.resolve = guarded


def _guard_events(field: GraphQLField, name: str, need: Need) -> None:
    """Also before each event: a token may be revoked meanwhile."""
    subscribe = field.subscribe
    assert subscribe is not None

    async def guarded(source: Any, info: Any, **arguments: Any) -> AsyncIterator[Any]:
        require(info.context, need, name)
        events = subscribe(source, info, **arguments)
        if isawaitable(events):
            events = await events
        try:
            async for event in events:
                await info.context.identify_again()
                require(info.context, need, name)
                yield event
        finally:
            await events.aclose()

    field.subscribe = guarded


def require(context: Context, need: Need, name: str) -> None:
    """Raises Refused where the user who asks may not do what `name` is."""
    principal = context.principal
    reason = refusal(principal, need, f"`{name}`")
    if reason is not None:
        raise Refused(
            reason,
            ErrorCode.UNAUTHENTICATED if principal.role is Role.NOBODY else ErrorCode.FORBIDDEN,
        )
