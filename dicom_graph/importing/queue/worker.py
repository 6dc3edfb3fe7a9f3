"""A worker: takes batches from the queue until it is told to stop."""

import asyncio
import logging
import os
import threading

from sqlalchemy.exc import SQLAlchemyError

from dicom_graph.importing.queue.batch import BatchOptions, BatchRunner
from dicom_graph.importing.queue.library import QUEUE, ConnectorException, Queue
from dicom_graph.importing.queue.rescue import rescue
from dicom_graph.signals import ending_signals
from dicom_graph.store.engine import Database

log = logging.getLogger(__name__)
_GRACE_SECONDS = 10.0
_RETRY_SECONDS = 5.0


class Worker:
    """Runs up to `concurrency` batches at once, each in a thread.

    `stalled_after`: seconds without a sign after which a worker counts as dead.
    """

    def __init__(
        self,
        database: Database,
        options: BatchOptions,
        *,
        concurrency: int = 1,
        stalled_after: float = 30.0,
    ) -> None:
        self._database = database
        self._queue = Queue(database)
        self._stop = threading.Event()
        self._runner = BatchRunner(database, self._queue, options, self._stop)
        self._concurrency = concurrency
        self._stalled_after = stalled_after
        self._is_draining = False

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or SIGHUP; to be called in the main thread.

        The first signal lets running batches end, for some seconds; those that take longer are
        handed back. The second ends the process.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_draining:
            work = asyncio.create_task(self._work())
            for number in ending_signals():
                loop.add_signal_handler(number, self._drain, work)
            try:
                await work
            except asyncio.CancelledError:
                return
            except (ConnectorException, SQLAlchemyError) as error:
                log.error("the database failed, trying again: %s", type(error).__name__)
            if not self._is_draining:
                await asyncio.sleep(_RETRY_SECONDS)

    def _drain(self, work: "asyncio.Task[None]") -> None:
        if self._is_draining:
            os._exit(130)
        self._is_draining = True
        asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._stop.set)
        work.cancel()

    async def _work(self) -> None:
        watch = asyncio.create_task(self._watch())
        try:
            async with self._queue.app(self._runner.run).open_async() as app:
                await app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=self._concurrency,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                    fetch_job_polling_interval=min(5.0, self._stalled_after),
                    update_heartbeat_interval=self._stalled_after / 3,
                    stalled_worker_timeout=self._stalled_after,
                )
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        """Look after what other workers leave."""
        while True:
            try:
                await asyncio.to_thread(rescue, self._database, self._queue, self._stalled_after)
            except (ConnectorException, SQLAlchemyError) as error:
                log.warning("the queue cannot be read: %s; trying again", type(error).__name__)
            await asyncio.sleep(self._stalled_after / 2)
