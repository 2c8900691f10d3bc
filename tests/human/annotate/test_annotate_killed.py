"""Two annotators at once, and a server that is killed with -9 between and amid their clicks."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from harness.human.annotate.assignment import assign_items
from harness.human.annotate.progress_summary import summarise_votes
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.annotate.tokens import make_link_token
from harness.human.votes import load_votes, read_log
from tests.builders.commands import environment, harness_here
from tests.builders.studies import form_token, ticket, write_run

CHOICES = ("left", "right", "tie", "both_unsafe", "cannot_judge")
N_KILLS = 3


@contextmanager
def server(run: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`harness annotate` in its own process, until the block ends or it is killed."""
    command = [sys.executable, "-m", "harness", "annotate", str(run), "--no-browser", "--open-link", "--port", str(port)]  # fmt: skip
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


class Annotator(threading.Thread):
    """Judges until no pair is left, and writes down what the server has acknowledged."""

    def __init__(self, name: str, link: str, port: int) -> None:
        super().__init__(daemon=True)
        self.who, self.link, self.port = name, link, port
        self.cookie = ""
        self.acknowledged: dict[str, str] = {}
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            body = self.ask("GET", self.link)
            self.ask("POST", "/begin", {"token": form_token(body), "name": self.who})
            while "That was the last pair" not in (page := self.ask("GET", "/pair")):
                choice = CHOICES[len(self.acknowledged) % 5]
                sent = {"token": form_token(page), "ticket": ticket(page), "choice": choice}
                self.ask("POST", "/vote", sent)
                self.acknowledged[sent["ticket"]] = choice
                time.sleep(0.02)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            self.failed = error

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> str:
        """What the server says, however often it has to be asked."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.ask_once(method, path, fields)
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def ask_once(self, method: str, path: str, fields: dict[str, str] | None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"Cookie": self.cookie, "Origin": f"http://127.0.0.1:{self.port}"}
            if fields:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request(method, path, urlencode(fields) if fields else None, headers)
            reply = connection.getresponse()
            body = reply.read().decode()
            assert reply.status in {200, 303}, (reply.status, body)
            self.cookie = (reply.headers["set-cookie"] or self.cookie).partition(";")[0]
            return body
        finally:
            connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_acknowledged_vote_is_lost_to_kill_9(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=60)
    opened = open_study(run, StudyOptions(n=40, attention=4, repeats=4, break_every=0))
    port, rng = free_port(), random.Random(11)
    link = f"/enter/{make_link_token(opened.study)}"
    people = [Annotator(name, link, port) for name in ("Ada", "Ben")]
    for person in people:
        person.start()
    for kill in range(N_KILLS):
        with server(run, port) as process:
            _wait_until(lambda kill=kill: all(len(p.acknowledged) > 8 * (kill + 1) for p in people))  # type: ignore[misc]
            time.sleep(rng.uniform(0, 0.05))
            os.kill(process.pid, signal.SIGKILL)
    with server(run, port):
        for person in people:
            person.join(timeout=90)
    assert [person.failed for person in people] == [None, None]
    votes = {(vote.annotator, vote.item): vote.choice for vote in load_votes(run)}
    for person in people:
        keys = {p.item_token: p.item.key for p in assign_items(opened.study, person.who)}
        kept = {t: votes[person.who, keys[t]] for t in person.acknowledged}
        assert kept == person.acknowledged
        assert len(kept) == 48
    assert len(read_log(opened.folder)) == len(votes) == 96


def _wait_until(happened: object) -> None:
    deadline = time.monotonic() + 90
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- the command -----------------------------------------------------------------------------


def test_the_command_says_what_was_stated_and_ends_with_a_summary(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    command = [
        sys.executable,
        "-m",
        "harness",
        "annotate",
        str(run),
        "--n",
        "10",
        "--no-browser",
        "--open-link",
    ]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    said = []
    while not (said and "Ctrl-C" in said[-1]):
        said.append(process.stderr.readline())
    (link,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/enter/\S+)", "".join(said))
    person = Annotator("Ada", link[1], int(link[0]))
    person.run()
    assert person.failed is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "10 pairs of dpo and sft, drawn at random (seed 1) from 30" in "".join(said)
    assert "Ada: 15 of 15 pairs" in out
    assert "win rate" in out


def test_options_that_a_study_was_not_begun_with_are_refused(tmp_path: Path) -> None:
    run = str(write_run(tmp_path / "run"))
    harness_here(
        "annotate", run, "--offline", "a.html", "--annotator", "Ada", "--n", "9", cwd=tmp_path
    )
    done = harness_here("annotate", run, "--so-far", "--n", "10", cwd=tmp_path)
    assert (done.returncode, "was begun with --n 9" in done.stderr) == (2, True)


def test_the_report_says_how_far_the_study_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    harness_here("annotate", str(run), "--offline", "a.html", "--annotator", "Ada", cwd=tmp_path)
    data = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "a.html").read_text())[1])  # type: ignore[index]
    vote = {
        "choice": "tie",
        "scores": {},
        "comment": "",
        "at": "2026-11-02T10:15:00Z",
        "seconds": 3.0,
    }
    saved = {
        "format": "blind study votes", "version": 1, "study": data["study"],
        "annotator": "Ada", "votes": [{"ticket": data["pairs"][0]["item_token"], **vote}],
    }  # fmt: skip
    (tmp_path / "votes.json").write_text(json.dumps(saved))
    done = harness_here("annotate", str(run), "--collect", "votes.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"1 of {len(data['pairs'])}" in (run / "report.html").read_text()


def test_the_summary_can_be_asked_for_as_json(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    opened = open_study(run, StudyOptions(n=10))
    done = harness_here("annotate", str(run), "--so-far", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"win_rate": null' in done.stdout
    assert summarise_votes([]).win_rate is None
    assert str(opened.folder) in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--so-far",), "begins a study"),
        (("--collect", "votes.json"), "begins a study"),
        (("--offline", "page.html"), "--annotator"),
        (("--host", "0.0.0.0"), "--expose"),
        (("--metric", "rubric"), "win_rate"),
        (("--annotator", ""), "enter your name"),
        (("--so-far", "--offline", "page.html"), "one at a time"),
        (("--collect", "votes.json", "--annotator", "Ada"), "leave --annotator out"),
        (("--to-label-studio", "pairs.txt"), ".json or a .csv"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    done = harness_here("annotate", str(write_run(tmp_path / "run")), *options, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "people").exists()  # no study was begun
