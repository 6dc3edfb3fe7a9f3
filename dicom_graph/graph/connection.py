"""Relay connections over keyset pages."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar, cast

import strawberry
from strawberry.types.nodes import SelectedField

from dicom_graph.errors import BadInput
from dicom_graph.graph.aggregate import Aggregate
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.groups import (
    AggregateElement,
    AggregateField,
    GroupConnection,
    groups_of,
    offset_of,
)
from dicom_graph.graph.inputs.field_names import aggregate_field, camel_case
from dicom_graph.graph.inputs.groups import (
    GroupBy,
    GroupHaving,
    GroupOrder,
    group_request,
    value_key,
)
from dicom_graph.graph.limits.cost import DEFAULT_PAGE_SIZE
from dicom_graph.graph.listing import Listing
from dicom_graph.graph.paging import Edge, PageInfo
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.store.read import Order, Page, PageRequest, Statistics
from dicom_graph.store.read.group_requests import GroupRequest
from dicom_graph.store.read.rows import made_in_turns

T = TypeVar("T")

First = Annotated[
    int | None,
    strawberry.argument(description="At most so many from the front; 25 if nothing is given."),
]
After = Annotated[
    str | None, strawberry.argument(description="Only what follows this cursor of the same list.")
]
Last = Annotated[int | None, strawberry.argument(description="At most so many from the back.")]
Before = Annotated[
    str | None, strawberry.argument(description="Only what precedes this cursor of the same list.")
]
Offset = Annotated[
    int | None,
    strawberry.argument(
        description="Skip so many from the front: for page numbers. Cursors are faster and stay "
        "right while an import runs."
    ),
]


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """`page` and `nodes` are read by `graph.execution`, which knows what is asked of them.

    A connection whose edges tell more derives from it, and makes its own `edge`.
    """

    nodes: list[T] = strawberry.field(
        description="The objects of the page, in order.", default_factory=list
    )
    listing: strawberry.Private[Listing]
    page: strawberry.Private[Page] = Page((), False, False)

    async def fill(self) -> None:
        """Read the page, and make its objects. Raises BadInput."""
        self.page = await self.listing.page()
        make = ENTITIES[self.listing.entity].type.from_row
        rows = await whole_rows(self.listing, self.page.rows)
        self.nodes = await made_in_turns(rows, make)

    def edge(self, node: Any, row: Any) -> Any:
        """The edge of an object, which was made of a row of the page."""
        return Edge(node=node, cursor=self.listing.request.cursor(row))

    @computed("The objects of the page with their cursors.")
    def edges(self) -> list[Edge[T]]:
        return [self.edge(node, row) for node, row in zip(self.nodes, self.page.rows, strict=True)]

    @computed("Where the page lies in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page, self.listing.request)

    @computed("The length of the whole list; counted only when asked for.")
    async def total_count(self) -> int:
        return await self.listing.count()

    @computed(
        "What is to be known beside the list, for a person: where its filter has "
        "`differsFromMajority`, how many groups have no majority, so that none of them differs."
    )
    async def warnings(self) -> list[str]:
        return await self.listing.warnings()

    @computed(
        "Statistics of a numeric or date field, of a count, or of an element, over the whole list."
    )
    async def aggregate(
        self, field: AggregateField = None, element: AggregateElement = None
    ) -> Aggregate:
        of = value_key(self.listing.entity, field, element)
        if of.name is not None:
            name = aggregate_field(self.listing.entity, camel_case(of.name))
            return Aggregate.of(await self.listing.statistics(name))
        found = await self.listing.group_figures(GroupRequest(()), of)
        return Aggregate.of(found.get((), Statistics()))

    @computed(
        "The objects of the whole list by what they have in common: fields, elements, buckets of "
        "numbers, parts of dates; the largest groups first. What is missing is a group."
    )
    async def groups(
        self,
        info: Info,
        by: Annotated[list[GroupBy], strawberry.argument(description="Up to 5 keys.")],
        having: Annotated[
            GroupHaving | None, strawberry.argument(description="Which groups; all if not given.")
        ] = None,
        order_by: Annotated[
            list[GroupOrder] | None,
            strawberry.argument(description="What to sort by; the keys decide in the end."),
        ] = None,
        first: Annotated[
            int, strawberry.argument(description="At most so many groups, up to 10,000.")
        ] = 100,
        after: Annotated[
            str | None, strawberry.argument(description="Only groups that follow this cursor.")
        ] = None,
    ) -> GroupConnection:
        entity = self.listing.entity
        request = group_request(
            entity, by, having, order_by, first, offset_of(after), _asks_for(info, "countDistinct")
        )
        return await groups_of(self.listing, request)


def _asks_for(info: Info, name: str) -> bool:
    """Whether something is asked for below the field that is resolved, in fragments too."""
    waiting = [part for field in info.selected_fields for part in field.selections]
    while waiting:
        part = waiting.pop()
        if isinstance(part, SelectedField):
            if part.name == name:
                return True
        else:
            waiting += part.selections
    return False


async def whole_rows(listing: Listing, rows: Sequence[Any]) -> Sequence[Any]:
    """The rows of a page as its objects are made of them."""
    entity = ENTITIES[listing.entity]
    if not entity.by_id_only:
        return rows
    found = await entity.rows(listing.context.loaders).load_many(list(map(entity.key, rows)))
    return cast(Sequence[Any], found)


def page_request(
    order: tuple[Order, ...],
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    offset: int | None,
    max_size: int,
) -> PageRequest:
    """The request for a page. Raises BadInput for arguments that cannot go together."""
    for name, number in (("first", first), ("last", last)):
        if number is not None and not 0 <= number <= max_size:
            raise BadInput(f"`{name}` is {number}; it must be from 0 to {max_size}")
    if offset is not None and not 0 <= offset < 2**31:
        raise BadInput(f"`offset` is {offset}; it must not be negative")
    if first is not None and last is not None:
        raise BadInput("give `first` or `last`, not both")
    if offset and (after is not None or before is not None or last is not None):
        raise BadInput("`offset` counts from the front: it goes with `first` alone")
    if last is not None and after is not None and before is None:
        raise BadInput("`last` goes with `before`, `first` with `after`")
    if first is None and last is None:
        first = min(DEFAULT_PAGE_SIZE, max_size)
    return PageRequest(order, first, after, last, before, offset or 0)
