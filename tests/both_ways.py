"""Operations made at random, executed by graphql-core's own executor and by ours:
`python -m tests.both_ways --operations 2000`.

The data must be equal, and so the places that are null by an error, with its message. Operations
are those of `tests.fuzz_schema` (without mutations) and of the tests of execution, on some of
pydicom's files; those with variables are executed again with others. What ran out of time is passed
over. Prints how many had data and errors, and each that differs. All queries of the suite are
executed both ways by `DICOM_GRAPH_TEST_BOTH_WAYS=1 pytest`.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from dicom_graph.graph.execution.executor import MemoizingExecutor, PlainExecutor
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Store
from tests import fuzz_schema
from tests.graph import test_execution
from tests.kills import databases
from tests.support.both_ways import by, difference, is_undecided
from tests.support.data import is_image, pydicom_files
from tests.support.graph import Graph

_FILES = 40
_LONGEST = 20
_SIZES = "$size: Int = 3"


def _operations(words: list[str]) -> st.SearchStrategy[str]:
    made = fuzz_schema._operations(words, _LONGEST).filter(lambda text: "mutation" not in text)
    return st.one_of(
        made, made, fuzz_schema._walks(), test_execution.walks(), test_execution.operations()
    )


class _Comparison:
    def __init__(self, graph: Graph, loop: asyncio.AbstractEventLoop) -> None:
        self._graph = graph
        self._loop = loop
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []

    def take(self, operation: str) -> None:
        """Execute an operation both ways, and again with other variables where it has such."""
        self._take(operation, {})
        if _SIZES in operation:
            self._take(operation, {"size": 1, "yes": False})

    def _take(self, operation: str, variables: dict[str, Any]) -> None:
        expected, found = self._loop.run_until_complete(self._both(operation, variables))
        self.ends["data" if expected.data is not None else "no data"] += 1
        self.ends["with errors"] += bool(expected.errors)
        if is_undecided(expected, found):
            self.ends["out of time"] += 1
            return
        wrong = difference(expected, found)
        if wrong is not None:
            self.wrong.append(f"{operation}\n{variables}\n{wrong}")
            print(f"-- {self.wrong[-1]}", flush=True)

    async def _both(self, operation: str, variables: dict[str, Any]) -> tuple[Any, Any]:
        execute = lambda: self._graph.execute(operation, **variables)  # noqa: E731
        return await by(PlainExecutor, execute), await by(MemoizingExecutor, execute)


def _compare(count: int, number: int, database: Database) -> _Comparison:
    with asyncio.Runner() as runner:
        graph = Graph(database, Store(database))
        known = runner.run(graph(fuzz_schema._KNOWN))
        comparison = _Comparison(graph, runner.get_loop())

        @seed(number)
        @settings(
            max_examples=count, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(_operations(sorted(fuzz_schema.texts_of(known))))
        def take(operation: str) -> None:
            comparison.take(operation)

        take()
        runner.run(database.close())
    return comparison


def _fill(url: str) -> Database:
    database = Database(url)
    upgrade(database)
    paths = tuple(str(path) for path in pydicom_files() if is_image(path))[:_FILES]
    run_import(database, JobRequest(paths, Mode.FULL, origin=JobOrigin.PYTHON))
    database.close_writer()
    return database


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dicom-graph-both-") as name,
        databases(options.database) as new_database,
        new_database(Path(name)) as url,
    ):
        found = _compare(options.operations, options.seed, _fill(url))
    print(f"{options.operations} operations: {dict(found.ends)}; {len(found.wrong)} differ")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
