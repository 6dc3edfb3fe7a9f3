"""The command: see the package."""

import argparse
import tempfile
from pathlib import Path

import tests.faults
from tests.faults.all import FAULTS
from tests.faults.ground import CannotBeMade, Ground
from tests.kills import databases


def main() -> None:
    """Make the faults that were asked for, and print what was seen."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=str(tests.faults.__doc__).partition("\n")[0]
    )
    parser.add_argument("name", choices=[*FAULTS, "all"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    names = list(FAULTS) if given.name == "all" else [given.name]
    with databases(given.database) as new_database:
        for name in names:
            with tempfile.TemporaryDirectory(prefix="dicom-graph-faults-") as folder:
                ground = Ground(
                    Path(folder), given.database, new_database, given.clients, given.seconds
                )
                try:
                    print(f"{name}: {FAULTS[name](ground)}", flush=True)
                except CannotBeMade as reason:
                    print(f"{name}: skipped, {reason}", flush=True)


if __name__ == "__main__":
    main()
