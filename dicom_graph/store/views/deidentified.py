"""What the de-identified view shows of each table: a row for every column, or it is not shown.

A column that stands here is shown as it is, or as the expression beside it; any other column is
NULL, and a table that does not stand here has no rows. So whatever is added to the tables later is
withheld until somebody says here that it names nobody; of what an entity is described by, until the
confidentiality profile says so of its keyword, or the description of the field itself.
"""

import datetime as dt
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    String,
    Table,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
)

from dicom_graph.dicom.confidentiality.person_like import VOICES
from dicom_graph.dicom.confidentiality.profile import (
    Treatment,
    is_kept,
    registered_uids,
    treatment,
)
from dicom_graph.dicom.dictionary import dictionary_vr, keyword_tag
from dicom_graph.dicom.elements.plausible import TEXT_RULES, TextRule, most_values
from dicom_graph.dicom.elements.values import BYTES_VRS
from dicom_graph.dicom.entities import (
    IMAGE,
    PATIENT,
    SERIES,
    STUDY,
    Attribute,
    Description,
)
from dicom_graph.dicom.entities.image import FORMAT_TABLE
from dicom_graph.store.plausible import are_plausible, is_plausible
from dicom_graph.store.sql.json_arrays import array_items
from dicom_graph.store.sql.many_values import among, texts_among
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.base import TEXT_KEY_LENGTH

_PIXEL_GROUP = 0x7FE0
_NO_MOMENT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Tables = Callable[[str], Table]
"""The tables themselves, by name."""
FIELD_TAGS: set[int] = set()
"""The tags of the elements that fields show."""
_KEY = (1, TEXT_KEY_LENGTH)
_OF_CODES = (TEXT_RULES["CS"],)
Key = TypeVar("Key")


@dataclass(frozen=True, eq=False)
class VisibleDefinitions:
    """Which definitions of a database are seen, by their ids; a later one is not.

    `kept`: whose values are seen, `binary` those of bytes among them; `sequences`; `replaced`:
    whose values are pseudonyms, but for registered UIDs. `rules`: of what is kept, whose texts must
    be as a rule says; `counts`: of what is seen, which may have so many values at most. `doubtful`:
    by tag, definitions of which an element may be withheld though a field has its value.
    """

    sqlite: bool
    kept: tuple[int, ...]
    binary: tuple[int, ...]
    sequences: tuple[int, ...]
    replaced: tuple[int, ...]
    rules: Mapping[TextRule, tuple[int, ...]]
    counts: Mapping[int, tuple[int, ...]]
    fields: Mapping[int, "FieldDefinitions"]

    @property
    def definitions(self) -> tuple[int, ...]:
        """All that are seen."""
        return *self.kept, *self.sequences, *self.replaced

    @classmethod
    def of(
        cls, sqlite: bool, definitions: Iterable[Any], doubtful: Container[int] = ()
    ) -> "VisibleDefinitions":
        """What is seen of a database that holds these definitions (`id`, `tag`, …); elements of
        those that are `doubtful` could not all be read, or are no such values as they say.
        """
        # Pixel data that is stored is that of icons, which may show anything.
        treated = [
            (d, treatment(d.tag, d.private_creator, d.vr))
            for d in definitions
            if d.tag >> 16 != _PIXEL_GROUP or d.private_creator
        ]
        kept = [d for d, found in treated if found is Treatment.KEEP]
        values = [d for d in kept if d.vr != "SQ"]
        replaced = [d for d, found in treated if found is Treatment.REPLACE]
        return cls(
            sqlite,
            kept=tuple(d.id for d in values),
            binary=tuple(d.id for d in kept if d.vr in BYTES_VRS and d.tag not in VOICES),
            sequences=tuple(d.id for d in kept if d.vr == "SQ"),
            replaced=tuple(d.id for d in replaced),
            rules=_grouped((TEXT_RULES.get(d.vr), d.id) for d in values),
            counts=_grouped((most_values(d.tag), d.id) for d in (*values, *replaced)),
            fields={
                tag: FieldDefinitions(
                    tuple(d.id for d in kept if d.tag == tag),
                    tuple(d.id for d in kept if d.tag == tag and d.id in doubtful),
                    tuple(
                        d.id
                        for d, found in treated
                        if d.tag == tag and not d.private_creator and found is not Treatment.KEEP
                    ),
                )
                for tag in FIELD_TAGS
            },
        )


class FieldDefinitions(NamedTuple):
    """The definitions of a tag: those that are seen, those of them of which some elements are
    withheld, and those that are withheld, for their VR.
    """

    kept: tuple[int, ...]
    doubtful: tuple[int, ...]
    withheld: tuple[int, ...]

    @property
    def is_doubtful(self) -> bool:
        """Whether a field may have the value of an element that is withheld."""
        return bool(self.doubtful or self.withheld)


def _grouped(pairs: Iterable[tuple[Key | None, int]]) -> dict[Key, tuple[int, ...]]:
    """The ids by their keys, but for None."""
    found: dict[Key, list[int]] = {}
    for key, id in pairs:
        if key is not None:
            found.setdefault(key, []).append(id)
    return {key: tuple(ids) for key, ids in found.items()}


class DeidentifiedTable:
    """One table, as a user who sees no identities gets it: what its columns and rows become."""

    def __init__(self, visible: VisibleDefinitions, table: Table, tables: Tables) -> None:
        self.visible = visible
        self.table = table
        self.tables = tables

    def among(self, column: ColumnElement[Any], ids: Sequence[int]) -> ColumnElement[bool]:
        """Whether a column is one of the ids."""
        return among(self.visible.sqlite, column, ids)

    def is_registered(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a column is a UID of the standard's registry."""
        return texts_among(self.visible.sqlite, column, registered_uids())


Show = Callable[[DeidentifiedTable, ColumnElement[Any]], ColumnElement[Any]]


def _as_it_is(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column


def _up_to(most: float, shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """What is greater is all one number, which the reader leaves out: see `MOST_SHOWN`."""
    return case((column > most, literal(most + 1, column.type)), else_=column)


def _row_id(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """In the place of a UID, which the reader makes a pseudonym of: see `read.deidentified`."""
    return cast(shown.table.c.id, Text)


def _no_moment(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Where there must be one: an import may come soon after the examination."""
    return literal(_NO_MOMENT, column.type)


def _registered(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((shown.is_registered(column), column))


def _of_bytes(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((shown.among(shown.table.c.definition_id, shown.visible.binary), column))


def _never(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return literal(False, column.type)


def _from(keyword: str) -> Show:
    """A column with what the element of a keyword says: the profile decides.

    It is not shown where it is no such value, or where only elements have it that are withheld.
    """
    if not is_kept(keyword):
        return _nothing
    tag = keyword_tag(keyword) or 0
    FIELD_TAGS.add(tag)
    rule = TEXT_RULES.get(dictionary_vr(tag))

    def show(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
        sqlite, field = shown.visible.sqlite, shown.visible.fields[tag]
        is_list = isinstance(column.type, JSON)
        is_text = isinstance(column.type, String) or (is_list and rule in _OF_CODES)
        conditions: list[ColumnElement[bool]] = []
        if rule is not None and is_text:
            check = are_plausible if is_list else is_plausible
            conditions.append(check(sqlite, column, rule))
        if field.is_doubtful:
            is_shown = partial(_is_shown, shown, field, rule, is_text)
            conditions.append(
                ~array_items(sqlite, column, lambda item: ~is_shown(item), number=not is_text)
                if is_list
                else is_shown(column)
            )
        return case((and_(*conditions), column)) if conditions else column

    return show


def _is_shown(
    shown: DeidentifiedTable,
    field: FieldDefinitions,
    rule: TextRule | None,
    is_text: bool,
    wanted: ColumnElement[Any],
) -> ColumnElement[bool]:
    """Whether an element that is seen has a field's value, or none that is withheld."""

    def has(ids: Sequence[int], seen: bool | None) -> ColumnElement[bool]:
        """Whether an element of these definitions has it; `seen`: one that is, or is not, seen."""
        value = shown.tables("data_element_value").alias()
        conditions = [shown.among(value.c.definition_id, ids), *_same(value, is_text, wanted)]
        if seen is not None:
            element = shown.tables("data_element").alias()
            of_value = select(element.c.id).where(element.c.id == value.c.element_id)
            readable = of_value.where(~element.c.has_warnings).correlate_except(element).exists()
            fit = is_plausible(shown.visible.sqlite, value.c.text, rule) if rule else true()
            is_seen = and_(readable, or_(value.c.text.is_(None), fit))
            conditions.append(is_seen if seen else ~is_seen)
        return select(value.c.element_id).where(*conditions).correlate_except(value).exists()

    hidden = [
        has(ids, seen) for ids, seen in ((field.withheld, None), (field.doubtful, False)) if ids
    ]
    return or_(~or_(*hidden), has(field.kept, True))


def _same(value: Any, is_text: bool, wanted: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """That a value is the same, so said that an index finds it."""
    if not is_text:
        return [value.c.number == wanted]
    start = [literal(number, Integer(), literal_execute=True) for number in _KEY]
    starts = [func.substr(text, *start) for text in (value.c.text, wanted)]
    is_indexed = [value.c.text.is_not(None), value.c.number.is_(None)]
    return [starts[0] == starts[1], value.c.text == wanted, *is_indexed]


def _nothing(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(null(), column.type)


_ENTITY: dict[str, Show] = {
    "id": _as_it_is, "uid": _row_id, "created": _no_moment, "modified": _no_moment,
    "edited": _nothing,
}  # fmt: skip


def entity_columns(described: Description) -> dict[str, Show]:
    """The columns of an entity that its description has, and those of all entities."""
    return {attribute.name: _of_attribute(attribute) for attribute in described.columns} | _ENTITY


def _of_attribute(attribute: Attribute) -> Show:
    """A column with what its description says; without a word of it, what its keyword does."""
    if attribute.shown_up_to is not None:
        return partial(_up_to, attribute.shown_up_to)
    if attribute.shown is not None:
        return _as_it_is if attribute.shown else _nothing
    if attribute.keyword is None or attribute.derived:
        return _nothing
    return _from(attribute.keyword)


COLUMNS: dict[str, dict[str, Show]] = {
    "patient": entity_columns(PATIENT),
    "study": entity_columns(STUDY),
    "series": entity_columns(SERIES) | {"study_id": _as_it_is, "patient_id": _as_it_is},
    "image": entity_columns(IMAGE)
    | {
        "series_id": _as_it_is,
        "format_id": _as_it_is,
        "warnings": _nothing,
        "missing_since": _nothing,
        "header_digest": _nothing,
        "file_size": _nothing,
        "header_patient_id": _as_it_is,
        "header_study_id": _as_it_is,
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
MOST_SHOWN = {
    described.name: {
        attribute.name: attribute.shown_up_to
        for attribute in described.columns
        if attribute.shown_up_to is not None
    }
    for described in (PATIENT, STUDY, SERIES, IMAGE)
}
"""By entity and column, the greatest number that is shown."""

HIDDEN = frozenset(
    {
        "directory", "file", "element_digest", "csa_path", "csa_number", "csa_text", "csa_part",
        "csa_part_element", "import_job", "import_failure", "import_batch", "queue_migration",
        "account", "access_token", "web_session", "access_group", "access_group_member",
        "access_grant", "secret", "audit", "reading_version", "protocol",
    }
)  # fmt: skip
"""Tables that are known to have no rows for the view."""


def is_withheld(table: str, column: str) -> bool:
    """Whether nobody sees anything of a column of an entity; what it is counted by is no column."""
    for name in (table, *((FORMAT_TABLE,) if table == "image" else ())):
        show = COLUMNS.get(name, {}).get(column)
        if show is not None:
            return show in (_nothing, _no_moment)
    return not column.startswith("n_")


def shown_columns(shown: DeidentifiedTable) -> list[ColumnElement[Any]]:
    """All columns of a table, as the view has them."""
    known = COLUMNS.get(shown.table.name, {})
    return [
        known.get(column.name, _nothing)(shown, column).label(column.name)
        for column in shown.table.c
    ]


def shown_rows(shown: DeidentifiedTable) -> ColumnElement[bool]:
    """Which rows of a table the view has."""
    name = shown.table.name
    return _ROWS.get(name, _all_rows)(shown) if name in COLUMNS else false()


def _all_rows(shown: DeidentifiedTable) -> ColumnElement[bool]:
    return true()


def _definitions(shown: DeidentifiedTable) -> ColumnElement[bool]:
    return shown.among(shown.table.c.id, shown.visible.definitions)


def _elements(shown: DeidentifiedTable) -> ColumnElement[bool]:
    """Those that could be read, and are what their VR and multiplicity allow: nobody knows what
    lies in the others. A sequence may hold some.
    """
    columns, visible = shown.table.c, shown.visible
    value = shown.tables("data_element_value").alias("of_element")
    unfit = [
        and_(
            shown.among(value.c.definition_id, ids),
            ~is_plausible(visible.sqlite, value.c.text, rule),
        )
        for rule, ids in visible.rules.items()
    ]
    is_fit = ~(
        select(value.c.element_id)
        .where(value.c.element_id == columns.id, or_(false(), *unfit))
        .correlate(shown.table)
        .exists()
    )
    readable = or_(
        and_(_is_readable(shown, columns), is_fit),
        shown.among(columns.definition_id, visible.sequences),
    )
    return and_(shown.among(columns.definition_id, visible.definitions), readable)


def _is_readable(shown: DeidentifiedTable, element: Any) -> ColumnElement[bool]:
    """Of an element's columns: that it has no warning, and no more values than it may have."""
    too_many = [
        and_(shown.among(element.definition_id, ids), element.vm > most)
        for most, ids in shown.visible.counts.items()
    ]
    return and_(~element.has_warnings, ~or_(false(), *too_many))


def _values(shown: DeidentifiedTable) -> ColumnElement[bool]:
    columns, visible = shown.table.c, shown.visible
    element = shown.tables("data_element").alias("of_value")
    readable = select(element.c.id).where(
        element.c.id == columns.element_id, _is_readable(shown, element.c)
    )
    unfit = [
        and_(
            shown.among(columns.definition_id, ids),
            ~is_plausible(visible.sqlite, columns.text, rule),
        )
        for rule, ids in visible.rules.items()
    ]
    registered = shown.is_registered(columns.text)
    return and_(
        or_(
            and_(
                shown.among(columns.definition_id, visible.kept),
                or_(columns.text.is_(None), ~or_(false(), *unfit)),
            ),
            and_(shown.among(columns.definition_id, visible.replaced), registered),
        ),
        readable.correlate(shown.table).exists(),
    )


def _headers(shown: DeidentifiedTable) -> ColumnElement[bool]:
    """Those of images, and the items of sequences that are seen."""
    columns = shown.table.c
    element = shown.tables("data_element").alias("of_item")
    sequence = select(element.c.id).where(
        element.c.id == columns.element_id,
        shown.among(element.c.definition_id, shown.visible.sequences),
    )
    return or_(columns.element_id.is_(None), sequence.correlate(shown.table).exists())


_ROWS: dict[str, Callable[[DeidentifiedTable], ColumnElement[bool]]] = {
    "data_element_definition": _definitions,
    "data_element": _elements,
    "data_element_value": _values,
    "header": _headers,
}
