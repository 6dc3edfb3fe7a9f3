"""What dead workers leave, found and queued again by any process that lives."""

import asyncio
import logging

from sqlalchemy import Connection, text

from dicom_graph.importing.queue.library import Queue
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.batches import running_batches

log = logging.getLogger(__name__)
_LOCK = 5_318_008_139


def has_workers(connection: Connection, stalled_after: float) -> bool:
    """Whether a worker gave a sign of life within so many seconds."""
    statement = text(
        "SELECT EXISTS (SELECT FROM procrastinate_workers "
        "WHERE last_heartbeat > now() - make_interval(secs => :seconds))"
    )
    return bool(connection.execute(statement, {"seconds": stalled_after}).scalar_one())


def rescue(database: Database, queue: Queue, stalled_after: float) -> None:
    """Queue again the batches of workers that gave no sign for so many seconds.

    And those that are begun, but of which the queue knows nothing: a worker that was taken for dead
    may have crossed them off. One process at a time; others return at once.
    """
    with database.writer.begin() as connection:
        locked = text("SELECT pg_try_advisory_xact_lock(:lock)")
        if not connection.execute(locked, {"lock": _LOCK}).scalar_one():
            return
        stalled = asyncio.run(queue.retry_stalled(stalled_after))
        if stalled:
            log.warning("%s batches of workers that are gone are queued again", stalled)
        begun = running_batches(connection)
        if begun:
            for job_id, number in set(begun) - asyncio.run(queue.has_tasks(begun)):
                queue.put(connection, job_id, number)
