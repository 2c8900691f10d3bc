"""A chat endpoint on this machine that can fail in every way a real one does.

Real sockets, its own thread and event loop, nothing but the standard library:

    with LoopbackServer(lambda body: "hello", fault=script("429", None, "reset")) as server:
        ask(server.base_url)
    assert server.counts == {"429": 1, "reset": 1, "ok": 5}

`reply` gives the text of a good answer to a request's body, or its message with `finish_reason`. `fault` chooses what befalls a
request (see faults.py). `models` is the list under /models, without it the models asked so far as
made long ago; `lists` counts how often it was asked for. With `streams` an answer that is asked for as a
stream goes out word by word, and `words_sent` counts them. `admits` refuses with 429 what a token bucket has no room for. As a
process of its own: `python -m tests.loopback.server --latency 0.2`; it prints its URL.
"""

import argparse
import asyncio
import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.loopback.faults import Answer, Chooser, Fault, Request, answer_badly, answer_well

DRIP_S = 0.05  # between two bytes
WORD_S = 0.002  # between two words of a stream


class TokenBucket:
    """Admits `rate` requests a second on average, and up to `burst` at once."""

    def __init__(self, rate: float, burst: float, headers: dict[str, str] | None = None) -> None:
        self.rate, self.burst, self.headers = rate, burst, headers or {}
        self._tokens, self._then = burst, time.monotonic()

    def admit(self) -> bool:
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._then) * self.rate)
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class LoopbackServer:
    """The server; a context manager. `counts` is by outcome: `ok` or the kind of fault."""

    def __init__(
        self,
        reply: Callable[[dict[str, Any]], str | dict[str, Any]] = lambda _: "ok",
        *,
        fault: Chooser = lambda _: None,
        latency_s: float = 0.0,
        admits: TokenBucket | None = None,
        keep: bool = True,
        models: dict[str, dict[str, Any]] | None = None,
        streams: bool = False,
    ) -> None:
        self.streams, self.words_sent = streams, 0
        self.models, self.lists = models, 0
        self._asked_models: set[str] = set()
        self.reply, self.fault, self.latency_s, self.admits = reply, fault, latency_s, admits
        self.counts: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.outcomes: list[tuple[float, str]] = []
        self.in_flight = self.peak_in_flight = 0
        self._keep = keep
        self._seen: Counter[bytes] = Counter()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._serving = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="loopback", daemon=True)

    def __enter__(self) -> "LoopbackServer":
        self._thread.start()
        self._serving.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # --- the loop --------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, sock=self._socket, limit=2**26)
        )
        self._loop.call_soon(self._serving.set)
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # transports close one turn later
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # The other end may be gone at any moment, and the server may be told to stop.
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            while request := await self._read(reader, writer):
                self.in_flight += 1
                self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
                try:
                    alive = await self._answer(request, reader, writer)
                finally:
                    self.in_flight -= 1
                if not alive:
                    break
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        while head[0].startswith("GET"):  # the list of models, which is no request to one
            self.lists += 1
            await _send(writer, self._list())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        at = time.monotonic()
        number, attempt = self._seen.total(), self._seen[body]
        self._seen[body] += 1
        request = Request(number, attempt, json.loads(body), headers, at)
        self._asked_models.add(str(request.body.get("model")))
        if self._keep:
            self.requests.append(request)
        return request

    def _list(self) -> Answer:
        asked = {name: {"created": 1_700_000_000} for name in self._asked_models}
        models = asked if self.models is None else self.models
        data = [{"object": "model", "id": name} | fields for name, fields in models.items()]
        return Answer(
            200, {"Content-Type": "application/json"}, json.dumps({"data": data}).encode()
        )

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; False when the connection must close."""
        fault = self._choose(request)
        self._count(fault.kind if fault else "ok")
        await asyncio.sleep(self.latency_s)
        if fault is None:
            text, fields = self._say(request)
            if self.streams and request.body.get("stream"):
                await self._stream(writer, text)
                return False
            await _send(writer, answer_well(text, request, **fields))
            return True
        return await self._fail(fault, request, reader, writer)

    async def _stream(self, writer: asyncio.StreamWriter, text: str) -> None:
        """Send the text as events, a word each, until the other end has closed."""
        writer.write(
            b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        for word in re.findall(r"\S*\s*", text):
            await _send_event(writer, {"delta": {"content": word}, "finish_reason": None})
            self.words_sent += 1
            await asyncio.sleep(WORD_S)
        await _send_event(writer, {"delta": {}, "finish_reason": "stop"})
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()

    def _say(self, request: Request) -> tuple[str, dict[str, Any]]:
        said = self.reply(request.body)
        return (said, {}) if isinstance(said, str) else (said.get("content", ""), said)

    def _choose(self, request: Request) -> Fault | None:
        if self.admits and not self.admits.admit():
            return Fault("429", headers=self.admits.headers)
        return self.fault(request)

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1
        self.outcomes.append((time.monotonic(), kind))

    async def _fail(
        self,
        fault: Fault,
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        answer = answer_badly(fault, self._say(request)[0], request)
        match fault.kind:
            case "hang":
                await asyncio.sleep(fault.seconds)
            case "reset":
                _reset(writer)
            case "short_body":
                writer.write(_head(answer, last=True) + answer.body[: len(answer.body) // 2])
                await writer.drain()
            case "drip":
                await _drip(writer, answer, fault.seconds)
            case "hang_up":
                await _send(writer, answer)
                await reader.read(1)
            case _:
                await _send(writer, answer)
                return True
        return False


# --- what goes over the wire -----------------------------------------------------------------


def _head(answer: Answer, *, last: bool = False) -> bytes:
    """The head; `last` says that the connection closes, or the next request on it would be lost."""
    headers = answer.headers | {"Content-Length": str(len(answer.body))}
    if last:
        headers["Connection"] = "close"
    lines = [f"HTTP/1.1 {answer.status} X", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(_head(answer) + answer.body)
    await writer.drain()


async def _send_event(writer: asyncio.StreamWriter, choice: dict[str, Any]) -> None:
    event = {"model": "m", "choices": [{"index": 0} | choice]}
    writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: the other end reads an error, not an end."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _drip(writer: asyncio.StreamWriter, answer: Answer, seconds: float) -> None:
    """The answer byte by byte, for so many seconds: no read ever times out."""
    writer.write(_head(answer, last=True))
    end = time.monotonic() + seconds
    for byte in answer.body:
        if time.monotonic() > end:
            break
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(DRIP_S)


def main() -> None:
    """Serve until killed; the first line of output is the base URL."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--text", default='{"reason": "Clear and kind.", "score": 7}')
    options = parser.parse_args()
    server = LoopbackServer(lambda _: options.text, latency_s=options.latency, keep=False)
    with server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
