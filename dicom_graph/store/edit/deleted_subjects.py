"""What is about to be deleted or moved, for the audit log: afterwards nothing tells."""

from sqlalchemy import Connection, select

from dicom_graph.store.audit_subjects import AUDIT_SUBJECTS
from dicom_graph.store.edit.files import images_of, series_of
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.entities import DESCRIBED_TABLES, Image, Series


def note_entity(connection: Connection, entity: str, id: int) -> None:
    """Note an entity with all below it, and the patients and studies that it belongs to."""
    subjects = AUDIT_SUBJECTS.get()
    if subjects is None:
        return
    images = select(Image.id, Image.series_id).where(images_of(entity, id))
    subjects.add("image", connection.execute(images))
    mine = (
        Series.id.in_(select(Image.series_id).where(Image.id == id))
        if entity == "image"
        else series_of(entity, id)
    )
    series = select(Series.id, Series.patient_id, Series.study_id).where(mine)
    subjects.add("series", connection.execute(series))
    keys = {"patient": set(subjects.patients), "study": set(subjects.studies)}
    if entity in keys:
        keys[entity].add(id)
    for name, ids in keys.items():
        table = DESCRIBED_TABLES[name]
        known = among(is_sqlite(connection), table.c.id, sorted(ids))
        subjects.add(name, connection.execute(select(table.c.id, table.c.uid).where(known)))
