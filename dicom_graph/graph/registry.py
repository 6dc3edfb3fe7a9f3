"""The kinds of objects that the schema has, each with all that is known of it in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

from dicom_graph.dicom.entities import IMAGE, PATIENT, SERIES, STUDY, Description
from dicom_graph.graph.context import Loaders
from dicom_graph.graph.inputs.audit import AuditEntryFilter
from dicom_graph.graph.inputs.clauses import condition_of
from dicom_graph.graph.inputs.elements import (
    DataElementDefinitionFilter,
    DataElementValueFilter,
    ElementFilter,
    HeaderFilter,
    definition_condition,
    element_condition,
    header_condition,
    value_condition,
)
from dicom_graph.graph.inputs.entities import (
    ImageFilter,
    ImportJobFilter,
    PatientFilter,
    SeriesFilter,
    StudyFilter,
)
from dicom_graph.graph.inputs.field_names import camel_case
from dicom_graph.graph.inputs.orders import (
    AuditEntryOrder,
    DataElementValueOrder,
    HeaderOrder,
    ImageOrder,
    ImportJobOrder,
    PatientOrder,
    SeriesOrder,
    StudyOrder,
)
from dicom_graph.graph.inputs.search import search_condition
from dicom_graph.graph.loading import Loader
from dicom_graph.store.read import Condition
from dicom_graph.store.read.conditions import And

_TYPES = "dicom_graph.graph.types"


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of objects: its name in the store, whose `ENTITY_TABLES` have its table, and where its
    type is.

    `filter`, `order`: the inputs that lists of it take; `condition`: what a filter means.
    `key`: what `loader` takes, of a row; `loader`: what loads its rows by id, where that is not the
    entities' own; `by_id_only`: also those of a list, which has their ids alone. `described`: what
    its fields are. `searched_with`: other entities whose texts a search looks into. `guarded_as`:
    the field of the root whose right a single object needs, too.
    """

    name: str
    path: str
    filter: Any = None
    order: Any = None
    condition: Callable[[Any], Condition | None] = condition_of
    described: Description | None = None
    loader: Callable[[Loaders], Loader[Any, Any]] | None = None
    by_id_only: bool = False
    key: Callable[[Any], Any] = attrgetter("id")
    searched_with: tuple[str, ...] = ()
    guarded_as: str | None = None

    @property
    def type_name(self) -> str:
        """The name of its type in the schema."""
        return self.path.rpartition(".")[2]

    @property
    def type(self) -> Any:
        """Its type; the types are made of these registrations, so it is looked up when asked."""
        module, _, name = self.path.rpartition(".")
        return getattr(import_module(module), name)

    def rows(self, loaders: Loaders) -> Loader[Any, Any]:
        """What loads its rows by id."""
        return self.loader(loaders) if self.loader is not None else loaders.entity(self.name)

    @property
    def searched(self) -> tuple[str, ...]:
        """The fields that a search looks into."""
        described = self.described
        return tuple(a.name for a in described.searched) if described is not None else ()

    @property
    def searched_in(self) -> str:
        """What a search looks into, in words: its own fields, and those of others."""
        others = [
            f"of its {other} {_names(ENTITIES[other].searched)}" for other in self.searched_with
        ]
        return "; ".join([_names(self.searched), *others])

    def wanted(self, filter: Any, search: str | None = None) -> Condition | None:
        """The condition of a filter and a search; None where nothing is asked. Raises BadInput."""
        condition = self.condition(filter) if filter is not None else None
        if search is None:
            return condition
        related = {name: ENTITIES[name].searched for name in self.searched_with}
        found = search_condition(self.searched, search, related)
        return found if condition is None else And((condition, found))


def _names(fields: tuple[str, ...]) -> str:
    return ", ".join(f"`{camel_case(name)}`" for name in fields)


def _make_values(row: Any) -> Any:
    return import_module(f"{_TYPES}.values").make_values(row)


ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        Entity(
            "patient", f"{_TYPES}.patient.Patient", PatientFilter, PatientOrder, described=PATIENT
        ),
        Entity("study", f"{_TYPES}.study.Study", StudyFilter, StudyOrder, described=STUDY),
        Entity("series", f"{_TYPES}.series.Series", SeriesFilter, SeriesOrder, described=SERIES,
            searched_with=("study", "patient")),
        Entity("image", f"{_TYPES}.image.Image", ImageFilter, ImageOrder, described=IMAGE),
        Entity("header", f"{_TYPES}.header.Header", HeaderFilter, HeaderOrder,
            condition=header_condition, loader=lambda loaders: loaders.header),
        Entity(
            "data_element_value", f"{_TYPES}.value.DataElementValue", DataElementValueFilter,
            DataElementValueOrder, condition=value_condition,
            loader=lambda loaders: loaders.value(_make_values), by_id_only=True,
            key=lambda row: (row.element_id, row.index),
        ),
        Entity(
            "data_element", f"{_TYPES}.element.DataElement", ElementFilter,
            condition=element_condition, loader=lambda loaders: loaders.element, by_id_only=True,
        ),
        Entity(
            "data_element_definition", f"{_TYPES}.element.DataElementDefinition",
            DataElementDefinitionFilter, condition=definition_condition,
            loader=lambda loaders: loaders.definition,
        ),
        Entity("import_job", f"{_TYPES}.import_job.ImportJob", ImportJobFilter, ImportJobOrder),
        Entity(
            "audit_entry", f"{_TYPES}.audit_entry.AuditEntry", AuditEntryFilter, AuditEntryOrder,
            guarded_as="auditEntries",
        ),
        Entity("protocol", f"{_TYPES}.protocol.Protocol", guarded_as="protocols"),
    )
}  # fmt: skip
"""By name."""
