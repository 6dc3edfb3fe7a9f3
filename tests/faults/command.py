"""The commands of faults and attacks: each does what it is asked for on ground of its own."""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from tests.faults.ground import CannotBeMade, Ground
from tests.kills import databases


def run(package: ModuleType, known: Mapping[str, Callable[[Ground], object]]) -> None:
    """Read the arguments, do what they name, and print what was seen."""
    name = package.__name__
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}", description=str(package.__doc__).partition("\n")[0]
    )
    parser.add_argument("name", choices=[*known, "all"])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    prefix = f"dicom-graph-{name.rpartition('.')[2]}-"
    with databases(given.database) as new_database:
        for each in known if given.name == "all" else [given.name]:
            with tempfile.TemporaryDirectory(prefix=prefix) as folder:
                ground = Ground(
                    Path(folder), given.database, new_database, given.clients, given.seconds
                )
                try:
                    print(f"{each}: {known[each](ground)}", flush=True)
                except CannotBeMade as reason:
                    print(f"{each}: skipped, {reason}", flush=True)
