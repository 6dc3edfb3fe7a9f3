"""What a server logs of imports, by Python's logging: counts, ids, kinds of warnings."""

import logging
from pathlib import Path

import pytest

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.log_texts import WarningCounts
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from tests.support.contents import Tables
from tests.support.make import make_data_set, make_series, put_raw, save
from tests.support.waiting import until

SECRET = "SECRETVALUE"


def test_creations_and_kinds_of_warnings_are_logged_without_patient_data(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = tmp_path / "files"
    make_series(files, 2, PatientName=f"{SECRET}^A", PatientID=SECRET)
    data_set = make_data_set(PatientName=f"{SECRET}^A", PatientID=SECRET)
    put_raw(data_set, 0x00101010, "AS", SECRET.encode() + b" ")
    save(data_set, files / "odd.dcm")
    caplog.set_level(logging.DEBUG, "dicom_graph")
    runner = JobRunner(database, roots=(files,))
    runner.start()
    try:
        job_id = runner.submit(JobRequest((str(files),), Mode.FULL))
        until(lambda: Tables(database, "import_job")["import_job"][-1]["finished_at"])
    finally:
        runner.stop()
    told = {level: [r.getMessage() for r in caplog.records if r.levelno == level]
            for level in (logging.INFO, logging.WARNING)}  # fmt: skip
    (line,) = [line for line in told[logging.INFO] if "COMPLETED" in line]
    assert line.startswith(f"import {job_id}: COMPLETED; 3 images created, 0 updated, 0 existing")
    (warned,) = told[logging.WARNING]
    assert warned.endswith("warnings of elements: 1 of (0010,1010) PatientAge")
    tables = Tables(database, "image", "series", "patient", "study")
    for name in ("image", "series", "patient", "study"):
        lines = [r for r in caplog.records if r.getMessage().startswith(f"created {name} ")]
        ids = sorted(id for r in lines for id in r.args[1])  # type: ignore[index,union-attr]
        assert ids == sorted(row["id"] for row in tables[name])
        assert {(r.levelno, r.name.rpartition(".")[0]) for r in lines} == {
            (logging.DEBUG, "dicom_graph.store.ingest")
        }
    assert SECRET not in caplog.text


def test_the_kind_of_a_warning_holds_nothing_of_the_file() -> None:
    counts = WarningCounts()
    counts.add(("(0040,0275) RequestAttributesSequence[0].(0010,0030) PatientBirthDate: SECRET",))
    counts.add(("(0010,0030) of the VR DA is no such value", "(0029,1010): x", "SECRET says: x"))
    assert str(counts) == (
        "1 of (0010,0030) PatientBirthDate, 1 of (0010,0030), 1 of (0029,1010), 1 of others"
    )
    assert str(WarningCounts()) == ""
