"""The next batch of rows is read while the one before it is written."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from anyio import CancelScope

T = TypeVar("T")


async def prefetched(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same items, each of them asked for when the one before it is given out.

    Whoever closes it, or fails, ends what is being read.
    """
    upcoming = asyncio.ensure_future(anext(items, None))
    try:
        while (item := await upcoming) is not None:
            upcoming = asyncio.ensure_future(anext(items, None))
            yield item
    finally:
        upcoming.cancel()
        # Starlette cancels again and again whoever answers a client that is gone.
        with CancelScope(shield=True):
            await asyncio.gather(upcoming, return_exceptions=True)
            await items.aclose()
