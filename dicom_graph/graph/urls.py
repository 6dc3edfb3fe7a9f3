"""The addresses of pictures, arrays and files: paths of this server, percent-encoded."""

from urllib.parse import quote, urlencode

from dicom_graph.dicom.voi import Window


def file_url(kind: str, uid: str, ending: str, **query: object) -> str:
    """`/kind/uid` and the ending, such as `file_url("series", uid, ".zip")`; None is left out."""
    given = {name: str(value) for name, value in query.items() if value is not None}
    return f"/{kind}/{quote(uid, safe='')}{ending}{'?' * bool(given)}{urlencode(given)}"


def window_text(window: Window | None) -> str | None:
    """A window as it stands in an address: centre, comma, width."""
    return None if window is None else f"{window.center:.15g},{window.width:.15g}"
