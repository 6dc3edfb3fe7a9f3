"""The command: see the package."""

import argparse
import tempfile
from pathlib import Path

import tests.attacks
from tests.attacks.registry import attacks
from tests.faults.ground import CannotBeMade, Ground
from tests.kills import databases


def main() -> None:
    """Make the attacks that were asked for, and print what was seen."""
    known = attacks()
    parser = argparse.ArgumentParser(
        prog="python -m tests.attacks", description=str(tests.attacks.__doc__).partition("\n")[0]
    )
    parser.add_argument("name", choices=[*known, "all"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    with databases(given.database) as new_database:
        for name in known if given.name == "all" else [given.name]:
            with tempfile.TemporaryDirectory(prefix="dicom-graph-attacks-") as folder:
                ground = Ground(
                    Path(folder), given.database, new_database, given.clients, given.seconds
                )
                try:
                    print(f"{name}: {known[name](ground)}", flush=True)
                except CannotBeMade as reason:
                    print(f"{name}: skipped, {reason}", flush=True)


if __name__ == "__main__":
    main()
