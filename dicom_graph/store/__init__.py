"""The database: tables, ingest, and questions as SQL statements."""

from dicom_graph.store import account_tables, tables

__all__ = ["account_tables", "tables"]
