"""Images that the database holds, and other files that claim to be the same."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from dicom_graph.dicom.dictionary import is_private
from dicom_graph.store.ingest.batch import Mode, ReadFile
from dicom_graph.store.ingest.entities import EntityKeys
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.tables.entities import Image, Series
from dicom_graph.store.tables.headers import ElementSet, Header

ANOTHER_FILE = "another file of the same SOPInstanceUID has"


@dataclass(slots=True)
class KnownImage:
    """An image that the database holds. `digest` and `size`: of the file that its header is from;
    None where it was imported before they were noted.
    """

    id: int
    series_id: int | None
    patient_id: int | None
    mode: int
    warnings: list[str] = field(default_factory=list)
    digest: bytes | None = None
    size: int | None = None

    def is_from(self, file: ReadFile) -> bool:
        """Whether its header came from a file whose header and size are those of this one."""
        is_known = self.digest is not None
        return is_known and (self.digest, self.size) == (file.digest, file.file.size)


def find_images(connection: Connection, uids: list[str]) -> dict[str, KnownImage]:
    """The images of these uids that the database holds."""
    found: dict[str, KnownImage] = {}
    for start in range(0, len(uids), 500):
        statement = (
            select(
                Image.uid, Image.id, Image.series_id, Series.patient_id, Header.mode,
                Image.warnings, Image.header_digest, Image.file_size,
            )
            .outerjoin(Series, Series.id == Image.series_id)
            .outerjoin(Header, Header.image_id == Image.id)
            .where(Image.uid.in_(uids[start : start + 500]))
        )  # fmt: skip
        for uid, id, series_id, patient_id, mode, warnings, digest, size in connection.execute(
            statement
        ):
            found[uid] = KnownImage(
                id, series_id, patient_id, mode or 0, warnings or [], digest, size
            )
    return found


def warn_of_duplicates(
    connection: Connection,
    firsts: dict[str, int],
    written: Collection[str],
    files: Sequence[ReadFile],
    places: Sequence[EntityKeys],
    element_ids: dict[bytes, int],
) -> None:
    """Keep a warning on an image of which another file with the same UID tells otherwise.

    `firsts`: the first file of each uid in the batch; `written`: the uids that it wrote.
    """
    others = [
        index
        for index, file in enumerate(files)
        if firsts[uid := file.entities.image.uid] != index or uid not in written
    ]
    if not others:
        return
    images = find_images(connection, sorted({files[i].entities.image.uid for i in others}))
    contents = header_contents(connection, [image.id for image in images.values()])
    for index in others:
        image = images[files[index].entities.image.uid]
        content = contents.get(image.id)
        found = differences(files[index], places[index], image, content, element_ids)
        new = [warning for warning in found if warning not in image.warnings]
        if new:
            image.warnings = [*image.warnings, *new]
            statement = update(Image).where(Image.id == image.id)
            connection.execute(statement.values(warnings=image.warnings))


def differences(
    file: ReadFile,
    place: EntityKeys,
    image: KnownImage,
    content: frozenset[int] | None,
    element_ids: dict[bytes, int],
) -> list[str]:
    """What a file says otherwise than the image of its UID, as warnings."""
    if image.is_from(file):
        # Its header may contradict its series, but it is the image's own.
        return []
    series_id = place.series.id if place.series else None
    found = {
        "another PatientID": place.patient_id != image.patient_id,
        "another SeriesInstanceUID": series_id != image.series_id,
        "other content": _has_other_content(file, image, content, element_ids),
    }
    return [f"{ANOTHER_FILE} {what}" for what, differs in found.items() if differs]


def _has_other_content(
    file: ReadFile, image: KnownImage, content: frozenset[int] | None, element_ids: dict[bytes, int]
) -> bool:
    if file.digest is not None and file.digest == image.digest:
        # The stored elements may still be as an older version of the program read them.
        return False
    if content is not None:
        return is_different_header(file, image.mode, content, element_ids)
    # No header is stored, but what it was may be known.
    return None not in (file.digest, image.digest)


def is_different_header(
    file: ReadFile, mode: int, content: frozenset[int], element_ids: dict[bytes, int]
) -> bool:
    """Whether the file's header is not the one with this content, as far as both modes tell."""
    if file.mode is Mode.MINIMAL or mode == Mode.MINIMAL:
        return False
    if file.mode == mode:
        return frozenset(element_ids[element.digest] for element in file.elements) != content
    # In the other mode sequences differ, since their private elements are there or not.
    standard = [element for element in file.elements if not is_private(element.tag)]
    plain = {element_ids[element.digest] for element in standard if element.items is None}
    return not plain <= content or (mode == Mode.NORMAL and len(standard) != len(content))


def header_contents(connection: Connection, image_ids: list[int]) -> dict[int, frozenset[int]]:
    """The element ids of images' headers."""
    statement = (
        select(Header.image_id, Header.own, ElementSet.members)
        .outerjoin(ElementSet, ElementSet.id == Header.shared_set_id)
        .where(Header.image_id.in_(image_ids))
    )
    return {
        image_id: frozenset([*unpack_ids(own), *unpack_ids(members or b"")])
        for image_id, own, members in connection.execute(statement)
        if image_id is not None
    }
