"""Groups of a list: their keys, their filters, and what is known of a value in each."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.graph.aggregate import Aggregate
from dicom_graph.graph.computed import computed
from dicom_graph.graph.group_keys import GroupKeyValue, KeyOf
from dicom_graph.graph.inputs.field_names import aggregate_field, camel_case
from dicom_graph.graph.inputs.groups import ElementKey, FieldName, value_key
from dicom_graph.graph.listing import Listing
from dicom_graph.graph.paging import Edge, PageInfo
from dicom_graph.graph.scalars import JSON
from dicom_graph.store.read import Statistics
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.group_requests import GroupKey, GroupPage, GroupRequest, GroupRow

_field = strawberry.field
AggregateField = Annotated[
    FieldName | None, strawberry.argument(description="A numeric or date field, or a count.")
]
AggregateElement = Annotated[
    ElementKey | None, strawberry.argument(description="An element of the headers.")
]


@dataclass(frozen=True, slots=True)
class _Figures:
    """The groups of a list, for what else is asked of them. `definitions`: as they then were."""

    listing: Listing
    request: GroupRequest
    definitions: Mapping[int, DefinitionRow] | None

    async def of(self, value: GroupKey) -> dict[tuple[Any, ...], Statistics]:
        """See `Listing.group_figures`."""
        return await self.listing.group_figures(self.request, value, self.definitions)


@strawberry.type(description="Objects of a list that have the same keys.")
class Group:
    row: strawberry.Private[GroupRow]
    figures: strawberry.Private[_Figures]
    keys: list[GroupKeyValue] = _field(description="Its keys, in the order of `by`.")
    count: int = _field(description="How many objects it has.")
    filter: JSON = _field(
        description="The filter, as JSON, of just its objects among those of the list."
    )

    @computed(
        "Statistics of a numeric or date field, a count or an element, over its objects. Of an "
        "object that has several values, each different one counts."
    )
    async def aggregate(
        self, field: AggregateField = None, element: AggregateElement = None
    ) -> Aggregate:
        of = value_key(self.figures.listing.entity, field, element)
        if of.name is not None:
            aggregate_field(self.figures.listing.entity, camel_case(of.name))
        found = await self.figures.of(of)
        return Aggregate.of(found.get(self.row.keys) or Statistics())


@strawberry.type(description="A page of the groups of a list.")
class GroupConnection:
    offset: strawberry.Private[int]
    nodes: list[Group] = _field(description="The groups of the page, in order.")
    total_count: int = _field(description="How many groups there are in all.")
    count_distinct: int = _field(
        description="How many different objects the groups of all pages hold together: less than "
        "the sum of their counts where objects are in several, such as a series whose images "
        "differ in an element."
    )
    page_info: PageInfo = _field(description="Where the page lies among them.")

    @computed("The groups of the page with their cursors.")
    def edges(self) -> list[Edge[Group]]:
        return [
            Edge(node=node, cursor=_cursor(place))
            for place, node in enumerate(self.nodes, self.offset + 1)
        ]


async def groups_of(listing: Listing, request: GroupRequest) -> GroupConnection:
    """The groups of a list. Raises BadInput."""
    page: GroupPage = await listing.groups(request)
    end = request.offset + len(page.rows)
    keys = [
        KeyOf(listing.entity, key, column)
        for key, column in zip(request.keys, page.columns, strict=False)
    ]
    figures = _Figures(listing, request, page.definitions)
    return GroupConnection(
        nodes=[_group(keys, row, figures) for row in page.rows],
        total_count=page.total,
        count_distinct=page.n_objects,
        offset=request.offset,
        page_info=PageInfo(
            has_next_page=end < page.total,
            has_previous_page=bool(request.offset and page.total),
            start_cursor=_cursor(request.offset + 1) if page.rows else None,
            end_cursor=_cursor(end) if page.rows else None,
        ),
    )


def _group(keys: Sequence[KeyOf], row: GroupRow, figures: _Figures) -> Group:
    described = [
        key.described(value, bounds)
        for key, value, bounds in zip(keys, row.keys, row.bounds, strict=True)
    ]
    clauses = [clause for _, clause in described]
    return Group(
        row=row,
        figures=figures,
        keys=[shown for shown, _ in described],
        count=row.n_objects,
        filter=clauses[0] if len(clauses) == 1 else {"and": clauses},  # type: ignore[arg-type]
    )


def offset_of(cursor: str | None) -> int:
    """How many groups a cursor has left behind. Raises BadInput."""
    if cursor is None:
        return 0
    try:
        kind, _, number = base64.b64decode(cursor, validate=True).decode().partition(":")
        if kind != "group" or not number.isascii() or not number.isdigit() or len(number) > 9:
            raise ValueError
    except (ValueError, binascii.Error):
        message = f"{cursor[:100]!r} is no cursor of groups"
        raise BadInput(message, ErrorCode.BAD_CURSOR) from None
    return int(number)


def _cursor(number: int) -> str:
    return base64.b64encode(f"group:{number}".encode()).decode()
