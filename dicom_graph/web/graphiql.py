"""The GraphiQL page: every script and style it loads is served by us, so it works offline."""

from html import escape
from pathlib import Path

STATIC_DIR = Path(__file__).parent / "static"

_STYLES = ("graphiql.min.css", "plugin-explorer.min.css", "start.css")
_SCRIPTS = (
    "react.production.min.js",
    "react-dom.production.min.js",
    "graphiql.min.js",
    "plugin-explorer.min.js",
    "start.js",
)
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>dicom-graph</title>
<link rel="icon" href="data:,">
{styles}
{scripts}
</head>
<body>
<div id="graphiql" {settings}><p class="loading">Loading…</p></div>
<noscript><p class="loading">This page needs JavaScript.</p></noscript>
</body>
</html>
"""


EXAMPLE_QUERY = """\
# Ctrl-Enter runs this; Ctrl-Space shows what else there is.
query LatestSeries {
  series(first: 5, orderBy: [{ field: DATE, direction: DESC }]) {
    nodes {
      date
      modality
      description
      patient {
        uid
      }
      sampleHeader {
        imageType: element(keyword: "ImageType") {
          value
        }
      }
    }
  }
}
"""
"""What the first tab of the first visit shows: it has an answer in any archive with images."""


def graphiql_page(
    *,
    endpoint: str,
    static_url: str,
    default_query: str | None = None,
    example: str | None = None,
    viewer: str | None = None,
) -> str:
    """Return the HTML of the GraphiQL explorer.

    ``endpoint`` is the URL that answers queries (POST) and subscriptions (WebSocket), and
    ``static_url`` the one under which ``STATIC_DIR`` is served; both may be relative.
    ``default_query`` fills the first tab of every visit, ``example`` that of the first one;
    ``?query=`` in the page's URL (with ``&variables=``) goes before them. ``viewer`` says who is
    logged in. The page has no inline script or style.
    """
    base = escape(static_url.rstrip("/") + "/graphiql")
    settings = f'data-endpoint="{escape(endpoint)}"'
    texts = {"default-query": default_query, "example": example, "viewer": viewer}
    for name, text in texts.items():
        if text is not None:
            settings += f' data-{name}="{escape(text)}"'
    return _PAGE.format(
        styles="\n".join(f'<link rel="stylesheet" href="{base}/{name}">' for name in _STYLES),
        scripts="\n".join(f'<script defer src="{base}/{name}"></script>' for name in _SCRIPTS),
        settings=settings,
    )
