"""Suites and profiles in which people are the judge."""

from pathlib import Path

from harness.config.request import load_request
from harness.core.progress import QuietProgress
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import RunResult, StudyItem
from tests.builders.files import write, write_rows
from tests.builders.votes import Says

N = 160

SUITE = """\
suite: {name}
data: {{source: {{path: items.jsonl, fields: {{id: id, input: question}}}}}}
metrics:
  win_rate: {{kind: pairwise, asks: Which is better , judge: {judge}}}
gate:
  {extra}
  claims: [{{metric: win_rate, claim: superior}}]
"""

PROFILE = """\
profile: recorded
models:
  sft: {{recorded: {{path: sft.jsonl, fields: {{id: id, response: text}}}}}}
  dpo: {{recorded: {{path: dpo.jsonl, fields: {{id: id, response: text}}}}}}
judges:
  default: {{offline: consumer_health{calibrated}}}
  physicians: {people}
"""


def write_world(folder: Path, people: str = "{offline: consumer_health}") -> Path:
    write_rows(folder / "items.jsonl", [{"id": f"q{i}", "question": f"Why {i}?"} for i in range(N)])
    sft = [{"id": f"q{i}", "text": f"Wait, {i}."} for i in range(N)]
    dpo = [
        {"id": f"q{i}", "text": f"Wait, {i}." if i % 10 == 0 else f"See your doctor, {i}."}
        for i in range(N)
    ]
    write_rows(folder / "sft.jsonl", sft)
    write_rows(folder / "dpo.jsonl", dpo)
    write_profile(folder, people)
    return folder


def write_profile(folder: Path, people: str, calibrated: str = "") -> None:
    write(folder / "profile.yaml", PROFILE.format(people=people, calibrated=calibrated))


def run(folder: Path, judge: str, extra: str = "", name: str = "knees") -> tuple[RunResult, Path]:
    suite = write(folder / f"{name}.yaml", SUITE.format(name=name, judge=judge, extra=extra))
    request = load_request(str(suite), str(folder / "profile.yaml"), ["sft", "dpo"])
    done = run_suite(request, make_context(folder / "store", QuietProgress()), out=folder / "runs")
    return done.result, done.folder


def mostly(wins_of_ten: int) -> Says:
    def says(item: StudyItem) -> str:
        if item.kind == "attention":
            return "expected"
        return "candidate" if int(item.sample_id[1:]) % 10 <= wins_of_ten else "baseline"

    return says  # type: ignore[return-value]
