"""The example of CONTRIBUTING.md as it stands there: a field of a series takes two files."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.make import make_file

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (
    (ROOT / "CONTRIBUTING.md").read_text().partition("### Add a field")[2].partition("\n### ")[0]
)
NODES = "{ nodes { uid numberOfAverages editedFields } }"
ASKED = [
    f"{{ series(orderBy: [{{ field: NUMBER_OF_AVERAGES, direction: DESC }}]) {NODES} }}",
    f"{{ series(filter: {{ numberOfAverages: {{ gt: 2 }} }}) {NODES} }}",
    "{ series { aggregate(field: NUMBER_OF_AVERAGES) { min max } } }",
    """mutation { updateSeries(input: { id: "U2VyaWVzOjE=", numberOfAverages: 8 }) {
      series { numberOfAverages editedFields } errors { code } } }""",
    """mutation { updateSeries(input: { id: "U2VyaWVzOjE=", numberOfAverages: -1 }) {
      errors { field } } }""",
]
PROGRAM = """
import asyncio, json, sys
from dicom_graph.access.principal import EVERYONE, Principal, Role
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.services import Services
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store

async def ask(database, queries):
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))
    blind = Principal("blind", Role.VIEWER, deidentified=True)
    for who, query in [(EVERYONE, query) for query in queries] + [(blind, queries[0])]:
        result = await schema.execute(query, context_value=Context.of(services, who))
        yield str(result.errors) if result.errors else result.data

async def main():
    database = Database(sys.argv[1])
    answers = [answer async for answer in ask(database, json.load(sys.stdin))]
    await database.close()
    print(json.dumps(answers))

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_field_takes_two_files(tmp_path: Path) -> None:
    field, migration = map(dedent, re.findall(r" +```python\n(.*?) +```", EXAMPLE, re.DOTALL))
    shutil.copytree(
        ROOT / "dicom_graph", tmp_path / "dicom_graph", ignore=shutil.ignore_patterns("static")
    )
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    entity = tmp_path / "dicom_graph" / "dicom" / "entities" / "series.py"
    text, line = entity.read_text(), "    echo_time: "
    assert text.count(line) == 1
    entity.write_text(text.replace(line, f"    {field.strip()}\n{line}"))
    last = max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    (tmp_path / "migrations" / "versions" / "9999_averages.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f'revision, down_revision = "9999", "{last}"\n\n\n' + migration
    )
    for number, averages in (("1", 2), ("2", 4)):
        make_file(
            tmp_path / "files" / f"{number}.dcm", SeriesInstanceUID=f"1.9.{number}",
            NumberOfAverages=averages,
        )  # fmt: skip
    url = f"sqlite:///{tmp_path}/index.sqlite3"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DICOM_GRAPH_")}
    environment = kept | {"PYTHONPATH": str(tmp_path), "DICOM_GRAPH_DATABASE_URL": url}
    command = "from dicom_graph.cli import main; main()"
    for arguments in ([command, "import", str(tmp_path / "files")], [PROGRAM, url]):
        done = subprocess.run(
            [sys.executable, "-c", *arguments], input=json.dumps(ASKED), env=environment,
            cwd=tmp_path, text=True, capture_output=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    ordered, filtered, measured, edited, refused, blind = json.loads(done.stdout)
    first = {"uid": "1.9.1", "numberOfAverages": 2.0, "editedFields": []}
    second = {"uid": "1.9.2", "numberOfAverages": 4.0, "editedFields": []}
    assert ordered["series"]["nodes"] == [second, first]
    assert filtered["series"]["nodes"] == [second]
    assert measured["series"]["aggregate"] == {"min": 2, "max": 4}
    changed = {"numberOfAverages": 8.0, "editedFields": ["NUMBER_OF_AVERAGES"]}
    assert edited["updateSeries"] == {"series": changed, "errors": []}
    assert refused["updateSeries"]["errors"] == [{"field": "numberOfAverages"}]
    # PS3.15 Table E.1-1 does not name NumberOfAverages.
    assert [node["numberOfAverages"] for node in blind["series"]["nodes"]] == [8.0, 4.0]
