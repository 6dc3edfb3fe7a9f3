"""`GET /metrics`: figures for Prometheus."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from dicom_graph.services import Services
from dicom_graph.store.jobs.metrics import JobFigures, job_figures
from dicom_graph.store.sql.driver_errors import describe_error
from dicom_graph.telemetry import metrics

log = logging.getLogger(__name__)
_LOOK_SECONDS = 5.0
_RESULTS = ("created", "updated", "existing")


async def show_metrics(request: Request) -> Response:
    """The figures of this process, or of all that share theirs; those of imports of all."""
    services: Services = request.app.state.services
    sample(services)
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            found = await job_figures(services.store.database)
    except Exception as error:
        log.warning("figures of imports cannot be read: %s", describe_error(error))
        found = None
    content = await asyncio.to_thread(metrics.render, _of_database(found))
    return Response(content, headers={"Content-Type": metrics.CONTENT_TYPE})


def _of_database(found: JobFigures | None) -> Iterator[Metric]:
    up = GaugeMetricFamily("dicom_graph_database_up", "Whether the database answers.")
    up.add_metric([], 0 if found is None else 1)
    yield up
    if found is None:
        return
    jobs = GaugeMetricFamily("dicom_graph_import_jobs", "Imports by status.", labels=["status"])
    for status, count in found.jobs.items():
        jobs.add_metric([status.lower()], count)
    yield jobs
    images = CounterMetricFamily(
        "dicom_graph_import_images", "Files whose image was taken.", labels=["result"]
    )
    for name, count in zip(_RESULTS, found.images, strict=True):
        images.add_metric([name], count)
    yield images
    files = CounterMetricFamily(
        "dicom_graph_import_files", "Files that were not taken.", labels=["result"]
    )
    files.add_metric(["skipped"], found.skipped)
    files.add_metric(["failed"], found.failed)
    yield files
    batches = GaugeMetricFamily(
        "dicom_graph_queue_batches", "Batches of imports for workers.", labels=["status"]
    )
    for status, count in found.batches.items():
        batches.add_metric([status.lower()], count)
    yield batches


def sample(services: Services) -> None:
    """Read the present states of this process."""
    size, in_use = services.store.database.pool_state()
    metrics.POOL_SIZE.set(size)
    metrics.POOL_IN_USE.set(in_use)
    if services.audit is not None:
        metrics.AUDIT_WAITING.set(services.audit.waiting)
        metrics.AUDIT_LOST.set(services.audit.lost)


@asynccontextmanager
async def sampling(app: Starlette) -> AsyncIterator[None]:
    """Where several processes share their figures, the process that is asked answers for the
    others: each writes its states down now and then.
    """
    if not metrics.is_shared():
        yield
        return

    async def keep_sampling() -> None:
        while True:
            sample(app.state.services)
            await asyncio.sleep(_LOOK_SECONDS)

    task = asyncio.create_task(keep_sampling())
    try:
        yield
    finally:
        task.cancel()
        metrics.leave()
