"""One WebSocket, or a few, that want all of a server."""

import json
import socket
import time
from contextlib import ExitStack, suppress

from tests.attacks.crowds import Site, connected, guarded, head, upgrade
from tests.faults.ground import COUNT, Ground
from tests.support.raw import frame

_MORE = 100 << 20
_OPERATIONS = 50


def operations(ground: Ground) -> str:
    """Queries over a WebSocket take the places of requests, of which there are no more."""
    limit = 4
    with guarded(ground, max_requests=limit, max_operations=10) as site, ExitStack() as stack:
        end = stack.enter_context(_opened(site))
        bearer = f"Authorization: {site.person.bearer['Authorization']}"
        slow = head(
            "POST", "/graphql", bearer, "Content-Type: application/json", "Content-Length: 9"
        )
        for _ in range(limit):
            stack.enter_context(connected(site.served)).sendall(slow)
        time.sleep(0.3)
        found = _ask_all(end)
        assert b"OVERLOADED" in found, found[:500]
        # What has waited for its client for two seconds makes room.
        time.sleep(2)
        later = _ask_all(end)
        assert b'"totalCount":0' in later, later[:500]
        site.ask()
    return (
        f"{found.count(b'OVERLOADED')} of {_OPERATIONS} refused while {limit} requests were under "
        f"way, {later.count(b'OVERLOADED')} two seconds later"
    )


def _ask_all(end: socket.socket) -> bytes:
    """What is answered to many operations that come at once."""
    for number in range(_OPERATIONS):
        subscribe = {"id": str(number), "type": "subscribe", "payload": {"query": COUNT}}
        end.sendall(frame(json.dumps(subscribe).encode()))
    found = b""
    while found.count(b'"type":"error"') + found.count(b'"type":"complete"') < _OPERATIONS:
        found += end.recv(1 << 16)
    return found


def floods(ground: Ground) -> str:
    """Messages, pings and empty parts without an end, and nobody reads the answers."""
    megabytes = 40 if ground.is_whole else 4
    with guarded(ground, stall_seconds=2) as site:
        site.ask()
        before = site.resident()
        for sent in (
            frame(b'{"type": "ping"}'), frame(b"x" * 125, 9), frame(b"", 10),
            frame(b"", 0, fin=False),
        ):  # fmt: skip
            with ExitStack() as stack:
                for _ in range(3):
                    end = stack.enter_context(_opened(site))
                    end.settimeout(1)
                    if sent[0] == 0:
                        end.sendall(frame(b" ", fin=False))
                    with suppress(OSError):
                        end.sendall(sent * ((megabytes << 20) // len(sent)))
                site.ask()
        assert site.most - before < _MORE
        return f"{(site.most - before) >> 20} MB more; {site.told()}"


def _opened(site: Site) -> socket.socket:
    """A WebSocket of the user, acknowledged."""
    end = connected(site.served)
    end.sendall(upgrade())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += end.recv(1)
    init = {"type": "connection_init", "payload": site.person.bearer}
    end.sendall(frame(json.dumps(init).encode()))
    assert b"connection_ack" in end.recv(1 << 16)
    return end


ATTACKS = {"websocket-operations": operations, "websocket-floods": floods}
