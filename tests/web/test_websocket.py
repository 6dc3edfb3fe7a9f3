"""One WebSocket, several operations: each answers from the database as it is then."""

from pathlib import Path

import httpx
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from tests.support.make import make_file
from tests.support.server import Server

COUNT = gql('{ seriesByUid(uid: "1.2.3") { nImages } imageByUid(uid: "1.2.3.2") { number } }')


def _import(server: Server, path: Path) -> None:
    database = Database(server.settings.database_url)
    run_import(database, JobRequest((str(path),), Mode.FULL))
    database.close_writer()


async def test_an_operation_sees_what_an_import_has_added_since_the_last(
    server: Server, tmp_path: Path
) -> None:
    first = make_file(tmp_path / "1.dcm", SOPInstanceUID="1.2.3.1", SeriesInstanceUID="1.2.3")
    _import(server, first)
    transport = WebsocketsTransport(url=f"{server.websocket_url}/graphql")
    async with Client(transport=transport) as session:
        before = await session.execute(COUNT)
        make_file(
            tmp_path / "2.dcm",
            SOPInstanceUID="1.2.3.2",
            SeriesInstanceUID="1.2.3",
            InstanceNumber=2,
        )
        _import(server, tmp_path)
        after = await session.execute(COUNT)
    assert before == {"seriesByUid": {"nImages": 1}, "imageByUid": None}
    assert after == {"seriesByUid": {"nImages": 2}, "imageByUid": {"number": 2}}


def test_a_request_for_another_host_name_is_refused(server: Server) -> None:
    answer = httpx.post(
        f"{server.url}/graphql",
        json={"query": "{ patients { totalCount } }"},
        headers={"Host": "evil.example"},
    )
    assert answer.status_code == 400
    assert "totalCount" not in answer.text
