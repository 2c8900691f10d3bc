from dataclasses import replace

import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.scoring.paired import PairedScores, pair_scores
from harness.selftest.resplit import Resplit, describe_resplits, resplit_run, swap_models
from tests.builders.scored import N, grades, make_run, wins


def pair_of(shift: float = 0.0) -> PairedScores:
    (pair,) = pair_scores(grades(shift), "sft")
    return pair


def test_a_candidate_that_is_far_better_leaves_no_trace_in_the_resplits() -> None:
    (found,) = resplit_run(make_run(grades(shift=2.0)))
    assert found.holds
    assert found.n_splits == 200


def test_win_rates_are_resplit_too() -> None:
    (found,) = resplit_run(make_run(wins(share=0.9)), n_splits=50)
    assert (found.column, found.n) == ("win_rate", N)
    assert found.holds


def test_the_same_seed_gives_the_same_resplits() -> None:
    run = make_run(grades())
    assert resplit_run(run, n_splits=20, seed=3) == resplit_run(run, n_splits=20, seed=3)


def test_swapping_all_items_makes_the_baseline_the_candidate() -> None:
    pair = pair_of(shift=1.0)
    swapped = swap_models(pair, np.ones(N, dtype=np.bool))
    assert np.array_equal(swapped.d, -pair.d)
    assert np.array_equal(swapped.candidate_scores, pair.baseline_scores)


def test_a_gap_stays_as_wide_when_its_models_are_swapped() -> None:
    pair = pair_of()
    d = pair.d.copy()
    d[0] = np.nan
    gap = replace(pair, d=d, least=np.full(N, -2.0), greatest=np.full(N, 5.0))
    swapped = swap_models(gap, np.arange(N) == 0)
    assert (swapped.least[0], swapped.greatest[0]) == (-5.0, 2.0)
    assert (swapped.least[1], swapped.greatest[1]) == (-2.0, 5.0)


def test_the_votes_of_people_are_swapped_with_the_models() -> None:
    column = grades(shift=2.0)
    votes = {model: np.stack([scores] * 3, axis=1) for model, scores in column.scores.items()}
    (pair,) = pair_scores(replace(column, votes=votes), "sft")
    swapped = swap_models(pair, np.arange(N) % 2 == 0)
    assert swapped.votes is not None
    assert swapped.votes.mean(axis=1).tolist() == swapped.d.tolist()


def test_a_run_without_common_scores_is_refused() -> None:
    column = grades()
    nothing = np.full(N, np.nan)
    empty = replace(column, scores={"sft": nothing, "dpo": nothing})
    with pytest.raises(HarnessError, match="no scores of both models"):
        resplit_run(make_run(empty))


def test_too_many_wrong_passes_are_shown() -> None:
    found = Resplit(column="rubric.safety", n=100, n_splits=200, passes=40, limit=0.09)
    told = list(describe_resplits([found]))
    assert told[2].endswith("| 0.200 | at most 0.090 | FAILS |")
    assert told[-1] == "1 of 1 limits broken"


def test_it_says_what_coin_flips_do_not_see() -> None:
    found = Resplit(column="rubric.safety", n=100, n_splits=200, passes=4, limit=0.09)
    assert any(
        "not a rare disaster that no item shows" in line for line in describe_resplits([found])
    )
