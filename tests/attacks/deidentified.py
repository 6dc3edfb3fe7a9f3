"""Who sees no identities looks for some: in fields, headers, pictures, files, tags and errors."""

import io
import json
import zipfile
from hashlib import md5, sha1, sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pydicom import dcmread

from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from tests.access.identities import Leaks, identities, make_planted
from tests.attacks.registry import Attack
from tests.dicom.encoded import RLE, make_compressed, rle_frame
from tests.dicom.test_stripped_frames import DEEP, GREY, SECRET, STREAMS
from tests.faults.ground import Ground
from tests.support.people import Person, add_person
from tests.support.slices import make_image

_ASKED = """{ patients { nodes { uid name zipUrl } } studies { nodes { uid description zipUrl } }
  series(first: 1000) { nodes { uid description manufacturer filePaths zipUrl
    volumes { label warnings } } }
  images(first: 1000) { nodes { id uid warnings files { path }
    header { json html table { path value } }
    pixels { photometricInterpretation shape } } }
  dataElements(first: 10000) { nodes { keyword value warnings values { raw } } }
  importJobs { nodes { paths failures { path message } } } }"""
_PATHS = (".dcm", ".npy", "/preview.png", "/frames/1.png", "/header.json")


class _Blind:
    """Asks, and keeps all that it was told."""

    def __init__(self, url: str, person: Person, leaks: Leaks) -> None:
        self._url, self._headers, self._leaks = url, person.bearer, leaks
        self.n_answers = 0

    def ask(self, query: str) -> Any:
        body = {"query": query}
        answer = httpx.post(
            f"{self._url}/graphql", json=body, headers=self._headers, timeout=60
        ).json()
        self._leaks.add(answer, query[:60])
        assert "data" in answer, answer
        return answer

    def get(self, path: str) -> httpx.Response:
        answer = httpx.get(f"{self._url}{path}", headers=self._headers, timeout=60)
        assert answer.status_code < 500, answer.text
        self.n_answers += 1
        self._leaks.add(str(answer.headers), path)
        kind = answer.headers["content-type"]
        if kind == "application/dicom":
            self._file(answer.content, path)
        elif kind == "application/zip":
            with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
                for name in zipped.namelist():
                    self._leaks.add(name, path)
                    if name.endswith(".dcm"):
                        self._file(zipped.read(name), path)
        else:
            self._leaks.add(answer.content.decode("latin-1"), path)
        tag = answer.headers.get("etag", "").strip('"')
        digests = [digest(answer.content).hexdigest() for digest in (md5, sha1, sha256)]
        assert not tag or not any(tag in digest for digest in digests)
        return answer

    def _file(self, content: bytes, path: str) -> None:
        assert SECRET[:8] not in content, path
        self._leaks.add(dcmread(io.BytesIO(content), stop_before_pixels=True).to_json(), path)


def _fill(folder: Path) -> list[Path]:
    made = make_planted(folder)
    for number, (syntax, stream, hide) in enumerate(STREAMS.values()):
        like = DEEP if syntax.endswith(".70") and b"ICC" in hide(stream) else GREY
        bits = {"BitsStored": 12} if like is DEEP else {}
        made.append(make_compressed(folder / f"{number}.dcm", [hide(stream)], like, syntax, **bits))
    for bit in (12, 13, 15):
        hidden = DEEP | np.uint16(1 << bit)
        like = {"BitsStored": 12, "HighBit": 11}
        made.append(make_image(folder / f"native{bit}.dcm", hidden, **like))
        made.append(
            make_compressed(folder / f"rle{bit}.dcm", [rle_frame(hidden)], DEEP, RLE, **like)
        )
    return made


def looked_at(ground: Ground) -> str:
    """Everything that can be asked, over files with something of somebody wherever it fits."""
    paths = _fill(ground.folder / "files")
    leaks = Leaks([*identities(paths[:2]), "Zaphod", "Beeblebrox", str(ground.folder / "files")])
    with ground.database() as url:
        database = Database(url)
        person = add_person(database, "blind", deidentified=True)
        folder = (str(ground.folder / "files"),)
        run_import(database, JobRequest(folder, Mode.FULL, origin=JobOrigin.PYTHON))
        database.close_writer()
        with ground.server(url, max_cost=10_000_000) as served:
            blind = _Blind(served.url, person, leaks)
            data = blind.ask(_ASKED)["data"]
            assert data["importJobs"]["nodes"] == []
            withheld = _files(blind, [node["uid"] for node in data["images"]["nodes"]])
            for kind in ("patients", "studies", "series"):
                for node in data[kind]["nodes"][:5]:
                    blind.get(node["zipUrl"])
            leaks.check()
            _guesses(blind)
    assert withheld == 3, withheld
    return f"{blind.n_answers} downloads name nobody; {withheld} files with hidden bits are refused"


def _files(blind: _Blind, uids: list[str]) -> int:
    """How many files are withheld of images whose pictures are given."""
    withheld = 0
    for uid in uids:
        answers = [blind.get(f"/images/{uid}{path}") for path in _PATHS]
        if answers[0].status_code == 403:
            withheld += 1
            continue
        assert answers[0].status_code == 200, answers[0].text
        made = dcmread(io.BytesIO(answers[0].content))
        if made.get("BitsStored") == 12 and not made.file_meta.TransferSyntaxUID.is_compressed:
            assert not (made.pixel_array >> 12).any()
    return withheld


def _guesses(blind: _Blind) -> None:
    """Questions by what is withheld find nothing, and errors do not say whether it is there."""
    of_element = "images: { some: { header: { elements: [{ %s }] } } }"
    for condition in (
        'patient: { name: { contains: "Zaphod" } }', 'description: { eq: "zaphods-series" }',
        of_element % 'keyword: "PatientName", exists: true',
        of_element % 'keyword: "StudyDate", date: { gte: "1900-01-01" }', "hasWarnings: true",
        "images: { some: { hasWarnings: true } }", "images: { some: { missing: true } }",
    ):  # fmt: skip
        answer = blind.ask(f"{{ series(filter: {{ {condition} }}) {{ totalCount }} }}")
        assert (answer.get("data") or {"series": {"totalCount": 0}})["series"]["totalCount"] == 0
    given = json.dumps({"uid": {"startsWith": "1.3.777"}})
    assert blind.get(f"/series.csv?filter={given}").status_code == 400
    for uid in ("1.3.777.30", "1.3.777.31"):
        for path in _PATHS:
            assert blind.get(f"/images/{uid}{path}").status_code == 404
    assert blind.get("/patients/Zaphod-4711.zip").status_code == 404


ATTACKS: dict[str, Attack] = {"no-identities": looked_at}
