"""Pixels and files for the outside: decoding in worker processes, archives, elements of files."""
