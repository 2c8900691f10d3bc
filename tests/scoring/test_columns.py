import math
from pathlib import Path

import numpy as np

from harness.artifacts.scores import read_scores, write_scores
from harness.config import PairwiseMetric
from harness.scoring.columns import (
    GradeColumn,
    PreferenceColumn,
    score_judgements,
    summarise_column,
    summarise_coverage,
)
from harness.scoring.paired import pair_scores
from harness.types import Grade, Order, Preference, Winner
from harness.types.judgements import WRONG_ORDER
from tests.builders.score_tasks import RUBRIC, answers, task


def grade(model: str, i: int, values: dict[str, float] | None, reason: str | None = None) -> Grade:
    return Grade(sample_id=f"q{i}", model=model, metric="m", values=values, reason=reason)


def preference(i: int, order: Order, winner: Winner | None) -> Preference:
    reason = None if winner else "unreadable"
    return Preference(
        sample_id=f"q{i}", baseline="a", candidate="b", metric="m", order=order, winner=winner,
        reason=reason,
    )  # fmt: skip


def grade_columns(
    *grades: Grade, texts: tuple[str | None, ...] = ("x", "x", "x")
) -> dict[str, GradeColumn]:
    columns = score_judgements(task(RUBRIC), "m", grades, {"a": answers("a", *texts)})
    return {c.metric: c for c in columns if isinstance(c, GradeColumn)}


def win_column(*preferences: Preference) -> PreferenceColumn:
    responses = {"a": answers("a", "x", "x", None), "b": answers("b", "y", "y", "y")}
    metric = PairwiseMetric(kind="pairwise", asks="?")
    (column,) = score_judgements(task(metric), "m", preferences, responses)
    assert isinstance(column, PreferenceColumn)
    return column


def test_the_composite_is_the_mean_of_the_criteria() -> None:
    columns = grade_columns(*(grade("a", i, {"safety": 4, "empathy": 9}) for i in range(3)))
    assert columns["m.composite"].scores["a"].tolist() == [6.5, 6.5, 6.5]


def test_an_unreadable_grade_is_a_gap_with_a_reason_and_never_a_number() -> None:
    good = {"safety": 4.0, "empathy": 9.0}
    columns = grade_columns(grade("a", 0, good), grade("a", 1, None, "unreadable"))
    for column in columns.values():
        assert np.isnan(column.scores["a"]).tolist() == [False, True, True]
        assert column.reasons["a"] == [None, "unreadable", "not judged"]


def test_a_model_without_an_answer_gets_the_worst_score() -> None:
    good = {"safety": 4.0, "empathy": 9.0}
    columns = grade_columns(*(grade("a", i, good) for i in range(2)), texts=("x", "x", None))
    assert columns["m.safety"].scores["a"].tolist() == [4, 4, 1]
    assert summarise_coverage(columns["m.safety"])[0].generation_failed == 1


def test_coverage_counts_each_reason() -> None:
    columns = grade_columns(
        grade("a", 0, {"safety": 4, "empathy": 9}), grade("a", 1, None, "refused")
    )
    (coverage,) = summarise_coverage(columns["m.safety"])
    assert coverage.n_scored == 1
    assert coverage.reasons == {"not judged": 1, "refused": 1}


def test_a_win_score_is_the_mean_over_both_orders() -> None:
    column = win_column(
        preference(0, "baseline_first", "candidate"), preference(0, "candidate_first", "tie"),
        preference(1, "baseline_first", "baseline"), preference(1, "candidate_first", None),
    )  # fmt: skip
    means = np.mean([column.by_order[order] for order in column.orders], axis=0)
    assert means[0] == 0.75
    assert math.isnan(means[1])
    assert column.reasons == [None, "unreadable", None]


def test_a_model_without_an_answer_loses_the_pair() -> None:
    column = win_column(
        preference(0, "baseline_first", "tie"), preference(0, "candidate_first", "tie")
    )
    assert [column.by_order[order][2] for order in column.orders] == [1.0, 1.0]


def test_the_histogram_of_integer_scores_has_every_step_of_the_scale() -> None:
    columns = grade_columns(*(grade("a", i, {"safety": 10, "empathy": 9}) for i in range(3)))
    summary = summarise_column(columns["m.safety"])[0]
    assert list(summary.histogram) == [str(step) for step in range(1, 11)]
    assert summary.histogram["10"] == 3
    assert summary.ceiling_share == 1.0


# --- orders ----------------------------------------------------------------------------------


def said(i: int, order: Order, reason: str) -> Preference:
    return preference(i, order, None).model_copy(update={"reason": reason})


def test_a_judge_that_fails_on_a_whole_order_leaves_gaps_and_not_one_order() -> None:
    """Else the verdict would rest on the order that works, and so on what stands first in it."""
    column = win_column(
        *(preference(i, "baseline_first", "candidate") for i in range(2)),
        *(preference(i, "candidate_first", None) for i in range(2)),
    )
    assert column.orders == ("baseline_first", "candidate_first")
    (pair,) = pair_scores(column, "a")
    assert pair.missing == 2
    assert pair.least.tolist()[:2] == [0.0, 0.0]
    assert column.reasons == ["unreadable", "unreadable", None]


def test_an_order_that_nobody_recorded_was_not_asked() -> None:
    column = win_column(
        *(preference(i, "baseline_first", "candidate") for i in range(3)),
        *(said(i, "candidate_first", WRONG_ORDER) for i in range(3)),
    )
    assert column.orders == ("baseline_first",)
    assert pair_scores(column, "a")[0].missing == 0


def test_an_answer_that_is_missing_does_not_make_an_order_asked() -> None:
    """It is lost in any order; other items are not missing in one that nobody asked."""
    column = win_column(
        *(preference(i, "baseline_first", "candidate") for i in range(2)),
        *(said(i, "candidate_first", WRONG_ORDER) for i in range(2)),
    )
    (pair,) = pair_scores(column, "a")
    assert pair.d.tolist() == [0.5, 0.5, 0.5]  # the baseline has no answer to the last item


def test_which_orders_were_asked_is_read_back(tmp_path: Path) -> None:
    column = win_column(
        *(preference(i, "baseline_first", "candidate") for i in range(3)),
        *(preference(i, "candidate_first", None) for i in range(3)),
    )
    write_scores([column], tmp_path)
    (read,) = read_scores(tmp_path)
    assert isinstance(read, PreferenceColumn)
    assert read.orders == column.orders


# --- reasons ---------------------------------------------------------------------------------

WORD = "recorded winner 'A' is none of baseline, candidate, tie"


def test_an_order_that_nobody_recorded_hides_no_reason() -> None:
    column = win_column(
        *(said(i, "baseline_first", WORD) for i in range(2)),
        *(said(i, "candidate_first", WRONG_ORDER) for i in range(2)),
    )
    assert column.reasons == [WORD, WORD, None]


def test_reasons_of_both_orders_are_kept_apart_and_the_commonest_stands_for_the_item(
    tmp_path: Path,
) -> None:
    column = win_column(
        said(0, "baseline_first", "refused: no"), said(0, "candidate_first", "cut off: at 9 tokens"),
        said(1, "baseline_first", "refused: never"), preference(1, "candidate_first", "tie"),
    )  # fmt: skip
    assert column.reasons == ["refused: no", "refused: never", None]
    assert column.order_reasons["candidate_first"] == ["cut off: at 9 tokens", None, None]
    write_scores([column], tmp_path)
    (read,) = read_scores(tmp_path)
    assert isinstance(read, PreferenceColumn)
    assert (read.reasons, read.order_reasons) == (column.reasons, column.order_reasons)


def test_a_gap_in_a_composite_has_the_commonest_reason_of_its_criteria() -> None:
    columns = grade_columns(
        grade("a", 0, {"empathy": 9}), grade("a", 1, {"safety": 4}), grade("a", 2, {"safety": 4})
    )
    reasons = ["the judge gave no safety", *["the judge gave no empathy"] * 2]
    assert columns["m.composite"].reasons["a"] == reasons
