"""Elements are written once and kept: what was written for one user never reaches another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from tests.support.make import make_file
from tests.support.people import Person, add_person
from tests.support.served_archive import Archive, served

QUERY = "{ images { nodes { uid header { elements { keyword value } } } } }"


def make(folder: Path) -> dict[str, Path]:
    """A file of each of two patients."""
    return {
        name: make_file(
            folder / f"{name}.dcm", PatientID=name, PatientName=f"Secret^{name}",
            StudyInstanceUID=f"1.2.{ord(name)}", SeriesInstanceUID=f"1.3.{ord(name)}",
            SOPInstanceUID=f"1.4.{ord(name)}", Manufacturer=f"Maker {name}",
        )
        for name in "AB"
    }  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with served(tmp_path_factory.mktemp("written"), make=make) as made:
        yield made


def test_what_was_written_for_one_reaches_nobody_who_must_not_see_it(archive: Archive) -> None:
    database = Database(archive.server.settings.database_url)
    whole = add_person(database, "whole", "ADMIN")
    limited = add_person(database, "limited", limited=True)
    blind = add_person(database, "blind", deidentified=True)
    with database.writer.begin() as connection:
        accounts.add_group(connection, "cohort")
        accounts.add_grant(connection, "cohort", "patient", "A")
        accounts.add_member(connection, "cohort", "limited")
        accounts.add_member(connection, "cohort", "blind")
    database.close_writer()

    def ask(person: Person) -> str:
        url = f"{archive.server.url}/graphql"
        answer = httpx.post(url, json={"query": QUERY}, headers=person.bearer)
        data: Any = answer.json()
        assert "errors" not in data
        assert data["data"]["images"]["nodes"]
        return answer.text

    for _ in range(2):  # The second time all of it has been written before.
        assert all(text in ask(whole) for text in ("Secret^A", "Secret^B", "Maker B"))
        seen = ask(limited)
        assert "Secret^A" in seen
        assert "Secret^B" not in seen
        assert "Maker B" not in seen
        seen = ask(blind)
        assert "Secret" not in seen
        assert "1.4.65" not in seen
