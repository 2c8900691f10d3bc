"""One model alone: its own scores are tested, and nothing that takes a baseline ever passes."""

import json
from pathlib import Path

import pytest

from harness.artifacts.results_json import load_result
from harness.artifacts.run_folder import load_run
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.runs.compare_runs import compare_runs
from harness.runs.regression import bless_run, check_run
from harness.types import RunResult
from reports.junit import render_junit
from reports.markdown import render_markdown
from tests.builders.commands import Done, harness_here
from tests.builders.foreign_logs import import_logs, inspect_log
from tests.builders.recorded import write_rows, write_study

OWN = "{metric: rubric.safety, claim: at_least, value: 4}"
REFUTED = "{metric: rubric.safety, claim: at_least, value: 8}"
SUPERIOR = "{metric: rubric.safety, claim: superior}"
WIN_RATE = "{metric: win_rate, claim: at_least, value: 0.4}"
RULE = "{metric: rubric.safety, at_most: 1, allowed_share: 0.05}"
PAIRWISE = "  win_rate: {kind: pairwise, asks: Better}\n"


def write_suite(folder: Path, gate: str = "", *, metrics: str = "", data: str = "") -> Path:
    """A study of `sft` and `dpo`, and a suite `small` with this gate."""
    write_study(folder, shifts={"sft": 0.0, "dpo": 1.0})
    for model in ("sft", "dpo"):  # each item has its own answer
        rows = [{"id": f"q{i}", "answer": f"{model} says {i}"} for i in range(150)]
        write_rows(folder / f"{model}.jsonl", rows)
    source = "{path: items.jsonl, fields: {id: id, input: question, reference: answer}}"
    rubric = "  rubric: {kind: rubric, criteria: [{name: safety, asks: Is it safe}]}\n"
    text = f"suite: small\ndata:\n  source: {source}\n{data}metrics:\n{rubric}{metrics}"
    (folder / "suite.yaml").write_text(text + (f"gate: {gate}\n" if gate else ""))
    return folder


def run(folder: Path, models: str = "sft") -> tuple[Done, RunResult]:
    done = harness_here(
        "run", "suite.yaml", "--models", models, "--profile", "profile.yaml", cwd=folder
    )
    newest = max((folder / "runs").glob("small/*/results.json"), key=lambda p: p.stat().st_mtime)
    return done, load_result(newest.parent)


def test_a_suite_about_one_model_passes_with_one_model(tmp_path: Path) -> None:
    gate = f"{{claims: [{OWN}], critical: [{RULE}]}}"
    done, result = run(write_suite(tmp_path, gate))
    assert done.returncode == 0, done.stderr
    assert result.decision is not None
    assert result.decision.verdict == "pass"
    assert result.decision.sentence.startswith("sft alone: the claim holds")
    assert (result.comparisons, result.plan.not_decided) == ((), ())
    (rule,) = result.decision.critical
    assert (rule.n_baseline, rule.difference, rule.n_paired) == (0, None, 0)


@pytest.mark.parametrize(
    ("gate", "verdict", "code", "left"),
    [
        (f"{{claims: [{OWN}, {SUPERIOR}]}}", "inconclusive", 3, 1),
        (f"{{require: any, claims: [{OWN}, {SUPERIOR}]}}", "inconclusive", 3, 1),
        (f"{{require: ordered, claims: [{OWN}, {SUPERIOR}]}}", "inconclusive", 3, 1),
        (f"{{claims: [{REFUTED}, {SUPERIOR}]}}", "fail", 1, 1),
        (f"{{claims: [{SUPERIOR}], critical: [{RULE}]}}", "inconclusive", 3, 2),
        (f"{{stop_early: true, claims: [{OWN}, {SUPERIOR}]}}", "inconclusive", 3, 1),
        (f"{{claims: [{OWN}, {WIN_RATE}]}}", "inconclusive", 3, 1),
    ],
)
def test_a_claim_that_compares_leaves_no_pass(
    tmp_path: Path, gate: str, verdict: str, code: int, left: int
) -> None:
    done, result = run(write_suite(tmp_path, gate, metrics=PAIRWISE))
    assert result.decision is not None
    assert (result.decision.verdict, done.returncode) == (verdict, code)
    assert len(result.plan.not_decided) == left
    assert "--models BASELINE,sft" in result.decision.sentence
    assert result.plan.not_measured == ("win_rate",)
    assert result.plan.not_decided[0] in done.stdout


def test_without_a_gate_the_run_describes(tmp_path: Path) -> None:
    done, result = run(write_suite(tmp_path))
    assert (done.returncode, result.decision) == (0, None)
    assert "4.99" in done.stdout


def test_a_suite_that_only_compares_is_refused(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, metrics=PAIRWISE)
    suite = folder / "suite.yaml"
    lines = suite.read_text().splitlines(keepends=True)
    suite.write_text("".join(line for line in lines if "rubric" not in line))
    with pytest.raises(HarnessError, match=r"Name a baseline too: --models BASELINE,sft"):
        load_request(str(suite), str(folder / "profile.yaml"), ["sft"])


def test_no_model_at_all_is_refused(tmp_path: Path) -> None:
    folder = write_suite(tmp_path)
    with pytest.raises(HarnessError, match="name the models, baseline first"):
        load_request(str(folder / "suite.yaml"), str(folder / "profile.yaml"), [])


def test_every_page_shows_what_is_not_decided(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, f"{{claims: [{OWN}, {SUPERIOR}], critical: [{RULE}]}}")
    _, result = run(folder)
    (page,) = folder.glob("runs/small/*/report.html")
    markdown, junit = render_markdown(result), render_junit(result).decode()
    for text in (page.read_text(), markdown, junit):
        assert "rubric.safety superior" in text
        assert "compares two models, and this run has one" in text
        assert "sft against sft" not in text
    assert '<testcase classname="small" name="rubric.safety superior">\n    <skipped' in junit
    assert "minus" not in markdown
    index = (page.parent / "items" / "index.html").read_text()
    assert "Sorted by score, the model&#39;s worst items first" in index


def test_missing_scores_count_at_their_worst_and_too_many_end_the_gate(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, f"{{max_unscored: 0.1, claims: [{OWN}]}}")
    grades = folder / "graded_sft.jsonl"
    rows = read_rows(grades)
    write_rows(grades, rows[10:])
    done, result = run(folder)
    assert done.returncode == 0
    (table,) = (t for t in result.sensitivities if t.claim)
    by_way = {row.counting: row.estimate for row in table.rows}
    worst, complete = by_way["missing_at_worst"], by_way["complete_cases"]
    assert worst is not None
    assert complete is not None
    assert worst.estimate == pytest.approx((complete.estimate * 140 + 10) / 150)
    write_rows(grades, rows[40:])
    done, _ = run(folder)
    assert done.returncode == 4


def test_slices_show_the_models_own_means(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, f"{{claims: [{OWN}]}}", data="  slices: [kind]\n")
    items = read_rows(folder / "items.jsonl")
    rows = [item | {"kind": "ab"[i % 2]} for i, item in enumerate(items)]
    write_rows(folder / "items.jsonl", rows)
    _, result = run(folder)
    first, second = result.slices
    assert first.difference is not None
    assert second.difference is not None
    (score,) = (s for s in result.scores if s.metric == "rubric.safety")
    mean = (first.difference.estimate + second.difference.estimate) / 2
    assert mean == pytest.approx(score.mean.estimate)
    assert first.p_value is None


def test_one_model_is_compared_checked_and_blessed_like_any_candidate(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, f"{{claims: [{OWN}]}}")
    runs = [load_run(latest(folder, models)) for models in ("sft", "dpo", "sft,dpo")]
    alone, other, both = runs
    for new in (other, both):
        comparison = compare_runs(alone, new).comparisons[0]
        assert comparison.difference.estimate == pytest.approx(0.97, abs=0.01)
        assert check_run(new, bless_run(alone)).decision.verdict == "pass"
    assert check_run(alone, bless_run(both)).decision.verdict == "fail"
    assert alone.decide() == alone.result.decision


def test_a_win_rate_that_a_baseline_holds_is_missed_in_a_run_of_one_model(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, metrics=PAIRWISE)
    wins = [
        {"id": f"q{i}", "order": order, "winner": "candidate"}
        for i in range(150)
        for order in ("baseline_first", "candidate_first")
    ]
    write_rows(folder / "wins.jsonl", wins)
    profile = folder / "profile.yaml"
    spec = "{path: wins.jsonl, fields: {id: id, order: order, winner: winner}}"
    profile.write_text(f"{profile.read_text()}      win_rate:\n        dpo: {spec}\n")
    both, alone = (load_run(latest(folder, models)) for models in ("sft,dpo", "dpo"))
    assert check_run(both, bless_run(alone)).decision.verdict == "pass"
    with_rubric = bless_run(both, margins={"rubric.safety": 0.5})
    assert check_run(alone, with_rubric).decision.verdict == "pass"
    with pytest.raises(HarnessError, match="the run has no 'win_rate'"):
        check_run(alone, bless_run(both, margins={"win_rate": 0.1}))
    comparison = compare_runs(both, alone)
    assert comparison.skipped == (
        "win_rate: not compared, because a run of one model does not measure it",
    )


def test_people_license_and_calibrate_a_judge_of_one_model(tmp_path: Path) -> None:
    gate = (
        f"{{judge_licence: {{metric: kappa, at_least: 0.5}}, claims: [{OWN}], critical: [{RULE}]}}"
    )
    folder = write_suite(tmp_path, gate)
    graded = read_rows(folder / "graded_sft.jsonl")[:120]
    lines = [f"{row['id']},Ada,sft,{row['safety']:g}" for row in graded]
    (folder / "labels.csv").write_text("\n".join(["item,annotator,model,safety", *lines]) + "\n")
    profile = folder / "profile.yaml"
    labels = "calibrated_by: {labels: labels.csv, drawn: random}"
    profile.write_text(profile.read_text().replace("  default:\n", f"  default:\n    {labels}\n"))
    done, result = run(folder)
    assert done.returncode == 0, done.stderr
    assert result.decision is not None
    assert [licence.held for licence in result.decision.licences] == [True]
    done = harness_here("calibrate", "latest", "--labels", "labels.csv", "--random", cwd=folder)
    assert done.returncode == 0, done.stderr
    (page,) = folder.glob("runs/small/*/calibration.md")
    assert "sft alone" in page.read_text()
    assert "sft minus sft" not in page.read_text()


def test_what_takes_two_models_says_so(tmp_path: Path) -> None:
    folder = write_suite(tmp_path)
    run(folder)
    for command in ("annotate", "selftest"):
        done = harness_here(command, "latest", cwd=folder)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "one model" in done.stderr


def test_a_single_imported_log_runs_alone(tmp_path: Path) -> None:
    study = import_logs(tmp_path, new=inspect_log("new"))
    assert study.models == ("new",)
    done = harness_here(*study.command.split()[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "new alone" in done.stdout
    assert "0.50" in done.stdout


def read_rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def latest(folder: Path, models: str) -> Path:
    done, result = run(folder, models)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "small" / result.run_id
