"""Who may talk to the page: this machine's own browser, with the token, and nobody through it."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_MESSAGE = 1 << 20
"""Bytes of a request that brings no picture."""
UPLOADS = "/photos"
_SAFE = ("GET", "HEAD")
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_HEADERS = {
    # The toolkit builds its page with a template compiler and inline parts: those of this server
    # alone. Nothing is fetched from, sent to or framed by anyone else.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_ENTERED = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    "<title>dit4sr</title>"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request must have.

    Args:
        token: known to whoever started the page; None: nobody is asked.
        host: that the page listens on.
        cookie: which holds the token; two pages on one machine have two.
        max_upload: bytes of a picture.
    """

    token: str | None
    host: str
    cookie: str
    max_upload: int


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: HTTPStatus
    reason: str


def new_token() -> str:
    """256 bits that nobody guesses."""
    return secrets.token_urlsafe(32)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


class Guard:
    """Stands before an app and lets through what the rules allow; the rest ends here."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, let in with the token, or hand on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, send, refusal)
        elif scope["type"] == "http" and _token_in(scope) is not None:
            await self._enter(send)
        else:
            await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Mapping[str, list[str]]) -> _Refusal | None:
        host = headers.get("host", [])
        if len(host) != 1 or not _is_ours(host[0], self._rules.host):
            return _Refusal(HTTPStatus.MISDIRECTED_REQUEST, "not the name of this page")
        is_reading = scope["type"] == "http" and scope["method"] in _SAFE
        if not is_reading and not _is_same_origin(headers.get("origin", []), host[0]):
            return _Refusal(HTTPStatus.FORBIDDEN, "from another page")
        if not self._is_known(scope, headers):
            reason = "open the address that `dit4sr ui` has printed, with its token"
            return _Refusal(HTTPStatus.FORBIDDEN, reason)
        return None if is_reading or scope["type"] != "http" else self._too_large(scope, headers)

    def _is_known(self, scope: Scope, headers: Mapping[str, list[str]]) -> bool:
        token = self._rules.token
        if token is None:
            return True
        sent = _token_in(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if sent is None:
            sent = _cookie(headers.get("cookie", []), self._rules.cookie)
        return secrets.compare_digest(sent.encode(), token.encode())

    def _too_large(self, scope: Scope, headers: Mapping[str, list[str]]) -> _Refusal | None:
        """The server reads no more than a request announces, so that its word is enough."""
        length = headers.get("content-length", [])
        if len(length) != 1 or not length[0].isdecimal():
            return _Refusal(HTTPStatus.LENGTH_REQUIRED, "does not say how long it is")
        most = self._rules.max_upload if scope["path"] == UPLOADS else MAX_MESSAGE
        if int(length[0]) > most:
            return _Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"larger than {most / 1e6:.0f} MB, the most that is taken here",
            )
        return None

    async def _enter(self, send: Send) -> None:
        """Keep the token where scripts and other pages cannot read it, and drop it from the bar.

        The page that follows is asked for by this one, so the strictest cookie goes with it even
        where the address was followed from elsewhere.
        """
        kept = f"{self._rules.cookie}={self._rules.token}; Path=/; HttpOnly; SameSite=Strict"
        more = {} if self._rules.token is None else {"set-cookie": kept}
        await _answer(send, HTTPStatus.OK, _ENTERED, "text/html", more)


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _token_in(scope: Scope) -> str | None:
    values = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return values[0] if values and scope["path"] == "/" else None


def _cookie(headers: list[str], name: str) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        for header in headers:
            jar.load(header)
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""


def _is_ours(header: str, host: str) -> bool:
    """Whether a browser that sends this Host header was told an address of ours.

    A page elsewhere can have its own name point to this machine (DNS rebinding), but then the
    browser sends that name. An address in figures cannot be made to point elsewhere.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if name in (*_LOOPBACK_NAMES, host):
        return True
    return not is_loopback(host) and (
        _address(name) is not None or name == socket.gethostname().lower()
    )


def _is_same_origin(origins: list[str], host: str) -> bool:
    """Browsers name the origin of all that changes something; programs may, too."""
    if len(origins) != 1:
        return False
    try:
        origin = urlsplit(origins[0])
    except ValueError:
        return False
    return origin.scheme in ("http", "https") and origin.netloc.lower() == host.lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


async def _refuse(scope: Scope, send: Send, refusal: _Refusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await _answer(
        send, refusal.status, f"refused: {refusal.reason}\n", "text/plain", {"connection": "close"}
    )


async def _answer(
    send: Send, status: HTTPStatus, text: str, kind: str, more: Mapping[str, str]
) -> None:
    body = text.encode()
    headers = {
        "content-type": f"{kind}; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **_HEADERS,
        **more,
    }
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]

    async def sending(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}  # type: ignore[misc]
        await send(message)

    return sending  # type: ignore[return-value]
