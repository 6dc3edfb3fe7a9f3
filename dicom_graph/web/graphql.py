"""GraphQL over HTTP and WebSocket, and GraphiQL for a browser."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, cast

from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from python_multipart.multipart import parse_options_header
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData, GraphQLRequestProtocol
from strawberry.http.streaming import SSETransport
from strawberry.http.types import QueryParams
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.unset import UNSET, UnsetType

from dicom_graph.access.authenticator import Authenticator
from dicom_graph.access.policy import need_of_field, refusal
from dicom_graph.access.principal import EVERYONE, NOBODY, Principal
from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.graph.uploading import FIELD, file_variables
from dicom_graph.json_text import dumps
from dicom_graph.services import Services
from dicom_graph.store.answer_budget import PendingAnswers
from dicom_graph.telemetry.request import CURRENT, ORIGIN
from dicom_graph.web.accepted_types import prefers_events
from dicom_graph.web.admission import TICKET, Kind
from dicom_graph.web.body import PREFLIGHT_NEEDED, bounded, is_preflighted, refuse_length
from dicom_graph.web.documents import DocumentMissing, Documents, require_document
from dicom_graph.web.encoding import LARGE
from dicom_graph.web.errors import ErrorResponse, code_of_status
from dicom_graph.web.graphiql import EXAMPLE_QUERY, graphiql_page
from dicom_graph.web.graphql_form import GraphQLForm
from dicom_graph.web.large_answers import (
    EncodedJson,
    LargeAnswer,
    SubResponse,
    WebSocketAdapter,
    held,
    text_of,
)
from dicom_graph.web.middleware.authentication import bearer, identifier
from dicom_graph.web.operation_slots import slot_of
from dicom_graph.web.raw_headers import header
from dicom_graph.web.socket_operations import SocketOperations

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


_BODY_TYPES = ("application/json", "multipart/form-data")
_BODY_NEEDED = (
    "Send the operation with Content-Type: application/json, or with files as multipart/form-data"
)
_RESPONSE_JSON = "application/graphql-response+json"


_FORM = "dicom_graph.form"


class _Adapter(StarletteRequestAdapter):
    """A request whose body is also had as it comes in."""

    @property
    def scope(self) -> Scope:
        return self._request.scope

    def stream(self) -> AsyncIterator[bytes]:
        return self._request.stream()


class _Refused(Exception):
    """The rest of a form is not read."""

    def __init__(self, status: int, code: ErrorCode, message: str) -> None:
        self.response = ErrorResponse(status, code, message, {"Connection": "close"})


class _EventStream(SSETransport):
    headers: ClassVar = {**SSETransport.headers, "Cache-Control": "no-store, no-transform"}


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the endpoint offers. `default_query`: what GraphiQL shows at first."""

    default_query: str | None = None
    graphiql: bool = True
    get_queries: bool = True
    max_batch: int = 1
    max_body_bytes: int = 1 << 20
    documents: Documents | None = None
    max_operations: int = 50
    init_seconds: float = 20
    allowed_origins: tuple[str, ...] = ()


class GraphQLView(GraphQL[Context, None]):
    """The endpoint `/graphql`: POST and GET, graphql-transport-ws, events (SSE), GraphiQL."""

    graphql_transport_ws_handler_class = SocketOperations
    request_adapter_class = _Adapter
    websocket_adapter_class = WebSocketAdapter
    stream_transport_classes_by_protocol = {GRAPHQL_SSE_PROTOCOL: _EventStream}  # noqa: RUF012

    def __init__(
        self, services: Services, authenticator: Authenticator, options: ViewOptions
    ) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql" if options.graphiql else None,
            allow_queries_via_get=options.get_queries,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            multipart_uploads_enabled=True,
            connection_init_wait_timeout=timedelta(seconds=options.init_seconds),
            max_subscriptions_per_connection=options.max_operations,
            allowed_origins=options.allowed_origins,
        )
        self._services = services
        self._authenticator = authenticator
        self._options = options

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """A context of its own for each request."""
        scope, ticket = request.scope, TICKET.get()
        context = Context.of(self._services, scope["principal"], scope.get("identify"))
        if ticket is not None and ticket.kind is Kind.STREAMS:
            context.admit = partial(slot_of, ticket)
        if scope["type"] == "http":
            context.held = held(scope)
        return context

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """A client that could not send a header sends its token in `connection_init`."""
        if context.principal is NOBODY:
            token = bearer(str((context.connection_params or {}).get("Authorization", "")))
            if token is not None:
                context.identify = identifier(self._authenticator, token)
                await context.identify_again()
        current = CURRENT.get()
        if current is not None:
            current.principal = context.principal.name
            current.is_refused = context.principal is NOBODY
        ticket = TICKET.get()
        if ticket is not None and not ticket.identified(context.principal):
            raise ConnectionRejectionError
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
        require_document(request, self._options.documents)
        return request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body of an upload is bounded as it comes in, and gone from the disk in the end.

        Every refusal is JSON.
        """
        ORIGIN.set(_origin(scope))
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        receive = bounded(receive, self._services.max_upload_bytes)
        try:
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, _closing(scope, send))
        finally:
            form: GraphQLForm | None = scope.get(_FORM)
            if form is not None:
                await asyncio.to_thread(form.close)
            held(scope).close()

    async def _answer(self, request: Request) -> Response:
        try:
            return await (self._run_plain(request) if _is_plain(request) else self.run(request))
        except _Refused as refused:
            return refused.response
        except DocumentMissing as missing:
            return ErrorResponse(missing.status, missing.code, str(missing))
        except HTTPException as error:
            return ErrorResponse(error.status_code, code_of_status(error.status_code), error.reason)

    async def _run_plain(self, request: Request) -> Response:
        """What Strawberry's `run` does of one operation that is posted as JSON."""
        data = self.parse_json(await request.body())
        if not isinstance(data, dict) or not _is_operation(data):
            return await self.run(request)
        response = await self.get_sub_response(request)
        result = await self.execute_single(
            request=request,
            request_adapter=_Adapter(request),
            sub_response=response,
            context=await self.get_context(request, response),
            root_value=None,
            request_data=GraphQLRequestData(
                query=data.get("query"),
                variables=data.get("variables"),
                operation_name=data.get("operationName"),
                extensions=data.get("extensions"),
                protocol="http",
            ),
        )
        return self.create_response(await self.process_result(request, result), response)

    async def parse_multipart(self, request: AsyncHTTPRequestAdapter) -> Any:
        """A form with files, from a client that is no other site's page, and who may upload."""
        assert isinstance(request, _Adapter)
        if not is_preflighted(request.headers):
            raise HTTPException(400, PREFLIGHT_NEEDED)
        refuse_length(request.headers, self._services.max_upload_bytes)
        _, options = parse_options_header(request.content_type)
        principal: Principal = request.scope["principal"]
        form = request.scope[_FORM] = GraphQLForm(
            options.get(b"boundary", b""),
            self._services.storage_root,
            self._options.max_body_bytes,
            self._requests,
            lambda given, variable: self._require_upload(principal, given, variable),
        )
        try:
            return await form.receive(request.stream())
        except ClientDisconnect:
            raise HTTPException(400, "the form was broken off") from None

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> Any:
        """As Strawberry does it, but for what the error says of a body of another type."""
        sent = (request.content_type or "").partition(";")[0].strip().lower()
        if request.method != "GET" and sent not in _BODY_TYPES:
            was = f"it was {sent[:100]!r}" if sent else "there was none"
            raise HTTPException(400, f"{_BODY_NEEDED}; {was}")
        return await super().parse_http_body(request)

    def _requests(self, text: str) -> Any:
        """What `operations` of a form asks for, or its `map`. Raises HTTPException."""
        given = self.parse_json(text)
        if isinstance(given, list):
            self._validate_batch_request(given, "http")
        return given

    def _require_upload(self, principal: Principal, given: dict[str, Any], variable: str) -> None:
        """Raises _Refused where nobody, or not this one, may put a file into a variable."""
        reason = refusal(principal, need_of_field("Mutation", FIELD), f"`{FIELD}`")
        if reason is not None:
            raise _Refused(403, ErrorCode.FORBIDDEN, reason)
        variables = file_variables(
            schema._schema, given.get("query"), given.get("operationName"), given["variables"],
            self._services.limits,
        )  # fmt: skip
        if variable not in variables:
            reason = f"the operation takes no file in its variable {variable[:40]!r}"
            raise _Refused(400, ErrorCode.BAD_UPLOAD, reason)

    def parse_json(self, data: str | bytes) -> Any:
        """An object, or a list of them; any other body is the client's mistake."""
        try:
            parsed = self.decode_json(data)
        except (ValueError, RecursionError):
            raise HTTPException(400, "Unable to parse request body as JSON") from None
        parts = parsed if isinstance(parsed, list) else [parsed]
        if not all(isinstance(part, dict | None) for part in parts):
            raise HTTPException(400, "The request must be a JSON object")
        for part in parts:
            require_document(part, self._options.documents)
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
        response = SubResponse(held(request.scope))
        accept = header(request.scope, b"accept") or ""
        response.media_type = _RESPONSE_JSON if _RESPONSE_JSON in accept else "application/json"
        return response

    async def execute_single(self, *args: Any, **options: Any) -> ExecutionResult:
        """As GraphQL over HTTP says: 400 where nothing was executed, if the client takes that, or
        where the request itself cannot be right.
        """
        result = await super().execute_single(*args, **options)
        response = options["sub_response"]
        if isinstance(result, PreExecutionError):
            codes = {(error.extensions or {}).get("code") for error in result.errors or ()}
            if response.media_type == _RESPONSE_JSON or ErrorCode.BAD_REQUEST in codes:
                response.status_code = 400
        return result

    async def process_result(
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        """Without `data` where nothing was executed."""
        response = await super().process_result(request, result)
        if isinstance(result, PreExecutionError):
            response.pop("data", None)
        if prefers_events(header(request.scope, b"accept") or ""):
            return cast(GraphQLHTTPResponse, EncodedJson(await text_of(response)))
        return response

    def encode_json(self, data: object) -> str | bytes:
        """The JSON of an answer, which may be written already."""
        return data.text if isinstance(data, EncodedJson) else dumps(data)

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        """The response of the type that was chosen."""
        pending = (
            sub_response.pending if isinstance(sub_response, SubResponse) else PendingAnswers()
        )
        is_large = pending.n_bytes > LARGE
        content_type = {"Content-Type": f"{sub_response.media_type}; charset=utf-8"}
        body = b"" if is_large else self.encode_json(response_data)
        response = Response(body, sub_response.status_code or 200, content_type)
        if not is_large:
            return response
        n_operations = len(response_data) if isinstance(response_data, list) else 1
        max_bytes = self._services.limits.answer_bytes * n_operations
        return LargeAnswer(response_data, response, max_bytes, pending)

    def _get_stream_transport_from_headers(self, headers: Mapping[str, str]) -> Any:
        """Events for clients that prefer them to JSON."""
        if not prefers_events(headers.get("accept", "")):
            return None
        return super()._get_stream_transport_from_headers(headers)

    def should_render_graphql_ide(self, request: Any) -> bool:
        """For clients that ask for HTML by name, also with `?query=` in the address."""
        return request.method == "GET" and "text/html" in request.headers.get("accept", "")

    async def render_graphql_ide(self, request: Request) -> Response:
        """GraphiQL, all of it from this server."""
        page = graphiql_page(
            endpoint="graphql",
            static_url="static",
            default_query=self._options.default_query,
            # Where only known documents are executed it would be refused.
            example=None if self._options.documents else EXAMPLE_QUERY,
            viewer=_described(request.scope["principal"]),
        )
        return HTMLResponse(page, headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY})


def _is_plain(request: Request) -> bool:
    """Whether it posts JSON, and takes an answer in one."""
    scope = request.scope
    return (
        request.method == "POST"
        and header(scope, b"content-type") == "application/json"
        and not prefers_events(header(scope, b"accept") or "")
    )


def _is_operation(data: dict[str, Any]) -> bool:
    """Whether the parts of a request have their types."""
    return (
        isinstance(data.get("query"), str | None)
        and isinstance(data.get("variables"), dict | None)
        and isinstance(data.get("extensions"), dict | None)
    )


def _described(principal: Principal) -> str | None:
    """The user who asks, as a text; None on a server that asks nobody for a name."""
    if principal is EVERYONE:
        return None
    seen = ", without identities" if principal.deidentified else ""
    return f"{principal.name}, {principal.role.name.lower()}{seen}"


def _origin(scope: Scope) -> str:
    host = header(scope, b"host") or ""
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    return f"{scheme}://{host}" if host else ""


def _closing(scope: Scope, send: Send) -> Send:
    """Sends the same; where a form was not read to its end, the connection is closed after it."""

    async def closing(message: Message) -> None:
        form: GraphQLForm | None = scope.get(_FORM)
        if message["type"] == "http.response.start" and form is not None and not form.is_read:
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return closing
