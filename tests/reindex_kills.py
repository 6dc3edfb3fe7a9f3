"""Kills reindexes at random moments, and shows that they go on and come to the same end.

python -m tests.reindex_kills --kills 20 --database postgresql
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from sqlalchemy import select

from dicom_graph.dicom.elements.revisions import VERSION
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.tables.versions import ReadingVersion
from tests.kills import databases
from tests.support.contents import assert_consistent, contents

_CODE = """
import dicom_graph.store.reindex.run as run
from dicom_graph.store.engine import Database
run._WINDOW = 1
run.reindex(Database({url!r}))
"""
"""Window by window of one image, so that there are moments between."""


def kill_and_finish(
    database: Database, environment: dict[str, str], *, kills: int, seed: int
) -> int:
    """Kill so many reindexes, let one come to its end; returns how many were killed in time."""
    random = Random(seed)
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _CODE.format(url=url)]
    done = 0
    for _ in range(kills):
        process = subprocess.Popen(command, env=environment)
        before = reached(database)
        while process.poll() is None and reached(database) == before:
            time.sleep(0.002)
        time.sleep(random.random() / 50)
        process.kill()
        done += process.wait() != 0
        assert_consistent(database)
    subprocess.run(command, env=environment, check=True)
    return done


def reached(database: Database) -> tuple[int, int]:
    """How far a reindex has come."""
    with database.read_sync() as connection:
        row = connection.execute(select(ReadingVersion.version, ReadingVersion.image_id)).one()
    return row.version, row.image_id


def main() -> None:
    """The command."""
    from tests.store.test_reindex import make_tree, spoil

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dicom-graph-reindex-") as name,
        databases(given.database) as new_database,
    ):
        folder = Path(name)
        make_tree(folder / "files")
        done = rounds = 0
        while done < given.kills:
            (folder / str(rounds)).mkdir()
            with new_database(folder / str(rounds)) as url:
                database = Database(url)
                upgrade(database)
                paths = (str(folder / "files"),)
                run_import(database, JobRequest(paths, Mode.FULL, origin=JobOrigin.PYTHON))
                expected = contents(database)
                with database.writer.begin() as connection:
                    spoil(connection)
                left = min(4, given.kills - done)
                done += kill_and_finish(database, {}, kills=left, seed=rounds)
                assert contents(database) == expected
                assert reached(database) == (VERSION, 0)
                database.close_writer()
            rounds += 1
    print(f"{done} kills of {rounds} reindexes: all came to the contents of a new import")


if __name__ == "__main__":
    main()
