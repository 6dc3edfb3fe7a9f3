"""Who asks is told, and what they may do is what they are not refused."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from tests.support.people import add_person
from tests.support.server import Server

VIEWER = """{ viewer { name role isDeidentified groups canImport canEdit canAdminister } }"""


@pytest.fixture
def filled(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close_writer()


def test_the_viewer_is_told(filled: Database, server: Server) -> None:
    def viewer(headers: dict[str, str]) -> Any:
        answer = httpx.post(f"{server.url}/graphql", json={"query": VIEWER}, headers=headers)
        return tuple(answer.json()["data"]["viewer"].values())

    assert viewer({}) == ("everyone", "ADMIN", False, None, True, True, True)
    admin = add_person(filled, "anna", "ADMIN")
    limited = add_person(filled, "lim", "EDITOR", limited=True)
    blind = add_person(filled, "blind", "IMPORTER", deidentified=True, limited=True)
    small = add_person(filled, "small", "ADMIN", token_role="IMPORTER")
    with filled.writer.begin() as connection:
        for group in ("zeta", "alpha"):
            accounts.add_group(connection, group)
            accounts.add_member(connection, group, "lim")
        accounts.add_member(connection, "zeta", "blind")
    assert viewer(admin.bearer) == ("anna", "ADMIN", False, None, True, True, True)
    assert viewer(limited.bearer) == (
        "lim", "EDITOR", False, ["alpha", "zeta"], False, False, False,
    )  # fmt: skip
    assert viewer(blind.bearer) == ("blind", "IMPORTER", True, ["zeta"], False, False, False)
    assert viewer(small.bearer) == ("small", "IMPORTER", False, None, True, False, False)
    assert viewer(small.cookie) == ("small", "ADMIN", False, None, True, True, True)
