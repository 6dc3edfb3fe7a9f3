"""Fields that list or count entities, at the root and of a parent."""

import datetime as dt
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.entities import Description
from dicom_graph.graph import batch_marks
from dicom_graph.graph.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    Offset,
    page_request,
)
from dicom_graph.graph.context import Info
from dicom_graph.graph.enums.choices import ENUMS
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.inputs.orders import order_of
from dicom_graph.graph.listing import Listing
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.graph.scalars import LocalDateTime
from dicom_graph.store.read import (
    Order,
    PageRequest,
)
from dicom_graph.store.read.relations import RELATIONS


def root_list(entity: str, description: str) -> Any:
    """A field that pages through all entities of a kind."""

    async def resolve(
        info: Info,
        filter: Any = None,
        search: str | None = None,
        order_by: Any = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Any]:
        order = order_of(entity, order_by)
        request = _request(info, order, first, after, last, before, offset)
        wanted = ENTITIES[entity].wanted(filter, search)
        return Connection(listing=Listing(info.context, entity, request, wanted))

    batch_marks.mark(resolve, batch_marks.AllOf(entity))
    return strawberry.field(resolver=_with_inputs(resolve, entity), description=description)


def related_list(
    relation: str,
    description: str,
    connection: Callable[[], type[Connection[Any]]] = lambda: Connection,
) -> Any:
    """A field that pages through the entities related to its object, batched over all objects.

    The object's class has `as_parent()`. `connection`: what makes the field's type, once that is
    defined.
    """
    child = RELATIONS[relation].child

    async def resolve(
        self: Any,
        info: Info,
        filter: Any = None,
        search: str | None = None,
        order_by: Any = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Any]:
        order = order_of(child, order_by)
        request = _request(info, order, first, after, last, before, offset)
        wanted = ENTITIES[child].wanted(filter, search)
        listing = Listing(info.context, child, request, wanted, relation, self.as_parent())
        return connection()(listing=listing)

    batch_marks.mark(resolve, batch_marks.Listed(relation))
    return strawberry.field(resolver=_with_inputs(resolve, child), description=description)


def _with_inputs(resolver: Any, entity: str) -> Any:
    """The resolver with `filter` and `order_by` typed for the entity, or without all three
    where it has none.
    """
    signature = inspect.signature(resolver)
    parameters = dict(signature.parameters)
    filters, orders = ENTITIES[entity].filter, ENTITIES[entity].order
    if filters is not None:
        which = strawberry.argument(description="Which of them; all where it is not given.")
        how = strawberry.argument(description="What to sort by, the most important first.")
        parameters["filter"] = parameters["filter"].replace(
            annotation=Annotated[filters | None, which]
        )
    else:
        del parameters["filter"]
    if orders is not None:
        parameters["order_by"] = parameters["order_by"].replace(
            annotation=Annotated[list[orders] | None, how]  # type: ignore[valid-type]
        )
    else:
        del parameters["order_by"]
    if ENTITIES[entity].searched:
        where = strawberry.argument(
            description="Words that must all occur, in either case, in "
            f"{ENTITIES[entity].searched_in}."
        )
        parameters["search"] = parameters["search"].replace(annotation=Annotated[str | None, where])
    else:
        del parameters["search"]
    resolver.__signature__ = signature.replace(parameters=list(parameters.values()))
    resolver.__annotations__ = {
        name: parameter.annotation for name, parameter in parameters.items() if name != "self"
    } | {"return": signature.return_annotation}
    return resolver


def related_count(relation: str, description: str) -> Any:
    """A field that counts the entities related to its object, batched over all objects."""

    async def resolve(self: Any, info: Info) -> int:
        return await info.context.loaders.counts(relation).load(self.as_parent())

    batch_marks.mark(resolve, batch_marks.Counted(relation))
    return strawberry.field(resolver=resolve, description=description)


def columns(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The named columns of a row."""
    mapping = row._mapping
    return {name: mapping[name] for name in names}


def codes(row: Any, described: Description) -> dict[str, Any]:
    """The columns of a row whose values are choices, as the schema's enums."""
    mapping = row._mapping
    return {
        each.name: ENUMS[each.choices](value) if (value := mapping[each.name]) else None
        for each in described.attributes
        if each.choices is not None
    }


def edited_fields(row: Any) -> list[Any]:
    """The fields of an entity's row that a person has set, as `FieldName` has them; of a series,
    also whose it is.
    """
    return [FieldName(name.removesuffix("_id")) for name in row.edited or ()]


def combined(date: dt.date | None, time: dt.time | None) -> LocalDateTime | None:
    """Date and time in one; None where either is missing."""
    if date is None or time is None:
        return None
    return LocalDateTime(dt.datetime.combine(date, time))


def _request(
    info: Info,
    order: tuple[Order, ...],
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    offset: int | None,
) -> PageRequest:
    return page_request(
        order,
        first=first,
        after=after,
        last=last,
        before=before,
        offset=offset,
        max_size=info.context.services.max_page_size,
    )
