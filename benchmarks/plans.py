"""What a database does for a statement, and whether it reads a large table from end to end."""

import json
import re
from typing import Any

from sqlalchemy import Connection

LARGE = frozenset(
    {
        "image", "header", "data_element", "data_element_value", "header_element",
        "element_set", "element_set_member",
    }
)  # fmt: skip
"""Tables that grow with every image or series."""
_FEW_ROWS = 1000
_SQLITE_SCAN = re.compile(r"SCAN (\w+?)(?:_\d+)?(?: |$)")
Statement = tuple[str, Any]


def plan_lines(connection: Connection, statement: Statement) -> list[str]:
    """The plan as the database words it; PostgreSQL's with the rows that it really read."""
    explain = "EXPLAIN QUERY PLAN " if _is_sqlite(connection) else "EXPLAIN (ANALYZE) "
    rows = connection.exec_driver_sql(explain + statement[0], statement[1])
    return [str(row[-1]) for row in rows]


def full_scans(connection: Connection, statement: Statement) -> set[str]:
    """The large tables that the plan reads without a condition on an index.

    SQLite: whatever it calls SCAN, an index from end to end too. PostgreSQL: sequential scans and
    scans of an index without condition, where they really read more than 1,000 rows: before a
    LIMIT they may stop at the first.
    """
    if _is_sqlite(connection):
        # `page_child` is the table of a nested list's objects (`first_of_each`).
        found = map(_SQLITE_SCAN.search, plan_lines(connection, statement))
        return {m[1] for m in found if m is not None} & (LARGE | {"page_child"})
    explain = "EXPLAIN (ANALYZE, FORMAT JSON) "
    answer = connection.exec_driver_sql(explain + statement[0], statement[1]).scalar_one()
    plan = json.loads(answer) if isinstance(answer, str) else answer
    return _scanned(plan[0]["Plan"])


def _scanned(node: dict[str, Any]) -> set[str]:
    found = {name for child in node.get("Plans", ()) for name in _scanned(child)}
    is_scan = node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan")
    if is_scan and "Index Cond" not in node and node["Relation Name"] in LARGE:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        if rows * node["Actual Loops"] > _FEW_ROWS:
            found.add(node["Relation Name"])
    return found


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
