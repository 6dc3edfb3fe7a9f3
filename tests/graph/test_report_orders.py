"""Lists of imports and of the audit log, sorted by each of their fields."""

import datetime as dt
import random
from typing import Any

import pytest
from sqlalchemy import String, insert, select
from sqlalchemy.types import JSON

from dicom_graph.graph.enums.audit import AuditAction, AuditOutcome
from dicom_graph.graph.enums.imports import ImportMode, ImportOrigin, ImportStatus, ImportStorage
from dicom_graph.graph.schema import schema
from dicom_graph.store.engine import Database
from dicom_graph.store.global_ids import split_global_id
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.sql.types import UtcDateTime
from tests.support.graph import Graph

LISTS = {"ImportJob": ("import_job", "importJobs"), "AuditEntry": ("audit_entry", "auditEntries")}
COLUMNS = {
    ("ImportJob", "CREATED"): "images_created", ("ImportJob", "CREATED_AT"): "created",
    ("AuditEntry", "CREATED_AT"): "created",
}  # fmt: skip
"""Those that are called otherwise in the schema."""
CODES: dict[str, Any] = {
    "status": ImportStatus, "origin": ImportOrigin, "mode": ImportMode, "storage": ImportStorage,
    "action": AuditAction, "outcome": AuditOutcome,
}  # fmt: skip
"""The columns of texts that have few values."""


def made_up(dice: random.Random, column: Any) -> Any:
    """A value of a column, often one that another row has, or none."""
    if column.nullable and dice.random() < 0.3:
        return None
    if column.name in CODES and isinstance(column.type, String):
        return dice.choice([member.value for member in CODES[column.name]])
    if isinstance(column.type, JSON):
        return dice.choice([["a"], ["a", "b"], ["A"], ["ab"]])
    if isinstance(column.type, UtcDateTime):
        return dt.datetime(2020, 1, dice.randint(1, 9), tzinfo=dt.UTC)
    kinds: dict[type, list[Any]] = {
        str: ["b", "B", "å", "10", "9"], int: [0, 7, 70], float: [0.5, 2.25, 1e-3],
        bool: [False, True],
    }  # fmt: skip
    return dice.choice(kinds[column.type.python_type])


def fill(database: Database, entity: str) -> None:
    dice = random.Random(entity)
    table = ENTITY_TABLES[entity]
    with database.writer.begin() as connection:
        for _ in range(30):
            values = {
                c.name: made_up(dice, c) for c in table.c if c.name not in ("id", "pruned_before")
            }
            connection.execute(insert(table).values(values))


def rows_of(database: Database, entity: str) -> list[Any]:
    table = ENTITY_TABLES[entity]
    with database.read_sync() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)).mappings())


@pytest.mark.parametrize("type_name", LISTS)
async def test_each_field_sorts(type_name: str, database: Database, graph: Graph) -> None:
    entity, root = LISTS[type_name]
    fill(database, entity)
    rows = rows_of(database, entity)
    enum: Any = schema._schema.type_map[f"{type_name}OrderField"]
    query = f"""query ($order: [{type_name}Order!], $after: String) {{
      page: {root}(orderBy: $order, first: 20, after: $after) {{
        nodes {{ id }} pageInfo {{ endCursor }} }} }}"""
    for field in enum.values:
        column = COLUMNS.get((type_name, field), field.lower())
        for way in ("ASC", "DESC"):
            in_order = sorted(rows, key=lambda row: (_rank(row[column]), row["id"]))
            expected = [row["id"] for row in (in_order if way == "ASC" else in_order[::-1])]
            found: list[int] = []
            after = None
            while len(found) < len(rows):
                order = [{"field": field, "direction": way}]
                page = (await graph(query, order=order, after=after))["page"]
                found += [split_global_id(node["id"])[1] for node in page["nodes"]]
                after = page["pageInfo"]["endCursor"]
            assert found == expected, (field, way)


def _rank(value: Any) -> tuple[bool, Any]:
    return value is not None, value if value is not None else 0
