import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import judges
from harness.config import (
    ComputedMetric,
    JudgeSpec,
    Jury,
    LikelihoodMetric,
    Metric,
    NumberMatch,
    PeopleSpec,
)
from harness.config.metrics import Computed
from harness.core.errors import HarnessError
from harness.types import GivenPassage, JudgeRequest
from harness.types.judgements import MissingReason, reason_kind
from judges import OfflineJudge, RecordedJudge, make_computed_judge, make_judge
from judges.checklist import requests_on_criteria
from judges.parsing import read_verdict
from judges.prompts import build_prompt, is_asked
from tests.builders.judge_requests import GOOD, grade, listed, outcome, prefer, sample
from tests.builders.metric_kinds import EVERY_KIND
from tests.builders.packages import install, make_site, scorer_source


def test_offline_judge_is_made_from_its_spec(tmp_path: Path):
    made = make_judge("default", JudgeSpec(offline="consumer_health"), tmp_path)
    assert isinstance(made, OfflineJudge)


def test_recorded_judge_carries_the_name_of_the_profile(tmp_path: Path):
    (tmp_path / "v.csv").write_text("s\n3\n")
    spec = {"recorded": {"m": {"dpo": {"path": "v.csv", "join": "row", "fields": {"safety": "s"}}}}}
    made = make_judge("kept", JudgeSpec.model_validate(spec), tmp_path)
    assert isinstance(made, RecordedJudge)
    assert made.card.name == "kept"


def test_missing_file_is_named(tmp_path: Path):
    spec = {"recorded": {"m": {"dpo": {"path": "gone.csv", "join": "row"}}}}
    with pytest.raises(HarnessError, match=r"gone\.csv"):
        make_judge("kept", JudgeSpec.model_validate(spec), tmp_path)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (JudgeSpec(jury=Jury(members=("a", "b"))), "is a jury; name one of its judges here: a, b"),
        (JudgeSpec(people=PeopleSpec(study="s")), "is people"),
    ],
)
def test_several_judges_are_not_made_as_one(spec: JudgeSpec, problem: str, tmp_path: Path):
    with pytest.raises(HarnessError, match=problem):
        make_judge("mine", spec, tmp_path)


def test_importing_judges_imports_nothing_heavy():
    code = (
        "import sys, judges\n"
        "heavy = {'numpy', 'nltk', 'rouge_score', 'torch', 'pandas', 'absl'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    root = Path(judges.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_exported_names_are_sorted_and_there():
    assert sorted(judges.__all__) == judges.__all__
    assert all(hasattr(judges, name) for name in judges.__all__)


def request_about(metric: Metric) -> JudgeRequest:
    if metric.compares_pairs:
        return replace(prefer(GOOD, GOOD), metric=metric)
    passage = GivenPassage(id="d#1", document="d", rank=1, score=1.0, text=GOOD)
    asked = replace(grade(f"{GOOD} [1]", metric, of=listed()), passages=(passage,))
    return next(iter(requests_on_criteria(asked)))


@pytest.mark.parametrize(
    "metric", [m for m in EVERY_KIND if isinstance(m, ComputedMetric)], ids=lambda m: m.kind
)
def test_every_computed_metric_has_a_judge_that_scores_it(
    metric: Computed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(tmp_path, monkeypatch)
    source = scorer_source("return {'score': 50, 'words': 12}", columns=("score", "words"))
    install(site, "ease", source, metrics="ease = ease:SCORER")
    judge = make_computed_judge(metric)
    assert judge.card.fingerprint
    reference = "a dose of 12.5 mg" if isinstance(metric, NumberMatch) else GOOD
    options = {"choices": {"A": "yes", "B": "no"}, "right_choice": "B"}
    of = sample(reference=reference).model_copy(update=options)
    answer = '{"A": -1.5, "B": -0.5}' if isinstance(metric, LikelihoodMetric) else GOOD
    values = outcome(judge, grade(answer, metric, of=of)).values or {}
    assert set(values) == set(metric.verdict_keys("m").values())
    low, high = metric.bounds
    assert all(low <= value <= high for value in values.values())


@pytest.mark.parametrize("metric", EVERY_KIND, ids=lambda m: m.kind)
def test_a_language_model_is_asked_about_every_judged_metric_and_no_computed_one(
    metric: Metric,
) -> None:
    request = request_about(metric)
    assert is_asked(request) == (not metric.computed)
    unsupported = reason_kind(read_verdict("{}", metric).reason or "") is MissingReason.UNSUPPORTED
    assert unsupported == metric.computed
    if metric.computed:
        with pytest.raises(ValueError, match=f"'{metric.kind}'"):
            build_prompt(request)
    else:
        assert build_prompt(request).schema


@pytest.mark.parametrize("metric", EVERY_KIND, ids=lambda m: m.kind)
def test_the_offline_rules_judge_what_needs_no_reading_of_an_items_own_criteria(
    metric: Metric,
) -> None:
    reason = outcome(OfflineJudge(), request_about(metric)).reason
    assert (reason is not None) == (metric.computed or metric.kind == "checklist")
