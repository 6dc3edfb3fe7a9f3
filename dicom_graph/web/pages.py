"""The pages for people: which GETs are answered by the one page that the browser fills.

The page names its script by an address relative to its own, so that a proxy may serve everything
below a path of its choice; the script finds that path from its own address.
"""

import json
from functools import cache
from html import escape
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dicom_graph.web.graphiql import STATIC_DIR

ADDRESSES = (
    "/",
    "/patients",
    "/patients/{uid:path}",
    "/studies",
    "/studies/{uid:path}",
    "/series",
    "/series/{uid:path}",
    "/images",
    "/images/{uid:path}",
    "/headers/{id}",
    "/elements",
    "/elements/{id}",
    "/search",
    "/compare",
    "/explore",
    "/imports",
    "/imports/{id}",
    "/quality",
)
"""All addresses that have a page. They come after the downloads in the table of routes."""

_SUFFIXES = (".csv", ".dcm", ".gz", ".json", ".npy", ".png", ".zip")
"""What ends like a download is none of the pages."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_APP = STATIC_DIR / "app"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>dicom-graph</title>
<link rel="icon" href="data:,">
{styles}
<script type="module" src="{base}{script}"></script>
</head>
<body>
<div id="app"></div>
<noscript><p>These pages need JavaScript.</p></noscript>
</body>
</html>
"""


def is_page(request: Request) -> bool:
    """Whether a browser asks for a page, not for a download or for data."""
    path = request.scope["path"].lower()
    return "text/html" in request.headers.get("accept", "") and not path.endswith(_SUFFIXES)


async def page(request: Request) -> Response:
    """The page. `/` leads clients that ask for no HTML to GraphQL. Raises HTTPException (404)."""
    if not is_page(request):
        if request.scope["path"] == "/":
            return RedirectResponse("/graphql")
        raise HTTPException(404)
    html = page_html(_depth(request))
    return HTMLResponse(html, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


@cache
def page_html(depth: int) -> str:
    """Returns the page for an address with so many slashes after its first character."""
    base = "../" * depth or "./"
    manifest = json.loads((_APP / "manifest.json").read_text(encoding="utf-8"))
    styles = "\n".join(
        f'<link rel="stylesheet" href="{base}static/app/{escape(name)}">'
        for name in manifest["css"]
    )
    script = f"static/app/{escape(manifest['file'])}"
    return _PAGE.format(styles=styles, base=base, script=script)


def _depth(request: Request) -> int:
    """How many folders the address is deep, as the browser counts: a slash in a UID is `%2F`."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.count(b"/") - 1


def documents_file() -> Path:
    """The file of all operations of the pages, for `--trusted-documents`."""
    return _APP / "documents.json"


ROUTES = [Route(path, page) for path in ADDRESSES]
