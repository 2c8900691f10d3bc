"""Checks of every request, and security headers of every reply.

A page on this machine can be reached by every other page that is open in the browser. Therefore
the Host must be our own (a foreign name that resolves to this machine is refused: DNS rebinding),
and a request that changes anything must come from our own Origin, with a small body that arrives
in time.
"""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 65_536  # bytes
BODY_S = 10.0
ENTRY = "/enter/"  # other pages may link here

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # no-referrer would also blank the Origin of our own forms
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """An ASGI middleware that refuses foreign requests and reads bodies in time.

    A reply of the application that states a header itself keeps it.
    """

    def __init__(
        self,
        app: "ASGIApp",
        *,
        is_own_host: Callable[[str], bool],
        entries: tuple[str, ...] = (ENTRY,),
    ) -> None:
        """Wrap `app`; `is_own_host` decides whether a Host header names this server.

        Other pages may link to paths that begin like one of `entries`: each holds a token.
        """
        self.app = app
        self._is_own_host = is_own_host
        self._entries = entries

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Refuse the request, or pass it on with its body read."""
        if scope["type"] != "http":
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal is not None:
            await _refuse(*refusal, send)
            return
        try:
            async with asyncio.timeout(BODY_S):
                body = await _read_body(receive)
        except TimeoutError:
            await _refuse(408, "The request took too long.", send)
            return
        if body is None:
            await _refuse(413, "The request is too large.", send)
            return
        await self.app(scope, _replay(body, receive), _with_headers(send))

    def _refusal(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return the status and reason for refusing a request; None to accept it."""
        # Any request: our own host, and not from another page.
        if not self._is_own_host(headers.get("host", "")):
            return 421, "This address is not served here."
        site = headers.get("sec-fetch-site", "none")
        if site not in {"same-origin", "none"} and not (
            method == "GET" and path.startswith(self._entries)
        ):
            return 403, "Other pages may not ask this one."
        # A request that changes something: a small form from our own page.
        if method in {"GET", "HEAD"}:
            return None
        if method != "POST":
            return 405, "This cannot be done here."
        if not self._from_our_page(headers):
            return 403, "Other pages may not send anything here."
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return 415, "Only forms are read here."
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:12]) > MAX_BODY:
            return 413, "The request is too large."
        return None

    def _from_our_page(self, headers: dict[str, str]) -> bool:
        """Compare the Origin, which every browser sends with a form, with our host."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") == "same-origin"
        return (
            self._is_own_host(urlsplit(origin).netloc)
            and urlsplit(origin).netloc == headers["host"]
        )


def own_host_check(host: str, port: int, names: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a check whether a Host header is one of `names` with this port.

    A server bound to every address accepts any IP address too: an attacker's domain can resolve to
    this machine, an address in the header cannot be an attacker's domain.
    """
    own_hosts = {f"{_bracketed(name)}:{port}".lower() for name in names}
    accepts_addresses = is_wildcard(host)

    def is_own_host(header: str) -> bool:
        if header.lower() in own_hosts:
            return True
        name, _, header_port = header.rpartition(":")
        return accepts_addresses and header_port == str(port) and _is_address(name.strip("[]"))

    return is_own_host


def is_wildcard(host: str) -> bool:
    """Return whether a server bound to this host listens on every address of the machine."""
    return _is_address(host) and ip_address(host).is_unspecified


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


async def _read_body(receive: "Receive") -> bytes | None:
    """Read the whole body; return None if it is larger than MAX_BODY."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body


def _replay(body: bytes, receive: "Receive") -> "Receive":
    sent = False

    async def replay() -> "Message":
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: "Send") -> "Send":
    ours = [(key.encode(), value.encode()) for key, value in HEADERS.items()]

    async def wrapped(message: "Message") -> None:
        if message["type"] == "http.response.start":
            stated = list(message.get("headers", ()))
            names = {bytes(name) for name, _ in stated}
            extra = [header for header in ours if header[0] not in names]
            message = {**message, "headers": [*stated, *extra]}
        await send(message)

    return wrapped


async def _refuse(status: int, why: str, send: "Send") -> None:
    body = f"{why}\n".encode()
    send = _with_headers(send)
    head = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
