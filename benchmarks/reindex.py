"""How fast `dicom-graph db reindex` changes what an older version stored.

    python -m benchmarks.reindex FOLDER --images 20000
    python -m benchmarks.reindex FOLDER --images 20000 --postgres

Of an archive multiplied from the headers in FOLDER (`benchmarks.archive`), prints how many images
a second it changes where

- fields: a field of every image is filled from its stored header;
- elements: in every header an element that is its own, and one that its shared set has, are read
  otherwise: new elements, shared sets and posting lists, headers that name them;
- nothing: the headers hold no element that is read otherwise.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from sqlalchemy import text

from benchmarks.archive import generate, read_templates
from benchmarks.data_folder import add_data_folder, data_folder
from benchmarks.ingest import private_postgres
from dicom_graph.dicom.elements.revisions import VERSION, Reading
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import BatchWriter
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.reindex import reindex, run

_SLICE_LOCATION, _STUDY_DESCRIPTION, _NOWHERE = 0x00201041, 0x00081030, 0x00189999
_BATCH = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.reindex", description="Reindex speed.")
    add_data_folder(parser)
    parser.add_argument("--images", type=int, default=20_000, metavar="N")
    parser.add_argument("--postgres", action="store_true", help="start a private PostgreSQL")
    given = parser.parse_args()
    given.data = data_folder(parser, given)
    with tempfile.TemporaryDirectory() as folder:
        if not given.postgres:
            measure(f"sqlite:///{folder}/database.sqlite3", given.data, given.images)
            return
        with private_postgres(folder) as url:
            measure(url, given.data, given.images)


def measure(url: str, folder: Path, count: int) -> None:
    """Fill a database, and reindex it in each way."""
    database = Database(url)
    upgrade(database)
    fill(database, folder, count)
    numbers = iter(range(VERSION + 1, VERSION + 9))
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE image SET number = NULL"))
    show("fields", database, Reading(next(numbers), "fields", fields=True), count)
    tags = frozenset({_SLICE_LOCATION, _STUDY_DESCRIPTION})
    make_old(database, tags)
    show("elements", database, Reading(next(numbers), "elements", tags=tags), count)
    reading = Reading(next(numbers), "nothing", tags=tags, longer_than=1000)
    show("nothing", database, reading, count)
    database.close_writer()


def fill(database: Database, folder: Path, count: int) -> None:
    """`count` images."""
    writer, files = BatchWriter(), generate(read_templates(folder), count)
    while batch := list(islice(files, _BATCH)):
        with database.writer.begin() as connection:
            writer.write(connection, batch, None)


def make_old(database: Database, tags: Iterable[int]) -> None:
    """The elements of these tags get other digests, as those of an older version are."""
    with database.writer.begin() as connection:
        for tag in tags:
            ids = (
                connection.execute(
                    text(
                        "SELECT e.id FROM data_element e JOIN data_element_definition d "
                        "ON d.id = e.definition_id WHERE d.tag = :tag"
                    ),
                    {"tag": tag},
                )
                .scalars()
                .all()
            )
            if not ids:
                sys.exit(
                    f"no file has an element ({tag >> 16:04X},{tag & 0xFFFF:04X}): give others"
                )
            rows = [
                {"id": id, "digest": blake2b(b"%d" % id, digest_size=12).digest()} for id in ids
            ]
            statement = text("UPDATE element_digest SET digest = :digest WHERE id = :id")
            connection.execute(text("CREATE INDEX by_id ON element_digest (id)"))
            connection.execute(statement, rows)
            connection.execute(text("DROP INDEX by_id"))


def show(name: str, database: Database, reading: Reading, count: int) -> None:
    """Reindex as a version of which this is the only new reading."""
    vars(run).update(READINGS=(reading,), VERSION=reading.version)
    start, start_cpu = time.perf_counter(), time.process_time()
    report = reindex(database)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(
        f"{name}: {count / seconds:,.0f} images/s, {count / cpu:,.0f} per second of this process' "
        f"processor time; changed: {report.headers:,} headers, "
        f"{report.elements:,} elements, fields of {report.fields.get('image', 0):,} images"
    )


if __name__ == "__main__":
    main()
