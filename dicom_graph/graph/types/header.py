"""Header: a data set, of an image or of a sequence item."""

from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from dicom_graph.dicom.dictionary import keyword_tag, keywords, parse_tag
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.errors import BadInput, nearest
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.types.element import DataElement
from dicom_graph.store.read.store import ElementQuery

if TYPE_CHECKING:
    from dicom_graph.graph.types.image import Image

Lazy = strawberry.lazy


@strawberry.type(
    description="A data set: the elements of an image, or of one item of a sequence. Pixel data "
    "is never among them, nor is the file meta information (group 0002)."
)
class Header(Node):
    row: strawberry.Private[Any]
    index: int | None = strawberry.field(
        description="Its place among the items of its sequence, from 0; null for an image's header."
    )

    @classmethod
    def from_row(cls, row: Any) -> "Header":
        """The header of a row."""
        return cls(id=global_id("Header", row.id), row=row, index=row.index)

    @computed("The image whose header it is; null for an item.")
    async def image(
        self, info: Info
    ) -> Annotated["Image", Lazy("dicom_graph.graph.types.image")] | None:
        from dicom_graph.graph.types.image import Image

        if self.row.image_id is None:
            return None
        row = await info.context.loaders.entity("image").load(self.row.image_id)
        return Image.from_row(row) if row is not None else None

    @computed("The sequence element whose item it is; null for an image's.")
    async def parent(self, info: Info) -> DataElement | None:
        if self.row.element_id is None:
            return None
        row = await info.context.loaders.element.load(self.row.element_id)
        return DataElement.from_row(row) if row is not None else None

    @computed("Its elements in the order of their tags; all arguments narrow.")
    async def elements(
        self,
        info: Info,
        keywords: Annotated[
            list[str] | None,
            strawberry.argument(description="Only these standard keywords, such as EchoTime."),
        ] = None,
        tags: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Only these tags, as (0018,0081) or 00180081; a private one may leave "
                "its block open: (0019,xx9C)."
            ),
        ] = None,
        private: Annotated[
            bool | None,
            strawberry.argument(description="Only private elements, or only standard ones."),
        ] = None,
    ) -> list[DataElement]:
        query = ElementQuery(
            keywords=frozenset(map(_checked_keyword, keywords)) if keywords is not None else None,
            tags=frozenset(map(_checked_tag, tags)) if tags is not None else None,
            private=private,
        )
        rows = await info.context.loaders.elements_of(query).load(self.row)
        return [DataElement.from_row(row) for row in rows]

    @computed("One element by keyword or tag; null where the header does not hold it.")
    async def element(
        self,
        info: Info,
        keyword: Annotated[
            str | None, strawberry.argument(description="A standard keyword, such as EchoTime.")
        ] = None,
        tag: Annotated[
            str | None,
            strawberry.argument(description="A tag, as (0018,0081), 00180081 or (0019,xx9C)."),
        ] = None,
        private_creator: Annotated[
            str | None,
            strawberry.argument(description="With a private tag: its creator, GEMS_ACQU_01."),
        ] = None,
    ) -> DataElement | None:
        if (keyword is None) == (tag is None):
            raise BadInput("give `keyword` or `tag`, one of them")
        query = ElementQuery(
            keywords=frozenset({_checked_keyword(keyword)}) if keyword is not None else None,
            tags=frozenset({_checked_tag(tag)}) if tag is not None else None,
            private_creator=private_creator,
        )
        rows = await info.context.loaders.elements_of(query).load(self.row)
        return DataElement.from_row(rows[0]) if rows else None


def _checked_keyword(keyword: str) -> str:
    if keyword_tag(keyword) is None:
        hint = nearest(keyword, keywords())
        raise BadInput(f"{keyword[:80]!r} is no keyword of the DICOM standard{hint}")
    return keyword


def _checked_tag(tag: str) -> int:
    try:
        return parse_tag(tag)
    except ValueError as error:
        raise BadInput(str(error)) from None
