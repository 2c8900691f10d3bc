"""A server on this machine of embeddings (OpenAI's /v1/embeddings: word counts) and of scores (Cohere's /v1/rerank)."""

import json
import re
import threading
import zlib
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIMENSIONS = 512


def word_counts(text: str) -> list[float]:
    """Return how often the words of a text occur, each in a place of its own."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % DIMENSIONS] += 1.0
    return vector


def longest_first(question: str, text: str) -> float:
    """Score a text by its length."""
    return float(len(text))


class EmbeddingsServer:
    """The server; a context manager.

    `asked` counts the texts, and `pairs` the questions with a text that were to be scored. `embed` and `score` are its
    models. `fail` says, given a request's texts, with which status and words it fails.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.embed: Callable[[str], list[float]] = word_counts
        self.score: Callable[[str, str], float] = longest_first
        self.fail: Callable[[list[str]], tuple[int, str] | None] = lambda texts: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                texts = body["input"] if "input" in body else [body["query"], *body["documents"]]
                failed = server.fail(texts)
                if failed is not None:
                    self.answer(failed[0], {"error": {"message": failed[1]}})
                elif self.path == "/v1/rerank":
                    self.answer(200, {"results": server.rerank(body["query"], body["documents"])})
                else:
                    server.asked.update(texts)
                    data = [
                        {"index": i, "embedding": server.embed(text)}
                        for i, text in enumerate(texts)
                    ]
                    self.answer(200, {"object": "list", "model": body["model"], "data": data})

            def answer(self, status: int, reply: dict[str, Any]) -> None:
                content = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def rerank(self, question: str, texts: list[str]) -> list[dict[str, float]]:
        """Score the texts; the best come first, as in replies of real servers."""
        self.pairs.update((question, text) for text in texts)
        scored = [
            {"index": i, "relevance_score": self.score(question, t)} for i, t in enumerate(texts)
        ]
        return sorted(scored, key=lambda one: -one["relevance_score"])

    def __enter__(self) -> "EmbeddingsServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
