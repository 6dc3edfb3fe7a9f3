"""What SQLite and PostgreSQL do differently; the rest of the store is one code for both."""
