"""The connections that are open, and which of them go where there are too many."""

from collections.abc import Callable, Iterable

from dicom_graph.access.addresses import Network, is_within, shared_by
from dicom_graph.telemetry import metrics
from dicom_graph.web.slots import EvictionStep, Pool, Slot

CONNECTION = "dicom_graph.connection"
"""The key of a `Connection` in an ASGI scope."""
_IDLE, _IDLE_USER, _BUSY = range(3)
_STEPS = (
    EvictionStep((_IDLE,), 0.25),
    EvictionStep((_IDLE_USER,), 1.0),
    EvictionStep((_IDLE, _BUSY), 0.0),
)
_SPARE = 16


class Connection:
    """A connection of a client. `abort` ends it at once; `is_spare`: it is one too many, and only
    `/healthz` and `/readyz` are answered over it; `is_user`: somebody who may ask something has
    asked something over it.
    """

    __slots__ = ("_is_trusted", "_place", "abort", "is_spare", "is_user")

    def __init__(
        self, place: Slot, abort: Callable[[], None], *, is_spare: bool, is_trusted: bool
    ) -> None:
        self._place = place
        self._is_trusted = is_trusted
        self.abort = abort
        self.is_spare = is_spare
        self.is_user = False
        self.idle()

    @property
    def holder(self) -> str:
        """The client, as it is counted: an address, or the network that shares one."""
        return self._place.holder

    def idle(self) -> None:
        """No request is under way."""
        self._place.work()
        self._place.wait(_IDLE_USER if self.is_user or self._is_trusted else _IDLE)

    def busy(self) -> None:
        """A request is under way: a stranger's may be ended for others."""
        self._place.work()
        if not (self.is_user or self._is_trusted):
            self._place.wait(_BUSY)

    def know(self) -> None:
        """The request that is under way is a user's."""
        self.is_user = True
        self._place.work()

    def close(self) -> None:
        """It is gone."""
        self._place.leave()


class Connections:
    """Up to `limit` connections. One more takes the place of another: of a stranger's that has been
    silent for a moment, of a user's that has been idle for a second, else of any stranger's.

    `trusted`: proxies, whose connections are not strangers'. `make_room(holder)` is asked where
    there is no such connection, and ends a request of a user that waits for its client.
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
        self._open = Pool(limit + _SPARE, "DICOM_GRAPH_MAX_CONNECTIONS", _STEPS)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, address: str, abort: Callable[[], None]) -> Connection | None:
        """A new connection, at first without a request; None where there is no place at all.

        `abort` ends it, whatever is under way.
        """
        place = Slot(shared_by(address), lambda: _cut_off(abort))
        is_spare = len(self) >= self._limit and not self._has_made_room(place.holder)
        if not self._open.take(place):
            return None
        metrics.CONNECTIONS.inc()
        is_trusted = is_within(address, self._trusted)
        return Connection(place, abort, is_spare=is_spare, is_trusted=is_trusted)

    def remove(self, connection: Connection) -> None:
        """It is closed."""
        connection.close()
        metrics.CONNECTIONS.dec()

    def _has_made_room(self, holder: str) -> bool:
        # A request that is ended leaves its connection in a moment.
        return self._open.make_room(holder) or self._make_room(holder)


def _cut_off(abort: Callable[[], None]) -> None:
    metrics.CUT_OFF.labels("connections").inc()
    abort()
