"""What is published of a run: numbers with their intervals, the verdict as it is, and where all came from."""

import pytest

from harness.publish.files import reports_without_items, without_items
from harness.publish.records import key_of, make_publication
from harness.types import RunResult
from tests.builders.results import (
    failing_run,
    inconclusive_run,
    passing_run,
    run_without_gate,
)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (passing_run(), "pass"),
        (failing_run(), "fail"),
        (inconclusive_run(), "inconclusive"),
        (run_without_gate(), "no gate"),
    ],
    ids=["pass", "fail", "inconclusive", "none"],
)
def test_a_verdict_is_published_as_it_is(result: RunResult, verdict: str) -> None:
    assert make_publication(result, None).verdict == verdict


def test_every_comparison_has_its_interval() -> None:
    result = failing_run()
    metrics = make_publication(result, None).metrics
    for c in result.comparisons:
        key = f"comparisons/{c.metric}/{c.candidate}_vs_{c.baseline}"
        found = tuple(metrics[f"{key}/{end}"] for end in ("low", "difference", "high"))
        assert found == (c.difference.low, c.difference.estimate, c.difference.high)


def test_lineage_names_suite_plan_items_models_parents_and_judges() -> None:
    result = passing_run()
    lineage = make_publication(result, None).lineage
    assert (lineage["suite"], lineage["plan"]) == (result.plan.suite, result.plan.hash)
    for task in result.plan.tasks:
        assert lineage[f"items/{task.name}/hash"] == task.items_hash
    for name, fingerprint in result.fingerprints.items():
        assert lineage[f"model/{name}/fingerprint"] == fingerprint
    for card in result.checkpoints:
        assert lineage[f"model/{card.model}/recipe"] == card.recipe
        assert lineage.get(f"model/{card.model}/parent") == card.parent
    for metric, judge in result.plan.judges.items():
        assert lineage[f"judge/{metric}/fingerprint"] == judge.fingerprint


def test_the_commit_is_named_only_where_it_is_known() -> None:
    assert make_publication(passing_run(), "c0ffee").tags["published_from_commit"] == "c0ffee"
    assert "published_from_commit" not in make_publication(passing_run(), None).tags


def test_names_that_a_tool_would_not_take_stay_apart() -> None:
    assert key_of("model", "dpo", "kind") == "model/dpo/kind"
    odd = [key_of("model", name, "kind") for name in ("a/b", "a_b", "a:b", "a@b")]
    assert len(set(odd)) == len(odd)
    assert odd[1] == "model/a_b/kind"
    assert all(name.endswith("/kind") for name in odd)


def test_no_question_answer_or_item_id_is_in_a_report_for_others() -> None:
    result = failing_run()
    (example, *_) = result.examples
    secret = example.model_copy(
        update={"sample_id": "patient-4711", "input": "Private question?", "candidate": "Private answer."}
    )  # fmt: skip
    quoting = {"examples": (secret,), "critical_examples": (secret,)}
    assert result.decision
    rules = tuple(
        r.model_copy(update={"items": ("patient-4711",)}) for r in result.decision.critical
    )
    decision = result.decision.model_copy(update={"critical": rules})
    result = result.model_copy(update={**quoting, "decision": decision})
    assert b"Private" not in (content := b"".join(_contents(result)))
    assert b"patient-4711" not in content
    assert without_items(result).plan == result.plan


def _contents(result: RunResult) -> list[bytes]:
    return [part for part in reports_without_items(result).values() if isinstance(part, bytes)]
