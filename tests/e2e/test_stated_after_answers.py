"""Claims that are stated once answers are there are told from claims that were there first."""

import json
from pathlib import Path

from tests.builders.commands import harness_here
from tests.builders.endpoint_runs import SUITE, answer
from tests.builders.files import write, write_rows
from tests.loopback.server import LoopbackServer

PROFILE = """\
profile: there
models:
  old: {{endpoint: {{model: old-model, base_url: '{url}'}}}}
  new: {{endpoint: {{model: new-model, base_url: '{url}'}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}'}}}}
"""


def run(world: Path, n_runs: int) -> dict[str, str]:
    """Run the suite once more; the caveats of the new run, by code."""
    done = harness_here(
        "run", "remote.yaml", "--models", "old,new", "--profile", "there.yaml", "--limit", "20",
        cwd=world,
    )  # fmt: skip
    found = list((world / "runs" / "remote").glob("*/results.json"))
    assert len(found) == n_runs, done.stderr
    newest = json.loads(max(found, key=lambda path: path.stat().st_mtime_ns).read_text())
    return {caveat["code"]: caveat["text"] for caveat in newest["caveats"]}


def test_a_claim_that_is_stated_after_the_answers_is_told_so(tmp_path: Path) -> None:
    rows = [{"id": f"q{i}", "question": f"Why {i}?", "answer": "Rest."} for i in range(20)]
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "remote.yaml", SUITE)
    with LoopbackServer(answer) as server:
        write(tmp_path / "there.yaml", PROFILE.format(url=server.base_url))
        assert "answered_before_plan" not in run(tmp_path, 1)
        assert "answered_before_plan" not in run(tmp_path, 1)  # stated first, then answered
        write(
            tmp_path / "remote.yaml",
            SUITE.replace("claim: superior", "claim: non_inferior, margin: 1"),
        )
        told = run(tmp_path, 2)["answered_before_plan"]
    assert told.startswith("40 of 40 stored answers were there before")
    (report,) = [
        p for p in tmp_path.glob("runs/remote/*/report.md") if "after some of" in p.read_text()
    ]
    assert "Registered before the first answer" not in report.read_text()
