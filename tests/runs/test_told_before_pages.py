"""A run of many items tells its verdict before its tables and pages are written."""

from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.core.progress import QuietProgress
from harness.runs import run
from harness.training.context import make_context
from tests.builders.recorded import write_study


class Told(QuietProgress):
    """Keeps the lines, each with whether the run's folder had a table by then."""

    def __init__(self, out: Path) -> None:
        self.out, self.lines = out, []

    def log(self, line: str) -> None:
        self.lines.append((line, any(self.out.rglob("scores.parquet"))))


@pytest.mark.parametrize(("many", "n_told"), [(150, 1), (151, 0)])
def test_the_verdict_is_told_before_the_tables_are_written(
    many: int, n_told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "MANY_ITEMS", many)
    write_study(tmp_path, shifts={"sft": 0.0, "dpo": 1.0})
    request = load_request(tmp_path / "suite.yaml", tmp_path / "profile.yaml", ["sft", "dpo"])
    progress = Told(tmp_path / "runs")
    done = run.run_suite(request, make_context(tmp_path / "store", progress), out=progress.out)
    assert done.result.decision is not None
    verdict = f"{done.result.decision.verdict}: {done.result.decision.sentence}"
    told = [had_tables for line, had_tables in progress.lines if line.startswith(verdict)]
    assert told == [False] * n_told
