"""Procrastinate's own tables: made, and brought to those of the version that is installed."""

from pathlib import Path

from sqlalchemy import Connection, insert, select, text

from dicom_graph.importing.queue.library import SchemaManager
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.tables.imports import QueueMigration

_LOCK = 5_318_008_138


def upgrade_queue(database: Database) -> None:
    """Create or upgrade the queue's tables; each migration is one transaction.

    Safe to call from many processes at once. Raises DatabaseError.
    """
    with database.writer.begin() as connection:
        _lock(connection)
        applied = _applied(connection)
        if not _has_tables(connection):
            _execute(connection, SchemaManager.get_schema())
            _record(connection, *_migrations())
            return
    if not applied:
        raise DatabaseError(
            f"{database.safe_url} has tables of Procrastinate that `dicom-graph db upgrade` did "
            "not make: give dicom-graph a database of its own"
        )
    for name, path in _migrations().items():
        with database.writer.begin() as connection:
            _lock(connection)
            if name not in _applied(connection):
                _execute(connection, path.read_text(encoding="utf-8"))
                _record(connection, name)


def require_queue(database: Database) -> None:
    """Raises DatabaseError where the queue's tables are not those of the installed version."""
    with database.read_sync() as connection:
        missing = _migrations().keys() - _applied(connection)
    if missing:
        raise DatabaseError(
            f"the queue's tables of {database.safe_url} are not those of the installed "
            "Procrastinate: run `dicom-graph db upgrade`"
        )


def _migrations() -> dict[str, Path]:
    """The migrations of the installed version by name, in their order."""
    folder = Path(SchemaManager.get_migrations_path())
    return {path.name: path for path in sorted(folder.glob("*.sql"))}


def _applied(connection: Connection) -> set[str]:
    return set(connection.execute(select(QueueMigration.name)).scalars())


def _has_tables(connection: Connection) -> bool:
    found = connection.execute(text("SELECT to_regclass('procrastinate_jobs')"))
    return found.scalar() is not None


def _lock(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _execute(connection: Connection, script: str) -> None:
    """Many statements, with no regard to percent signs."""
    connection.connection.cursor().execute(script)


def _record(connection: Connection, *names: str) -> None:
    connection.execute(insert(QueueMigration), [{"name": name} for name in names])
