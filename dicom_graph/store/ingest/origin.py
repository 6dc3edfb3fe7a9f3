"""Whether a header is the one that is stored of an image.

For images from before the digest of that file was noted.
"""

from typing import Any

from sqlalchemy import Connection, Table, select

from dicom_graph.dicom.elements.contents import Item, standard_elements
from dicom_graph.dicom.entities import Entities
from dicom_graph.store.ingest.batch import Mode
from dicom_graph.store.ingest.duplicates import header_contents
from dicom_graph.store.sql.bulk_statements import ids_by_key
from dicom_graph.store.tables.entities import Image, Patient, Series, Study
from dicom_graph.store.tables.headers import ElementDigest, Header

_DIGEST: Table = ElementDigest.__table__  # type: ignore[assignment]
_FIELDS = ("number", "date", "time", "number_of_frames", "rows", "columns")


def is_as_stored(connection: Connection, image_id: int, entities: Entities, elements: Item) -> bool:
    """Whether a header, read whole, is the stored one, as far as that was kept.

    Of an image without a header (minimal mode) the UIDs, the PatientID and its own fields count.
    """
    row = _row(connection, image_id)
    if row is None or row["uid"] != entities.image.uid:
        return False
    content = header_contents(connection, [image_id]).get(image_id)
    if content is None:
        return _has_entities(row, entities)
    whole = row["mode"] == Mode.FULL
    kept = elements if whole else standard_elements(elements)
    # An older version of the program may have stored them: without the revisions since.
    digests = {digest for element in kept for digest in (element.digest, element.content)}
    ids = ids_by_key(connection, _DIGEST, "digest", digests)
    found = [{ids.get(element.digest), ids.get(element.content)} & content for element in kept]
    return all(found) and len(found) == len(content)


def _row(connection: Connection, image_id: int) -> dict[str, Any] | None:
    statement = (
        select(
            Image.uid, Image.edited, *(getattr(Image, name) for name in _FIELDS), Header.mode,
            Series.uid.label("series"), Study.uid.label("study"), Patient.uid.label("patient"),
        )
        .outerjoin(Header, Header.image_id == Image.id)
        .outerjoin(Series, Series.id == Image.series_id)
        .outerjoin(Study, Study.id == Series.study_id)
        .outerjoin(Patient, Patient.id == Series.patient_id)
        .where(Image.id == image_id)
    )  # fmt: skip
    row = connection.execute(statement).mappings().first()
    return None if row is None else dict(row)


def _has_entities(row: dict[str, Any], entities: Entities) -> bool:
    linked = entities.series is not None
    named = {
        "series": entities.series.uid if entities.series else None,
        "study": entities.study.uid if entities.study and linked else None,
        "patient": entities.patient.uid if entities.patient and linked else None,
    }
    fields = {name: getattr(entities.image, name) for name in _FIELDS}
    compared = named | {k: v for k, v in fields.items() if k not in (row["edited"] or ())}
    return all(row[name] == value for name, value in compared.items())
