"""Tables read back by pyarrow and DuckDB, value by value what the API says, of every field.

    python -m tests.table_values [--data FOLDER …] [--databases sqlite postgresql]

Imports the files, asks GraphQL for every field of every patient, study, series and image and for
every value of every element, and compares these with `.parquet`, `.arrow` and `.csv`.
"""

import argparse
import asyncio
import csv
import datetime as dt
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from dicom_graph.exports.columns import ENTITIES, field_columns
from dicom_graph.exports.tables import MEDIA_TYPES, TableRequest, table
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Store
from tests.exports.test_tables import element_query, element_rows
from tests.support.data import shared_files
from tests.support.graph import Graph
from tests.support.postgres import postgres_database, private_postgres

Cells = list[tuple[Any, ...]]
_PAGE = {"entities": 500, "elements": 20}


def main() -> int:
    """Import, compare, print; 1 where something differs."""
    options = _options()
    n_wrong = 0
    with ExitStack() as stack:
        for kind in options.databases:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = f"sqlite:///{folder / 'database.sqlite3'}"
            if kind == "postgresql":
                server = stack.enter_context(private_postgres())
                url = stack.enter_context(postgres_database(server))
            database = Database(url)
            upgrade(database)
            request = JobRequest(tuple(map(str, options.data)), Mode.FULL, origin=JobOrigin.PYTHON)
            report = run_import(database, request)
            print(f"{kind}: {report.counts}")
            n_wrong += asyncio.run(_compare(database, folder))
            database.close_writer()
    return int(n_wrong > 0)


async def _compare(database: Database, folder: Path) -> int:
    graph = Graph(database, Store(database))
    n_wrong = 0
    for name, entity in ENTITIES.items():
        columns = tuple(field_columns(entity))
        expected = await _entities(graph, name, entity, columns)
        n_wrong += await _forms(graph.store, name, columns, expected, folder)
    n_wrong += await _forms(graph.store, "elements", (), await _elements(graph), folder)
    await database.close()
    return n_wrong


async def _forms(
    store: Store, name: str, columns: tuple[str, ...], expected: Cells, folder: Path
) -> int:
    """How many cells of the forms of a table are not what they should be."""
    n_wrong = 0
    for form in MEDIA_TYPES:
        path = folder / f"{name}.{form}"
        with path.open("wb") as file:
            async for chunk in table(store, TableRequest(name, form, columns=columns)):
                file.write(chunk)
        for reader, rows in _read(path, form, columns):
            wrong = list(_different(rows, expected, form))
            print(f"  {path.name:<18} by {reader:<8} {len(rows):>9,} rows, {len(wrong)} wrong")
            for line in wrong[:5]:
                print(f"    {line}")
            n_wrong += len(wrong)
    return n_wrong


def _read(path: Path, form: str, columns: tuple[str, ...]) -> Iterator[tuple[str, Cells]]:
    """The rows of a file, by each reader: of entities `ID` and these columns."""
    if form == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            read = csv.DictReader(file)
            names = ["ID", *columns] if columns else list(read.fieldnames or ())
            yield "csv", [tuple(row[name] for name in names) for row in read]
        return
    found = pq.read_table(path) if form == "parquet" else pa.ipc.open_file(path).read_all()
    names = ["ID", *columns] if columns else found.column_names
    by_column = [found.column(name).to_pylist() for name in names]
    yield "pyarrow", list(zip(*by_column, strict=True))
    if form == "parquet":
        listed = ", ".join(f'"{name}"' for name in names)
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        yield "DuckDB", connection.sql(f"SELECT {listed} FROM '{path}'").fetchall()


def _different(rows: Cells, expected: Cells, form: str) -> Iterator[str]:
    if len(rows) != len(expected):
        yield f"{len(rows)} rows, not {len(expected)}"
    for number, (row, other) in enumerate(zip(rows, expected, strict=False)):
        for place, (cell, value) in enumerate(zip(row, other, strict=True)):
            told = _in_csv(value) if form == "csv" else value
            found = _of_csv(cell, told) if form == "csv" else _plain(cell)
            if found != told and not (form == "csv" and _is_number(found, value)):
                yield f"row {number}, column {place}: {found!r}, not {told!r}"


def _plain(cell: Any) -> Any:
    """A cell as the API has it."""
    if isinstance(cell, dt.datetime | dt.date | dt.time):
        return cell.isoformat()
    return list(map(_plain, cell)) if isinstance(cell, list | tuple) else cell


def _in_csv(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\\".join(map(_in_csv, value))
    text = f"{value:.15g}" if isinstance(value, float) else str(value)
    return text.removeprefix("'")


def _of_csv(cell: str, told: str) -> str:
    """A cell of CSV: an instant has a space where the API has a T."""
    text = cell.removeprefix("'")
    return text.replace(" ", "T", 1) if text.replace(" ", "T", 1) == told else text


def _is_number(found: str, value: Any) -> bool:
    try:
        return isinstance(value, float | int) and float(found) == float(f"{value:.15g}")
    except ValueError:
        return False


async def _entities(graph: Graph, name: str, entity: str, columns: tuple[str, ...]) -> Cells:
    paths = [f"series.{c}" if _is_beyond_series(entity, c) else c for c in columns]
    query = f"""query ($after: String) {{ {name}(first: {_PAGE["entities"]}, after: $after) {{
        pageInfo {{ endCursor hasNextPage }} nodes {{ id {_selection(paths)} }} }} }}"""
    return [
        (node["id"], *(_at(node, path) for path in paths))
        async for node in _nodes(graph, name, query)
    ]


def _is_beyond_series(entity: str, column: str) -> bool:
    """Whether an image has it from its series alone."""
    return entity == "image" and column.partition(".")[0] in ("study", "patient")


def _selection(paths: list[str]) -> str:
    """What has all of these paths."""
    below: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition(".")
        below.setdefault(name, []).extend([rest] if rest else [])
    return " ".join(
        f"{name} {{ {_selection(rest)} }}" if rest else name for name, rest in below.items()
    )


def _at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = None if node is None else node[name]
    return node


async def _elements(graph: Graph) -> Cells:
    asked = element_query(6)
    query = f"""query ($after: String) {{ images(first: {_PAGE["elements"]}, after: $after) {{
        pageInfo {{ endCursor hasNextPage }}
        nodes {{ uid series {{ uid }} header {{ elements {{ {asked} }} }} }} }} }}"""
    rows: Cells = []
    async for node in _nodes(graph, "images", query):
        header = node["header"]
        series = (node["series"] or {}).get("uid")
        for row in element_rows(header["elements"] if header else []):
            rows.append((node["uid"], series, *row))
    return rows


async def _nodes(graph: Graph, name: str, query: str) -> Any:
    after, more = None, True
    while more:
        page = (await graph(query, after=after))[name]
        for node in page["nodes"]:
            yield node
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.table_values", description="Tables.")
    shared = sorted({path.parent for path in shared_files()})
    parser.add_argument("--data", type=Path, nargs="+", default=shared, help="what to import")
    both = ["sqlite", "postgresql"]
    parser.add_argument("--databases", nargs="+", choices=both, default=both, metavar="KIND")
    options = parser.parse_args()
    if not options.data:
        parser.error("there are no shared files: give --data")
    return options


if __name__ == "__main__":
    sys.exit(main())
