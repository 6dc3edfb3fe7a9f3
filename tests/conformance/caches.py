"""The normalised caches of Apollo and urql hold what the server says: pages, updates, deletes.

    python tests/conformance/caches.py

Starts a server with five series, and lets each client page through them in both directions, change
one, delete one, and meet the same object in two places. Exit status 1 where a cache then has
something else than the server, 77 where node or npm is missing.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.conformance.node_packages import node_modules
from tests.support.make import make_series
from tests.support.server import running_server

SCRIPT = Path(__file__).with_suffix(".mjs")


def main() -> int:
    """Each client against a server of its own."""
    packages = node_modules()
    return max(check(packages, client) for client in ("apollo", "urql"))


def check(packages: Path, client: str) -> int:
    """The exit status of the script with a client."""
    with tempfile.TemporaryDirectory(prefix="dicom-graph-caches-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'archive.sqlite3'}"
        fill(url, folder / "files")
        # Node looks for packages beside the script.
        (folder / "node_modules").symlink_to(packages)
        shutil.copy(SCRIPT, folder)
        with running_server(Settings(database_url=url, _env_file=None)) as server:
            command = ["node", SCRIPT.name, client, f"{server.url}/graphql"]
            return subprocess.run(command, cwd=folder, check=False, timeout=120).returncode


def fill(url: str, folder: Path) -> None:
    """Five series of two studies, of one patient."""
    for number in range(1, 6):
        make_series(
            folder / str(number), 2, SeriesNumber=number, SeriesDescription=f"series {number}",
            StudyInstanceUID=f"1.2.{number % 2}", SeriesInstanceUID=f"1.2.3.{number}",
        )  # fmt: skip
    database = Database(url)
    upgrade(database)
    run_import(database, JobRequest((str(folder),), Mode.FULL, origin=JobOrigin.PYTHON))
    database.close_writer()


if __name__ == "__main__":
    sys.exit(main())
