"""Looking for files to import: only inside the roots, by content, in pages."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.access.principal import EVERYONE
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.roots import resolve_roots
from dicom_graph.services import Services
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.support.make import make_file

FOLDER = """query ($path: String!, $first: Int! = 200, $after: String) {
    importRoots
    importFolder(path: $path, first: $first, after: $after) {
        path parent hasMore isComplete entries { name path isFolder size isDicom cursor } } }"""


async def test_folders_and_files_of_the_roots(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    image = make_file(root / "a" / "image.dat")
    (root / "a" / "below").mkdir()
    bare = image.read_bytes()[132:]
    (root / "a" / "bare").write_bytes(bare)
    (root / "a" / "notes.txt").write_text("DICOM")
    (root / "a" / "empty").touch()
    make_file(outside / "secret.dcm")
    (root / "a" / "out").symlink_to(outside)
    (root / "a" / "out.dcm").symlink_to(outside / "secret.dcm")
    (root / "a" / "in").symlink_to(root / "b")
    (root / "b").mkdir()
    os.mkfifo(root / "a" / "pipe")
    odd = os.fsencode(root / "a") + b"/\xff.dcm"
    os.link(image, odd)
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(root)
        listener.bind("socket")
        roots = resolve_roots([root])
        runner = JobRunner(database, roots=())
        services = Services(store=Store(database), runner=runner, import_roots=roots)

        async def ask(path: str | Path, **variables: Any) -> Any:
            given = {"path": str(path), **variables}
            context = Context.of(services, EVERYONE)
            return await schema.execute(FOLDER, variable_values=given, context_value=context)

        top = (await ask(root)).data
        assert top["importRoots"] == [str(roots[0])]
        names = [(e["name"], e["isFolder"]) for e in top["importFolder"]["entries"]]
        assert names == [("a", True), ("b", True)]
        assert top["importFolder"]["parent"] is None

        page = (await ask(root / "a")).data["importFolder"]
        assert (page["parent"], page["hasMore"], page["isComplete"]) == (str(roots[0]), False, True)
        shown = [(e["name"], e["isFolder"], e["isDicom"]) for e in page["entries"]]
        assert shown == [
            ("below", True, None), ("in", True, None), ("\\xff.dcm", False, True),
            ("bare", False, True), ("empty", False, False), ("image.dat", False, True),
            ("notes.txt", False, False),
        ]  # fmt: skip
        by_name = {entry["name"]: entry for entry in page["entries"]}
        assert by_name["image.dat"]["size"] == str(image.stat().st_size)
        assert by_name["image.dat"]["path"] == str(roots[0] / "a" / "image.dat")
        assert by_name["\\xff.dcm"]["path"] is None

        found, after = [], None
        while True:
            page = (await ask(root / "a", first=2, after=after)).data["importFolder"]
            found += [entry["name"] for entry in page["entries"]]
            after = page["entries"][-1]["cursor"]
            if not page["hasMore"]:
                break
        assert found == [name for name, _, _ in shown]

        for path in (outside, root / "a" / "out", root / "a" / "notes.txt", root / "nowhere", "\0"):
            (error,) = (await ask(path)).errors
            assert error.extensions["code"] == "FORBIDDEN_PATH"
        (error,) = (await ask(root, first=1001)).errors
        assert error.extensions["code"] == "BAD_INPUT"
