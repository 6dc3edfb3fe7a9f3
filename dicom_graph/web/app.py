"""The Starlette application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from dicom_graph.graph.context import Service
from dicom_graph.importing.roots import resolve_roots
from dicom_graph.importing.runner import JobRunner
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import require_current, upgrade
from dicom_graph.store.read import Store
from dicom_graph.web.graphiql import STATIC_DIR
from dicom_graph.web.graphql import GraphQLView
from dicom_graph.web.health import healthz, readyz


def create_app(settings: Settings, *, default_query: str | None = None) -> Starlette:
    """The application. Its database is opened, and upgraded if embedded, when it starts.

    `default_query` is what GraphiQL shows at first. Raises `DatabaseError` at its start for a
    database that cannot be used.
    """
    database = Database(settings.database_url, pool_size=settings.database_pool_size)
    roots = resolve_roots(settings.import_roots)
    runner = _runner(settings, database, roots)
    store = Store(database, element_cache_bytes=settings.element_cache_megabytes << 20)
    service = Service(store, runner, roots, settings.max_page_size, settings.storage_root)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(_require_tables, settings, database)
        runner.start()
        try:
            yield
        finally:
            await asyncio.to_thread(runner.stop)
            await database.close()

    view = GraphQLView(service, default_query=default_query)
    app = Starlette(
        routes=[
            Route("/", _to_graphiql),
            Route("/graphql", view),
            WebSocketRoute("/graphql", view),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Mount(
                "/static",
                StaticFiles(directory=STATIC_DIR),
                middleware=[Middleware(GZipMiddleware)],
            ),
        ],
        middleware=[
            # Against DNS rebinding: a page elsewhere must not reach this server by its own name.
            Middleware(
                TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, www_redirect=False
            )
        ],
        lifespan=lifespan,
    )
    app.state.database = database
    app.state.runner = runner
    return app


def _runner(settings: Settings, database: Database, roots: tuple[Path, ...]) -> JobRunner:
    """What imports are given to. Raises SettingsError where the queue's library is missing."""
    if settings.queue == "procrastinate":
        # Here, since the library is optional.
        from dicom_graph.importing.queue.runner import QueueRunner

        return QueueRunner(database, stalled_after=settings.queue_stall_seconds)
    return JobRunner(
        database,
        roots=roots,
        batch_size=settings.batch_size,
        max_inline_bytes=settings.max_inline_bytes,
    )


def _require_tables(settings: Settings, database: Database) -> None:
    if database.is_sqlite:
        upgrade(database)
        return
    require_current(database)
    if settings.queue == "procrastinate":
        from dicom_graph.importing.queue.schema import require_queue

        require_queue(database)


async def _to_graphiql(request: Request) -> RedirectResponse:
    return RedirectResponse("/graphql")
