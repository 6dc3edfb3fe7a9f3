"""What pages of other origins may ask for, and read."""

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Receive, Scope, Send

from dicom_graph.web.raw_headers import header


class OriginMiddleware(CORSMiddleware):
    """ASGI middleware: Starlette's. Without `Origin` it only says that answers vary with that."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what a browser asks before, and say in other answers who may read them."""
        if scope["type"] != "http" or header(scope, b"origin") is not None:
            await super().__call__(scope, receive, send)
            return

        async def send_varying(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                others = headers.getlist("Vary")
                if others:
                    headers["Vary"] = ", ".join([*others, "Origin"])
                else:
                    headers.raw.append((b"vary", b"Origin"))
            await send(message)

        await self.app(scope, receive, send_varying)
