"""Databases as a09ad0a made them, the last commit before digests had a revision of the reading.

`old_database.json.gz` has their rows, of either kind, as that commit's own import of `make_tree`
wrote them. They are written again by

    python -m tests.store.old_database CHECKOUT_OF_A09AD0A
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from sqlalchemy import inspect, text

from dicom_graph.store.engine import Database
from tests.kills import databases
from tests.support.make import make_data_set, put_raw, save

ROWS = Path(__file__).with_name("old_database.json.gz")
REVISION = "0010"


def make_tree(folder: Path) -> None:
    """Headers of each kind that is read otherwise since, and others; each file is of a patient."""
    for number, (name, data_set, syntax) in enumerate(_data_sets(), 1):
        data_set.PatientID = name
        uid = f"1.2.826.0.1.3680043.8.498.77.{number}"
        data_set.StudyInstanceUID, data_set.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
        data_set.SOPInstanceUID = f"{uid}.3"
        path = save(data_set, folder / f"{name}.dcm", syntax)
        if name == "unknown-vr":
            raw = path.read_bytes()
            for head in (b"\x09\x00\x01\x10LO", b"\x18\x00\x14\x13DS"):
                assert raw.count(head) == 1
                raw = raw.replace(head, head[:4] + b"ZZ")
            path.write_bytes(raw)


def _data_sets() -> list[tuple[str, Dataset, str]]:
    explicit, implicit, big = ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian
    return [
        ("plain", make_data_set(SliceLocation=-0.0, ImagePositionPatient=[0, 1.5, -2]), explicit),
        ("latin", _latin(), explicit),
        ("korean", _korean(), explicit),
        ("undeclared", _with(make_data_set(), 0x00100010, "PN", "Zoë^Éva".encode()), explicit),
        ("zone", make_data_set(TimezoneOffsetFromUTC="-0330", DateTime="20200102030405"), implicit),
        ("big", _big(), big),
        ("unknown-vr", _private("ACME", 0x00091001, "LO", b"abc ", FlipAngle="45"), explicit),
        ("unsigned", _ambiguous(0), implicit),
        ("signed", _ambiguous(1), implicit),
        ("name", _private("GEMS_ACQU_01", 0x00191023, "DS", b"1.5 "), explicit),
        ("zero", _private("GEMS_IMAG_01", 0x00271045, "FL", b"\0\0\0\x80"), explicit),
        ("long", make_data_set(TextValue="x" * (5 << 20)), explicit),
    ]  # fmt: skip


def _with(data_set: Dataset, tag: int, vr: str, raw: bytes) -> Dataset:
    put_raw(data_set, tag, vr, raw)
    return data_set


def _latin() -> Dataset:
    data_set = make_data_set(TimezoneOffsetFromUTC="+0200", AcquisitionDateTime="20200102030405")
    put_raw(data_set, 0x00080005, "CS", b"ISO_IR 100")
    put_raw(data_set, 0x00100010, "PN", b"\xc4nne^M\xfcller ")
    put_raw(data_set, 0x0008103E, "LO", b"Sch\xe4del")
    item = Dataset()
    put_raw(item, 0x00080104, "LO", b"Gro\xdfhirn ")
    item.DateTime = "20200102030405"
    data_set.AnatomicRegionSequence = Sequence([item, Dataset()])
    return data_set


def _korean() -> Dataset:
    """PS3.5 I.2, example 1."""
    data_set = make_data_set()
    put_raw(data_set, 0x00080005, "CS", b"\\ISO 2022 IR 149 ")
    raw = "Hong^Gildong=\x1b$)C洪^\x1b$)C吉洞=\x1b$)C홍^\x1b$)C길동".encode("euc_kr")
    put_raw(data_set, 0x00100010, "PN", raw)
    return data_set


def _big() -> Dataset:
    data_set = make_data_set(FrameIncrementPointer=0x00181063, PixelRepresentation=0)
    data_set.RedPaletteColorLookupTableData = bytes(range(1, 21))
    data_set.SelectorFDValue = [1.5, -2.25]
    data_set.SelectorULValue = [1, 4_000_000_000]
    return data_set


def _private(creator: str, tag: int, vr: str, raw: bytes, **elements: Any) -> Dataset:
    data_set = make_data_set(**elements)
    data_set.add_new(tag & 0xFFFF0000 | 0x10, "LO", creator)
    return _with(data_set, tag, vr, raw)


def _ambiguous(pixel_representation: int) -> Dataset:
    data_set = make_data_set(PixelRepresentation=pixel_representation)
    put_raw(data_set, 0x00280106, "US", b"\xfe\xff")
    of_words, of_one = Dataset(), Dataset()
    put_raw(of_words, 0x00283002, "US", b"\x04\x00\xfe\xff\x10\x00")
    put_raw(of_words, 0x00283006, "OW", bytes(range(8)))
    put_raw(of_one, 0x00283002, "US", b"\x01\x00\xfe\xff\x10\x00")
    put_raw(of_one, 0x00283006, "US", b"\x07\x00")
    data_set.ModalityLUTSequence = Sequence([of_words, of_one])
    return data_set


def load(database: Database) -> None:
    """Fill the tables of `REVISION` with what a09ad0a wrote."""
    kept = json.loads(gzip.decompress(ROWS.read_bytes()))
    tables = kept["sqlite" if database.is_sqlite else "postgresql"]
    with database.writer.begin() as connection:
        cursor = connection.connection.cursor()
        no_keys = "SET session_replication_role = replica"
        cursor.execute("PRAGMA defer_foreign_keys = ON" if database.is_sqlite else no_keys)
        for name, (columns, rows) in tables.items():
            cursor.execute(f'DELETE FROM "{name}"')
            listed = ", ".join(f'"{column}"' for column in columns)
            if database.is_sqlite:
                marks = ", ".join("?" * len(columns))
                values = [[_value(each) for each in row] for row in rows]
                cursor.executemany(f'INSERT INTO "{name}" ({listed}) VALUES ({marks})', values)
                continue
            with cursor.copy(f'COPY "{name}" ({listed}) FROM STDIN') as copy:
                copy.write(rows)
            if "id" in columns and _has_sequence(cursor, name):
                last = f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id))"
                cursor.execute(f'{last} FROM "{name}" HAVING max(id) IS NOT NULL')


def _has_sequence(cursor: Any, name: str) -> bool:
    cursor.execute(f"SELECT pg_get_serial_sequence('{name}', 'id')")
    return cursor.fetchone()[0] is not None


def _value(kept: Any) -> Any:
    return bytes.fromhex(kept["hex"]) if isinstance(kept, dict) else kept


def _dump(database: Database) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with database.writer.begin() as connection:
        cursor = connection.connection.cursor()
        names = sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})
        names += ["sqlite_sequence"] if database.is_sqlite else []
        for name in names:
            columns = (
                ["name", "seq"]
                if name == "sqlite_sequence"
                else [each["name"] for each in inspect(connection).get_columns(name)]
            )
            listed = ", ".join(f'"{column}"' for column in columns)
            if database.is_sqlite:
                cursor.execute(f'SELECT {listed} FROM "{name}"')
                rows: Any = [
                    [{"hex": each.hex()} if isinstance(each, bytes) else each for each in row]
                    for row in cursor.fetchall()
                ]
            else:
                with cursor.copy(f'COPY "{name}" ({listed}) TO STDOUT') as copy:
                    rows = b"".join(bytes(part) for part in copy).decode()
            found[name] = columns, rows
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        assert version == REVISION
    return found


def main() -> None:
    """Import by the other checkout into a database of each kind, and keep the rows."""
    checkout = Path(sys.argv[1]).resolve()
    kept = {}
    for kind in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as name, databases(kind) as new_database:
            folder = Path(name)
            make_tree(folder / "files")
            with new_database(folder) as url:
                environment = os.environ | {
                    "PYTHONPATH": str(checkout), "DICOM_GRAPH_DATABASE_URL": url, "HOME": name,
                }  # fmt: skip
                for command in (["db", "upgrade"], ["import", "files", "--mode", "full"]):
                    code = "from dicom_graph.cli import main; main()"
                    subprocess.run(
                        [sys.executable, "-c", code, *command], env=environment, cwd=folder,
                        check=True,
                    )  # fmt: skip
                database = Database(url)
                kept[kind] = _dump(database)
                database.close_writer()
    ROWS.write_bytes(gzip.compress(json.dumps(kept).encode(), mtime=0))


if __name__ == "__main__":
    main()
