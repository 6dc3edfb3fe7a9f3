"""What the scanner graphql-cop looks for, check by check, under the scanner's own titles.

    python tests/conformance/graphql_cop.py

graphql-cop (github.com/dolevf/graphql-cop) is on no package index: the name on PyPI is another's,
and empty. So its fourteen checks are made here as requests, against a server with all that only
helps to explore turned off. Exit status 1 where there is a finding.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dicom_graph.settings import Settings
from tests.support.server import running_server

TYPENAME = "query { __typename }"
_DEEP = "{ type { fields " * 4 + "{ type { name } }" + " } }" * 4
_IDES = ("graphiql.min.css", "GraphQL Playground", "GraphiQL", "graphql-playground")


class Check(NamedTuple):
    """A finding's title, and whether a server at an address has it.

    `is_choice`: it helps to explore, and is on until it is turned off.
    """

    title: str
    is_found: Callable[[str], bool]
    is_choice: bool = False


def _post(url: str, query: str) -> Any:
    return httpx.post(url, json={"query": query}, timeout=60).json()


def _has_data(answer: httpx.Response) -> bool:
    try:
        return bool(answer.json().get("data"))
    except (ValueError, AttributeError):
        return False


def _messages(answer: Any) -> str:
    return " ".join(error["message"] for error in answer.get("errors", ()))


def _has_ide(url: str) -> bool:
    base = url.removesuffix("/graphql")
    pages = [
        httpx.get(base + path, headers={"accept": accept}, follow_redirects=True).text
        for path in ("/graphiql", "/playground", "/console", "/graphql")
        for accept in ("*/*", "text/html")
    ]
    return any(word in page for page in pages for word in _IDES)


def _batch(url: str) -> bool:
    return httpx.post(url, json=[{"query": TYPENAME}] * 11).text.count("__typename") >= 10


def _is_traced(url: str) -> bool:
    told = json.dumps([_post(url, TYPENAME), _post(url, "{ nope }")]).lower()
    return any(word in told for word in ("tracing", "stacktrace", "exception", "traceback"))


CHECKS = [
    Check(
        "Field Suggestions",
        lambda url: "did you mean" in _messages(_post(url, "{ __schema { directive } }")).lower(),
        True,
    ),
    Check(
        "Introspection",
        lambda url: bool(_post(url, "{ __schema { types { name fields { name } } } }").get("data")),
        True,
    ),
    Check("GraphQL IDE", _has_ide, True),
    Check(
        "GET Method Query Support",
        lambda url: _has_data(httpx.get(url, params={"query": "{ __typename }"})),
        True,
    ),
    Check(
        "Mutation is allowed over GET (possible CSRF)",
        lambda url: _has_data(httpx.get(url, params={"query": "mutation { __typename }"})),
    ),
    Check(
        "POST based url-encoded query (possible CSRF)",
        lambda url: any(
            _has_data(httpx.post(url, **{kind: {"query": TYPENAME}})) for kind in ("data", "params")
        ),
    ),
    Check("Trace Mode", _is_traced),
    Check(
        "Unhandled Errors Detection",
        lambda url: "exception" in json.dumps(_post(url, "qwerty cop { abc }")),
    ),
    Check(
        "Alias Overloading",
        lambda url: bool(
            _post(url, f"{{ {' '.join(f'alias{n}: __typename' for n in range(101))} }}").get("data")
        ),
    ),
    Check("Array-based Query Batching", _batch),
    Check(
        "Directive Overloading",
        lambda url: len(_post(url, "{ __typename " + "@aa" * 10 + " }")["errors"]) == 10,
    ),
    Check(
        "Field Duplication",
        lambda url: bool(_post(url, "{ " + "__typename " * 500 + "}").get("data")),
    ),
    Check(
        "Introspection-based Circular Query",
        lambda url: bool(
            _post(url, f"{{ __schema {{ types {{ fields {_DEEP} }} }} }}").get("data")
        ),
    ),
    Check(
        "Circular Fragment",
        lambda url: (
            "errors"
            not in _post(
                url,
                "query { __schema { ...A } } fragment A on __Schema { __typename ...B } "
                "fragment B on __Schema { ...A }",
            )
        ),
    ),
]


def findings(url: str) -> list[str]:
    """The titles of what is found at an address."""
    return [check.title for check in CHECKS if check.is_found(url)]


def main() -> int:
    """The command."""
    with tempfile.TemporaryDirectory(prefix="dicom-graph-cop-") as folder:
        settings = Settings(
            database_url=f"sqlite:///{folder}/database.sqlite3", introspection=False,
            graphiql=False, get_queries=False, _env_file=None,
        )  # fmt: skip
        with running_server(settings) as server:
            url = f"{server.url}/graphql"
            found = findings(url)
    for title in found:
        print(f"found: {title}")
    print(f"{len(CHECKS)} checks, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
