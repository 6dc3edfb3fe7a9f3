"""Pixels and files for the outside: decoding in worker processes, archives, what a file gives."""
