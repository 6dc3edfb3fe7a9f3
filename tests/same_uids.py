"""Files of equal and contradicting UIDs, and who is given what of them when some are gone.

    python -m tests.same_uids --examples 500 --database postgresql

Files say of themselves whose they are in the PatientID, and in the value of all their pixels. Drawn
are files, how they are imported, what becomes of them on disk (gone, overwritten, links to others,
to what lies outside), and whether they are imported again. Then everybody asks for everything:
nobody may be given bytes, or a path, of somebody whom the row does not name; and who is limited to
a group of nobody but whom the group may see.
"""

import argparse
import io
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread

from dicom_graph.importing.foreground import run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.settings import Settings
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.kills import databases
from tests.support.make import save
from tests.support.people import Person, add_person
from tests.support.server import running_server
from tests.support.slices import make_image
from tests.whose import (
    bulk_addresses,
    of_bulk_data,
    of_tables,
    of_volume,
    put_number,
    texts_of_tables,
)

QUERY = """query ($n: String!) { images(first: 100, filter: { uid: { startsWith: $n } }) { nodes {
  id uid defaultPath files { path } pixels { minimum maximum } missingSince
  header { element(keyword: "PatientID") { value } study: element(keyword: "StudyInstanceUID") {
    value } }
  series { uid filePaths patient { uid } study { uid } volumes { label } } } } }"""
BLIND = """query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Image { id uid files { path }
  pixels { minimum maximum } series { uid patient { uid } study { uid } } } } }"""

_ADDRESSES = (".dcm", ".npy", "/preview.png", "/frames/1.png", "/header.json")
_THIS_YEAR = time.localtime().tm_year
_BY_ID = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"


class Whose(NamedTuple):
    """Whom and what a file names."""

    patient: int
    study: int


@dataclass(frozen=True)
class Spec:
    """A file. `is_longer`: than those that are equal but for that."""

    uid: int
    series: int
    whose: Whose
    variant: int
    is_longer: bool

    @property
    def pixel(self) -> int:
        """The value of all its pixels, which tells whose it is."""
        return 80 * self.whose.patient + 40 * self.whose.study + 20 * self.variant + 10


def whose_pixel(value: float) -> Whose:
    """Whose an image of these pixels is."""
    patient, rest = divmod(round(value), 80)
    return Whose(patient, rest // 40)


SPECS = st.lists(
    st.builds(
        Spec, st.integers(0, 1), st.integers(0, 1),
        st.builds(Whose, st.integers(0, 2), st.integers(0, 1)), st.integers(0, 1), st.booleans(),
    ),
    min_size=2, max_size=5,
)  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["gone", "overwritten", "in disguise", "link", "outside", "touched"]),
        st.integers(0, 4), st.integers(0, 4),
    ),
    max_size=4,
)  # fmt: skip
AGAIN = st.sampled_from([None, {}, {"sync": True}, {"verify": True}])


@dataclass
class Site:
    """A server, and who asks. `n_answers`: how many had bytes of an image."""

    folder: Path
    database: Database
    url: str
    people: dict[str, Person]
    group_ids: dict[str, str]
    client: httpx.Client
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    n_answers: int = 0

    def ask(self, who: str, query: str, **variables: Any) -> Any:
        """The data of an operation; an image without a file has null for its pixels."""
        body = {"query": query, "variables": variables}
        answer = self.client.post(f"{self.url}/graphql", json=body, headers=self.bearer(who))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def bearer(self, who: str) -> dict[str, str]:
        return self.people[who].bearer

    def get(self, who: str, path: str) -> bytes | None:
        """The bytes of a download; None where it is refused as it should be."""
        answer = self.client.get(f"{self.url}{path}", headers=self.bearer(who))
        assert answer.status_code in (200, 403, 404, 410, 422), (path, answer.text)
        if answer.status_code != 200:
            return None
        self.n_answers += 1
        return answer.content


@contextmanager
def site_at(url: str, folder: Path) -> Iterator[Site]:
    """A site over an empty database, with its tables."""
    database = Database(url)
    upgrade(database)
    groups = {"of patient": "patient", "of study": "study"}
    people = {
        "whole": add_person(database, "whole", "ADMIN"),
        "blind": add_person(database, "blind", "ADMIN", deidentified=True),
    } | {name: add_person(database, name, limited=True) for name in groups}
    with database.writer.begin() as connection:
        for name in groups:
            accounts.add_group(connection, name)
            accounts.add_member(connection, name, name)
    (folder / "root").mkdir()
    (folder / "outside").mkdir()
    given = Settings(
        database_url=url, import_roots=[folder / "root"], max_decodes=1, _env_file=None
    )
    with running_server(given) as server, httpx.Client(timeout=60) as client:
        yield Site(folder, database, server.url, people, groups, client)
    database.close_writer()


class Example:
    """One archive: its files as they were when they were imported last."""

    def __init__(self, site: Site, specs: Sequence[Spec]) -> None:
        self.site = site
        self.number = next(site.numbers)
        self.name = f"1.2.{self.number}."
        self.root = site.folder / "root" / str(self.number)
        self.made = site.folder / "outside" / str(self.number)
        self.paths: list[Path] = []
        self.imported: dict[str, Whose] = {}
        for index, spec in enumerate(specs):
            path = self.root / f"folder{index}" / f"{index}.dcm"
            shutil.copy2(self._make(spec, index), _folder(path))
            self.paths.append(path)
        with site.database.writer.begin() as connection:
            accounts.add_grant(connection, "of patient", "patient", self.patient(0))
            accounts.add_grant(connection, "of study", "study", self.study(1))

    def patient(self, number: int) -> str:
        return f"patient-{self.number}-{number}"

    def study(self, number: int) -> str:
        return f"{self.name}8.{number}"

    def whose(self, patient: str, study: str) -> Whose:
        return Whose(int(patient.rpartition("-")[2]), int(study.rpartition(".")[2]))

    def _make(self, spec: Spec, index: int) -> Path:
        array = np.full((3, 4), spec.pixel, np.uint8)
        more = {"ImageComments": "longer" * 20} if spec.is_longer else {}
        path = make_image(
            self.made / f"{index}.dcm", array, SOPInstanceUID=f"{self.name}1.{spec.uid}",
            SeriesInstanceUID=f"{self.name}9.{spec.series}", EchoTime=1 + spec.variant,
            StudyInstanceUID=self.study(spec.whose.study), PixelSpacing=[1, 1],
            PatientID=self.patient(spec.whose.patient),
            PatientName=self.patient(spec.whose.patient),
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[0, 0, spec.uid],
            **more,
        )  # fmt: skip
        data_set = dcmread(path)
        put_number(data_set, spec.pixel)
        return save(data_set, path)

    def run_import(self, paths: Sequence[Path], **options: Any) -> None:
        request = JobRequest(tuple(map(str, paths)), Mode.FULL, origin=JobOrigin.PYTHON, **options)
        run_import(self.site.database, request, ImportOptions(processes=1))
        for path in self.root.rglob("*.dcm"):
            if path.is_file() and any(path.is_relative_to(each) for each in paths):
                header = dcmread(path, stop_before_pixels=True)
                found = self.whose(header.PatientID, header.StudyInstanceUID)
                self.imported[str(path)] = found

    def happen(self, kind: str, index: int, other: int) -> None:
        """Something becomes of a file on disk."""
        path = self.paths[index % len(self.paths)]
        source = self.made / f"{other % len(self.paths)}.dcm"
        target = self.paths[other % len(self.paths)]
        status = path.stat() if path.exists() else None
        if kind == "touched":
            if status is not None:
                os.utime(path, ns=(1, status.st_mtime_ns + 10**9))
            return
        if kind == "link" and target == path:
            return
        path.unlink(missing_ok=True)
        if kind == "link":
            path.symlink_to(target)
        elif kind == "outside":
            path.symlink_to(source)
        elif kind in ("overwritten", "in disguise"):
            shutil.copyfile(source, path)
            if kind == "in disguise" and status is not None:
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


class Check:
    """Everybody asks for everything."""

    def __init__(self, example: Example) -> None:
        self._example = example
        self._site = example.site
        self._granted: dict[str, Callable[[Whose], bool]] = {
            "whole": lambda whose: True,
            "of patient": lambda whose: whose.patient == 0,
            "of study": lambda whose: whose.study == 1,
        }

    def run(self) -> None:
        everything = {image["uid"]: image for image in self._images("whole")}
        truth = {image["id"]: self._header(image) for image in everything.values()}
        for who in self._granted:
            seen = self._images(who)
            for image in seen:
                self._look(who, image, truth[image["id"]])
                assert self._header(image) == truth[image["id"]]
            hidden = everything.keys() - {image["uid"] for image in seen}
            for address in (f"/images/{uid}{path}" for uid in hidden for path in _ADDRESSES):
                assert self._site.get(who, address) is None, (who, address)
            self._look_at_more(who, {image["uid"]: truth[image["id"]] for image in seen}, hidden)
            for series in {image["series"]["uid"] for image in seen}:
                for number in of_volume(partial(self._site.get, who), series):
                    assert self._granted[who](whose_pixel(number)), (who, series, number)
            ids = [everything[uid]["id"] for uid in hidden]
            assert self._site.ask(who, _BY_ID, ids=ids)["nodes"] == [None] * len(ids)
        # Whom the header names is withheld, so the ids, which are the same for all, tell.
        data = self._site.ask("blind", BLIND, ids=list(truth))
        told = texts_of_tables(partial(self._site.get, "blind"))
        assert "patient-" not in told
        assert self._example.name not in told
        for image in data["nodes"]:
            self._pixels("blind", image, truth[image["id"]])
            assert not image["files"]
            (named,) = (each for each in everything.values() if each["id"] == image["id"])
            patient = int(named["series"]["patient"]["uid"].rpartition("-")[2])
            for values in self._pixels_of_zip(image["series"]["patient"]["uid"]):
                assert {whose_pixel(int(value)).patient for value in values} == {patient}

    def _look_at_more(self, who: str, seen: dict[str, Whose], hidden: Collection[str]) -> None:
        """Tables, and values too large for the database."""
        get = partial(self._site.get, who)
        tables = of_tables(get, self._example.name, self._example.whose)
        assert sorted(tables["images"]) == sorted(tables["elements"]) == sorted(seen.values())
        assert all(map(self._granted[who], tables["series"])), (who, tables)
        everything = partial(self._site.get, "whole")
        for uid, whose in seen.items():
            addresses = bulk_addresses(get, uid)
            assert {whose_pixel(n) for n in of_bulk_data(get, addresses)} <= {whose}
            # Nor what another image has, whose digest somebody told.
            for other in hidden:
                others = bulk_addresses(everything, other)
                assert not list(of_bulk_data(get, others)), (who, other)
                moved = [address.replace(other, uid) for address in others]
                assert {whose_pixel(n) for n in of_bulk_data(get, moved)} <= {whose}

    def _images(self, who: str) -> list[dict[str, Any]]:
        data = self._site.ask(who, QUERY, n=self._example.name)
        nodes: list[dict[str, Any]] = data["images"]["nodes"]
        return nodes

    def _header(self, image: dict[str, Any]) -> Whose:
        header = image["header"]
        return self._example.whose(header["element"]["value"], header["study"]["value"])

    def _look(self, who: str, image: dict[str, Any], whose: Whose) -> None:
        granted = self._granted[who]
        assert granted(whose), (who, whose)
        series = image["series"]
        shown = [file["path"] for file in image["files"]] + series["filePaths"]
        for path in shown:
            assert granted(self._example.imported[path]), (who, path)
        self._pixels(who, image, whose)
        patient, study = series["patient"]["uid"], series["study"]["uid"]
        content = self._site.get(who, f"/images/{image['uid']}.dcm")
        if content is not None:
            assert self._of_file(content) == whose
        for path in (
            f"/series/{series['uid']}.zip", f"/studies/{study}.zip", f"/patients/{patient}.zip",
            f"/studies/{study}.zip?patient={patient}", f"/series.zip?uid={series['uid']}",
        ):  # fmt: skip
            for found in self._of_zip(who, path):
                assert granted(found), (who, path, found)
                if patient in path:
                    assert found.patient == int(patient.rpartition("-")[2]), (who, path, found)

    def _pixels(self, who: str, image: dict[str, Any], whose: Whose) -> None:
        if image["pixels"] is not None and image["pixels"]["minimum"] is not None:
            assert whose_pixel(image["pixels"]["minimum"]) == whose
        address = f"/images/{image['uid']}"
        array = self._site.get(who, f"{address}.npy")
        if array is not None:
            assert {whose_pixel(value) for value in np.unique(np.load(io.BytesIO(array)))} == {
                whose
            }
        for path in ("/preview.png", "/frames/1.png"):
            picture = self._site.get(who, f"{address}{path}?window=128,256")
            if picture is not None:
                values = np.unique(np.asarray(Image.open(io.BytesIO(picture))))
                assert {whose_pixel(int(value)) for value in values} == {whose}
        if who == "blind":
            content = self._site.get(who, f"{address}.dcm")
            if content is not None:
                data_set = dcmread(io.BytesIO(content))
                assert {whose_pixel(int(v)) for v in np.unique(data_set.pixel_array)} == {whose}

    def _of_file(self, content: bytes) -> Whose:
        data_set = dcmread(io.BytesIO(content))
        found = self._example.whose(data_set.PatientID, data_set.StudyInstanceUID)
        assert {whose_pixel(int(value)) for value in np.unique(data_set.pixel_array)} == {found}
        return found

    def _pixels_of_zip(self, patient: str) -> Iterator[Any]:
        """Of the files of a patient that has this pseudonym."""
        content = self._site.get("blind", f"/patients/{patient}.zip")
        assert content is not None
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            for name in zipped.namelist():
                assert max(zipped.getinfo(name).date_time) >= _THIS_YEAR
                if name != "MISSING.txt":
                    data_set = dcmread(io.BytesIO(zipped.read(name)))
                    assert data_set.PatientID == patient or not data_set.PatientID
                    yield np.unique(data_set.pixel_array)

    def _of_zip(self, who: str, path: str) -> Iterator[Whose]:
        content = self._site.get(who, path)
        assert content is not None, path
        with zipfile.ZipFile(io.BytesIO(content)) as zipped:
            for name in zipped.namelist():
                if name != "MISSING.txt":
                    yield self._of_file(zipped.read(name))


def run(site: Site, n_examples: int) -> None:
    """So many examples. Raises AssertionError."""

    @settings(
        max_examples=n_examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate,),
    )  # fmt: skip
    @given(SPECS, st.booleans(), EVENTS, AGAIN, EVENTS)
    def holds(specs: Any, at_once: bool, events: Any, again: Any, later: Any) -> None:
        example = Example(site, specs)
        for paths in [[example.root]] if at_once else [[path] for path in example.paths]:
            example.run_import(paths)
        for event in events:
            example.happen(*event)
        if again is not None:
            example.run_import([example.root], **again)
            for event in later:
                example.happen(*event)
        Check(example).run()

    holds()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.same_uids")
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dicom-graph-uids-") as name,
        databases(asked.database) as new_database,
        new_database(Path(name)) as url,
        site_at(url, Path(name)) as site,
    ):
        run(site, asked.examples)
        print(f"{asked.examples} archives, {site.n_answers} answers of the right ones alone")


if __name__ == "__main__":
    main()
