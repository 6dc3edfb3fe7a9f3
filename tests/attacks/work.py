"""Operations that ask for as much as the limits allow, or more; and all attacks together."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import httpx
import psutil
from pydicom.datadict import DicomDictionary

from dicom_graph.store.engine import Database
from tests.attacks.crowds import Site, again_and_again
from tests.attacks.decoders import uid_of
from tests.attacks.heads import endless
from tests.attacks.registry import Attack
from tests.attacks.strangers import come_and_go, strangers
from tests.dicom.hostile import DIFFERS
from tests.faults.ground import Ground, import_here
from tests.support.make import make_series
from tests.support.people import add_person

_GIGABYTE = 1 << 30
_SILENT_SECONDS = 2.0
# The attackers share the processors with the server.
_CROWDED_SECONDS = 3.0
_KEYWORDS = [
    entry[4] for entry in DicomDictionary.values() if entry[0] in ("LO", "DS") and entry[4]
]
_TEXTS = [
    entry[4]
    for tag, entry in DicomDictionary.items()
    if entry[0] == "LO" and not entry[3] and 0x0018 <= tag >> 16 <= 0x0074 and entry[4]
]
_IMAGES = "query ($filter: ImageFilter) { images(filter: $filter) { totalCount nodes { uid } } }"
_SERIES = "query ($filter: SeriesFilter) { series(filter: $filter) { totalCount } }"
_ORDERED = (
    "query ($order: [ImageOrder!]) { images(orderBy: $order, first: 1000) { nodes { uid } } }"
)
Operation = tuple[str, dict[str, Any]]


def _elements(count: int, number: int) -> list[dict[str, Any]]:
    names = itertools.islice(itertools.cycle(_KEYWORDS), number, number + count)
    return [{"header": {"element": {"keyword": name, "text": {"eq": "a"}}}} for name in names]


def _headers(field: str, aliases: int, first: int) -> Operation:
    one = f"images(first: {first}) {{ nodes {{ header {{ {field} }} }} }}"
    return "{ " + " ".join(f"a{number}: {one}" for number in range(aliases)) + " }", {}


def _fragments(number: int) -> Operation:
    parts = [
        f"fragment F{n} on Query {{ a: __typename ...F{n + 1} ...F{n + 2} }}" for n in range(190)
    ]
    last = "".join(f" fragment F{n} on Query {{ __typename }}" for n in (190, 191))
    return f"{{ ...F0 }} {' '.join(parts)}{last} # {number}", {}


def _protocol(number: int) -> Operation:
    rules = [{"field": _KEYWORDS[n % 50], "value": n} for n in range(2000)]
    content = {"acquisitions": {"a": {"fields": rules}}}
    create = """mutation ($input: CreateProtocolInput!) { createProtocol(input: $input) {
      protocol { compliance { deviating nodes(first: 1000) { element expected found } } } } }"""
    return create, {"input": {"name": f"{number}", "json": content}}


_AT = """query ($keys: [ElementKey!]!) { images(first: 1000) { nodes { header {
  elementsAt(keys: $keys) { value } } } } }"""
_WRONG = """query ($name: String!) { images(first: 1000) { nodes { header {
  element(keyword: $name) { value } } } } }"""

WORK: dict[str, Callable[[int], Operation]] = {
    "tables of headers": lambda n: _headers("table", 10, 10_000),
    "tables within the cost": lambda n: _headers("table { tag value }", 20, 1000),
    "json": lambda n: _headers("json", 10, 1000),
    "html": lambda n: _headers("html", 10, 1000),
    "elements": lambda n: _headers("elements { id value values { index } }", 5, 2000),
    "conditions without end": lambda n: (_IMAGES, {"filter": {"or": _elements(5000, n)}}),
    "conditions, either": lambda n: (_IMAGES, {"filter": {"or": _elements(120, n)}}),
    "conditions, all": lambda n: (_IMAGES, {"filter": {"and": _elements(120, n)}}),
    "lists": lambda n: (_IMAGES, {"filter": {"uid": {"in": [f"{n}.{i}" for i in range(10_000)]}}}),
    "sets": lambda n: (
        _SERIES,
        {"filter": {"scanningSequence": {"containsAll": [f"{n}{i}" for i in range(10_000)]}}},
    ),
    "orders": lambda n: (
        _ORDERED,
        {"order": [{"element": {"keyword": name}} for name in _KEYWORDS[n : n + 60]]},
    ),
    "elements at keys": lambda n: (_AT, {"keys": [{"keyword": k} for k in _KEYWORDS[n:][:200]]}),
    "keys without end": lambda n: (_AT, {"keys": [{"keyword": "EchoTime"}] * 5000}),
    "wrong keywords": lambda n: (_WRONG, {"name": f"EchoTime{n}" * 5000}),
    "rules of a protocol": _protocol,
    "fragments": _fragments,
    "long documents": lambda n: (f"{{ patients {{ totalCount }} }} # {n}" + " " * 120_000, {}),
    "objects by id": lambda n: (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        {"ids": [f"SW1hZ2U6{n}{i}" for i in range(10_000)]},
    ),
}
_EXPECTED = {
    "data", "MAX_COST", "BAD_FILTER", "BAD_INPUT", "MAX_ANSWER_BYTES", "MAX_VALUES", "OVERLOADED",
    "TIMEOUT", "MAX_TOKENS", "BAD_OPERATION", "MAX_DEPTH", "MAX_ALIASES", "MAX_DOCUMENT_BYTES",
}  # fmt: skip


class Asked:
    """What became of the operations of a user, by name and code."""

    def __init__(self, site: Site) -> None:
        self.codes: dict[str, Counter[str]] = {name: Counter() for name in WORK}
        self._site = site
        self._numbers = itertools.count()

    def ask(self, name: str) -> None:
        query, variables = WORK[name](next(self._numbers))
        answer = httpx.post(
            f"{self._site.served.url}/graphql", json={"query": query, "variables": variables},
            headers=self._site.person.bearer, timeout=60,
        )  # fmt: skip
        with suppress(json.JSONDecodeError):
            self.codes[name].update(_codes(answer.json()))

    def told(self) -> str:
        """How often each code came; fails for what no client should see."""
        found = sum(self.codes.values(), Counter[str]())
        assert set(found) <= _EXPECTED, self.codes
        return ", ".join(f"{code} {count}" for code, count in found.most_common())


def _codes(answer: dict[str, Any]) -> set[str]:
    return {
        error.get("extensions", error).get("code", "no code") for error in answer.get("errors", ())
    } or {"data"}


class Health:
    """Asks for `/healthz` all the time; the longest time it took, and the most memory."""

    def __init__(self, site: Site) -> None:
        self.longest = 0.0
        self.decoders = 0
        self._site = site
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Health":
        command = [sys.executable, "-m", "tests.attacks.health", self._site.served.url]
        self._asking = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        told, _ = self._asking.communicate(timeout=90)
        self.longest = float(told)
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        assert self._site.served.process is not None
        server = psutil.Process(self._site.served.process.pid)
        while not self._ends.wait(0.05):
            self._site.most = max(self._site.most, self._site.resident())
            with suppress(psutil.Error):
                for child in server.children(recursive=True):
                    self.decoders = max(self.decoders, child.memory_info().rss)


@contextmanager
def filled(ground: Ground) -> Iterator[Site]:
    """A server in a process of its own, with its defaults; one user, some headers and pictures."""
    tree = ground.folder / "tree"
    texts = {name: f"value {number}" for number, name in enumerate(_TEXTS[:250])}
    for number in range(20):
        count = 100 if ground.is_whole else 5
        make_series(tree / f"{number}", count, StudyDescription=f"é{number}", **texts)
    for name, make in DIFFERS.items():
        make(tree / f"{name}.dcm")
    with ground.database() as url:
        database = Database(url)
        person = add_person(database, "Jo", "EDITOR")
        database.close_writer()
        import_here(url, tree)
        with ground.process(url) as served:
            yield Site(served, person)


def work(ground: Ground) -> str:
    """Each kind of operation, one after the other; others are answered meanwhile."""
    longest: dict[str, float] = {}
    with filled(ground) as site:
        asked = Asked(site)
        for name in WORK:
            with Health(site) as health:
                for _ in range(3 if ground.is_whole else 1):
                    asked.ask(name)
            longest[name] = health.longest
            if ground.is_whole:
                assert health.longest < _SILENT_SECONDS, (name, health.longest)
        site.ask()
        assert site.most < _GIGABYTE
        worst = max(longest, key=longest.__getitem__)
        return (
            f"{asked.told()}; /healthz took {longest[worst]:.2f} s at most ({worst}); "
            f"{site.most >> 20} MB at most"
        )


def everything(ground: Ground) -> str:
    """All of it, pictures of hostile files, and strangers of every kind, together."""
    with filled(ground) as site:
        site.ask()
        asked = Asked(site)
        uids = [uid_of(path) for path in sorted((ground.folder / "tree").glob("*.dcm"))]
        pictures = [f"{site.served.url}/images/{uid}/preview.png" for uid in uids]
        attempts = [partial(asked.ask, name) for name in WORK]
        attempts += [
            partial(httpx.get, url, headers=site.person.bearer, timeout=60) for url in pictures
        ]
        attempts += [partial(endless, site.served, name) for name in ("fields", "a value")]
        attempts += [partial(come_and_go, site, *each) for each in strangers(ground)]
        with again_and_again(*attempts), Health(site) as health:
            end = time.monotonic() + max(ground.seconds * 6, 5.0)
            while time.monotonic() < end:
                # The user waits behind what they ask themselves.
                with suppress(httpx.TimeoutException):
                    site.ask()
        site.ask()
        if ground.is_whole:
            assert health.longest < _CROWDED_SECONDS, health.longest
        assert site.most < _GIGABYTE, site.most
        return (
            f"{asked.told()}; /healthz took {health.longest:.2f} s at most; {site.told()} in the "
            f"server's own process, {health.decoders >> 20} MB in a decoder"
        )


ATTACKS: dict[str, Attack] = {"work": work, "everything-at-once": everything}
