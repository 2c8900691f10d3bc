"""HTTP calls to an endpoint: the only file that knows langchain-openai and the client it uses.

`ChatOpenAI` holds the endpoint's configuration, and its own OpenAI client carries the calls.
LangChain's `ainvoke` would add some 3 ms of CPU time to each, loses the text of a bad answer, and
takes a slow drip for a living connection; the OpenAI client's parser fails on a bad 200 with an
IndexError. So bytes go in and bytes come out, and replies.py reads them.
"""

import gc
import json
import os
import ssl
import sys
from collections.abc import AsyncIterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from pydantic import SecretStr

from harness.config import EndpointSpec
from harness.models.endpoint.addresses import Address
from harness.models.endpoint.event_stream import CONTENT_TYPE, EventStream
from harness.types import Message

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

MAX_BODY_BYTES = 4_000_000  # far above any answer to a rubric; a fault otherwise

# The headers that leave this machine. The library would add versions of Python and the system, and
# the headers in OPENAI_CUSTOM_HEADERS, an organisation's name among them.
_HEADERS = {b"host", b"content-length", b"content-type", b"connection", b"user-agent", b"accept"}
_OPENAI_HEADERS = {b"openai-organization", b"openai-project"}


class Ask(NamedTuple):
    """A chat request: messages, a JSON schema, and a limit and seed other than the endpoint's.

    With `until_object` nothing is wanted behind the JSON object that the reply consists of.
    """

    messages: tuple[Message, ...]
    response_format: dict[str, object] | None = None
    max_tokens: int | None = None
    seed: int | None = None
    until_object: bool = False


class Raw(NamedTuple):
    """An HTTP answer as received."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionLostError(Exception):
    """No complete answer arrived. `sent` is False when the request cannot have arrived."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


class TooLargeError(Exception):
    """The answer was longer than `MAX_BODY_BYTES`."""


class Transport:
    """An open client of an endpoint; made, used and closed in the background loop."""

    def __init__(self, spec: EndpointSpec, address: Address, key: SecretStr | None) -> None:
        """Configure the client; the first one in a process takes seconds to import."""
        # Traces would carry the patients' texts to a third party.
        os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = "false"
        self._http = _http_client(address, key)
        self._chat = _import_client()(
            model=spec.model,
            base_url=address.base_url,  # given, so that OPENAI_BASE_URL and gateways are not read
            api_key=key or SecretStr("none"),
            max_retries=0,
            http_async_client=self._http,
            openai_proxy="",  # given, so that OPENAI_PROXY, which excludes a client, is not read
            client=_NO_SYNC_CLIENT,
        )
        self._client = self._chat.root_async_client

    async def post(self, body: bytes) -> Raw:
        """Send a request and return the answer, with any status.

        Raises:
            ConnectionLostError: the connection failed, or the answer broke off or is compressed.
            TooLargeError: the answer is too long to be read.
        """
        import openai

        try:
            response = await self._client.post(
                "/chat/completions", cast_to=httpx2.Response, content=body
            )
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:
            sent = not isinstance(error.__cause__, httpx2.ConnectError)
            raise ConnectionLostError(
                _describe_failure(error.__cause__ or error), sent=sent
            ) from None
        except (TooLargeError, ConnectionLostError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the answer has broken in the library
            detail = f"the answer cannot be read ({type(error).__name__})"
            raise ConnectionLostError(detail, sent=True) from None
        return Raw(response.status_code, response.headers, response.content)

    async def list_models(self) -> bytes | None:
        """Return what the server lists under `/models`; None where it answers anything but a 200."""
        try:
            response = await self._client.get("/models", cast_to=httpx2.Response)
        except Exception:  # noqa: BLE001 - many servers have no such list
            return None
        return response.content if response.status_code == 200 else None

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def make_body(spec: EndpointSpec, address: Address, ask: Ask, *, stream: bool = False) -> bytes:
    """Return the request as JSON; the reply to a `stream` comes in pieces."""
    is_openai_api = address.openai or address.azure
    # OpenAI's newer models refuse the old name; many local servers do not know the new one.
    limit_key = spec.max_tokens_key or ("max_completion_tokens" if is_openai_api else "max_tokens")
    body: dict[str, Any] = {
        "model": spec.model,
        "messages": [{"role": m.role, "content": m.content} for m in ask.messages],
        limit_key: ask.max_tokens or spec.max_tokens,
    }
    options = {
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "top_k": spec.top_k,
        "seed": spec.seed if ask.seed is None else ask.seed,
    }
    body |= {name: value for name, value in options.items() if value is not None}
    body |= spec.extra_body
    if ask.response_format is not None:
        body["response_format"] = ask.response_format
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if is_openai_api:
        body["store"] = False
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _import_client() -> "type[ChatOpenAI]":
    """Import LangChain's class without garbage collections.

    Its first import in a process makes some hundred thousand objects that stay to the end. They
    are frozen, because examining them would take half of all collection time in a run of 2,000
    calls.
    """
    first = "langchain_openai" not in sys.modules and gc.isenabled()
    if first:
        gc.disable()
    try:
        from langchain_openai import ChatOpenAI
    finally:
        if first:
            gc.freeze()
            gc.enable()
    return ChatOpenAI


# ChatOpenAI would build a blocking client as well, with certificates; any object prevents it.
_NO_SYNC_CLIENT = object()


def _http_client(address: Address, key: SecretStr | None) -> httpx2.AsyncClient:
    kept_names = _HEADERS | (_OPENAI_HEADERS if address.openai else set())
    own = [(b"Accept-Encoding", b"identity")]
    if key:
        own.append((b"Authorization", f"Bearer {key.get_secret_value()}".encode()))

    async def filter_headers(request: httpx2.Request) -> None:
        allowed = [(k, v) for k, v in request.headers.raw if k.lower() in kept_names]
        request.headers = httpx2.Headers([*allowed, *own])

    return httpx2.AsyncClient(
        transport=ConnectionPool(
            max_bytes=MAX_BODY_BYTES,
            verify=False if address.loopback else httpx2.create_ssl_context(),
            proxy=_proxy_for(address),
        ),
        event_hooks={"request": [filter_headers]},
        follow_redirects=False,  # a redirect would carry the key to another host
        timeout=None,  # httpx's are per read, and a slow drip outlives them; attempts.py has one
    )


def _proxy_for(address: Address) -> str | None:
    """Return this machine's proxy; None for loopback, or the proxy would read every request."""
    if address.loopback or proxy_bypass(address.host):
        return None
    return getproxies().get(urlsplit(address.base_url).scheme)


def _describe_failure(error: BaseException) -> str:
    """Return the kind of a connection failure, not its text, which may quote the request."""
    names = {
        "ConnectError": "cannot connect",
        "ReadError": "the connection was reset",
        "RemoteProtocolError": "the answer broke off",
    }
    kind = type(error).__name__
    return names.get(kind, kind)


class ConnectionPool(httpx2.AsyncBaseTransport):
    """A pool of connections that reads whole answers, up to `max_bytes` each."""

    def __init__(
        self, *, max_bytes: int, verify: ssl.SSLContext | bool, proxy: str | None = None
    ) -> None:
        self._max_bytes = max_bytes
        self._verify = verify
        self._proxy = proxy
        self._connections: list[httpx2.AsyncHTTPTransport] = []
        self._idle: list[httpx2.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return the answer with its body read.

        Raises:
            TooLargeError: the body is longer than `max_bytes`.
            ConnectionLostError: the body is compressed, or comes in pieces and breaks off.
            httpx2.RequestError: there is no complete answer.
        """
        connection = self._idle.pop() if self._idle else self._open()
        try:
            response = await connection.handle_async_request(request)
            try:
                body = await self._read(response)
            finally:
                await response.aclose()
        finally:
            self._idle.append(connection)
        # Without its charset, which may name a codec that is none of texts, such as hex.
        headers = [
            (name, value.partition(b";")[0] if name.lower() == b"content-type" else value)
            for name, value in response.headers.raw
        ]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            stream=httpx2.ByteStream(body),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            await connection.aclose()

    def _open(self) -> httpx2.AsyncHTTPTransport:
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
        connection = httpx2.AsyncHTTPTransport(
            verify=self._verify, limits=limits, proxy=self._proxy, trust_env=False
        )
        self._connections.append(connection)
        return connection

    async def _read(self, response: httpx2.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            # A small compressed body can unfold to gigabytes.
            raise ConnectionLostError("the answer is compressed, unasked", sent=True)
        kind = response.headers.get("content-type", "")
        streamed = response.status_code == 200 and kind.startswith(CONTENT_TYPE)
        events = EventStream() if streamed else None
        assert isinstance(response.stream, AsyncIterable)
        pieces, length = [], 0
        async for piece in response.stream:
            pieces.append(piece)
            length += len(piece)
            if length > self._max_bytes:
                raise TooLargeError
            if events:
                events.feed(piece)
                if events.ended:
                    break
        if events is None:
            return b"".join(pieces)
        whole = events.completion()
        if whole is None:
            raise ConnectionLostError("the answer broke off", sent=True)
        return whole
