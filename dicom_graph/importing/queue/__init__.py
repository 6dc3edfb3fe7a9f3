"""Imports in batches that any number of workers take, with Procrastinate on PostgreSQL."""
