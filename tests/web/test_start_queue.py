"""Crowds that come and go: whoever comes after them does not wait for each."""

import asyncio
import gc
import itertools
import logging
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicom_graph.web.garbage_collection import Garbage
from dicom_graph.web.start_queue import StartQueue
from tests.support.raw import connect, read_all
from tests.web.test_strangers import UPGRADE, crowd, head, site


async def test_a_few_begin_in_each_round_and_clients_take_turns() -> None:
    queue, begun, rounds = StartQueue(), list[str](), list[int]()
    gone = {"a3", "a4"}
    for number in range(100):
        name = f"a{number}"
        queue.add("a", lambda name=name: begun.append(name), lambda name=name: name in gone)
    first = len(begun)
    assert 0 < first < 50
    queue.add("b", lambda: begun.append("b"), lambda: False)
    gone |= {f"a{number}" for number in range(50, 100)}
    while "a49" not in begun:
        await asyncio.sleep(0)
        rounds.append(len(begun))
    await asyncio.sleep(0)
    assert begun.index("b") <= first + 1
    # What began before it was gone did, and nothing that was gone when its turn came.
    assert [name for name in begun if name != "b"] == [f"a{number}" for number in range(50)]
    assert all(after - before <= first for before, after in itertools.pairwise(rounds))
    await asyncio.sleep(0)
    queue.add("a", lambda: begun.append("last"), lambda: False)
    assert begun[-1] == "last"


def test_websockets_that_are_cut_off_after_they_have_gone_are_no_errors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """300 upgrades at once, of which no one waits for the answer, where 8 have a place."""
    with caplog.at_level(logging.WARNING), site(tmp_path) as served:
        for _ in range(3):
            with crowd(served.url, UPGRADE, 100):
                pass
        assert served.ask().status_code == 200
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_what_follows_the_head_of_a_websocket_at_once_is_kept(tmp_path: Path) -> None:
    """A frame in the same packet as the head, behind a crowd (RFC 6455 allows a client to wait)."""
    init = b'{"type": "connection_init"}'
    # A masked text frame, of a mask of zeros.
    frame = bytes([0x81, 0x80 | len(init), 0, 0, 0, 0]) + init
    with site(tmp_path, is_open=True, max_streams=400, max_connections=400) as served:
        with ExitStack() as stack:
            ends = [stack.enter_context(connect(served.url)) for _ in range(60)]
            for end in ends:
                end.sendall(UPGRADE + frame)
            for end in ends:
                found = b""
                while b"connection_ack" not in found:
                    found += end.recv(4096)
        with connect(served.url) as end:
            end.sendall(head("GET", "/healthz", "Connection: close"))
            assert read_all(end).startswith(b"HTTP/1.1 200 ")


def test_all_objects_are_looked_through_as_seldom_as_that_takes_long() -> None:
    """A search takes a second of the processor, however long it lasts; a look one of the clock."""
    now, work = iter(range(10_000)), iter(range(10_000))
    garbage = Garbage(lambda: float(next(now)), lambda: float(next(work)))
    before = gc.get_threshold()
    searches: list[int] = []

    def count(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            searches.append(info["generation"])

    gc.freeze()
    gc.callbacks.append(count)
    try:
        garbage.take_over()
        for _ in range(100):
            for _ in range(11):
                gc.collect(1)
            garbage.search()
        # Then none for five seconds: each look in vain takes one of them.
        assert 14 <= searches.count(2) <= 20
        searches.clear()
        kept = [[number] for number in range(300_000)]
        assert 2 not in searches
        assert 1 in searches
        assert len(kept) == 300_000
    finally:
        gc.callbacks.remove(count)
        gc.set_threshold(*before)
        gc.unfreeze()
