"""Kills imports at random moments, and shows that nothing is lost and all is completed.

    python -m tests.kills --kills 50 --database postgresql --storage move --victim server
    python -m tests.kills --kills 50 --database postgresql --victim worker

An import is started, killed with SIGKILL, and started again, until it comes to its end; then the
next one begins, on a database of its own, until so many kills are done. After each kill: no source
file is lost, and whole files only lie below the storage root. At each end: the database equals
that of an import that nobody killed, and so does the storage root.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import func, select

from dicom_graph.importing.queue.runner import QueueRunner
from dicom_graph.importing.queue.schema import upgrade_queue
from dicom_graph.importing.storage import paths_to_store
from dicom_graph.importing.work_folder import WORK_FOLDER
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest, JobStatus, Storage, create_job
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.imports import ImportJob
from tests.support.contents import assert_consistent, contents
from tests.support.make import make_series

Digests = dict[str, str]
NewDatabase = Callable[[Path], AbstractContextManager[str]]
_COMMAND = "from dicom_graph.cli import main; main()"
_MANY = 20
_COUNTS = ("found", "images_created", "images_updated", "images_existing", "skipped", "failed")


def make_tree(folder: Path) -> None:
    """Images of several sizes, copies, one of other content, and what is no image."""
    for number in range(3):
        make_series(
            folder / f"s{number}", _MANY, PatientID=f"p{number}", SeriesNumber=number,
            PixelData=b"\1" * (number * 100_000), BitsAllocated=8,
        )  # fmt: skip
    (folder / "z").mkdir()
    for number in (3, 7):
        shutil.copy(folder / "s1" / f"{number:04}.dcm", folder / "z" / f"copy-{number}.dcm")
    other = (folder / "s0" / "0005.dcm").read_bytes().replace(b"ORIGINAL", b"DERIVED ")
    (folder / "z" / "other.dcm").write_bytes(other)
    (folder / "z" / "notes.txt").write_text("no DICOM")
    (folder / "z" / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)


@dataclass
class Round:
    """One import, with its files and its database."""

    folder: Path
    database: Database
    url: str
    storage: Storage
    originals: Digests = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "DICOM_GRAPH_DATABASE_URL": self.url,
            "DICOM_GRAPH_STORAGE_ROOT": str(self.root),
            "DICOM_GRAPH_IMPORT_ROOTS": str(self.folder),
            "DICOM_GRAPH_BATCH_SIZE": "4",
        }

    def images(self) -> int:
        """How many images the database has."""
        with self.database.read_sync() as connection:
            return int(connection.execute(select(func.count()).select_from(Image)).scalar_one())

    def last_job(self) -> dict[str, Any]:
        """The row of the import that was asked for last."""
        statement = select(ImportJob.__table__).order_by(ImportJob.id.desc()).limit(1)
        with self.database.read_sync() as connection:
            return dict(connection.execute(statement).mappings().one())

    def result(self) -> dict[str, Any]:
        """What the import made, wherever the round's folder is."""
        found = contents(self.database)
        found["files"] = {
            (os.path.relpath(folder, self.folder), name): file
            for (folder, name), file in found["files"].items()
        }
        return found | {"root": digests(self.root), "tree": digests(self.tree)}

    def require_nothing_lost(self) -> None:
        """Every original is there: where it was, or whole below the root. Nothing else is."""
        kept, left = digests(self.root), digests(self.tree)
        assert set(kept.values()) <= set(self.originals.values()), "a file that is not whole"
        for name, digest in self.originals.items():
            moved = self.storage is Storage.MOVE and digest in kept.values()
            assert left.get(name) == digest or (moved and name not in left), f"{name} is lost"
        if self.storage is Storage.IN_PLACE:
            assert not kept


def digests(folder: Path) -> Digests:
    """The SHA-256 of the files below a folder, without those on their way in."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and WORK_FOLDER not in path.parts
    }


class ImportVictim:
    """`dicom-graph import`, run anew until it ends by itself."""

    def prepare(self, round: Round) -> None:
        """The command is its own request."""

    def start(self, round: Round) -> subprocess.Popen[bytes]:
        storage = round.storage.value.lower().replace("_", "-")
        arguments = ["import", str(round.tree), "--mode", "full", "--storage", storage]
        return start_command(round, arguments)

    def is_done(self, round: Round, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is None:
            return False
        assert process.returncode in (0, 1, -signal.SIGKILL), process.returncode
        return process.returncode in (0, 1)

    def report(self, round: Round) -> dict[str, Any]:
        """A later run finds less to do: its counts are not those of a run at one go."""
        return {}


class ServerVictim:
    """`dicom-graph serve` with an import that the API asked for; each server goes on with it."""

    def prepare(self, round: Round) -> None:
        paths = paths_to_store(round.storage, [str(round.tree)], round.root)
        request = JobRequest(paths, Mode.FULL, storage=round.storage)
        with round.database.writer.begin() as connection:
            create_job(connection, request)

    def start(self, round: Round) -> subprocess.Popen[bytes]:
        return start_command(round, ["serve", "--port", "0"])

    def is_done(self, round: Round, process: subprocess.Popen[bytes]) -> bool:
        return JobStatus(round.last_job()["status"]).is_final

    def report(self, round: Round) -> dict[str, Any]:
        job = round.last_job()
        assert job["status"] == JobStatus.COMPLETED, job["error"]
        # A copy that is removed, and killed before it is counted, is met by no later run.
        uncertain = ("found", "images_existing") if round.storage is Storage.MOVE else ()
        return {name: job[name] for name in _COUNTS if name not in uncertain}


class WorkerVictim(ServerVictim):
    """`dicom-graph worker`, two batches at once, with an import in the queue of PostgreSQL."""

    def prepare(self, round: Round) -> None:
        upgrade_queue(round.database)
        paths = paths_to_store(round.storage, [str(round.tree)], round.root)
        request = JobRequest(paths, Mode.FULL, storage=round.storage)
        QueueRunner(round.database, stalled_after=1).submit(request)

    def start(self, round: Round) -> subprocess.Popen[bytes]:
        return start_command(
            round, ["worker", "--concurrency", "2"], DICOM_GRAPH_QUEUE="procrastinate",
            DICOM_GRAPH_QUEUE_BATCH_FILES="9", DICOM_GRAPH_QUEUE_STALL_SECONDS="1",
        )  # fmt: skip


Victim = ImportVictim | ServerVictim
VICTIMS: dict[str, type[Victim]] = {
    "import": ImportVictim,
    "server": ServerVictim,
    "worker": WorkerVictim,
}


def start_command(round: Round, arguments: list[str], **settings: str) -> subprocess.Popen[bytes]:
    """`dicom-graph` of this tree, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *arguments],
        env=round.environment | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def run_to_the_end(victim: Victim, round: Round) -> None:
    """Let it end by itself."""
    wait_for(victim, round, lambda: False)


def kill_once(victim: Victim, round: Round, random: Random) -> bool:
    """Kill it a moment after some more images are there; False where it ended before."""
    goal = round.images() + random.randint(1, _MANY)
    return wait_for(victim, round, lambda: round.images() >= goal, random.random() / 30)


def wait_for(victim: Victim, round: Round, is_time: Callable[[], bool], delay: float = 0.0) -> bool:
    """Start it and wait until it is done (False), or until it is time to kill it (True)."""
    process = victim.start(round)
    deadline = time.monotonic() + 120
    try:
        while True:
            code = process.poll()
            if victim.is_done(round, process):
                return False
            assert code is None, f"it ended by itself: {code}"
            assert time.monotonic() < deadline, "it does not come to its end"
            if is_time():
                time.sleep(delay)
                return True
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()


@contextmanager
def new_round(
    template: Path, folder: Path, storage: Storage, database: AbstractContextManager[str]
) -> Iterator[Round]:
    """A copy of the tree, an empty root, and a database with its tables."""
    shutil.copytree(template, folder / "tree")
    (folder / "root").mkdir()
    with database as url:
        opened = Database(url)
        upgrade(opened)
        yield Round(folder, opened, url, storage, digests(folder / "tree"))
        opened.close_writer()
    shutil.rmtree(folder)


def run(
    kills: int,
    storage: Storage,
    victim: Victim,
    new_database: NewDatabase,
    folder: Path,
    random: Random,
) -> int:
    """Kill so often; returns how many imports were completed. Raises AssertionError."""
    template = folder / "template"
    make_tree(template)

    def begin(name: str) -> AbstractContextManager[Round]:
        (folder / name).mkdir()
        return new_round(template, folder / name, storage, new_database(folder / name))

    with begin("unhurt") as round:
        victim.prepare(round)
        run_to_the_end(victim, round)
        round.require_nothing_lost()
        expected = round.result(), victim.report(round)
    completed = done = 0
    while done < kills:
        with begin(f"round-{completed}") as round:
            victim.prepare(round)
            while done < kills and kill_once(victim, round, random):
                done += 1
                round.require_nothing_lost()
                assert_consistent(round.database)
            run_to_the_end(victim, round)
            round.require_nothing_lost()
            assert_consistent(round.database)
            found = round.result(), victim.report(round)
            for name, part in expected[0].items():
                assert found[0][name] == part, f"{name} differ"
            assert found[1] == expected[1], f"reports differ: {found[1]}, {expected[1]}"
            completed += 1
    return completed


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--storage", choices=["in-place", "copy", "move"], default="in-place")
    parser.add_argument("--victim", choices=VICTIMS, default="import")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.victim == "worker" and given.database == "sqlite":
        parser.error("workers need --database postgresql")
    storage = Storage[given.storage.upper().replace("-", "_")]
    with (
        tempfile.TemporaryDirectory(prefix="dicom-graph-kills-") as name,
        databases(given.database) as new_database,
    ):
        completed = run(
            given.kills, storage, VICTIMS[given.victim](), new_database, Path(name),
            Random(given.seed),
        )  # fmt: skip
    print(f"{given.kills} kills, {completed} imports completed: nothing lost, all equal")


@contextmanager
def databases(kind: str) -> Iterator[NewDatabase]:
    """Makes databases of a kind."""
    if kind == "sqlite":
        yield lambda folder: nullcontext(f"sqlite:///{folder}/database.sqlite3")
        return
    from tests.support.postgres import postgres_database, private_postgres

    with private_postgres() as url:
        yield lambda folder: postgres_database(url)


if __name__ == "__main__":
    main()
