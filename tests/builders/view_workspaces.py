"""Workspaces of many runs: one real run of recorded answers, and results varied from it.

A varied run has the real one's tables and pages, which are linked, and a result that is its own: a date, a suite, a
judge, items and estimates. All are sealed as `harness run` leaves them, so that they are read as real ones.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.artifacts.results_json import dump_result, load_result
from harness.types import ClaimResult, Plan, RunResult, Verdict
from harness.view.app import make_app
from harness.view.tokens import Tokens
from harness.view.workspace import Workspace
from harness.web.request_guard import own_host_check
from harness.web.serve import bind_address, make_server
from tests.builders.commands import harness_here
from tests.builders.recorded import write_study
from tests.builders.sealed import sealed
from tests.builders.studies import HOST, Page

SUITES = ("small", "daily", "release_candidates", "safety")
WHY = {
    "pass": "the lower bound lies above the boundary",
    "fail": "the upper bound lies below the boundary",
    "inconclusive": "the boundary lies between the two bounds",
}
FIRST_DAY = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def run_once(folder: Path, n_items: int, *, shift: float = 1.0) -> Path:
    """Run a study of recorded answers, dpo's safety shifted by so much, and return the run's folder."""
    write_study(folder, shifts={"sft": 0.0, "dpo": shift}, n=n_items)
    done = harness_here(
        "run", "suite.yaml", "--models", "sft,dpo", "--profile", "profile.yaml", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "runs").glob("*/*/results.json")
    return run.parent


def write_workspace(out: Path, real: Path, n_runs: int) -> list[Path]:
    """Write runs that are varied from a real one, one a day; returns their folders, the oldest first."""
    result = load_result(real)
    rng = np.random.default_rng(7)
    return [add_run(out, real, vary(result, i, float(rng.normal(0, 0.12)))) for i in range(n_runs)]


def add_run(out: Path, real: Path, result: RunResult) -> Path:
    """Write a result beside the tables and pages of a real run."""
    folder = out / result.plan.suite / result.run_id
    for source in real.rglob("*"):
        target = folder / source.relative_to(real)
        if source.is_file() and source.name != "results.json":
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
    (folder / "results.json").write_bytes(dump_result(result))
    return folder


def vary(result: RunResult, i: int, shift: float) -> RunResult:
    """The i-th run: its suite in turn; a new judge after half of a suite's runs, new items after two thirds.

    One in five does not decide, and one in eleven fails.
    """
    number = i // len(SUITES)
    decision = result.decision
    assert decision
    (claim,) = decision.claims
    verdict: Verdict = "pass"
    if number % 11 == 7:
        verdict, shift = "fail", shift - claim.estimate - 0.45
    elif number % 5 == 3:
        verdict, shift = "inconclusive", 0.02 - claim.estimate
    claim = _shifted(claim, shift).model_copy(update={"verdict": verdict, "why": WHY[verdict]})
    sentence = f"dpo against sft: {verdict}."
    decided = {"claims": (claim,), "verdict": verdict, "sentence": sentence}
    finished = (FIRST_DAY + timedelta(days=i)).isoformat(timespec="seconds")
    update = {
        "plan": _vary_plan(result.plan, SUITES[i % len(SUITES)], number),
        "decision": decision.model_copy(update=decided),
        "fingerprints": result.fingerprints | {"dpo": f"{i:064x}"},
        "finished": finished,
    }
    return sealed(result.model_copy(update=update))


def _vary_plan(plan: Plan, suite: str, number: int) -> Plan:
    judges = plan.judges
    if number >= 25:
        judges = {
            name: card.model_copy(update={"name": "newer judge", "fingerprint": "9" * 64})
            for name, card in judges.items()
        }
    tasks = plan.tasks
    if number >= 33:
        tasks = tuple(task.model_copy(update={"items_hash": "e" * 64}) for task in tasks)
    return plan.model_copy(update={"suite": suite, "judges": judges, "tasks": tasks})


def _shifted(claim: ClaimResult, shift: float) -> ClaimResult:
    moved = ("estimate", "low", "high", "bound")
    values = {name: getattr(claim, name) for name in moved}
    return claim.model_copy(
        update={name: value + shift for name, value in values.items() if value is not None}
    )


# --- the view over one -----------------------------------------------------------------------


class Viewer(Page):
    """A browser without a screen that has opened the link."""

    def __init__(self, app: Any, tokens: Tokens, host: str = HOST) -> None:
        super().__init__(app, host)
        self.tokens = tokens

    def open_link(self) -> "Viewer":
        assert self.get(f"/enter/{self.tokens.link}").status == 200
        return self


class Site(NamedTuple):
    app: Any
    tokens: Tokens
    errors: list[str]
    workspace: Workspace

    def viewer(self) -> Viewer:
        return Viewer(self.app, self.tokens).open_link()

    def stranger(self, host: str = HOST) -> Viewer:
        return Viewer(self.app, self.tokens, host)


def viewed(out: Path) -> Site:
    """The application over an output folder."""
    workspace, tokens, errors = Workspace(out), Tokens(), []
    own = own_host_check("127.0.0.1", 8000, ("127.0.0.1", "localhost"))
    app = make_app(workspace, tokens, is_own_host=own, log_error=errors.append)
    return Site(app, tokens, errors, workspace)


@contextmanager
def live_view(out: Path) -> Iterator[tuple[str, Site]]:
    """The view on loopback until the block ends, and its link."""
    address = bind_address(None, 0, expose=False)
    workspace, tokens, errors = Workspace(out), Tokens(), []
    app = make_app(workspace, tokens, is_own_host=address.is_own_host, log_error=errors.append)
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [address.socket]})
    thread.start()
    try:
        yield f"{address.url}/enter/{tokens.link}", Site(app, tokens, errors, workspace)
    finally:
        server.should_exit = True
        thread.join()
        address.socket.close()
