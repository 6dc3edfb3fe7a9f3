"""What SQLite and PostgreSQL spell differently, and statements for many rows."""
