"""Whether the process lives, and whether it can answer."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse

from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.trouble import UNREACHABLE, trouble_of


async def healthz(request: Request) -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """200 if the database answers, else 503 with the reason."""
    database: Database = request.app.state.database
    try:
        await asyncio.wait_for(database.ping(), timeout=5)
    except (DatabaseError, TimeoutError) as error:
        reason = trouble_of(error.__cause__) or UNREACHABLE
        return JSONResponse({"status": reason}, status_code=503)
    return JSONResponse({"status": "ok"})
