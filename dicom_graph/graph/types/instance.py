"""Instance: what an image's file holds, also what the database does not."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, cast

import strawberry

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.vr_names import vr_name
from dicom_graph.errors import BadInput
from dicom_graph.exports.header_json import dicom_json
from dicom_graph.graph.computed import computed
from dicom_graph.graph.scalars import JSON, BigInt
from dicom_graph.graph.types.display import display_element
from dicom_graph.graph.types.values import plain_value
from dicom_graph.store.read import ElementQuery
from dicom_graph.store.read.element_path import checked_keyword, checked_tag, parse_path
from dicom_graph.store.read.elements import ElementNode

_field = strawberry.field
_HERE = "dicom_graph.graph.types.instance"


@strawberry.type(description="An element as the file has it. It is no object of the database.")
class InstanceElement:
    node: strawberry.Private[ElementNode]
    image_uid: strawberry.Private[str]
    tag: str = _field(description="(gggg,eeee) as in the file.")
    private_creator: str | None = _field(
        description="Who defines a private element; null for a standard one."
    )
    keyword: str | None = _field(description="The standard's keyword; null for a private element.")
    name: str = _field(description="The standard's name, or pydicom's for a private element.")
    vr: str = _field(description="The value representation: two letters (PS3.5 6.2).")
    vm: int = _field(description="The multiplicity: how many values; of a sequence, items.")
    length: BigInt = _field(description="The length of the value in bytes; 0 for a sequence.")
    warnings: list[str] = _field(description="What could not be read as the standard says.")

    @classmethod
    def of(cls, node: ElementNode, image_uid: str) -> "InstanceElement":
        """The element of a node."""
        row = node.element
        return cls(
            node=node,
            image_uid=image_uid,
            tag=format_tag(row.tag),
            private_creator=row.definition.private_creator or None,
            keyword=row.definition.keyword or None,
            name=row.definition.name,
            vr=row.definition.vr,
            vm=row.vm,
            length=BigInt(row.length),
            warnings=row.warnings,
        )

    @computed("What the value representation is called, such as Code String (PS3.5 table 6.2-1).")
    def vr_name(self) -> str | None:
        return vr_name(self.vr)

    @computed("The value as plain JSON, as `value` of a DataElement.")
    def value(self) -> JSON | None:
        return cast(JSON | None, plain_value(self.node.element))

    @computed("The values as people read them, as `display` of a DataElement.")
    def display(self) -> str | None:
        return display_element(self.node.element)

    @computed("The items of a sequence, in order; null for any other VR.")
    def items(self) -> list[Annotated["Instance", strawberry.lazy(_HERE)]] | None:
        items = self.node.items
        return (
            None
            if items is None
            else [Instance(nodes=item, image_uid=self.image_uid) for item in items]
        )


@strawberry.type(
    description="What an image's file holds, read for this operation: private elements too, "
    "whatever was imported. Pixel data and the file meta information are not among it."
)
class Instance:
    nodes: strawberry.Private[Sequence[ElementNode]]
    image_uid: strawberry.Private[str]

    @computed("Its elements in the order of their tags; all arguments narrow.")
    def elements(
        self,
        keywords: Annotated[
            list[str] | None,
            strawberry.argument(description="Only these standard keywords, such as EchoTime."),
        ] = None,
        tags: Annotated[
            list[str] | None,
            strawberry.argument(
                description="Only these tags, as (0018,0081) or (0019,xx9C) in any block."
            ),
        ] = None,
        private: Annotated[
            bool | None,
            strawberry.argument(description="Only private elements, or only standard ones."),
        ] = None,
    ) -> list[InstanceElement]:
        query = ElementQuery(
            keywords=None if keywords is None else frozenset(map(checked_keyword, keywords)),
            tags=None if tags is None else frozenset(map(checked_tag, tags)),
            private=private,
        )
        return [InstanceElement.of(node, self.image_uid) for node in _matching(self.nodes, query)]

    @computed("One element by keyword, tag or path; null where the file does not hold it.")
    def element(
        self,
        keyword: Annotated[
            str | None, strawberry.argument(description="A standard keyword, such as EchoTime.")
        ] = None,
        tag: Annotated[
            str | None, strawberry.argument(description="A tag, as (0018,0081) or (0019,xx9C).")
        ] = None,
        private_creator: Annotated[
            str | None,
            strawberry.argument(description="With a private tag: its creator, GEMS_ACQU_01."),
        ] = None,
        path: Annotated[
            str | None,
            strawberry.argument(
                description="Keywords or tags with item indexes, as `element` of a Header takes."
            ),
        ] = None,
    ) -> InstanceElement | None:
        if sum(argument is not None for argument in (keyword, tag, path)) != 1:
            raise BadInput("give `keyword`, `tag` or `path`, one of them")
        if private_creator is not None and tag is None:
            raise BadInput("`privateCreator` goes with `tag`")
        if path is not None:
            node = _follow(self.nodes, path)
            return None if node is None else InstanceElement.of(node, self.image_uid)
        query = ElementQuery(
            keywords=None if keyword is None else frozenset({checked_keyword(keyword)}),
            tags=None if tag is None else frozenset({checked_tag(tag)}),
            private_creator=private_creator,
        )
        found = _matching(self.nodes, query)
        return InstanceElement.of(found[0], self.image_uid) if found else None

    @computed(
        "All elements in the DICOM JSON Model (PS3.18 F.2), nested ones too; values "
        "beyond 64 KiB, but for Siemens CSA headers, have a BulkDataURI that a GET answers."
    )
    async def json(self) -> JSON:
        return cast(JSON, await asyncio.to_thread(dicom_json, self.nodes, self.image_uid))


def _matching(nodes: Sequence[ElementNode], query: ElementQuery) -> list[ElementNode]:
    return [node for node in nodes if query.matches(node.element.definition, node.element.tag)]


def _follow(nodes: Sequence[ElementNode], path: str) -> ElementNode | None:
    steps = parse_path(path)
    for step in steps[:-1]:
        found = _matching(nodes, step.query)
        items = found[0].items if found else None
        if not items or (step.item or 0) >= len(items):
            return None
        nodes = items[step.item or 0]
    found = _matching(nodes, steps[-1].query)
    return found[0] if found else None
