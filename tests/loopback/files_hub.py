"""A hub on this machine that gives files: models and data sets, as its clients ask for them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve_files(
    repositories: Mapping[str, Mapping[str, bytes]], commit: str = COMMIT
) -> Iterator[tuple[str, list[str]]]:
    """The hub's address, and the paths that it was asked for.

    Repositories are named `models/me/tiny` or `datasets/me/rows`; each has one commit.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            asked.append(path)
            for name, files in repositories.items():
                place = name.removeprefix("models/")
                if path.startswith(f"/{place}/resolve/{commit}/"):
                    return self._file(files, path.partition(f"/{commit}/")[2])
                if path.startswith(f"/api/{name}/tree/"):
                    return self._reply([_entry(file, files[file]) for file in files])
                if path.startswith(f"/api/{name}"):
                    siblings = [{"rfilename": file} for file in files]
                    return self._reply({"id": place.removeprefix("datasets/"), "sha": commit,
                                        "siblings": siblings, "private": False})  # fmt: skip
            return self._reply({"error": "not here"}, status=404)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            path = unquote(urlsplit(self.path).path)
            asked.append(path)
            for name, files in repositories.items():
                if path.startswith(f"/api/{name}/paths-info/"):
                    return self._reply([_entry(f, files[f]) for f in files if f in unquote(body)])
            return self._reply({}, status=404)

        def _file(self, files: Mapping[str, bytes], name: str) -> None:
            if name not in files:
                return self._reply({"error": "no such entry"}, status=404, code="EntryNotFound")
            etag = hashlib.sha256(files[name]).hexdigest()
            self._send(200, files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": commit})
            return None

        def _reply(self, value: object, *, status: int = 200, code: str = "RepoNotFound") -> None:
            headers = {"Content-Type": "application/json"}
            if status != 200:
                headers |= {"X-Error-Code": code, "X-Repo-Commit": commit}
            self._send(status, json.dumps(value).encode(), headers)

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
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def _entry(name: str, content: bytes) -> dict[str, object]:
    oid = hashlib.sha1(content).hexdigest()
    return {"type": "file", "path": name, "size": len(content), "oid": oid}
