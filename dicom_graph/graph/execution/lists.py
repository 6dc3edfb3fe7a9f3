"""Completing lists: as graphql-core does it, but in turns of the event loop."""

import asyncio
from collections.abc import Iterable
from typing import Any

from graphql.execution import Executor
from graphql.execution.executor import collect_iterator_awaitables

from dicom_graph.store.answer_budget import AnswerBudget

_LOOKED_AT = 7
"""After so many items, and one, the time is looked at."""


class ListCompletion:
    """A list that is completed: `completed` so far, and at which places it has to be awaited."""

    def __init__(
        self,
        executor: Executor[Any],
        budget: AnswerBudget,
        given: tuple[Any, ...],
        items: Iterable[Any],
    ) -> None:
        """`given`: the item type, the field details, the info, the path, the position context."""
        self.completed: list[Any] = []
        self.awaited: list[int] = []
        self._executor = executor
        self._budget = budget
        self._given = given
        self._iterator = iter(items)

    def go_on(self) -> bool:
        """Complete items until the turn is over; whether all are. Raises what an item does."""
        executor, budget = self._executor, self._budget
        item_type, details, info, path, position = self._given
        completed, awaited = self.completed, self.awaited
        index = len(completed)
        try:
            for item in self._iterator:
                item_path = path.add_key(index, None)
                if executor.is_awaitable(item):
                    completed.append(
                        executor.complete_awaitable_list_item_value(
                            item, item_type, details, info, item_path, position
                        )
                    )
                    awaited.append(index)
                elif executor.complete_list_item_value(
                    item, completed, item_type, details, info, item_path, position
                ):
                    awaited.append(index)
                index += 1
                if not index & _LOOKED_AT and (budget.is_turn_over() or budget.is_stopped):
                    return budget.is_stopped
        except Exception:
            left = [completed[place] for place in awaited]
            left.extend(collect_iterator_awaitables(self._iterator, executor.is_awaitable))
            if left:
                executor.settle_in_background(left)
            raise
        return True

    async def rest(self) -> list[Any]:
        """The whole list."""
        futures: list[asyncio.Future[Any]] = []
        try:
            with self._budget.busy():
                while not self.go_on():
                    await self._budget.next_turn()
                for place in self.awaited:
                    futures.append(asyncio.ensure_future(self.completed[place]))
                    if not len(futures) & _LOOKED_AT and self._budget.is_turn_over():
                        await self._budget.next_turn()
            found = await asyncio.gather(*futures)
        except BaseException as error:
            self._drop(futures)
            if isinstance(error, Exception):
                # As graphql-core: what is not needed any more is waited for.
                await asyncio.gather(*futures, return_exceptions=True)
            raise
        for place, value in zip(self.awaited, found, strict=True):
            self.completed[place] = value
        return self.completed

    def _drop(self, futures: list[asyncio.Future[Any]]) -> None:
        for future in futures:
            future.cancel()
        for place in self.awaited[len(futures) :]:
            if asyncio.iscoroutine(self.completed[place]):
                self.completed[place].close()
