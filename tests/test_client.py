"""`dicom_graph.client`, against a running server."""

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicom_graph.client import Client, ClientError
from dicom_graph.dicom.volume import read_geometries, read_volume
from tests.support.make import make_file
from tests.support.served_archive import Archive, make_archive, served


def many(folder: Path) -> dict[str, Path]:
    """The archive, and more series than a page of the client holds."""
    files = make_archive(folder)
    for number in range(600):
        make_file(folder / "many" / f"{number}.dcm", Modality="OT")
    return files


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with served(tmp_path_factory.mktemp("archive"), make=many) as made:
        yield made


@pytest.fixture
def client(archive: Archive) -> Iterator[Client]:
    with Client(archive.server.url) as made:
        yield made


def test_series_of_all_pages(client: Client) -> None:
    rows = client.series({"modality": {"eq": "OT"}}, ["uid", "study { date }"])
    assert len({row["uid"] for row in rows}) == 600
    assert rows[0]["study"] == {"date": "2020-01-02"}
    assert client.series({"modality": {"eq": "XX"}}) == []


def test_series_as_a_frame(client: Client) -> None:
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(ImportError, match="pip install pandas"):
            client.series(as_frame=True)
        return
    frame = client.series({"modality": {"eq": "OT"}}, "uid study { date }", as_frame=True)
    assert len(frame) == 600
    assert set(frame["study.date"]) == {"2020-01-02"}


def test_a_volume(archive: Archive, client: Client) -> None:
    paths = [path for name, path in archive.files.items() if name.startswith("slice")]
    (geometry,) = read_geometries(paths)
    volume = client.volume(archive.series("slice0"))
    np.testing.assert_array_equal(volume, read_volume(geometry).array)
    np.testing.assert_allclose(volume.affine, geometry.affine)
    assert volume.axes == geometry.axes
    assert volume[0].affine is None
    assert float(volume.mean()) == 2.0
    with pytest.raises(ClientError) as caught:
        client.volume(archive.series("small"))
    assert caught.value.code == "SEVERAL_STACKS"
    assert client.volume(archive.series("small"), stack=1).shape == (3, 2, 1)


def test_an_image_and_its_header(archive: Archive, client: Client) -> None:
    truth = dcmread(archive.files["frames"])
    np.testing.assert_array_equal(client.image(archive.uid("frames")), truth.pixel_array)
    header = Dataset.from_json(client.header(archive.uid("frames")))
    assert header.PatientID == truth.PatientID
    with pytest.raises(ClientError) as caught:
        client.image(archive.uid("report"))
    assert caught.value.code == "NO_PIXEL_DATA"
    with pytest.raises(ClientError, match="no series"):
        client.volume("1.2.3")


def test_what_the_server_refuses(client: Client) -> None:
    with pytest.raises(ClientError, match="nonsense"):
        client.execute("{ nonsense }")


def test_without_its_packages_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['gql'] = None\n"
        "from dicom_graph.client import Client\nClient('http://127.0.0.1:1')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install '.[client]'" in done.stderr


def test_a_header_as_a_pandas_series(archive: Archive, client: Client) -> None:
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(ImportError, match="pip install pandas"):
            client.header_series(archive.uid("small"))
        return
    truth = dcmread(archive.files["frames"], stop_before_pixels=True)
    plain = client.header_series(archive.uid("frames"))
    assert list(plain.index) == [element.keyword for element in truth]
    assert plain["PatientID"] == truth.PatientID
    assert plain["Rows"] == truth.Rows
    assert plain["ImageType"] == list(truth.ImageType)
    verbose = client.header_series(archive.uid("frames"), verbose=True)
    assert list(verbose.index) == [element.name for element in truth]
    assert verbose["Image Type"] == "\\".join(truth.ImageType)
    with pytest.raises(ClientError, match="no image"):
        client.header_series("1.2.3")


def test_a_server_that_cannot_be_reached_or_is_another(archive: Archive) -> None:
    for url in ("http://127.0.0.1:9", archive.server.url + "/static"):
        with Client(url) as client:
            for ask in (lambda: client.execute("{ __typename }"), lambda: client.image("1.2")):
                with pytest.raises(ClientError) as caught:
                    ask()
                assert caught.value.code in (None, "NOT_FOUND")


class _Other(BaseHTTPRequestHandler):
    """Answers everything with what the test put into its server."""

    def do_GET(self) -> None:
        media_type, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/html; charset=utf-8", b"<html>log in"), ("application/json", b"null"),
        ("application/json", b'{"data": null}'), ("application/json", b'{"data": {"series": []}}'),
        ("application/json", b'{"errors": "no"}'), ("application/octet-stream", b"\x93NUMPY"),
        ("application/dicom+json", b"[1]"), ("application/vnd.apache.parquet", b"PAR1"),
    ],
)  # fmt: skip
def test_what_answers_in_the_place_of_a_server(media_type: str, body: bytes) -> None:
    """As a proxy does, whose page for logging in is a success; all of it is a ClientError."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Other)
    server.answer = (media_type, body)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True, args=(0.01,)).start()
    with Client(f"http://127.0.0.1:{server.server_port}", timeout=5) as client:
        asked: list[Callable[[], object]] = [
            lambda: client.series(), lambda: client.volume("1.2"), lambda: client.image("1.2"),
            lambda: client.header("1.2"), lambda: client.execute("{"),
        ]  # fmt: skip
        if importlib.util.find_spec("pyarrow") is not None:
            asked.append(lambda: client.table())
        for ask in asked:
            with pytest.raises(ClientError):
                ask()
    server.shutdown()
    server.server_close()
