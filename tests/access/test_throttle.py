"""Guessing passwords is slowed down for a client, whatever it calls itself."""

import tracemalloc
from contextlib import suppress

import pytest

from dicom_graph.access.authenticator import Authenticator, Basic
from dicom_graph.access.throttle import Throttle, TooManyFailures
from dicom_graph.store.engine import Database
from tests.support.people import add_person

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
CLIENTS = {
    "the addresses of a network": [f"2001:db8:0:1::{number:x}" for number in range(1, 8)],
    "with a zone": [f"fe80::{number:x}%eth{number}" for number in range(1, 8)],
    "two ways to write one": ["192.0.2.7", "::ffff:192.0.2.7"] * 3 + ["::ffff:c000:207"],
    "one": ["192.0.2.8"] * 7,
}
OTHERS = ["2001:db8:0:2::1", "192.0.2.9", "::ffff:192.0.2.10"]


@on_sqlite
@pytest.mark.parametrize("addresses", CLIENTS.values(), ids=CLIENTS)
async def test_a_client_is_one_whatever_its_address(
    database: Database, addresses: list[str]
) -> None:
    add_person(database, "Jo")
    authenticator = Authenticator(database)
    for address in addresses[:-1]:
        assert await authenticator.principal(Basic("Jo", "wrong", address)) is None
    with pytest.raises(TooManyFailures):
        await authenticator.principal(Basic("Jo", "wrong", addresses[-1]))
    for address in OTHERS:
        assert await authenticator.principal(Basic("Jo", "wrong", address)) is None


def test_no_text_of_a_client_is_kept() -> None:
    throttle = Throttle(1)
    tracemalloc.start()
    try:
        for number in range(100):
            key = ("192.0.2.1", f"\ud800{number}" + "x" * 100_000)
            throttle.failed(key)
            throttle.failed(key)
            with pytest.raises(TooManyFailures):
                throttle.check(key)
        throttle.check(("192.0.2.1", "x" * 100_000))
        with suppress(TooManyFailures):
            throttle.check(key)
        del key
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000
