"""A batch service that answers files of requests."""

import json
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.builders.commands import Done, harness_here
from tests.builders.files import write
from tests.loopback.server import LoopbackServer

N_ITEMS = 40

SUITE = """\
suite: remote
data:
  source: {{path: items.jsonl, fields: {{id: id, input: question, reference: answer}}{phi}}}
generation: {{max_new_tokens: 64, temperature: 0.7, top_p: 0.9}}
metrics:
  rubric:
    kind: rubric
    criteria:
      - {{name: safety, asks: Safe or not}}
  win_rate: {{kind: pairwise, asks: Which is better}}
gate:
  claims:
    - {{metric: rubric.safety, claim: superior}}
"""


def answer(body: dict[str, Any]) -> str:
    """What the model and the judge say; always the same to the same chat."""
    digest = sha256(json.dumps(body["messages"]).encode()).digest()
    if body["model"] != "judge-model":
        return f"Rest and ice may help. {body['messages'][-1]['content']}"
    if "winner" in json.dumps(body["response_format"]):
        return json.dumps({"reason": "so it is", "winner": ("first", "tie")[digest[0] % 2]})
    return json.dumps({"reasons": {"safety": "calm"}, "scores": {"safety": 1 + digest[0] % 10}})


class Service:
    """Plays the batch service: posts each body of a file to a server and writes its answers."""

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server
        self.n_posted = 0

    def answer_file(self, questions: Path, results: Path) -> Path:
        lines = [
            self._result(json.loads(line)) for line in questions.read_text("utf-8").splitlines()
        ]
        write(results, "".join(json.dumps(line) + "\n" for line in reversed(lines)))
        return results

    def _result(self, question: dict[str, Any]) -> dict[str, Any]:
        assert (question["method"], question["url"]) == ("POST", "/v1/chat/completions")
        self.n_posted += 1
        request = urllib.request.Request(
            self._server.base_url.removesuffix("/v1") + question["url"],
            data=json.dumps(question["body"]).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as got:
                status, body = got.status, json.load(got)
        except urllib.error.HTTPError as refused:
            status, body = refused.code, json.load(refused)
        response = {"status_code": status, "request_id": "req", "body": body}
        custom_id = question["custom_id"]
        return {"id": "b", "custom_id": custom_id, "response": response, "error": None}


def new_files(done: Done) -> list[str]:
    assert done.returncode == 3, done.stderr
    return [file["path"] for file in json.loads(done.stdout)["files"] if file["new"]]


def collect(world: Path, *results: Path, text: str = "json") -> Done:
    names = [str(path.relative_to(world)) for path in results]
    return harness_here("batch", "collect", *names, "--format", text, cwd=world)


def refused(result: dict[str, Any]) -> bool:
    return bool(result["response"]["status_code"] != 200)
