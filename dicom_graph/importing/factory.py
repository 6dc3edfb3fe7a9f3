"""Makes what runs the imports of the API: this process or the queue, as the settings say."""

from pathlib import Path

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.options import ImportOptions
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database


def make_runner(settings: Settings, database: Database, roots: tuple[Path, ...]) -> JobRunner:
    """Runs imports, or queues them. Raises SettingsError where the queue's library is missing."""
    options = ImportOptions.of(settings)
    if settings.queue == "procrastinate":
        # Here, since the library is optional.
        from dicom_graph.importing.queue.runner import QueueRunner

        return QueueRunner(database, stalled_after=settings.queue_stall_seconds, options=options)
    return JobRunner(database, roots=roots, options=options)


def require_queue_of(settings: Settings, database: Database) -> None:
    """Nothing where no queue is set.

    Raises SettingsError where its library is missing, DatabaseError where its tables are.
    """
    if settings.queue == "procrastinate":
        from dicom_graph.importing.queue.schema import require_queue

        require_queue(database)


def upgrade_queue_of(settings: Settings, database: Database) -> None:
    """Create or upgrade the tables of the queue, where one is set. Raises as `require_queue_of`."""
    if settings.queue == "procrastinate":
        from dicom_graph.importing.queue.schema import upgrade_queue

        upgrade_queue(database)
