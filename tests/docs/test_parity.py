"""The table of docs/parity.md is complete, and the tests that it names are there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs" / "parity.md").read_text(encoding="utf-8")


def test_every_row_has_tests_that_there_are() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (`.+`) \|$", TEXT, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 47))
    assert not [row for row in rows if "in part" in row[2] or "follow" in row[2]]
    for _, _, _, tests in rows:
        for named in re.findall("`(.+?)`", tests):
            path, _, function = named.partition("::")
            assert (TESTS / path).is_file(), named
            found = ast.walk(ast.parse((TESTS / path).read_text(encoding="utf-8")))
            names = {n.name for n in found if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert not function or function in names, named
