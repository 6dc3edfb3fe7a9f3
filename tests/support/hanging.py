"""A mount that hangs where it is told to: a file system in user space, spoken to in its protocol.

    with hanging_mount(folder) as mount:
        mount.add("1.dcm", content, Hang.READ)

Only root may mount it, and only Linux has /dev/fuse; elsewhere the tests skip. What hangs answers
when the mount goes: with an error. Before that it can be killed, as on NFS; or not, with
`is_deaf`, as where a server in user space has taken a request.
"""

import ctypes
import errno
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from struct import Struct
from typing import Any

import pytest

from tests.support.waiting import until

needs_fuse = pytest.mark.skipif(
    not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0,
    reason="a mount that hangs needs Linux's /dev/fuse and root",
)
_HEAD = Struct("<IIQQIIIHH")
_ATTRIBUTES = Struct("<QQQQQQIIIIIIIIII")
_MAX_REQUEST = 1 << 17
_DETACH = 2
_INTERRUPT = 36
_WITHOUT_ANSWER = frozenset({2, _INTERRUPT, 42})
_EMPTY = frozenset({18, 25, 29, 34})
_PARALLEL = 1 << 18
"""A look-up that hangs does not hold up others in its folder."""


class Hang(StrEnum):
    """What of a file gets no answer, or one without end."""

    NOTHING = "nothing"
    LOOK = "look"
    OPEN = "open"
    READ = "read"
    END = "end"
    """The first bytes come, those after them do not."""
    ENDLESS = "endless"
    """Its size is said to be 0, and it repeats its last bytes for ever."""
    LIST = "list"
    """Of a folder: its names."""


@dataclass
class Mount:
    """A mounted folder; files and folders are added while it is mounted."""

    folder: Path
    rules: Path
    process: "subprocess.Popen[bytes]"
    entries: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, content: bytes, hang: Hang = Hang.NOTHING) -> Path:
        """A file of this content; `name` may have one folder."""
        kept = self.rules.with_name(f"{self.rules.name}.{len(self.entries)}")
        kept.write_bytes(content)
        return self._put(name, {"content": str(kept), "hang": hang})

    def add_folder(self, name: str, hang: Hang = Hang.NOTHING) -> Path:
        return self._put(name, {"content": None, "hang": hang})

    def change(self, name: str, hang: Hang) -> None:
        """From now on another answer, or none."""
        self._put(name, self.entries[name] | {"hang": hang})

    def is_waited_for(self) -> bool:
        """Whether something was asked that hangs, since the last `forget`."""
        return self.rules.with_suffix(".waited").exists()

    def forget(self) -> None:
        """What was asked until now does not count."""
        self.rules.with_suffix(".waited").unlink(missing_ok=True)

    def _put(self, name: str, entry: dict[str, Any]) -> Path:
        self.entries[name] = entry
        beside = self.rules.with_suffix(".new")
        beside.write_text(json.dumps(self.entries))
        os.replace(beside, self.rules)
        return self.folder / name


@contextmanager
def hanging_mount(folder: Path, *, is_deaf: bool = False) -> Iterator[Mount]:
    """A mount at `folder`, which is made; all of it ends with the block."""
    folder.mkdir(parents=True)
    rules = folder.with_name(f"{folder.name}.rules")
    rules.write_text("{}")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.hanging", str(folder), str(rules), str(is_deaf)],
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        until(lambda: process.poll() is not None or _is_mounted(folder))
        assert process.poll() is None, "it cannot be mounted"
        yield Mount(folder, rules, process)
    finally:
        # With its process the mount goes, and whoever waits for it gets an error.
        process.kill()
        process.wait()
        with suppress(OSError):
            _call("umount2", str(folder).encode(), _DETACH)


def _is_mounted(folder: Path) -> bool:
    return f" {folder} fuse" in Path("/proc/self/mounts").read_text()


def _call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class _Server:
    """Answers the kernel. Numbers of nodes: 1 is the root, the others as they are asked for."""

    def __init__(self, device: int, rules: Path, is_deaf: bool) -> None:
        self._device = device
        self._is_deaf = is_deaf
        self._rules = rules
        self._nodes = {1: ""}
        self._lock = threading.Lock()

    def serve(self) -> None:
        while True:
            request = os.read(self._device, _MAX_REQUEST + 4096)
            head = _HEAD.unpack_from(request)
            threading.Thread(
                target=self._answer, args=(head[1], head[2], head[3], request[_HEAD.size :]),
                daemon=True,
            ).start()  # fmt: skip

    def _answer(self, operation: int, unique: int, node: int, body: bytes) -> None:
        answers = {
            1: self._lookup, 3: self._attributes, 14: self._open, 15: self._read, 26: self._init,
            27: self._open, 28: self._list,
        }  # fmt: skip
        if operation == _INTERRUPT and not self._is_deaf:
            # Who waits for this is to be ended.
            self._send(Struct("<Q").unpack_from(body)[0], error=errno.EINTR)
        if operation in _WITHOUT_ANSWER:
            return
        try:
            if operation in answers:
                self._send(unique, answers[operation](node, body))
            elif operation in _EMPTY:
                self._send(unique, b"")
            else:
                self._send(unique, error=errno.ENOSYS)
        except OSError as error:
            self._send(unique, error=error.errno or errno.EIO)
        except _Silence:
            self._rules.with_suffix(".waited").touch()

    def _send(self, unique: int, body: bytes = b"", error: int = 0) -> None:
        with suppress(OSError):
            os.write(self._device, Struct("<IiQ").pack(16 + len(body), -error, unique) + body)

    def _init(self, node: int, body: bytes) -> bytes:
        return Struct("<IIIIHHIIHHIIIIIIII").pack(
            7, 31, 0, _PARALLEL, 16, 12, _MAX_REQUEST, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        )[:64]

    def _entry(self, path: str) -> dict[str, Any]:
        if not path:
            return {"content": None, "hang": Hang.NOTHING}
        entry = json.loads(self._rules.read_text()).get(path)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, path)
        return dict(entry)

    def _lookup(self, node: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0").decode()
        path = f"{self._nodes[node]}/{name}".lstrip("/")
        entry = self._entry(path)
        _keep_silent(entry["hang"], Hang.LOOK)
        with self._lock:
            known = {known: number for number, known in self._nodes.items()}
            number = known.setdefault(path, len(known) + 1)
            self._nodes[number] = path
        return Struct("<QQQQII").pack(number, 0, 0, 0, 0, 0) + _status(number, entry)

    def _attributes(self, node: int, body: bytes) -> bytes:
        entry = self._entry(self._nodes[node])
        return Struct("<QII").pack(0, 0, 0) + _status(node, entry)

    def _open(self, node: int, body: bytes) -> bytes:
        _keep_silent(self._entry(self._nodes[node])["hang"], Hang.OPEN)
        direct_io = 1
        return Struct("<QII").pack(0, direct_io, 0)

    def _read(self, node: int, body: bytes) -> bytes:
        entry = self._entry(self._nodes[node])
        _, offset, size = Struct("<QQI").unpack_from(body)
        content = Path(entry["content"]).read_bytes()
        hang = entry["hang"]
        _keep_silent(hang, Hang.READ)
        if offset:
            _keep_silent(hang, Hang.END)
        if hang == Hang.ENDLESS:
            end = content[-64:]
            content += end * ((offset + size) // len(end) + 1)
        return content[offset : offset + size]

    def _list(self, node: int, body: bytes) -> bytes:
        path = self._nodes[node]
        _keep_silent(self._entry(path)["hang"], Hang.LIST)
        _, offset, size = Struct("<QQI").unpack_from(body)
        names = []
        for name, entry in json.loads(self._rules.read_text()).items():
            folder, _, last = name.rpartition("/")
            if folder == path:
                names.append((last.encode(), stat.S_IFMT(_mode(entry)) >> 12))
        answer = b""
        for place, (name, kind) in enumerate(names[offset:], offset + 1):
            record = Struct("<QQII").pack(1000 + place, place, len(name), kind) + name
            record += bytes(-len(record) % 8)
            if len(answer) + len(record) > size:
                break
            answer += record
        return answer


class _Silence(Exception):
    """No answer is given."""


def _keep_silent(hang: str, at: Hang) -> None:
    if hang == at:
        raise _Silence


def _mode(entry: dict[str, Any]) -> int:
    return (stat.S_IFDIR | 0o755) if entry["content"] is None else (stat.S_IFREG | 0o644)


def _status(node: int, entry: dict[str, Any]) -> bytes:
    is_file = entry["content"] is not None and entry["hang"] != Hang.ENDLESS
    size = os.stat(entry["content"]).st_size if is_file else 0
    when = 1_600_000_000
    return _ATTRIBUTES.pack(
        node, size, 1, when, when, when, 0, 0, 0, _mode(entry), 1, 0, 0, 0, 4096, 0
    )


def main(folder: str, rules: str, is_deaf: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    _call("mount", b"hanging", folder.encode(), b"fuse", 0, options.encode())
    _Server(device, Path(rules), is_deaf == "True").serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
