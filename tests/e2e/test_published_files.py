"""Published verdicts and labels, read where they are by a suite and a profile alone.

The figures are those that the authors published, or that `tests/builders/public_labels.py` works
out of the same files by itself.
"""

import json
import os
from pathlib import Path

import pytest

from harness.artifacts.run_folder import Run, load_run
from harness.config.request import load_request
from harness.core.progress import QuietProgress
from harness.human.calibration import calibrate_run, find_human_labels
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import Calibration
from tests.builders.files import write
from tests.builders.public_labels import DATA, MODELS, hold_annotators, hold_xstest

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set"),
]


def run(folder: Path, suite: dict[str, object], profile: dict[str, object], *models: str) -> Run:
    """A finished run of a suite and a profile; JSON is YAML too."""
    paths = (
        write(folder / f"{name}.yaml", json.dumps({name: "published", **spec}))
        for name, spec in (("suite", suite), ("profile", profile))
    )
    request = load_request(*map(str, paths), list(models))
    done = run_suite(request, make_context(folder / "store", QuietProgress()), out=folder / "runs")
    return load_run(done.folder)


def calibrate(finished: Run, labels: object) -> Calibration:
    path = write(finished.folder / "labels.yaml", json.dumps({"labels": labels}))
    people = find_human_labels(finished.folder, study=None, labels=path, drawn_at_random=False)
    return calibrate_run(finished, people)


# --- LLMBar ----------------------------------------------------------------------------------

SUBSETS = ("Natural", "Adversarial/Neighbor")
OUTPUTS = ("output_1", "output_2")
OUTPUT_WORDS = {"winner": {"1": "baseline", "2": "candidate"}}


def llmbar(folder: Path, subset: str, judge: str, prompt: str) -> Run:
    items = str(DATA / "LLMBar" / "LLMBar" / subset / "dataset.json")
    verdicts = {
        "path": str(DATA / "LLMBar" / "raw_verdicts.jsonl"),
        "where": {"set": f"LLMBar/{subset}", "judge": judge, "strategy": prompt},
        "join": "row",
        "fields": {"row": "idx", "order": "swap", "winner": "winner", "rationale": "completion"},
        "values": {
            **OUTPUT_WORDS,
            "order": {"false": "baseline_first", "true": "candidate_first"},
        },
    }
    models = {
        name: {"recorded": {"path": items, "join": "row", "fields": {"response": name}}}
        for name in OUTPUTS
    }
    metric = {"kind": "pairwise", "asks": "Which output follows the instruction better"}
    return run(
        folder,
        {
            "data": {"source": {"path": items, "fields": {"input": "input"}}},
            "metrics": {"win_rate": metric},
        },
        {
            "models": models,
            "judges": {"default": {"recorded": {"win_rate": {"output_2": verdicts}}}},
        },
        *OUTPUTS,
    )


@pytest.mark.parametrize(
    ("subset", "judge", "prompt"),
    [(subset, "GPT-4", prompt) for subset in SUBSETS for prompt in ("CoT", "Vanilla")],
)
def test_llmbars_judges_are_as_published(
    tmp_path: Path, subset: str, judge: str, prompt: str
) -> None:
    finished = llmbar(tmp_path, subset, judge, prompt)
    folder = DATA / "LLMBar" / "LLMBar" / subset
    published = json.loads((folder / f"{judge}__{prompt}__statistics.json").read_text())
    (comparison,) = finished.result.comparisons
    detail = comparison.pairwise
    assert detail is not None
    assert detail.consistency is not None
    assert detail.order_kappa is not None
    n = comparison.n
    assert published["equal"].startswith(f"{round(detail.consistency * n)} / {n} ")
    assert detail.order_kappa.estimate == pytest.approx(published["kappa_agreement"])

    labels = {"path": str(folder / "dataset.json"), "join": "row"}
    gold = {**labels, "fields": {"winner": "label"}, "values": OUTPUT_WORDS}
    (held,) = calibrate(finished, gold).judges
    assert held.n == n
    assert held.strict is not None
    assert held.strict.percent is not None
    assert published["correct_both"].startswith(f"{round(held.strict.percent.estimate * n)} / {n} ")
    by_order = {found.order: found.percent for found in held.orders}
    for order, key in (("baseline_first", "False"), ("candidate_first", "True")):
        percent = by_order[order]
        assert percent is not None
        assert published[f"correct_{key}"].startswith(f"{round(percent.estimate * n)} / {n} ")


def test_llmbars_missing_verdicts_are_counted_with_their_reason(tmp_path: Path) -> None:
    (tally,) = llmbar(tmp_path, "Natural", "PaLM2", "Vanilla").result.tallies
    assert (tally.asked, tally.scored) == (200, 196)
    reason = "recorded winner '' is none of baseline, candidate, tie, first, second"
    assert tally.reasons == {reason: 4}


# --- XSTest ----------------------------------------------------------------------------------

COMPLIANCE = {"1_full_compliance": 1, "2_full_refusal": 0, "3_partial_refusal": 0}


def xstest_path(model: str, suffix: str = "") -> str:
    return str(DATA / "xstest" / f"xstest_v2_completions_{model}{suffix}.csv")


def xstest(folder: Path, suffix: str, column: str) -> Run:
    def recorded(path: str, field: str, column: str) -> dict[str, object]:
        return {"path": path, "fields": {"id": "id", field: column}}

    values = {"values": {"helpful": COMPLIANCE}}
    models = {m: {"recorded": recorded(xstest_path(m), "response", "completion")} for m in MODELS}
    verdicts = {m: recorded(xstest_path(m, suffix), "helpful", column) | values for m in MODELS}
    source = {"path": xstest_path(MODELS[0]), "fields": {"id": "id", "input": "prompt"}}
    return run(
        folder,
        {"data": {"source": source}, "metrics": {"hq": {"kind": "evasion"}}},
        {"models": models, "judges": {"default": {"recorded": {"hq": verdicts}}}},
        *MODELS,
    )


def labels_of(annotators: dict[str, str]) -> list[dict[str, object]]:
    return [
        {
            "path": xstest_path(model),
            "model": model,
            "fields": {"item": "id"},
            "annotators": {name: {"helpful": column} for name, column in annotators.items()},
            "values": {"helpful": COMPLIANCE},
        }
        for model in MODELS
    ]


@pytest.mark.parametrize(
    ("judge", "suffix", "column"),
    [
        ("GPT-4", "_gpteval", "gpt4_label"),
        ("string match", "_streval", "strmatch_label"),
    ],
)
def test_xstests_judges_agree_with_its_final_labels_as_by_hand(
    tmp_path: Path, judge: str, suffix: str, column: str
) -> None:
    (held,) = calibrate(
        xstest(tmp_path, suffix, column), labels_of({"final": "final_label"})
    ).judges
    expected = hold_xstest(judge, "as refusals")
    assert held.percent is not None
    assert held.kappa is not None
    assert held.n == expected.percent.n_items
    assert held.unscored == expected.unread
    assert held.percent.estimate == pytest.approx(expected.percent.estimate)
    assert held.kappa.estimate == pytest.approx(expected.kappa.estimate)
    assert [agreement.model for agreement in held.models] == list(MODELS)


def test_xstests_annotators_agree_with_each_other_as_by_hand(tmp_path: Path) -> None:
    finished = xstest(tmp_path, "_streval", "strmatch_label")
    annotators = {"one": "annotation_1", "two": "annotation_2"}
    (held,) = calibrate(finished, labels_of(annotators)).judges
    expected = hold_annotators("as refusals")
    assert held.between is not None
    assert held.between.kappa is not None
    assert held.between.judges == ("one", "two")
    assert held.between.n == expected.percent.n_items == 900
    assert held.between.kappa.estimate == pytest.approx(expected.kappa.estimate)


def test_one_file_of_labels_serves_a_run_on_part_of_the_items(tmp_path: Path) -> None:
    """The labels of the other model's file are of other models in a run of one against itself."""
    both = xstest(tmp_path, "_gpteval", "gpt4_label")
    other = [{**spec, "model": "llama2orig"} for spec in labels_of({"final": "final_label"})[:1]]
    found = calibrate(both, [*labels_of({"final": "final_label"})[1:], *other])
    assert "labels not used: 450 of other models (llama2orig)." in found.notes
    assert found.judges[0].n == 439


# --- Prometheus ------------------------------------------------------------------------------


def test_prometheus_repeated_scores_are_judges_of_a_list(tmp_path: Path) -> None:
    """Each element of `gpt4_score` is one opinion; a jury of the three has their mean."""
    path = str(DATA / "prometheus-eval" / "mt_bench_eval.json")
    models = ("vicuna_13b", "chatgpt")

    def of(model: str, **fields: str) -> dict[str, object]:
        return {
            "path": path,
            "where": {"response_source": model},
            "fields": {"id": "idx", **fields},
        }

    def opinion(i: int) -> dict[str, object]:
        scores = {
            m: of(m, quality=f"gpt4_score[{i}]", rationale=f"gpt4_feedback[{i}]") for m in models
        }
        return {"recorded": {"quality": scores}}

    members = [f"opinion_{i}" for i in range(3)]
    criterion = {"name": "quality", "asks": "How good is the response"}
    metric = {"kind": "rubric", "scale": [1, 5], "criteria": [criterion]}
    finished = run(
        tmp_path,
        {
            "data": {"source": of(models[0], input="instruction")},
            "metrics": {"quality": metric},
        },
        {
            "models": {m: {"recorded": of(m, response="instruction")} for m in models},
            "judges": {
                "default": {"jury": {"members": members}},
                **{name: opinion(i) for i, name in enumerate(members)},
            },
        },
        *models,
    )
    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    by_hand = {
        m: [sum(r["gpt4_score"]) / 3 for r in rows if r["response_source"] == m] for m in models
    }
    found = {score.model: score.mean.estimate for score in finished.result.scores}
    assert found == pytest.approx({m: sum(said) / 80 for m, said in by_hand.items()})
    (agreement,) = finished.result.agreements
    assert (agreement.n, len(agreement.pairs)) == (160, 3)
