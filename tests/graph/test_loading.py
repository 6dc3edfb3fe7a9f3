"""Looking up by keys: together, once, in order; and what becomes of it where nobody waits."""

import asyncio
from collections.abc import Sequence

import pytest

from dicom_graph.graph.loading import Loader
from dicom_graph.store.answer_budget import AnswerBudget


class Source:
    """Squares; 3 has none, 4 fails for itself. `asked`: the keys of each look-up."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.n_done = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def find(self, keys: list[int]) -> Sequence[int | BaseException | None]:
        self.asked.append(keys)
        await self.go_on.wait()
        self.n_done += 1
        if 666 in keys:
            raise RuntimeError("all fails")
        return [None if key == 3 else ValueError("four") if key == 4 else key * key for key in keys]


async def test_what_is_asked_at_the_same_moment_is_looked_up_together() -> None:
    source = Source()
    loader = Loader(source.find, AnswerBudget())
    found = await asyncio.gather(
        loader.load(1), loader.load_many([2, 1, 2, 3]), loader.load(5), loader.load_many([])
    )
    assert found == [1, [4, 1, 4, None], 25, []]
    assert source.asked == [[1, 2, 3, 5]]
    assert await loader.load_many([5, 6, 1]) == [25, 36, 1]
    assert source.asked[1:] == [[6]]
    named = Loader(source.find, AnswerBudget(), name_of=lambda key: key % 10)
    assert await asyncio.gather(named.load(7), named.load(17)) == [49, 49]


async def test_failures_are_told_to_whom_they_concern() -> None:
    source = Source()
    loader = Loader(source.find, AnswerBudget())
    found = await asyncio.gather(loader.load(4), loader.load(5), return_exceptions=True)
    assert isinstance(found[0], ValueError)
    assert found[1] == 25
    with pytest.raises(ValueError, match="four"):
        await loader.load_many([5, 4])
    both = await asyncio.gather(loader.load(666), loader.load_many([7]), return_exceptions=True)
    assert [type(each) for each in both] == [RuntimeError, RuntimeError]

    async def too_few(keys: list[int]) -> Sequence[int]:
        return keys[1:]

    with pytest.raises(ValueError, match="argument"):
        await Loader(too_few, AnswerBudget()).load_many([1, 2])


async def test_a_look_up_ends_where_nobody_waits_for_it_any_more() -> None:
    source = Source()
    source.go_on.clear()
    loader = Loader(source.find, AnswerBudget())
    waiting = [asyncio.ensure_future(loader.load(1)) for _ in range(2)]
    waiting.append(asyncio.ensure_future(loader.load_many(range(20_000))))
    await asyncio.sleep(0.01)
    for each in waiting[:2]:
        each.cancel()
    await asyncio.sleep(0.01)
    assert [each.done() for each in waiting] == [True, True, False]
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    source.go_on.set()
    await asyncio.sleep(0.01)
    assert source.n_done == 0
    # It is asked again for who comes later.
    assert await loader.load(1) == 1
    assert source.n_done == 1


async def test_a_failure_that_nobody_waits_for_is_silent() -> None:
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, told: problems.append(told))
    source = Source()
    source.go_on.clear()
    loader = Loader(source.find, AnswerBudget())
    waiting = asyncio.ensure_future(loader.load(666))
    await asyncio.sleep(0.01)
    source.go_on.set()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert source.asked == [[666]]
    del loader, waiting
    assert not problems
