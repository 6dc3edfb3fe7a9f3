"""How new connections are taken: whoever asks whether the server is healthy first, then who asks
for something else, then who is silent.

A crowd connects in thousands at once. To begin a connection takes ten times as long as to take it
from the system; so all that wait there are taken soon, looked at, and begun in turns.
"""

import asyncio
import logging
import selectors
import socket
from collections.abc import Callable, Iterable
from enum import IntEnum

from dicom_graph.access.addresses import Network, is_within, shared_by
from dicom_graph.telemetry import metrics
from dicom_graph.web.fair_queue import FairQueue
from dicom_graph.web.health import ALWAYS_ANSWERED

log = logging.getLogger(__name__)
BACKLOG = 65_535
"""Connections that the system holds until they are taken: as many as it allows (somaxconn). They
take no descriptors. Where they are more, it drops them, and the client tries again after a second.
"""
_TAKEN_IN_ONE_ROUND = 2048
_BEGUN_IN_ONE_ROUND = 128
_LEAST_IN_ONE_ROUND = 32
"""Of those that wait for others to begin first."""
_PAUSE = 0.1
_MONITORS = tuple(f"GET {path} ".encode() for path in ALWAYS_ANSWERED)
_LOOKED_AT = max(map(len, _MONITORS))


class _Rank(IntEnum):
    """In which order connections begin."""

    MONITOR = 0
    ASKING = 1
    SILENT = 2


class Acceptor:
    """Takes the connections of a socket that listens, and begins them.

    Up to `limit` wait here. Where one more comes, the longest silent of the client with most of
    them is closed; where none is silent, the system holds the others until some have begun. Those
    of `trusted`, proxies, are not silent: they may open some ahead.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        limit: int,
        trusted: Iterable[Network] = (),
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._limit = limit
        self._trusted = tuple(trusted)
        self._loop = asyncio.get_running_loop()
        self._lines: dict[_Rank, FairQueue[socket.socket]] = {rank: FairQueue() for rank in _Rank}
        self._silent = self._lines[_Rank.SILENT]
        self._watched = selectors.DefaultSelector()
        """The silent ones; what each is registered with is its client."""
        self._beginning: set[asyncio.Task[None]] = set()
        self._is_due = self._is_stopped = self._has_failed = False

    def start(self) -> None:
        """Listen."""
        # One that blocks would stand still until the next connection comes: other server
        # processes take from the same socket.
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener, self._take)
        self._loop.add_reader(self._watched, self._hear)

    def stop(self) -> None:
        """Take no more; close those that have not begun."""
        self._is_stopped = True
        self._loop.remove_reader(self._listener)
        self._loop.remove_reader(self._watched)
        self._watched.close()
        for line in self._lines.values():
            while line:
                line.next().close()

    @property
    def _n_waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    def _take(self) -> None:
        """New connections are there."""
        for _ in range(_TAKEN_IN_ONE_ROUND):
            if self._n_waiting >= self._limit and not self._silent:
                break
            try:
                taken, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._pause(error)
                break
            self._has_failed = False
            if self._n_waiting >= self._limit:
                self._drop_silent()
            host = str(address[0])
            self._line_up(taken, shared_by(host), is_within(host, self._trusted))
        self._begin_soon()

    def _line_up(self, taken: socket.socket, client: str, is_trusted: bool = False) -> None:
        rank = _rank_of(taken)
        if rank is None:
            taken.close()
            return
        if rank is _Rank.SILENT:
            if is_trusted:
                rank = _Rank.ASKING
            else:
                self._watched.register(taken, selectors.EVENT_READ, client)
        self._lines[rank].add(client, taken)

    def _hear(self) -> None:
        """Some of the silent ones have said something, or are gone."""
        for key, _ in self._watched.select(0):
            spoken = key.fileobj
            assert isinstance(spoken, socket.socket)
            self._watched.unregister(spoken)
            self._silent.remove(key.data, spoken)
            self._line_up(spoken, key.data)
        self._begin_soon()

    def _drop_silent(self) -> None:
        """Close one; of what it has said not all may be heard yet."""
        while self._silent:
            dropped = self._silent.first_of_most()
            client = self._watched.unregister(dropped).data
            rank = _rank_of(dropped)
            if rank is None or rank is _Rank.SILENT:
                metrics.CUT_OFF.labels("connections").inc()
                dropped.close()
                return
            self._lines[rank].add(client, dropped)

    def _begin_soon(self) -> None:
        if not self._is_due and not self._is_stopped and self._n_waiting:
            self._is_due = True
            self._loop.call_soon(self._begin_some)

    def _begin_some(self) -> None:
        self._is_due = False
        left = _BEGUN_IN_ONE_ROUND
        for line in self._lines.values():
            for _ in range(min(len(line), max(left, _LEAST_IN_ONE_ROUND))):
                left -= 1
                taken = line.next()
                if line is self._silent:
                    self._watched.unregister(taken)
                task = self._loop.create_task(self._begin(taken))
                self._beginning.add(task)
                task.add_done_callback(self._beginning.discard)
        self._begin_soon()

    async def _begin(self, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, taken)
        except OSError:
            taken.close()

    def _pause(self, error: OSError) -> None:
        """There are no descriptors, or no memory, for a moment."""
        if not self._has_failed:
            log.warning("no connection can be taken: %s", error.strerror or error)
        self._has_failed = True
        self._loop.remove_reader(self._listener)
        self._loop.call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        if not self._is_stopped:
            self._loop.add_reader(self._listener, self._take)


def _rank_of(taken: socket.socket) -> _Rank | None:
    """By what the client of a connection has sent; None where it is gone already."""
    try:
        sent = taken.recv(_LOOKED_AT, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return _Rank.SILENT
    except OSError:
        return None
    if not sent:
        return None
    return _Rank.MONITOR if sent.startswith(_MONITORS) else _Rank.ASKING
