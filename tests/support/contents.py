"""What a database holds, without ids and moments, so that two databases can be compared."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from dicom_graph.store.engine import Database
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.tables.base import Base

Rows = list[dict[str, Any]]
_ENTITIES = ("patient", "study", "series", "image")
_NOT_CONTENT = frozenset({"id", "created", "modified"})


class Tables:
    """All rows of a database at one moment, or those of some tables."""

    def __init__(self, database: Database, *names: str) -> None:
        with database.read_sync() as connection:
            if not database.is_sqlite:
                # What was killed may have asked PostgreSQL to commit just before.
                connection.execution_options(isolation_level="REPEATABLE READ")
            self.rows = {name: _rows(connection, name) for name in names or Base.metadata.tables}
        digests, sets = self.rows.get("element_digest", ()), self.rows.get("element_set", ())
        self._digests = {row["id"]: row["digest"].hex() for row in digests}
        self._sets = {row["id"]: unpack_ids(row["members"]) for row in sets}

    def __getitem__(self, table: str) -> Rows:
        return self.rows[table]

    def element_ids(self, header: dict[str, Any]) -> list[int]:
        """The elements of a header: those of its shared set and its own."""
        shared = header["shared_set_id"]
        return [*(self._sets[shared] if shared is not None else ()), *unpack_ids(header["own"])]

    def digests(self, header: dict[str, Any]) -> list[str]:
        """The contents of a header."""
        return sorted(self._digests[id] for id in self.element_ids(header))

    def headers_by_uid(self) -> dict[str, list[str]]:
        """The contents of the images' headers."""
        uids = self.uids("image")
        return {
            uids[header["image_id"]]: self.digests(header)
            for header in self["header"]
            if header["image_id"] is not None
        }

    def uids(self, entity: str) -> dict[int, str]:
        """The uids of an entity's ids."""
        return {row["id"]: row["uid"] for row in self[entity]}


def _rows(connection: Connection, name: str) -> Rows:
    statement = select(Base.metadata.tables[name])
    return [dict(row) for row in connection.execute(statement).mappings()]


def contents(database: Database) -> dict[str, Any]:
    """Entities by uid, elements by content, headers and files: equal for equal imports."""
    tables = Tables(database)
    return {
        **{entity: _entities(tables, entity) for entity in _ENTITIES},
        "headers": tables.headers_by_uid(),
        "elements": _elements(tables),
        "files": _files(tables),
    }


def _entities(tables: Tables, entity: str) -> dict[str, dict[str, Any]]:
    owners: dict[str, dict[int, Any]] = {f"{name}_id": tables.uids(name) for name in _ENTITIES}
    owners["format_id"] = {row["id"]: _content(row) for row in tables["image_format"]}
    return {
        row["uid"]: {
            column: owners[column].get(value) if column in owners else value
            for column, value in row.items()
            if column not in _NOT_CONTENT
        }
        for row in tables[entity]
    }


def _elements(tables: Tables) -> dict[str, Any]:
    definitions = {row["id"]: _content(row) for row in tables["data_element_definition"]}
    values: dict[int, Rows] = {}
    for row in sorted(tables["data_element_value"], key=lambda row: row["index"]):
        values.setdefault(row["element_id"], []).append(
            _content(row, "element_id", "definition_id")
        )
    items: dict[int, list[list[str]]] = {}
    for row in sorted(tables["header"], key=lambda row: row["index"] or 0):
        if row["element_id"] is not None:
            items.setdefault(row["element_id"], []).append(tables.digests(row))
    by_id = {row["id"]: row for row in tables["data_element"]}
    return {
        row["digest"].hex(): (
            _content(by_id[row["id"]], "definition_id"),
            definitions[by_id[row["id"]]["definition_id"]],
            values.get(row["id"]),
            items.get(row["id"]),
        )
        for row in tables["element_digest"]
    }


def _content(row: dict[str, Any], *others: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in _NOT_CONTENT | set(others)}


def _files(tables: Tables) -> dict[tuple[str, str], tuple[int, int, str]]:
    folders = {row["id"]: row["path"] for row in tables["directory"]}
    uids = tables.uids("image")
    return {
        (folders[row["directory_id"]], row["name"]): (
            row["size"],
            row["mtime_ns"],
            uids[row["image_id"]],
        )
        for row in tables["file"]
    }


def assert_consistent(database: Database) -> Tables:
    """The packed columns and the tables that say the same the other way round agree."""
    tables = Tables(database)
    _assert_same_pairs(tables["header"], "own", tables["header_element"])
    _assert_same_pairs(tables["element_set"], "members", tables["element_set_member"])
    _assert_elements_once(tables)
    images = tables.uids("image")
    owners = [row["image_id"] for row in tables["header"] if row["image_id"] is not None]
    assert len(owners) == len(set(owners))
    assert images.keys() >= set(owners)
    _assert_no_orphans(tables)
    return tables


def _assert_no_orphans(tables: Tables) -> None:
    """Whatever is named by its id is there."""
    for table, column, owner in (
        ("image", "series_id", "series"),
        ("image", "format_id", "image_format"),
        ("series", "study_id", "study"),
        ("series", "patient_id", "patient"),
        ("file", "image_id", "image"),
        ("file", "directory_id", "directory"),
        ("element_set", "series_id", "series"),
        ("header", "shared_set_id", "element_set"),
        ("header", "element_id", "data_element"),
        ("data_element", "definition_id", "data_element_definition"),
    ):
        named = {row[column] for row in tables[table]} - {None}
        assert named <= {row["id"] for row in tables[owner]}, (table, column)


def _assert_same_pairs(packed: Rows, column: str, postings: Rows) -> None:
    forward = Counter((row["id"], element) for row in packed for element in unpack_ids(row[column]))
    backward = Counter(
        (row["first_id"] + distance, row["element_id"])
        for row in postings
        for distance in (row["distances"] if row["distances"] is not None else [0])
    )
    assert [] not in (row["distances"] for row in postings)
    assert forward == backward
    assert not forward or max(forward.values()) == 1


def _assert_elements_once(tables: Tables) -> None:
    ids: Sequence[int] = [row["id"] for row in tables["data_element"]]
    assert sorted(ids) == sorted(row["id"] for row in tables["element_digest"])
    held = [tables.element_ids(header) for header in tables["header"]]
    assert {id for header in held for id in header} <= set(ids)
    for header in held:
        assert len(header) == len(set(header)), "an element is both shared and own"
    assert {row["element_id"] for row in tables["data_element_value"]} <= set(ids)
