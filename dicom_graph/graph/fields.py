"""Fields that list or count entities, at the root and of a parent."""

import datetime as dt
import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Annotated, Any, cast

import strawberry

from dicom_graph.graph.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    Offset,
    make_connection,
    page_request,
)
from dicom_graph.graph.context import Info
from dicom_graph.graph.errors import BadInput
from dicom_graph.graph.inputs.entities import FILTERS, condition_of
from dicom_graph.graph.inputs.orders import ORDERS, order_of
from dicom_graph.graph.inputs.search import narrowed
from dicom_graph.store.read import (
    CursorError,
    FilterError,
    Order,
    Page,
    PageRequest,
    Parent,
)
from dicom_graph.store.read.relations import RELATIONS

Search = Annotated[
    str | None,
    strawberry.argument(
        description="Words that must all occur in the texts of an object, in either case."
    ),
]
_TYPES = {
    "patient": "Patient",
    "study": "Study",
    "series": "Series",
    "image": "Image",
    "import_job": "ImportJob",
}


def root_list(entity: str, description: str) -> Any:
    """A field that pages through all entities of a kind."""

    async def resolve(
        info: Info,
        filter: Any = None,
        search: Search = None,
        order_by: Any = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Any]:
        order = order_of(entity, order_by)
        request = _request(info, order, first, after, last, before, offset)
        wanted = narrowed(entity, condition_of(entity, filter), search)
        store = info.context.store
        page = await _answered(store.page(entity, request, wanted))
        return make_connection(_maker(entity), page, request, lambda: store.count(entity, wanted))

    return strawberry.field(resolver=_with_inputs(resolve, entity), description=description)


def related_list(relation: str, description: str) -> Any:
    """A field that pages through the entities related to its object, batched over all objects.

    The object's class has `as_parent()`.
    """
    child = RELATIONS[relation].child

    async def resolve(
        self: Any,
        info: Info,
        filter: Any = None,
        search: Search = None,
        order_by: Any = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Any]:
        order = order_of(child, order_by)
        request = _request(info, order, first, after, last, before, offset)
        wanted = narrowed(child, condition_of(child, filter), search)
        loaders = info.context.loaders
        parent: Parent = self.as_parent()
        page = await _answered(loaders.pages(relation, request, wanted).load(parent))
        make = _maker(child)
        count = loaders.counts(relation, wanted)
        return make_connection(
            lambda row: make(row, self), page, request, lambda: count.load(parent)
        )

    return strawberry.field(resolver=_with_inputs(resolve, child), description=description)


async def _answered(page: Awaitable[Page]) -> Page:
    """The page; what the store says of bad arguments is said to the client."""
    try:
        return await page
    except CursorError as error:
        raise BadInput(str(error), "BAD_CURSOR") from None
    except FilterError as error:
        raise BadInput(str(error), "BAD_FILTER") from None


def _with_inputs(resolver: Any, entity: str) -> Any:
    """The resolver with `filter` and `order_by` typed for the entity, or without all three
    where it has none.
    """
    signature = inspect.signature(resolver)
    parameters = dict(signature.parameters)
    if entity in FILTERS:
        filters, orders = FILTERS[entity], ORDERS[entity]
        which = strawberry.argument(description="Which of them; all where it is not given.")
        how = strawberry.argument(description="What to sort by, the most important first.")
        parameters["filter"] = parameters["filter"].replace(
            annotation=Annotated[filters | None, which]
        )
        parameters["order_by"] = parameters["order_by"].replace(
            annotation=Annotated[list[orders] | None, how]  # type: ignore[valid-type]
        )
    else:
        for name in ("filter", "search", "order_by"):
            del parameters[name]
    resolver.__signature__ = signature.replace(parameters=list(parameters.values()))
    resolver.__annotations__ = {
        name: parameter.annotation for name, parameter in parameters.items() if name != "self"
    } | {"return": signature.return_annotation}
    return resolver


def related_count(relation: str, description: str) -> Any:
    """A field that counts the entities related to its object, batched over all objects."""

    async def resolve(self: Any, info: Info) -> int:
        return await info.context.loaders.counts(relation).load(self.as_parent())

    return strawberry.field(resolver=resolve, description=description)


def columns(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The named columns of a row."""
    mapping = row._mapping
    return {name: mapping[name] for name in names}


def combined(date: dt.date | None, time: dt.time | None) -> dt.datetime | None:
    """Date and time in one; None where either is missing."""
    return dt.datetime.combine(date, time) if date is not None and time is not None else None


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
        max_size=info.context.service.max_page_size,
    )


def _maker(entity: str) -> Callable[..., Any]:
    module = import_module(f"dicom_graph.graph.types.{entity}")
    return cast(Callable[..., Any], getattr(module, _TYPES[entity]).from_row)
