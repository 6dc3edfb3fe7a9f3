"""Attacks in short: see `tests.attacks`."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.attacks.points import POINTS
from tests.attacks.registry import attacks
from tests.faults.ground import CannotBeMade, Ground
from tests.kills import NewDatabase
from tests.support.postgres import postgres_database


def make(name: str, folder: Path, kind: str, new_database: NewDatabase) -> None:
    """Make an attack in its short form."""
    try:
        attacks()[name](Ground(folder, kind, new_database, clients=12, seconds=0.5))
    except CannotBeMade as reason:
        pytest.skip(str(reason))


_SQLITE, _POSTGRESQL = {"sqlite"}, {"postgresql"}
_DATABASES = {
    "unreadable-database": _SQLITE | _POSTGRESQL,
    "emptied-database": _SQLITE | _POSTGRESQL,
    "contradicting-files": _SQLITE | _POSTGRESQL,
    "work": _SQLITE | _POSTGRESQL,
    "everything-at-once": _POSTGRESQL,
    "guessed-passwords": _POSTGRESQL,
    "hangup-of-all": _POSTGRESQL,
    "silent-websockets": _POSTGRESQL,
    "stuck-mount": _POSTGRESQL,
    "strangers-at-once": _POSTGRESQL,
    "websocket-operations": _POSTGRESQL,
}
"""Where the database has a part in it; all else attacks sockets, files and decoders, on SQLite.

The command makes each on either.
"""


def _on(kind: str) -> list[str]:
    return [name for name in sorted(attacks()) if kind in _DATABASES.get(name, _SQLITE)]


def test_each_point_has_attacks_and_other_cases_of_its_kind() -> None:
    assert len(POINTS) == 17
    tried = [name for point in POINTS.values() for name in point.attacks]
    assert sorted(tried) == sorted(attacks())
    for name, point in POINTS.items():
        assert point.found <= set(point.cases), name
        assert len(point.others) >= 3, name


@pytest.mark.slow
@pytest.mark.parametrize("name", _on("sqlite"))
def test_attack(tmp_path: Path, name: str) -> None:
    make(name, tmp_path, "sqlite", lambda folder: nullcontext(f"sqlite:///{folder}/db.sqlite3"))


@pytest.mark.slow
@pytest.mark.parametrize("name", _on("postgresql"))
def test_attack_on_postgresql(tmp_path: Path, name: str, postgres_url: str) -> None:
    make(name, tmp_path, "postgresql", lambda folder: postgres_database(postgres_url))
