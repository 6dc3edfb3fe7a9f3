"""The tables of the entities, their default orders, and how one leads to another."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Table, or_, select, union_all

from dicom_graph.store.postings import postings
from dicom_graph.store.read.containing_images import images_of_elements
from dicom_graph.store.read.pages import Order
from dicom_graph.store.sql.many_values import join_in_order
from dicom_graph.store.tables.audit import AuditEntry
from dicom_graph.store.tables.base import Base
from dicom_graph.store.tables.columns import HEADER, IMAGE, SERIES
from dicom_graph.store.tables.entities import DESCRIBED_TABLES
from dicom_graph.store.tables.headers import (
    DataElement,
    DataElementDefinition,
    DataElementValue,
    ElementSetMember,
    Header,
    HeaderElement,
)
from dicom_graph.store.tables.imports import ImportJob
from dicom_graph.store.tables.protocols import Protocol

_OTHERS: dict[str, type[Base]] = {
    "header": Header, "data_element": DataElement, "import_job": ImportJob,
    "data_element_definition": DataElementDefinition, "audit_entry": AuditEntry,
    "protocol": Protocol,
    "data_element_value": DataElementValue,
}  # fmt: skip
ENTITY_TABLES: dict[str, Table] = DESCRIBED_TABLES | {
    name: Base.metadata.tables[model.__tablename__] for name, model in _OTHERS.items()
}

DEFAULT_ORDERS: dict[str, tuple[Order, ...]] = {
    "patient": (Order("family_name"), Order("given_name"), Order("id")),
    "study": (Order("date", True), Order("time", True), Order("id", True)),
    "series": (Order("date", True), Order("time"), Order("number"), Order("id")),
    "image": (Order("series_id"), Order("number"), Order("id")),
    "header": (Order("id"),),
    "data_element": (Order("id"),),
    "data_element_value": (Order("element_id"), Order("index")),
    "data_element_definition": (
        Order("keyword"),
        Order("tag"),
        Order("private_creator"),
        Order("vr"),
        Order("id"),
    ),
    "import_job": (Order("id", True),),
    "audit_entry": (Order("id", True),),
    "protocol": (Order("name"), Order("id")),
}


class Parent(NamedTuple):
    """A parent of a list; `patient_id` narrows a study to what is one patient's of it."""

    id: int
    patient_id: int | None = None


Condition = Callable[[FromClause, FromClause], ColumnElement[bool]]


class Relation(NamedTuple):
    """From a parent entity to a list of child entities."""

    child: str
    condition: Condition


def _of_patient(column: Any, parents: FromClause) -> ColumnElement[bool]:
    return or_(parents.c.patient_id.is_(None), column == parents.c.patient_id)


def _studies_of_patient(study: FromClause, parents: FromClause) -> ColumnElement[bool]:
    found = select(SERIES.study_id).where(SERIES.patient_id == parents.c.id)
    return study.c.id.in_(found.correlate(parents))


def _images_of_patient(image: FromClause, parents: FromClause) -> ColumnElement[bool]:
    found = select(SERIES.id).where(SERIES.patient_id == parents.c.id)
    return image.c.series_id.in_(found.correlate(parents))


def _patients_of_study(patient: FromClause, parents: FromClause) -> ColumnElement[bool]:
    found = select(SERIES.patient_id).where(SERIES.study_id == parents.c.id)
    return patient.c.id.in_(found.correlate(parents))


def _series_of_study(series: FromClause, parents: FromClause) -> ColumnElement[bool]:
    return (series.c.study_id == parents.c.id) & _of_patient(series.c.patient_id, parents)


def _images_of_study(image: FromClause, parents: FromClause) -> ColumnElement[bool]:
    found = select(SERIES.id).where(
        SERIES.study_id == parents.c.id, _of_patient(SERIES.patient_id, parents)
    )
    return image.c.series_id.in_(found.correlate(parents))


def _headers_of_element(header: FromClause, parents: FromClause) -> ColumnElement[bool]:
    held, member = postings(HeaderElement), postings(ElementSetMember)
    own = held.holders().where(held.element_id == parents.c.id)
    sets = member.holders().where(member.element_id == parents.c.id)
    shared = select(HEADER.id).where(HEADER.shared_set_id.in_(sets.correlate(parents)))
    return header.c.id.in_(union_all(own.correlate(parents), shared.correlate(parents)))


def _images_of_element(image: FromClause, parents: FromClause) -> ColumnElement[bool]:
    holders = images_of_elements(parents)
    found = select(holders.c.image_id).where(holders.c.root == parents.c.id)
    return image.c.id.in_(found.correlate(parents))


def _series_of_element(series: FromClause, parents: FromClause) -> ColumnElement[bool]:
    holders = images_of_elements(parents)
    found = (
        select(IMAGE.series_id)
        .select_from(join_in_order(holders, IMAGE.id, holders.c.image_id))
        .where(holders.c.root == parents.c.id)
    )
    return series.c.id.in_(found.correlate(parents))


RELATIONS: dict[str, Relation] = {
    "patient.studies": Relation("study", _studies_of_patient),
    "patient.series": Relation("series", lambda c, p: c.c.patient_id == p.c.id),
    "patient.images": Relation("image", _images_of_patient),
    "study.patients": Relation("patient", _patients_of_study),
    "study.series": Relation("series", _series_of_study),
    "study.images": Relation("image", _images_of_study),
    "series.images": Relation("image", lambda c, p: c.c.series_id == p.c.id),
    "data_element_definition.elements": Relation(
        "data_element", lambda c, p: c.c.definition_id == p.c.id
    ),
    "data_element.headers": Relation("header", _headers_of_element),
    "data_element.images": Relation("image", _images_of_element),
    "data_element.series": Relation("series", _series_of_element),
}
