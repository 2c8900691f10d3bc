"""The server's life: an address, links for annotators, and Ctrl-C."""

import asyncio
import logging
import os
import platform
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import HarnessError
from harness.core.signals import acknowledge_interrupt
from harness.human.annotate.app import make_app
from harness.human.annotate.request_guard import is_wildcard, our_hosts
from harness.human.annotate.session import VotingSession
from harness.human.annotate.tokens import ANYONE, make_link_token
from harness.types import Study

if TYPE_CHECKING:
    from uvicorn import Server

LOOPBACK = ("127.0.0.1", "localhost", "::1")


HEADERS_S = 10.0  # for a request's line and headers to arrive


CONNECTIONS = 100


class Address(NamedTuple):
    """Where a study is served; `names` are what its Host header may say."""

    host: str
    port: int
    socket: socket.socket

    @property
    def names(self) -> tuple[str, ...]:
        """What this machine may be called in a link."""
        if self.host in LOOPBACK:
            return LOOPBACK
        own = (platform.node(), socket.getfqdn())
        return (*own, *LOOPBACK) if is_wildcard(self.host) else (self.host, *own)

    @property
    def url(self) -> str:
        """The beginning of every link."""
        host = platform.node() if is_wildcard(self.host) else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def bind_address(host: str | None, port: int, *, expose: bool) -> Address:
    """A listening socket; port 0 takes a free one.

    Without a host it is this machine's loopback, or every address of it with `expose`.

    Raises:
        HarnessError: the host is not this machine's, the port is taken, or others could reach it
            without `expose`.
    """
    host = host or ("0.0.0.0" if expose else LOOPBACK[0])  # noqa: S104 - that is what expose is
    if host not in LOOPBACK and not expose:
        raise HarnessError(
            f"--host {host}: other machines could reach the page. Say so with --expose, or leave "
            "--host out to serve it on this one alone."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise HarnessError(
            f"--host {host} --port {port}: {error.strerror}. Give another --port, or none for a "
            "free one."
        ) from None
    listening.listen(CONNECTIONS)
    return Address(host, listening.getsockname()[1], listening)


def make_links(study: Study, address: Address, annotators: Sequence[str]) -> dict[str, str]:
    """A link for each annotator by name; one for anyone where nobody is named."""
    return {
        name: f"{address.url}/enter/{make_link_token(study, name)}"
        for name in annotators or [ANYONE]
    }


@contextmanager
def open_in_browser(link: str, folder: Path) -> Iterator[None]:
    """Open a link in the browser by way of a file that only its owner may read.

    As an argument of the browser it would be seen by everybody who may list processes.
    """
    import typer

    path = folder / "open.html"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={link}">')
    try:
        typer.launch(path.resolve().as_uri())
        yield
    finally:
        path.unlink(missing_ok=True)


def serve_session(
    session: VotingSession,
    address: Address,
    annotators: Sequence[str],
    log_error: Callable[[str], None],
) -> None:
    """Serve until Ctrl-C or SIGTERM; requests under way are answered first.

    Where annotators are named, nobody else may vote.
    """
    server = make_server(session, address, annotators, log_error)
    try:
        server.run(sockets=[address.socket])
    except KeyboardInterrupt:  # uvicorn raises the signal again when it has finished
        acknowledge_interrupt()


def make_server(
    session: VotingSession,
    address: Address,
    annotators: Sequence[str],
    log_error: Callable[[str], None],
) -> "Server":
    """The server, not yet running."""
    import uvicorn

    is_ours = our_hosts(address.host, address.port, address.names)
    app = make_app(session, is_ours=is_ours, log_error=log_error, admitted=annotators)
    # A bad request is the sender's business; nothing of one may reach the terminal.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        http=_patient_protocol(),
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


def _patient_protocol() -> type[asyncio.Protocol]:
    """The HTTP/1.1 of uvicorn, with an end to waiting for headers that do not come."""
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class PatientProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait_no_longer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._wait()
            else:
                self._wait_no_longer()

        def _wait(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(HEADERS_S, self._hang_up)

        def _wait_no_longer(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _hang_up(self) -> None:
            if self.conn.their_state is h11.IDLE:
                self.transport.close()

    return PatientProtocol
