"""Inspect's own reader and listing on the logs that `harness extract` writes (`make test-tools`)."""

import json
from pathlib import Path

import pytest

from harness.artifacts.results_json import load_result
from tests.builders.commands import harness_here
from tests.builders.recorded import write_study
from tests.builders.tool_environments import run_in

pytestmark = pytest.mark.tools

READ = """
import json, sys
from inspect_ai.log import list_eval_logs, read_eval_log
found = list_eval_logs(sys.argv[1])
logs = [read_eval_log(info) for info in found]
print(json.dumps([{
    "listed": info.task, "id": info.task_id, "task": log.eval.task, "task_id": log.eval.task_id,
    "model": log.eval.model, "status": log.status, "n": len(log.samples),
    "scores": {score.name: score.metrics["mean"].value for score in log.results.scores},
    "explanation": next(iter(log.samples[0].scores.values())).explanation,
} for info, log in zip(found, logs)]))
"""


def test_inspect_lists_and_reads_every_log(tmp_path: Path) -> None:
    write_study(tmp_path, shifts={"sft": 0.0, "dpo": 1.0})
    command = ("run", "suite.yaml", "--profile", "profile.yaml", "--models", "sft,dpo")
    harness_here(*command, cwd=tmp_path)
    harness_here("extract", "latest", "--out", "logs", "--to", "inspect", cwd=tmp_path)
    result = load_result(next((tmp_path / "runs" / "small").iterdir()))
    means = {s.model: {s.metric: pytest.approx(s.mean.estimate)} for s in result.scores}
    logs = json.loads(run_in("inspect", READ, str(tmp_path / "logs")))
    assert {log["model"] for log in logs} == {"sft", "dpo"}
    for log in logs:
        assert (log["status"], log["n"]) == ("success", 150)
        assert (log["listed"], log["id"]) == (log["task"].replace("_", "-"), log["task_id"])
        assert means[log["model"]].items() <= log["scores"].items()
        assert log["explanation"].endswith(": Fine.")
