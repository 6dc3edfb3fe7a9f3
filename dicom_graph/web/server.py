"""uvicorn, as dicom-graph runs it."""

import uvicorn
from starlette.applications import Starlette

from dicom_graph.settings import Settings


def make_server(application: Starlette, settings: Settings) -> uvicorn.Server:
    """The server of an application, to be run on sockets that listen."""
    config = uvicorn.Config(
        application,
        log_config=None,
        # `web.observed` has its own, without UIDs and queries.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        # Whom a proxy may speak for is decided in `web.authentication`.
        proxy_headers=False,
        ws_max_size=settings.max_body_bytes,
    )
    return uvicorn.Server(config)
