"""A server over files of many kinds, and people who see identities there, or none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from tests.support.archive import filled_database
from tests.support.people import Person, add_person
from tests.support.server import Server, running_server
from tests.support.waiting import until

LISTS = """{ patients(first: 1000) { nodes { id uid } } studies(first: 1000) { nodes { id uid } }
  series(first: 1000) { nodes { id uid } }
  images(first: 1000) { nodes { id uid header { id elements { items { id
    elements { items { id elements { items { id } } } } } } } } }
  dataElements(first: 10000) { nodes { id } }
  dataElementDefinitions(first: 10000) { nodes { id } } importJobs { nodes { id } } }"""


class Site(NamedTuple):
    """The server, its files, and who asks."""

    server: Server
    folder: Path
    whole: Person
    blind: Person
    token: Person
    client: httpx.Client

    def ask(self, query: str, who: Person | None = None, **variables: Any) -> Any:
        """The whole answer to an operation of somebody, of the blind if nobody is named."""
        body = {"query": query, "variables": variables}
        headers = (who or self.blind).bearer
        url = f"{self.server.url}/graphql"
        return self.client.post(url, json=body, headers=headers).json()

    def data(self, query: str, who: Person | None = None, **variables: Any) -> Any:
        """The data of one that must not fail."""
        answer = self.ask(query, who, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def get(self, path: str, who: Person | None = None, **headers: str) -> httpx.Response:
        """The answer to a GET."""
        headers = (who or self.blind).bearer | headers
        return self.client.get(f"{self.server.url}{path}", headers=headers)

    def ids(self, who: Person) -> dict[str, set[str]]:
        """The ids of all objects that somebody sees, by type."""
        data = self.data(LISTS, who)
        names = {"patients": "Patient", "studies": "Study", "series": "Series", "images": "Image",
                 "dataElements": "DataElement", "dataElementDefinitions": "DataElementDefinition",
                 "importJobs": "ImportJob"}  # fmt: skip
        found = {name: {n["id"] for n in data[key]["nodes"]} for key, name in names.items()}
        return found | {"Header": set(_headers([i["header"] for i in data["images"]["nodes"]]))}


def _headers(headers: list[Any]) -> Iterator[str]:
    for header in filter(None, headers):
        yield header["id"]
        for element in header.get("elements", ()):
            yield from _headers(element["items"] or [])


@contextmanager
def deidentified_site(
    request: pytest.FixtureRequest, folder: Path, fill: Callable[[Path], object]
) -> Iterator[Site]:
    """A site over the files that `fill` makes, on the database of the kind `request.param`."""
    with filled_database(request, folder, fill, may_fail=True) as url:
        database = Database(url)
        whole = add_person(database, "whole", "ADMIN")
        blind = add_person(database, "blind", "ADMIN", deidentified=True)
        token = add_person(database, "half", "ADMIN", deidentified_token=True)
        database.close_writer()
        settings = Settings(
            database_url=url, import_roots=[folder], max_aliases=1000, max_selections=1000,
            _env_file=None,
        )  # fmt: skip
        with running_server(settings) as server, httpx.Client(timeout=60) as client:
            until(lambda: client.get(f"{server.url}/graphql?query={{a}}").status_code == 401)
            yield Site(server, folder / "files", whole, blind, token, client)
