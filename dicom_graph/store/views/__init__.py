"""Narrowed views of the same rows: what a group sees, and what is shown without identities."""
