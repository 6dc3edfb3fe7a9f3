"""The application below a path of another one: `Mount("/dicom", create_app(settings))`."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_graph.telemetry.request import ROOT_PATH


class MountedMiddleware:
    """ASGI middleware, the outermost: takes the path of the mount away from that of a request, so
    that whatever decides by paths sees those of this application, and puts it before those that
    leave: redirects and cookies here, addresses in answers by `ROOT_PATH`.
    """

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        """`root_path`: the same of a proxy that has all of this below a path, whether it takes it
        away itself or not.
        """
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "").rstrip("/") or self._root_path
        if scope["type"] not in ("http", "websocket") or not root:
            await self._app(scope, receive, send)
            return
        inner = dict(scope) | {"root_path": "", "path": _below(root, scope["path"])}
        raw = scope.get("raw_path")
        if raw is not None:
            inner["raw_path"] = raw.removeprefix(root.encode()) or b"/"
        inner.pop("app_root_path", None)

        async def send_outside(message: Message) -> None:
            if message["type"] == "http.response.start":
                _put_before(root, MutableHeaders(scope=message))
            await send(message)

        token = ROOT_PATH.set(root)
        try:
            await self._app(inner, receive, send_outside)
        finally:
            ROOT_PATH.reset(token)


def _below(root: str, path: str) -> str:
    is_below = path == root or path.startswith(f"{root}/")
    return (path[len(root) :] if is_below else path) or "/"


def _put_before(root: str, headers: MutableHeaders) -> None:
    location = headers.get("location", "")
    if location.startswith("/"):
        headers["location"] = root + location
    cookies = headers.getlist("set-cookie")
    if cookies:
        del headers["set-cookie"]
        for cookie in cookies:
            headers.append("set-cookie", cookie.replace("; Path=/", f"; Path={root}/", 1))
