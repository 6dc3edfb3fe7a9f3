"""The Starlette application."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from dicom_graph.access.audit import AuditLog, AuditMode
from dicom_graph.access.authenticator import Authenticator
from dicom_graph.access.principal import Role, Ungrouped
from dicom_graph.graph.filter_json import condition_from_json
from dicom_graph.imaging.service import Imaging
from dicom_graph.importing.background_reindex import BackgroundReindex
from dicom_graph.importing.factory import make_runner
from dicom_graph.importing.roots import resolve_roots
from dicom_graph.research_subjects import load_resolver
from dicom_graph.services import Limits, Services
from dicom_graph.settings import Settings
from dicom_graph.store.answer_budget import MemoryBudget
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import storage_named
from dicom_graph.store.migrate import prepare
from dicom_graph.store.read import Store
from dicom_graph.store.readiness import Readiness
from dicom_graph.telemetry import tracing
from dicom_graph.web import archives, images, pages, series, tables
from dicom_graph.web.admission import Admission, Sizes
from dicom_graph.web.descriptors import descriptors
from dicom_graph.web.documents import Documents
from dicom_graph.web.downloads import FAILURES
from dicom_graph.web.forwarded import ForwardedHeadersMiddleware
from dicom_graph.web.graphiql import STATIC_DIR
from dicom_graph.web.graphql import GraphQLView, ViewOptions
from dicom_graph.web.health import healthz, readyz
from dicom_graph.web.incoming_memory import IncomingMemory
from dicom_graph.web.login import Login
from dicom_graph.web.metrics import sampling, show_metrics
from dicom_graph.web.middleware.allowed_host import AllowedHostMiddleware
from dicom_graph.web.middleware.audit import AuditMiddleware
from dicom_graph.web.middleware.authentication import AuthenticationMiddleware, CredentialSources
from dicom_graph.web.middleware.cors import OriginMiddleware
from dicom_graph.web.middleware.errors import UnexpectedErrorMiddleware
from dicom_graph.web.middleware.limits import (
    BodySizeLimitMiddleware,
    ConcurrencyLimitMiddleware,
    UserAdmissionMiddleware,
)
from dicom_graph.web.middleware.mounted import MountedMiddleware
from dicom_graph.web.middleware.observability import ObservabilityMiddleware
from dicom_graph.web.middleware.security_headers import SecurityHeadersMiddleware
from dicom_graph.web.middleware.slow_bodies import BodyTimeoutMiddleware
from dicom_graph.web.middleware.well_formed_address import WellFormedAddressMiddleware
from dicom_graph.web.shared_answer import SharedAnswer
from dicom_graph.web.uploads import UploadView

_REQUEST_HEADERS = (
    "Authorization", "Content-Type", "X-Requested-With", "GraphQL-Require-Preflight",
    "Apollo-Require-Preflight", "X-Apollo-Operation-Name", "X-Apollo-Operation-Id",
    "X-Apollo-Operation-Type", "ApolloGraphQL-Client-Name", "ApolloGraphQL-Client-Version",
    "GraphQL-Client-Name", "GraphQL-Client-Version", "traceparent", "tracestate", "baggage",
    "X-Request-ID", "If-None-Match", "If-Modified-Since", "If-Range", "Range", "Last-Event-ID",
)  # fmt: skip
"""What pages of other origins may send, beside what all may."""
_RESPONSE_HEADERS = (
    "X-Request-ID", "Content-Disposition", "Content-Range", "Accept-Ranges", "ETag", "Retry-After",
    "WWW-Authenticate",
)  # fmt: skip
"""What they may read."""


def create_app(settings: Settings, *, default_query: str | None = None) -> Starlette:
    """The application. Its database is opened, and upgraded if embedded, when it starts.

    `default_query` is what GraphiQL shows at first. Raises SettingsError for trusted documents or a
    subject resolver that cannot be had; at its start DatabaseError for a database that cannot be
    used.
    """
    database = Database(settings.database_url, pool_size=settings.database_pool_size)
    documents = Documents.load(settings.trusted_documents) if settings.trusted_documents else None
    audit = AuditLog(database, AuditMode(settings.audit), settings.audit_file)
    services = _services(settings, database, documents, audit)
    authenticator = _authenticator(database, settings)
    sources = CredentialSources(
        settings.proxy_user_header,
        tuple(settings.trusted_proxies),
        frozenset(settings.allowed_origins),
    )
    allowed = descriptors(settings)
    sizes = Sizes(allowed.requests, allowed.streams, settings.strangers_percent)
    admission = Admission(sizes, settings.proxy_user_header)
    incoming = IncomingMemory(settings.max_incoming_megabytes << 20)
    view = GraphQLView(services, authenticator, _view_options(settings, documents, default_query))
    app = Starlette(
        routes=_routes(settings, view, services, Login(authenticator, sources)),
        middleware=_middleware(settings, authenticator, sources, audit, admission, incoming),
        exception_handlers=FAILURES,
        lifespan=_lifespan(settings, database, services, audit, authenticator),
    )
    app.state.database = database
    app.state.readiness = Readiness(database)
    app.state.services = services
    app.state.runner = services.runner
    app.state.admission = admission
    app.state.incoming = incoming
    app.state.descriptors = allowed
    return app


def _services(
    settings: Settings, database: Database, documents: Documents | None, audit: AuditLog
) -> Services:
    roots = resolve_roots(settings.import_roots)
    return Services(
        store=Store(database, element_cache_bytes=settings.element_cache_megabytes << 20),
        runner=make_runner(settings, database, roots),
        import_roots=roots,
        max_page_size=settings.max_page_size,
        storage_root=settings.storage_root,
        max_upload_bytes=settings.max_upload_megabytes << 20,
        limits=_limits(settings, documents),
        subjects=load_resolver(settings.subject_resolver) if settings.subject_resolver else None,
        imaging=Imaging(
            max_decodes=settings.max_decodes,
            max_decoded_bytes=settings.max_decoded_megabytes << 20,
            decode_timeout=settings.decode_timeout,
            roots=(*roots, settings.storage_root) if settings.storage_root else roots,
        ),
        audit=audit,
        memory=MemoryBudget(settings.max_answers_megabytes << 20),
        import_mode=Mode[settings.import_mode.upper()],
        import_storage=storage_named(settings.import_storage),
        parse_filter=condition_from_json,
    )


def _lifespan(
    settings: Settings,
    database: Database,
    services: Services,
    audit: AuditLog,
    authenticator: Authenticator,
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """What is started before the first request, and stopped after the last."""
    reindexing = BackgroundReindex(database, max_raw=settings.max_inline_bytes)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(prepare, database)
        # Once it knows of users, it asks for names whatever becomes of the database.
        await authenticator.is_required()
        tracing.configure()
        services.runner.start()
        audit.start()
        if settings.reindex == "background":
            reindexing.start()
        try:
            async with sampling(app):
                yield
        finally:
            services.imaging.close()
            await asyncio.to_thread(reindexing.stop)
            await asyncio.to_thread(services.runner.stop)
            await asyncio.to_thread(audit.stop)
            await asyncio.to_thread(tracing.close)
            await database.close()

    return lifespan


def _view_options(
    settings: Settings, documents: Documents | None, default_query: str | None
) -> ViewOptions:
    return ViewOptions(
        default_query,
        settings.graphiql,
        settings.get_queries,
        settings.max_batch,
        settings.max_body_bytes,
        documents,
        settings.max_operations,
        settings.request_seconds,
        tuple(settings.allowed_origins),
    )


def _routes(
    settings: Settings, view: GraphQLView, services: Services, login: Login
) -> list[BaseRoute]:
    return [
        Route("/graphql", view),
        WebSocketRoute("/graphql", view),
        Route("/upload", UploadView(services).upload, methods=["POST"]),
        Route("/login", login.form),
        Route("/login", login.log_in, methods=["POST"]),
        Route("/logout", login.account),
        Route("/logout", login.log_out, methods=["POST"]),
        Route("/healthz", healthz),
        Route("/readyz", SharedAnswer(readyz).answer),
        *([] if settings.metrics == "off" else [Route("/metrics", show_metrics)]),
        *images.ROUTES,
        *series.ROUTES,
        *archives.ROUTES,
        *tables.ROUTES,
        *pages.ROUTES,
        Mount(
            "/static",
            StaticFiles(directory=STATIC_DIR),
            middleware=[Middleware(GZipMiddleware)],
        ),
    ]


def _limits(settings: Settings, documents: Documents | None) -> Limits:
    return Limits(
        depth=settings.max_depth,
        aliases=settings.max_aliases,
        tokens=settings.max_tokens,
        directives=settings.max_directives,
        selections=settings.max_selections,
        document_bytes=settings.max_document_bytes,
        conditions=settings.max_conditions,
        values=settings.max_values,
        cost=settings.max_cost,
        seconds=settings.max_seconds,
        answer_bytes=settings.max_answer_bytes,
        introspection=settings.introspection,
        counts=settings.counts,
        documents=documents.texts if documents else None,
    )


def _authenticator(database: Database, settings: Settings) -> Authenticator:
    role = settings.proxy_role
    return Authenticator(
        database,
        has_proxy=bool(settings.proxy_user_header),
        proxy_role=Role[role.upper()] if role else None,
        session_hours=settings.session_hours,
        always=settings.login == "required",
        ungrouped=Ungrouped(settings.ungrouped_viewers),
    )


def _middleware(
    settings: Settings,
    authenticator: Authenticator,
    sources: CredentialSources,
    audit: AuditLog,
    admission: Admission,
    incoming: IncomingMemory,
) -> list[Middleware]:
    """What each request goes through, from the outside in."""
    public = frozenset({"/metrics"} if settings.metrics == "public" else ())
    # Against DNS rebinding: a page elsewhere must not reach this server by its own name.
    host = Middleware(AllowedHostMiddleware, settings.allowed_hosts)
    return [
        Middleware(MountedMiddleware, settings.root_path or ""),
        Middleware(ObservabilityMiddleware, sources),
        Middleware(AuditMiddleware, audit),
        Middleware(SecurityHeadersMiddleware, settings.allowed_origins),
        Middleware(UnexpectedErrorMiddleware),
        Middleware(WellFormedAddressMiddleware),
        host,
        Middleware(ForwardedHeadersMiddleware, settings.trusted_proxies),
        host,  # Also the name by which the proxy was addressed.
        Middleware(ConcurrencyLimitMiddleware, admission),
        Middleware(BodyTimeoutMiddleware, settings.request_seconds),
        Middleware(
            OriginMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_RESPONSE_HEADERS,
        ),
        Middleware(
            AuthenticationMiddleware, authenticator=authenticator, sources=sources, public=public
        ),
        Middleware(UserAdmissionMiddleware),
        Middleware(BodySizeLimitMiddleware, settings.max_body_bytes, incoming),
    ]
