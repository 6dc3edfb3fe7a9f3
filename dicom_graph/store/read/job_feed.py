"""Jobs as they move on, for any number of listeners at the price of one."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_LOOK_SECONDS = 0.25

Look = Callable[[Sequence[int]], Awaitable[dict[int, Any]]]


@dataclass(slots=True, eq=False)
class JobSnapshot:
    """A job's row as it was at a moment, None where there is none.

    `shared`: what the listeners of this moment make of it only once.
    """

    row: Any
    shared: dict[str, Any] = field(default_factory=dict)


class JobFeed:
    """One task looks at all jobs that are followed, with one statement; it ends with the last
    listener. For one event loop.
    """

    def __init__(self, look: Look) -> None:
        """`look` returns the rows of jobs by id."""
        self._look = look
        self._listeners: defaultdict[int, set[asyncio.Queue[JobSnapshot | Exception | None]]] = (
            defaultdict(set)
        )
        self._latest: dict[int, JobSnapshot] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def close(self) -> None:
        """All listeners are done."""
        self._is_closed = True
        for key in list(self._listeners):
            self._tell(key, None)

    async def follow(self, key: int) -> AsyncGenerator[JobSnapshot, None]:
        """The job as it is, and again each time that its row has changed; without end.

        A slow listener gets the latest moment, not each. Raises what looking raises. Ends when the
        feed is closed.
        """
        queue: asyncio.Queue[JobSnapshot | Exception | None] = asyncio.Queue(maxsize=1)
        if self._is_closed:
            return
        listeners = self._listeners[key]
        listeners.add(queue)
        if key in self._latest:
            queue.put_nowait(self._latest[key])
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            while True:
                moment = await queue.get()
                if moment is None:
                    return
                if isinstance(moment, Exception):
                    raise moment
                yield moment
        finally:
            listeners.discard(queue)
            if not listeners:
                self._listeners.pop(key, None)
                self._latest.pop(key, None)

    async def _work(self) -> None:
        while self._listeners and not self._is_closed:
            # who comes while we look is not in the answer: the next look tells them
            asked = sorted(self._listeners)
            try:
                rows = await self._look(asked)
            except Exception as error:
                for key in list(self._listeners):
                    self._tell(key, error)
                return
            for key in self._listeners.keys() & asked:
                row, latest = rows.get(key), self._latest.get(key)
                if latest is None or latest.row != row:
                    self._latest[key] = JobSnapshot(row)
                    self._tell(key, self._latest[key])
            await asyncio.sleep(_LOOK_SECONDS)

    def _tell(self, key: int, moment: JobSnapshot | Exception | None) -> None:
        for queue in self._listeners[key]:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(moment)
