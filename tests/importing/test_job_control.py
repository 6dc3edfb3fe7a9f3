"""Jobs that are cancelled, retried, or lost to another process; on both databases."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, update

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.foreground import Report, read_report, retry_import, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.control import JobControlError, cancel_job, create_retry
from dicom_graph.store.jobs.jobs import (
    JobCounts,
    JobOrigin,
    JobRequest,
    JobStatus,
    claim_job,
    create_job,
    fail_dead_jobs,
)
from dicom_graph.store.jobs.owners import is_dead, process_name
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.imports import ImportJob
from tests.support.commands import BAD
from tests.support.contents import Tables
from tests.support.make import make_file, make_series
from tests.support.waiting import until

Import = Callable[..., Report]
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


def job_of(database: Database, job_id: int) -> dict[str, object]:
    (job,) = [row for row in Tables(database, "import_job")["import_job"] if row["id"] == job_id]
    return job


def test_a_waiting_job_is_cancelled_at_once(database: Database, tmp_path: Path) -> None:
    with database.writer.begin() as connection:
        job_id = create_job(connection, JobRequest((str(tmp_path),)))
        assert cancel_job(connection, job_id) is JobStatus.CANCELLED
        assert claim_job(connection, job_id) is None
    assert job_of(database, job_id)["finished_at"] is not None
    with database.writer.begin() as connection, pytest.raises(JobControlError, match="has ended"):
        cancel_job(connection, job_id)
    with database.writer.begin() as connection, pytest.raises(JobControlError, match="no import"):
        cancel_job(connection, 12345)


def test_a_running_job_ends_at_its_next_batch(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 20)
    other = Database(database_url)

    def cancel(counts: JobCounts) -> None:
        if counts.created == 4:
            with other.writer.begin() as connection:
                assert cancel_job(connection, 1) is JobStatus.RUNNING

    request = JobRequest((str(tmp_path / "a"),), origin=JobOrigin.PYTHON)
    report = run_import(database, request, ImportOptions(batch_size=2), progress=cancel)
    other.close_writer()
    assert report.status is JobStatus.CANCELLED
    assert report.counts.created == 6
    assert report == read_report(database, 1)
    assert len(Tables(database, "image")["image"]) == 6


def test_a_dead_job_is_cancelled_at_once(database: Database, tmp_path: Path) -> None:
    with database.writer.begin() as connection:
        job_id = create_job(connection, JobRequest((str(tmp_path),)))
        claim_job(connection, job_id)
        connection.execute(update(ImportJob).values(owner="elsewhere:1:2", heartbeat_at=utc_now()))
        assert cancel_job(connection, job_id) is JobStatus.RUNNING
        silent = utc_now().replace(year=2000)
        connection.execute(update(ImportJob).values(heartbeat_at=silent))
        assert cancel_job(connection, job_id) is JobStatus.CANCELLED


def test_a_job_that_another_process_took_is_neither_written_nor_ended(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 20)
    other = Database(database_url)

    def take_over(counts: JobCounts) -> None:
        if counts.created == 4:
            with other.writer.begin() as connection:
                statement = update(ImportJob).values(owner="elsewhere:1:2", images_created=17)
                connection.execute(statement)

    request = JobRequest((str(tmp_path / "a"),), origin=JobOrigin.PYTHON)
    report = run_import(database, request, ImportOptions(batch_size=2), progress=take_over)
    other.close_writer()
    assert report.status is JobStatus.RUNNING
    job = job_of(database, 1)
    assert (job["owner"], job["images_created"]) == ("elsewhere:1:2", 17)
    assert job["status"] == "RUNNING"
    assert len(Tables(database, "image")["image"]) == 4


def test_an_import_that_was_buried_does_not_end_as_if_it_had_lived(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 6)
    other = Database(database_url)

    def bury(counts: JobCounts) -> None:
        if counts.created == 2:
            with other.writer.begin() as connection:
                owner = {"owner": "elsewhere:1:2", "heartbeat_at": utc_now().replace(year=2000)}
                connection.execute(update(ImportJob).values(owner))
                fail_dead_jobs(connection)

    request = JobRequest((str(tmp_path / "a"),), origin=JobOrigin.CLI)
    report = run_import(database, request, ImportOptions(batch_size=2), progress=bury)
    other.close_writer()
    assert report.status is JobStatus.FAILED
    assert "died" in str(report.error)


def test_a_number_that_another_process_has_now_is_no_sign_of_life() -> None:
    host, pid, start = process_name().split(":")
    assert not is_dead(process_name(), utc_now())
    assert not is_dead(f"{host}:{pid}", utc_now())
    if start:
        assert is_dead(f"{host}:{pid}:{int(start) - 1}", utc_now())


def test_a_retry_reads_only_what_failed(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    make_series(folder, 3)
    for name in ("bad-1.dcm", "sub/bad-2.dcm", "bad-3.dcm"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(BAD)
    first = import_files(folder, mode=Mode.FULL)
    assert first.counts == JobCounts(found=6, created=3, failed=3)
    make_file(folder / "bad-1.dcm", SOPInstanceUID="1.1")
    make_file(folder / "sub" / "bad-2.dcm", SOPInstanceUID="1.2")
    make_file(folder / "new.dcm")
    again = retry_import(database, first.job_id, JobOrigin.PYTHON)
    assert again.counts == JobCounts(found=3, created=2, failed=1)
    assert [failure.path for failure in again.failures] == [str(folder / "bad-3.dcm")]
    job = job_of(database, again.job_id)
    assert (job["retry_of"], job["mode"], job["paths"]) == (first.job_id, "FULL", [str(folder)])
    (folder / "bad-3.dcm").unlink()
    last = retry_import(database, again.job_id, JobOrigin.PYTHON)
    assert last.counts == JobCounts(found=1, failed=1)


@on_sqlite
def test_what_cannot_be_retried(import_files: Import, database: Database, tmp_path: Path) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    report = import_files(tmp_path / "a")
    with database.writer.begin() as connection:
        waiting = create_job(connection, JobRequest((str(tmp_path),)))
        for job_id, code in (
            (report.job_id, "NOTHING_FAILED"), (waiting, "JOB_HAS_NOT_ENDED"), (99, "NO_SUCH_JOB"),
        ):  # fmt: skip
            with pytest.raises(JobControlError) as caught:
                create_retry(connection, job_id, JobOrigin.API)
            assert caught.value.code == code


@on_sqlite
def test_a_retry_of_a_folder_keeps_to_the_pattern(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    make_file(folder / "1.dcm")
    hidden = folder / "sub" / "deep"
    hidden.parent.mkdir()
    hidden.symlink_to("deep")
    first = import_files(folder, pattern="sub/*")
    assert (first.counts.failed, first.counts.created) == (1, 0)
    hidden.unlink()
    make_file(hidden / "2.dcm", SOPInstanceUID="1.2")
    make_file(hidden / "notes", SOPInstanceUID="1.3")
    with database.writer.begin() as connection:
        connection.execute(update(ImportJob).values(pattern="sub/*.dcm"))
    report = retry_import(database, first.job_id, JobOrigin.PYTHON)
    assert report.counts == JobCounts(found=1, created=1)


def run_waiting(database: Database, count: int) -> None:
    """Run what waits, as a server does, until so many jobs have been completed."""
    runner = JobRunner(database, roots=(Path("/"),), options=ImportOptions(batch_size=2))
    runner.start()
    try:
        until(
            lambda: (
                [row["status"] for row in Tables(database, "import_job")["import_job"]].count(
                    "COMPLETED"
                )
                == count
            )
        )
    finally:
        runner.stop()


def test_a_sync_and_a_retry_that_were_interrupted_go_on(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    paths = make_series(folder, 30)
    (folder / "bad.dcm").write_bytes(BAD)
    first = import_files(folder)
    for path in paths[:20]:
        path.unlink()
    (folder / "bad.dcm").write_bytes(paths[25].read_bytes())
    stop = threading.Event()
    with database.writer.begin() as connection:
        sync_id = create_job(connection, JobRequest((str(folder),), Mode.FULL, sync=True))
        retry_id = create_retry(connection, first.job_id, JobOrigin.API)
        job = claim_job(connection, sync_id)
    assert job is not None

    from dicom_graph.importing.job import JobRun

    stop.set()
    assert JobRun(database, job, stop=stop).run() is JobStatus.INTERRUPTED
    run_waiting(database, 3)
    synced = read_report(database, sync_id).counts
    assert synced == JobCounts(found=11, existing=11, missing=20)
    assert read_report(database, retry_id).counts == JobCounts(found=1, existing=1)


@on_sqlite
def test_counts_of_what_is_gone_outlive_a_resume(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    paths = make_series(tmp_path / "a", 5)
    import_files(tmp_path / "a")
    paths[0].unlink()
    with database.writer.begin() as connection:
        job_id = create_job(connection, JobRequest((str(tmp_path / "a"),), sync=True))
        connection.execute(update(ImportJob).where(ImportJob.id == job_id).values(missing=7))
    run_waiting(database, 2)
    assert read_report(database, job_id).counts == JobCounts(found=4, existing=4, missing=8)


@on_sqlite
def test_the_queue_looks_for_the_dead_once(database: Database) -> None:
    statements: list[str] = []
    event.listen(database.writer, "before_cursor_execute", lambda *args: statements.append(args[2]))
    runner = JobRunner(database, roots=())
    runner.start()
    until(lambda: any("ORDER BY" in statement for statement in statements))
    runner.stop()
    looks = [s for s in statements if "import_job" in s and "ORDER BY" not in s]
    assert len(looks) == 1
