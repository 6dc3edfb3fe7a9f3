"""The codes of errors that stand in the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dicom_graph


def error_codes() -> Iterator[str]:
    """The codes of errors that stand in the source: capitals, where a code is said or returned."""
    package = Path(dicom_graph.__file__).parent
    found: set[str] = set()
    for path in package.rglob("*.py"):
        found.update(_codes(ast.parse(path.read_text())))
    yield from sorted(found)


_CODE = re.compile(r"[A-Z]{4,}|[A-Z]{2,}(_[A-Z]+)+")
_RAISED = ("BadInput", "Refused", "BadValue", "UserError", "ClientError", "_error", "refuse")


def _codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        constants: list[ast.AST] = []
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            constants += node.args if called in _RAISED else []
            constants += [word.value for word in node.keywords if word.arg == "code"]
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            constants += [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "code"]
        elif isinstance(node, ast.FunctionDef) and "code" in node.name:
            constants += [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value]
        elif isinstance(node, ast.ClassDef) and node.name == "Problem":
            constants += [n.value for n in node.body if isinstance(n, ast.Assign)]
        for constant in constants:
            for part in ast.walk(constant):
                text = getattr(part, "value", None)
                if isinstance(text, str) and _CODE.fullmatch(text):
                    yield text
