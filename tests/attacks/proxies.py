"""Clients that forge what a proxy says of them (point 9): each is one client all the same."""

import json
from pathlib import Path

import httpx

from tests.attacks.crowds import guarded
from tests.faults.ground import Ground, wait

_QUERY = {"query": "{ __typename }"}
_GUESSES = 8
_FORGED = "6.6.{n}.6"
HOPS: dict[str, list[tuple[str, str]]] = {
    "two lines": [("X-Forwarded-For", _FORGED), ("X-Forwarded-For", "{true}")],
    "one line": [("X-Forwarded-For", f"{_FORGED}, {{true}}")],
    "many in one line": [("X-Forwarded-For", f"{_FORGED}," * 40 + " {true}")],
    "small letters": [("x-forwarded-for", _FORGED), ("X-FORWARDED-FOR", "{true}")],
    "a port that changes": [("X-Forwarded-For", f"{_FORGED}, {{true}}:4{{n}}")],
    "another proxy before": [("X-Forwarded-For", f"{_FORGED}, {{true}}, 127.0.0.1")],
    "what is no address": [("X-Forwarded-For", f"{_FORGED}, unknown-{{n}}")],
    "an empty hop": [("X-Forwarded-For", f"{_FORGED},")],
    "Forwarded": [("Forwarded", f"for={_FORGED}")],
    "X-Real-IP": [("X-Real-IP", _FORGED)],
    "X-Client-IP": [("X-Client-IP", _FORGED), ("True-Client-IP", _FORGED)],
}
"""By the name of a case its header fields: `{n}` is the guess, `{true}` what the proxy wrote."""


def forged_hops(ground: Ground) -> str:
    """Wrong passwords, each from another forged address: they are slowed down, and the audit log
    has the address that the last trusted proxy wrote.
    """
    audit = ground.folder / "audit.jsonl"
    settings = {"trusted_proxies": "127.0.0.0/8", "audit": "on", "audit_file": str(audit)}
    with guarded(ground, **settings) as site:
        for number, (name, fields) in enumerate(HOPS.items()):
            codes = _guess(site.served.url, fields, true=f"192.0.2.{number}", source=number + 2)
            assert 429 in codes, (name, codes)
            assert set(codes) <= {401, 429}, (name, codes)
        site.ask()
        wait(lambda: len(_addresses(audit)) >= len(HOPS), 30)
        seen = _addresses(audit)
        assert not [address for address in seen if address.startswith("6.6.")], seen
    return f"{len(HOPS)} ways: all slowed down, {len(seen)} addresses in the log, none forged"


def _guess(url: str, fields: list[tuple[str, str]], true: str, source: int) -> list[int]:
    """The status of each guess; the proxy is one of its own for each case."""
    found = []
    transport = httpx.HTTPTransport(local_address=f"127.0.0.{source}")
    with httpx.Client(transport=transport, timeout=30) as client:
        for number in range(_GUESSES):
            headers = [(name, value.format(n=number, true=true)) for name, value in fields]
            answer = client.post(
                f"{url}/graphql", json=_QUERY, headers=headers, auth=("Jo", "wrong")
            )
            found.append(answer.status_code)
    return found


def _addresses(audit: Path) -> set[str]:
    if not audit.exists():
        return set()
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    return {str(line["address"]) for line in lines if line.get("address")}


ATTACKS = {"forged-hops": forged_hops}
