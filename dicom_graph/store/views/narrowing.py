"""What users who are limited to groups, or see no identities, see: every statement narrowed.

Each statement of a connection gets common table expressions that carry the names of the tables,
and so hide them: `WITH series AS (SELECT * FROM main.series WHERE …)`. Whatever the statement does
with `series` (a filter, a count, a facet, a relation), it sees no others, and no place can be
forgotten.

A series is seen if its patient or its study is granted; an image, a header, a file through its
series, but an image whose header names another patient or study only if one of these is granted
too; a patient or a study if it is granted itself or one of its series is seen. A file whose
header is not its image's is seen by those who see the image, if whom or what it names is granted
too: its path may name another patient. Imports are not seen: their reports name files of all.

Who sees no identities sees the rows and columns that `withheld` has, of all tables.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    MetaData,
    Select,
    SelectBase,
    Table,
    and_,
    false,
    or_,
    select,
    true,
)

from dicom_graph.store.ingest.batch import DECIDING
from dicom_graph.store.postings import postings
from dicom_graph.store.sql.many_values import join_in_order
from dicom_graph.store.tables.accounts import Grant
from dicom_graph.store.tables.audit import AuditEntry
from dicom_graph.store.tables.base import Base
from dicom_graph.store.tables.columns import DATA_ELEMENT, HEADER, IMAGE, SERIES
from dicom_graph.store.tables.entities import Image, Patient, Series, Study
from dicom_graph.store.tables.files import File
from dicom_graph.store.tables.headers import ElementSet, ElementSetMember, Header, HeaderElement
from dicom_graph.store.tables.imports import ImportFailure, ImportJob
from dicom_graph.store.tables.protocols import Protocol
from dicom_graph.store.views.deidentified import shown_columns, shown_rows
from dicom_graph.store.views.deidentified_columns import DeidentifiedTable
from dicom_graph.store.views.visible_definitions import VisibleDefinitions

Groups = tuple[int, ...]
WHOLE: Mapping[str, Any] = {"groups": None, "visible": None}
"""Options of a statement that the server asks for itself: what it reads is not to be shown."""


def narrow_statement(
    connection: Connection, statement: Any, many: Any, parameters: Any, options: Any
) -> tuple[Any, Any, Any]:
    """Listens to executions: narrows a statement to what its options `groups` and `visible` see."""
    groups, visible = options.get("groups"), options.get("visible")
    if groups is not None or visible is not None:
        if not isinstance(statement, SelectBase):
            raise TypeError("who does not see everything may only read")
        statement = narrowed(
            statement, groups, visible, connection.dialect.default_schema_name or ""
        )
    return statement, many, parameters


def narrowed(
    statement: Any, groups: Groups | None, visible: VisibleDefinitions | None, schema: str
) -> Any:
    """A statement that sees what groups are granted, and what is `visible`; None for everything."""
    if groups is None and visible is None:
        return statement
    return statement.add_cte(*_tables(groups, visible, schema))


def visibility_conditions(entity: str, table: FromClause) -> list[ColumnElement[bool]]:
    """What rows of an entity's table need beyond that, where they are asked for themselves.

    A data element, and a header that is an item of one, is not of a series: it is seen if an image
    that is seen holds it, at any depth.
    """
    if entity == "data_element":
        return [is_held(table.c.id)]
    if entity == "data_element_value":
        element_id = table.c.element_id
        return [element_id.in_(select(DATA_ELEMENT.id)), is_held(element_id)]
    if entity == "header":
        return [or_(table.c.image_id.is_not(None), is_held(table.c.element_id))]
    return []


def is_held(element_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether an image that is seen holds the element of a column of the statement around."""
    start = select(element_id.label("id")).correlate_except()
    ancestors = start.cte("visible_ancestors", recursive=True, nesting=True)
    held = postings(HeaderElement)
    above = (
        select(HEADER.element_id)
        .select_from(held.up_to(HEADER.id, ancestors.c.id))
        .where(HEADER.element_id.is_not(None))
    )
    ancestors = ancestors.union(above)
    held, member = postings(HeaderElement), postings(ElementSetMember)
    sharing = member.up_to(HEADER.shared_set_id)
    own = (
        select(IMAGE.id)
        .select_from(join_in_order(held.up_to(HEADER.id), IMAGE.id, HEADER.image_id))
        .where(held.element_id == ancestors.c.id)
    )
    shared = (
        select(IMAGE.id)
        .select_from(join_in_order(sharing, IMAGE.id, HEADER.image_id))
        .where(member.element_id == ancestors.c.id)
    )
    is_held = or_(own.correlate(ancestors).exists(), shared.correlate(ancestors).exists())
    return select(ancestors.c.id).where(is_held).exists()


@lru_cache(maxsize=1000)
def _tables(
    groups: Groups | None, visible: VisibleDefinitions | None, schema: str
) -> Sequence[CTE]:
    hidden = _Hidden(schema, visible)
    conditions = _granted(hidden, groups) if groups is not None else {}
    if visible is not None:
        # After those of groups, which see each other by their short names.
        conditions |= {
            mapper.class_: true()
            for mapper in Base.registry.mappers
            if mapper.class_ not in conditions and mapper.local_table is not None
        }
    return tuple(hidden.narrow(model, condition) for model, condition in conditions.items())


def _granted(hidden: "_Hidden", groups: Groups) -> dict[type[Base], ColumnElement[bool]]:
    """What rows need to be seen by groups."""
    grant = hidden.table(Grant).c
    granted = {
        entity: select(grant.uid).where(grant.group_id.in_(groups), grant.entity == entity)
        for entity in ("patient", "study")
    }
    patient, study = hidden.table(Patient), hidden.table(Study)
    patients = select(patient.c.id).where(patient.c.uid.in_(granted["patient"]))
    studies = select(study.c.id).where(study.c.uid.in_(granted["study"]))
    series, header = hidden.table(Series), hidden.table(Header)
    seen_series = select(SERIES.id)
    seen_images = select(IMAGE.id)
    return {
        Series: or_(series.c.patient_id.in_(patients), series.c.study_id.in_(studies)),
        Patient: or_(patient.c.id.in_(patients), patient.c.id.in_(select(SERIES.patient_id))),
        Study: or_(study.c.id.in_(studies), study.c.id.in_(select(SERIES.study_id))),
        Image: _of_seen_series(hidden, patients, studies),
        ElementSet: hidden.table(ElementSet).c.series_id.in_(seen_series),
        Header: or_(header.c.element_id.is_not(None), header.c.image_id.in_(seen_images)),
        File: _of_seen_image(hidden, patients, studies),
        ImportJob: false(),
        ImportFailure: false(),
        AuditEntry: false(),
        Protocol: false(),
    }


def _of_seen_series(
    hidden: "_Hidden", patients: Select[Any], studies: Select[Any]
) -> ColumnElement[bool]:
    """Whether an image is of a series that is seen, and its header says nothing of others."""
    image = hidden.table(Image).c
    names_no_other = and_(image.header_patient_id.is_(None), image.header_study_id.is_(None))
    return and_(
        image.series_id.in_(select(SERIES.id)),
        or_(
            names_no_other,
            image.header_patient_id.in_(patients),
            image.header_study_id.in_(studies),
        ),
    )


def _of_seen_image(
    hidden: "_Hidden", patients: Select[Any], studies: Select[Any]
) -> ColumnElement[bool]:
    """Whether a file is of an image that is seen, and says nothing of others than that does."""
    file, image = hidden.table(File).c, hidden.table(Image).c
    is_same = and_(file.digest == image.header_digest, file.size == image.file_size)
    # From before that was noted: where it made its image, which has no other file.
    other = hidden.table(File).alias("other_file")
    others = select(other.c.name).where(
        other.c.image_id == file.image_id,
        or_(other.c.directory_id != file.directory_id, other.c.name != file.name),
    )
    is_alone = and_(
        image.header_digest.is_(None),
        file.outcome.in_(DECIDING),
        ~others.correlate(hidden.table(File)).exists(),
    )
    is_granted = or_(file.patient_id.in_(patients), file.study_id.in_(studies))
    of_image = select(image.id).where(
        image.id == file.image_id,
        _of_seen_series(hidden, patients, studies),
        or_(is_same, is_alone, is_granted),
    )
    return of_image.correlate(hidden.table(File)).exists()


class _Hidden:
    """The tables themselves, by their full names, behind what carries their short ones."""

    def __init__(self, schema: str, visible: VisibleDefinitions | None) -> None:
        self._schema = schema
        self._visible = visible
        self._metadata = MetaData()

    def table(self, model: type[Base]) -> Table:
        """The table of a model."""
        return self._table(model.__table__)  # type: ignore[arg-type]

    def _table(self, table: Table) -> Table:
        found = self._metadata.tables.get(f"{self._schema}.{table.name}")
        return found if found is not None else table.to_metadata(self._metadata, self._schema)

    def narrow(self, model: type[Base], condition: ColumnElement[bool]) -> CTE:
        """The rows of a table that fulfil a condition, under the table's name."""
        table = self.table(model)
        if self._visible is None:
            statement = select(table).where(condition)
        else:
            shown = DeidentifiedTable(
                self._visible, table, lambda name: self._table(Base.metadata.tables[name])
            )
            statement = select(*shown_columns(shown)).where(condition, shown_rows(shown))
        return statement.correlate(None).cte(table.name).prefix_with("NOT MATERIALIZED")
