"""Files that nobody takes, sent to be kept all the same (point 10)."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from dicom_graph.store.engine import Database
from tests.attacks.registry import Attack
from tests.faults.ground import Ground, Served
from tests.support.people import add_person

_TAKES = "mutation ($f: [Upload!]!) { uploadImages(input: { files: $f }) { errors { code } } }"
_MAP = {"0": ["variables.f.0"]}
FORMS: dict[str, tuple[Any, Any]] = {
    "an upload": ({"query": _TAKES}, _MAP),
    "a query": ({"query": "{ __typename }"}, _MAP),
    "no document": ({}, _MAP),
    "no operations": (None, _MAP),
    "no map": ({"query": _TAKES}, None),
    "an empty map": ({"query": _TAKES}, {}),
    "a map to nowhere": ({"query": _TAKES}, {"0": ["variables.g"]}),
    "skipped": ({"query": _TAKES.replace("}) {", "}) @skip(if: true) {")}, _MAP),
    "another operation": (
        {"query": _TAKES + " query Q { __typename }", "operationName": "Q"}, _MAP
    ),
    "a fragment that is not used": (
        {"query": _TAKES.replace("mutation ($f: [Upload!]!)", "fragment F on Mutation")
         + " query ($f: [Upload!]) { __typename }"},
        _MAP,
    ),
    "a batch": ([{"query": "{ __typename }"}, {"query": _TAKES}], {"0": ["0.variables.f.0"]}),
    "another mutation": (
        {"query": "mutation { cancelImport(input: { id: 5 }) { errors { code } } }"},
        _MAP,
    ),
    "a document by its id": ({"documentId": "0" * 64}, _MAP),
}  # fmt: skip
"""The fields `operations` and `map` of a form, by the name of a case."""


def unwanted_uploads(ground: Ground) -> str:
    """Large forms of users who may not upload, and of strangers: nothing is written to disk."""
    megabytes = 300 if ground.is_whole else 12
    with ground.database() as url:
        database = Database(url)
        people = {
            "a viewer": add_person(database, "viewer").bearer,
            "an importer who sees a part": add_person(
                database, "limited", "IMPORTER", limited=True
            ).bearer,
            "a stranger": {},
        }
        database.close_writer()
        (ground.folder / "stored").mkdir()
        settings = {"storage_root": str(ground.folder / "stored"), "max_batch": 5}
        with ground.process(url, **settings) as served, _Disk(served, ground.folder) as disk:
            for name, (operations, map_) in FORMS.items():
                for who, headers in people.items():
                    status = _send(served, headers, operations, map_, megabytes)
                    assert status in (0, 400, 401, 403, 413, 422), (name, who, status)
            for who, headers in people.items():
                with suppress(httpx.TransportError):
                    body = _Endless(megabytes)
                    answer = httpx.post(
                        f"{served.url}/upload", content=iter(body), headers=headers, timeout=60
                    )
                    assert answer.status_code in (400, 401, 403), (who, answer.status_code)
        assert disk.most < 1 << 20, disk.most
    return (
        f"{len(FORMS) * len(people)} forms of {megabytes} MB, at most {disk.most >> 10} kB on disk"
    )


class _Endless:
    """So many megabytes, and how many were taken."""

    def __init__(self, megabytes: int) -> None:
        self.left = megabytes

    def __iter__(self) -> Iterator[bytes]:
        while self.left > 0:
            self.left -= 1
            yield b"x" * (1 << 20)


class _Disk:
    """The most bytes that a server's process had in temporary files, with a name or without."""

    def __init__(self, served: Served, folder: Path) -> None:
        assert served.process is not None
        self.most = 0
        self._descriptors = Path(f"/proc/{served.process.pid}/fd")
        self._folders = (folder / "temporary", folder / "stored")
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Disk":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(0.01):
            with suppress(OSError):
                self.most = max(self.most, sum(self._sizes()))

    def _sizes(self) -> Iterator[int]:
        for folder in self._folders:
            for path in folder.rglob("*"):
                with suppress(OSError):
                    yield path.stat().st_size if path.is_file() else 0
        for descriptor in self._descriptors.iterdir():
            with suppress(OSError):
                target = os.readlink(descriptor)
                if target.startswith("/") and target.endswith("(deleted)"):
                    yield descriptor.stat().st_size


def _send(
    served: Served, headers: dict[str, str], operations: Any, map_: Any, megabytes: int
) -> int:
    """The status of a form with a large file; 0 where the server ended the connection."""
    fields = {"operations": operations, "map": map_}
    if isinstance(operations, dict):
        fields["operations"] = {"variables": {"f": [None]}} | operations
    boundary = "x" * 30
    parts = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        f"{json.dumps(value)}\r\n".encode()
        for name, value in fields.items()
        if value is not None
    )
    start = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="0"; filename="a.dcm"\r\n\r\n'
    ).encode()

    def body() -> Iterator[bytes]:
        yield parts + start
        yield from _Endless(megabytes)
        yield f"\r\n--{boundary}--\r\n".encode()

    given = headers | {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "GraphQL-Require-Preflight": "1",
    }
    try:
        answer = httpx.post(f"{served.url}/graphql", content=body(), headers=given, timeout=60)
    except httpx.TransportError:
        return 0
    return answer.status_code


ATTACKS: dict[str, Attack] = {"unwanted-uploads": unwanted_uploads}
