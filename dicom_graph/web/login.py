"""Logging in and out on a page, for browsers; the session is a cookie."""

import secrets
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dicom_graph.access.authenticator import Authenticator, Basic, Cookie
from dicom_graph.access.principal import NOBODY
from dicom_graph.access.throttle import TooManyFailures
from dicom_graph.telemetry.request import claim
from dicom_graph.web.middleware.authentication import SESSION_COOKIE, CredentialSources

_FORM_COOKIE = "dicom_graph_login"
_MAX_FORM = 10_000
# Its addresses and the cookie of its form say no path: a proxy may have the server below any.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>dicom-graph: log in</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static/login.css">
</head>
<body>
<main>
<h1>dicom-graph</h1>
{message}<form method="post" action="{action}">
{fields}
</form>
</main>
</body>
</html>
"""
_LOGIN = """\
<input type="hidden" name="form" value="{form}">
<input type="hidden" name="next" value="{target}">
<label>Name <input name="name" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required>\
</label>
<button>Log in</button>"""
_LOGOUT = "<p>You are {name}, {role}.</p>\n<button>Log out</button>"


class Login:
    """The routes `/login` and `/logout`."""

    def __init__(self, authenticator: Authenticator, sources: CredentialSources) -> None:
        self._authenticator = authenticator
        self._sources = sources

    async def form(self, request: Request) -> Response:
        """The form."""
        return _form(request, request.query_params.get("next", "/"))

    async def log_in(self, request: Request) -> Response:
        """Check the form; a session cookie and where the browser wanted to go, or the form again.

        The form carries the token of a cookie, so that no other site can log a browser in.
        """
        fields = await _fields(request)
        target = fields.get("next", "/")
        form, sent = request.cookies.get(_FORM_COOKIE, ""), fields.get("form", "")
        if not form or not secrets.compare_digest(form.encode(), sent.encode()):
            return _form(request, target, "The form was too old. Try again.", 403)
        address = self._sources.address(request)
        given = Basic(fields.get("name", ""), fields.get("password", ""), address)
        claim(given.name)
        try:
            cookie = await self._authenticator.log_in(given)
        except TooManyFailures as error:
            response = _form(request, target, f"{str(error).capitalize()}.", 429)
            response.headers["Retry-After"] = str(error.seconds)
            return response
        if cookie is None:
            return _form(request, target, "Wrong name or password.", 401)
        request.scope["principal"] = await self._authenticator.principal(Cookie(cookie)) or NOBODY
        response = RedirectResponse(_own(target), status_code=303)
        response.set_cookie(_FORM_COOKIE, max_age=0, expires=0, path=None)
        _set_cookie(request, response, SESSION_COOKIE, cookie)
        return response

    async def account(self, request: Request) -> Response:
        """The name of the user who is logged in, and a button."""
        principal = request.scope["principal"]
        fields = _LOGOUT.format(name=escape(principal.name), role=principal.role.name.lower())
        return HTMLResponse(_PAGE.format(message="", action="logout", fields=fields))

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        await self._authenticator.log_out(request.cookies.get(SESSION_COOKIE, ""))
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(SESSION_COOKIE)
        return response


def _form(request: Request, target: str, message: str = "", status: int = 200) -> Response:
    token = secrets.token_urlsafe()
    fields = _LOGIN.format(form=token, target=escape(_own(target)))
    shown = f'<p class="message" role="alert">{escape(message)}</p>\n' if message else ""
    page = _PAGE.format(message=shown, action="login", fields=fields)
    response = HTMLResponse(page, status)
    _set_cookie(request, response, _FORM_COOKIE, token, path=None)
    return response


def _set_cookie(
    request: Request, response: Response, name: str, value: str, path: str | None = "/"
) -> None:
    response.set_cookie(
        name, value, path=path, httponly=True, secure=request.url.scheme == "https", samesite="lax"
    )


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a form; none of a body that is not one."""
    body = await request.body()
    if len(body) > _MAX_FORM:
        return {}
    fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _own(target: str) -> str:
    """A path of this server; `/` for anything that could lead elsewhere."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_own and target.isprintable() else "/"
