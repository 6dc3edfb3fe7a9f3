"""Downloads of users who see no identities: pictures, volumes, tables, files that name nobody."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import SecondaryCaptureImageStorage, UID_dictionary

from tests.access.deidentified_site import Site, deidentified_site
from tests.access.identities import (
    IMAGES,
    PATIENT,
    PROFILE,
    SERIES,
    STUDY,
    Leaks,
    identities,
    make_planted,
)
from tests.support.data import distinct_copies, pydicom_files, shared_files
from tests.support.samples import mostly_slow
from tests.support.slices import make_image

GREY = np.arange(12, dtype=np.uint16).reshape(3, 4)
TABLE = bytes(range(256)) * 300
BURNED = {
    "said": {"Modality": "MR", "BurnedInAnnotation": "YES"},
    "ultrasound": {"Modality": "US"},
    "capture": {"Modality": "CT", "SOPClassUID": SecondaryCaptureImageStorage},
    "screen": {"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
}
CLEAN = {
    "stated": {"Modality": "US", "BurnedInAnnotation": "NO"},
    "trusted": {"Modality": "CT", "RedPaletteColorLookupTableData": TABLE},
}


def _fill(folder: Path) -> None:
    make_planted(folder)
    for number, (name, elements) in enumerate((BURNED | CLEAN).items()):
        make_image(
            folder / f"{name}.dcm", GREY, PatientID=name, SeriesInstanceUID=f"1.3.888.1{number}",
            StudyInstanceUID=f"1.3.888.2{number}", SOPInstanceUID=f"1.3.888.3{number}", **elements,
        )  # fmt: skip
    distinct_copies([*pydicom_files()[::20], *shared_files()[::300]], folder / "real")


class Names(NamedTuple):
    """Pseudonyms by what they stand for, as a patient's series tell."""

    image: str
    series: str
    study: str
    patient: str


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with deidentified_site(request, tmp_path_factory.mktemp("site"), _fill) as made:
        yield made


@pytest.fixture(scope="module")
def leaks(site: Site) -> Leaks:
    paths = [path for path in site.folder.rglob("*") if path.is_file()]
    return Leaks([*identities(paths), "Zaphod", "zaphods", "Beeblebrox", str(site.folder)])


def _names(site: Site, uid: str) -> Names:
    """The pseudonyms of the image of a UID, found through ids, which are the same for all."""
    id = site.data(f'{{ imageByUid(uid: "{uid}") {{ id }} }}', site.whole)["imageByUid"]["id"]
    query = f"""{{ node(id: "{id}") {{ ... on Image {{ uid series {{ uid study {{ uid }}
      patient {{ uid }} }} }} }} }}"""
    node = site.data(query)["node"]
    series = node["series"]
    return Names(node["uid"], series["uid"], series["study"]["uid"], series["patient"]["uid"])


def _addresses(names: Names) -> list[str]:
    image, series = f"/images/{names.image}", f"/series/{names.series}"
    return [
        f"{image}/frames/1.png", f"{image}/preview.png", f"{image}.npy", f"{image}.dcm",
        f"{series}/volume.npy?stack=0", f"{series}/volume.nii.gz?stack=0", f"{series}/preview.png",
        f"{series}/mosaic.png",
    ]  # fmt: skip


def _texts(answer: Any) -> Iterator[str]:
    """What an answer says beside its pixels."""
    yield str(dict(answer.headers))
    kind = answer.headers["content-type"]
    if kind.startswith(("application/json", "text/", "application/dicom+json")):
        yield answer.text
    elif kind == "application/dicom":
        yield from _of_dicom(answer.content)
    elif kind == "application/zip":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
            for name in zipped.namelist():
                content = zipped.read(name)
                yield name
                yield from [content.decode()] if name == "MISSING.txt" else _of_dicom(content)
    else:
        yield answer.content[:2000].decode("latin-1")


def _of_dicom(content: bytes) -> Iterator[str]:
    data_set = dcmread(io.BytesIO(content))
    yield str(data_set.file_meta)
    for keyword in ("PixelData", "FloatPixelData"):
        if keyword in data_set:
            del data_set[keyword]
    yield str(data_set)
    yield data_set.to_json(suppress_invalid_tags=True)
    start = content[: 1 << 20].find(b"\xe0\x7f\x10\x00")
    yield content[: start if start >= 0 else None].decode("latin-1")


@pytest.mark.slow
def test_no_download_tells_an_identity(site: Site, leaks: Leaks) -> None:
    names = _names(site, IMAGES[0])
    columns = "&".join(f"column={k}" for k in ("PatientName", "PatientID", "SOPInstanceUID",
                       "EchoTime", "ReferencedSeriesSequence.StudyDate"))  # fmt: skip
    of_images = columns.replace("column=", "column=images.")
    for path in (
        f"/patients/{names.patient}.zip", f"/studies/{names.study}.zip?patient={names.patient}",
        f"/series/{names.series}.zip", f"/series.zip?uid={names.series}", f"/series.csv?{columns}",
        f"/images.csv?{columns}", f"/images.csv?{columns}&column=series.description",
        f"/series.csv?{of_images}", f"/studies.csv?{of_images}&{columns}",
        f"/patients.csv?{of_images}&{columns}", "/studies.csv",
        f"/series.csv?{columns}&column=patient.name&column=study.date&column=created",
        "/patients.csv", "/elements.csv", "/elements.csv?elements=%7B%22vr%22:%22UI%22%7D",
        *_addresses(names), *_addresses(_names(site, "1.3.888.30")),
    ):  # fmt: skip
        _look(site, path, leaks)
    for image in site.data("{ images(first: 1000) { nodes { uid } } }")["images"]["nodes"]:
        for ending in (".dcm", "/header.json"):
            _look(site, f"/images/{image['uid']}{ending}", leaks)
    leaks.check()


@pytest.mark.slow
def test_no_archive_tells_an_identity(site: Site, leaks: Leaks) -> None:
    entities = site.data("{ patients { nodes { zipUrl } } studies { nodes { zipUrl } } }")
    for path in (node["zipUrl"] for name in entities for node in entities[name]["nodes"]):
        _look(site, path, leaks)
    leaks.check()


def _look(site: Site, path: str, leaks: Leaks) -> None:
    answer = site.get(path)
    assert answer.status_code in (200, 403), (path, answer.text)
    assert "last-modified" not in answer.headers
    for text in _texts(answer):
        leaks.add(text, path[:100])


def test_a_file_is_readable_and_keeps_its_pixels(site: Site) -> None:
    names = _names(site, IMAGES[0])
    answer = site.get(f"/images/{names.image}.dcm")
    assert answer.headers["content-disposition"] == f'attachment; filename="{names.image}.dcm"'
    made = dcmread(io.BytesIO(answer.content))
    source = dcmread(next(site.folder.rglob("zaphod-0.dcm")))
    assert made.PixelData == source.PixelData
    assert (made.pixel_array == source.pixel_array).all()
    assert (made.EchoTime, made.Modality, made.Rows) == (2.5, "MR", 4)
    uids = (made.SOPInstanceUID, made.SeriesInstanceUID, made.StudyInstanceUID, made.PatientID)
    assert uids == tuple(names)
    assert made.file_meta.MediaStorageSOPInstanceUID == names.image
    assert made.PatientIdentityRemoved == "YES"
    assert made.LongitudinalTemporalInformationModified == "REMOVED"
    (code,) = made.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    other = made.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
    assert other == _names(site, IMAGES[1]).image
    _check_profile(made)


def _check_profile(data_set: Dataset) -> None:
    """As Table E.1-1 has it, action by action."""
    for element in data_set:
        action = PROFILE.get(int(element.tag), "")
        assert not element.tag.is_private
        assert element.tag.group >> 8 not in (0x50, 0x60)
        if action == "U" and element.value not in UID_dictionary:
            assert str(element.value).startswith("2.25.")
        elif action and element.keyword != "PatientID":
            assert "Z" in action, element.keyword
            assert not element.value
        if element.VR == "SQ":
            for item in element.value:
                _check_profile(item)


def test_every_file_is_by_the_profile_and_keeps_its_pixels(site: Site) -> None:
    by_uid = {}
    for path in site.folder.rglob("*"):
        if path.is_file():
            by_uid[str(dcmread(path, force=True).get("SOPInstanceUID"))] = path
    query = "{ images(first: 1000) { nodes { id uid } } }"
    uids = {n["id"]: n["uid"] for n in site.data(query, site.whole)["images"]["nodes"]}
    n_files = 0
    for node in site.data(query)["images"]["nodes"]:
        answer = site.get(f"/images/{node['uid']}.dcm")
        if answer.status_code != 200:
            assert answer.json()["errors"][0]["code"] == "WITHHELD"
            continue
        made = dcmread(io.BytesIO(answer.content))
        source = dcmread(by_uid[uids[node["id"]]], force=True)
        assert made.get("PixelData") == source.get("PixelData")
        _check_profile(made)
        _check_kept(source, made)
        n_files += 1
    assert n_files > 10


def _check_kept(source: FileDataset, made: Dataset) -> None:
    """What is of the image and no matter of the profile is there as it was."""
    for keyword in ("Rows", "Columns", "BitsStored", "PixelSpacing", "ImageOrientationPatient",
                    "EchoTime", "Modality", "ImageType", "SOPClassUID"):  # fmt: skip
        assert made.get(keyword) == source.get(keyword), keyword


def test_pictures_and_volumes_are_those_of_others(site: Site) -> None:
    names = _names(site, IMAGES[0])
    true = Names(IMAGES[0], SERIES, STUDY, PATIENT)
    for blind, whole in zip(_addresses(names), _addresses(true), strict=True):
        mine, theirs = site.get(blind), site.get(whole, site.whole)
        assert (mine.status_code, theirs.status_code) == (200, 200), blind
        assert mine.headers["etag"] != theirs.headers["etag"]
        again = site.get(blind, **{"If-None-Match": theirs.headers["etag"]})
        assert again.status_code == 200
        if not blind.endswith(".dcm"):
            assert mine.content == theirs.content
        assert site.get(whole).status_code == 404
    volume = gzip.decompress(site.get(f"/series/{names.series}/volume.nii.gz?stack=0").content)
    assert nibabel.Nifti1Image.from_bytes(volume).shape[:2] == (5, 4)


@pytest.mark.parametrize("name", mostly_slow([*BURNED, *CLEAN], 3))
def test_pixels_that_may_show_a_name_are_withheld(site: Site, name: str) -> None:
    number = list(BURNED | CLEAN).index(name)
    names = _names(site, f"1.3.888.3{number}")
    for path in _addresses(names):
        answer = site.get(path)
        if name in CLEAN:
            assert answer.status_code in (200, 422), (path, answer.text)
            continue
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "WITHHELD"), path
    content = site.get(f"/series/{names.series}.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        (entry,) = zipped.namelist()
        if name in CLEAN:
            assert entry == f"{names.patient}/{names.study}/{names.series}/{names.image}.dcm"
        else:
            assert entry == "MISSING.txt"
            assert "may show text" in zipped.read(entry).decode()


def test_the_header_is_that_of_the_view(site: Site) -> None:
    names = _names(site, IMAGES[0])
    header = site.get(f"/images/{names.image}/header.json").json()
    query = f'{{ imageByUid(uid: "{names.image}") {{ header {{ json }} }} }}'
    assert header == site.data(query)["imageByUid"]["header"]["json"]
    made = dcmread(io.BytesIO(site.get(f"/images/{names.image}.dcm").content))
    in_file = {f"{int(e.tag):08X}" for e in made if e.value not in (None, "", [])}
    own = {"00120062", "00120063", "00120064", "00280303", "7FE00010"}
    assert in_file - own == header.keys() - own


@pytest.mark.parametrize("form", ["header", "instance"])
def test_a_large_value_is_that_of_the_file_without_identities(site: Site, form: str) -> None:
    names = _names(site, "1.3.888.35")
    query = f'{{ imageByUid(uid: "{names.image}") {{ {form} {{ json }} }} }}'
    element = site.data(query)["imageByUid"][form]["json"]["00281201"]
    assert element["BulkDataURI"].startswith(f"/images/{names.image}/bulkdata/00281201-")
    assert site.get(element["BulkDataURI"]).content == TABLE
    real = element["BulkDataURI"].replace(names.image, "1.3.888.35")
    assert site.get(real).status_code == 404
    withheld = _names(site, "1.3.888.31").image
    assert site.get(real.replace("1.3.888.35", withheld)).status_code == 403


def test_the_table_has_pseudonyms(site: Site) -> None:
    names = _names(site, IMAGES[0])
    given = json.dumps({"uid": {"eq": names.series}})
    text = site.get(f"/series.csv?filter={given}&column=PatientID&column=PatientName").text
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["SeriesInstanceUID"], row["PatientID"]) == (names.series, names.patient)
    assert (row["PatientName"], row["StudyDate"], row["EchoTime"]) == ("", "", "2.5")


def test_errors_quote_no_header(site: Site, leaks: Leaks) -> None:
    names = _names(site, IMAGES[0])
    for path in (
        f"/images/{names.image}/frames/7.png", f"/series/{names.series}/preview.png?index=99",
        f"/series/{names.series}/volume.npy?stack=9", f"/images/{names.image}.npy?stored=maybe",
        f"/images/{names.image}/preview.png?size=99999",
    ):  # fmt: skip
        answer = site.get(path)
        assert answer.status_code >= 400
        leaks.add(answer.text, path)
    leaks.check()
