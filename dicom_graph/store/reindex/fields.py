"""The fields of entities, of headers whose elements are read otherwise."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, select

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.elements.contents import Element, element_warnings
from dicom_graph.dicom.entities import IMAGE, SERIES, Entities, EntityReader
from dicom_graph.dicom.entities.image import TAGS, read_image
from dicom_graph.dicom.mode import Mode
from dicom_graph.store.ingest.duplicates import ANOTHER_FILE
from dicom_graph.store.ingest.edited import without_edited, write_unedited_fields
from dicom_graph.store.ingest.images import CONTRADICTION
from dicom_graph.store.reindex.rereading import Changes
from dicom_graph.store.reindex.stored import StoredElements, StoredHeader, in_order
from dicom_graph.store.sql.bulk_statements import update_rows
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.entities import Image, Patient, Series, Study

_IMAGE: Table = Image.__table__  # type: ignore[assignment]
_SERIES: Table = Series.__table__  # type: ignore[assignment]
_STUDY: Table = Study.__table__  # type: ignore[assignment]
_PATIENT: Table = Patient.__table__  # type: ignore[assignment]
_OWNERS: tuple[tuple[str, Table, Any], ...] = (
    ("series", _SERIES, Series.id),
    ("study", _STUDY, Series.study_id),
    ("patient", _PATIENT, Series.patient_id),
)
_TAGS = frozenset(TAGS)
_FIELDS = tuple(each.name for each in IMAGE.columns)
_PURPOSE = frozenset(each.name for each in SERIES.attributes if each.group == "Purpose")
_OF_ELEMENT = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)")


@dataclass
class FieldReader:
    """Reads fields again; counts the rows that it changed, by entity.

    `is_filled`: whether an image's fields are read again whatever has changed.
    """

    stored: StoredElements
    is_filled: Callable[[StoredHeader], bool]
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _entities: EntityReader = field(default_factory=EntityReader)
    _done: BoundedCache[tuple[str, int], bool] = field(
        default_factory=lambda: BoundedCache(100_000)
    )

    def update(
        self,
        connection: Connection,
        headers: Sequence[tuple[StoredHeader, Changes]],
        *,
        dry_run: bool = False,
    ) -> None:
        """Of images with what has changed in their headers, which may be nothing."""
        owners = self._owners(connection, [header.image_id for header, _ in headers])
        for header, changes in headers:
            self._update_owners(connection, header, changes, owners[header.image_id], dry_run)
        rows = self.stored.load(connection, {id for _, changes in headers for id in changes})
        warned = frozenset(id for id, row in rows.items() if row.has_warnings)
        concerned = [
            pair for pair in headers if self.is_filled(pair[0]) or _concerns(pair[1], warned)
        ]
        self._update_images(connection, concerned, dry_run)

    def _owners(
        self, connection: Connection, image_ids: Sequence[int]
    ) -> dict[int, dict[str, int | None]]:
        statement = (
            select(Image.id, Series.id, Series.study_id, Series.patient_id)
            .outerjoin(Series, Series.id == Image.series_id)
            .where(among(is_sqlite(connection), _IMAGE.c.id, image_ids))
        )
        names = [name for name, _, _ in _OWNERS]
        return {
            id: dict(zip(names, rest, strict=True)) for id, *rest in connection.execute(statement)
        }

    def _update_owners(
        self,
        connection: Connection,
        header: StoredHeader,
        changes: Changes,
        owners: Mapping[str, int | None],
        dry_run: bool,
    ) -> None:
        """Patient, study and series, where the image is the one that they have their fields of."""
        entities: Entities | None = None
        for name, table, column in _OWNERS:
            id = owners[name]
            if id is None or self._done.get((name, id)):
                continue
            self._done[name, id] = True
            earlier = (
                select(Image.id)
                .join(Series, Series.id == Image.series_id)
                .where(column == id, Image.id < header.image_id, Image.missing_since.is_(None))
            )
            if connection.execute(earlier.limit(1)).first() is not None:
                continue
            if entities is None:
                elements = self._elements(connection, header.ids, changes)
                entities = self._entities.read(in_order(elements))
            fields = getattr(entities, name)
            if fields is None:
                continue
            values = _certain(asdict(fields), header.mode)
            if name == "patient":
                values = self._with_free_uid(connection, id, values)
            if name == "series" and header.mode < Mode.FULL:
                values = _without_purpose(connection, id, values)
            if _take(connection, table, id, values, dry_run):
                self.counts[name] += 1

    def _with_free_uid(
        self, connection: Connection, id: int, values: dict[str, Any]
    ) -> dict[str, Any]:
        """Without the PatientID, where another patient has it: two patients are never made one."""
        other = select(Patient.id).where(Patient.uid == values["uid"], Patient.id != id)
        if connection.execute(other).first() is not None:
            self.counts["patients not united"] += 1
            return {name: value for name, value in values.items() if name != "uid"}
        return values

    def _elements(
        self, connection: Connection, ids: Iterable[int], changes: Changes
    ) -> list[Element]:
        kept = self.stored.elements(connection, [id for id in ids if id not in changes])
        return [*kept.values(), *(each for id, each in changes.items())]

    def _update_images(
        self,
        connection: Connection,
        headers: Sequence[tuple[StoredHeader, Changes]],
        dry_run: bool,
    ) -> None:
        ids = [header.image_id for header, _ in headers]
        columns = [_IMAGE.c.id, _IMAGE.c.edited, _IMAGE.c.warnings, *(_IMAGE.c[n] for n in _FIELDS)]
        statement = select(*columns).where(among(is_sqlite(connection), _IMAGE.c.id, ids))
        rows = {row["id"]: dict(row) for row in connection.execute(statement).mappings()}
        sets = {header.shared_set_id: header.members for header, _ in headers}
        every = {id for header, _ in headers for id in header.own}.union(*sets.values())
        wanted = self.stored.with_tags(connection, every, _TAGS)
        elements = self.stored.elements(connection, wanted)
        shared = {
            id: [elements[each] for each in members if each in wanted]
            for id, members in sets.items()
        }
        self.stored.elements(connection, {id for _, changes in headers for id in changes})
        by_columns: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        now = utc_now()
        for header, changes in headers:
            row = rows[header.image_id]
            own = [elements[id] for id in header.own if id in wanted]
            of_header = (*shared[header.shared_set_id], *own, *changes.values())
            fields = read_image({element.tag: element for element in of_header})
            values = {name: getattr(fields, name) for name in _FIELDS if name != "uid"}
            values = without_edited(_certain(values, header.mode), row)
            if changes:
                values["warnings"] = self._warnings(connection, row["warnings"], changes)
            new = {name: value for name, value in values.items() if value != row[name]}
            if new:
                by_columns[tuple(new)].append((header.image_id, now, *new.values()))
        for names, changed in by_columns.items():
            self.counts["image"] += len(changed)
            if not dry_run:
                written = ("modified", *names)
                update_rows(connection, _IMAGE, ("id",), written, changed, alone=True)

    def _warnings(
        self, connection: Connection, warnings: list[str] | None, changes: Changes
    ) -> list[str] | None:
        """The warnings of an image, with those of changed elements as they are now."""
        old = set(element_warnings(self.stored.elements(connection, changes).values()))
        new = element_warnings(changes.values())
        if not old and not new:
            return warnings
        kept = [warning for warning in warnings or () if warning not in old]
        ends = (ANOTHER_FILE, CONTRADICTION)
        after = [each for each in kept if any(end in each for end in ends)]
        before = [each for each in kept if each not in after and not _OF_ELEMENT.match(each)]
        of_elements = [each for each in kept if each not in after and each not in before]
        ordered = sorted([*of_elements, *new], key=lambda warning: warning[:11])
        return [*before, *ordered, *after] or None


def _concerns(changes: Changes, warned: frozenset[int]) -> bool:
    """Whether an image's own fields or warnings may be others.

    `warned`: the elements that had warnings.
    """
    return any(
        element.tag in _TAGS or element.has_warnings or id in warned
        for id, element in changes.items()
    )


def _certain(fields: dict[str, Any], mode: int) -> dict[str, Any]:
    """Without those that may only be missing since private elements are not kept."""
    if mode == Mode.FULL:
        return fields
    return {name: value for name, value in fields.items() if value is not None or name == "name"}


def _without_purpose(connection: Connection, id: int, values: dict[str, Any]) -> dict[str, Any]:
    """Without what a series is for, where that is known from a file: private elements, which are
    not kept here, tell more of it.
    """
    known = select(Series.bids_evidence).where(Series.id == id)  # type: ignore[attr-defined]
    if connection.execute(known).scalar() is None:
        return values
    return {name: value for name, value in values.items() if name not in _PURPOSE}


def _take(
    connection: Connection, table: Table, id: int, values: dict[str, Any], dry_run: bool
) -> bool:
    if not dry_run:
        return write_unedited_fields(connection, table, id, values)
    row = connection.execute(select(table).where(table.c.id == id)).mappings().one()
    left = without_edited(values, row)  # type: ignore[arg-type]
    return not all(row[name] == value for name, value in left.items())
