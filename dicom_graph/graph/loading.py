"""Looking up by keys: what is asked for at the same moment is looked up together, each key once.

It is strawberry's DataLoader, but for its end: there each of n keys that are cancelled looks at all
n, which holds the event loop for seconds where an operation of 10,000 runs out of time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

from dicom_graph.store.answer_budget import AnswerBudget

K = TypeVar("K")
V = TypeVar("V")


class _Batch:
    """Keys that are looked up together, by name. `wanted`: by how many who wait for it."""

    __slots__ = ("found", "is_done", "keys", "task", "wanted")

    def __init__(self) -> None:
        self.keys: dict[Hashable, Any] = {}
        self.found: dict[Hashable, Any] = {}
        self.is_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self.wanted = 0

    async def wait(self) -> None:
        """Wait until the values are found. Raises what the look-up does."""
        try:
            await asyncio.shield(self.is_done)
        except asyncio.CancelledError:
            self.wanted -= 1
            if not self.wanted:
                self.is_done.cancel()
                if self.task is not None:
                    self.task.cancel()
            raise

    def end(self, error: Exception | None = None) -> None:
        """The values are found, or will not be."""
        if self.is_done.done():
            return
        if error is None:
            self.is_done.set_result(None)
        else:
            self.is_done.set_exception(error)
            # Maybe nobody waits for it any more.
            self.is_done.exception()


class Loader(Generic[K, V]):
    """What waited for it goes on in a turn of the event loop that has time for it.

    `load` finds the values of keys, in their order; one that is an exception is raised for its key.
    `name_of`: what is equal for equal keys.
    """

    def __init__(
        self,
        load: Callable[[list[K]], Awaitable[Sequence[V | BaseException]]],
        budget: AnswerBudget,
        name_of: Callable[[K], Hashable] | None = None,
    ) -> None:
        self._load = load
        self._budget = budget
        self._name_of = name_of
        self._batches: dict[Hashable, _Batch] = {}
        self._open: _Batch | None = None

    def load(self, key: K) -> Awaitable[V]:
        """What there is of a key."""
        name = key if self._name_of is None else self._name_of(key)
        batch = self._batch_of(name, key)
        batch.wanted += 1
        return self._one(name, batch)

    def load_many(self, keys: Iterable[K]) -> Awaitable[list[V]]:
        """What there is of each key."""
        name_of = self._name_of
        given = [(key if name_of is None else name_of(key), key) for key in keys]
        batches = [self._batch_of(name, key) for name, key in given]
        distinct = dict.fromkeys(batches)
        for batch in distinct:
            batch.wanted += 1
        return self._many([name for name, _ in given], batches, list(distinct))

    async def _one(self, name: Hashable, batch: _Batch) -> V:
        await batch.wait()
        if self._budget.is_turn_over():
            await self._budget.next_turn()
        return cast(V, _value(batch.found[name]))

    async def _many(
        self, names: Sequence[Hashable], batches: Sequence[_Batch], distinct: Sequence[_Batch]
    ) -> list[V]:
        await asyncio.gather(*(batch.wait() for batch in distinct))
        if self._budget.is_turn_over():
            await self._budget.next_turn()
        return [_value(batch.found[name]) for name, batch in zip(names, batches, strict=True)]

    def _batch_of(self, name: Hashable, key: K) -> _Batch:
        batch = self._batches.get(name)
        if batch is not None and not batch.is_done.cancelled():
            return batch
        if self._open is None:
            self._open = _Batch()
            self._budget.when_quiet(partial(self._send, self._open))
        self._open.keys[name] = key
        self._batches[name] = self._open
        return self._open

    def _send(self, batch: _Batch) -> None:
        """Nothing more is coming."""
        if self._open is batch:
            self._open = None
        if not batch.is_done.cancelled():
            batch.task = asyncio.create_task(self._find(batch))

    async def _find(self, batch: _Batch) -> None:
        try:
            values = await self._load(list(batch.keys.values()))
            batch.found = dict(zip(batch.keys, values, strict=True))
        except Exception as error:
            batch.end(error)
        else:
            batch.end()


def _value(found: Any) -> Any:
    if isinstance(found, BaseException):
        raise found
    return found
