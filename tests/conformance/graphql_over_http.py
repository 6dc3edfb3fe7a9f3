"""GraphQL over HTTP, WebSocket and server-sent events, judged by the reference clients.

    python tests/conformance/graphql_over_http.py

Installs the npm packages named below into a temporary folder, starts a server on an empty
database, and lets them talk to it: the server audits of `graphql-http`, the clients `graphql-ws`
(graphql-transport-ws) and `graphql-sse` (a connection for each operation). Exit status 1 where one
of them finds fault, 77 where node or npm is missing.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import upgrade
from tests.support.people import add_person
from tests.support.server import running_server

PACKAGES = ("graphql@16", "graphql-http@1.23", "graphql-ws@6.4", "graphql-sse@2.6", "ws@8")
SCRIPT = Path(__file__).with_suffix(".mjs")
MISSING = 77


def main() -> int:
    """Run all, on an open server and on one that asks for a token."""
    if not (shutil.which("node") and shutil.which("npm")):
        print("needs node and npm")
        return MISSING
    with tempfile.TemporaryDirectory(prefix="dicom-graph-npm-") as folder:
        install(Path(folder))
        return max(check(Path(folder), with_users=False), check(Path(folder), with_users=True))


def install(folder: Path) -> None:
    """The packages and the script, side by side: node looks for packages beside the script."""
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    shutil.copy(SCRIPT, folder)


def check(folder: Path, *, with_users: bool) -> int:
    """The exit status of the script against a server of its own."""
    name = "with users" if with_users else "open"
    url = f"sqlite:///{folder / f'{name}.sqlite3'}"
    database = Database(url)
    upgrade(database)
    token = add_person(database, "tester").token if with_users else ""
    database.close_writer()
    print(f"== a server {name}", flush=True)
    with running_server(Settings(database_url=url, _env_file=None)) as server:
        command = ["node", SCRIPT.name, f"{server.url}/graphql", token]
        return subprocess.run(command, cwd=folder, check=False, timeout=300).returncode


if __name__ == "__main__":
    sys.exit(main())
