"""All that is asked of Procrastinate: to queue batches, to run them, to find the stalled ones."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from dicom_graph.settings import SettingsError
from dicom_graph.store.engine import Database

try:
    from procrastinate import App, JobContext, PsycopgConnector, RetryDecision, SyncPsycopgConnector
    from procrastinate.exceptions import ConnectorException
    from procrastinate.jobs import Job
    from procrastinate.retry import BaseRetryStrategy
    from procrastinate.schema import SchemaManager
except ModuleNotFoundError as missing:
    raise SettingsError(
        "DICOM_GRAPH_QUEUE: procrastinate is not installed: pip install '.[queue]'"
    ) from missing

QUEUE = "dicom_graph"
_TASK = "dicom_graph.import_batch"
_OPEN = ("todo", "doing")
Work = Callable[[int, int, int], None]
"""What runs a batch: of a job, of a number, tried so often before."""

__all__ = ["QUEUE", "ConnectorException", "Queue", "RetryLater", "SchemaManager", "Work"]


class RetryLater(Exception):
    """The batch is to be begun again after so many seconds, by any worker."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.0f} s")
        self.seconds = seconds


class _Always(BaseRetryStrategy):
    """Whether a batch is given up is decided where it is run, not here."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if not isinstance(exception, Exception):
            return None
        seconds = exception.seconds if isinstance(exception, RetryLater) else 10.0
        return RetryDecision(retry_in={"milliseconds": round(1000 * seconds)})


class Queue:
    """The queue of one database."""

    def __init__(self, database: Database) -> None:
        url = database.url.set(drivername="postgresql")
        self._conninfo = url.render_as_string(hide_password=False)
        # Never opened: what it queues goes through the connections of those who ask for it.
        self._app = App(connector=SyncPsycopgConnector(conninfo=self._conninfo))

    def put(self, connection: Connection, job_id: int, number: int) -> None:
        """Queue a batch, as part of the connection's transaction.

        The first batches of a job go before the later ones of others, so that a small import does
        not wait for a large one.
        """
        task = self._app.configure_task(
            _TASK,
            queue=QUEUE,
            priority=-number,
            queueing_lock=_lock(job_id, number),
            connection=connection.connection.driver_connection,
        )
        task.defer(job_id=job_id, number=number)

    def app(self, work: Work | None = None) -> App:
        """Procrastinate's own application; it runs batches by `work`."""
        app = App(connector=PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=4))

        @app.task(name=_TASK, queue=QUEUE, pass_context=True, retry=_Always())
        def import_batch(context: JobContext, job_id: int, number: int) -> None:
            if work is not None:
                work(job_id, number, context.job.attempts)

        return app

    async def retry_stalled(self, stalled_after: float) -> int:
        """Queue again what the workers had that gave no sign for so many seconds; returns how many.

        One process at a time.
        """
        async with self.app().open_async() as app:
            manager = app.job_manager
            stalled = list(
                await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=stalled_after)
            )
            for job in stalled:
                await manager.retry_job(job)
            return len(stalled)

    async def has_tasks(self, batches: list[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those of the batches that are queued, or that a worker has."""
        async with self.app().open_async() as app:
            manager = app.job_manager
            doing = await manager.list_jobs_async(queue=QUEUE, status="doing")
            found = {_batch(job.task_kwargs) for job in doing}
            for batch in set(batches) - found:
                jobs = await manager.list_jobs_async(queueing_lock=_lock(*batch))
                if any(job.status in _OPEN for job in jobs):
                    found.add(batch)
            return found


def _lock(job_id: int, number: int) -> str:
    return f"{QUEUE}/{job_id}/{number}"


def _batch(arguments: dict[str, Any]) -> tuple[int, int]:
    return int(arguments["job_id"]), int(arguments["number"])
