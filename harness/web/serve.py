"""A server of pages on this machine: its address, how it is started, and its end by Ctrl-C."""

import asyncio
import logging
import os
import platform
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import HarnessError
from harness.core.files import write_private
from harness.core.signals import acknowledge_interrupt
from harness.web.request_guard import is_wildcard, own_host_check

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Server

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS_S = 10.0  # until a request's line and headers have arrived
CONNECTIONS = 100


class Address(NamedTuple):
    """The bound address of a server, with its listening socket."""

    host: str
    port: int
    socket: socket.socket

    @property
    def names(self) -> tuple[str, ...]:
        """Return the host names that a link to this server may have."""
        if self.host in LOOPBACK:
            return LOOPBACK
        own = (platform.node(), socket.getfqdn())
        return (*own, *LOOPBACK) if is_wildcard(self.host) else (self.host, *own)

    @property
    def url(self) -> str:
        """Return the URL of the server, without a path."""
        host = platform.node() if is_wildcard(self.host) else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_own_host(self) -> Callable[[str], bool]:
        """Return the check whether a Host header names this server."""
        return own_host_check(self.host, self.port, self.names)


def bind_address(host: str | None, port: int, *, expose: bool) -> Address:
    """Bind a listening socket; port 0 takes a free port.

    The default host is the loopback address, or with `expose` every address of this machine.

    Raises:
        HarnessError: the host is not this machine's, the port is taken, or other machines could
            reach the host and `expose` is not set.
    """
    host = host or ("0.0.0.0" if expose else LOOPBACK[0])  # noqa: S104 - the purpose of `expose`
    if host not in LOOPBACK and not expose:
        raise HarnessError(
            f"--host {host}: other machines could reach the page. Allow this with --expose, or "
            "leave --host out to serve it on this machine only."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server_socket = socket.socket(family, socket.SOCK_STREAM)
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server_socket.bind((host, port))
    except OSError as error:
        server_socket.close()
        raise HarnessError(
            f"--host {host} --port {port}: {error.strerror}. Give another --port, or none for a "
            "free one."
        ) from None
    server_socket.listen(CONNECTIONS)
    return Address(host, server_socket.getsockname()[1], server_socket)


@contextmanager
def open_in_browser(link: str, folder: Path) -> Iterator[None]:
    """Open a link in the browser through a redirecting file that only its owner may read.

    The arguments of the browser's process are visible to every user of the machine. Where there is no
    screen, as in a session of ssh, nothing is opened.
    """
    if not _has_screen():
        yield
        return
    import typer

    path = folder / "open.html"
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={link}">'
    write_private(path, page.encode())
    try:
        typer.launch(path.resolve().as_uri())
        yield
    finally:
        path.unlink(missing_ok=True)


def _has_screen() -> bool:
    return platform.system() != "Linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def serve_app(app: "ASGIApp", address: Address) -> None:
    """Serve until Ctrl-C or SIGTERM; requests in progress are answered first."""
    server = make_server(app)
    try:
        server.run(sockets=[address.socket])
    except KeyboardInterrupt:  # uvicorn raises the signal again when it has finished
        acknowledge_interrupt()


def make_server(app: "ASGIApp") -> "Server":
    """Make the server of an application; the caller runs it."""
    import uvicorn

    # Nothing from a bad request may reach the terminal.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        http=_protocol_with_header_timeout(),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        backlog=CONNECTIONS,
    )
    return uvicorn.Server(config)


def _protocol_with_header_timeout() -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP/1.1 protocol with a timeout for the headers of a request."""
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class HeaderTimeoutProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._start_timer()
            else:
                self._stop_timer()

        def _start_timer(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(HEADERS_S, self._close_if_idle)

        def _stop_timer(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _close_if_idle(self) -> None:
            if self.conn.their_state is h11.IDLE:
                self.transport.close()

    return HeaderTimeoutProtocol
