"""Statements that are kept give the rows of those that are made each time.

The truth is the way of SQLAlchemy, which a condition takes that is always true.
"""

from pathlib import Path
from typing import Any

import pytest

from dicom_graph.store.engine import Database
from dicom_graph.store.read import Order, PageRequest, Parent, Store
from dicom_graph.store.read.conditions import And
from dicom_graph.store.read.pages import CursorError, Page
from dicom_graph.store.read.relations import DEFAULT_ORDERS, RELATIONS
from tests.support.make import make_file

ALL = And(())
ENTITIES = ("patient", "study", "series", "image")


def fill(folder: Path) -> None:
    """Images with and without what they are sorted by."""
    for n in range(8):
        date = {} if n % 3 == 0 else {"StudyDate": f"2020010{n % 3}", "SeriesDate": "20200102"}
        make_file(
            folder / f"{n}.dcm", PatientID=f"P{n % 2}", StudyInstanceUID=f"1.{n % 3}",
            SeriesInstanceUID=f"2.{n % 4}", SOPInstanceUID=f"3.{n}", InstanceNumber=n % 5,
            StudyTime="101112.5", **date,
        )  # fmt: skip


def comparable(page: Page) -> Any:
    """The page with its rows as dictionaries."""
    return [dict(row._mapping) for row in page.rows], page.has_next, page.has_previous


async def test_rows_are_those_of_statements_made_each_time(archive_url: str) -> None:
    database = Database(archive_url)
    everyone = Store(database)
    stores = [everyone, everyone, everyone.limited_to((1,))]
    for store in stores:  # The second time all statements are known.
        for entity in ENTITIES:
            order = DEFAULT_ORDERS[entity]
            reverse = tuple(Order(each.name, not each.descending) for each in order)
            requests = [PageRequest(order, first=3), PageRequest(reverse, last=3)]
            for columns in (None, frozenset({"id", "uid"})):
                for request in requests:
                    kept = await store.page(entity, request, None, columns)
                    made = await store.page(entity, request, ALL, columns)
                    assert comparable(kept) == comparable(made)
                    for row in kept.rows[1:2]:
                        cursor = request.cursor(row)
                        for other in (
                            PageRequest(request.order, first=2, after=cursor),
                            PageRequest(request.order, last=2, before=cursor),
                            PageRequest(request.order, first=1, offset=2),
                        ):
                            kept = await store.page(entity, other, None, columns)
                            made = await store.page(entity, other, ALL, columns)
                            assert comparable(kept) == comparable(made)
            assert await store.count(entity) == await store.count(entity, ALL)
        assert (await store.count("image") == 8) is (store is everyone)
        parents = [Parent(id) for id in range(1, 5)] + [Parent(1, 2)]
        for relation, found in RELATIONS.items():
            child = found.child
            if child in ENTITIES and not relation.startswith("data_element"):
                request = PageRequest(DEFAULT_ORDERS[child], first=2)
                for asked in (parents, parents[1:2]):
                    kept_of = await store.pages_of(relation, asked, request)
                    made_of = await store.pages_of(relation, asked, request, ALL)
                    assert {p: comparable(page) for p, page in kept_of.items()} == {
                        p: comparable(page) for p, page in made_of.items()
                    }
                    counts = await store.counts_of(relation, asked)
                    assert counts == await store.counts_of(relation, asked, ALL)
    await database.close()


async def test_cursors_of_other_lists_are_refused_and_the_connections_stay_good(
    archive_url: str,
) -> None:
    database = Database(archive_url, pool_size=1)
    store = Store(database)
    order = DEFAULT_ORDERS["series"]
    for cursor in ("", "nonsense"):
        with pytest.raises(CursorError):
            await store.page("series", PageRequest(order, first=1, after=cursor))
    broken = PageRequest((Order("id"),), first=-5)
    if not database.is_sqlite:  # SQLite takes a negative LIMIT for none.
        with pytest.raises(Exception, match="LIMIT must not be negative"):
            await store.page("series", broken)
    assert (await store.page("series", PageRequest(order, first=1))).rows
    assert database.pool_state() == (1, 0)
    await database.close()
