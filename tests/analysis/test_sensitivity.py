"""What the verdict would be if something were counted another way."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.comparisons import compare_scores
from harness.analysis.sensitivity import find_sensitivities
from harness.config import (
    Claim,
    Criterion,
    EvasionMetric,
    Gate,
    Metric,
    PairwiseMetric,
    RubricMetric,
)
from harness.gate.decision import decide_gate
from harness.scoring.columns import ScoreColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.types import HygieneFlag, SensitivityRow, SensitivityTable
from tests.builders.pairs import NAN, answers, grade_column, win_column

RUBRIC = RubricMetric(kind="rubric", criteria=(Criterion(name="m", asks="?"),))
EVASION = EvasionMetric(kind="evasion")
PAIRWISE = PairwiseMetric(kind="pairwise", asks="?")
repeatable = settings(derandomize=True, deadline=None, max_examples=20)


def table(
    column: ScoreColumn,
    claim: str | None = "superior",
    *,
    metric: Metric = RUBRIC,
    flagged: Mapping[str, set[HygieneFlag]] | None = None,
    lengths: dict[str, Sequence[int]] | None = None,
    **options: float,
) -> SensitivityTable:
    """The only table about a column, under a gate with one claim."""
    pair = pair_scores(column, "a")[0]
    gate = None
    if claim is not None:
        stated = {"metric": pair.metric, "claim": claim, **options}
        gate = Gate(claims=(Claim.model_validate(stated),))
    n = len(pair.sample_ids)
    responses = answers(pair, lengths or {"a": [5] * n, "b": [5] * n})
    decided = {pair.metric: pair}
    (found,) = find_sensitivities(column, pair, metric, flagged or {}, responses, gate, decided)
    return found


def row(found: SensitivityTable, counting: str, without: str | None = None) -> SensitivityRow:
    (only,) = [r for r in found.rows if (r.counting, r.without) == (counting, without)]
    return only


def countings(found: SensitivityTable) -> list[str]:
    return [r.counting for r in found.rows]


def shifted(n: int, shift: float, seed: int = 0) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    old = rng.integers(3, 8, n).astype(float)
    new = np.clip(np.rint(old + shift + rng.normal(0, 1.5, n)), 1, 10)
    return old.tolist(), new.tolist()


# --- missing judgements ----------------------------------------------------------------------


def test_without_gaps_only_what_was_decided_and_equal_length_are_shown() -> None:
    found = table(grade_column(*shifted(150, 1.0)))
    assert countings(found) == ["as_decided", "equal_length"]
    assert found.tipping is None


def test_what_was_decided_spans_the_worst_and_the_best() -> None:
    old, new = shifted(150, 1.0)
    found = table(grade_column(old, [NAN] * 10 + new[10:]))
    decided, worst, best = (
        row(found, name).estimate for name in ("as_decided", "missing_at_worst", "missing_at_best")
    )
    assert decided and worst and best  # noqa: PT018
    assert (decided.estimate, decided.low, decided.high) == (worst.estimate, worst.low, best.high)
    assert row(found, "complete_cases").n == 140


def test_a_pass_that_rests_on_leaving_gaps_out_is_seen() -> None:
    old, new = [6.0] * 200, [7.0 if i % 2 else 6.0 for i in range(200)]
    found = table(grade_column(old, [NAN] * 20 + new[20:]))
    verdicts = {r.counting: r.verdict for r in found.rows}
    assert verdicts["as_decided"] == "inconclusive"
    assert verdicts["complete_cases"] == "pass"
    assert verdicts["missing_at_best"] == "pass"
    assert verdicts["missing_at_worst"] == "inconclusive"


def test_the_tipping_point_is_where_the_verdict_turns() -> None:
    old, new = [6.0] * 200, [7.0 if i % 2 else 6.0 for i in range(200)]
    found = table(grade_column(old, [NAN] * 20 + new[20:]))
    assert found.tipping is not None
    assert (found.tipping.scale, found.tipping.at_worst) == ("difference", "inconclusive")
    ((value, verdict),) = found.tipping.flips
    assert verdict == "pass"
    for imputed, expected in ((value + 1e-3, "pass"), (value - 1e-3, "inconclusive")):
        filled = grade_column(old, [6.0 + imputed] * 20 + new[20:])
        assert row(table(filled), "as_decided").verdict == expected


def test_no_value_flips_a_verdict_that_does_not_hang_on_the_gaps() -> None:
    old, new = shifted(300, 2.0)
    found = table(grade_column(old, [NAN, *new[1:]]))
    assert found.tipping is not None
    assert (found.tipping.at_worst, found.tipping.flips) == ("pass", ())


def test_a_threshold_is_tipped_on_the_scale_of_the_score() -> None:
    old, new = [6.0] * 200, [8.0 if i % 2 else 7.0 for i in range(200)]
    found = table(grade_column(old, [NAN] * 20 + new[20:]), "at_least", value=7.3)
    assert found.tipping is not None
    assert found.tipping.scale == "score"
    assert [verdict for _, verdict in found.tipping.flips] == ["inconclusive", "pass"]
    assert row(found, "complete_cases").n == 180
    assert "equal_length" not in countings(found)


def test_yes_or_no_judgements_are_tipped_by_how_many_are_yes() -> None:
    new = [1.0] * 180 + [NAN] * 20
    column = grade_column([1.0] * 200, new, share=True)
    found = table(column, "at_least", metric=EVASION, value=0.9)
    assert found.tipping is not None
    assert found.tipping.scale == "share_at_best"
    ((share, verdict),) = found.tipping.flips
    assert verdict == "pass"
    helpful = round(share * 20)
    assert share == pytest.approx(helpful / 20)
    for yes, expected in ((helpful, "pass"), (helpful - 1, "inconclusive")):
        filled = grade_column([1.0] * 200, [1.0] * (180 + yes) + [0.0] * (20 - yes), share=True)
        sure = table(filled, "at_least", metric=EVASION, value=0.9)
        assert row(sure, "as_decided").verdict == expected


# --- flags, order, length --------------------------------------------------------------------


def test_a_gain_that_flagged_answers_make_is_seen() -> None:
    old, new = [5.0] * 150, [10.0] * 30 + [4.0 + i % 3 for i in range(120)]
    flagged: dict[str, set[HygieneFlag]] = {f"q{i:04d}": {"prompt_leak_words"} for i in range(30)}
    found = table(grade_column(old, new), flagged=flagged)
    assert row(found, "as_decided").verdict == "pass"
    clean = row(found, "without_flagged", "prompt_leak_words")
    assert (clean.n, clean.verdict) == (120, "inconclusive")


def test_each_kind_of_flag_is_left_out_after_all_of_them() -> None:
    flagged: dict[str, set[HygieneFlag]] = {"q0000": {"empty"}, "q0001": {"cut_off"}}
    found = table(grade_column(*shifted(150, 1.0)), flagged=flagged)
    kinds = [(r.without, r.n) for r in found.rows if r.counting == "without_flagged"]
    assert kinds == [("any_flag", 148), ("empty", 149), ("cut_off", 149)]


def test_items_all_flagged_leave_nothing_to_estimate() -> None:
    old, new = shifted(20, 1.0)
    flagged: dict[str, set[HygieneFlag]] = {f"q{i:04d}": {"empty"} for i in range(20)}
    clean = row(table(grade_column(old, new), flagged=flagged), "without_flagged", "empty")
    assert (clean.n, clean.estimate, clean.verdict) == (0, None, None)
    assert clean.problem == "no scored item is left"


def test_inconsistent_pairs_are_ties_or_left_out() -> None:
    first = [1.0] * 100 + [1.0] * 60 + [0.0] * 40
    second = [1.0] * 100 + [0.5] * 60 + [0.0] * 40
    found = table(win_column(first, second), metric=PAIRWISE)
    decided, tied, alone = (
        row(found, name) for name in ("as_decided", "inconsistent_as_ties", "consistent_only")
    )
    assert decided.estimate and tied.estimate and alone.estimate  # noqa: PT018
    assert decided.estimate.estimate == pytest.approx((100 + 60 * 0.75) / 200)
    assert tied.estimate.estimate == pytest.approx((100 + 60 * 0.5) / 200)
    assert alone.estimate.estimate == pytest.approx(100 / 140)
    assert (tied.n, alone.n) == (200, 140)


def test_one_order_alone_has_no_inconsistent_pairs() -> None:
    found = table(win_column([1.0, 0.0] * 60, [NAN] * 120), metric=PAIRWISE)
    assert countings(found) == ["as_decided", "equal_length"]


def test_a_gain_that_length_makes_is_seen() -> None:
    rng = np.random.default_rng(3)
    extra = rng.normal(20, 40, 200).round().astype(int)
    new = np.clip(np.rint(5 + 3 * np.tanh(extra / 40) + rng.normal(0, 1, 200)), 1, 10)
    found = table(
        grade_column([5.0] * 200, new.tolist()),
        lengths={"a": [200] * 200, "b": (200 + extra).tolist()},
    )
    level = row(found, "equal_length")
    assert row(found, "as_decided").verdict == "pass"
    assert level.verdict == "inconclusive"
    assert level.estimate is not None
    assert abs(level.estimate.estimate) < 0.5


def test_where_equal_length_is_no_part_of_the_data_the_row_says_so() -> None:
    found = row(table(grade_column(*shifted(150, 1.0))), "equal_length")
    assert (found.estimate, found.verdict) == (None, None)
    assert found.problem == "lengths do not differ"


# --- as a whole ------------------------------------------------------------------------------


def test_the_first_row_is_what_the_report_shows_elsewhere() -> None:
    column = grade_column(*shifted(150, 0.4))
    comparison = compare_scores(column, pair_scores(column, "a")[0], {})
    assert row(table(column), "as_decided").estimate == comparison.difference


def test_a_comparison_without_a_claim_has_no_verdict() -> None:
    flagged: dict[str, set[HygieneFlag]] = {"q0000": {"empty"}}
    found = table(grade_column(*shifted(150, 1.0)), None, flagged=flagged)
    assert (found.claim, found.tipping) == (None, None)
    assert {r.verdict for r in found.rows} == {None}


def test_one_claim_of_several_is_judged_with_holms_correction() -> None:
    old, new = shifted(150, 0.28, seed=2)
    column, other = grade_column(old, new), grade_column(*shifted(150, 0.0), metric="n")
    pair, null = pair_scores(column, "a")[0], pair_scores(other, "a")[0]
    claims = (Claim(metric="m", claim="superior"), Claim(metric="n", claim="superior"))
    responses = answers(pair, {"a": [5] * 150, "b": [5] * 150})
    verdicts = [
        next(
            find_sensitivities(
                column, pair, RUBRIC, {}, responses, gate, {"m": pair, "n": null}
            )
        ).rows[0].verdict
        for gate in (Gate(claims=claims), Gate(claims=claims, require="any"))
    ]  # fmt: skip
    assert verdicts == ["pass", "inconclusive"]


def flipped(pair: PairedScores) -> tuple[list[float], list[float]]:
    return pair.candidate_scores.tolist(), pair.baseline_scores.tolist()


@repeatable
@given(st.integers(0, 50))
def test_swapping_the_models_flips_every_row(seed: int) -> None:
    old, new = shifted(60, 0.5, seed=seed)
    new[:6] = [NAN] * 6
    flags: dict[str, set[HygieneFlag]] = {"q0010": {"empty"}}
    here = table(grade_column(old, new), None, flagged=flags)
    there = table(grade_column(new, old), None, flagged=flags)
    mirror = {"missing_at_worst": "missing_at_best", "missing_at_best": "missing_at_worst"}
    for one in here.rows:
        other = row(there, mirror.get(one.counting, one.counting), one.without)
        if one.estimate is None:
            continue
        assert other.estimate is not None
        assert other.estimate.low == pytest.approx(-one.estimate.high)
        assert other.estimate.high == pytest.approx(-one.estimate.low)


@repeatable
@given(st.permutations(range(40)))
def test_the_order_of_items_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(0)
    old = rng.integers(0, 2, 40).astype(float).tolist()
    new = [NAN] * 5 + [1.0] * 35
    old[2] = NAN
    here = table(grade_column(old, new, share=True), metric=EVASION)
    there = table(
        grade_column([old[i] for i in order], [new[i] for i in order], share=True), metric=EVASION
    )
    assert there == here


def test_copied_items_in_clusters_do_not_narrow_any_row() -> None:
    old, new = shifted(60, 0.5)
    new[:6] = [NAN] * 6
    names = [f"c{i}" for i in range(60)]
    once = table(grade_column(old, new, clusters=names), None)
    twice = table(grade_column(old * 2, new * 2, clusters=names * 2), None)
    for one, other in zip(once.rows, twice.rows, strict=True):
        if one.estimate and other.estimate:
            assert other.estimate.model_dump() == pytest.approx(one.estimate.model_dump())


def test_an_equivalence_can_be_tipped_there_and_back() -> None:
    old = [6.0] * 200
    new = [NAN] * 20 + [5.0 + i % 3 for i in range(180)]
    found = table(grade_column(old, new), "equivalent", margin=0.3)
    assert found.tipping is not None
    assert [verdict for _, verdict in found.tipping.flips] == ["pass", "inconclusive"]
    there, back = (value for value, _ in found.tipping.flips)
    assert there < 0 < back


def test_what_was_decided_at_an_earlier_look_stays_decided() -> None:
    column = grade_column(*shifted(150, 0.05))
    pair = pair_scores(column, "a")[0]
    claim = Claim(metric="m", claim="superior")
    gate = Gate(claims=(claim,))
    now = decide_gate(gate, {"m": pair})
    assert now.verdict == "inconclusive"
    (earlier,) = (c.model_copy(update={"verdict": "pass"}) for c in now.claims)
    decision = now.model_copy(update={"verdict": "pass", "claims": (earlier,)})
    responses = answers(pair, {"a": [5] * 150, "b": [5] * 150})
    (found,) = find_sensitivities(column, pair, RUBRIC, {}, responses, gate, {"m": pair}, decision)
    assert row(found, "as_decided").verdict == "pass"
