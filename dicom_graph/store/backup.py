"""A copy of SQLite's database at one moment, while others read and write it."""

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.former_users import require_file
from dicom_graph.store.private_files import open_new


def back_up(database: Database, target: Path, *, force: bool = False) -> int:
    """Copy the database to a file; returns its size in bytes.

    The copy is made beside the target, checked, flushed to disk, and only then put in its place:
    the target is whole or as it was. Readers and writers go on meanwhile. Raises DatabaseError; for
    PostgreSQL too, whose own tool does this.
    """
    if not database.is_sqlite:
        raise DatabaseError(
            "PostgreSQL is backed up by its own tool: pg_dump --format=custom "
            f"--file={target} {database.url.database} (with its host and user), "
            "and pg_restore brings it back"
        )
    require_file(database)
    if not Path(str(database.url.database)).is_file():
        raise DatabaseError(f"there is no database at {database.url.database} to back up")
    _require_free(database, target, force=force)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        _copy(str(database.url.database), beside)
        _flush(beside)
        _put(beside, target, force=force)
        _flush(target.parent)
        return target.stat().st_size
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatabaseError(f"cannot back up to {target}: {reason}") from error
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{beside}{ending}")


def _require_free(database: Database, target: Path, *, force: bool) -> None:
    if target.exists() and not force:
        raise DatabaseError(f"{target} exists: give another name, or --force to replace it")
    with suppress(OSError):
        if target.samefile(str(database.url.database)):
            raise DatabaseError(f"{target} is the database itself")


def _copy(source: str, target: Path) -> None:
    """In one step: between steps a writer would make it begin again, and again."""
    os.close(open_new(str(target)))
    # Not through the path alone, which would make a file where none is.
    address = f"{Path(source).absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=60)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy, pages=-1)
        (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        # One file, until somebody writes it.
        copy.execute("PRAGMA journal_mode=DELETE")
    if found != "ok":
        raise DatabaseError(f"the copy is damaged, so the database may be: {found}")


def _put(beside: Path, target: Path, *, force: bool) -> None:
    """Replace the target only if that was asked for, also where it came to be just now."""
    if not force:
        try:
            os.link(beside, target)
            return
        except FileExistsError:
            raise
        except OSError:
            pass  # A file system without links.
    os.replace(beside, target)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
