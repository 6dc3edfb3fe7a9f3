"""Who sees no identities: every field of the schema, asked over HTTP, says nothing of anybody."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.graph.schema import schema
from tests.access.deidentified_site import Site, deidentified_site
from tests.access.identities import IMAGES, PATIENT, SERIES, STUDY, Leaks, identities, make_planted
from tests.access.schema_walk import Walk
from tests.support.data import distinct_copies, pydicom_files, shared_files

_AT_ONCE = 2000


def _fill(folder: Path, paths: Sequence[Path]) -> None:
    make_planted(folder)
    distinct_copies(paths, folder / "real")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    paths = [*pydicom_files()[::40], *shared_files()[::600]]
    fill = partial(_fill, paths=paths)
    with deidentified_site(request, tmp_path_factory.mktemp("site"), fill) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """More files, and so more kinds of values; on PostgreSQL fewer: it is asked the same."""
    step = 1 if request.param == "sqlite" else 11
    paths = [*pydicom_files()[::step], *shared_files()[:: 12 * step]]
    fill = partial(_fill, paths=paths)
    with deidentified_site(request, tmp_path_factory.mktemp("large"), fill) as made:
        yield made


def _identities(site: Site) -> set[str]:
    paths = [path for path in site.folder.rglob("*") if path.is_file()]
    found = identities(paths)
    assert len(found) > 1000
    assert {PATIENT, SERIES, STUDY, *IMAGES, "zaphods-study", "19111203", "1911-12-03"} <= found
    return {*found, *(str(path) for path in paths), "Zaphod", "Beeblebrox", "zaphods"}


def test_no_field_tells_an_identity(site: Site) -> None:
    _walk(site, n_costly=5)


@pytest.mark.slow
def test_no_field_tells_an_identity_of_all_files(large_site: Site) -> None:
    _walk(large_site, n_costly=500)


def _walk(site: Site, n_costly: int) -> None:
    """Ask for every field of all objects, the costly ones of so many."""
    leaks = Leaks(_identities(site))
    walk = Walk(schema._schema)
    for query in walk.root():
        answer = site.ask(query)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert answer.get("data") is not None or codes == {"FORBIDDEN"}, (query, answer)
        leaks.add(answer, query[:60])
    seen = site.ids(site.blind)
    for type_name, query, is_costly in walk.nodes():
        wanted = sorted(seen.get(type_name, ()))[: n_costly if is_costly else None]
        for start in range(0, len(wanted), _AT_ONCE):
            answer = site.ask(query, ids=wanted[start : start + _AT_ONCE])
            assert answer.get("data") is not None, (query, answer)
            leaks.add(answer, query[:120])
    assert walk.asked == walk.everything()
    leaks.check()


def test_the_same_finds_what_an_identified_user_sees(site: Site) -> None:
    data = site.data("{ images(first: 1000) { nodes { uid header { json } } } }", site.whole)
    leaks = Leaks(_identities(site))
    leaks.add(data, "json")
    assert leaks.count() > 1000


def test_ids_that_are_guessed_lead_nowhere(site: Site) -> None:
    every, seen = site.ids(site.whole), site.ids(site.blind)
    for type_name, ids in every.items():
        wanted = sorted(ids)
        found: list[Any] = []
        for start in range(0, len(wanted), 5000):
            part = wanted[start : start + 5000]
            found += site.data("query($i: [ID!]!) { nodes(ids: $i) { id } }", i=part)["nodes"]
        assert {node["id"] for node in found if node} == seen[type_name] & ids, type_name
        is_all = type_name in ("Patient", "Study", "Series", "Image")
        assert (seen[type_name] == ids) == is_all, type_name
    assert not seen["ImportJob"]
