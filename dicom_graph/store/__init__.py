"""The database: tables, ingest, and questions as SQL statements."""

from dicom_graph.store.tables import accounts as account_tables
from dicom_graph.store.tables import archive as tables

__all__ = ["account_tables", "tables"]
