"""The database: tables, ingest, and questions as SQL statements."""
