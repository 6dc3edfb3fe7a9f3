"""Pipes, devices and mounts that hang in the place of files: imports go on, and can be ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.attacks.registry import Attack
from tests.faults.ground import CannotBeMade, Ground, wait
from tests.support.hanging import Hang, hanging_mount
from tests.support.make import make_series

_COMMAND = [sys.executable, "-c", "from dicom_graph.cli import main; main()"]
_SECONDS = 3


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


THINGS: dict[str, Callable[[Path], None]] = {
    "pipe": lambda path: os.mkfifo(path),
    "socket": _socket,
    "device": _device,
    "folder": lambda path: path.mkdir(),
    "kmsg": lambda path: path.symlink_to("/proc/kmsg"),
    "own-pipes": lambda path: path.symlink_to("/proc/self/fd"),
}


def swapped(ground: Ground) -> str:
    """In the place of files, after the walk has seen them: a later import gets its turn."""
    tree, later = ground.folder / "tree", ground.folder / "later"
    paths = make_series(tree, 120)
    make_series(later, 2, PatientID="later")
    with (
        ground.database() as url,
        ground.server(url, batch_size=2, file_seconds=_SECONDS) as served,
    ):
        job = served.begin_import(tree)
        wait(lambda: served.job(job)["created"] >= 4, 60)
        for path, put in zip(reversed(paths), THINGS.values(), strict=False):
            path.unlink()
            put(path)
        other = served.begin_import(later)
        took = wait(lambda: served.job(other)["status"] == "COMPLETED", 120)
        assert served.job(job)["status"] == "COMPLETED"
        assert served.job(job)["created"] >= 120 - len(THINGS)
        assert served.job(other)["created"] == 2
    return f"{len(THINGS)} things in the place of files, and the next import after {took:.1f} s"


@contextmanager
def _importing(ground: Ground, url: str, tree: Path) -> Iterator["subprocess.Popen[bytes]"]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DICOM_GRAPH_")}
    process = subprocess.Popen(
        [*_COMMAND, "import", str(tree)], env=kept | {"DICOM_GRAPH_DATABASE_URL": url},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ground.folder,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def stuck_mount(ground: Ground) -> str:
    """A mount that hangs: what it has fails, what lies elsewhere is taken, a signal ends it."""
    if not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0:
        raise CannotBeMade("a mount that hangs needs /dev/fuse and root")
    original = make_series(ground.folder / "good", 3)[0].read_bytes()
    with (
        hanging_mount(ground.folder / "mount") as mount,
        ground.database() as url,
        ground.server(url, file_seconds=_SECONDS) as served,
    ):
        mount.add("a.dcm", original, Hang.OPEN)
        mount.add("b.dcm", original, Hang.READ)
        (ground.folder / "good" / "0000").symlink_to(mount.folder)
        job = served.begin_import(ground.folder / "good")
        wait(lambda: served.job(job)["status"] not in ("PENDING", "RUNNING"), 120)
        found = served.job(job)
        assert (found["status"], found["created"], found["failed"]) == ("COMPLETED", 3, 2)
        mount.forget()
        with _importing(ground, url, mount.folder) as process:
            wait(lambda: mount.is_waited_for() or process.poll() is not None, 60)
            assert process.poll() is None, "it ended before it was told to"
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            status = process.wait(30)
        took = time.monotonic() - began
        assert status == 130, status
    return f"3 files taken and 2 told as failed; SIGTERM ended an import after {took:.1f} s"


ATTACKS: dict[str, Attack] = {"swapped-files": swapped, "stuck-mount": stuck_mount}
