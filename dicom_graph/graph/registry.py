"""The kinds of objects that the schema has, each with all that is known of it in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from strawberry.dataloader import DataLoader

from dicom_graph.dicom.entities import IMAGE, PATIENT, SERIES, STUDY, Description
from dicom_graph.graph.context import Loaders
from dicom_graph.graph.inputs.audit import AuditEntryFilter
from dicom_graph.graph.inputs.clauses import condition_of
from dicom_graph.graph.inputs.elements import (
    DataElementDefinitionFilter,
    ElementFilter,
    definition_condition,
    element_condition,
)
from dicom_graph.graph.inputs.entities import (
    ImageFilter,
    ImportJobFilter,
    PatientFilter,
    SeriesFilter,
    StudyFilter,
)
from dicom_graph.graph.inputs.orders import (
    AuditEntryOrder,
    ImageOrder,
    ImportJobOrder,
    PatientOrder,
    SeriesOrder,
    StudyOrder,
)
from dicom_graph.graph.inputs.search import search_condition
from dicom_graph.store.read import Condition
from dicom_graph.store.read.conditions import And


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of objects: its name in the store, where the table of that name is, and its type.

    `filter`, `order`: the inputs that lists of it take; `condition`: what a filter means.
    `described`: what its fields are. `loader`: what loads its rows by id, where that is not the
    entities' own; `by_id_only`: also those of a list, which has their ids alone. `guarded_as`: the
    field of the root whose right a single object needs, too.
    """

    name: str
    module: str
    type_name: str
    filter: Any = None
    order: Any = None
    condition: Callable[[Any], Condition | None] = condition_of
    described: Description | None = None
    loader: Callable[[Loaders], DataLoader[int, Any]] | None = None
    by_id_only: bool = False
    guarded_as: str | None = None

    @property
    def type(self) -> Any:
        """Its type; the types are made of these registrations, so it is looked up when asked."""
        module = import_module(f"dicom_graph.graph.types.{self.module}")
        return getattr(module, self.type_name)

    def rows(self, loaders: Loaders) -> DataLoader[int, Any]:
        """What loads its rows by id."""
        return self.loader(loaders) if self.loader is not None else loaders.entity(self.name)

    @property
    def searched(self) -> tuple[str, ...]:
        """The fields that a search looks into."""
        described = self.described
        return tuple(a.name for a in described.searched) if described is not None else ()

    def wanted(self, filter: Any, search: str | None = None) -> Condition | None:
        """The condition of a filter and a search; None where nothing is asked. Raises BadInput."""
        condition = self.condition(filter) if filter is not None else None
        if search is None:
            return condition
        found = search_condition(self.searched, search)
        return found if condition is None else And((condition, found))


ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        Entity("patient", "patient", "Patient", PatientFilter, PatientOrder, described=PATIENT),
        Entity("study", "study", "Study", StudyFilter, StudyOrder, described=STUDY),
        Entity("series", "series", "Series", SeriesFilter, SeriesOrder, described=SERIES),
        Entity("image", "image", "Image", ImageFilter, ImageOrder, described=IMAGE),
        Entity("header", "header", "Header", loader=lambda loaders: loaders.header),
        Entity(
            "data_element", "element", "DataElement", ElementFilter,
            condition=element_condition, loader=lambda loaders: loaders.element, by_id_only=True,
        ),
        Entity(
            "data_element_definition", "element", "DataElementDefinition",
            DataElementDefinitionFilter, condition=definition_condition,
            loader=lambda loaders: loaders.definition,
        ),
        Entity("import_job", "import_job", "ImportJob", ImportJobFilter, ImportJobOrder),
        Entity(
            "audit_entry", "audit_entry", "AuditEntry", AuditEntryFilter, AuditEntryOrder,
            guarded_as="auditEntries",
        ),
    )
}  # fmt: skip
"""By name."""
