"""A hub on this machine that takes what is pushed and gives it again: the few calls of an upload, and no more."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Hub:
    """What came: the repository, whether it is private, its files, and the messages of its commits.

    With `refuses_commits` it answers each commit with that text and HTTP 507.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.created: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.commits: list[str] = []
        self.refuses_commits = ""
        self.url = ""


@contextmanager
def serve_hub(token: str) -> Iterator[Hub]:
    """The hub, which knows one token."""
    hub = Hub(token)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Bearer {hub.token}":
                self._reply(401, {"error": "Invalid credentials"})
            elif self.path == "/api/repos/create":
                hub.created = json.loads(body)
                self._reply(
                    200, {"url": f"{hub.url}/{hub.created['organization']}/{hub.created['name']}"}
                )
            elif "/preupload/" in self.path:
                files = json.loads(body)["files"]
                kinds = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                         for file in files]  # fmt: skip
                self._reply(200, {"files": kinds})
            elif "/commit/" in self.path and hub.refuses_commits:
                self._reply(507, {"error": hub.refuses_commits})
            elif "/commit/" in self.path:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "header":
                        hub.commits.append(line["value"]["summary"])
                    if line["key"] == "file":
                        hub.files[line["value"]["path"]] = base64.b64decode(
                            line["value"]["content"]
                        )
                self._reply(200, {"commitUrl": f"{hub.url}/me/tiny/commit/1", "commitOid": "1",
                                  "success": True})  # fmt: skip
            else:  # checks of the model card's metadata
                self._reply(200, {"errors": [], "warnings": []})

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if "/resolve/" in self.path:
                return self._file(self.path.partition("/resolve/main/")[2])
            siblings = [{"rfilename": name} for name in hub.files]
            return self._reply(
                200, {"id": "me/tiny", "sha": "0", "siblings": siblings, "private": True}
            )

        def _file(self, name: str) -> None:
            if name not in hub.files:
                return self._reply(
                    404, {"error": "no such file"}, {"X-Error-Code": "EntryNotFound"}
                )
            content = hub.files[name]
            etag = hashlib.sha256(content).hexdigest()
            return self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": "1" * 40})

        def _reply(
            self, status: int, value: object, headers: Mapping[str, str] | None = None
        ) -> None:
            self._send(
                status,
                json.dumps(value).encode(),
                {"Content-Type": "application/json", **(headers or {})},
            )

        def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
