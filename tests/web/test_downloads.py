"""Pictures, arrays, volumes and files over HTTP."""

import gzip
import io
import json
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import nibabel
import numpy as np
import psutil
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from dicom_graph.dicom.nifti import write_nifti
from dicom_graph.dicom.pixels.arrays import read_pixels
from dicom_graph.dicom.pixels.rendering import render_image
from dicom_graph.dicom.pixels.voi import Window
from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.dicom.volume.acquisition import read_acquisition
from dicom_graph.dicom.volume.pictures import PreviewAxis, preview, sheet
from tests.support.make import make_data_set, put_raw, save
from tests.support.served_archive import Archive, served
from tests.support.slices import make_image
from tests.support.waiting import until


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with served(tmp_path_factory.mktemp("archive"), max_decodes=2) as made:
        yield made


def volume_paths(archive: Archive) -> list[str]:
    return [str(path) for name, path in archive.files.items() if name.startswith("slice")]


def error_of(answer: httpx.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    assert error.keys() == {"message", "code", "requestId"}
    assert error["message"]
    return answer.status_code, error["code"]


def array_of(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    array: np.ndarray = np.load(io.BytesIO(answer.content), allow_pickle=False)
    return array


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_frame_is_the_picture_of_its_number_from_1(archive: Archive) -> None:
    stored = dcmread(archive.files["frames"]).pixel_array
    for number in (1, 2, 3):
        answer = archive.get(f"/images/{archive.uid('frames')}/frames/{number}.png")
        assert answer.headers["content-type"] == "image/png"
        assert "inline" in answer.headers["content-disposition"]
        np.testing.assert_array_equal(pixels_of(answer.content), stored[number - 1])


def test_a_picture_in_a_window_and_a_size(archive: Archive) -> None:
    answer = archive.get(f"/images/{archive.uid('grey')}/preview.png?window=1000,1501&size=24")
    expected = render_image(archive.files["grey"], window=Window(1000, 1501), size=24)
    np.testing.assert_array_equal(pixels_of(answer.content), pixels_of(expected))
    assert max(pixels_of(answer.content).shape) == 24
    second = archive.get(f"/images/{archive.uid('frames')}/preview.png?frame=2")
    np.testing.assert_array_equal(
        pixels_of(second.content), dcmread(archive.files["frames"]).pixel_array[1]
    )


def test_the_file_is_the_file(archive: Archive) -> None:
    uid, content = archive.uid("grey"), archive.files["grey"].read_bytes()
    whole = archive.get(f"/images/{uid}.dcm")
    assert whole.content == content
    assert whole.headers["content-disposition"] == f'attachment; filename="{uid}.dcm"'
    assert whole.headers["content-type"] == "application/dicom"
    part = archive.get(f"/images/{uid}.dcm", headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    beyond = archive.get(f"/images/{uid}.dcm", headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize("name", ["grey", "frames", "colour"])
def test_the_array_is_that_of_the_file(archive: Archive, name: str) -> None:
    array = array_of(archive.get(f"/images/{archive.uid(name)}.npy"))
    np.testing.assert_array_equal(array, read_pixels(archive.files[name]).array)
    stored = array_of(archive.get(f"/images/{archive.uid(name)}.npy?stored=true"))
    truth = dcmread(archive.files[name]).pixel_array
    np.testing.assert_array_equal(stored, truth.reshape(stored.shape))


def test_the_header_in_json(archive: Archive) -> None:
    answer = archive.get(f"/images/{archive.uid('grey')}/header.json")
    assert answer.headers["content-type"] == "application/dicom+json"
    truth = dcmread(archive.files["grey"], stop_before_pixels=True).to_json_dict()
    assert answer.json() == truth


WORDS = struct.pack(">40000H", *range(40_000))
NUMBERS = struct.pack("<120000H", *[7] * 120_000)
MANY = b"\\".join(b"%d" % number for number in range(100_001))


@pytest.fixture(scope="module")
def bulky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Large values at the top and in an item, big endian, and more values than are stored."""

    def make(folder: Path) -> dict[str, Path]:
        item, big, little = Dataset(), make_data_set(), make_data_set()
        put_raw(item, 0x00660023, "OW", WORDS[::-1])
        put_raw(big, 0x00660023, "OW", WORDS)
        big.ReferencedImageSequence = [Dataset(), item]
        put_raw(little, 0x00081160, "IS", MANY + b" " * (len(MANY) % 2))
        put_raw(little, 0x00281201, "US", NUMBERS)
        return {
            "big": save(big, folder / "big.dcm", ExplicitVRBigEndian),
            "little": save(little, folder / "little.dcm", ImplicitVRLittleEndian),
        }

    with served(tmp_path_factory.mktemp("bulky"), make=make) as made:
        yield made


def test_every_address_of_a_header_answers_the_bytes_of_its_value(bulky: Archive) -> None:
    """PS3.18 F.2.6: little endian, as inline values are (F.2.7)."""
    big, little = (
        bulky.get(f"/images/{bulky.uid(name)}/header.json").json() for name in ("big", "little")
    )
    for element, expected in (
        (big["00660023"], struct.pack("<40000H", *range(40_000))),
        (big["00081140"]["Value"][1]["00660023"], swapped(WORDS[::-1])),
        (little["00081160"], MANY + b" " * (len(MANY) % 2)),
        (little["00281201"], NUMBERS),
    ):
        assert element.keys() == {"vr", "BulkDataURI"}
        answer = bulky.get(element["BulkDataURI"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.content == expected
        known = {"If-None-Match": answer.headers["etag"]}
        assert bulky.get(element["BulkDataURI"], headers=known).status_code == 304


def swapped(words: bytes) -> bytes:
    return np.frombuffer(words, ">u2").astype("<u2").tobytes()


def test_graphql_tells_the_same_addresses(bulky: Archive) -> None:
    uid = bulky.uid("big")
    query = f"""{{ imageByUid(uid: "{uid}") {{ header {{ json
      element(keyword: "ReferencedImageSequence") {{ items {{ json }} }} }}
      instance {{ json }} }} }}"""
    answer = httpx.post(f"{bulky.server.url}/graphql", json={"query": query}, timeout=60)
    image = answer.json()["data"]["imageByUid"]
    header = bulky.get(f"/images/{uid}/header.json").json()
    assert header == image["header"]["json"] == image["instance"]["json"]
    items = [item["json"] for item in image["header"]["element"]["items"]]
    assert items == header["00081140"]["Value"]


def test_values_that_an_image_does_not_have(bulky: Archive) -> None:
    header = bulky.get(f"/images/{bulky.uid('big')}/header.json").json()
    address = header["00660023"]["BulkDataURI"]
    value = address.rpartition("/")[2]
    other = value.replace("00660023", "00660024")
    for path in (
        f"/images/{bulky.uid('little')}/bulkdata/{value}", f"/images/1.2.3/bulkdata/{value}",
        address[:-1], address.replace(value, other), address.replace(value, "x"),
    ):  # fmt: skip
        assert error_of(bulky.get(path)) == (404, "NOT_FOUND"), path
    assert error_of(bulky.get(f"{address}?a=b")) == (400, "BAD_INPUT")


def test_a_volume_as_an_array_and_as_nifti(archive: Archive) -> None:
    (geometry,) = read_geometries(volume_paths(archive))
    uid = archive.series("slice0")
    array = array_of(archive.get(f"/series/{uid}/volume.npy"))
    np.testing.assert_array_equal(array, read_volume(geometry).array)
    assert array[0, 0].tolist() == [1, 2, 0, 3, 4]
    stored = array_of(archive.get(f"/series/{uid}/volume.npy?stored=true"))
    assert stored.dtype == dcmread(archive.files["slice0"]).pixel_array.dtype
    np.testing.assert_array_equal(stored, array)
    answer = archive.get(f"/series/{uid}/volume.nii.gz")
    assert answer.headers["content-disposition"] == f'attachment; filename="{uid}.nii.gz"'
    nifti = nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content))
    np.testing.assert_array_equal(np.asarray(nifti.dataobj), array)
    np.testing.assert_allclose(nifti.affine, geometry.affine)
    written = io.BytesIO()
    acquisition = read_acquisition(geometry)
    write_nifti(geometry, written, acquisition=acquisition)
    assert answer.content == written.getvalue()
    for ending in ("bval", "bvec"):
        assert error_of(archive.get(f"/series/{uid}/volume.{ending}")) == (404, "NOT_FOUND")


def test_pictures_of_a_volume(archive: Archive) -> None:
    (geometry,) = read_geometries(volume_paths(archive))
    uid = archive.series("slice0")
    answer = archive.get(f"/series/{uid}/preview.png?axis=coronal&index=1&window=2,5&size=30")
    expected = preview(geometry, PreviewAxis.CORONAL, 1, window=Window(2, 5), size=30)
    np.testing.assert_array_equal(pixels_of(answer.content), pixels_of(expected))
    middle = archive.get(f"/series/{uid}/preview.png")
    np.testing.assert_array_equal(pixels_of(middle.content), pixels_of(preview(geometry)))
    mosaic = archive.get(f"/series/{uid}/mosaic.png?tiles=4&size=64&window=2,5")
    expected = sheet(geometry, n_tiles=4, size=64, window=Window(2, 5))
    np.testing.assert_array_equal(pixels_of(mosaic.content), pixels_of(expected))


def test_a_series_of_two_sizes_wants_a_choice(archive: Archive) -> None:
    uid = archive.series("small")
    assert error_of(archive.get(f"/series/{uid}/volume.json")) == (422, "SEVERAL_STACKS")
    beside = archive.get(f"/series/{uid}/volume.json?stack=1")
    assert beside.headers["content-disposition"] == f'attachment; filename="{uid}.json"'
    assert beside.json() == {"EchoTime": 0.0025}
    query = f"""{{ seriesByUid(uid: "{uid}") {{ volume {{ echoTime sliceTiming bVectors }}
        volumes {{ echoTime sidecarUrl }} }} }}"""
    told = httpx.post(f"{archive.server.url}/graphql", json={"query": query}, timeout=60)
    found = told.json()["data"]["seriesByUid"]
    assert found["volume"] == {"echoTime": 0.0025, "sliceTiming": None, "bVectors": None}
    for each in found["volumes"]:
        assert each["echoTime"] == 0.0025
        assert archive.get(each["sidecarUrl"]).json() == beside.json()
    answer = archive.get(f"/series/{uid}/volume.npy")
    assert error_of(answer) == (422, "SEVERAL_STACKS")
    assert "5 × 4 × 1" in answer.json()["errors"][0]["message"]
    shapes = [
        array_of(archive.get(f"/series/{uid}/volume.npy?stack={stack}")).shape for stack in (0, 1)
    ]
    assert shapes == [(5, 4, 1), (3, 2, 1)]
    assert error_of(archive.get(f"/series/{uid}/volume.npy?stack=2")) == (404, "OUT_OF_RANGE")


@pytest.mark.parametrize(
    "address",
    [
        "/images/{grey}/preview.png",
        "/images/{grey}.dcm",
        "/images/{grey}.npy",
        "/images/{grey}/header.json",
        "/series/{volume}/volume.npy",
        "/series/{volume}/volume.nii.gz",
        "/series/{volume}/preview.png",
        "/series/{volume}/mosaic.png",
    ],
)
def test_what_a_client_has_is_not_sent_again(archive: Archive, address: str) -> None:
    filled = address.format(grey=archive.uid("grey"), volume=archive.series("slice0"))
    first = archive.get(filled)
    assert first.status_code == 200
    assert "private" in first.headers["cache-control"]
    tag = first.headers["etag"]
    again = archive.get(filled, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = archive.get(filled, headers={"If-None-Match": '"other"'})
    assert other.content == first.content
    assert archive.get(filled + "?size=9").headers.get("etag") != tag


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/images/1.2.3/preview.png", (404, "NOT_FOUND")),
        ("/images/1.2.3.dcm", (404, "NOT_FOUND")),
        ("/images/%00.dcm", (404, "NOT_FOUND")),
        ("/images/..%2F..%2Fetc%2Fpasswd.dcm", (404, "NOT_FOUND")),
        ("/images/1.2.3/header.json", (404, "NOT_FOUND")),
        ("/series/1.2.3/volume.npy", (404, "NOT_FOUND")),
        ("/series/1.2.3.zip", (404, "NOT_FOUND")),
        ("/studies/1.2.3.zip", (404, "NOT_FOUND")),
        ("/patients/nobody.zip", (404, "NOT_FOUND")),
        ("/series.zip?uid=1.2.3", (404, "NOT_FOUND")),
        ("/series.zip", (400, "BAD_INPUT")),
        ("/images/{frames}/frames/0.png", (404, "OUT_OF_RANGE")),
        ("/images/{frames}/frames/4.png", (404, "OUT_OF_RANGE")),
        ("/images/{frames}/frames/x.png", (400, "BAD_INPUT")),
        ("/images/{frames}/preview.png?size=0", (400, "BAD_INPUT")),
        ("/images/{frames}/preview.png?size=100000", (400, "BAD_INPUT")),
        ("/images/{frames}/preview.png?window=1,0", (400, "BAD_INPUT")),
        ("/images/{frames}/preview.png?window=nan,nan", (400, "BAD_INPUT")),
        ("/images/{frames}/preview.png?window=1", (400, "BAD_INPUT")),
        ("/images/{frames}/preview.png?windw=1,2", (400, "BAD_INPUT")),
        ("/images/{frames}.npy?stored=yes", (400, "BAD_INPUT")),
        ("/images/{report}/preview.png", (422, "NO_PIXEL_DATA")),
        ("/images/{report}.npy", (422, "NO_PIXEL_DATA")),
        ("/images/{corrupt}/preview.png", (422, "CORRUPT_PIXELS")),
        ("/images/{corrupt}.npy", (422, "CORRUPT_PIXELS")),
        ("/series/{report_series}/volume.npy", (422, "NO_VOLUME")),
        ("/series/{volume}/preview.png?axis=x", (400, "BAD_INPUT")),
        ("/series/{volume}/preview.png?index=5", (404, "OUT_OF_RANGE")),
        ("/series/{volume}/preview.png?volume=1", (404, "OUT_OF_RANGE")),
        ("/series/{volume}/mosaic.png?tiles=0", (400, "BAD_INPUT")),
        ("/series.csv?filter=x", (400, "BAD_FILTER")),
        ("/series.csv?filter=%7B%22modalit%22:1%7D", (400, "BAD_FILTER")),
        ("/series.csv?column=EchoTim", (400, "BAD_INPUT")),
    ],
)
def test_what_cannot_be_given_has_its_status(
    archive: Archive, address: str, expected: tuple[int, str]
) -> None:
    uids = {name: archive.uid(name) for name in ("frames", "report", "corrupt")}
    filled = address.format(
        **uids, report_series=archive.series("report"), volume=archive.series("slice0")
    )
    assert error_of(archive.get(filled)) == expected
    assert archive.get(f"/images/{uids['frames']}/preview.png").status_code == 200


def test_no_path_of_the_server_is_told(archive: Archive) -> None:
    answer = archive.get(f"/images/{archive.uid('corrupt')}/preview.png")
    assert str(archive.folder) not in json.dumps(answer.json())


def test_a_frame_out_of_range_is_told_as_the_client_counts(archive: Archive) -> None:
    answer = archive.get(f"/images/{archive.uid('frames')}/frames/4.png")
    assert "no frame 4: the image has 3, counted from 1" in answer.json()["errors"][0]["message"]


def workers() -> list[psutil.Process]:
    """The processes that decode: children of the fork server of this one."""
    return [
        child
        for server in psutil.Process().children()
        for child in server.children()
        if child.status() != psutil.STATUS_ZOMBIE
    ]


def test_a_decoder_killed_while_it_decodes(tmp_path: Path) -> None:
    others = workers()
    with served(tmp_path, make=many_frames, max_decodes=1) as archive:
        uid = archive.uid("frames")
        assert archive.get(f"/images/{uid}/preview.png").status_code == 200
        (worker,) = set(workers()) - set(others)
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(archive.get, f"/images/{uid}.npy")
            until(lambda: spooled_bytes(worker) > 0)
            worker.kill()
            assert error_of(answer.result()) == (422, "DECODER_CRASHED")
        assert archive.get(f"/images/{uid}/preview.png").status_code == 200


def spooled_bytes(worker: psutil.Process) -> int:
    paths = [file.path for file in worker.open_files() if "/dicom-graph-" in file.path]
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path))


def many_frames(folder: Path) -> dict[str, Path]:
    """A file that takes a while to decode: RLE, by pydicom itself."""
    frames = np.zeros((2000, 64, 64), np.uint16)
    path = make_image(folder / "frames.dcm", frames)
    data_set = dcmread(path)
    data_set.compress(RLELossless)
    data_set.save_as(path)
    return {"frames": path}


def test_more_than_the_limit_is_refused_before_it_starts(tmp_path: Path) -> None:
    with served(tmp_path, make=large_header, max_decoded_megabytes=1) as archive:
        uid = archive.uid("large")
        for address in (f"/images/{uid}.npy", f"/images/{uid}/preview.png"):
            answer = archive.get(address)
            assert error_of(answer) == (422, "TOO_LARGE")
            assert "limit of 1 MB" in answer.json()["errors"][0]["message"]
        answer = archive.get(f"/series/{archive.series('large')}/volume.npy")
        assert error_of(answer) == (422, "TOO_LARGE")


def large_header(folder: Path) -> dict[str, Path]:
    return {"large": make_image(folder / "large.dcm", np.zeros((1000, 1000), np.uint16))}
