"""Alembic's entry point. `dicom-graph db upgrade` gives it a connection; the plain `alembic`
command takes the database from the settings.
"""

from alembic import context
from sqlalchemy import Connection

from dicom_graph.settings import load_settings
from dicom_graph.store.engine import Database
from dicom_graph.store.tables.base import Base


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with Database(load_settings().database_url).writer.begin() as opened:
        migrate(opened)
