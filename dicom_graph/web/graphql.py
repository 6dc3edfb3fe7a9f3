"""GraphQL over HTTP and WebSocket, and GraphiQL for a browser."""

from typing import Any

from cross_web import AsyncHTTPRequestAdapter, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from dicom_graph.graph.context import Context, Service
from dicom_graph.graph.schema import schema
from dicom_graph.web.body import PREFLIGHT_NEEDED, bounded, is_preflighted
from dicom_graph.web.graphiql import graphiql_page

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class GraphQLView(GraphQL[Context, None]):
    """The endpoint `/graphql`: POST and GET for queries, graphql-transport-ws, GraphiQL."""

    def __init__(self, service: Service, *, default_query: str | None = None) -> None:
        super().__init__(
            schema,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            multipart_uploads_enabled=True,
        )
        self._service = service
        self._default_query = default_query

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """A context of its own for each request."""
        return Context.of(self._service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body of an upload is bounded as it comes in."""
        if scope["type"] == "http":
            receive = bounded(receive, self._service.max_upload_bytes)
        await super().__call__(scope, receive, send)

    async def parse_multipart(self, request: AsyncHTTPRequestAdapter) -> dict[str, str]:
        """A form with files, from a client that is no other site's page."""
        if not is_preflighted(request.headers):
            raise HTTPException(400, PREFLIGHT_NEEDED)
        try:
            return await super().parse_multipart(request)
        except (AttributeError, IndexError, TypeError, ValueError):
            raise HTTPException(400, "`operations`, `map` and the files do not match") from None

    def parse_json(self, data: str | bytes) -> Any:
        """An object or a list; any other body is the client's mistake."""
        try:
            parsed = self.decode_json(data)
        except (ValueError, RecursionError):
            raise HTTPException(400, "Unable to parse request body as JSON") from None
        if not isinstance(parsed, dict | list | None):
            raise HTTPException(400, "The request must be a JSON object")
        return {} if parsed is None else parsed

    def should_render_graphql_ide(self, request: Any) -> bool:
        """For whoever asks for HTML by name, also with `?query=` in the address."""
        return request.method == "GET" and "text/html" in request.headers.get("accept", "")

    async def render_graphql_ide(self, request: Request) -> Response:
        """GraphiQL, all of it from this server."""
        page = graphiql_page(
            endpoint="/graphql", static_url="/static", default_query=self._default_query
        )
        headers = {
            "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return HTMLResponse(page, headers=headers)
