"""Faults in short: see `tests.faults`."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.faults.all import FAULTS
from tests.faults.ground import CannotBeMade, Ground
from tests.kills import NewDatabase
from tests.support.postgres import postgres_database

_QUICK = ("database-replaced", "file-gone", "slow-senders", "storage-full", "temporary-full")
_OF_BOTH = ("database-gone", "database-locked", "sigterm", "websockets")


def make(name: str, folder: Path, kind: str, new_database: NewDatabase) -> None:
    """Make a fault in its short form."""
    try:
        FAULTS[name](Ground(folder, kind, new_database, clients=12, seconds=0.5))
    except CannotBeMade as reason:
        pytest.skip(str(reason))


def on_sqlite(folder: Path) -> nullcontext[str]:
    return nullcontext(f"sqlite:///{folder}/database.sqlite3")


@pytest.mark.parametrize("name", _QUICK)
def test_fault(tmp_path: Path, name: str) -> None:
    make(name, tmp_path, "sqlite", on_sqlite)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {*_QUICK, "database-silent"}))
def test_slow_fault(tmp_path: Path, name: str) -> None:
    make(name, tmp_path, "sqlite", on_sqlite)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*_OF_BOTH, "database-silent"])
def test_fault_on_postgresql(tmp_path: Path, name: str, postgres_url: str) -> None:
    make(name, tmp_path, "postgresql", lambda folder: postgres_database(postgres_url))
