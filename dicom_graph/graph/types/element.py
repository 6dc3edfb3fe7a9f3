"""DataElement and its definition."""

import base64
from typing import TYPE_CHECKING, Annotated, Any, cast

import strawberry

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.vr_names import vr_name
from dicom_graph.graph.bulk_data import load_bytes
from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Info
from dicom_graph.graph.fields import related_list
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.scalars import JSON, BigInt
from dicom_graph.graph.types.display import display_element
from dicom_graph.graph.types.value import DataElementValue
from dicom_graph.graph.types.values import make_values, plain_value
from dicom_graph.graph.urls import absolute, page_path
from dicom_graph.store.read import Parent
from dicom_graph.store.read.elements import DefinitionRow, ElementRow

if TYPE_CHECKING:
    from dicom_graph.graph.types.header import Header
    from dicom_graph.graph.types.image import Image
    from dicom_graph.graph.types.series import Series

_field = strawberry.field
_HERE = "dicom_graph.graph.types.element"


@strawberry.type(
    description="What an element is: tag, private creator and VR. A private element is the same "
    "definition in whichever block it lies."
)
class DataElementDefinition(Node):
    key: strawberry.Private[int]
    tag: str = _field(description="(gggg,eeee); of a private element (gggg,xxee), block open.")
    private_creator: str | None = _field(
        description="Who defines a private element; null for a standard one."
    )
    vr: str = _field(description="The value representation: two letters (PS3.5 6.2).")
    keyword: str | None = _field(description="The standard's keyword; null for a private element.")
    name: str = _field(description="The standard's name, or pydicom's for a private element.")

    @classmethod
    def from_row(cls, row: DefinitionRow) -> "DataElementDefinition":
        """The definition of a row."""
        return cls(
            key=row.id,
            id=global_id("DataElementDefinition", row.id),
            tag=format_tag(row.tag, any_block=bool(row.private_creator)),
            private_creator=row.private_creator or None,
            vr=row.vr,
            keyword=row.keyword or None,
            name=row.name,
        )

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return Parent(self.key)

    @computed("The address of its page, without scheme and host.")
    def resource_path(self) -> str:
        return page_path("elements", self.id)

    @computed("The address of its page.")
    def url(self) -> str:
        return absolute(page_path("elements", self.id))

    @computed("What the value representation is called, such as Code String (PS3.5 table 6.2-1).")
    def vr_name(self) -> str | None:
        return vr_name(self.vr)

    elements: Connection[Annotated["DataElement", strawberry.lazy(_HERE)]] = related_list(
        "data_element_definition.elements",
        "The distinct elements of this definition: all values that occur.",
    )


@strawberry.type(
    description="One distinct data element. Equal elements are one object with one id, in "
    "whichever headers they occur; it never changes."
)
class DataElement(Node):
    row: strawberry.Private[ElementRow]
    tag: str = _field(description="(gggg,eeee) as in the file.")
    private_creator: str | None = _field(
        description="Who defines a private element; null for a standard one."
    )
    vr: str = _field(description="The value representation: two letters (PS3.5 6.2).")
    keyword: str | None = _field(description="The standard's keyword; null for a private element.")
    name: str = _field(description="The standard's name, or pydicom's for a private element.")
    vm: int = _field(description="The multiplicity: how many values; of a sequence, items.")
    length: BigInt = _field(
        description="The length of the value in the file, in bytes; 0 for a sequence, whose "
        "length depends on how it is encoded."
    )
    warnings: list[str] = _field(description="What could not be read as the standard says.")

    @classmethod
    def from_row(cls, row: ElementRow) -> "DataElement":
        """The element of a row."""
        definition = row.definition
        return cls(
            id=global_id("DataElement", row.id),
            row=row,
            tag=format_tag(row.tag),
            private_creator=definition.private_creator or None,
            vr=definition.vr,
            keyword=definition.keyword or None,
            name=definition.name,
            vm=row.vm,
            length=BigInt(row.length),
            warnings=row.warnings,
        )

    @classmethod
    def made_once(cls, info: Info, row: ElementRow) -> "DataElement":
        """The element of a row; the same object each time in an operation."""
        made = info.context.loaders.made_elements
        if row.id not in made:
            made[row.id] = cls.from_row(row)
        element: DataElement = made[row.id]
        return element

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return Parent(self.row.id)

    headers: Connection[Annotated["Header", strawberry.lazy("dicom_graph.graph.types.header")]] = (
        related_list("data_element.headers", "The headers and sequence items that hold it.")
    )
    images: Connection[Annotated["Image", strawberry.lazy("dicom_graph.graph.types.image")]] = (
        related_list("data_element.images", "The images whose headers hold it, at any depth.")
    )
    series: Connection[Annotated["Series", strawberry.lazy("dicom_graph.graph.types.series")]] = (
        related_list("data_element.series", "The series of these images.")
    )

    @computed("What the value representation is called, such as Code String (PS3.5 table 6.2-1).")
    def vr_name(self) -> str | None:
        return vr_name(self.vr)

    @computed("What kind of element it is.")
    def definition(self) -> DataElementDefinition:
        return DataElementDefinition.from_row(self.row.definition)

    @computed(
        "The value as plain JSON: a scalar for one, a list for several, null for none. "
        "Dates and times are ISO 8601, ages years, bytes base64 (null beyond 64 KiB), names and "
        "codes text, 64-bit integers beyond 53 bits text, Siemens CSA headers an object. Null "
        "for a sequence: see `items`."
    )
    def value(self) -> JSON | None:
        return cast(JSON | None, plain_value(self.row))

    @computed(
        "The values as people read them, joined by a backslash; null where there is none. Of a "
        "sequence how many items it has. At most 200 characters."
    )
    def display(self) -> str | None:
        return display_element(self.row)

    @computed(
        "The bytes in base64, exactly as in the file, of bytes and of texts with odd characters "
        "or padding; null where the values say it all."
    )
    async def bytes(
        self,
        info: Info,
        limit: Annotated[
            int, strawberry.argument(description="The most bytes to give; an error beyond.")
        ] = 16_777_216,
    ) -> str | None:
        if self.row.raw is None and self.row.sha256 is None:
            return None
        return base64.b64encode(await load_bytes(info, self.row, limit)).decode()

    @computed("The values one by one, with type, raw text and warnings.")
    def values(self) -> list[DataElementValue]:
        return make_values(self.row)

    @computed("The items of a sequence, in order; null for any other VR.")
    def items(
        self, info: Info
    ) -> list[Annotated["Header", strawberry.lazy("dicom_graph.graph.types.header")]] | None:
        # No coroutine where there is nothing to wait for: see `graph.execution`.
        return cast(Any, _load_items(info, self.row.id)) if self.vr == "SQ" else None


async def _load_items(info: Info, element_id: int) -> Any:
    from dicom_graph.graph.types.header import Header

    rows = await info.context.loaders.items.load(element_id)
    return [Header.from_row(row) for row in rows or ()]
