"""Clients that are slow, many, silent, or gone."""

import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.faults.files import large_series
from tests.faults.ground import COUNT, Ground, Served, wait

_SMALL = 4096


def connected(served: Served, *, small: bool = False) -> socket.socket:
    """A plain connection; `small`: the kernel takes little in for it."""
    address = urlsplit(served.url)
    made = socket.socket()
    if small:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    made.connect((address.hostname, address.port))
    return made


def request(path: str, *headers: str, method: str = "GET") -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode()


def is_closed(end: socket.socket) -> bool:
    """Whether the server has closed the connection; what it sent is dropped."""
    end.settimeout(0.01)
    try:
        return not end.recv(1 << 16)
    except TimeoutError:
        return False
    except OSError:
        return True


def open_files() -> set[str]:
    """The files that this process, and so the server in it, has open."""
    return {file.path for file in psutil.Process().open_files()}


def slow_reader(ground: Ground) -> str:
    """Who takes a byte a second of a download is cut off, and all that it held is free."""
    with ground.database() as url, ground.server(url, max_requests=1, stall_seconds=2) as served:
        series, uid, path = large_series(ground, served, url, 60)
        times = []
        for address in (f"/series/{series}.zip", f"/images/{uid}.dcm"):
            with connected(served, small=True) as end:
                end.sendall(request(address))
                end.recv(1)
                wait(lambda: str(path) in open_files(), 10)
                assert served.code(COUNT) == "OVERLOADED"
                began = time.monotonic()
                wait(lambda: _takes_one(end) or str(path) not in open_files(), 60)
                times.append(time.monotonic() - began)
            wait(lambda: served.code(COUNT) is None, 10)
    return f"cut off after {', '.join(f'{seconds:.1f}' for seconds in times)} s"


def _takes_one(end: socket.socket) -> bool:
    time.sleep(0.2)
    with suppress(OSError):
        end.recv(1)
    return False


def vanishing(ground: Ground) -> str:
    """Clients go in the midst of downloads: files, slots and temporary files are free again."""
    before = set(Path(tempfile.gettempdir()).glob("dicom-graph-*"))
    with ground.database() as url, ground.server(url, max_requests=ground.clients) as served:
        series, uid, path = large_series(ground, served, url, 60)
        for address in (f"/series/{series}.zip", f"/images/{uid}.dcm", f"/images/{uid}.npy"):
            ends = [connected(served, small=True) for _ in range(ground.clients)]
            for end in ends:
                end.sendall(request(address))
            for end in ends:
                end.recv(1)
            for end in ends:
                end.close()
            wait(lambda: served.code(COUNT) is None, 20)
            wait(lambda: str(path) not in open_files(), 20)
        left = set(Path(tempfile.gettempdir()).glob("dicom-graph-*.npy")) - before
        assert not left, left
    return f"{ground.clients} clients went from each of three downloads, nothing is left open"


def slow_senders(ground: Ground) -> str:
    """Heads and bodies that come byte by byte, or never: an end within the time, others served."""
    root = ground.folder / "root"
    root.mkdir()
    json = "Content-Type: application/json"
    form = "Content-Type: application/octet-stream"
    heads = {
        "nothing": b"",
        "half a head": request("/graphql")[:-2],
        "a slow head": request("/graphql")[:-2],
        "a body": request("/graphql", json, "Content-Length: 900", method="POST"),
        "a slow body": request("/graphql", json, "Content-Length: 900", method="POST"),
        "a slow upload": request("/upload", form, "Content-Length: 900", method="POST"),
    }
    seconds = 1.0
    with (
        ground.database() as url,
        ground.server(url, storage_root=root, request_seconds=seconds) as served,
    ):
        ends = {}
        for number in range(max(len(heads), ground.clients)):
            name = list(heads)[number % len(heads)]
            ends[number, name] = connected(served)
            ends[number, name].sendall(heads[name])
        began = time.monotonic()
        slow = [end for (_, name), end in ends.items() if "slow" in name]
        dripping = threading.Thread(target=_drip, args=(slow, began + 20), daemon=True)
        dripping.start()
        assert served.code(COUNT) is None
        for (_, name), end in ends.items():
            answer = _all_of(end)
            if "body" in name or "upload" in name:
                assert b" 408 " in answer.partition(b"\r\n")[0] + b" ", (name, answer[:200])
                assert b"TOO_SLOW" in answer
            else:
                assert answer == b"", name
        took = time.monotonic() - began
        assert took < seconds + 15
        assert served.code(COUNT) is None
        assert not any(path.is_file() for path in root.rglob("*"))
    return f"{len(ends)} slow senders were done with after {took:.1f} s"


def _drip(ends: list[socket.socket], until: float) -> None:
    while time.monotonic() < until:
        for end in ends:
            try:
                end.sendall(b"x")
            except OSError:
                continue
        time.sleep(0.1)


def _all_of(end: socket.socket) -> bytes:
    """What the server sends before it closes."""
    end.settimeout(20)
    found = b""
    with end:
        try:
            while data := end.recv(1 << 16):
                found += data
        except ConnectionError:
            pass
    return found
