"""GraphQL over HTTP and WebSocket, and GraphiQL for a browser."""

from typing import Any

from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET, UnsetType

from dicom_graph.access.authenticator import Authenticator
from dicom_graph.access.principal import NOBODY
from dicom_graph.graph.context import Context, Service
from dicom_graph.graph.schema import schema
from dicom_graph.web.authentication import bearer, identifier
from dicom_graph.web.graphiql import graphiql_page

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class GraphQLView(GraphQL[Context, None]):
    """The endpoint `/graphql`: POST and GET for queries, graphql-transport-ws, GraphiQL."""

    def __init__(
        self, service: Service, authenticator: Authenticator, *, default_query: str | None = None
    ) -> None:
        super().__init__(schema, subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,))
        self._service = service
        self._authenticator = authenticator
        self._default_query = default_query

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """A context of its own for each request."""
        scope = request.scope
        return Context.of(self._service, scope["principal"], scope.get("identify"))

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """A client that could not send a header gives its token in `connection_init`."""
        if context.principal is NOBODY:
            token = bearer(str((context.connection_params or {}).get("Authorization", "")))
            if token is not None:
                context.identify = identifier(self._authenticator, token)
                await context.identify_again()
        if context.principal is NOBODY:
            raise ConnectionRejectionError
        return UNSET  # type: ignore[no-any-return]

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
        return HTMLResponse(page, headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY})
