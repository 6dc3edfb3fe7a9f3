"""Names of the schema, for who asks for wrong ones where introspection is off (point 14)."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.attacks.registry import Attack
from tests.faults.ground import Ground, Served
from tests.web.test_schema_names import WRONG_DOCUMENTS, WRONG_VARIABLES, told

_FILTERED = "query ($f: SeriesFilter) { series(filter: $f) { totalCount } }"
_TABLES = (
    "/series.csv", "/images.csv", "/patients.csv", "/studies.csv", "/series.json", "/images.ndjson",
    "/series.parquet", "/elements.csv",
)  # fmt: skip


def suggested_names(ground: Ground) -> str:
    """Fields, arguments, values and columns that are nearly right, wherever they may be said."""
    n_answers = 0
    with ground.database() as url, ground.process(url, introspection="false") as served:
        for sent, answer in _answers(served):
            found = told(sent, answer)
            assert not found, (sent, found)
            assert "did you mean" not in answer.lower(), (sent, answer)
            n_answers += 1
    return f"{n_answers} answers name nothing that was not said"


def _answers(served: Served) -> Iterator[tuple[str, str]]:
    with httpx.Client(base_url=served.url, timeout=60) as client:
        for document in WRONG_DOCUMENTS:
            yield document, client.post("/graphql", json={"query": document}).text
            yield document, client.get("/graphql", params={"query": document}).text
            headers = {"Accept": "text/event-stream"}
            streamed = client.post("/graphql", json={"query": document}, headers=headers)
            yield document, streamed.text
        for variables in WRONG_VARIABLES:
            body: dict[str, Any] = {"query": _FILTERED, "variables": variables}
            yield json.dumps(body), client.post("/graphql", json=body).text
            for table in _TABLES:
                given = json.dumps(variables["f"])
                for name in ("filter", "orderBy", "column", "columns", "search", "by", "groupBy"):
                    yield f"{given} {name}", client.get(table, params={name: given}).text
        for column in ("echoTim", "EchoTim", "patient.nam", "Sequence[0].EchoTim"):
            for table in _TABLES:
                for name in ("column", "columns", "orderBy"):
                    yield f"{column} {name}", client.get(table, params={name: column}).text


ATTACKS: dict[str, Attack] = {"suggested-names": suggested_names}
