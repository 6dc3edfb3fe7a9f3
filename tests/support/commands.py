"""The command line in processes of its own."""

import subprocess
import sys
from collections.abc import Callable

COMMAND = [sys.executable, "-c", "from dicom_graph.cli import main; main()"]
BAD = bytes(128) + b"DICM" + b"\xff" * 99
"""What begins as DICOM does, and is none."""
Run = Callable[..., subprocess.CompletedProcess[str]]


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Wrong use: status 2 and one line on standard error."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("dicom-graph: ")
    assert all(word in done.stderr for word in words), done.stderr
