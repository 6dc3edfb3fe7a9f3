"""All conformance scripts, one after the other: what others' tools make of the server.

    python -m tests.conformance [NAME …]

Ends with an error where one finds fault; says why where one could not be tried.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = ("schema_tools", "caches", "other_origin", "graphql_over_http", "graphql_cop")
MISSING = 77


def main() -> int:
    """Run those that are named, or all."""
    chosen = sys.argv[1:] or SCRIPTS
    unknown = set(chosen) - set(SCRIPTS)
    if unknown:
        sys.exit(f"no such script: {', '.join(sorted(unknown))}; there are {', '.join(SCRIPTS)}")
    found = {}
    for name in chosen:
        print(f"=== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py")]
        found[name] = subprocess.run(command, cwd=HERE.parents[1], check=False).returncode
    for name, status in found.items():
        word = {0: "passed", MISSING: "skipped"}.get(status, "FAILED")
        print(f"{word:8} {name}")
    return int(any(status not in (0, MISSING) for status in found.values()))


if __name__ == "__main__":
    sys.exit(main())
