"""Files for GraphQL: a form as the GraphQL multipart request specification says.

Its `operations` and `map` come before its files. So whether the operation takes these files, and
whoever sends them may upload, is known before anything of a file is kept.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cross_web import HTTPException
from python_multipart.exceptions import FormParserError

from dicom_graph.importing.safe_files import FULL
from dicom_graph.importing.work_folder import uploads_folder
from dicom_graph.web.multipart import FormParser

_MAX_FIELDS = 100
_MISMATCH = "`operations`, `map` and the files do not match"
Request = dict[str, Any]
Check = Callable[[Request, str], None]
"""Given a request and one of its variables: raises where no file may be put there."""


class FormFile:
    """A file of a form: a part of the one temporary file that has all of them."""

    def __init__(self, spool: BinaryIO | None, filename: str, start: int) -> None:
        self.filename = filename
        self.size = 0
        self._spool = spool
        self._start = start
        self._position = 0

    async def read(self, size: int) -> bytes:
        """The next bytes; empty at its end, after which it is read from its start again."""
        size = min(size, self.size - self._position)
        if self._spool is None or size <= 0:
            self._position = 0
            return b""
        place = self._start + self._position
        content = await asyncio.to_thread(os.pread, self._spool.fileno(), size, place)
        self._position += len(content)
        return content


class GraphQLForm:
    """A form that comes in. `close` gives its files' space back.

    `root`: the storage root, in which the files wait. Without one no file is received: the
    operation gets empty ones. `is_read`: whether all of the form was received.
    `max_bytes`: of all that is no file. `read`: what makes requests of `operations`.
    """

    def __init__(
        self,
        boundary: bytes,
        root: Path | None,
        max_bytes: int,
        read: Callable[[str], Any],
        check: Check,
    ) -> None:
        self.is_read = False
        self._root = root
        self._left = max_bytes
        self._read = read
        self._check = check
        self._fields: dict[str, bytearray] = {}
        self._field: bytearray | None = None
        self._files: dict[str, FormFile] = {}
        self._file: FormFile | None = None
        self._spool: BinaryIO | None = None
        self._length = 0
        self._operations: Any = None
        self._places: dict[str, list[tuple[Any, Any]]] | None = None
        self._parser = FormParser(boundary, self)

    async def receive(self, stream: AsyncIterator[bytes]) -> Any:
        """What is asked for, with its files in their places. Raises HTTPException, and what
        `check` does.
        """
        try:
            async for chunk in stream:
                await asyncio.to_thread(self._parser.feed, chunk)
            await asyncio.to_thread(self._parser.finish)
        except _NothingKept:
            return self._filled(self._without_files())
        except FormParserError:
            raise HTTPException(400, "Unable to parse the multipart body") from None
        self.is_read = True
        if not self._parser.is_whole:
            raise HTTPException(400, "the form ends before its last boundary")
        return self._filled(self._files)

    def close(self) -> None:
        """The files are not needed any more."""
        if self._spool is not None:
            self._spool.close()

    def begin(self, name: str, file_name: str | None) -> None:
        """A part begins."""
        if file_name is None:
            if name in self._fields or len(self._fields) >= _MAX_FIELDS:
                raise HTTPException(400, f"the form has {name[:40]!r} twice, or too many fields")
            self._field = self._fields[name] = bytearray()
            return
        if name not in self._plan() or name in self._files:
            raise HTTPException(400, _MISMATCH)
        if self._root is None:
            raise _NothingKept
        if self._spool is None:
            with _kept():
                self._spool = tempfile.TemporaryFile(dir=uploads_folder(self._root))  # noqa: SIM115
        self._file = self._files[name] = FormFile(self._spool, file_name, self._length)

    def write(self, data: bytes) -> None:
        """More of the part."""
        if self._file is not None and self._spool is not None:
            with _kept():
                self._spool.write(data)
            self._file.size += len(data)
            self._length += len(data)
        elif self._field is not None:
            self._left -= len(data)
            if self._left < 0:
                raise HTTPException(413, "the fields are too large (DICOM_GRAPH_MAX_BODY_BYTES)")
            self._field += data

    def end(self) -> None:
        """The part is whole."""
        self._field = self._file = None

    def _plan(self) -> dict[str, list[tuple[Any, Any]]]:
        """By file: the objects and keys where it is to be put. Raises where it may not be put."""
        if self._places is None:
            if "operations" not in self._fields or "map" not in self._fields:
                raise HTTPException(400, "`operations` and `map` must come before the files")
            self._operations = self._read(_text(self._fields["operations"]))
            given = self._read(_text(self._fields["map"]))
            if not isinstance(given, dict):
                raise HTTPException(400, _MISMATCH)
            self._places = {name: self._found(paths) for name, paths in given.items()}
        return self._places

    def _found(self, paths: object) -> list[tuple[Any, Any]]:
        if not isinstance(paths, list) or not paths:
            raise HTTPException(400, _MISMATCH)
        return [self._place(path) for path in paths]

    def _place(self, path: object) -> tuple[Any, Any]:
        """Where a path such as `variables.input.files.0` leads: to null. Of a batch, the number of
        the request comes first.
        """
        steps = path.split(".") if isinstance(path, str) else []
        request = self._operations
        if isinstance(request, list):
            request = _below(request, steps.pop(0) if steps else "")
        if not isinstance(request, dict) or len(steps) < 2 or steps[0] != "variables":
            raise HTTPException(400, _MISMATCH)
        if not isinstance(request.get("variables"), dict):
            raise HTTPException(400, _MISMATCH)
        holder: Any = request
        for step in steps[:-1]:
            holder = _below(holder, step)
        if _below(holder, steps[-1]) is not None:
            raise HTTPException(400, _MISMATCH)
        self._check(request, steps[1])
        return holder, int(steps[-1]) if isinstance(holder, list) else steps[-1]

    def _without_files(self) -> dict[str, FormFile]:
        return {name: FormFile(None, "", 0) for name in self._plan()}

    def _filled(self, files: Mapping[str, FormFile]) -> Any:
        """The operations with the files in their places."""
        if "operations" not in self._fields:
            raise HTTPException(400, "the form has no `operations`")
        self._fields.setdefault("map", bytearray(b"{}"))
        places = self._plan()
        if places.keys() != files.keys():
            raise HTTPException(400, _MISMATCH)
        if self._spool is not None:
            with _kept():
                self._spool.flush()
        for name, found in places.items():
            for holder, key in found:
                holder[key] = files[name]
        return self._operations


class _NothingKept(Exception):
    """There is nowhere to keep a file."""


class _kept:  # noqa: N801
    """What the disk says becomes an answer."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            status = 507 if error.errno in FULL else 500
            reason = f"the storage root takes no files: {error.strerror}"
            raise HTTPException(status, reason) from error


def _below(holder: Any, step: str) -> Any:
    if isinstance(holder, dict) and step in holder:
        return holder[step]
    if isinstance(holder, list) and step.isascii() and step.isdigit() and int(step) < len(holder):
        return holder[int(step)]
    raise HTTPException(400, _MISMATCH)


def _text(field: bytearray) -> str:
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise HTTPException(400, "Unable to parse the multipart body") from None
