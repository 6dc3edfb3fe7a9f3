"""Who gets a place, and who goes for it."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_graph.access.addresses import is_within, shared_by
from dicom_graph.settings import Settings
from dicom_graph.web.connections import Connections
from dicom_graph.web.descriptors import descriptors
from dicom_graph.web.slots import EvictionStep, Pool, Slot


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def placed(pool: Pool, holder: str, gone: list[str], name: str, *, waits: bool) -> Slot | None:
    place = Slot(holder, lambda: gone.append(name))
    if not pool.take(place):
        return None
    if waits:
        place.wait()
    return place


def test_who_waits_longest_goes_first() -> None:
    clock, gone = Clock(), list[str]()
    pool = Pool(3, clock=clock)
    for number in range(6):
        clock.now += 1
        assert placed(pool, "a", gone, str(number), waits=True) is not None
    assert gone == ["0", "1", "2"]
    assert len(pool) == 3


def test_who_works_does_not_go() -> None:
    gone: list[str] = []
    pool = Pool(2)
    first = placed(pool, "a", gone, "first", waits=True)
    assert first is not None
    placed(pool, "a", gone, "second", waits=False)
    first.work()
    assert placed(pool, "a", gone, "third", waits=True) is None
    assert gone == []
    first.wait()
    assert placed(pool, "a", gone, "fourth", waits=True) is not None
    assert gone == ["first"]


def test_whoever_has_most_gives() -> None:
    """Also where somebody else has waited longer; a newcomer takes nothing of who has less."""
    clock, gone = Clock(), list[str]()
    pool = Pool(4, clock=clock)
    for holder in "abbb":
        clock.now += 1
        placed(pool, holder, gone, holder, waits=True)
    assert placed(pool, "c", gone, "c", waits=True) is not None
    assert gone == ["b"]
    assert placed(pool, "b", gone, "b", waits=True) is not None
    assert gone == ["b", "b"]
    assert placed(pool, "d", gone, "d", waits=True) is not None
    assert gone == ["b", "b", "b"]
    # Now that all have one, it is again who waits longest.
    assert placed(pool, "e", gone, "e", waits=True) is not None
    assert gone == ["b", "b", "b", "a"]


def test_patience() -> None:
    clock, gone = Clock(), list[str]()
    pool = Pool(1, steps=(EvictionStep((0,), 2.0),), clock=clock)
    placed(pool, "a", gone, "first", waits=True)
    clock.now = 1.5
    assert placed(pool, "b", gone, "second", waits=True) is None
    clock.now = 2.5
    assert placed(pool, "a", gone, "third", waits=True) is not None
    assert gone == ["first"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("twlx")), max_size=200))
def test_a_pool_never_holds_too_many_and_counts_right(steps: list[tuple[str, str]]) -> None:
    """Whatever is taken, waits, works and leaves; of a shared pool nobody has more than 3/4."""
    pool = Pool(8, is_shared=True)
    held: list[Slot] = []
    for holder, step in steps:
        mine = [place for place in held if place.holder == holder]
        if step == "t":
            place = Slot(holder, lambda: None)
            if pool.take(place):
                held.append(place)
        elif mine and step == "w":
            mine[0].wait()
        elif mine and step == "l":
            mine[-1].work()
        elif mine and step == "x":
            mine[0].leave()
        held = [place for place in held if place.pool is pool]
        assert len(pool) == len(held) <= 8
        most = max((sum(p.holder == name for p in held) for name in "abcdef"), default=0)
        assert most <= 6


def test_a_connection_makes_room_for_another() -> None:
    closed: list[int] = []
    register = Connections(4)
    for number in range(10):
        assert register.add("192.0.2.1", lambda number=number: closed.append(number)) is not None
    assert closed == [0, 1, 2, 3, 4, 5]
    assert len(register) == 4


def test_users_keep_their_connections() -> None:
    closed: list[str] = []
    register = Connections(4)
    for number in range(4):
        made = register.add("192.0.2.1", lambda: closed.append("user"))
        assert made is not None
        made.busy()
        if number < 3:
            made.know()
    for _ in range(50):
        made = register.add("192.0.2.1", lambda: closed.append("stranger"))
        assert made is not None
        assert not made.is_spare
    assert closed.count("user") == 1


def test_where_all_are_in_use_some_more_are_for_health() -> None:
    register = Connections(2)
    found = []
    for _ in range(40):
        made = register.add("192.0.2.1", lambda: None)
        if made is not None:
            made.busy()
            made.know()
            found.append(made)
    assert [made.is_spare for made in found] == [False] * 2 + [True] * 16


def test_what_counts_as_one_client() -> None:
    for address, expected in {
        "192.0.2.7": "192.0.2.7",
        "::ffff:192.0.2.7": "192.0.2.7",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
        "2001:db8:1:2::": "2001:db8:1:2::/64",
        "fe80::1%eth0": "fe80::/64",
        "": "",
        "unknown": "unknown",
    }.items():
        assert shared_by(address) == expected
    assert len(shared_by("x" * 1000)) <= 100
    networks = Settings(trusted_proxies="10.0.0.0/8,2001:db8::/32", _env_file=None).trusted_proxies
    assert [is_within(a, networks) for a in ("10.1.2.3", "2001:db8::1", "11.1.1.1", "", "x")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_connections_leave_room_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the limit of open files is, some are left for databases and downloads."""
    for limit in (128, 256, 1024, 4096, 65_536, 1 << 20):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, limit=limit: (limit, limit))
        allowed = descriptors(Settings(_env_file=None))
        assert 8 <= allowed.connections <= 4096
        assert allowed.streams <= allowed.connections
        if limit >= 1024:
            most = allowed.connections + allowed.requests + allowed.waiting
            assert most + 64 <= limit or allowed.requests == 500
        if limit >= 65_536:
            assert (allowed.connections, allowed.requests, allowed.streams) == (4096, 500, 2000)
