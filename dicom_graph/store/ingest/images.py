"""Images and their headers."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from dicom_graph.dicom.elements.contents import Item
from dicom_graph.dicom.entities import IMAGE, ImageFields
from dicom_graph.store.ingest.batch import Mode, Outcome, ReadFile, distinct_elements
from dicom_graph.store.ingest.duplicates import (
    ANOTHER_FILE,
    KnownImage,
    differences,
    find_images,
    header_contents,
    warn_of_duplicates,
)
from dicom_graph.store.ingest.edited import (
    NAME_PARTS,
    NO_EXCLUSION,
    Exclusion,
    without_edited,
)
from dicom_graph.store.ingest.entities import EntityKeys, log_created
from dicom_graph.store.ingest.formats import Format, FormatWriter, format_of
from dicom_graph.store.ingest.shared_sets import Ids, SharedSets
from dicom_graph.store.postings import delete_postings, insert_postings
from dicom_graph.store.sql.bulk_statements import allocate_ids, insert_new, insert_rows
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.id_list import pack_ids, unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.headers import Header, HeaderElement

log = logging.getLogger(__name__)
_IMAGE: Table = Image.__table__  # type: ignore[assignment]
_HEADER: Table = Header.__table__  # type: ignore[assignment]
_FIELDS = tuple(each.name for each in IMAGE.columns)
_fields_of: Callable[[ImageFields], tuple[Any, ...]] = attrgetter(*_FIELDS)
_COLUMNS = (
    "id", "created", "modified", "series_id", "format_id", "warnings", "header_digest", "file_size",
    "header_patient_id", "header_study_id", *_FIELDS,
)  # fmt: skip
CONTRADICTION = " differs from that of the "
"""In each warning of `disagreements`."""
_COLUMNS_OF: dict[str, tuple[str, ...]] = {
    "Modality": ("modality",),
    "PatientName": NAME_PARTS,
    "PatientSex": ("sex",),
    "PatientBirthDate": ("date_of_birth",),
    "PatientID": ("patient_id",),
    "StudyInstanceUID": ("study_id",),
}


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one file of a batch.

    `is_different_header`: its header or its size is not that of the file that the image's header is
    from.
    """

    image_id: int
    outcome: Outcome
    is_different_header: bool


class ImageWriter:
    """Writes images with their headers; remembers the shared sets of their series."""

    def __init__(self, exclude: Exclusion = NO_EXCLUSION) -> None:
        self._exclude = exclude
        self._sets = SharedSets()
        self._formats = FormatWriter()

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._sets.forget()
        self._formats.forget()

    def write(
        self,
        connection: Connection,
        files: Sequence[ReadFile],
        places: Sequence[EntityKeys],
        element_ids: dict[bytes, int],
    ) -> list[Written]:
        """Insert new images, complete headers that a fuller mode or a changed file gives."""
        known = find_images(connection, list({file.entities.image.uid: None for file in files}))
        firsts = _firsts(files, known)
        new = sorted((uid, index) for uid, index in firsts.items() if uid not in known)
        formats = self._formats.write(connection, files)
        created = self._insert(connection, [index for _, index in new], files, places, formats)
        if len(created) < len(new):
            known.update(find_images(connection, [u for u, _ in new if u not in created]))
        rewritten = self._rewrite(connection, firsts, known, files, places, element_ids, formats)
        with_header = {firsts[uid]: id for uid, id in (created | rewritten).items()}
        self._write_headers(connection, with_header, files, places, element_ids)
        warn_of_duplicates(connection, firsts, {*created, *rewritten}, files, places, element_ids)
        return [
            _written(index, files, firsts, created, rewritten, known) for index in range(len(files))
        ]

    def _insert(
        self,
        connection: Connection,
        indexes: Sequence[int],
        files: Sequence[ReadFile],
        places: Sequence[EntityKeys],
        formats: dict[Format, int],
    ) -> dict[str, int]:
        now = utc_now()
        rows = []
        for id, index in zip(allocate_ids(connection, _IMAGE, len(indexes)), indexes, strict=True):
            file, place = files[index], places[index]
            series_id = place.series.id if place.series else None
            warnings = [*file.warnings, *disagreements(file, place)] or None
            rows.append(
                (id, now, now, series_id, formats[format_of(file)], warnings, file.digest,
                 file.file.size, *place.contradicting, *_fields_of(file.entities.image))
            )  # fmt: skip
        inserted = insert_new(connection, _IMAGE, _COLUMNS, rows, "uid")
        place_of_uid = _COLUMNS.index("uid")
        created = {row[place_of_uid]: row[0] for row in rows if row[place_of_uid] in inserted}
        log_created(log, _IMAGE.name, list(created.values()))
        return created

    def _rewrite(
        self,
        connection: Connection,
        firsts: dict[str, int],
        known: dict[str, KnownImage],
        files: Sequence[ReadFile],
        places: Sequence[EntityKeys],
        element_ids: dict[bytes, int],
        formats: dict[Format, int],
    ) -> dict[str, int]:
        """Drop headers that a fuller one replaces, and refresh the fields of changed files."""
        rewritten = {}
        contents = header_contents(connection, [image.id for image in known.values()])
        # In one order, so that two writers never deadlock.
        for uid, image in sorted(known.items(), key=itemgetter(0)):
            file, place = files[firsts[uid]], places[firsts[uid]]
            content = contents.get(image.id)
            fuller = file.mode > image.mode and not differences(
                file, place, image, content, element_ids
            )
            if fuller or (file.changed and file.mode >= image.mode):
                rewritten[uid] = image.id
                of_others = [w for w in image.warnings if w.startswith(ANOTHER_FILE)]
                image.warnings = [*file.warnings, *disagreements(file, place), *of_others]
        edited = _edited(connection, list(rewritten.values()))
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for uid, id in rewritten.items():
            file, place = files[firsts[uid]], places[firsts[uid]]
            fields = _values(file, place, known[uid].warnings, formats)
            values = without_edited(fields, edited[id], self._exclude.of(_IMAGE, id))
            by_columns[tuple(values)].append({"image": id, **values})
        for rows in by_columns.values():
            connection.execute(update(_IMAGE).where(_IMAGE.c.id == bindparam("image")), rows)
        drop_headers(connection, list(rewritten.values()))
        return rewritten

    def _write_headers(
        self,
        connection: Connection,
        image_ids: dict[int, int],
        files: Sequence[ReadFile],
        places: Sequence[EntityKeys],
        element_ids: dict[bytes, int],
    ) -> None:
        by_series: dict[int | None, list[int]] = defaultdict(list)
        for index in sorted(image_ids):
            if files[index].mode is not Mode.MINIMAL:
                series = places[index].series
                by_series[series.id if series else None].append(index)
        contents = _contents(files, sorted(image_ids), element_ids)
        headers: list[tuple[int, int | None, bytes, int]] = []
        owns: list[Ids] = []
        choices = self._sets.choose(
            connection,
            {id: [contents[index] for index in indexes] for id, indexes in by_series.items()},
        )
        for series_id, indexes in by_series.items():
            for index, (set_id, own) in zip(indexes, choices[series_id], strict=True):
                headers.append((image_ids[index], set_id, pack_ids(own), files[index].mode))
                owns.append(own)
        ids = allocate_ids(connection, _HEADER, len(headers))
        rows = [(id, *header) for id, header in zip(ids, headers, strict=True)]
        insert_rows(connection, _HEADER, ("id", "image_id", "shared_set_id", "own", "mode"), rows)
        insert_postings(connection, HeaderElement, zip(ids, owns, strict=True))


def _firsts(files: Sequence[ReadFile], known: Mapping[str, KnownImage]) -> dict[str, int]:
    """Of several files of one UID the one that is taken: a changed one, the image's own, the first.

    By UID, the indexes of the files.
    """
    firsts: dict[str, int] = {}
    ranks: dict[str, tuple[bool, bool]] = {}
    for index, file in enumerate(files):
        uid = file.entities.image.uid
        image = known.get(uid)
        rank = file.changed, image is not None and image.is_from(file)
        if uid not in firsts or rank > ranks[uid]:
            firsts[uid], ranks[uid] = index, rank
    return firsts


def _contents(
    files: Sequence[ReadFile], indexes: Sequence[int], element_ids: dict[bytes, int]
) -> dict[int, Ids]:
    """The ids of the elements of some files, by their indexes, which ascend."""
    distinct = distinct_elements(files[index] for index in indexes)
    id_of = {element: element_ids[element.digest] for element in distinct}.__getitem__
    contents: dict[int, Ids] = {}
    last: Item | None = None
    content: Ids = frozenset()
    for index in indexes:
        changes = files[index].changes
        if changes is not None and changes.since is last:
            content = content.difference(map(id_of, changes.went)).union(map(id_of, changes.came))
        else:
            content = frozenset(map(id_of, files[index].elements))
        contents[index] = content
        last = files[index].elements
    return contents


def _values(
    file: ReadFile, place: EntityKeys, warnings: list[str], formats: dict[Format, int]
) -> dict[str, Any]:
    """What a file says of the image that it is read into."""
    values = dict(zip(_FIELDS, _fields_of(file.entities.image), strict=True))
    values["format_id"] = formats[format_of(file)]
    values["warnings"] = warnings or None
    values["header_digest"], values["file_size"] = file.digest, file.file.size
    values["header_patient_id"], values["header_study_id"] = place.contradicting
    if file.changed:
        values["series_id"] = place.series.id if place.series else None
    return values


def _edited(connection: Connection, image_ids: list[int]) -> dict[int, dict[str, Any]]:
    """What was edited of images, which nobody else edits until the transaction ends."""
    wanted = among(is_sqlite(connection), Image.id.expression, image_ids)
    statement = select(Image.id, Image.edited).where(wanted).order_by(Image.uid)
    rows = connection.execute(statement.with_for_update())
    return {id: {"edited": edited} for id, edited in rows}


def drop_headers(connection: Connection, image_ids: list[int]) -> None:
    """Delete the headers of images."""
    if not image_ids:
        return
    condition = Header.image_id.in_(image_ids)
    headers = select(Header.id, Header.own).where(condition).order_by(Header.id)
    held = [(id, unpack_ids(own)) for id, own in connection.execute(headers)]
    delete_postings(connection, HeaderElement, held)
    connection.execute(delete(Header).where(condition))


def _written(
    index: int,
    files: Sequence[ReadFile],
    firsts: dict[str, int],
    created: dict[str, int],
    rewritten: dict[str, int],
    known: dict[str, KnownImage],
) -> Written:
    file = files[index]
    uid = file.entities.image.uid
    is_first = firsts[uid] == index
    if uid not in created and uid not in rewritten:
        return Written(known[uid].id, Outcome.EXISTING, not known[uid].is_from(file))
    first = files[firsts[uid]]
    is_different_header = (file.digest, file.file.size) != (first.digest, first.file.size)
    if uid in created:
        outcome = Outcome.CREATED if is_first else Outcome.EXISTING
        return Written(created[uid], outcome, is_different_header)
    outcome = Outcome.UPDATED if is_first else Outcome.EXISTING
    return Written(rewritten[uid], outcome, is_different_header)


def disagreements(file: ReadFile, place: EntityKeys) -> list[str]:
    """Where a header contradicts the series and the patient that it names."""
    series, fields = place.series, file.entities.series
    if series is None or fields is None:
        return []
    of_series = (
        ("PatientID", place.patient_id, series.patient_id),
        ("StudyInstanceUID", place.study_id, series.study_id),
        ("Modality", fields.modality, series.modality),
    )
    unlike = _unlike(of_series, series.edited)
    warnings = [contradiction(keyword) for keyword in unlike]
    row, patient = place.patient, file.entities.patient
    if row is not None and patient is not None:
        of_patient = (
            ("PatientName", patient.name, row.name),
            ("PatientSex", patient.sex, row.sex),
            ("PatientBirthDate", patient.date_of_birth, row.date_of_birth),
        )
        unlike = _unlike(of_patient, row.edited)
        warnings += [f"{keyword}{CONTRADICTION}patient" for keyword in unlike]
    return warnings


def contradiction(keyword: str) -> str:
    """The warning where an image says something else than its series."""
    return f"{keyword}{CONTRADICTION}image's series"


def _unlike(pairs: Iterable[tuple[str, object, object]], edited: list[str] | None) -> Iterable[str]:
    """Keywords whose values differ. What a person has set says nothing against a file."""
    for keyword, mine, theirs in pairs:
        if mine != theirs and not set(_COLUMNS_OF.get(keyword, ())) & set(edited or ()):
            yield keyword
