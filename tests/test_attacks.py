"""Attacks in short: see `tests.attacks`."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.attacks.registry import attacks
from tests.conftest import postgres_database
from tests.faults.ground import CannotBeMade, Ground
from tests.kills import NewDatabase


def make(name: str, folder: Path, kind: str, new_database: NewDatabase) -> None:
    """Make an attack in its short form."""
    try:
        attacks()[name](Ground(folder, kind, new_database, clients=12, seconds=0.5))
    except CannotBeMade as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(attacks()))
def test_attack(tmp_path: Path, name: str) -> None:
    make(name, tmp_path, "sqlite", lambda folder: nullcontext(f"sqlite:///{folder}/db.sqlite3"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(attacks()))
def test_attack_on_postgresql(tmp_path: Path, name: str, postgres_url: str) -> None:
    make(name, tmp_path, "postgresql", lambda folder: postgres_database(postgres_url))
