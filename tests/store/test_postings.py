"""Posting lists: whatever is written and deleted, they say which holder has which element."""

import random
import threading

import pytest
from sqlalchemy import Connection, column, func, select, values
from sqlalchemy import Integer as Int

from dicom_graph.store.engine import Database
from dicom_graph.store.postings import delete_postings, insert_postings, is_held, postings
from dicom_graph.store.tables.headers import ElementSetMember, HeaderElement, Posting
from tests.support.samples import mostly_slow

Held = dict[int, set[int]]


def pairs(connection: Connection, model: type[Posting]) -> list[tuple[int, int]]:
    held = postings(model)
    statement = select(held.element_id, held.holder_id).select_from(held.source)
    return sorted(tuple(row) for row in connection.execute(statement))


def n_rows(connection: Connection, model: type[Posting]) -> int:
    return connection.execute(select(func.count()).select_from(model)).scalar_one()


def wanted(held: Held) -> list[tuple[int, int]]:
    return sorted((element, holder) for holder, elements in held.items() for element in elements)


def drawn_holdings(dice: random.Random, first: int) -> Held:
    """Holders with gaps between them, small and larger than a row's span."""
    ids = range(first, first + dice.choice([20, 9000]), dice.choice([1, 7, 300]))
    return {id: set(dice.sample(range(1, 30), dice.randrange(8))) for id in ids}


@pytest.mark.parametrize("model", [HeaderElement, ElementSetMember])
@pytest.mark.parametrize("seed", mostly_slow(range(3), 3))
def test_they_say_what_was_written(database: Database, model: type[Posting], seed: int) -> None:
    dice = random.Random(seed)
    held: Held = {}
    for _ in range(6):
        new = drawn_holdings(dice, max(held, default=0) + 1)
        gone = sorted(dice.sample(sorted(held), dice.randrange(len(held) + 1)))
        with database.writer.begin() as connection:
            insert_postings(connection, model, new.items())
            delete_postings(connection, model, [(id, held.pop(id)) for id in gone])
            held |= new
            assert pairs(connection, model) == wanted(held)
    with database.writer.begin() as connection:
        delete_postings(connection, model, sorted(held.items()))
        assert n_rows(connection, model) == 0


@pytest.mark.parametrize("model", [HeaderElement, ElementSetMember])
def test_a_holder_is_found_by_what_it_holds(database: Database, model: type[Posting]) -> None:
    held: Held = {id: {id % 5, 5 + id % 7} for id in range(1, 1500)}
    with database.writer.begin() as connection:
        insert_postings(connection, model, held.items())
        assert n_rows(connection, model) < len(wanted(held)) / 30
        delete_postings(connection, model, [(id, held.pop(id)) for id in range(1, 1500, 11)])
        asked = values(column("id", Int), name="asked").data([(id,) for id in range(1, 1600)])
        asked = asked.cte("asked")
        elements = values(column("id", Int), name="elements").data([(3,), (6,)]).cte("elements")
        statement = select(asked.c.id).where(is_held(model, select(elements.c.id), asked.c.id))
        found = set(connection.execute(statement).scalars())
    assert found == {id for id, elements in held.items() if elements & {3, 6}}


@pytest.fixture
def shared_row(database: Database) -> Database:
    with database.writer.begin() as connection:
        insert_postings(connection, HeaderElement, [(id, {1, 2, 3}) for id in range(1, 9)])
    return database


def test_two_writers_may_let_go_of_one_row_at_once(shared_row: Database) -> None:
    """The second waits for the first, and neither brings back what the other deleted."""
    begun, failures = threading.Event(), []

    def second() -> None:
        try:
            begun.wait(10)
            with shared_row.writer.begin() as connection:
                delete_postings(connection, HeaderElement, [(id, {3, 2, 1}) for id in (3, 4)])
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    with shared_row.writer.begin() as connection:
        delete_postings(connection, HeaderElement, [(id, {1, 2, 3}) for id in (1, 2)])
        begun.set()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(20)
    assert failures == []
    with shared_row.writer.begin() as connection:
        left = {id: {1, 2, 3} for id in range(5, 9)}
        assert pairs(connection, HeaderElement) == wanted(left)
