"""What the de-identified view shows of each table: a row for every column, or it is not shown.

A column that stands here is shown as it is, or as the expression beside it; any other column is
NULL, and a table that does not stand here has no rows. So whatever is added to the tables later is
withheld until somebody says here that it names nobody; of what an entity is described by, until the
confidentiality profile says so of its keyword, or the description of the field itself.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    case,
    cast,
    false,
    literal,
    null,
    or_,
    select,
    true,
)

from dicom_graph.dicom.confidentiality import (
    Treatment,
    is_kept,
    registered_uids,
    treatment,
)
from dicom_graph.dicom.entities import (
    IMAGE,
    PATIENT,
    SERIES,
    STUDY,
    Attribute,
    Description,
)
from dicom_graph.dicom.values import BYTES_VRS
from dicom_graph.store.dialect import among, texts_among
from dicom_graph.store.types import Text

_NO_MOMENT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Tables = Callable[[str], Table]
"""The tables themselves, by name."""


@dataclass(frozen=True, eq=False)
class Sight:
    """Which definitions of a database are seen, by their ids; a later one is not.

    `kept`: whose values are seen, `binary` those of bytes among them; `sequences`; `replaced`:
    whose values are pseudonyms, but for registered UIDs.
    """

    sqlite: bool
    kept: tuple[int, ...]
    binary: tuple[int, ...]
    sequences: tuple[int, ...]
    replaced: tuple[int, ...]

    @property
    def definitions(self) -> tuple[int, ...]:
        """All that are seen."""
        return *self.kept, *self.sequences, *self.replaced

    @classmethod
    def of(cls, sqlite: bool, definitions: Iterable[Any]) -> "Sight":
        """What is seen of a database that holds these definitions (`id`, `tag`, …)."""
        treated = [(d, treatment(d.tag, d.private_creator, d.vr)) for d in definitions]
        kept = [d for d, found in treated if found is Treatment.KEEP]
        return cls(
            sqlite,
            kept=tuple(d.id for d in kept if d.vr != "SQ"),
            binary=tuple(d.id for d in kept if d.vr in BYTES_VRS),
            sequences=tuple(d.id for d in kept if d.vr == "SQ"),
            replaced=tuple(d.id for d, found in treated if found is Treatment.REPLACE),
        )


class Shown:
    """Expressions over one table that is shown to a sight."""

    def __init__(self, sight: Sight, table: Table, tables: Tables) -> None:
        self.sight = sight
        self.table = table
        self.tables = tables

    def among(self, column: ColumnElement[Any], ids: Sequence[int]) -> ColumnElement[bool]:
        """Whether a column is one of the ids."""
        return among(self.sight.sqlite, column, ids)

    def is_registered(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a column is a UID of the standard's registry."""
        return texts_among(self.sight.sqlite, column, registered_uids())


Show = Callable[[Shown, ColumnElement[Any]], ColumnElement[Any]]


def _as_it_is(shown: Shown, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column


def _row_id(shown: Shown, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """In the place of a UID, which the reader makes a pseudonym of: see `read.deidentified`."""
    return cast(shown.table.c.id, Text)


def _no_moment(shown: Shown, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Where there must be one: an import may come soon after the examination."""
    return literal(_NO_MOMENT, column.type)


def _registered(shown: Shown, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((shown.is_registered(column), column))


def _of_bytes(shown: Shown, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((shown.among(shown.table.c.definition_id, shown.sight.binary), column))


def _never(shown: Shown, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return literal(False, column.type)


def _from(keyword: str) -> Show:
    """A column with what the element of a keyword says: the profile decides."""
    return _as_it_is if is_kept(keyword) else _nothing


def _nothing(shown: Shown, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(null(), column.type)


_ENTITY: dict[str, Show] = {
    "id": _as_it_is, "uid": _row_id, "created": _no_moment, "modified": _no_moment,
    "edited": _nothing,
}  # fmt: skip


def _described(described: Description) -> dict[str, Show]:
    """The columns that an entity is described by: the profile decides, or the description."""
    return {attribute.name: _of_attribute(attribute) for attribute in described.columns}


def _of_attribute(attribute: Attribute) -> Show:
    if attribute.shown is not None:
        return _as_it_is if attribute.shown else _nothing
    if attribute.keyword is None or attribute.derived:
        return _nothing
    return _from(attribute.keyword)


COLUMNS: dict[str, dict[str, Show]] = {
    "patient": _described(PATIENT) | _ENTITY,
    "study": _described(STUDY) | _ENTITY,
    "series": _described(SERIES) | _ENTITY | {"study_id": _as_it_is, "patient_id": _as_it_is},
    "image": _described(IMAGE)
    | _ENTITY
    | {
        "series_id": _as_it_is,
        "format_id": _as_it_is,
        "warnings": _nothing,
        "missing_since": _nothing,
    },
    "image_format": {
        "id": _as_it_is,
        "sop_class_uid": _registered,
        "transfer_syntax_uid": _registered,
    },
    "data_element_definition": dict.fromkeys(
        ("id", "tag", "private_creator", "vr", "keyword", "name"), _as_it_is
    ),
    "data_element": dict.fromkeys(
        ("id", "definition_id", "block", "vm", "n_values", "length"), _as_it_is
    )
    | {"has_warnings": _never, "packed": _of_bytes, "sha256": _of_bytes, "warning": _nothing},
    "data_element_value": dict.fromkeys(
        ("element_id", "index", "definition_id", "text", "number", "date", "time", "datetime"),
        _as_it_is,
    )
    | {"warning": _nothing},
    "element_set": dict.fromkeys(("id", "series_id", "members"), _as_it_is),
    "element_set_member": dict.fromkeys(("element_id", "first_id", "distances"), _as_it_is),
    "header": dict.fromkeys(
        ("id", "image_id", "element_id", "index", "shared_set_id", "own", "mode"), _as_it_is
    ),
    "header_element": dict.fromkeys(("element_id", "first_id", "distances"), _as_it_is),
    "generation": dict.fromkeys(("id", "deletions", "prunes"), _as_it_is),
}
"""By table and column. Lists of element ids are shown: what is not seen of them does not exist."""

HIDDEN = frozenset(
    {
        "directory", "file", "element_digest", "csa_path", "csa_number", "csa_text", "csa_part",
        "csa_part_element", "import_job", "import_failure", "import_batch", "queue_migration",
        "account", "access_token", "web_session", "access_group", "access_group_member",
        "access_grant", "secret", "audit",
    }
)  # fmt: skip
"""Tables that are known to have no rows for the view."""


def shown_columns(shown: Shown) -> list[ColumnElement[Any]]:
    """All columns of a table, as the view has them."""
    known = COLUMNS.get(shown.table.name, {})
    return [
        known.get(column.name, _nothing)(shown, column).label(column.name)
        for column in shown.table.c
    ]


def shown_rows(shown: Shown) -> ColumnElement[bool]:
    """Which rows of a table the view has."""
    name = shown.table.name
    return _ROWS.get(name, _all_rows)(shown) if name in COLUMNS else false()


def _all_rows(shown: Shown) -> ColumnElement[bool]:
    return true()


def _definitions(shown: Shown) -> ColumnElement[bool]:
    return shown.among(shown.table.c.id, shown.sight.definitions)


def _elements(shown: Shown) -> ColumnElement[bool]:
    """Those that could be read: nobody knows what lies in the others. A sequence may hold some."""
    columns, sight = shown.table.c, shown.sight
    readable = or_(~columns.has_warnings, shown.among(columns.definition_id, sight.sequences))
    return and_(shown.among(columns.definition_id, sight.definitions), readable)


def _values(shown: Shown) -> ColumnElement[bool]:
    columns, sight = shown.table.c, shown.sight
    element = shown.tables("data_element").alias("of_value")
    readable = select(element.c.id).where(
        element.c.id == columns.element_id, ~element.c.has_warnings
    )
    registered = shown.is_registered(columns.text)
    return and_(
        or_(
            shown.among(columns.definition_id, sight.kept),
            and_(shown.among(columns.definition_id, sight.replaced), registered),
        ),
        readable.correlate(shown.table).exists(),
    )


def _headers(shown: Shown) -> ColumnElement[bool]:
    """Those of images, and the items of sequences that are seen."""
    columns = shown.table.c
    element = shown.tables("data_element").alias("of_item")
    sequence = select(element.c.id).where(
        element.c.id == columns.element_id,
        shown.among(element.c.definition_id, shown.sight.sequences),
    )
    return or_(columns.element_id.is_(None), sequence.correlate(shown.table).exists())


_ROWS: dict[str, Callable[[Shown], ColumnElement[bool]]] = {
    "data_element_definition": _definitions,
    "data_element": _elements,
    "data_element_value": _values,
    "header": _headers,
}
