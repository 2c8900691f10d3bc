"""A server that somebody else runs on a checkpoint, in this process, and may start on another one."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness.config import Generation, ServeSpec
from harness.models.local import LocalModel, encode_chat
from harness.types import Message


class CheckpointServer(ThreadingHTTPServer):
    """A chat endpoint, as a context manager; `folders` has the checkpoint of each request, the last from there on."""

    def __init__(self, *folders: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        loaded = {folder: LocalModel.load(folder) for folder in set(folders)}
        self.models = [loaded[folder] for folder in folders]
        self.n_asked = 0
        self.lock = threading.Lock()
        self.serve = ServeSpec(base_url=f"http://127.0.0.1:{self.server_port}/v1", model="m")
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> "CheckpointServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a request greedily, with the tokens of prompt and answer counted."""
        prompt = tuple(Message(**message) for message in body["messages"])
        with self.lock:
            model = self.models[min(self.n_asked, len(self.models) - 1)]
            self.n_asked += 1
            generation = Generation(max_new_tokens=body["max_tokens"])
            (answer,) = model.answer([prompt], generation, seeds=[1])
        usage = {
            "prompt_tokens": len(encode_chat(model.tokenizer, prompt)),
            "completion_tokens": (answer.n_tokens or 0) + (answer.finish == "stop"),
        }
        choice = {"message": {"content": answer.text}, "finish_reason": answer.finish}
        return {"model": body["model"], "choices": [choice], "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CheckpointServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self.server.answer(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
