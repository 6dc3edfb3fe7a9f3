"""Header: a data set, of an image or of a sequence item."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import strawberry

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.vr_names import vr_name
from dicom_graph.errors import BadInput
from dicom_graph.exports.header_json import dicom_json, has_bulk_data
from dicom_graph.graph import csa
from dicom_graph.graph.batch_marks import elements_of
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.imaging import instance_of
from dicom_graph.graph.inputs.groups import ElementKey, element_names
from dicom_graph.graph.limits.arguments import MOST_KEYS
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.scalars import JSON
from dicom_graph.graph.types.element import DataElement
from dicom_graph.graph.types.header_table import TableRow, header_html, table_rows
from dicom_graph.graph.types.instance import Instance
from dicom_graph.graph.urls import absolute, page_path
from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.read import ElementQuery
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.element_path import checked_keyword, checked_tag, parse_path
from dicom_graph.store.read.elements import ElementNode, ElementRow

if TYPE_CHECKING:
    from dicom_graph.graph.types.image import Image

Lazy = strawberry.lazy
T = TypeVar("T")
_LARGE = 2000
"""Elements of a header, nested ones too."""
_WRITTEN = 450
"""About the bytes of memory that an element takes as JSON."""


def query_of(
    keywords: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    private: bool | None = None,
    has_warnings: bool | None = None,
) -> ElementQuery:
    """The query of the arguments of `elements`. Raises BadInput for no keyword, or no tag."""
    return ElementQuery(
        keywords=frozenset(map(checked_keyword, keywords)) if keywords is not None else None,
        tags=frozenset(map(checked_tag, tags)) if tags is not None else None,
        private=private,
        has_warnings=has_warnings,
    )


@strawberry.type(description="One element in the flat list of a header.")
class HeaderRow:
    path: str = strawberry.field(
        description="How to reach it: `element(path:)` of the same header takes it."
    )
    depth: int = strawberry.field(description="How many sequences are around it.")
    tag: str = strawberry.field(description="(gggg,eeee) as in the file.")
    private_creator: str | None = strawberry.field(description="Who defines a private element.")
    keyword: str | None = strawberry.field(description="The standard's keyword, if it has one.")
    name: str = strawberry.field(description="The standard's name, or pydicom's.")
    vr: str = strawberry.field(description="The value representation.")
    vm: int = strawberry.field(description="The multiplicity; of a sequence, its items.")
    value: str = strawberry.field(description="The values in one text of up to 100 characters.")

    @computed("What the value representation is called, such as Code String (PS3.5 table 6.2-1).")
    def vr_name(self) -> str | None:
        return vr_name(self.vr)

    @classmethod
    def from_row(cls, row: TableRow) -> "HeaderRow":
        """The row of the flat list."""
        definition = row.element.definition
        return cls(
            path=row.path,
            depth=row.depth,
            tag=format_tag(row.element.tag),
            private_creator=definition.private_creator or None,
            keyword=definition.keyword or None,
            name=definition.name,
            vr=definition.vr,
            vm=row.element.vm,
            value=row.value,
        )


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

    @computed("The address of its page, without scheme and host.")
    def resource_path(self) -> str:
        return page_path("headers", self.id)

    @computed("The address of its page.")
    def url(self) -> str:
        return absolute(page_path("headers", self.id))

    @computed("The image whose header it is; null for an item.")
    async def image(
        self, info: Info
    ) -> Annotated["Image", Lazy("dicom_graph.graph.types.image")] | None:
        from dicom_graph.graph.types.image import Image

        if self.row.image_id is None:
            return None
        row = await info.context.loaders.entity("image").load(self.row.image_id)
        return Image.from_row(row) if row is not None else None

    @computed("What the file of its image holds: see `Image.instance`; null for an item.")
    async def instance(self, info: Info) -> Instance | None:
        image = await self.image(info)
        if image is None:
            return None
        return Instance(nodes=await instance_of(info, image), image_uid=image.uid)

    @computed("The sequence element whose item it is; null for an image's.")
    async def parent(self, info: Info) -> DataElement | None:
        if self.row.element_id is None:
            return None
        row = await info.context.loaders.element.load(self.row.element_id)
        return DataElement.made_once(info, row) if row is not None else None

    @computed("Its elements in the order of their tags; all arguments narrow.")
    @elements_of(query_of)
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
        has_warnings: Annotated[
            bool | None,
            strawberry.argument(description="Only elements with warnings, or only those without."),
        ] = None,
    ) -> list[DataElement]:
        query = query_of(keywords, tags, private, has_warnings)
        rows = await info.context.loaders.elements_of(query).load(self.row)
        return [DataElement.made_once(info, row) for row in rows]

    @computed(
        "One element by keyword, tag or path; null where the header does not hold it. The first "
        "item is taken where a path does not say which."
    )
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
        path: Annotated[
            str | None,
            strawberry.argument(
                description="Keywords or tags with item indexes: "
                "SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing."
            ),
        ] = None,
    ) -> DataElement | None:
        if sum(argument is not None for argument in (keyword, tag, path)) != 1:
            raise BadInput("give `keyword`, `tag` or `path`, one of them")
        if private_creator is not None and tag is None:
            raise BadInput("`privateCreator` goes with `tag`")
        if path is not None:
            return await _at(info, self.row, [(s.query, s.item or 0) for s in parse_path(path)])
        query = ElementQuery(
            keywords=frozenset({checked_keyword(keyword)}) if keyword is not None else None,
            tags=frozenset({checked_tag(tag)}) if tag is not None else None,
            private_creator=private_creator,
        )
        rows = await info.context.loaders.elements_of(query).load(self.row)
        return DataElement.made_once(info, rows[0]) if rows else None

    @computed(
        "Elements by keyword, tag or path, as `element` finds them, in the order of the keys: as "
        "many as there are keys, null where the header does not hold one. For the columns of "
        "tables."
    )
    async def elements_at(
        self,
        info: Info,
        keys: Annotated[
            list[ElementKey], strawberry.argument(description=f"Which elements, up to {MOST_KEYS}.")
        ],
    ) -> list[DataElement | None]:
        ways = [tuple(_way(step) for step in element_names(key)) for key in keys]
        found: dict[_Way, DataElement | None] = {}
        of_header = list(dict.fromkeys(way for way in ways if len(way) == 1))
        if of_header:
            queries = tuple(query for ((query, _),) in of_header)
            rows = await info.context.loaders.first_elements(queries).load(self.row)
            for only, row in zip(of_header, rows, strict=True):
                found[only] = DataElement.made_once(info, row) if row is not None else None
        for way in ways:
            # One after the other, so that other headers' are looked up together with each.
            if way not in found:
                found[way] = await _at(info, self.row, way)
        return [found[way] for way in ways]

    @computed(
        "A Siemens CSA header as JSON, or one value of it by a path such as "
        "MrPhoenixProtocol.sSliceArray.lSize or B_value; null where the header has none or the "
        "path leads nowhere. The image's header is looked into first, then the series'. Software "
        "XA has MrPhoenixProtocol alone, from (0021,xx19) of SIEMENS MR SDS 01."
    )
    async def csa_header(
        self,
        info: Info,
        path: Annotated[
            str | None, strawberry.argument(description="A dotted path with [i] for lists.")
        ] = None,
    ) -> JSON | None:
        rows = await _csa_headers(info, self.row)
        return cast(JSON | None, await asyncio.to_thread(csa.look_up, rows, path))

    @computed(
        "All elements in the DICOM JSON Model (PS3.18 F.2), nested ones too; values "
        "beyond 64 KiB, but for Siemens CSA headers, have a BulkDataURI that a GET answers."
    )
    async def json(self, info: Info) -> JSON:
        tree = await info.context.loaders.tree.load(self.row)
        uid = await self._image_uid(info) if has_bulk_data(tree) else None
        return cast(JSON, await _written(tree, partial(dicom_json, image_uid=uid), _WRITTEN))

    async def _image_uid(self, info: Info) -> str | None:
        """The SOPInstanceUID of the image that has it; of an item, of one that has it."""
        image_id = self.row.image_id
        if image_id is None:
            found = await info.context.store.images_of_element(self.row.element_id, limit=1)
            if not found:
                return None
            image_id = found[0]
        row = await info.context.loaders.entity("image").load(image_id)
        return None if row is None else str(row.uid)

    @computed("All elements as a flat list, each sequence followed by those of its items.")
    async def table(self, info: Info) -> list[HeaderRow]:
        tree = await info.context.loaders.tree.load(self.row)
        return await _written(
            tree, lambda tree: [HeaderRow.from_row(row) for row in table_rows(tree)]
        )

    @computed("All elements as an HTML table, escaped; items are tables inside it.")
    async def html(self, info: Info) -> str:
        tree = await info.context.loaders.tree.load(self.row)
        return await _written(tree, header_html)


async def _written(tree: Sequence[ElementNode], write: Callable[[Any], T], memory: int = 0) -> T:
    """A whole header in some form; a large one in a thread, as it takes more than one turn."""
    budget, n_elements = current_budget(), _count(tree)
    await budget.hold_and_share(memory * n_elements)
    if n_elements <= _LARGE:
        return write(tree)
    return await asyncio.to_thread(write, tree)


def _count(tree: Sequence[ElementNode]) -> int:
    nested = (item for node in tree if node.items for item in node.items)
    return len(tree) + sum(map(_count, nested))


_Way = tuple[tuple[ElementQuery, int], ...]
"""What leads to an element: at each step the query, and which item to enter."""


def _way(step: HasElement) -> tuple[ElementQuery, int]:
    """The elements of a header that a step of a key names, and which item of theirs to enter."""
    query = ElementQuery(
        keywords=frozenset({step.keyword}) if step.keyword is not None else None,
        tags=frozenset({step.tag}) if step.tag is not None else None,
        private_creator=step.private_creator,
    )
    return query, step.index or 0


async def _csa_headers(info: Info, header: Any) -> list[ElementRow]:
    """The header's CSA headers, else the protocol in the functional groups that frames share."""
    loaders = info.context.loaders
    found = list(filter(csa.is_csa_header, await loaders.elements_of(csa.QUERY).load(header)))
    for query in () if found else csa.WAY_TO_XA:
        sequences = await loaders.elements_of(query).load(header)
        items = await loaders.items.load(sequences[0].id) if sequences else None
        if not items:
            return []
        header = items[0]
    if not found:
        rows = await loaders.elements_of(csa.QUERY).load(header)
        found = list(filter(csa.is_csa_header, rows))
    return found


async def _at(
    info: Info, header: Any, steps: Sequence[tuple[ElementQuery, int]]
) -> DataElement | None:
    """The element at the end of the way, or None; batched with other headers' at each step."""
    loaders = info.context.loaders
    for place, (query, index) in enumerate(steps):
        rows = await loaders.elements_of(query).load(header)
        if not rows:
            return None
        if place == len(steps) - 1:
            return DataElement.made_once(info, rows[0])
        items = await loaders.items.load(rows[0].id)
        if not items or index >= len(items):
            return None
        header = items[index]
    return None
