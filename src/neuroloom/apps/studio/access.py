"""Who may speak to the studio: checked before anything else sees a request.

On this machine alone (localhost) two rules are enforced: no foreign host name (DNS rebinding), no
posts from foreign pages. Where others can reach it, a token is needed too.
"""

from __future__ import annotations

import hmac
import html
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from neuroloom.apps.studio.workspace import TooLargeError, readable

LOCAL = ("localhost", "127.0.0.1", "::1")
SAFE = ("GET", "HEAD", "OPTIONS")
MOST_BODY = 2 * 1024**2
UPLOADS = ("/api/uploads", "/_nicegui/client/")
# Nothing may be loaded from elsewhere, whatever a page says. Vue compiles templates in the page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
# A file that a user or a run brought: it may be looked at and can do nothing.
SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; "
    "font-src data:; frame-ancestors 'self'"
)
ASK = """<!doctype html><html lang="en"><meta charset="utf-8"><title>neuroloom studio</title>
<meta name="viewport" content="width=device-width"><style>body{{font:16px/1.5 system-ui;margin:
12vh auto;max-width:26rem;padding:0 1rem;color:#1d2733;background:#f7f8fa}}
input,button{{font:inherit;padding:.5rem .75rem}}</style><h1>neuroloom studio</h1><p>{why}</p>
<form><label>Token <input name="token" type="password" autofocus></label>
<button>Enter</button></form></html>"""


class Access:
    """ASGI middleware that lets in who may come in.

    Parameters
    ----------
    app
        What is protected.
    host, port
        What the server is bound to.
    token
        Needed of everyone if given.
    most_upload
        Bytes of the largest upload.
    """

    def __init__(
        self, app: Any, *, host: str, port: int, token: str | None, most_upload: int
    ) -> None:
        self.app, self.token, self.most_upload = app, token, most_upload
        self.local = is_local(host)
        self.hosts = {*LOCAL, host.strip("[]").lower()}
        self.cookie = f"neuroloom-{port}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal:
            await _refuse(scope, send, *refusal)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        elif self.token and scope["method"] == "GET" and "token" in parse_qs(_query(scope)):
            await self._welcome(scope, send)
        else:
            await self._pass(scope, receive, send)

    def _refusal(self, scope: Any, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and reason if this request is not to be answered."""
        host = _host_of(headers.get("host", ""))
        if self.local and host not in self.hosts:
            return 403, "This studio answers to localhost only."
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if changes and _is_foreign(headers):
            return 403, "Another web page tried to use this studio; that is not allowed."
        if self.token and not self._knows_token(scope, headers):
            return 401, "Open the address that the terminal shows; it carries the token."
        if scope["type"] == "http" and _length(headers) > self._most(scope["path"]):
            return 413, f"This is more than the {readable(self._most(scope['path']))} allowed."
        return None

    def _most(self, path: str) -> int:
        return self.most_upload if path.startswith(UPLOADS) else MOST_BODY

    def _knows_token(self, scope: Any, headers: dict[str, str]) -> bool:
        given = [
            headers.get("authorization", "").removeprefix("Bearer ").strip(),
            _cookie(headers.get("cookie", ""), self.cookie),
            *parse_qs(_query(scope)).get("token", []),
        ]
        wanted = (self.token or "").encode()
        fits = [hmac.compare_digest(one.encode("utf-8", "replace"), wanted) for one in given]
        return any(fits)

    async def _welcome(self, scope: Any, send: Any) -> None:
        """Keep the token in a cookie and take it out of the address."""
        rest = [(k, v) for k, vs in parse_qs(_query(scope)).items() for v in vs if k != "token"]
        where = "/" + scope["path"].lstrip("/") + (f"?{urlencode(rest)}" if rest else "")
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"
        headers = [(b"location", where.encode()), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _pass(self, scope: Any, receive: Any, send: Any) -> None:
        most, seen = self._most(scope["path"]), 0

        async def counted() -> Any:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:  # a body that said nothing of its length
                raise TooLargeError(f"This is more than the {readable(most)} allowed.")
            return message

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                status = 413 if seen > most else message["status"]
                headers = _with_policy(message.get("headers", []))
                message = {**message, "status": status, "headers": headers}
            await send(message)

        await self.app(scope, counted, guarded)


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def is_local(host: str) -> bool:
    """Tell whether a server bound to `host` is reached from this machine alone.

    Examples
    --------
    >>> is_local("127.0.0.1"), is_local("0.0.0.0")
    (True, False)
    """
    return host.strip("[]").lower() in LOCAL


def _headers(scope: Any) -> dict[str, str]:
    return {key.decode("latin1").lower(): value.decode("latin1") for key, value in scope["headers"]}


def _query(scope: Any) -> str:
    return scope.get("query_string", b"").decode("latin1")


def _host_of(text: str) -> str:
    try:
        return (urlsplit(f"//{text}").hostname or "").lower()
    except ValueError:
        return ""


def _is_foreign(headers: dict[str, str]) -> bool:
    origin = headers.get("origin")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    if origin is None:
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdigit() else 0


def _cookie(text: str, name: str) -> str:
    try:
        jar = SimpleCookie(text)
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""


def _with_policy(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    kept = list(headers)
    names = {key.lower() for key, _ in kept}
    more = {
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"same-origin",
        b"x-frame-options": b"SAMEORIGIN",
        b"content-security-policy": POLICY.encode(),
    }
    return kept + [(key, value) for key, value in more.items() if key not in names]


async def _refuse(scope: Any, send: Any, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why})
        return
    page = status == 401 and not scope["path"].startswith("/api/")
    body = ASK.format(why=html.escape(why)) if page else f'{{"message": "{why}"}}'
    kind = b"text/html; charset=utf-8" if page else b"application/json"
    headers = _with_policy([(b"content-type", kind), (b"connection", b"close")])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
