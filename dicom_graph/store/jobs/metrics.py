"""How many imports there are, and what they did, all together."""

from typing import NamedTuple

from sqlalchemy import func, select

from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobStatus
from dicom_graph.store.tables.imports import ImportBatch, ImportJob


class JobFigures(NamedTuple):
    """Of all imports. `images`: created, updated, existing; `jobs` and `batches` by status."""

    jobs: dict[str, int]
    batches: dict[str, int]
    images: tuple[int, int, int]
    skipped: int
    failed: int


async def job_figures(database: Database) -> JobFigures:
    """Two statements, each over a small table."""
    counted = (
        ImportJob.images_created, ImportJob.images_updated, ImportJob.images_existing,
        ImportJob.skipped, ImportJob.failed,
    )  # fmt: skip
    sums = [func.coalesce(func.sum(column), 0) for column in counted]
    statement = select(ImportJob.status, func.count(), *sums).group_by(ImportJob.status)
    by_batch = select(ImportBatch.status, func.count()).group_by(ImportBatch.status)
    async with database.read() as connection:
        rows = (await connection.execute(statement)).all()
        batches = {row[0]: row[1] for row in await connection.execute(by_batch)}
    jobs = {str(status): 0 for status in JobStatus} | {row[0]: row[1] for row in rows}
    totals = [sum(int(row[place]) for row in rows) for place in range(2, 7)]
    return JobFigures(jobs, batches, (totals[0], totals[1], totals[2]), totals[3], totals[4])
