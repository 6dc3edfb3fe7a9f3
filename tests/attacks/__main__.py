"""The command: see the package."""

import tests.attacks
from tests.attacks.registry import attacks
from tests.faults.command import run

if __name__ == "__main__":
    run(tests.attacks, attacks())
