"""The floors of the package: a floor imports only from floors below it (DESIGN.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dicom_graph

PACKAGE = Path(dicom_graph.__file__).parent
FLOORS = {
    "settings_names": -1,
    "error_codes": 0, "json_text": 0, "settings": 0, "client": 0, "signals": 0, "telemetry": 0,
    "errors": 1, "research_subjects": 1, "dicom": 1, "store": 2,
    "access": 3, "importing": 3, "imaging": 3, "exports": 4, "services": 4,
    "graph": 5, "web": 6, "cli": 7, "__main__": 7,
}  # fmt: skip
FOREIGN = {
    "settings": {"sqlalchemy", "starlette", "strawberry", "pydicom"},
    "telemetry": {"sqlalchemy", "starlette", "strawberry", "graphql", "pydicom"},
    "dicom": {"sqlalchemy", "starlette", "strawberry", "graphql"},
    "store": {"pydicom", "starlette", "strawberry", "graphql"},
    "access": {"pydicom", "starlette", "strawberry", "graphql"},
    "importing": {"starlette", "strawberry", "graphql"},
    "imaging": {"sqlalchemy", "starlette", "strawberry", "graphql"},
    "services": {"sqlalchemy", "starlette", "strawberry", "graphql", "pydicom"},
    "exports": {"sqlalchemy", "starlette", "strawberry", "graphql", "pydicom"},
    "client": {"sqlalchemy", "starlette", "strawberry", "pydicom"},
    "graph": {"sqlalchemy", "starlette"},
    "web": {"sqlalchemy"},
}
"""What a floor knows nothing of."""
ROOMS = {
    "dicom": (
        "bounded_cache code_meanings csa default_path dictionary errors mode sequence_type "
        "vr_names",
        "elements protocols",
        "frame_elements parsing",
        "files functional_groups xa_protocol",
        "mr pixels",
        "confidentiality volume",
        "entities nifti sidecar",
    ),
    "graph": (
        "batch_marks bounded_lists computed csa dicom_directive enums errors limits loading node "
        "paging scalars urls",
        "context inputs uploading",
        "bulk_data described imaging listing permissions registry",
        "aggregate",
        "group_keys",
        "groups",
        "connection",
        "fields",
        "types",
        "execution facets mutations search subscription",
        "mutation query",
        "schema",
        "filter_json",
    ),
    "store": (
        "audit_subjects event_loop_turns global_ids private_files storable",
        "answer_budget sql",
        "deadline plausible tables",
        "accounts audit formats generation postings",
        "ingest",
        "views",
        "engine_setup",
        "engine",
        "edit former_users jobs read",
        "backup migrate reindex",
        "readiness",
    ),
    "importing": (
        "background_reindex child_process content garbage_collection ledger listening_process "
        "log_texts roots sync timeouts work_folder",
        "file_events listing options private_storage reader safe_files serialization stable_files",
        "browse discover known_files reading_process removal storage uploads",
        "entities job_writer pool",
        "read_ahead",
        "job",
        "background foreground",
        "api queue watch",
        "factory",
    ),
}
"""The floors inside four rooms, the lowest first: a room imports only from those below it."""
CIRCLE = {"element", "header", "image", "patient", "patient_study", "series", "study"}
"""The types of the schema that lead to each other: the one circle of modules that there is."""
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(source: str, package: str = "") -> Iterator[str]:
    """The full names of all that a module of `package` imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: -node.level + 1 or None] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def violations(source: str, module: str) -> list[str]:
    """What the module `dicom_graph.<module>` must not import, but does."""
    floor = module.split(".")[0]
    package = f"dicom_graph.{module}".rpartition(".")[0]
    found = []
    for name in imported(source, package):
        top, _, rest = name.partition(".")
        target = rest.split(".")[0]
        goes_up = top == "dicom_graph" and target not in _below(floor)
        if goes_up or top in FOREIGN.get(floor, ()):
            found.append(name)
    return found


def _below(floor: str) -> set[str]:
    """The floor itself and those it may import from; the modules of the top one are one floor."""
    lower = {name for name, height in FLOORS.items() if height < FLOORS[floor]}
    top = {name for name, height in FLOORS.items() if height == FLOORS["cli"]}
    return lower | (top if floor in top else {floor})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_floor_may_know(path: Path) -> None:
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    assert violations(path.read_text(), module) == []


def test_the_web_needs_the_schema_for_graphql_alone() -> None:
    users = {
        path.stem
        for path in (PACKAGE / "web").rglob("*.py")
        if any(name.startswith("dicom_graph.graph.") for name in imported(path.read_text()))
    }
    assert users == {"app", "graphql", "operation_slots", "socket_operations"}  # `app` mounts it.


@pytest.mark.parametrize("floor", ["store", "exports", "graph"])
def test_the_store_and_the_schema_open_no_dicom_file(floor: str) -> None:
    readers = tuple(
        f"dicom_graph.dicom.{name}"
        for name in (
            *("files.bulk_data", "files.reading"),
            *("parsing.explicit", "parsing.incremental_walk", "parsing.through_pydicom"),
        )
    )
    for path in (PACKAGE / floor).rglob("*.py"):
        found = [name for name in imported(path.read_text()) if name.startswith(readers)]
        assert found == [], path


@pytest.mark.parametrize("top", ROOMS)
def test_a_room_inside_imports_only_from_rooms_below_it(top: str) -> None:
    heights = {room: n for n, floor in enumerate(ROOMS[top]) for room in floor.split()}
    found = set()
    for path in (PACKAGE / top).rglob("*.py"):
        room = path.relative_to(PACKAGE / top).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        assert room in heights, f"give {top}/{room} a floor in ROOMS"
        for name in imported(path.read_text()):
            target = name.split(".")[2] if name.startswith(f"dicom_graph.{top}.") else room
            if target != room and heights.get(target, -1) >= heights[room]:
                found.add(f"{path.relative_to(PACKAGE)} imports {name}")
    assert found == set()


def test_the_one_circle_of_modules_is_that_of_the_entities_types() -> None:
    modules = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in MODULES}
    arrows = {
        module: {
            target
            for name in imported(path.read_text())
            for target in (name.removeprefix("dicom_graph."), _parent(name))
            if target in modules and target != module
        }
        for module, path in modules.items()
    }
    circles = set()
    for module in modules:
        reached, waiting = set(), [*arrows[module]]
        while waiting:
            target = waiting.pop()
            if target not in reached:
                reached.add(target)
                waiting.extend(arrows[target])
        if module in reached:
            circles.add(module)
    assert circles == {f"graph.types.{name}" for name in CIRCLE}


def _parent(name: str) -> str:
    return name.removeprefix("dicom_graph.").rpartition(".")[0]


def test_every_module_stands_on_a_floor() -> None:
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} <= set(
        FLOORS
    )


def test_the_modules_that_comments_name_are_there() -> None:
    """`store.read.pages` in a docstring or a comment is a module, or a name in one."""
    tops = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    reference = re.compile(rf"`(({'|'.join(tops)})(\.[a-z_]+)+)`")
    missing = []
    for path in MODULES:
        for name, *_ in reference.findall(path.read_text()):
            place = PACKAGE.joinpath(*name.split("."))
            beside = place.parent.with_suffix(".py")
            defines = beside.exists() and re.search(rf"\b{place.name}\b", beside.read_text())
            if not (place.is_dir() or place.with_suffix(".py").exists() or defines):
                missing.append(f"{path.relative_to(PACKAGE)} names {name}")
    assert missing == []


@pytest.mark.parametrize(
    ("module", "source", "names"),
    [
        ("dicom.values", "from dicom_graph.store.tables import Image", ["store.tables.Image"]),
        ("store.engine", "import dicom_graph.graph.query", ["graph.query"]),
        ("dicom.values", "from dicom_graph import cli", ["cli"]),
        ("importing.job", "def f():\n    from dicom_graph.web import app", ["web.app"]),
        ("dicom.values", "from ..store import engine", ["store.engine"]),
        ("graph.query", "from ..store import engine", []),
        ("graph.types.image", "from ...web import app", ["web.app"]),
        ("dicom.values", "from . import names", []),
        ("cli.app", "from dicom_graph.cli.demo import QUERY", []),
    ],
)
def test_the_check_finds_an_import_that_goes_up(module: str, source: str, names: list[str]) -> None:
    assert violations(source, module) == [f"dicom_graph.{name}" for name in names]


def test_the_check_finds_a_foreign_library() -> None:
    assert violations("import sqlalchemy.orm", "graph.query") == ["sqlalchemy.orm"]
    assert violations("from strawberry import type", "dicom.values") == ["strawberry.type"]
    assert violations("import sqlalchemy", "store.engine") == []
