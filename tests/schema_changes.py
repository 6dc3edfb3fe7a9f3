"""What the schema of today breaks for clients of an older one.

    python -m tests.schema_changes REVISION

Compares `schema.graphql` with that of a revision of git, by graphql-core's `find_breaking_changes`
and `find_dangerous_changes` (those of graphql-js). Ends with status 1 where something breaks.
"""

import argparse
import subprocess
from pathlib import Path

from graphql import GraphQLSchema, build_schema, find_breaking_changes, find_dangerous_changes

ROOT = Path(__file__).resolve().parents[1]
FILE = "schema.graphql"


def schema_of(revision: str) -> GraphQLSchema:
    """The printed schema of a revision. Raises CalledProcessError where it has none."""
    command = ["git", "show", f"{revision}:{FILE}"]
    return build_schema(subprocess.check_output(command, cwd=ROOT, text=True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.schema_changes")
    parser.add_argument("revision", help="what to compare with, such as a tag or main~20")
    old = schema_of(parser.parse_args().revision)
    new = build_schema((ROOT / FILE).read_text(encoding="utf-8"))
    breaking = find_breaking_changes(old, new)
    for kind, changes in (("breaking", breaking), ("dangerous", find_dangerous_changes(old, new))):
        print(f"{len(changes)} {kind}")
        for change in changes:
            print(f"  {change.type.name}: {change.description}")
    raise SystemExit(1 if breaking else 0)


if __name__ == "__main__":
    main()
