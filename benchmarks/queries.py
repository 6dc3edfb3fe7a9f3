"""How fast questions are answered, and how that grows with the archive.

    python -m benchmarks.queries [--images 10000 200000] [--postgres] [--keep FOLDER] [--plans]

Fills a database of each size with headers multiplied from the GE and Siemens series of a folder
(`benchmarks.archive`) through the writer of the import, asks each question through the schema as a
server does, and prints its best time of five in ms, its SQL statements, and the growth from the
first size to the last. Then for each question of which a few rows are the answer, whether a plan
of the largest archive reads a large table from end to end (`benchmarks.plans`).

`--keep FOLDER` keeps the databases, and takes those that are there: 200,000 images take some
minutes to write. `--plans` prints the database's plan of each statement.
"""

import argparse
import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import create_engine, event, text

from benchmarks.archive import generate, read_templates
from benchmarks.data_folder import DATA, data_folder
from benchmarks.ingest import private_postgres
from benchmarks.plans import Statement, full_scans, plan_lines
from dicom_graph.access.principal import EVERYONE
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.services import Services
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import BatchWriter
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Store

_BATCH = 1000
_ROUNDS = 5


class Question(NamedTuple):
    """A question to the schema; selective where few of the archive's rows have to be looked at."""

    name: str
    text: str
    selective: bool = True


QUESTIONS = [
    Question(
        "series by modality and date",
        """{ series(filter: {modality: {eq: "MR"}, date: {between: ["2019-03-01", "2019-03-10"]}}) {
        nodes { uid date description } } }""",
    ),
    Question(
        "MOSAIC, as images",
        """{ images(filter: {header: {element: {keyword: "ImageType", text: {eq: "MOSAIC"}}}}) {
        nodes { uid number } } }""",
        selective=False,
    ),
    Question(
        "MOSAIC, from the value up",
        """{ dataElementDefinitions(filter: {keyword: {eq: "ImageType"}}) { nodes {
        elements(filter: {text: {eq: "MOSAIC"}}) { nodes { value series(first: 5) {
        nodes { uid } } } } } } }""",
        selective=False,
    ),
    Question(
        "one image by two elements",
        """{ images(filter: {header: {element: {keyword: "SeriesInstanceUID",
        text: {eq: "1.2.826.0.1.99.6.12"}},
        elements: [{keyword: "InstanceNumber", number: {eq: 17}}]}}) { nodes { uid } } }""",
    ),
    Question(
        "EchoTime between, and a date",
        """{ series(filter: {anyImage: {header: {
        element: {keyword: "EchoTime", number: {between: [20, 40]}},
        elements: [{keyword: "StudyDate", date: {between: ["2019-03-01", "2019-03-10"]}}]}}}) {
        nodes { uid echoTime } } }""",
    ),
    Question(
        "slice location between, and a date",
        """{ images(filter: {header: {element: {keyword: "SliceLocation",
        number: {between: [40.0, 40.5]}}, elements: [{keyword: "StudyDate",
        date: {between: ["2019-03-01", "2019-03-10"]}}]}}) { nodes { uid } } }""",
    ),
    Question(
        "a private element, in a series",
        """{ images(filter: {header: {element: {tag: "(0019,xx0A)",
        privateCreator: "SIEMENS MR HEADER", number: {gte: 1}}},
        series: {uid: {eq: "1.2.826.0.1.99.6.12"}}}) { nodes { uid } } }""",
    ),
    Question(
        "a private element, in half of all",
        """{ images(filter: {header: {element: {tag: "(0019,xx0A)",
        privateCreator: "SIEMENS MR HEADER", number: {gte: 1}}}}) { nodes { uid } } }""",
        selective=False,
    ),
    Question(
        "a nested element",
        """{ images(filter: {header: {element: {
        path: "ReferencedImageSequence.ReferencedSOPInstanceUID",
        text: {startsWith: "1.3.12.2.1107"}}}}) { nodes { uid } } }""",
    ),
    Question(
        "three conditions with or",
        """{ series(filter: {or: [{patient: {uid: {eq: "P000011"}}},
        {study: {uid: {eq: "1.2.826.0.1.99.7"}}},
        {uid: {eq: "1.2.826.0.1.99.9.18"}}]}) { nodes { uid nImages } } }""",
    ),
    Question("patients by name", '{ patients(search: "family000012") { nodes { uid fullName } } }'),
    Question(
        "search of everything",
        """{ search(text: "skyra") { patients { node { uid } } studies { node { uid } }
        series { node { uid } texts { text } } definitions { node { keyword } }
        values { definition { keyword } texts { text } } } }""",
        selective=False,
    ),
    Question("a page in the middle", '{ images(first: 25, after: "CURSOR") { nodes { uid } } }'),
    Question(
        "the six-level walk",
        """{ patients(first: 5) { nodes { uid studies(first: 2) { nodes { uid
        series(first: 2) { nodes { uid images(first: 2) { nodes { uid
        header { elements { tag value } } } } } } } } } } }""",
    ),
    Question(
        "facet of manufacturers",
        "{ facet(entity: SERIES, field: MANUFACTURER) { value count } }",
        selective=False,
    ),
    Question(
        "facet of EchoTime, over series",
        '{ facet(entity: SERIES, keyword: "EchoTime") { value count } }',
        selective=False,
    ),
    Question(
        "groups of series by two fields",
        "{ series { groups(by: [{field: MANUFACTURER}, {field: MODALITY}]) { nodes { count } } } }",
        selective=False,
    ),
    Question(
        "groups of series by a field and an element",
        """{ series { groups(by: [{field: MODALITY}, {element: {keyword: "EchoTime"}}])
        { nodes { count } } } }""",
        selective=False,
    ),
    Question(
        "groups of images by 20 bins of EchoTime",
        """{ images { groups(by: [{element: {keyword: "EchoTime"}, bins: 20}])
        { nodes { count } } } }""",
        selective=False,
    ),
    Question(
        "groups of series by month and modality",
        """{ series { groups(by: [{field: DATE, part: MONTH}, {field: MODALITY}])
        { nodes { count } } } }""",
        selective=False,
    ),
]


class Answer(NamedTuple):
    """The best time of a question, and what was asked of the database for it."""

    ms: float
    statements: list[Statement]


def main() -> None:
    """Fill, ask, print."""
    options = _options()
    logging.disable(logging.INFO)
    runs = []
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres(folder)) if options.postgres else None
        for count in options.images:
            with archive(folder, server, count, options.data) as database:
                runs.append(asyncio.run(ask(database)))
                if options.plans:
                    _print_plans(database, runs[-1])
                if count == options.images[-1]:
                    scans = _scans(database, runs[-1])
    _print_times(options.images, runs)
    for name, tables in scans.items():
        print(f"{name:32} full scans: {', '.join(sorted(tables)) or 'none'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.queries", description="Questions.")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 200_000])
    parser.add_argument("--postgres", action="store_true", help="a private PostgreSQL")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="databases to keep, and reuse")
    parser.add_argument("--data", type=Path, default=DATA, help="the headers to multiply")
    parser.add_argument("--plans", action="store_true", help="print the plans")
    options = parser.parse_args()
    options.data = data_folder(parser, options)
    if options.keep:
        options.keep = options.keep.resolve()
        options.keep.mkdir(parents=True, exist_ok=True)
    return options


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server whose files are kept in the folder."""
    with private_postgres(str(folder / "postgres")) as url:
        yield url


@contextmanager
def archive(
    folder: Path, server: str | None, count: int, data: Path, per_series: int | None = None
) -> Iterator[Database]:
    """A database with so many images, of a series at most so many; filled if not there."""
    name = f"{count}" if per_series is None else f"{count}_by_{per_series}"
    if server is None:
        path = folder / f"sqlite-{name}.sqlite3"
        url, is_there = f"sqlite:///{path}", path.exists()
    else:
        url, is_there = _postgres_database(server, f"images_{name}")
    database = Database(url)
    upgrade(database)
    if not is_there:
        _fill(database, count, data, per_series)
    yield database
    database.close_writer()


def _postgres_database(server: str, name: str) -> tuple[str, bool]:
    """The URL of a database on the server, and whether it was there."""
    engine = create_engine(
        server.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        known = connection.execute(text("SELECT datname FROM pg_database")).scalars()
        is_there = name in set(known)
        if not is_there:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?", 1), is_there


def _fill(database: Database, count: int, data: Path, per_series: int | None) -> None:
    started = time.perf_counter()
    images = generate(read_templates(data), count, per_series=per_series)
    writer = BatchWriter()
    while batch := list(islice(images, _BATCH)):
        with database.writer.begin() as connection:
            writer.write(connection, batch, None)
    _await_statistics(database)
    seconds = time.perf_counter() - started
    print(f"{count} images written in {seconds:.0f} s, {_size_of(database) / count:.0f} bytes each")


def _await_statistics(database: Database) -> None:
    """Do at once what PostgreSQL's autovacuum does within a minute; SQLite never does it.

    Nor should it: of 200,000 images a facet of an element took 18 ms without, 244 ms after ANALYZE.
    """
    if not database.is_sqlite:
        with database.writer.begin() as connection:
            connection.execute(text("ANALYZE"))


def _size_of(database: Database) -> int:
    """The bytes of the database on disk."""
    if database.is_sqlite:
        database.close_writer()
        return os.path.getsize(database.url.database or "")
    with database.read_sync() as connection:
        size = connection.execute(text("SELECT pg_database_size(current_database())"))
        return int(size.scalar_one())


async def ask(database: Database) -> dict[str, Answer]:
    """The answer to each question."""
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))
    statements: list[Statement] = []
    event.listen(
        database.reader.sync_engine,
        "before_cursor_execute",
        lambda _c, _cu, statement, parameters, *_: statements.append((statement, parameters)),
    )
    middle = await _middle_cursor(services)
    answers = {}
    for question in QUESTIONS:
        best = float("inf")
        for _ in range(_ROUNDS):
            statements.clear()
            started = time.perf_counter()
            result = await schema.execute(
                question.text.replace("CURSOR", middle),
                context_value=Context.of(services, EVERYONE),
            )
            best = min(best, (time.perf_counter() - started) * 1000)
            assert not result.errors, (question.name, result.errors)
        answers[question.name] = Answer(best, list(statements))
    await database.close()
    return answers


async def _middle_cursor(services: Services) -> str:
    count = await services.store.count("image")
    question = f"{{ images(first: 1, offset: {count // 2}) {{ pageInfo {{ endCursor }} }} }}"
    result = await schema.execute(question, context_value=Context.of(services, EVERYONE))
    assert result.data is not None
    return str(result.data["images"]["pageInfo"]["endCursor"])


def _print_plans(database: Database, answers: dict[str, Answer]) -> None:
    with database.read_sync() as connection:
        for name, answer in answers.items():
            print(f"-- {name}")
            for statement in answer.statements:
                print("   ", "\n    ".join(plan_lines(connection, statement)))


def _scans(database: Database, answers: dict[str, Answer]) -> dict[str, set[str]]:
    """The full scans of each selective question."""
    with database.read_sync() as connection:
        return {
            question.name: {
                table
                for statement in answers[question.name].statements
                for table in full_scans(connection, statement)
            }
            for question in QUESTIONS
            if question.selective
        }


def _print_times(sizes: list[int], runs: list[dict[str, Answer]]) -> None:
    print(f"{'question':32}" + "".join(f"{size:>12} ms" for size in sizes) + "  SQL")
    for question in QUESTIONS:
        answers = [run[question.name] for run in runs]
        times = "".join(f"{answer.ms:>15.1f}" for answer in answers)
        growth = f"  x{answers[-1].ms / answers[0].ms:.1f}" if len(answers) > 1 else ""
        print(f"{question.name:32}{times}  {len(answers[-1].statements):>3}{growth}")


if __name__ == "__main__":
    main()
