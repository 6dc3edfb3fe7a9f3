"""Bringing a database to the tables of this version, by the migrations beside the package."""

import logging
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, select, text, update

from dicom_graph.dicom.elements.revisions import VERSION
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.former_users import require_file, require_users
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.versions import ReadingVersion

log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).resolve().parent.parent
_LOCK = 5_318_008_136


def migrations_folder() -> Path:
    """Inside the package as installed; beside it in a checkout."""
    installed = _PACKAGE / "migrations"
    return installed if installed.is_dir() else _PACKAGE.parent / "migrations"


def upgrade(database: Database) -> None:
    """Create or upgrade the tables. Safe to call from many processes at once.

    Raises DatabaseError; UsersGoneError for one that had users, before anything is changed.
    """
    require_file(database)
    database.check()
    if _is_current(database):
        # Whoever only looks need not wait for who writes.
        database.protect()
        return
    with database.writer.begin() as connection:
        if not is_sqlite(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        require_users(database, connection)
        config = _config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            found = revision(connection)
            if found is not None and not _is_known(found):
                raise DatabaseError(_newer(database)) from error
            raise DatabaseError(f"cannot upgrade {database.safe_url}: {error}") from error
    with database.writer.begin() as connection:
        begin_readings(connection)
    # Not before: until now it may have been any file, whose rights are not ours to change.
    database.protect()


def _is_current(database: Database) -> bool:
    """Whether an upgrade would change nothing. Raises UsersGoneError."""
    with database.read_sync() as connection:
        if revision(connection) != head():
            return False
        require_users(database, connection)
        older = select(ReadingVersion.id).where(ReadingVersion.version < VERSION)
        return connection.execute(older).first() is None


def begin_readings(connection: Connection) -> None:
    """Where there are no images all is read by this version."""
    row = ReadingVersion
    if connection.execute(select(row.id).where(row.version < VERSION)).first() is None:
        return
    if connection.execute(select(Image.id).limit(1)).first() is None:
        connection.execute(update(row).values(version=VERSION, image_id=0))
        return
    log.warning(
        "an older version of dicom-graph read some of what is stored: `dicom-graph db reindex` "
        "reads it again (--dry-run says what would change), or a server with "
        "DICOM_GRAPH_REINDEX=background"
    )


def prepare(database: Database) -> None:
    """Upgrade an embedded database; of another one require that somebody has done so."""
    (upgrade if database.is_sqlite else require_current)(database)


def require_current(database: Database) -> None:
    """Raises DatabaseError where the tables are not those of this version; UsersGoneError."""
    database.check()
    with database.read_sync() as connection:
        found = revision(connection)
    if found is not None and not _is_known(found):
        raise DatabaseError(_newer(database))
    if found != head():
        raise DatabaseError(
            f"the tables of {database.safe_url} are at revision {found or 'none'}, this version "
            f"needs {head()}: run `dicom-graph db upgrade`"
        )
    with database.read_sync() as connection:
        require_users(database, connection)


def _is_known(revision: str) -> bool:
    """Whether this version has the migration of a revision, or a later one."""
    script = ScriptDirectory.from_config(_config())
    return revision in {each.revision for each in script.walk_revisions()}


def _newer(database: Database) -> str:
    return (
        f"the tables of {database.safe_url} are of a newer version of dicom-graph than this one: "
        "install that version, or use a backup of before its upgrade"
    )


def revision(connection: Connection) -> str | None:
    """The revision of a database, None for an empty one; all of them where it says several."""
    found = MigrationContext.configure(connection).get_current_heads()
    return " and ".join(sorted(found)) or None


@cache
def head() -> str:
    """The revision of this version's tables."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config
