"""What an older version stored is read again as this one reads it: equal to a new import."""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    MRImageStorage,
)
from sqlalchemy import Connection, text

from dicom_graph.dicom.elements.packing import pack, unpack
from dicom_graph.dicom.elements.revisions import READINGS, VERSION, Reading
from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.reindex import reindex, run
from tests.reindex_kills import kill_and_finish, reached
from tests.store import old_database as old
from tests.store.test_migrations import migrate
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.make import make_data_set, make_series, put_raw, save
from tests.support.server import running_server
from tests.support.waiting import until


def make_tree(folder: Path) -> None:
    """Headers of all the kinds that are read otherwise, and some that are not."""
    make_series(folder / "plain", 3, PatientID="plain")
    for number, name in ((1, b"\xc4nne^M\xfcller "), (2, b"\xc4nne^M\xfcller ")):
        data_set = make_data_set(
            SOPInstanceUID=f"1.2.3.{number}", StudyInstanceUID="1.2", SeriesInstanceUID="1.3",
            PatientID="latin", InstanceNumber=number, TimezoneOffsetFromUTC="+0200",
            AcquisitionDateTime=f"2020010203040{number}",
        )  # fmt: skip
        put_raw(data_set, 0x00080005, "CS", b"ISO_IR 100")
        put_raw(data_set, 0x00100010, "PN", name)
        put_raw(data_set, 0x0008103E, "LO", b"Sch\xe4del")
        item = Dataset()
        item.CodeValue = "1"
        put_raw(item, 0x00080104, "LO", b"Gro\xdfhirn ")
        item.DateTime = "20200102030405"
        data_set.AnatomicRegionSequence = Sequence([item, Dataset()])
        save(data_set, folder / "latin" / f"{number}.dcm")
    data_set = make_data_set(PatientID="undeclared")
    put_raw(data_set, 0x00100010, "PN", "Zoë^Éva".encode())
    save(data_set, folder / "undeclared.dcm")
    data_set = make_data_set(PatientID="local", AcquisitionDateTime="20190102030401")
    save(data_set, folder / "local.dcm")
    data_set = make_data_set(PatientID="big", FrameIncrementPointer=0x00181063)
    data_set.RedPaletteColorLookupTableData = bytes(range(1, 21))
    save(data_set, folder / "big.dcm", ExplicitVRBigEndian)
    timing, groups = Dataset(), Dataset()
    timing.RepetitionTime = 2000
    groups.MRTimingAndRelatedParametersSequence = Sequence([timing])
    data_set = make_data_set(PatientID="enhanced", SeriesInstanceUID="1.4", EchoTime=None)
    data_set.SOPClassUID = EnhancedMRImageStorage
    data_set.SharedFunctionalGroupsSequence = Sequence([groups])
    save(data_set, folder / "enhanced.dcm")


def spoil(connection: Connection) -> None:
    """As an older version stored it, by hand: other digests, other values, no time zones."""
    rows = connection.execute(
        text(
            "SELECT e.id, d.vr, d.tag, e.packed, e.length FROM data_element e "
            "JOIN data_element_definition d ON d.id = e.definition_id"
        )
    ).all()
    for id, vr, tag, packed, length in rows:
        raw = unpack(bytes(packed), length) if packed is not None else b""
        values: dict[str, Any] = {"id": id, "digest": blake2b(b"%d" % id, digest_size=12).digest()}
        if vr in ("PN", "LO") and not raw.isascii():
            connection.execute(
                text("UPDATE data_element_value SET text = :read WHERE element_id = :id"),
                {"id": id, "read": raw.decode("cp1252").strip()[::-1]},
            )
        elif vr == "DT":
            if read_text(connection, id).startswith("2019"):
                # Of a header without an offset: as it always was.
                continue
            connection.execute(
                text("UPDATE data_element_value SET datetime = NULL WHERE element_id = :id"),
                {"id": id},
            )
        elif tag == 0x00281201:
            swapped = b"".join(raw[i : i + 2][::-1] for i in range(0, len(raw), 2))
            values["packed"] = pack(swapped)
            connection.execute(
                text("UPDATE data_element SET packed = :packed WHERE id = :id"),
                {"id": id, "packed": values.pop("packed")},
            )
        elif vr not in ("SQ", "AT") or tag in (0x52009229, 0x00189112):
            continue
        connection.execute(
            text("UPDATE element_digest SET digest = :digest WHERE id = :id"), values
        )
    connection.execute(
        text(
            "UPDATE patient SET name = 'old', family_name = 'old', given_name = NULL "
            "WHERE uid IN ('latin', 'undeclared')"
        )
    )
    connection.execute(text("UPDATE series SET description = 'old' WHERE uid = '1.3'"))
    connection.execute(
        text("UPDATE series SET repetition_time = NULL, repetition_times = NULL WHERE uid = '1.4'")
    )
    connection.execute(text("UPDATE reading_version SET version = 0, image_id = 0"))


def read_text(connection: Connection, element_id: int) -> str:
    """The text of an element's first value."""
    statement = text("SELECT text FROM data_element_value WHERE element_id = :id")
    return str(connection.execute(statement, {"id": element_id}).scalar())


@pytest.fixture
def spoilt(
    database: Database, tmp_path: Path, import_files: Callable[..., Report]
) -> dict[str, Any]:
    """A database as by an older version; what a new import makes of the same files."""
    make_tree(tmp_path / "files")
    import_files(tmp_path / "files")
    expected = contents(database)
    with database.writer.begin() as connection:
        spoil(connection)
    return expected


def test_a_reindex_makes_what_a_new_import_makes(
    database: Database, spoilt: dict[str, Any]
) -> None:
    before = contents(database)
    dry = reindex(database, dry_run=True)
    assert contents(database) == before
    report = reindex(database)
    assert_consistent(database)
    found = contents(database)
    for name, part in spoilt.items():
        assert found[name] == part, name
    assert (dry.elements, dry.headers, dry.fields) == (
        report.elements, report.headers, report.fields,
    )  # fmt: skip
    assert report.headers == 4
    assert report.fields["patient"] == 2
    assert report.fields["series"] == 2
    assert report.is_complete
    assert reindex(database).readings == []


def test_headers_that_are_read_as_before_are_not_touched(
    database: Database, spoilt: dict[str, Any]
) -> None:
    before = {row["id"]: row for row in Tables(database)["header"] if row["image_id"]}
    uids = Tables(database).uids("image")
    reindex(database)
    after = {row["id"]: row for row in Tables(database)["header"] if row["image_id"]}
    changed = {uids[row["image_id"]] for id, row in after.items() if row != before[id]}
    assert len(changed) == 4
    assert {"1.2.3.1", "1.2.3.2"} < changed


def test_a_new_image_of_known_bytes_is_read_by_this_version(
    database: Database, spoilt: dict[str, Any], tmp_path: Path, import_files: Callable[..., Report]
) -> None:
    shutil.copytree(tmp_path / "files" / "latin", tmp_path / "more")
    import_files(tmp_path / "more", verify=True)
    with database.read_sync() as connection:
        texts = connection.execute(
            text("SELECT text FROM data_element_value WHERE text LIKE '%nne^M%'")
        ).scalars()
        assert "Änne^Müller" in set(texts)
    reindex(database)
    assert_consistent(database)
    assert contents(database)["elements"] == spoilt["elements"]


@pytest.fixture
def old_database(empty_database_url: str) -> Iterator[Database]:
    """What the last commit before digests had a revision wrote, with today's tables."""
    opened = Database(empty_database_url)
    migrate(opened, old.REVISION)
    old.load(opened)
    upgrade(opened)
    yield opened
    opened.close_writer()


def test_a_database_of_an_older_version_becomes_what_a_new_import_makes(
    old_database: Database, tmp_path: Path
) -> None:
    old.make_tree(tmp_path / "files")
    fresh = Database(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    upgrade(fresh)
    run_import(fresh, JobRequest((str(tmp_path / "files"),), Mode.FULL, origin=JobOrigin.PYTHON))
    expected = contents(fresh)
    fresh.close_writer()
    dry = reindex(old_database, dry_run=True)
    report = reindex(old_database)
    assert_consistent(old_database)
    found = contents(old_database)
    for row in (*expected["image"].values(), *found["image"].values()):
        # Of the file as a whole: the next import that meets it fills them.
        del row["header_digest"], row["file_size"]
    for name in ("patient", "study", "series", "image", "headers", "elements"):
        assert found[name] == expected[name], name
    assert dry == dataclasses.replace(report, is_complete=True)
    # It has no image with functional groups.
    assert set(report.readings) >= {each.name for each in READINGS if each.version == 1}
    assert "what series are for" in report.readings
    assert (report.only_in_files, report.definitions, report.headers) == (0, 1, 7)
    again = reindex(old_database)
    assert (again.readings, again.definitions) == ([], 0)


def add_fields_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later version that fills the fields of MR images anew, and of nothing else."""
    reading = Reading(
        VERSION + 1, "fields of MR", sop_classes=frozenset({str(MRImageStorage)}), fields=True
    )
    monkeypatch.setattr(run, "READINGS", (*READINGS, reading))
    monkeypatch.setattr(run, "VERSION", VERSION + 1)


def test_a_later_version_fills_fields_of_the_sop_classes_that_it_names(
    database: Database,
    tmp_path: Path,
    import_files: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_series(tmp_path / "mr", 3, PatientID="mr")
    make_series(tmp_path / "ct", 2, PatientID="ct", SOPClassUID=CTImageStorage)
    import_files(tmp_path)
    expected = contents(database)
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE image SET number = NULL, rows = NULL"))
        connection.execute(text("UPDATE series SET echo_time = NULL"))
    add_fields_reading(monkeypatch)
    report = reindex(database)
    found = contents(database)
    mr = {uid for uid, row in expected["image"].items() if row["series_id"] == _series(found, 3)}
    assert (report.images, report.fields) == (3, {"image": 3, "series": 1})
    assert {uid for uid, row in found["image"].items() if row == expected["image"][uid]} == mr
    assert sorted(row["echo_time"] is None for row in found["series"].values()) == [False, True]


def _series(found: dict[str, Any], n_images: int) -> str:
    """The series of so many images."""
    counts = Counter(row["series_id"] for row in found["image"].values())
    return str(next(uid for uid, count in counts.items() if count == n_images))


def test_what_a_reindex_to_an_earlier_version_did_is_done_again_for_a_later_one(
    database: Database, tmp_path: Path, import_files: Callable[..., Report]
) -> None:
    make_series(tmp_path / "mr", 3)
    import_files(tmp_path)
    expected = contents(database)
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE image SET number = NULL"))
        connection.execute(
            text("UPDATE reading_version SET image_id = 99, target = 1, version = 0")
        )
    with pytest.MonkeyPatch.context() as patch:
        add_fields_reading(patch)
        assert reindex(database).images == 3
    assert contents(database)["image"] == expected["image"]


def test_a_server_reindexes_in_the_background(
    database: Database, spoilt: dict[str, Any], database_url: str
) -> None:
    settings = Settings(database_url=database_url, reindex="background", _env_file=None)
    with running_server(settings), running_server(settings):
        until(lambda: reached(database) == (VERSION, 0))
    assert_consistent(database)
    for name, part in spoilt.items():
        assert contents(database)[name] == part, name


@pytest.mark.slow
def test_a_reindex_that_is_killed_goes_on(
    database: Database, spoilt: dict[str, Any], environment: dict[str, str]
) -> None:
    assert kill_and_finish(database, environment, kills=2, seed=7) == 2
    assert_consistent(database)
    for name, part in spoilt.items():
        assert contents(database)[name] == part, name
