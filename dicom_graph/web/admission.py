"""Which requests are let in when many come: those of users first, and of strangers a share.

A stranger is a client that has not shown yet whose it is. They have places of their own, so they
never take those of users; and where theirs are taken, whoever of them waits longest for its own
client must go. On a server that asks nobody for a name, whoever asks something is a user.
"""

import hmac
import os
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from typing import NamedTuple

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from dicom_graph.access.addresses import shared_by
from dicom_graph.access.principal import EVERYONE, NOBODY, Principal
from dicom_graph.telemetry import metrics
from dicom_graph.telemetry.request import CURRENT
from dicom_graph.web.connections import CONNECTION, Connection
from dicom_graph.web.middleware.authentication import SESSION_COOKIE
from dicom_graph.web.slots import EvictionStep, Pool, Slot

_USERS = (EvictionStep((0,), 2.0),)
_REMEMBERED = 10_000
_MUCH = 1024


TICKET: ContextVar["Ticket | None"] = ContextVar("ticket", default=None)
"""The ticket of the request or stream that this task works for."""


class Kind(Enum):
    """What a place is for. The names are those of the settings."""

    REQUESTS = "requests"
    STREAMS = "streams"


class Sizes(NamedTuple):
    """How many requests and streams of users, and what part of these strangers may have beside."""

    requests: int
    streams: int
    strangers_percent: int = 25


class Admission:
    """All places, and the credentials that were found good lately: who sends them is a user at
    once, whatever waits to be looked at.
    """

    def __init__(self, sizes: Sizes, proxy_user_header: str = "") -> None:
        limits = {Kind.REQUESTS: sizes.requests, Kind.STREAMS: sizes.streams}
        part = sizes.strangers_percent / 100
        self.users: dict[Kind, Pool] = {}
        self.unidentified: dict[Kind, Pool] = {}
        self.strangers: dict[Kind, Pool] = {}
        for kind, limit in limits.items():
            name = f"DICOM_GRAPH_MAX_{kind.name}"
            self.users[kind] = Pool(limit, name, _USERS)
            self.unidentified[kind] = Pool(limit, name, _USERS)
            name = f"DICOM_GRAPH_STRANGERS_PERCENT of {name}, for clients that are not logged in"
            self.strangers[kind] = Pool(max(1, int(limit * part)), name, is_shared=True)
        self._proxy_user_header = proxy_user_header
        self._key = os.urandom(32)
        self._good: dict[bytes, str] = {}

    def enter(self, kind: Kind, scope: Scope, cut: Callable[[], None]) -> "Ticket":
        """A ticket, which has a place unless it is `refused`. `cut` ends what it is for."""
        connection = HTTPConnection(scope)
        current = CURRENT.get()
        host = connection.client.host if connection.client else ""
        address = shared_by(current.address if current is not None else host)
        digest = self._digest(connection, host)
        ticket = Ticket(
            self,
            kind,
            address,
            digest,
            cut,
            scope.get(CONNECTION),
            is_websocket=scope["type"] == "websocket",
        )
        known = self._good.get(digest or b"")
        if known is not None:
            ticket.move(self.users[kind], known)
        elif connection.headers.get("authorization", "").lower().startswith("basic "):
            # To look at a password takes long, on purpose.
            ticket.move(self.strangers[kind], address)
        else:
            ticket.move(self.unidentified[kind], address)
        return ticket

    @property
    def is_quiet(self) -> bool:
        """Whether no request is under way; streams may be open on which nothing runs."""
        pools = (self.users, self.unidentified, self.strangers)
        return not any(len(pool[Kind.REQUESTS]) for pool in pools)

    def is_known(self, scope: Scope) -> bool:
        """Whether a request comes with credentials that were found good lately."""
        connection = HTTPConnection(scope)
        host = connection.client.host if connection.client else ""
        return (self._digest(connection, host) or b"") in self._good

    def make_room(self, holder: str) -> bool:
        """End a user's request or stream that waits for its client, for a new connection."""
        return any(pool.make_room(holder) for pool in self.users.values())

    def remember(self, digest: bytes, holder: str) -> None:
        """Credentials are good."""
        self._good.pop(digest, None)
        while len(self._good) >= _REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[digest] = holder

    def forget(self, digest: bytes) -> None:
        """They are not good any more."""
        self._good.pop(digest, None)

    def _digest(self, connection: HTTPConnection, host: str) -> bytes | None:
        """What stands for the credentials of a request; None where it has none."""
        headers = connection.headers
        given = headers.get("authorization") or (
            connection.cookies.get(SESSION_COOKIE) if "cookie" in headers else None
        )
        if not given and self._proxy_user_header and self._proxy_user_header in headers:
            given = f"{host} {headers[self._proxy_user_header]}"
        return hmac.digest(self._key, given.encode(), "sha256") if given else None


class Ticket:
    """A request or stream, and the place it has.

    It waits for its client while the body of a request does not come (with less than a kilobyte a
    message it waits on), while nothing runs on a WebSocket, and while the client does not take what
    is sent.
    """

    def __init__(
        self,
        admission: Admission,
        kind: Kind,
        address: str,
        digest: bytes | None,
        cut: Callable[[], None],
        connection: Connection | None,
        *,
        is_websocket: bool,
    ) -> None:
        self.kind = kind
        self.connection = connection
        self.is_cut = self.is_stuck = False
        self.refused: Pool | None = None
        self._is_websocket = is_websocket
        self._admission = admission
        self._address = address
        self._digest = digest
        self._cut = cut
        self._receiving = False
        self._sending = 0
        self._running = 0
        self._subscriptions = 0
        self._is_good = False
        self._place = Slot(address, self._evict)
        self._operations: set[Slot] = set()

    def refusal(self) -> str:
        """Why there is no place, for a person."""
        if self.refused is None:
            return "the server has too many connections (DICOM_GRAPH_MAX_CONNECTIONS): try again"
        return (
            f"the server answers {len(self.refused)} others already, its limit "
            f"({self.refused.name}): try again"
        )

    def move(self, pool: Pool, holder: str) -> bool:
        """Take a place of a pool instead of the one it has; `refused` is set where that fails."""
        if self._place.pool is pool:
            return True
        self._place.leave()
        self._place.holder = holder
        self.refused = None if pool.take(self._place) else pool
        self._tell()
        return self.refused is None

    def identified(self, principal: Principal) -> bool:
        """It is known who asks; False where there is no place for them."""
        if principal is NOBODY:
            is_user = self._place.pool is self._admission.users[self.kind]
            return is_user or self.move(self._admission.strangers[self.kind], self._address)
        holder = self._address if principal is EVERYONE else f"user {principal.name}"
        self._is_good = True
        if self.connection is not None:
            self.connection.know()
        if self._digest is not None:
            self._admission.remember(self._digest, holder)
        return self.move(self._admission.users[self.kind], holder)

    def begin(self, *, is_long: bool) -> Slot | None:
        """A place for an operation of this stream; None where there is none (`refusal`).

        A query or mutation counts as a request, and each subscription but the first as a stream.
        """
        kind = Kind.STREAMS if is_long else Kind.REQUESTS
        place = Slot(self._place.holder, self._evict)
        if not is_long or self._subscriptions:
            pool = self._admission.users[kind]
            if not pool.take(place):
                self.refused = pool
                return None
            self._operations.add(place)
        self._subscriptions += is_long
        self._running += 1
        self._tell()
        return place

    def end(self, place: Slot, *, is_long: bool) -> None:
        """An operation has ended."""
        place.leave()
        self._operations.discard(place)
        self._subscriptions -= is_long
        self._running -= 1
        self._tell()

    def leave(self) -> None:
        """The request or stream has ended."""
        self._place.leave()
        if self._digest is not None and not self._is_good:
            self._admission.forget(self._digest)

    def receiving(self, receive: Receive) -> Receive:
        """`receive`, watched until a body is whole."""
        if self._is_websocket:
            return receive
        is_whole = False

        async def watched() -> Message:
            nonlocal is_whole
            if is_whole:
                return await receive()
            self._receiving = True
            self._tell()
            message = await receive()
            is_whole = not message.get("more_body", False)
            if is_whole or len(message.get("body", b"")) >= _MUCH:
                self._receiving = False
                self._tell()
            return message

        return watched

    def sending(self, send: Send) -> Send:
        """`send`, watched."""

        async def watched(message: Message) -> None:
            self._sending += 1
            self._tell()
            try:
                await send(message)
            finally:
                self._sending -= 1
                self._tell()

        return watched

    def _tell(self) -> None:
        is_idle = not self._running if self._is_websocket else self._receiving
        waits = self._sending > 0 or is_idle
        if waits == (self._place.waits_since is not None) and not self._operations:
            return
        # The operations of a stream wait for its client only where that does not read.
        for place in (self._place, *self._operations):
            if waits:
                place.wait()
            else:
                place.work()

    def _evict(self) -> None:
        if self.is_cut:
            return
        self.is_cut, self.is_stuck = True, self._sending > 0
        metrics.CUT_OFF.labels(self.kind.value).inc()
        for place in (self._place, *self._operations):
            place.leave()
        self._cut()
