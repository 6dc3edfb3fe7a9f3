"""The command: see the package."""

import tests.faults
from tests.faults.all import FAULTS
from tests.faults.command import run

if __name__ == "__main__":
    run(tests.faults, FAULTS)
