"""Patients, studies and series that a person makes, without a file."""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from dicom_graph.dicom.entities import checks
from dicom_graph.store.edit.update import entity_exists
from dicom_graph.store.generation import write_beside_others
from dicom_graph.store.ingest.edited import NAME_PARTS, OWNERS, whole_name
from dicom_graph.store.ingest.entities import log_created
from dicom_graph.store.sql.bulk_statements import allocate_ids, insert_new
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.entities import DESCRIBED_TABLES

log = logging.getLogger(__name__)


class UidInUseError(Exception):
    """Another entity of the kind has the UID."""


class NoSuchOwnerError(Exception):
    """The patient or study that a series is to belong to is not there. `owner`: which."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


def create_entity(connection: Connection, entity: str, uid: str, values: Mapping[str, Any]) -> int:
    """Insert a patient, study or series; returns its id.

    `values`: its columns, of a series also those of `OWNERS`. They count as edited: no import
    changes them. Raises UidInUseError, NoSuchOwnerError; BadValue for a name that is too long.
    """
    write_beside_others(connection)
    require_owners(connection, values)
    table = DESCRIBED_TABLES[entity]
    written = {"uid": uid, **values, "edited": [c.name for c in table.c if c.name in values]}
    written["edited"] = written["edited"] or None
    if not values.keys().isdisjoint(NAME_PARTS):
        parts = dict.fromkeys(NAME_PARTS) | dict(values)
        name = whole_name(None, parts)
        written["name"] = name and checks.whole_name(name)
    if connection.execute(select(table.c.id).where(table.c.uid == uid)).first() is not None:
        raise UidInUseError
    (id,) = allocate_ids(connection, table, 1)
    now = utc_now()
    columns = ("id", "created", "modified", *written)
    # Somebody else may have inserted it since.
    if not insert_new(connection, table, columns, [(id, now, now, *written.values())], "uid"):
        raise UidInUseError
    log.info("created by hand: 1 %s", entity)
    log_created(log, entity, [id])
    return id


def require_owners(connection: Connection, values: Mapping[str, Any]) -> None:
    """Raises NoSuchOwnerError where a patient or study that is named is not there."""
    for column, owner in OWNERS.items():
        id = values.get(column)
        if id is not None and not entity_exists(connection, owner, id):
            raise NoSuchOwnerError(owner)
