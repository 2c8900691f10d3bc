"""Gate verdicts on score columns made of plain numbers."""

from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.comparisons import compare_scores
from harness.config import Claim, Gate
from harness.gate.claim_tests import evaluate_claim
from harness.gate.decision import decide_gate
from harness.scoring.columns import GradeColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.types import HygieneFlag
from tests.builders.claim_kinds import EVERY_CLAIM

NAN = float("nan")


def column(baseline: list[float], candidate: list[float], *, share: bool = False) -> GradeColumn:
    n = len(baseline)
    return GradeColumn(
        metric="m",
        kind="share" if share else "points",
        low=0.0 if share else 1.0,
        high=1.0 if share else 10.0,
        sample_ids=tuple(f"q{i}" for i in range(n)),
        clusters=None,
        scores={"a": np.array(baseline, dtype=float), "b": np.array(candidate, dtype=float)},
        reasons={"a": [None] * n, "b": ["lost" if np.isnan(v) else None for v in candidate]},
        generation_failed={"a": 0, "b": 0},
    )


def pair(baseline: list[float], candidate: list[float], *, share: bool = False) -> PairedScores:
    return pair_scores(column(baseline, candidate, share=share), "a")[0]


def verdict(scores: PairedScores, claim: str, **options: float) -> str:
    stated = Claim.model_validate({"metric": "m", "claim": claim, **options})
    return decide_gate(Gate(claims=(stated,)), {"m": scores}).verdict


def noisy(n: int, shift: float, seed: int = 0) -> PairedScores:
    """Integer scores from 1 to 10 whose mean difference is about `shift`."""
    random = np.random.default_rng(seed)
    old = random.integers(3, 8, n)
    new = np.clip(np.rint(old + shift + random.normal(0, 1.5, n)), 1, 10)
    return pair(old.tolist(), new.tolist())


@pytest.mark.parametrize("claim", EVERY_CLAIM, ids=lambda claim: claim.claim)
def test_every_kind_of_claim_can_pass_and_fail(claim: Claim) -> None:
    gate = Gate(claims=(claim,))
    best = noisy(200, 0.0 if claim.kind.two_sided else 3.0)
    assert decide_gate(gate, {"m": best}).claims[0].verdict == "pass"
    failed = decide_gate(gate, {"m": noisy(200, -4.0)}).claims[0]
    assert failed.verdict == "fail"
    assert failed.alarm == claim.kind.alarm
    assert failed.why == claim.kind.reasons.failed


def test_a_clear_gain_is_superior() -> None:
    assert verdict(noisy(200, 1.0), "superior") == "pass"


def test_a_clear_loss_fails_superiority() -> None:
    assert verdict(noisy(200, -1.0), "superior") == "fail"


def test_a_tiny_gain_on_few_items_is_inconclusive_and_says_how_many_would_do() -> None:
    claim = Claim(metric="m", claim="superior")
    decision = decide_gate(Gate(claims=(claim,)), {"m": noisy(120, 0.1)})
    assert decision.verdict == "inconclusive"
    needed = decision.claims[0].n_needed
    assert needed is not None
    assert needed > 120


def test_not_worse_within_the_margin_is_non_inferior() -> None:
    assert verdict(noisy(300, -0.1), "non_inferior", margin=0.5) == "pass"
    assert verdict(noisy(300, -1.0), "non_inferior", margin=0.5) == "fail"


def test_equal_answers_are_non_inferior_without_any_variance() -> None:
    same = [float(i % 9 + 1) for i in range(300)]
    assert verdict(pair(same, same), "non_inferior", margin=0.5) == "pass"
    assert verdict(pair(same, same), "superior") == "inconclusive"


def test_a_constant_gain_has_a_finite_bound() -> None:
    scores = pair([5.0] * 300, [6.0] * 300)
    evidence = evaluate_claim(Claim(metric="m", claim="superior"), scores, 0.05)
    assert 0 < evidence.low < 1.0


def test_a_small_sample_that_would_pass_by_itself_may_hide_a_disaster() -> None:
    scores = noisy(20, 0.6, seed=3)
    evidence = evaluate_claim(Claim(metric="m", claim="superior"), scores, 0.05)
    assert evidence.p_of_seen < 0.05 < evidence.p_value
    decision = decide_gate(Gate(claims=(Claim(metric="m", claim="superior"),)), {"m": scores})
    assert decision.verdict == "inconclusive"
    assert "20 items cannot exclude answers at their worst" in decision.claims[0].why


def test_what_would_settle_it_is_a_range_of_what_the_truth_may_be() -> None:
    decision = decide_gate(
        Gate(claims=(Claim(metric="m", claim="superior"),)), {"m": noisy(120, 0.1)}
    )
    claim = decision.claims[0]
    assert claim.n_needed is not None
    assert claim.n_needed_least is not None
    assert claim.n_needed_least < claim.n_needed


def test_the_mean_of_the_candidate_is_held_against_a_threshold() -> None:
    assert verdict(noisy(300, 1.0), "at_least", value=5.5) == "pass"
    assert verdict(noisy(300, 1.0), "at_least", value=9.0) == "fail"


def test_judgements_lost_on_bad_answers_cannot_make_a_pass() -> None:
    old = [6.0] * 200
    new = [7.0 if i % 2 else 6.0 for i in range(200)]
    assert verdict(pair(old, new), "superior") == "pass"
    lost = [NAN if i < 20 else value for i, value in enumerate(new)]
    assert verdict(pair(old, lost), "superior") == "inconclusive"


def test_too_much_missing_gives_no_verdict_at_all() -> None:
    lost = [NAN if i < 30 else 10.0 for i in range(200)]
    decision = decide_gate(
        Gate(claims=(Claim(metric="m", claim="superior"),)), {"m": pair([1.0] * 200, lost)}
    )
    assert decision.verdict == "inconclusive"
    assert "15% of the items are unscored" in decision.sentence


@pytest.mark.parametrize(("n", "lost"), [(24, 1), (50, 1), (51, 2), (200, 4), (1000, 20)])
def test_two_of_a_hundred_items_may_be_missing_where_nothing_is_stated(n: int, lost: int) -> None:
    gate = Gate(claims=(Claim(metric="m", claim="superior"),))
    assert [gate.lacks_scores(k, n) for k in (0, lost, lost + 1)] == [False, False, True]


def test_a_gate_that_allows_none_misses_one() -> None:
    gate = Gate(max_unscored=0.0, claims=(Claim(metric="m", claim="superior"),))
    assert [gate.lacks_scores(k, 100) for k in (0, 1)] == [False, True]


@pytest.mark.parametrize(
    ("helpful", "expected"), [(144, "pass"), (130, "inconclusive"), (100, "fail")]
)
def test_a_share_is_held_against_its_threshold_exactly(helpful: int, expected: str) -> None:
    new = [1.0] * helpful + [0.0] * (144 - helpful)
    assert verdict(pair([1.0] * 144, new, share=True), "at_least", value=0.9) == expected


def test_shares_that_agree_on_every_item_are_non_inferior() -> None:
    ones = [1.0] * 144
    assert verdict(pair(ones, ones, share=True), "non_inferior", margin=0.05) == "pass"


def test_all_claims_must_pass_and_one_refuted_claim_fails() -> None:
    claims = (
        Claim(metric="m", claim="superior"),
        Claim(metric="m", claim="at_least", value=9.5),
    )
    decision = decide_gate(Gate(claims=claims), {"m": noisy(300, 1.0)})
    assert [claim.verdict for claim in decision.claims] == ["pass", "fail"]
    assert decision.verdict == "fail"
    assert "m at least 9.5" in decision.sentence


def test_any_claim_is_enough_but_pays_for_the_choice() -> None:
    good, null = noisy(200, 1.0), noisy(200, 0.0, seed=1)
    claims = tuple(Claim(metric=name, claim="superior") for name in ("good", "null"))
    decision = decide_gate(Gate(require="any", claims=claims), {"good": good, "null": null})
    assert decision.verdict == "pass"
    first = decision.claims[0]
    assert first.p_value is not None
    assert first.p_adjusted == pytest.approx(2 * first.p_value)


def test_a_comparison_reports_the_adverse_bound_of_what_is_missing() -> None:
    scores = column([5.0] * 10, [6.0] * 8 + [NAN, NAN])
    found = compare_scores(scores, pair_scores(scores, "a")[0], {})
    assert found.n_missing == 2
    assert found.adverse is not None
    assert found.favourable is not None
    assert found.adverse.estimate == pytest.approx((8 * 1 + 2 * (1 - 5)) / 10)
    assert found.favourable.estimate == pytest.approx((8 * 1 + 2 * (10 - 5)) / 10)


def test_judgements_missing_for_one_model_only_are_flagged() -> None:
    uneven = column([5.0] * 20, [6.0] * 10 + [NAN] * 10)
    flags = compare_scores(uneven, pair_scores(uneven, "a")[0], {}).flags
    assert any(flag.startswith("missing_unevenly:") for flag in flags)
    even = column([NAN] * 5 + [5.0] * 15, [NAN] * 5 + [6.0] * 15)
    assert compare_scores(even, pair_scores(even, "a")[0], {}).flags == ("degenerate",)


def test_scores_of_which_zero_is_the_top_are_not_called_saturated() -> None:
    harmless = [0.0] * 18 + [-8.0, -3.0]
    scores = replace(column(harmless, harmless[::-1]), low=-10.0, high=0.0)
    assert compare_scores(scores, pair_scores(scores, "a")[0], {}).flags == ()
    praised = column([10.0] * 18 + [2.0, 7.0], [7.0, 2.0] + [10.0] * 18)
    assert len(compare_scores(praised, pair_scores(praised, "a")[0], {}).flags) == 2


def test_a_comparison_is_repeated_without_flagged_items() -> None:
    scores = column([5.0] * 4, [5.0, 5.0, 9.0, 6.0])
    flags: dict[str, set[HygieneFlag]] = {"q2": {"empty"}}
    found = compare_scores(scores, pair_scores(scores, "a")[0], flags)
    assert found.difference.estimate == pytest.approx(5 / 4)
    assert [s.without for s in found.sensitivity] == ["any_flag", "empty"]
    for sensitivity in found.sensitivity:
        assert sensitivity.n == 3
        assert sensitivity.difference is not None
        assert sensitivity.difference.estimate == pytest.approx(1 / 3)


def test_swapping_the_models_flips_the_sign() -> None:
    scores = column([5.0, 6.0, 7.0, 3.0], [6.0, 6.0, 9.0, 2.0])
    forth = compare_scores(scores, pair_scores(scores, "a")[0], {})
    back = compare_scores(scores, pair_scores(scores, "b")[0], {})
    assert back.difference.estimate == -forth.difference.estimate
    assert back.difference.low == pytest.approx(-forth.difference.high)
    assert back.test.p_value == forth.test.p_value
