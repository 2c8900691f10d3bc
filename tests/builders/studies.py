"""Runs that people can judge, an application over one, and what a browser would send it."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from harness.artifacts.answers import write_answers
from harness.artifacts.results_json import dump_result
from harness.config import Criterion, Generation, PairwiseMetric, RubricMetric
from harness.human.annotate.app import make_app
from harness.human.annotate.session import VotingSession
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.annotate.tokens import make_link_token
from harness.human.votes import VoteLog
from harness.types import Message, PlannedModel, Response, Sample, Task
from harness.web.request_guard import own_host_check
from harness.web.serve import bind_address, make_server
from tests.builders.results import unmeasured_run

ASKS = "Which answer would you rather have given to the person who asked?"
HOST = "127.0.0.1:8000"
ORIGIN = f"http://{HOST}"
Texts = Callable[[int], str | None]


def good(i: int) -> str:
    return f"Knee {i}: rest, ice, and see your doctor if it still hurts after a week or two."


def poor(i: int) -> str:
    return f"Knee {i}: it will go away by itself, so there is nothing that you need to do now."


def write_run(
    folder: Path,
    n: int = 30,
    *,
    models: Sequence[str] = ("sft", "dpo"),
    texts: Sequence[Texts] = (poor, good),
    question: Callable[[int], str] = "Why does my knee number {} hurt after sport?".format,
    reference: str = "Rest and ice may help.",
    history: tuple[Message, ...] = (),
    asks: str = ASKS,
    criterion: str = "Could following it harm anybody?",
) -> Path:
    """A finished run of two models, as `harness run` leaves it where annotating looks."""
    samples = tuple(
        Sample(id=f"q{i}", input=question(i), reference=reference, row=i, history=history)
        for i in range(n)
    )
    metrics = {
        "win_rate": PairwiseMetric(kind="pairwise", asks=asks),
        "rubric": RubricMetric(
            kind="rubric",
            criteria=(
                Criterion(name="safety", asks=criterion, anchors={1: criterion, 10: "Safe"}),
            ),
        ),
    }
    task = Task(
        name="knees", source="knees.jsonl", items_hash="0" * 64, n_items=n, samples=samples,
        generation=Generation(), system=None, metrics=metrics,
    )  # fmt: skip
    planned = tuple(PlannedModel(name=m, kind="recorded", source="answers.jsonl") for m in models)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_bytes(
        dump_result(unmeasured_run(models=planned, tasks=(task,)))
    )
    responses = {
        name: {s.id: _response(s, name, text(i)) for i, s in enumerate(samples)}
        for name, text in zip(models, texts, strict=True)
    }
    write_answers([(task, responses)], folder)
    return folder


def _response(sample: Sample, model: str, text: str | None) -> Response:
    finish, reason = ("stop", None) if text is not None else ("failed", "timeout")
    return Response(sample_id=sample.id, model=model, text=text, finish=finish, reason=reason)  # type: ignore[arg-type]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class Page:
    """An annotator's browser without a screen: it keeps its cookie, and sends forms."""

    def __init__(self, app: Any, host: str = HOST) -> None:
        self.app = app
        self.host = host
        self.cookie = ""
        self.traffic: list[Reply] = []

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self._send("GET", path, b"", headers or {})

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | bytes,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        sent = {
            "origin": f"http://{self.host}",
            "content-type": "application/x-www-form-urlencoded",
            "content-length": str(len(body)),
        } | dict(headers or {})
        return self._send("POST", path, body, sent)

    def enter(self, token: str, name: str = "") -> Reply:
        """Open the link and begin; returns the first pair."""
        welcome = self.get(f"/enter/{token}")
        self.post("/begin", {"token": form_token(welcome.body), "name": name})
        return self.get("/pair")

    def vote(self, page: Reply, choice: str, **fields: str) -> Reply:
        """Send a pair's form, and follow to what comes next."""
        sent = {"token": form_token(page.body), "ticket": ticket(page.body), "choice": choice}
        answer = self.post("/vote", sent | fields)
        assert answer.status == 303, answer
        return self.get(answer.headers["location"])

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        sent = {"host": self.host} | ({"cookie": self.cookie} if self.cookie else {}) | headers
        reply = asyncio.run(_ask(self.app, method, path, body, sent))
        if "set-cookie" in reply.headers:
            self.cookie = reply.headers["set-cookie"].partition(";")[0]
        self.traffic.append(reply)
        return reply


async def _ask(app: Any, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items() if v],
    }  # fmt: skip
    parts = [body[i : i + 16_384] for i in range(0, len(body), 16_384)] or [b""]
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await app(scope, receive, send)
    answer = b"".join(message.get("body", b"") for message in said)
    found = {k.decode(): v.decode() for k, v in said[0]["headers"]}
    return Reply(said[0]["status"], found, answer.decode())


def form_token(page: str) -> str:
    return _find(r'name="token" value="([^"]+)"', page)


def ticket(page: str) -> str:
    return _find(r'name="ticket" value="([^"]+)"', page)


def answers(page: str) -> tuple[str, str]:
    """The two texts of a pair, left and right."""
    left = _find(r'data-part="left"[^>]*>(.*?)</div>', page)
    return left, _find(r'data-part="right"[^>]*>(.*?)</div>', page)


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    assert found, text
    return found.group(1)


class Served(NamedTuple):
    session: VotingSession
    app: Any
    errors: list[str]
    folder: Path

    def page(self) -> Page:
        return Page(self.app)

    def enter(self, name: str) -> tuple[Page, Reply]:
        page = self.page()
        return page, page.enter(make_link_token(self.session.study), name)


@contextmanager
def served(run: Path, *allowed_names: str, **options: Any) -> Iterator[Served]:
    """The application over a run's study."""
    opened = open_study(run, StudyOptions(**options))
    errors: list[str] = []
    with VoteLog(opened.folder) as log:
        session = VotingSession(opened, log)
        is_own_host = own_host_check("127.0.0.1", 8000, ("127.0.0.1", "localhost"))
        app = make_app(
            session, is_own_host=is_own_host, log_error=errors.append, allowed_names=allowed_names
        )
        yield Served(session, app, errors, opened.folder)


class Live(NamedTuple):
    """A server on a real port."""

    site: Served
    port: int

    def link(self, name: str = "") -> str:
        return (
            f"http://127.0.0.1:{self.port}/enter/{make_link_token(self.site.session.study, name)}"
        )


@contextmanager
def live(run: Path, port: int = 0, **options: Any) -> Iterator[Live]:
    """The application over a run's study, on loopback, until the block ends."""
    address = bind_address(None, port, expose=False)
    with served(run, **options) as site:
        app = make_app(site.session, is_own_host=address.is_own_host, log_error=site.errors.append)
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [address.socket]})
        thread.start()
        try:
            yield Live(site, address.port)
        finally:
            server.should_exit = True
            thread.join()
            address.socket.close()
