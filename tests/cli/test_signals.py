"""Signals that end a command: a second one does not change how it ended."""

import signal
import subprocess
import sys

import pytest

from dicom_graph.signals import ending_signals

_ENDING = """
import os, signal, sys
from dicom_graph.signals import ending_signals, ignore_at_exit
for each in ending_signals():
    signal.signal(each, lambda *_: sys.exit(3))

class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=int(sys.argv[1])):
        kill(pid, number)

last = Last()
ignore_at_exit()
os.kill(os.getpid(), int(sys.argv[1]))
"""
"""Told by a signal, and once more when Python has taken itself down but for its modules."""


@pytest.mark.parametrize("number", ending_signals(), ids=lambda number: number.name)
def test_a_second_signal_at_the_very_end_keeps_the_status(number: signal.Signals) -> None:
    command = [sys.executable, "-c", _ENDING, str(int(number))]
    assert subprocess.run(command, timeout=30, check=False).returncode == 3
