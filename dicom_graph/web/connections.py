"""The connections that are open, and which of them go where there are too many."""

from collections.abc import Callable, Iterable

from dicom_graph.access.addresses import Network, is_within, shared_by
from dicom_graph.telemetry import metrics
from dicom_graph.web.places import Place, Pool

CONNECTION = "dicom_graph.connection"
"""The key of a `Connection` in an ASGI scope."""
_STRANGER, _KNOWN = 0, 1
_PATIENCE = (0.0, 1.0)
_SPARE = 16


class Connection:
    """A connection of a client. `abort` ends it at once; `is_spare`: it is one too many, and only
    `/healthz` and `/readyz` are answered over it; `is_user`: somebody who may ask something has
    asked something over it.
    """

    __slots__ = ("abort", "is_spare", "is_user", "place")

    def __init__(self, place: Place, abort: Callable[[], None], *, is_spare: bool) -> None:
        self.place = place
        self.abort = abort
        self.is_spare = is_spare
        self.is_user = False

    def know(self) -> None:
        """It is a user's."""
        self.is_user = True
        if self.place.waits_since is None:
            self.place.rank = _KNOWN


class Connections:
    """Up to `limit` connections. One more takes the place of one that has no request under way: of
    a stranger first, then of others where they have been idle for a second.

    `trusted`: proxies, whose connections are not strangers'. `make_room(holder)` is asked where no
    connection is idle, and ends a request that waits for its client.
    """

    def __init__(
        self,
        limit: int,
        trusted: Iterable[Network] = (),
        make_room: Callable[[str], bool] = lambda holder: False,
    ) -> None:
        self._limit = limit
        self._trusted = tuple(trusted)
        self._make_room = make_room
        self._open = Pool(limit + _SPARE, "DICOM_GRAPH_MAX_CONNECTIONS", _PATIENCE)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, address: str, abort: Callable[[], None]) -> Connection | None:
        """A new connection, at first without a request; None where there is no place at all.

        `abort` ends it, whatever is under way.
        """
        rank = _KNOWN if is_within(address, self._trusted) else _STRANGER
        place = Place(shared_by(address), lambda: _cut_off(abort), rank)
        is_spare = len(self) >= self._limit and not self._has_made_room(place.holder)
        if not self._open.take(place):
            return None
        metrics.CONNECTIONS.inc()
        place.wait()
        return Connection(place, abort, is_spare=is_spare)

    def remove(self, connection: Connection) -> None:
        """It is closed."""
        connection.place.leave()
        metrics.CONNECTIONS.dec()

    def _has_made_room(self, holder: str) -> bool:
        # A request that is ended leaves its connection in a moment.
        return self._open.make_room(holder) or self._make_room(holder)


def _cut_off(abort: Callable[[], None]) -> None:
    metrics.CUT_OFF.labels("connections").inc()
    abort()
