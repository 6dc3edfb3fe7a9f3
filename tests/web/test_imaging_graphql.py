"""Pixels, volumes and addresses over GraphQL: the addresses lead to what they promise."""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dicom_graph.dicom.volume import read_geometries
from tests.support.served_archive import ODD_PATIENT, Archive, served

PIXELS = """query ($uid: String!) { imageByUid(uid: $uid) {
  fileUrl headerJsonUrl
  pixels { shape dtype minimum maximum mean photometricInterpretation windowCenter windowWidth
    npyUrl pngUrl second: pngUrl(frame: 2, window: { center: 100.5, width: 60 }, size: 20) }
} }"""
VOLUME = """query ($uid: String!) { seriesByUid(uid: $uid) {
  zipUrl
  volumes { stack npyUrl }
  volume { stack shape dtype spacing affine axes orientation label warnings npyUrl niftiUrl
    fourthAxisValues fourthAxisUnit
    previewUrl(axis: AXIAL, index: 1, size: 30) mosaicUrl(tiles: 2) }
} }"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with served(tmp_path_factory.mktemp("archive"), max_decodes=2) as made:
        yield made


def ask(archive: Archive, query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    return httpx.post(f"{archive.server.url}/graphql", json=body, timeout=60).json()


def array(archive: Archive, url: str) -> np.ndarray:
    found: np.ndarray = np.load(io.BytesIO(archive.get(url).content))
    return found


def test_pixels(archive: Archive) -> None:
    image = ask(archive, PIXELS, uid=archive.uid("frames"))["data"]["imageByUid"]
    pixels, truth = image["pixels"], dcmread(archive.files["frames"]).pixel_array
    assert pixels["shape"] == list(truth.shape)
    assert pixels["dtype"] == "uint8"
    assert (pixels["minimum"], pixels["maximum"]) == (truth.min(), truth.max())
    assert pixels["mean"] == pytest.approx(truth.mean())
    assert pixels["photometricInterpretation"] == "MONOCHROME2"
    assert (pixels["windowCenter"], pixels["windowWidth"]) == (None, None)
    np.testing.assert_array_equal(array(archive, pixels["npyUrl"]), truth)
    first = Image.open(io.BytesIO(archive.get(pixels["pngUrl"]).content))
    np.testing.assert_array_equal(np.asarray(first), truth[0])
    second = Image.open(io.BytesIO(archive.get(pixels["second"]).content))
    assert max(second.size) == 20
    assert archive.get(image["fileUrl"]).content == archive.files["frames"].read_bytes()
    assert archive.get(image["headerJsonUrl"]).json()["00100020"]["Value"] == [ODD_PATIENT]


def test_a_window_of_the_header(archive: Archive) -> None:
    image = ask(archive, PIXELS, uid=archive.uid("grey"))["data"]["imageByUid"]
    assert image["pixels"]["windowCenter"] == 2000
    assert image["pixels"]["windowWidth"] == 1000


def test_a_volume(archive: Archive) -> None:
    series = ask(archive, VOLUME, uid=archive.series("slice0"))["data"]["seriesByUid"]
    paths = [path for name, path in archive.files.items() if name.startswith("slice")]
    (geometry,) = read_geometries(paths)
    volume = series["volume"]
    assert volume["shape"] == [6, 4, 5]
    assert volume["axes"] == ["column", "row", "slice"]
    assert volume["dtype"] == geometry.dtype.name
    assert volume["spacing"] == [1.5, 2.0, 2.0]
    assert volume["warnings"] == list(geometry.warnings)
    assert array(archive, volume["npyUrl"]).shape == (6, 4, 5)
    content = gzip.decompress(archive.get(volume["niftiUrl"]).content)
    nifti = nibabel.Nifti1Image.from_bytes(content)
    np.testing.assert_allclose(nifti.affine, volume["affine"])
    for url in (volume["previewUrl"], volume["mosaicUrl"]):
        assert archive.get(url).headers["content-type"] == "image/png"
    assert series["volumes"] == [{"stack": 0, "npyUrl": volume["npyUrl"]}]
    assert archive.get(series["zipUrl"]).headers["content-type"] == "application/zip"


def test_several_volumes_have_addresses_of_their_own(archive: Archive) -> None:
    series = ask(archive, VOLUME, uid=archive.series("small"))["data"]["seriesByUid"]
    shapes = [array(archive, each["npyUrl"]).shape for each in series["volumes"]]
    assert shapes == [(5, 4, 1), (3, 2, 1)]
    assert "2 sizes" in " ".join(series["volume"]["warnings"])


def test_what_cannot_be_read_has_a_code_and_spoils_nothing_else(archive: Archive) -> None:
    query = """{
      images { nodes { uid pixels { mean } } }
      series { nodes { uid volume { shape } } }
    }"""
    answer = ask(archive, query)
    codes = sorted(error["extensions"]["code"] for error in answer["errors"])
    assert codes == ["CORRUPT_PIXELS", "NO_VOLUME"]
    means = {node["uid"]: node["pixels"] for node in answer["data"]["images"]["nodes"]}
    assert means[archive.uid("report")] is None
    assert means[archive.uid("corrupt")] == {"mean": None}
    assert means[archive.uid("grey")]["mean"] > 0


def test_an_address_of_what_cannot_be_is_refused(archive: Archive) -> None:
    query = "query ($uid: String!) { imageByUid(uid: $uid) { pixels { pngUrl(%s) } } }"
    for given in ("window: { center: 1, width: 0 }", "frame: 0"):
        answer = ask(archive, query % given, uid=archive.uid("grey"))
        assert answer["errors"][0]["extensions"]["code"] == "BAD_INPUT"


def test_a_patient_and_a_study_reached_from_it(archive: Archive) -> None:
    query = """query ($uid: String!) { patientByUid(uid: $uid) {
      zipUrl studies { nodes { uid zipUrl } } } }"""
    patient = ask(archive, query, uid=ODD_PATIENT)["data"]["patientByUid"]
    (study,) = patient["studies"]["nodes"]
    for url in (patient["zipUrl"], study["zipUrl"]):
        assert url.isascii()
        assert archive.files["frames"].read_bytes() in archive.get(url).content
    other = "/studies/{}.zip?patient=patient-1".format(study["uid"])
    assert archive.files["frames"].read_bytes() not in archive.get(other).content
