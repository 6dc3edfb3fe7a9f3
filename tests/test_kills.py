"""A few of the kills that `python -m tests.kills` does by the dozen."""

from contextlib import nullcontext
from pathlib import Path
from random import Random

import pytest

from dicom_graph.store.jobs.jobs import Storage
from tests.kills import VICTIMS, NewDatabase, run
from tests.support.postgres import postgres_database

pytestmark = pytest.mark.slow


@pytest.fixture
def new_database(request: pytest.FixtureRequest, database_kind: str) -> NewDatabase:
    """Makes a database for each import."""
    if database_kind == "sqlite":
        return lambda folder: nullcontext(f"sqlite:///{folder}/database.sqlite3")
    url = request.getfixturevalue("postgres_url")
    return lambda folder: postgres_database(url)


@pytest.mark.parametrize(
    ("database_kind", "victim", "storage"),
    [("postgresql", "import", Storage.MOVE), ("sqlite", "server", Storage.COPY)],
)
def test_kills_lose_nothing(
    new_database: NewDatabase, tmp_path: Path, storage: Storage, victim: str
) -> None:
    assert run(1, storage, VICTIMS[victim](), new_database, tmp_path, Random(3)) > 0


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_killed_worker_loses_nothing(new_database: NewDatabase, tmp_path: Path) -> None:
    victim = VICTIMS["worker"]()
    assert run(3, Storage.IN_PLACE, victim, new_database, tmp_path, Random(5)) > 0
