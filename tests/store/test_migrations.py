"""The migrations make the tables that the code knows, whoever runs them and however often."""

import json
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, select, text

from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.formats import FORMAT_FIELDS, column_of
from dicom_graph.store.migrate import _config, head, require_current, revision, upgrade
from dicom_graph.store.postings import postings
from dicom_graph.store.tables.base import Base
from dicom_graph.store.tables.headers import ElementSetMember, HeaderElement

ROOT = Path(__file__).resolve().parents[2]
_PLACE = re.compile(r"\s+")


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close_writer()


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    """A database without tables."""
    with opened(empty_database_url) as database:
        yield database


def migrate(database: Database, target: str) -> None:
    """Up or down to a revision."""
    config = _config()
    with database.writer.begin() as connection:
        config.attributes["connection"] = connection
        is_up = revision(connection) is None
        (command.upgrade if is_up else command.downgrade)(config, target)


def downgrade(database: Database) -> None:
    migrate(database, "base")


def described(database: Database) -> dict[str, Any]:
    """All that the database itself says of its tables, but for alembic's own and for triggers,
    which the migrations alone make.
    """
    with database.writer.begin() as connection:
        if database.is_sqlite:
            return _described_by_sqlite(connection)
        return _described_by_postgresql(connection)


def _described_by_sqlite(connection: Connection) -> dict[str, Any]:
    rows = connection.execute(
        text(
            "SELECT type, name, sql FROM sqlite_master "
            "WHERE tbl_name NOT LIKE 'alembic%' AND type <> 'trigger'"
        )
    )
    return {f"{kind} {name}": _normalised(sql or "") for kind, name, sql in rows}


def _normalised(sql: str) -> str:
    """Statements that differ in blanks, quotes and the order of a table's clauses are equal."""
    flat = _PLACE.sub(" ", sql.replace('"', "")).replace("( ", "(").replace(" )", ")")
    flat = flat.replace(" ,", ",").strip()
    if not flat.startswith("CREATE TABLE"):
        return flat
    start, _, rest = flat.partition("(")
    body, _, options = rest.rpartition(")")
    return f"{start}({sorted(re.split(r', (?![^(]*[)])', body))}){options}"


_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name,
       is_identity, numeric_precision, datetime_precision, udt_name
FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'alembic%'
"""
_INDEXES = """
SELECT tablename, indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'
"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'alembic%'
  AND contype <> 'n'  -- is_nullable says it, and their names are PostgreSQL's own
"""
_SEQUENCES = """
SELECT sequence_name, data_type FROM information_schema.sequences WHERE sequence_schema = 'public'
"""


def _described_by_postgresql(connection: Connection) -> dict[str, Any]:
    statements = (_COLUMNS, _INDEXES, _CONSTRAINTS, _SEQUENCES)
    return {
        statement.split()[1] + str(number): sorted(map(repr, connection.execute(text(statement))))
        for number, statement in enumerate(statements)
    }


def test_migrations_and_tables_agree(empty: Database) -> None:
    upgrade(empty)
    migrated = described(empty)
    downgrade(empty)
    assert inspect(empty.writer).get_table_names() in (["alembic_version"], [])
    Base.metadata.create_all(empty.writer)
    created = described(empty)
    assert migrated.keys() == created.keys()
    for name in created:
        assert migrated[name] == created[name]
    assert len(str(created)) > 5000


def is_of_dialect(dialect: str, thing: Any, *_: Any) -> bool:
    """Whether it is there on a kind of database: alembic does not ask."""
    condition = getattr(thing, "_ddl_if", None)
    return condition is None or condition.dialect == dialect


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_alembic_finds_no_difference(empty: Database) -> None:
    upgrade(empty)
    with empty.writer.begin() as connection:
        options = {"include_object": partial(is_of_dialect, connection.dialect.name)}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_a_second_upgrade_changes_nothing(empty: Database) -> None:
    upgrade(empty)
    before = described(empty)
    with empty.writer.begin() as connection:
        connection.execute(
            text("INSERT INTO data_element_definition (tag, private_creator, vr, keyword, name) "
                 "VALUES (1, '', 'CS', 'K', 'N')")
        )  # fmt: skip
    upgrade(empty)
    assert described(empty) == before
    with empty.writer.begin() as connection:
        assert revision(connection) == head()
        assert _count(connection, "data_element_definition") == 1


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_a_downgrade_to_base_leaves_nothing_and_can_be_upgraded(empty: Database) -> None:
    upgrade(empty)
    before = described(empty)
    downgrade(empty)
    assert _own_tables(empty.writer) == []
    upgrade(empty)
    assert described(empty) == before


def _own_tables(engine: Engine) -> list[str]:
    return [name for name in inspect(engine).get_table_names() if name != "alembic_version"]


def test_upgrades_at_once_in_threads_all_succeed(empty_database_url: str) -> None:
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            start.wait(timeout=30)
            with opened(empty_database_url) as database:
                upgrade(database)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
    with opened(empty_database_url) as database:
        require_current(database)


_UPGRADE = """
import sys
from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import upgrade
sys.stdin.readline()
upgrade(Database(sys.argv[1]))
"""


@pytest.mark.slow
def test_upgrades_at_once_in_processes_all_succeed(empty_database_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _UPGRADE, empty_database_url], stdin=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, ended
    with opened(empty_database_url) as database:
        require_current(database)


def test_an_empty_database_is_refused_with_what_to_do(empty: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        require_current(empty)
    message = str(caught.value)
    assert "revision none" in message
    assert "`dicom-graph db upgrade`" in message
    assert "\n" not in message
    upgrade(empty)
    require_current(empty)


def test_a_database_of_a_newer_version_is_refused(empty: Database) -> None:
    upgrade(empty)
    with empty.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer version"):
        require_current(empty)
    with pytest.raises(DatabaseError, match="newer version"):
        upgrade(empty)


def test_the_wheel_carries_the_migrations(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    versions = [path.name for path in (ROOT / "migrations" / "versions").glob("*.py")]
    assert versions
    for name in ("env.py", *(f"versions/{version}" for version in versions)):
        assert names.count(f"dicom_graph/migrations/{name}") == 1
    assert not [name for name in names if name.startswith(("tests/", "migrations/"))]


def test_what_elements_belong_to_survives_the_posting_lists(empty: Database) -> None:
    """0009, up and down: the pairs are the same, near ones in a row together."""
    pairs = {(1, 5), (1, 6), (1, 300), (1, 9000), (2, 6), (70_000, 4095), (70_000, 4096)}
    migrate(empty, "0008")
    with empty.writer.begin() as connection:
        for table in ("header_element", "element_set_member"):
            for element, id in pairs:
                connection.execute(text(f"INSERT INTO {table} VALUES ({element}, {id})"))
    upgrade(empty)
    with empty.read_sync() as connection:
        for model, rows in ((HeaderElement, 5), (ElementSetMember, 6)):
            held = postings(model)
            statement = select(held.element_id, held.holder_id).select_from(held.source)
            found = [tuple(row) for row in connection.execute(statement)]
            assert sorted(found) == sorted(pairs)
            assert _count(connection, model.__tablename__) == rows
    migrate(empty, "0008")
    with empty.read_sync() as connection:
        for table in ("header_element", "element_set_member"):
            found = [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]
            assert sorted(found) == sorted(pairs)


def test_formats_of_images_survive_their_table(empty: Database) -> None:
    """0010, up and down: each image has its SOP class and its transfer syntax, or none."""
    formats = {"1": ("4.2", "1.2.1"), "2": ("4.2", None), "3": (None, None), "4": ("4.2", "1.2.1")}
    migrate(empty, "0009")
    with empty.writer.begin() as connection:
        columns = "uid, created, modified, sop_class_uid, transfer_syntax_uid"
        moment = "0" if empty.is_sqlite else "now()"
        insert = text(f"INSERT INTO image ({columns}) VALUES (:uid, {moment}, {moment}, :sop, :ts)")
        rows = [{"uid": uid, "sop": sop, "ts": ts} for uid, (sop, ts) in formats.items()]
        connection.execute(insert, rows)
    upgrade(empty)
    with empty.read_sync() as connection:
        image = Base.metadata.tables["image"]
        wanted = image.c.uid, *(column_of(image, name) for name in FORMAT_FIELDS)
        assert {row[0]: tuple(row[1:]) for row in connection.execute(select(*wanted))} == formats
        assert _count(connection, "image_format") == 3
    migrate(empty, "0009")
    with empty.read_sync() as connection:
        kept = connection.execute(text("SELECT uid, sop_class_uid, transfer_syntax_uid FROM image"))
        assert {row[0]: tuple(row[1:]) for row in kept} == formats


IMAGES = {
    "1.1": None,
    "1.2": ["PatientID differs from that of the image's series"],
    "1.3": ["StudyInstanceUID differs from that of the image's series", "another"],
    "1.4": ["Modality differs from that of the image's series"],
}
_OF_FILES = (
    ("image", "header_digest"), ("image", "file_size"), ("directory", "real_path"),
    ("file", "digest"), ("file", "stamp"), ("file", "link"), ("file", "patient_id"),
    ("file", "study_id"),
)  # fmt: skip


def test_files_of_images_survive_what_tells_them_apart(empty: Database) -> None:
    """0011 and 0012, up and down: images and their files stay, and nothing is made up of them."""
    migrate(empty, "0010")
    with empty.writer.begin() as connection:
        moment = "0" if empty.is_sqlite else "now()"
        insert = text(
            "INSERT INTO image (uid, created, modified, warnings) "
            f"VALUES (:uid, {moment}, {moment}, {'' if empty.is_sqlite else 'CAST('}:warnings"
            f"{'' if empty.is_sqlite else ' AS JSONB)'})"
        )
        told = {uid: None if given is None else json.dumps(given) for uid, given in IMAGES.items()}
        connection.execute(insert, [{"uid": uid, "warnings": w} for uid, w in told.items()])
        connection.execute(text("INSERT INTO directory (id, path) VALUES (7, '/a')"))
        rows = [{"name": uid, "image": id} for id, uid in connection.execute(
            text("SELECT id, uid FROM image"))]  # fmt: skip
        connection.execute(
            text("INSERT INTO file (directory_id, name, size, mtime_ns, image_id, outcome) "
                 "VALUES (7, :name, 100, 1, :image, 0)"), rows,
        )  # fmt: skip
    upgrade(empty)
    with empty.read_sync() as connection:
        for table, column in _OF_FILES:
            found = connection.execute(text(f"SELECT {column} FROM {table}")).scalars()
            assert set(found) == {None}, column
        named = connection.execute(
            text("SELECT uid, header_patient_id, header_study_id FROM image ORDER BY uid")
        )
        assert [tuple(row) for row in named] == [
            ("1.1", None, None), ("1.2", 0, None), ("1.3", None, 0), ("1.4", None, None),
        ]  # fmt: skip
    with empty.writer.begin() as connection:
        connection.execute(text("UPDATE image SET file_size = 100"))
        connection.execute(text("UPDATE file SET patient_id = 5"))
    migrate(empty, "0010")
    names = {column for _, column in _OF_FILES} | {"header_patient_id", "header_study_id"}
    for table in ("image", "directory", "file"):
        assert not names & {each["name"] for each in inspect(empty.writer).get_columns(table)}
    with empty.read_sync() as connection:
        joined = text("SELECT i.uid, f.name FROM file f JOIN image i ON i.id = f.image_id")
        assert {(uid, uid) for uid in IMAGES} == {tuple(r) for r in connection.execute(joined)}
    with empty.writer.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with empty.read_sync() as connection:
        require_current(empty)
        assert _count(connection, "file") == len(IMAGES)
