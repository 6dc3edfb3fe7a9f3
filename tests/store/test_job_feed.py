"""Followers of jobs: each hears of its own job, whenever it comes."""

import asyncio
from collections.abc import Sequence
from typing import Any

from dicom_graph.store.read.job_feed import JobFeed


async def first(feed: JobFeed, key: int) -> Any:
    moments = feed.follow(key)
    try:
        return (await anext(moments)).row
    finally:
        await moments.aclose()


async def test_a_follower_who_comes_during_a_look_is_not_told_that_there_is_no_such_job() -> None:
    rows, looking, go_on = {1: "running", 2: "queued"}, asyncio.Event(), asyncio.Event()

    async def look(keys: Sequence[int]) -> dict[int, Any]:
        found = {key: rows[key] for key in keys}
        looking.set()
        await go_on.wait()
        return found

    feed = JobFeed(look)
    early = asyncio.create_task(first(feed, 1))
    await looking.wait()
    late = asyncio.create_task(first(feed, 2))
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(early, late) == ["running", "queued"]
