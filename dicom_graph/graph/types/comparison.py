"""Headers of images or series side by side."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.node import Node
from dicom_graph.graph.types.element import DataElement
from dicom_graph.graph.types.header_table import value_text
from dicom_graph.graph.types.image import Image
from dicom_graph.graph.types.series import Series
from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.read.header_comparison import Compared, Outcome, compare_headers

FEWEST, MOST = 2, 20
_MEMORY = 300
"""About the bytes of memory that a row of a comparison takes, beside its elements."""
_DESCRIPTIONS = {
    Outcome.EQUAL: "All headers have it, with the same values.",
    Outcome.DIFFERENT: "All have it, not with the same values.",
    Outcome.MISSING: "Some do not have it.",
}
ComparisonOutcome: Any = strawberry.enum(
    Outcome, name="ComparisonOutcome", description="What a comparison finds of an element."
)
for _value in ComparisonOutcome.__strawberry_definition__.values:
    _value.description = _DESCRIPTIONS[Outcome[_value.name]]


@strawberry.type(description="An element of several headers, side by side.")
class ComparedElement:
    compared: strawberry.Private[Compared]
    path: str = strawberry.field(
        description="How to reach it: `element(path:)` of each header takes it; the block of a "
        "private element is left open."
    )
    depth: int = strawberry.field(description="How many sequences are around it.")
    tag: str = strawberry.field(description="(gggg,eeee) as in the first header that has it.")
    private_creator: str | None = strawberry.field(description="Who defines a private element.")
    keyword: str | None = strawberry.field(description="The standard's keyword, if it has one.")
    name: str = strawberry.field(description="The standard's name, or pydicom's.")
    outcome: ComparisonOutcome = strawberry.field(description="What the comparison finds.")

    @classmethod
    def of(cls, compared: Compared) -> "ComparedElement":
        """The object of a row of a comparison."""
        first = compared.first
        return cls(
            compared=compared,
            path=compared.path,
            depth=compared.depth,
            tag=format_tag(first.tag),
            private_creator=first.definition.private_creator or None,
            keyword=first.definition.keyword or None,
            name=first.definition.name,
            outcome=compared.outcome,
        )

    @computed(
        "The values of each header, in one text of up to 100 characters; null where it has the "
        "element not."
    )
    def values(self) -> list[str | None]:
        return [None if e is None else value_text(e) for e in self.compared.elements]

    @computed("The element of each header; null where it has none.")
    def elements(self, info: Info) -> list[DataElement | None]:
        return [
            None if element is None else DataElement.made_once(info, element)
            for element in self.compared.elements
        ]


@strawberry.type(description="Headers side by side, all elements at any depth, by tag.")
class HeaderComparison:
    rows: strawberry.Private[Sequence[Compared]]
    nodes: list[Node] = strawberry.field(
        description="What is compared, in the order of the ids; values stand in this order."
    )

    @computed("Those of some outcomes; without, all.")
    def elements(
        self,
        outcomes: Annotated[
            list[ComparisonOutcome] | None, strawberry.argument(description="Only those of these.")
        ] = None,
    ) -> list[ComparedElement]:
        return [
            ComparedElement.of(row)
            for row in self.rows
            if outcomes is None or row.outcome in outcomes
        ]

    @computed("What is equal in all.")
    def equal(self) -> list[ComparedElement]:
        return self.elements([Outcome.EQUAL])

    @computed("What all have, but not equal.")
    def different(self) -> list[ComparedElement]:
        return self.elements([Outcome.DIFFERENT])

    @computed("What some have not.")
    def missing(self) -> list[ComparedElement]:
        return self.elements([Outcome.MISSING])


async def comparison(info: Info, nodes: Sequence[Node | None]) -> HeaderComparison:
    """Compares what images and series have in their headers, of a series that of its first image
    by number. Raises BadInput.
    """
    if not FEWEST <= len(nodes) <= MOST:
        raise BadInput(f"{len(nodes)} ids: {FEWEST} to {MOST} headers can be compared")
    headers = await asyncio.gather(*(_header_of(info, node) for node in nodes))
    trees = await asyncio.gather(*(info.context.loaders.tree.load(row) for row in headers))
    rows = await asyncio.to_thread(lambda: list(compare_headers(trees)))
    await current_budget().hold_and_share(_MEMORY * len(rows))
    return HeaderComparison(rows=rows, nodes=[node for node in nodes if node is not None])


async def _header_of(info: Info, node: Node | None) -> Any:
    if node is None:
        raise BadInput("one of the ids leads nowhere: it is gone", ErrorCode.NOT_FOUND)
    if not isinstance(node, Image | Series):
        raise BadInput(
            f"{node.id!r} is the id of a {type(node).__name__}; images and series are compared",
            ErrorCode.BAD_ID,
        )
    if isinstance(node, Image):
        row = await info.context.loaders.header_of_image.load(node.key)
    else:
        header = await node.sample_header(info)
        row = header.row if header is not None else None
    if row is None:
        raise BadInput(f"{node.uid} was imported without its header", ErrorCode.NOT_FOUND)
    return row
