"""The addresses of pictures, arrays and files: paths of this server, percent-encoded."""

from urllib.parse import quote, urlencode

from dicom_graph.dicom.pixels.voi import Window
from dicom_graph.telemetry.request import ORIGIN, ROOT_PATH


def file_url(kind: str, uid: str, ending: str, **query: object) -> str:
    """`/kind/uid` and the ending, such as `file_url("series", uid, ".zip")`; None is left out.

    Below the path of a mount, where there is one.
    """
    given = {name: str(value) for name, value in query.items() if value is not None}
    path = f"{ROOT_PATH.get()}/{kind}/{quote(uid, safe='')}{ending}"
    return f"{path}{'?' * bool(given)}{urlencode(given)}"


def page_path(kind: str, key: str) -> str:
    """The address of a page, such as `/series/1.2.3`, without scheme and host."""
    return f"{ROOT_PATH.get()}/{kind}/{quote(key, safe='')}"


def absolute(path: str) -> str:
    """The same address with the scheme and host by which the client addressed this server."""
    return ORIGIN.get() + path


def window_text(window: Window | None) -> str | None:
    """A window as it stands in an address: centre, comma, width."""
    return None if window is None else f"{window.center:.15g},{window.width:.15g}"
