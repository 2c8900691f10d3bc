"""The veto on critical answers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import Claim, CriticalRule, Gate, load_suite
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.gate.critical import evaluate_critical_rule, max_critical, share_bounds
from harness.gate.decision import decide_gate
from harness.planning.plan import make_plan
from harness.stats.paired_proportions import count_pairs, mcnemar_midp, tango_interval
from tests.builders.pairs import NAN, grades

RULE = CriticalRule(metric="m", at_most=4, allowed_share=0.02)
repeatable = settings(derandomize=True, deadline=None, max_examples=40)


def gate(*rules: CriticalRule) -> Gate:
    return Gate(claims=(Claim(metric="m", claim="superior"),), critical=rules)


def scores(n: int, critical: int, missing: int = 0) -> list[float]:
    """So many answers of 3, gaps, and the rest 8 and 9 by turns."""
    rest = [8.0 + i % 2 for i in range(n - critical - missing)]
    return [3.0] * critical + [NAN] * missing + rest


def test_no_event_in_n_bounds_the_share_by_the_exact_rule_of_three() -> None:
    assert share_bounds(0, 300, 300, 0.05)[1] == pytest.approx(1 - 0.05 ** (1 / 300))


def test_a_better_candidate_without_critical_answers_passes() -> None:
    found = decide_gate(gate(RULE), {"m": grades([6.0] * 300, scores(300, 0))})
    assert found.verdict == "pass"
    assert found.critical[0].upper < 0.02


def test_a_better_candidate_with_too_many_critical_answers_fails() -> None:
    found = decide_gate(gate(RULE), {"m": grades([6.0] * 300, scores(300, 20))})
    assert found.claims[0].verdict == "pass"
    assert found.verdict == "fail"
    assert "20 of 300 score at most 4 on m" in found.sentence


def test_a_share_that_may_be_too_large_takes_the_pass_away() -> None:
    found = decide_gate(gate(RULE), {"m": grades([6.0] * 300, scores(300, 3))})
    assert found.claims[0].verdict == "pass"
    assert found.verdict == found.critical[0].verdict == "inconclusive"


def test_a_rule_that_holds_lets_no_bad_candidate_through() -> None:
    found = decide_gate(gate(RULE), {"m": grades([9.5] * 300, scores(300, 0))})
    assert found.critical[0].verdict == "pass"
    assert found.verdict == "fail"


def test_an_answer_without_a_score_counts_as_critical_for_a_pass_only() -> None:
    complete = evaluate_critical_rule(RULE, grades([6.0] * 300, scores(300, 0)), 0.05)
    gappy = evaluate_critical_rule(RULE, grades([6.0] * 300, scores(300, 0, missing=5)), 0.05)
    many = evaluate_critical_rule(RULE, grades([6.0] * 300, scores(300, 0, missing=60)), 0.05)
    assert (complete.verdict, gappy.verdict) == ("pass", "inconclusive")
    assert (many.verdict, many.lower) == ("inconclusive", 0.0)


def test_the_items_are_named_worst_first() -> None:
    found = evaluate_critical_rule(RULE, grades([6.0, 6.0, NAN, 6.0], [4.0, 9.0, 2.0, 8.0]), 0.05)
    assert [(i.sample_id, i.score, i.baseline_score) for i in found.items] == [
        ("q0002", 2.0, None),
        ("q0000", 4.0, 6.0),
    ]


def test_the_baseline_is_compared_on_the_same_items() -> None:
    old, new = [3.0] * 5 + [8.0] * 95, [8.0] * 4 + [3.0] * 12 + [8.0] * 84
    found = evaluate_critical_rule(RULE, grades(old, new), 0.05)
    assert found.difference is not None
    assert found.difference.estimate == pytest.approx(0.07)
    expected = tango_interval(count_pairs(np.array(old) <= 4, np.array(new) <= 4))
    assert (found.difference.low, found.difference.high) == pytest.approx(expected)
    assert found.p_value == pytest.approx(mcnemar_midp(11, 4))


def test_copied_items_in_clusters_do_not_narrow_the_bounds() -> None:
    once = evaluate_critical_rule(RULE, grades([6.0] * 200, scores(200, 4)), 0.05)
    names = [f"c{i}" for i in range(200)] * 3
    thrice = evaluate_critical_rule(
        RULE, grades([6.0] * 600, scores(200, 4) * 3, clusters=names), 0.05
    )
    assert thrice.n_units == 200
    assert (thrice.lower, thrice.upper) == pytest.approx((once.lower, once.upper))


def test_one_harmless_cluster_of_most_items_does_not_make_a_share_small() -> None:
    """Of 101 sources 4 are critical; the one with 900 items is not."""
    names = ["big"] * 900 + [f"c{i}" for i in range(100)]
    found = evaluate_critical_rule(
        CriticalRule(metric="m", at_most=4, allowed_share=0.04),
        grades([6.0] * 1000, [9.0] * 900 + scores(100, 4), clusters=names),
        0.05,
    )
    assert (found.n_units, found.verdict) == (1, "inconclusive")


@repeatable
@given(st.permutations(range(40)))
def test_the_order_of_items_does_not_matter(order: list[int]) -> None:
    old, new = [float(1 + i % 9) for i in range(40)], scores(40, 6, missing=2)
    here = evaluate_critical_rule(RULE, grades(old, new), 0.05)
    there = evaluate_critical_rule(
        RULE, grades([old[i] for i in order], [new[i] for i in order]), 0.05
    )
    drop = {"items"}
    assert there.model_dump(exclude=drop) == here.model_dump(exclude=drop)


@repeatable
@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 10)), min_size=5, max_size=40))
def test_swapping_the_models_flips_the_sign(pairs: list[tuple[int, int]]) -> None:
    old, new = ([float(v) for v in side] for side in zip(*pairs, strict=True))
    here, there = (
        evaluate_critical_rule(RULE, grades(old, new), 0.05),
        evaluate_critical_rule(RULE, grades(new, old), 0.05),
    )
    assert here.difference is not None
    assert there.difference is not None
    assert there.difference.estimate == pytest.approx(-here.difference.estimate)
    assert there.difference.low == pytest.approx(-here.difference.high)
    assert there.p_value == here.p_value


def test_the_veto_is_wrong_no_more_often_than_alpha() -> None:
    random = np.random.default_rng(1)
    at_the_limit = random.random((1500, 300)) < RULE.allowed_share
    passed = [
        evaluate_critical_rule(
            RULE, grades([6.0] * 300, np.where(row, 3.0, 9.0).tolist()), 0.05
        ).verdict
        for row in at_the_limit
    ]
    assert passed.count("pass") / len(passed) <= 0.05 + 2.6 * 0.0057
    assert passed.count("fail") / len(passed) <= 0.05 + 2.6 * 0.0057


@pytest.mark.parametrize(("n", "units"), [(300, 300), (299, 200)])
def test_the_plan_says_how_many_critical_answers_the_rule_allows(n: int, units: int) -> None:
    most = max_critical(RULE, n, units, 0.05)
    assert most is not None
    assert share_bounds(most, n, units, 0.05)[1] <= RULE.allowed_share
    assert share_bounds(most + 1, n, units, 0.05)[1] > RULE.allowed_share


def test_too_few_items_allow_none() -> None:
    assert max_critical(RULE, 100, 100, 0.05) is None


# --- in a suite ------------------------------------------------------------------------------

SUITE = """\
suite: vetoed
data: {{name: health_questions}}
metrics:
  rubric: {{kind: rubric, scale: [1, 10], criteria: [{{name: safety, asks: "Safe?"}}]}}
  win_rate: {{kind: pairwise, asks: "Which is better?"}}
gate:
  claims:
    - {{metric: rubric.safety, claim: superior}}
  critical:
    - {rule}
"""


def write(folder: Path, rule: str) -> str:
    path = folder / "vetoed.yaml"
    path.write_text(SUITE.format(rule=rule), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{metric: rubric.safty, at_most: 4, allowed_share: 0.01}", "Did you mean 'rubric.safety'"),
        ("{metric: win_rate, at_most: 0.2, allowed_share: 0.01}", "no score that an answer gets"),
        ("{metric: rubric.safety, at_most: 10, allowed_share: 0.01}", "separates no answers"),
        ("{metric: rubric.safety, at_most: 4, allowed_share: 1}", "allowed_share"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_line(
    tmp_path: Path, rule: str, words: str
) -> None:
    with pytest.raises(HarnessError, match=r"vetoed.yaml:10: ") as caught:
        load_suite(write(tmp_path, rule))
    assert words in str(caught.value)


def test_a_rule_that_so_few_items_cannot_show_is_refused(tmp_path: Path) -> None:
    suite = write(tmp_path, "{metric: rubric.safety, at_most: 4, allowed_share: 0.001}")
    request = load_request(suite, "tiny", ["sft", "dpo"])
    with pytest.raises(HarnessError, match="needs at least 2,995 items even if not one answer"):
        make_plan(request, {})


def test_a_rule_that_the_items_can_show_is_planned(tmp_path: Path) -> None:
    suite = write(tmp_path, "{metric: rubric.safety, at_most: 4, allowed_share: 0.1}")
    plan = make_plan(load_request(suite, "tiny", ["sft", "dpo"]), {})
    assert plan.gate is not None
    assert (
        str(plan.gate.critical[0]) == "rubric.safety at most 4 in no more than 10 % of the answers"
    )
