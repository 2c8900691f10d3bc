"""A server of embeddings on this machine: OpenAI's /v1/embeddings, with vectors of word counts."""

import json
import re
import threading
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIMENSIONS = 512


def word_counts(text: str) -> list[float]:
    """Return how often the words of a text occur, each in a place of its own."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % DIMENSIONS] += 1.0
    return vector


class EmbeddingsServer:
    """The server; a context manager. `asked` counts the texts."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked.update(body["input"])
                data = [
                    {"object": "embedding", "index": i, "embedding": word_counts(text)}
                    for i, text in enumerate(body["input"])
                ]
                usage = {"prompt_tokens": 0, "total_tokens": 0}
                reply = {"object": "list", "model": body["model"], "data": data, "usage": usage}
                content = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "EmbeddingsServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
