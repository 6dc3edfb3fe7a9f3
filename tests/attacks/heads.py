"""Heads of requests without an end, before any login."""

import threading
from collections.abc import Iterator
from contextlib import suppress

from tests.attacks.crowds import connected, guarded, head, upgrade
from tests.faults.ground import Ground, Served

_BLOCK = 1 << 16
_MEGABYTES = 140
_MORE = 100 << 20

_CHUNKED = head("POST", "/login", "Transfer-Encoding: chunked")
ENDLESS = {
    "fields": (head("GET", "/healthz")[:-2], b"a: b\r\n"),
    "a value": (head("GET", "/healthz")[:-2] + b"a: ", b"b"),
    "an address": (b"GET /", b"a"),
    "empty lines": (b"", b"\r\n"),
    "a trailer": (_CHUNKED + b"1\r\na\r\n0\r\n", b"a: b\r\n"),
    "a chunk's extension": (_CHUNKED + b"1;", b"a"),
    "a WebSocket": (upgrade()[:-2], b"a: b\r\n"),
}


def endless(served: Served, name: str, megabytes: int = 8) -> bytes:
    """The answer to a head that goes on for so many megabytes, or until the server ends it."""
    start, then = ENDLESS[name]
    with connected(served) as end:
        with suppress(OSError):
            end.sendall(start)
            for block in _blocks(then, megabytes):
                end.sendall(block)
        found = b""
        with suppress(OSError):
            while data := end.recv(_BLOCK):
                found += data
        return found


def _blocks(then: bytes, megabytes: int) -> Iterator[bytes]:
    block = then * (_BLOCK // len(then) + 1)
    for _ in range((megabytes << 20) // len(block)):
        yield block


def endless_heads(ground: Ground) -> str:
    """Each kind, by several clients at once: 431, and little memory is taken."""
    megabytes = _MEGABYTES if ground.is_whole else 10
    with guarded(ground) as site:
        site.ask()
        before = site.resident()
        answers: list[tuple[str, bytes]] = []

        def send(name: str) -> None:
            answers.append((name, endless(site.served, name, megabytes)))

        threads = [threading.Thread(target=send, args=(name,)) for name in [*ENDLESS] * 2]
        for thread in threads:
            thread.start()
        for _ in range(3):
            site.ask()
        for thread in threads:
            thread.join()
        site.ask()
        assert len(answers) == len(threads)
        for name, answer in answers:
            assert answer.startswith(b"HTTP/1.1 431 "), (name, answer[:200])
        more = site.most - before
        assert more < _MORE
    return f"{len(ENDLESS)} kinds get 431 and take {more >> 20} MB more; {site.told()}"


def just_under_the_limit(ground: Ground) -> str:
    """Many connections with half a head each, as large as one may be: all have an end."""
    with guarded(ground, max_incoming_megabytes=8) as site:
        site.ask()
        before = site.resident()
        ends = []
        try:
            for _ in range(300):
                end = connected(site.served)
                ends.append(end)
                with suppress(OSError):
                    end.sendall(b"GET /" + b"a" * 60_000)
            site.ask()
            more = site.most - before
            assert more < _MORE
        finally:
            for end in ends:
                end.close()
    return f"300 heads of 60 kB take {more >> 20} MB more; {site.told()}"


ATTACKS = {"endless-heads": endless_heads, "heads-under-the-limit": just_under_the_limit}
