"""GraphQL over HTTP and WebSocket, and GraphiQL for a browser."""

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData, GraphQLRequestProtocol
from strawberry.http.streaming import SSETransport
from strawberry.http.types import QueryParams
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.unset import UNSET, UnsetType

from dicom_graph.access.authenticator import Authenticator
from dicom_graph.access.principal import NOBODY
from dicom_graph.graph.context import Context, Service
from dicom_graph.graph.schema import schema
from dicom_graph.store.work import Held
from dicom_graph.telemetry.request import CURRENT
from dicom_graph.web.authentication import bearer, identifier
from dicom_graph.web.body import PREFLIGHT_NEEDED, bounded, is_preflighted
from dicom_graph.web.documents import Documents
from dicom_graph.web.encoding import LARGE, dumps
from dicom_graph.web.graphiql import graphiql_page
from dicom_graph.web.large_answers import (
    Encoded,
    LargeAnswer,
    SubResponse,
    WebSocketAdapter,
    held,
    text_of,
)

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


_RESPONSE_JSON = "application/graphql-response+json"


class _EventStream(SSETransport):
    headers: ClassVar = {**SSETransport.headers, "Cache-Control": "no-store, no-transform"}


class _Operations(BaseGraphQLTransportWSHandler[Context, None]):
    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """A mistake in one operation does not end the others of its WebSocket."""
        return None


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the endpoint offers. `default_query`: what GraphiQL shows at first."""

    default_query: str | None = None
    graphiql: bool = True
    get_queries: bool = True
    max_batch: int = 1
    documents: Documents | None = None


class GraphQLView(GraphQL[Context, None]):
    """The endpoint `/graphql`: POST and GET, graphql-transport-ws, events (SSE), GraphiQL."""

    graphql_transport_ws_handler_class = _Operations
    websocket_adapter_class = WebSocketAdapter
    stream_transport_classes_by_protocol = {GRAPHQL_SSE_PROTOCOL: _EventStream}  # noqa: RUF012

    def __init__(
        self, service: Service, authenticator: Authenticator, options: ViewOptions
    ) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql" if options.graphiql else None,
            allow_queries_via_get=options.get_queries,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            multipart_uploads_enabled=True,
        )
        self._service = service
        self._authenticator = authenticator
        self._options = options

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """A context of its own for each request."""
        scope = request.scope
        context = Context.of(self._service, scope["principal"], scope.get("identify"))
        if scope["type"] == "http":
            context.held = held(scope)
        return context

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """A client that could not send a header gives its token in `connection_init`."""
        if context.principal is NOBODY:
            token = bearer(str((context.connection_params or {}).get("Authorization", "")))
            if token is not None:
                context.identify = identifier(self._authenticator, token)
                await context.identify_again()
        current = CURRENT.get()
        if current is not None:
            current.principal = context.principal.name
            current.is_refused = context.principal is NOBODY
        if context.principal is NOBODY:
            raise ConnectionRejectionError
        return UNSET  # type: ignore[no-any-return]

    def decode_json(self, data: str | bytes) -> object:
        """A request, or a message of a WebSocket, with the document that it names."""
        decoded = super().decode_json(data)
        documents = self._options.documents
        if documents is not None:
            for request in decoded if isinstance(decoded, list) else [decoded]:
                documents.put_query(request)
                if isinstance(request, dict):
                    documents.put_query(request.get("payload"))
        return decoded

    def parse_query_params(self, params: QueryParams) -> dict[str, Any]:
        """The request in an address, with the document that it names."""
        request = super().parse_query_params(params)
        if self._options.documents is not None:
            self._options.documents.put_query(request)
        return request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body of an upload is bounded as it comes in."""
        if scope["type"] == "http":
            receive = bounded(receive, self._service.max_upload_bytes)
        try:
            await super().__call__(scope, receive, send)
        finally:
            held(scope).close()

    async def parse_multipart(self, request: AsyncHTTPRequestAdapter) -> dict[str, str]:
        """A form with files, from a client that is no other site's page."""
        if not is_preflighted(request.headers):
            raise HTTPException(400, PREFLIGHT_NEEDED)
        try:
            return await super().parse_multipart(request)
        except (AttributeError, IndexError, TypeError, ValueError):
            raise HTTPException(400, "`operations`, `map` and the files do not match") from None

    def parse_json(self, data: str | bytes) -> Any:
        """An object, or a list of them; any other body is the client's mistake."""
        try:
            parsed = self.decode_json(data)
        except (ValueError, RecursionError):
            raise HTTPException(400, "Unable to parse request body as JSON") from None
        parts = parsed if isinstance(parsed, list) else [parsed]
        if not all(isinstance(part, dict | None) for part in parts):
            raise HTTPException(400, "The request must be a JSON object")
        return {} if parsed is None else parsed

    def _validate_batch_request(
        self, request_data: list[GraphQLRequestData], protocol: GraphQLRequestProtocol
    ) -> None:
        limit, count = self._options.max_batch, len(request_data)
        if limit == 1:
            raise HTTPException(400, "Batching is turned off (DICOM_GRAPH_MAX_BATCH)")
        if protocol != "http":
            raise HTTPException(400, "Batching is for plain HTTP")
        if not 1 <= count <= limit:
            message = f"the batch has {count} operations; 1 to {limit} are allowed"
            raise HTTPException(400, f"{message} (DICOM_GRAPH_MAX_BATCH)")

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """The response to be, of the type that the client prefers."""
        response = SubResponse(await super().get_sub_response(request), held(request.scope))
        accept = request.headers.get("accept", "")
        response.media_type = _RESPONSE_JSON if _RESPONSE_JSON in accept else "application/json"
        return response

    async def execute_single(self, *args: Any, **options: Any) -> ExecutionResult:
        """As GraphQL over HTTP says: 400 where nothing was executed, if the client takes that."""
        result = await super().execute_single(*args, **options)
        response = options["sub_response"]
        if isinstance(result, PreExecutionError) and response.media_type == _RESPONSE_JSON:
            response.status_code = 400
        return result

    async def process_result(
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        """Without `data` where nothing was executed."""
        response = await super().process_result(request, result)
        if isinstance(result, PreExecutionError):
            response.pop("data", None)
        if "text/event-stream" in request.headers.get("accept", ""):
            return cast(GraphQLHTTPResponse, Encoded(await text_of(response)))
        return response

    def encode_json(self, data: object) -> str:
        """The JSON of an answer, which may be written already."""
        return data.text if isinstance(data, Encoded) else dumps(data)

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        """The response of the type that was chosen."""
        work = sub_response.work if isinstance(sub_response, SubResponse) else Held()
        is_large = work.n_bytes > LARGE
        response = super().create_response([] if is_large else response_data, sub_response)
        response.headers["Content-Type"] = f"{sub_response.media_type}; charset=utf-8"
        if not is_large:
            return response
        n_operations = len(response_data) if isinstance(response_data, list) else 1
        max_bytes = self._service.limits.answer_bytes * n_operations
        return LargeAnswer(response_data, response, max_bytes, work)

    def should_render_graphql_ide(self, request: Any) -> bool:
        """For whoever asks for HTML by name, also with `?query=` in the address."""
        return request.method == "GET" and "text/html" in request.headers.get("accept", "")

    async def render_graphql_ide(self, request: Request) -> Response:
        """GraphiQL, all of it from this server."""
        page = graphiql_page(
            endpoint="/graphql", static_url="/static", default_query=self._options.default_query
        )
        return HTMLResponse(page, headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY})
