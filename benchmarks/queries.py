"""How fast questions are answered, and how that grows with the archive.

    python -m benchmarks.queries [--images 10000 200000] [--postgres] [--plans]

Fills a database of each size with headers multiplied from the GE and Siemens series of
../shared/data (`benchmarks.archive`) through the writer of the import, asks each question through
the schema as a server does, and prints its best time of five in ms, its SQL statements, and the
growth from the first size to the last. `--plans` prints the database's plan of each statement.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from benchmarks.archive import generate, read_templates
from benchmarks.ingest import private_postgres
from dicom_graph.graph.context import Context, Service
from dicom_graph.graph.schema import schema
from dicom_graph.importing.runner import JobRunner
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import BatchWriter
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Store

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "nih" / "dicom"
_BATCH = 1000
_ROUNDS = 5

QUESTIONS = {
    "series by modality and date": """{ series(filter: {modality: {eq: "MR"},
        date: {between: ["2019-03-01", "2019-03-10"]}}) { nodes { uid date description } } }""",
    "MOSAIC, as images": """{ images(filter: {header: {element: {keyword: "ImageType",
        text: {eq: "MOSAIC"}}}}) { nodes { uid number } } }""",
    "MOSAIC, from the value up": """{ dataElementDefinitions(
        filter: {keyword: {eq: "ImageType"}}) { nodes { elements(filter: {text: {eq: "MOSAIC"}}) {
        nodes { value series(first: 5) { nodes { uid } } } } } } }""",
    "one image by an element": """{ images(filter: {header: {element: {
        keyword: "SeriesInstanceUID", text: {eq: "1.2.826.0.1.99.6.12"}},
        elements: [{keyword: "InstanceNumber", number: {eq: 17}}]}}) { nodes { uid } } }""",
    "slice location between": """{ images(filter: {header: {element: {keyword: "SliceLocation",
        number: {between: [40.0, 40.5]}}, elements: [{keyword: "StudyDate",
        date: {between: ["2019-03-01", "2019-03-10"]}}]}}) { nodes { uid } } }""",
    "a private element": """{ images(filter: {header: {element: {tag: "(0019,xx0A)",
        privateCreator: "SIEMENS MR HEADER", number: {gte: 1}}}}) { nodes { uid } } }""",
    "a nested element": """{ images(filter: {header: {element: {
        path: "ReferencedImageSequence.ReferencedSOPInstanceUID",
        text: {startsWith: "1.3.12.2.1107"}}}}) { nodes { uid } } }""",
    "three conditions with or": """{ series(filter: {or: [{patient: {uid: {eq: "P000011"}}},
        {study: {uid: {eq: "1.2.826.0.1.99.7"}}},
        {uid: {eq: "1.2.826.0.1.99.9.18"}}]}) { nodes { uid nImages } } }""",
    "facet of manufacturers": '{ facet(entity: SERIES, field: "manufacturer") { value count } }',
    "facet of an element": '{ facet(entity: SERIES, keyword: "EchoTime") { value count } }',
    "patients by name": '{ patients(search: "family000012") { nodes { uid fullName } } }',
    "a page in the middle": """{ images(first: 25, after: "CURSOR") { nodes { uid } } }""",
    "the six-level walk": """{ patients(first: 5) { nodes { uid studies(first: 2) { nodes { uid
        series(first: 2) { nodes { uid images(first: 2) { nodes { uid header { elements { tag value
        } } } } } } } } } } }""",
}


@contextmanager
def filled(url: str, count: int) -> Iterator[Database]:
    """A database with so many images."""
    database = Database(url)
    upgrade(database)
    started = time.perf_counter()
    images = generate(read_templates(_DATA), count)
    writer = BatchWriter()
    while batch := list(islice(images, _BATCH)):
        with database.writer.begin() as connection:
            writer.write(connection, batch, None)
    seconds = time.perf_counter() - started
    print(f"{count} images written in {seconds:.0f} s, {size_of(database) / count:.0f} bytes each")
    analyze(database)
    yield database
    database.close_writer()


def size_of(database: Database) -> int:
    """The bytes of the database on disk."""
    with database.read_sync() as connection:
        if not database.is_sqlite:
            return int(
                connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
            )
    database.close_writer()
    return os.path.getsize(database.url.database or "")


def analyze(database: Database) -> None:
    """Give the planner its statistics, as the import's end and autovacuum do."""
    with database.writer.begin() as connection:
        connection.execute(text("ANALYZE"))


async def ask(database: Database, plans: bool) -> dict[str, tuple[float, int]]:
    """The best time in ms and the number of statements of each question."""
    store = Store(database)
    service = Service(store, JobRunner(database, roots=()), ())
    statements: list[tuple[str, Any]] = []
    event.listen(
        database.reader.sync_engine,
        "before_cursor_execute",
        lambda _c, _cu, statement, parameters, *_: statements.append((statement, parameters)),
    )
    middle = await _middle_cursor(service)
    answers = {}
    for name, question in QUESTIONS.items():
        best = float("inf")
        for _ in range(_ROUNDS):
            statements.clear()
            started = time.perf_counter()
            result = await schema.execute(
                question.replace("CURSOR", middle), context_value=Context.of(service)
            )
            best = min(best, (time.perf_counter() - started) * 1000)
            assert not result.errors, (name, result.errors)
        answers[name] = (best, len(statements))
        if plans:
            await _print_plans(database, name, list(statements))
    await database.close()
    return answers


async def _middle_cursor(service: Service) -> str:
    count = await service.store.count("image")
    question = f"{{ images(first: 1, offset: {count // 2}) {{ pageInfo {{ endCursor }} }} }}"
    result = await schema.execute(question, context_value=Context.of(service))
    assert result.data is not None
    return str(result.data["images"]["pageInfo"]["endCursor"])


async def _print_plans(database: Database, name: str, statements: list[tuple[str, Any]]) -> None:
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    async with database.read() as connection:
        for statement, parameters in statements:
            rows = await connection.exec_driver_sql(explain + statement, parameters)
            print(f"-- {name}")
            for row in rows:
                print("   ", row[-1])


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 200_000])
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--plans", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    if not _DATA.is_dir():
        sys.exit(f"the headers to multiply are not at {_DATA}")
    runs = []
    for count in arguments.images:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/archive.sqlite3"
            if arguments.postgres:
                with private_postgres(folder) as server, filled(server, count) as database:
                    runs.append(asyncio.run(ask(database, arguments.plans)))
            else:
                with filled(url, count) as database:
                    runs.append(asyncio.run(ask(database, arguments.plans)))
    print(f"{'question':32}" + "".join(f"{count:>12} ms" for count in arguments.images) + "  SQL")
    for name in QUESTIONS:
        times = [run[name][0] for run in runs]
        growth = f"  x{times[-1] / times[0]:.1f}" if len(times) > 1 else ""
        row = "".join(f"{t:>15.1f}" for t in times)
        print(f"{name:32}{row}  {runs[-1][name][1]:>3}{growth}")


if __name__ == "__main__":
    main()
