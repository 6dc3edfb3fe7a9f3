"""One answer for all requests that ask the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[[Request], Awaitable[Response]]


class SharedAnswer:
    """An endpoint whose answer does not depend on who asks: one at a time is made, and given to all
    who asked meanwhile, so that many who ask take no more of the database than one.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._making: asyncio.Future[Response] | None = None

    async def answer(self, request: Request) -> Response:
        """A response of its own for each, with the same content."""
        if self._making is None or self._making.done():
            self._making = asyncio.ensure_future(self._endpoint(request))
        made = await asyncio.shield(self._making)
        return Response(made.body, made.status_code, media_type=made.media_type)
