"""The connections under the client: one small pool for each request in flight.

httpcore's pool looks through all of its connections at every request; at 64 that is a third of a
call's CPU time. Here a request takes the lane that was used last, and a lane has one connection.
"""

import ssl
from collections.abc import AsyncIterable

import httpx2


class BodyTooLargeError(Exception):
    """The answer's body passed the limit and was not read to its end."""


class UnreadableBodyError(Exception):
    """The answer's body is compressed, though none of it was asked for."""


class Lanes(httpx2.AsyncBaseTransport):
    """Sends requests and reads their whole answers, up to `max_bytes` each."""

    def __init__(
        self, *, max_bytes: int, verify: ssl.SSLContext | bool, proxy: str | None = None
    ) -> None:
        self._max_bytes = max_bytes
        self._verify = verify
        self._proxy = proxy
        self._lanes: list[httpx2.AsyncHTTPTransport] = []
        self._idle: list[httpx2.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer with its body read.

        Raises:
            BodyTooLargeError: it is longer than allowed.
            UnreadableBodyError: it is compressed.
            httpx2.RequestError: there is no whole answer.
        """
        lane = self._idle.pop() if self._idle else self._open()
        try:
            response = await lane.handle_async_request(request)
            try:
                body = await self._read(response)
            finally:
                await response.aclose()
        finally:
            self._idle.append(lane)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=httpx2.ByteStream(body),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for lane in self._lanes:
            await lane.aclose()

    def _open(self) -> httpx2.AsyncHTTPTransport:
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
        lane = httpx2.AsyncHTTPTransport(
            verify=self._verify, limits=limits, proxy=self._proxy, trust_env=False
        )
        self._lanes.append(lane)
        return lane

    async def _read(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            # A small compressed body can unfold to gigabytes.
            raise UnreadableBodyError
        assert isinstance(response.stream, AsyncIterable)
        pieces, length = [], 0
        async for piece in response.stream:
            pieces.append(piece)
            length += len(piece)
            if length > self._max_bytes:
                raise BodyTooLargeError
        return b"".join(pieces)
