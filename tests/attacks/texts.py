"""Texts that no database holds, wherever a text comes in (point 12)."""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.web.app import create_app
from tests.attacks.crowds import FORM
from tests.attacks.registry import Attack
from tests.faults.ground import Ground, import_here
from tests.support.make import make_series
from tests.support.people import Person, add_person
from tests.support.raw import exchange

ODD = {
    "NUL": b"\x00", "NUL inside": b"a\x00b", "a lone surrogate": b"\xed\xa0\x80",
    "no UTF-8": b"\xff\xfe", "overlong": b"\xc0\xaf", "cut short": b"a\xe2\x82",
    "noncharacters": "\uffff\ufdd0".encode(), "direction": "\u202e\u2066".encode(),
}  # fmt: skip
"""Bytes, for the places that are bytes."""
ESCAPED = ['"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"x\\udfffy"', '"\\udc00\\ud800"']
"""The same as JSON writes them."""
NUMBERS = ["NaN", "-Infinity", "1e400", "9" * 400]
"""What Python takes for a number of JSON."""
HEADERS = (
    "Authorization", "Cookie", "X-Request-ID", "Accept", "Accept-Language", "Accept-Encoding",
    "Content-Type", "If-None-Match", "If-Modified-Since", "Range", "Origin", "Referer", "Host",
    "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "traceparent",
    "Apollo-Require-Preflight", "Sec-WebSocket-Protocol", "X-Remote-User",
)  # fmt: skip
_SETTINGS: dict[str, Any] = {
    "trusted_proxies": "127.0.0.1", "proxy_user_header": "X-Remote-User", "max_batch": 9
}  # fmt: skip


def odd_texts(ground: Ground) -> str:
    """Each route, its path, query and body, and each header and cookie: no error of the server."""
    make_series(ground.folder / "tree", 2)
    seen: Counter[int] = Counter()
    with ground.database() as url:
        database = Database(url)
        person = add_person(database, "Jo", "ADMIN")
        database.close_writer()
        import_here(url, ground.folder / "tree")
        with ground.process(url, **_SETTINGS) as served:
            for request in _requests(person, _routes(url), whole=ground.is_whole):
                answer = exchange(served.url, request)
                status = int(answer[9:12] or 0)
                assert status not in (500, 502, 503, 504), (request, answer)
                assert b"Traceback" not in answer, (request, answer)
                seen[status] += 1
            assert served.is_ready()
    log = (ground.folder / "serve.log").read_text()
    assert "internal error" not in log, log[log.index("internal error") :][:3000]
    told = ", ".join(f"{status}: {count}" for status, count in sorted(seen.items()))
    return f"{seen.total()} requests ({told})"


def _routes(url: str) -> list[tuple[str, str]]:
    """The methods and paths of all routes, whose parameters are `{…}`."""
    application = create_app(Settings(database_url=url, _env_file=None))
    found = []
    for route in application.routes:
        for method in getattr(route, "methods", None) or ("GET",):
            found.append((method, getattr(route, "path", "/")))
    return sorted(set(found))


def _requests(person: Person, routes: list[tuple[str, str]], *, whole: bool) -> Iterator[bytes]:
    odd, bearer = list(ODD.values()), person.bearer["Authorization"].encode()
    known = {"Authorization": bearer}
    for at, (method, path) in enumerate(routes):
        some = odd if whole else [odd[at % len(odd)], odd[0]]
        for raw in some:
            escaped = quote(raw, safe="")
            filled = re.sub(r"\{[^}]*\}", escaped, path)
            for query in (f"filter={escaped}&path={escaped}&query={escaped}", escaped, ""):
                yield _request(method, f"{filled}?{query}", known)
            form = b"name=" + escaped.encode() + b"&" + escaped.encode() + b"=" + raw
            yield _request("POST", filled, known | {"Content-Type": FORM[14:].encode()}, form)
            yield _request("POST", filled, known | {"Content-Type": b"application/json"}, raw)
        for name in HEADERS if whole else (HEADERS[at % len(HEADERS)], "Authorization", "Cookie"):
            for value in _values(name, some):
                given = {} if name in ("Cookie", "X-Remote-User") else known
                yield _request(method, path, given | {name: value})
    for text in ESCAPED + NUMBERS:
        for body in _protocols(text) if text in NUMBERS else _bodies(text):
            yield _request(
                "POST", "/graphql", known | {"Content-Type": b"application/json"}, body.encode()
            )


def _values(name: str, odd: list[bytes]) -> Iterator[bytes]:
    for raw in odd:
        if name == "Authorization":
            yield b"Basic " + base64.b64encode(raw + b":" + raw)
            yield b"Basic " + base64.b64encode(b"Jo:" + raw)
            yield b"Bearer " + raw
        elif name == "Cookie":
            yield b"dicom_graph_session=" + raw
            yield b'dicom_graph_session="\\000"; form=' + raw
        else:
            yield raw


def _bodies(text: str) -> Iterator[str]:
    query = json.dumps("query ($t: String!) { imageByUid(uid: $t) { uid } }")
    path = json.dumps(
        "query ($t: String!) { images { nodes { header { csaHeader(path: $t) "
        "element(path: $t) { value } } } } }"
    )
    for document in (query, path):
        yield f'{{"query": {document}, "variables": {{"t": {text}}}}}'
        yield f'[{{"query": {document}, "variables": {{"t": {text}}}}}]'
    yield f'{{"query": {text}}}'
    yield f'{{"query": "{{ __typename }}", "operationName": {text}}}'
    yield f'{{"query": "{{ __typename }}", "variables": {{{text}: 1}}}}'
    yield f'{{"documentId": {text}}}'
    yield f'{{"extensions": {{"persistedQuery": {{"version": 1, "sha256Hash": {text}}}}}}}'
    yield from _protocols(text)
    yield from _protocols(text, f"{{{text}: 1}}")
    literal = json.dumps(f"{{ imageByUid(uid: {text}) {{ uid }} }}")
    yield f'{{"query": {literal}}}'


def _protocols(value: str, note: str = "1") -> Iterator[str]:
    """A value of any JSON, kept as it is sent."""
    create = json.dumps(
        "mutation ($i: CreateProtocolInput!) { createProtocol(input: $i) { "
        "protocol { json compliance { deviating } } errors { code } } }"
    )
    for key in ("value", "min", "contains", "errorTolerance"):
        rule = f'{{"field": "EchoTime", "{key}": {value}, "tolerance": 1, "note": {note}}}'
        content = f'{{"acquisitions": {{"a": {{"fields": [{rule}]}}}}}}'
        given = f'{{"i": {{"name": {json.dumps(key + value[:20])}, "json": {content}}}}}'
        yield f'{{"query": {create}, "variables": {given}}}'


def _request(method: str, path: str, fields: dict[str, bytes], body: bytes = b"") -> bytes:
    given = {"Host": b"localhost", "Content-Length": b"%d" % len(body), "Connection": b"close"}
    lines = [f"{method} {path} HTTP/1.1".encode()]
    lines += [name.encode() + b": " + value for name, value in (given | fields).items()]
    return b"\r\n".join([*lines, b"", b""]) + body


ATTACKS: dict[str, Attack] = {"odd-texts": odd_texts}
