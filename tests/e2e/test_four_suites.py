"""The suites that come with the harness, with models and judge behind an endpoint."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from harness.core.paths import bundle_root
from tests.builders.commands import Done, environment, harness_here
from tests.builders.endpoint_runs import answer
from tests.builders.files import write
from tests.loopback.server import LoopbackServer

N_ITEMS = 12
AT_ONCE = 4  # of each endpoint; one model answers while the judge judges

PROFILE = """\
profile: remote
data:
  health_questions:
    path: '{data}/consumer_health.jsonl'
    where: {{split: evaluation}}
    fields: {{id: id, input: question, reference: answer}}
  question_summaries: {summaries}
models:
  sft: {{endpoint: {{model: sft-model, base_url: '{url}', max_concurrency: {at_once}}}}}
  dpo: {{endpoint: {{model: dpo-model, base_url: '{url}', max_concurrency: {at_once}}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}', max_concurrency: {at_once}}}}}
"""
OUR_SUMMARIES = (
    "{{path: '{data}/question_summaries.jsonl', where: {{split: evaluation}}, "
    "fields: {{id: id, input: question, reference: summary}}}}"
)
MEQSUM = (
    "{{path: '{data}/MeQSum/MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx', "
    "fields: {{id: File, input: CHQ, reference: Summary}}}}"
)


SERVED = {f"{name}-model": {"created": 1_700_000_000} for name in ("sft", "dpo", "judge")}


class Expected(NamedTuple):
    """What a suite asks of each item, and the columns that it scores."""

    asks: int
    columns: set[str]


RUBRIC = {f"rubric.{c}" for c in ("correctness", "clarity", "safety", "empathy", "composite")}
ROUGE = {f"rouge.{v}_{p}" for v in ("rouge1", "rouge2", "rougeL")
         for p in ("precision", "recall", "f1")}  # fmt: skip
# Each item is answered by two models; then it takes two grades, two orders or two labels.
SUITES = {
    "medical_rubric": Expected(2 + 2, RUBRIC),
    "pairwise_win_rate": Expected(2 + 2, {"win_rate"}),
    "helpfulness_quotient": Expected(2 + 2, {"helpfulness"}),
    "meqsum_rouge": Expected(2, ROUGE),
    "medical_alignment": Expected(2 + 2 + 2 + 2 + 2, RUBRIC | ROUGE | {"win_rate", "helpfulness"}),
}


def bind(folder: Path, server: LoopbackServer, summaries: str = OUR_SUMMARIES) -> None:
    data = bundle_root() / "suites" / "data"
    own = os.environ.get("HARNESS_DATA_DIR", "")
    there = Path(own).resolve() if summaries is MEQSUM else data
    text = PROFILE.format(
        data=data, url=server.base_url, at_once=AT_ONCE, summaries=summaries.format(data=there)
    )
    write(folder / "there.yaml", text)


def options(suite: str) -> list[str]:
    return ["run", suite, "--models", "sft,dpo", "--profile", "there.yaml",
            "--limit", str(N_ITEMS), "--format", "json"]  # fmt: skip


def run(folder: Path, server: LoopbackServer, suite: str, summaries: str = OUR_SUMMARIES) -> Done:
    bind(folder, server, summaries)
    elsewhere = {"HARNESS_FILES_FROM": os.environ.get("HARNESS_DATA_DIR", "")}
    done = harness_here(*options(suite), cwd=folder, env=elsewhere)
    assert done.returncode in {0, 1, 3}, done.stderr
    return done


def results(folder: Path, suite: str) -> dict[str, Any]:
    """The results without the times, which no two runs share."""
    [found] = (folder / "runs" / suite).iterdir()
    text = (found / "results.json").read_text()
    kept: dict[str, Any] = json.loads(text, object_hook=_without_times)
    return kept


def _without_times(record: dict[str, Any]) -> dict[str, Any]:
    times = {"registered", "started", "finished", "judgements.parquet"}  # which holds seconds
    return {
        k: v
        for k, v in record.items()
        if k not in times and not k.endswith(("seconds", "per_second"))
    }


def check(folder: Path, suite: str, summaries: str = OUR_SUMMARIES) -> None:
    """The suite ends in a verdict and a report, and a second run asks nothing."""
    with LoopbackServer(answer) as server:
        first = run(folder, server, suite, summaries)
        told = json.loads(first.stdout)
        assert told["verdict"] in {"pass", "fail", "inconclusive"}
        assert server.counts == {"ok": N_ITEMS * SUITES[suite].asks}
        before = results(folder, suite)
        assert {row["metric"] for row in before["comparisons"]} == SUITES[suite].columns
        assert (folder / told["folder"] / "report.html").is_file()
        second = run(folder, server, suite, summaries)
        assert second.returncode == first.returncode
        assert server.counts.total() == N_ITEMS * SUITES[suite].asks
        assert results(folder, suite) == before


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_ends_in_a_verdict_and_its_second_run_asks_nothing(
    suite: str, tmp_path: Path
) -> None:
    check(tmp_path, suite)


@pytest.mark.data
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set")
def test_rouge_runs_on_the_published_summaries(tmp_path: Path) -> None:
    check(tmp_path, "meqsum_rouge", MEQSUM)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_ctrl_c_keeps_what_came_and_the_same_command_asks_the_rest(
    share: float, tmp_path: Path
) -> None:
    wanted = N_ITEMS * SUITES["medical_alignment"].asks
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    with LoopbackServer(answer, latency_s=0.1, models=SERVED) as server:
        bind(tmp_path, server)
        with subprocess.Popen(
            [sys.executable, "-m", "harness", *options("medical_alignment")],
            cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            while server.counts.total() < share * wanted and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=20)
        assert process.returncode == 130, said
        assert out == ""
        # besides the progress, and an empty line after the terminal's ^C
        told = [line for line in said.split("\n") if line and not re.search(r"\d+/\d+$", line)]
        assert told == [
            "harness: interrupted; finished work is kept, and the same command continues from there."
        ]
        assert server.counts.total() < wanted
        assert not (tmp_path / "runs" / "medical_alignment").exists()
        run(tmp_path, server, "medical_alignment")
        asked_again = sum(request.attempt > 0 for request in server.requests)
        assert server.counts.total() == wanted + asked_again
        assert asked_again <= 2 * AT_ONCE  # no more than were in flight
        run(undisturbed, server, "medical_alignment")
    found = results(tmp_path, "medical_alignment")
    assert found == results(undisturbed, "medical_alignment")
    assert found["comparisons"]
