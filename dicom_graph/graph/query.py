"""The query root."""

import asyncio
from typing import Annotated

import strawberry

from dicom_graph.access.policy import need_of_field
from dicom_graph.errors import BadInput
from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Info
from dicom_graph.graph.facets import Entity, FacetValue, facet
from dicom_graph.graph.fields import root_list
from dicom_graph.graph.node import Node
from dicom_graph.graph.permissions import require
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.graph.search import SearchResult, search
from dicom_graph.graph.types.audit_entry import AuditEntry
from dicom_graph.graph.types.bids import BidsVolume, bids_plan
from dicom_graph.graph.types.comparison import MOST, HeaderComparison, comparison
from dicom_graph.graph.types.element import DataElement, DataElementDefinition
from dicom_graph.graph.types.entity_field import EntityField, fields_of
from dicom_graph.graph.types.header import Header
from dicom_graph.graph.types.image import Image
from dicom_graph.graph.types.import_folder import ImportFolder, import_folder
from dicom_graph.graph.types.import_job import ImportJob
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.protocol import Protocol
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.types.study import Study
from dicom_graph.graph.types.value import DataElementValue
from dicom_graph.graph.types.values import make_values
from dicom_graph.graph.types.viewer import Viewer
from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.global_ids import split_global_id, split_value_id

_MAX_NODES = 10_000
_NODES_AT_ONCE = 500
Uid = Annotated[str, strawberry.argument(description="The UID, or the PatientID of a patient.")]
Id = Annotated[strawberry.ID, strawberry.argument(description="A global id.")]


_BY_TYPE = {
    entity.type_name: entity
    for entity in ENTITIES.values()
    if entity.name != "data_element_value"  # Two numbers tell it: see `split_value_id`.
}


async def load_node(info: Info, id: str) -> Node | None:
    """The object of a global id, None where it is gone. Raises BadInput for any other text."""
    of_value = split_value_id(id)
    if of_value is not None:
        return await _load_value(info, *of_value)
    type_name, key = split_global_id(id)
    if type_name not in _BY_TYPE:
        raise BadInput(f"{id[:100]!r} is not an id that this server gave")
    entity = _BY_TYPE[type_name]
    if entity.guarded_as is not None:
        require(info.context, need_of_field("Query", entity.guarded_as), entity.guarded_as)
    row = await entity.rows(info.context.loaders).load(key)
    node: Node | None = entity.type.from_row(row) if row is not None else None
    return node


async def _load_value(info: Info, element_id: int, index: int) -> Node | None:
    row = await info.context.loaders.element.load(element_id)
    values = make_values(row) if row is not None else []
    return next((value for value in values if value.index == index), None)


@strawberry.type(
    description="Everything that can be asked. A list here is null where it cannot be given: an "
    "error says why, and the other fields are answered."
)
class Query:
    patients: Connection[Patient] | None = root_list(
        "patient", "All patients, by family and given name."
    )
    studies: Connection[Study] | None = root_list("study", "All studies, latest first.")
    series: Connection[Series] | None = root_list("series", "All series, latest first.")
    images: Connection[Image] | None = root_list("image", "All images, by series and number.")
    data_elements: Connection[DataElement] | None = root_list(
        "data_element", "All distinct elements, in the order in which they came."
    )
    data_element_values: Connection[DataElementValue] | None = root_list(
        "data_element_value",
        "The values of all distinct elements, by element and index; bytes are none, but for UN "
        "that is printable.",
    )
    headers: Connection[Header] | None = root_list(
        "header",
        "All headers, of images and of the items of sequences, in the order in which they came.",
    )
    data_element_definitions: Connection[DataElementDefinition] | None = root_list(
        "data_element_definition", "All definitions that occur, by keyword; private ones first."
    )
    import_jobs: Connection[ImportJob] | None = root_list(
        "import_job", "All imports, latest first."
    )
    audit_entries: Connection[AuditEntry] | None = root_list(
        "audit_entry", "The audit log, latest first; for admins."
    )

    protocols: Connection[Protocol] | None = root_list(
        "protocol", "Protocols that series can be held against, by name; for users who see all."
    )

    import_folder: ImportFolder | None = strawberry.field(
        resolver=import_folder,
        description="What lies in a folder on the server, inside its import roots; for importers.",
    )

    @computed("The folders that may be imported from, and all below them; for importers.")
    def import_roots(self, info: Info) -> list[str] | None:
        return [str(root) for root in info.context.services.import_roots]

    @computed("Who asks, and what they may do.")
    def viewer(self, info: Info) -> Viewer:
        return Viewer.of(info.context.principal)

    @computed(
        "The fields of an entity: label, unit, keyword, operators, whether it can be sorted and "
        "edited; for tables and forms."
    )
    def entity_fields(self, entity: Entity) -> list[EntityField] | None:
        return fields_of(entity)

    @computed(
        "What the headers of images or series have in common, and where they differ; of a series "
        "it is the header of its first image by number. 2 to 20 of them."
    )
    async def compare_headers(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="Ids of images and series, 2 to 20."),
        ],
    ) -> HeaderComparison | None:
        few = ids[: MOST + 1]
        return await comparison(info, await asyncio.gather(*(load_node(info, id) for id in few)))

    facet: list[FacetValue] | None = strawberry.field(
        resolver=facet,
        description="The distinct values of a field of an entity, or of an element of the images' "
        "headers, with how many have each; the most frequent first.",
    )

    bids_plan: list[BidsVolume] | None = strawberry.field(
        resolver=bids_plan,
        description="What the volumes of series, up to 1,000, become in a BIDS data set; headers "
        "of their files are read.",
    )

    search: SearchResult | None = strawberry.field(
        resolver=search,
        description="Patients, studies, series, definitions of elements and values by what their "
        "texts hold: for a search box.",
    )

    @computed("The patient of a PatientID (0010,0020).")
    async def patient_by_uid(self, info: Info, uid: Uid) -> Patient | None:
        row = await info.context.loaders.entity_by_uid("patient").load(uid)
        return Patient.from_row(row) if row is not None else None

    @computed("The study of a StudyInstanceUID (0020,000D).")
    async def study_by_uid(self, info: Info, uid: Uid) -> Study | None:
        row = await info.context.loaders.entity_by_uid("study").load(uid)
        return Study.from_row(row) if row is not None else None

    @computed("The series of a SeriesInstanceUID (0020,000E).")
    async def series_by_uid(self, info: Info, uid: Uid) -> Series | None:
        row = await info.context.loaders.entity_by_uid("series").load(uid)
        return Series.from_row(row) if row is not None else None

    @computed("The image of a SOPInstanceUID (0008,0018).")
    async def image_by_uid(self, info: Info, uid: Uid) -> Image | None:
        row = await info.context.loaders.entity_by_uid("image").load(uid)
        return Image.from_row(row) if row is not None else None

    @computed("An import by its global id.")
    async def import_job(self, info: Info, id: Id) -> ImportJob | None:
        node = await load_node(info, id)
        if node is not None and not isinstance(node, ImportJob):
            raise BadInput(f"{id!r} is the id of a {type(node).__name__}, not of an import job")
        return node

    @computed("Any object by its global id; null where it is gone.")
    async def node(self, info: Info, id: Id) -> Node | None:
        return await load_node(info, id)

    @computed("Objects by their global ids, in the same order; null where one is gone.")
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="Up to 10,000 global ids.")
        ],
    ) -> list[Node | None] | None:
        if len(ids) > _MAX_NODES:
            raise BadInput(f"{len(ids)} ids; at most {_MAX_NODES} can be asked for at once")
        found: list[Node | None] = []
        for start in range(0, len(ids), _NODES_AT_ONCE):
            some = ids[start : start + _NODES_AT_ONCE]
            found += await asyncio.gather(*(load_node(info, id) for id in some))
            await current_budget().hold_and_share(0)
        return found
