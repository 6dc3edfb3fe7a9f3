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
from dicom_graph.store.read import CursorError, FilterError, Page, PageRequest, Parent
from dicom_graph.store.read.relations import DEFAULT_ORDERS, RELATIONS

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
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Any]:
        request = _request(info, entity, first, after, last, before, offset)
        wanted = condition_of(entity, filter)
        store = info.context.store
        page = await _answered(store.page(entity, request, wanted))
        return make_connection(_maker(entity), page, request, lambda: store.count(entity, wanted))

    return strawberry.field(resolver=_with_filter(resolve, entity), description=description)


def related_list(relation: str, description: str) -> Any:
    """A field that pages through the entities related to its object, batched over all objects.

    The object's class has `as_parent()`.
    """
    child = RELATIONS[relation].child

    async def resolve(
        self: Any,
        info: Info,
        filter: Any = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Any]:
        request = _request(info, child, first, after, last, before, offset)
        wanted = condition_of(child, filter)
        loaders = info.context.loaders
        parent: Parent = self.as_parent()
        page = await _answered(loaders.pages(relation, request, wanted).load(parent))
        make = _maker(child)
        count = loaders.counts(relation, wanted)
        return make_connection(
            lambda row: make(row, self), page, request, lambda: count.load(parent)
        )

    return strawberry.field(resolver=_with_filter(resolve, child), description=description)


async def _answered(page: Awaitable[Page]) -> Page:
    """The page; what the store says of bad arguments is said to the client."""
    try:
        return await page
    except CursorError as error:
        raise BadInput(str(error), "BAD_CURSOR") from None
    except FilterError as error:
        raise BadInput(str(error), "BAD_FILTER") from None


def _with_filter(resolver: Any, entity: str) -> Any:
    """The resolver with its `filter` typed for the entity, or without where it has none."""
    signature = inspect.signature(resolver)
    parameters = dict(signature.parameters)
    if entity in FILTERS:
        argument = strawberry.argument(description="Which of them; all where it is not given.")
        annotation = Annotated[FILTERS[entity] | None, argument]  # type: ignore[valid-type]
        parameters["filter"] = parameters["filter"].replace(annotation=annotation)
    else:
        del parameters["filter"]
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
    entity: str,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    offset: int | None,
) -> PageRequest:
    return page_request(
        DEFAULT_ORDERS[entity],
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
