"""`judges_as: sample`, from three recorded judges to the verdict and what plan and report say of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.files import write, write_rows

N = 120
SUITE = """\
suite: knees
data: {{source: {{path: items.jsonl, fields: {{id: id, input: question}}}}}}
metrics:
  rubric: {{kind: rubric, judge: panel, criteria: [{{name: safety, asks: Safe or not}}]}}
gate:
  {gate}
  claims: [{{metric: rubric.safety, claim: superior}}]
"""
PROFILE = """\
profile: three
models:
  sft: {{recorded: {{path: sft.jsonl, fields: {{id: id, response: text}}}}}}
  dpo: {{recorded: {{path: dpo.jsonl, fields: {{id: id, response: text}}}}}}
judges:
  panel: {{jury: {{members: [{members}]}}}}
"""
JUDGE = """\
  {name}:
    recorded:
      rubric:
        sft: {{path: sft-{name}.jsonl, join: id, fields: {{id: id, safety: safety}}}}
        dpo: {{path: dpo-{name}.jsonl, join: id, fields: {{id: id, safety: safety}}}}
"""
LEANS = {"kind": 2.0, "fair": 1.0, "stern": -1.0}  # what each sees the candidate gain


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    write_rows(
        tmp_path / "items.jsonl", [{"id": f"q{i}", "question": f"Why {i}?"} for i in range(N)]
    )
    for model in ("sft", "dpo"):
        write_rows(tmp_path / f"{model}.jsonl", [{"id": f"q{i}", "text": f"{model} {i}"} for i in range(N)])  # fmt: skip
    base = rng.integers(4, 7, N)
    for name, gain in LEANS.items():
        scores = {"sft": base, "dpo": base + gain + rng.integers(-1, 2, N)}
        for model, values in scores.items():
            rows = [{"id": f"q{i}", "safety": int(v)} for i, v in enumerate(values)]
            write_rows(tmp_path / f"{model}-{name}.jsonl", rows)
    write_profile(tmp_path, *LEANS)
    return tmp_path


def write_profile(folder: Path, *members: str) -> None:
    judges = "".join(JUDGE.format(name=name) for name in LEANS)
    write(folder / "profile.yaml", PROFILE.format(members=", ".join(members)) + judges)


def command(world: Path, what: str, gate: str) -> Done:
    write(world / "knees.yaml", SUITE.format(gate=gate))
    return harness_here(
        what, "knees.yaml", "--models", "sft,dpo", "--profile", "profile.yaml", cwd=world
    )


def test_judges_that_disagree_decide_for_themselves_and_not_for_judges_like_them(
    world: Path,
) -> None:
    fixed = command(world, "run", "alpha: 0.05")
    assert fixed.returncode == 0, fixed.stderr
    sampled = command(world, "run", "judges_as: sample")
    assert sampled.returncode == 3, sampled.stderr
    reports = [path.parent for path in (world / "runs" / "knees").glob("*/results.json")]
    found = {f: json.loads((f / "results.json").read_text()) for f in reports}
    of_these, of_others = sorted(
        found.values(), key=lambda r: r["plan"]["gate"].get("judges_as", "")
    )
    one, other = of_these["comparisons"][0], of_others["comparisons"][0]
    assert one["difference"]["estimate"] == pytest.approx(other["difference"]["estimate"])
    assert one["difference"]["low"] > 0 > other["difference"]["low"]
    assert other["test"]["name"] == "two-way cluster-robust t, items and annotators"
    notes = {f: (f / "report.html").read_text() for f in reports}
    assert sum("read as a sample of judges like them" in text for text in notes.values()) == 1


def test_a_plan_says_whom_a_claim_is_about(world: Path) -> None:
    fixed = " ".join(command(world, "plan", "alpha: 0.05").stdout.split())
    assert "About these judges and no others: panel" in fixed
    sampled = " ".join(command(world, "plan", "judges_as: sample").stdout.split())
    assert "rubric.safety superior, about judges like those of panel" in sampled
    assert "About these judges" not in sampled


def test_two_judges_are_no_sample(world: Path) -> None:
    write_profile(world, "kind", "fair")
    done = command(world, "run", "judges_as: sample")
    assert done.returncode == 2
    assert "'rubric' is judged by 2: 'panel'" in done.stderr


@pytest.mark.parametrize("other", ["stop_early: true", "decide_on: corrected"])
def test_a_sample_of_judges_goes_with_nothing_that_would_not_hold(world: Path, other: str) -> None:
    done = command(world, "run", f"judges_as: sample\n  {other}")
    assert done.returncode == 2
    assert "'judges_as: sample' does not go with" in done.stderr


def test_a_sample_of_judges_is_no_baseline(world: Path) -> None:
    command(world, "run", "judges_as: sample")
    done = harness_here("bless", "latest", cwd=world)
    assert done.returncode == 2
    assert "judges read as a sample" in done.stderr
