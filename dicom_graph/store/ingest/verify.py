"""Telling files that were only read again from those whose content is another."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Table, or_, select, update

from dicom_graph.store.formats import columns_of
from dicom_graph.store.ingest.batch import FileRecord, ReadFile
from dicom_graph.store.ingest.duplicates import (
    ANOTHER_FILE,
    find_images,
    header_contents,
    is_different_header,
)
from dicom_graph.store.ingest.entities import EntityKeys
from dicom_graph.store.ingest.files import is_deciding
from dicom_graph.store.ingest.images import disagreements
from dicom_graph.store.ingest.missing_images import has_header
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among, texts_among
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import Directory, File

_IMAGE: Table = Image.__table__  # type: ignore[assignment]


def own_changes(connection: Connection, files: Sequence[ReadFile]) -> Sequence[ReadFile]:
    """The files, `changed` only where that is for them to say.

    A path that held another image when it was last read, or a file that contradicted this one, does
    not say how the image is that it holds now, as long as a file is left that does: else whoever
    may write one file could change the images of others.
    """
    changed = [file for file in files if file.changed]
    if not changed:
        return files
    known = find_images(connection, sorted({file.entities.image.uid for file in changed}))
    held = _images_at(connection, [file.source or file.file for file in changed])
    ruled = _ruled(connection, [image.id for image in known.values()])

    def is_own(file: ReadFile) -> bool:
        image, record = known.get(file.entities.image.uid), file.source or file.file
        if image is None or image.id not in ruled:
            return True
        return held.get((record.directory, record.name)) == image.id

    return [
        replace(file, changed=False) if file.changed and not is_own(file) else file
        for file in files
    ]


def _images_at(connection: Connection, records: Sequence[FileRecord]) -> dict[tuple[str, str], int]:
    """Of which images the files of these paths were the own ones, by folder and name."""
    sqlite = is_sqlite(connection)
    statement = (
        select(Directory.path, File.name, File.image_id)
        .join(File, File.directory_id == Directory.id)
        .join(Image, Image.id == File.image_id)
        .where(
            or_(is_deciding(), has_header()),
            texts_among(sqlite, Directory.path.expression, sorted({r.directory for r in records})),
            texts_among(sqlite, File.name.expression, sorted({r.name for r in records})),
        )
    )
    return {(folder, name): id for folder, name, id in connection.execute(statement)}


def _ruled(connection: Connection, image_ids: Sequence[int]) -> set[int]:
    """Those of which a file is left that decides what they are."""
    statement = select(File.image_id).where(
        among(is_sqlite(connection), File.image_id.expression, image_ids), is_deciding()
    )
    return set(connection.execute(statement).scalars())


def verified(
    connection: Connection,
    files: Sequence[ReadFile],
    places: Sequence[EntityKeys],
    element_ids: dict[bytes, int],
    *,
    all_files: bool,
) -> Sequence[ReadFile]:
    """The files, `changed` only where they say otherwise than what is stored of their image.

    Of an image without a header (minimal mode) its own fields are compared. Without `all_files`
    only those of images from before it was noted which file their header is from, which is noted
    now.
    """
    uids = sorted({file.entities.image.uid for file in files if file.changed})
    if not uids:
        return files
    known = find_images(connection, uids)
    if not all_files:
        known = {uid: image for uid, image in known.items() if image.digest is None}
    contents = header_contents(connection, [image.id for image in known.values()])
    rows = _fields(connection, list(known))

    def is_same(file: ReadFile, place: EntityKeys) -> bool:
        image = known.get(file.entities.image.uid)
        if image is None or image.series_id != (place.series.id if place.series else None):
            return False
        if image.digest is not None and not image.is_from(file):
            return False
        if not _has_fields(rows[file.entities.image.uid], file):
            return False
        warnings = [w for w in image.warnings if not w.startswith(ANOTHER_FILE)]
        if file.mode == image.mode and warnings != [*file.warnings, *disagreements(file, place)]:
            return False
        content = contents.get(image.id)
        return content is None or not is_different_header(file, image.mode, content, element_ids)

    found = []
    for file, place in zip(files, places, strict=True):
        if file.changed and is_same(file, place):
            image = known[file.entities.image.uid]
            if image.digest is None:
                _note_origin(connection, image.id, file)
                image.digest, image.size = file.digest, file.file.size
            file = replace(file, changed=False)
        found.append(file)
    return found


def _note_origin(connection: Connection, image_id: int, file: ReadFile) -> None:
    values = {"header_digest": file.digest, "file_size": file.file.size}
    connection.execute(update(_IMAGE).where(_IMAGE.c.id == image_id).values(**values))


def _has_fields(row: dict[str, Any], file: ReadFile) -> bool:
    """Whether an image's row says the same, but for what was edited."""
    fields = asdict(file.entities.image) | {"transfer_syntax_uid": file.transfer_syntax_uid}
    edited = row["edited"] or ()
    return all(row[name] == value for name, value in fields.items() if name not in edited)


def _fields(connection: Connection, uids: list[str]) -> dict[str, dict[str, Any]]:
    chosen = texts_among(is_sqlite(connection), _IMAGE.c.uid, uids)
    rows = connection.execute(select(*columns_of(_IMAGE)).where(chosen)).mappings()
    return {str(row["uid"]): dict(row) for row in rows}
