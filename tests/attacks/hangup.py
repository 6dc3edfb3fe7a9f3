"""SIGHUP: a terminal or a connection that goes away ends no request in the midst."""

import signal
import time

import httpx
import psutil

from tests.faults.ground import COUNT, Ground, Served, wait
from tests.faults.stopping import drained_by


def hangup(ground: Ground) -> str:
    """A download, streams and an import under way; one server process (not in short) and two."""
    return drained_by(ground, signal.SIGHUP, 2)


def hangup_of_all(ground: Ground) -> str:
    """A terminal tells each process of it, and some are told again: all end with status 0."""
    seen = []
    for workers in (1, 2):
        with (
            ground.database(f"all-{workers}") as url,
            ground.process(url, "--workers", str(workers)) as served,
        ):
            assert served.process is not None
            assert served.code(COUNT) is None
            told = psutil.Process(served.process.pid)
            for _ in range(2):
                for process in (told, *_servers(told)):
                    process.send_signal(signal.SIGHUP)
                time.sleep(0.05)
            assert served.process.wait(30) == 0
            seen.append(workers)
    return f"with {' and '.join(map(str, seen))} server processes, status 0"


def _servers(process: psutil.Process) -> list[psutil.Process]:
    """The server processes that it started: those that it ends by SIGTERM, too."""
    return [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]


def nohup(ground: Ground) -> str:
    """Started under `nohup`, a server goes on."""
    with ground.database() as url, ground.process(url, ignored=signal.SIGHUP) as served:
        assert served.process is not None
        for _ in range(3):
            served.process.send_signal(signal.SIGHUP)
            assert _is_healthy(served)
        served.process.send_signal(signal.SIGTERM)
        took = wait(lambda: served.process is None or served.process.poll() is not None, 30)
        assert served.process.returncode == 0
    return f"three times ignored; SIGTERM ended it in {took:.1f} s"


def _is_healthy(served: Served) -> bool:
    return httpx.get(f"{served.url}/healthz", timeout=10).status_code == 200


ATTACKS = {"hangup": hangup, "hangup-of-all": hangup_of_all, "nohup": nohup}
