"""Verdicts on pairs in both orders: strict win share and agreement between the orders."""

import numpy as np
import pytest

from harness.analysis.comparisons import compare_scores
from harness.scoring.paired import pair_scores
from harness.types import PairwiseDetail
from tests.builders.judged_runs import wins

ONE_ORDER = np.full(8, np.nan)


def detail(first: list[float], second: list[float]) -> PairwiseDetail:
    column = wins(np.array(first), np.array(second))
    (pair,) = pair_scores(column, "sft")
    found = compare_scores(column, pair, {}).pairwise
    assert found is not None
    return found


def test_a_strict_win_is_one_in_both_orders() -> None:
    found = detail([1, 1, 1, 0, 0, 0.5, 1, 0], [1, 0, 0.5, 0, 0, 0.5, 1, 1])
    assert (found.wins, found.wins_in_both) == (3, 2)
    assert (found.losses, found.losses_in_both) == (2, 2)


def test_kappa_between_the_orders_is_cohens() -> None:
    found = detail([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 1])
    assert found.order_kappa is not None
    assert found.order_kappa.estimate == pytest.approx((0.75 - 0.5) / (1 - 0.5))


def test_one_order_has_neither() -> None:
    found = detail([1, 0, 1, 0, 1, 0, 1, 0], ONE_ORDER.tolist())
    assert (found.wins_in_both, found.losses_in_both, found.order_kappa) == (None, None, None)
