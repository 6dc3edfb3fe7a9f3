"""What a server remembers of what clients send, each time another (point 5)."""

import itertools
from collections.abc import Callable
from typing import Any

import httpx

from tests.attacks.crowds import Site, guarded
from tests.faults.ground import Ground

_MORE = 100 << 20
_TEXT = "x" * 15_000
REMEMBERED: dict[str, Callable[[int], dict[str, Any]]] = {
    "documents": lambda n: {"json": {"query": f"{{ __typename }} # {n} {_TEXT}"}},
    "long documents": lambda n: {"json": {"query": f"{{ __typename }} # {n} {_TEXT * 8}"}},
    "names of operations": lambda n: {"json": {"query": f"query Q{n}{_TEXT} {{ __typename }}"}},
    "aliases": lambda n: {"json": {"query": f"{{ a{n}{_TEXT}: __typename }}"}},
    "wrong documents": lambda n: {"json": {"query": f"{{ a{n}{_TEXT} }}"}},
    "persisted queries": lambda n: {
        "json": {
            "query": f"{{ __typename }} # {n} {_TEXT}",
            "extensions": {"persistedQuery": {"version": 1, "sha256Hash": f"{n:064x}"}},
        }
    },
    "variables": lambda n: {
        "json": {
            "query": "query ($t: String) { imageByUid(uid: $t) { uid } }",
            "variables": {"t": f"{n}{_TEXT * 20}"},
        }
    },
    "statements": lambda n: {
        "json": {
            "query": "query ($f: ImageFilter) { images(filter: $f) { totalCount } }",
            "variables": {"f": {"uid": {"in": [f"{n}.{i}" for i in range(n % 3000)]}}},
        }
    },
    "paths of elements": lambda n: {
        "json": {
            "query": "query ($f: ImageFilter) { images(filter: $f) { totalCount } }",
            "variables": {
                "f": {"header": {"element": {"path": f"(0009,{n:04x})[{n}].PatientID",
                                             "exists": True}}}
            },
        }
    },
    "tokens": lambda n: {"json": {}, "headers": {"Authorization": f"Bearer {n}{_TEXT}"}},
    "sessions": lambda n: {"json": {}, "headers": {"Cookie": f"dicom_graph_session={n}{_TEXT}"}},
    "names": lambda n: {"json": {}, "auth": (f"{n}{_TEXT}", "wrong")},
    "sites": lambda n: {"json": {}, "headers": {"Origin": f"https://{n}.{_TEXT[:4000]}"}},
    "ids of requests": lambda n: {"json": {}, "headers": {"X-Request-ID": f"{n}{_TEXT[:90]}"}},
}  # fmt: skip
"""What is sent, by what might be remembered of it."""


def remembered(ground: Ground) -> str:
    """Some hundred of each kind, all different: memory does not grow with them."""
    count = 400 if ground.is_whole else 40
    grown: dict[str, int] = {}
    with guarded(ground) as site, httpx.Client(timeout=60) as client:
        numbers = itertools.count(1)
        for make in REMEMBERED.values():
            _send(site, client, make(next(numbers)))
        site.ask()
        first = site.resident()
        for name, make in REMEMBERED.items():
            before = site.resident()
            for _ in range(count):
                _send(site, client, make(next(numbers)))
            grown[name] = site.resident() - before
        site.ask()
        more = site.resident() - first
        assert more < _MORE, grown
    worst = max(grown, key=grown.__getitem__)
    return (
        f"{count} of each of {len(grown)} kinds take {more >> 20} MB more, the most for {worst} "
        f"({grown[worst] >> 20} MB)"
    )


def _send(site: Site, client: httpx.Client, request: dict[str, Any]) -> None:
    given = {"headers": {}} | request
    if not {"Authorization", "Cookie"} & given["headers"].keys() and "auth" not in given:
        given["headers"] = given["headers"] | site.person.bearer
    answer = client.post(f"{site.served.url}/graphql", **given)
    assert answer.status_code < 500, answer.text[:300]


ATTACKS = {"remembered": remembered}
