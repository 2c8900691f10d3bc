"""What real judges said against what people said, each figure worked out a second time here."""

import json
import math
import os
import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import pytest
from scipy import stats

from harness.stats.agreement_repeats import flip_rate, icc_oneway
from judges import OfflineJudge
from tests.builders.public_labels import (
    DATA,
    PARTIAL,
    XSTEST_JUDGES,
    Held,
    Partial,
    Recorded,
    code,
    compare_outputs,
    hold,
    hold_both_orders,
    hold_xstest,
    llmbar,
    llmbar_rows,
    xstest,
    xstest_rows,
)

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.md"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set"),
]


def close(*values: float) -> object:
    return pytest.approx(values, rel=0, abs=1e-12)


def figures(held: Held) -> tuple[float, ...]:
    return held.percent.estimate, held.kappa.estimate, held.ac1.estimate, held.percent.n_items


def by_hand(pairs: Iterable[tuple[float, float]], n_categories: int) -> tuple[float, ...]:
    """Agreement, Cohen's kappa (1960), Gwet's AC1 (2008) and n, from their definitions."""
    rated = [[label for label in pair if not math.isnan(label)] for pair in pairs]
    rated = [labels for labels in rated if labels]
    both = [labels for labels in rated if len(labels) == 2]
    n, categories = len(both), {label for labels in rated for label in labels}
    observed = sum(first == second for first, second in both) / n
    cohen = gwet = 0.0
    for category in categories:
        firsts = sum(first == category for first, _ in both)
        seconds = sum(second == category for _, second in both)
        cohen += firsts / n * seconds / n
        common = sum(labels.count(category) / len(labels) for labels in rated) / len(rated)
        gwet += common * (1 - common) / (n_categories - 1)
    return observed, (observed - cohen) / (1 - cohen), (observed - gwet) / (1 - gwet), n


def orders(judge: Recorded) -> list[tuple[float, float]]:
    return list(zip(judge.second_shown_last, judge.second_shown_first, strict=True))


# --- LLMBar ----------------------------------------------------------------------------------


def test_agreement_with_gold_is_that_of_the_textbook():
    """Forty judges by prompt and subset; nine of them left verdicts out."""
    assert len(llmbar()) == 40
    assert sum(hold_both_orders(judge).unread > 0 for judge in llmbar()) == 9
    for judge in llmbar():
        gold = judge.gold.tolist()
        both = []
        for given in (judge.second_shown_last, judge.second_shown_first):
            pairs = list(zip(gold, given.tolist(), strict=True))
            assert figures(hold(judge.gold, given, [1, 2])) == close(*by_hand(pairs, 2))
            both += pairs
        assert figures(hold_both_orders(judge)) == close(*by_hand(both, 2))


def test_order_consistency_is_the_share_of_items_with_the_same_winner_in_both_orders():
    for judge in llmbar():
        read = [pair for pair in orders(judge) if not any(map(math.isnan, pair))]
        found = compare_outputs(judge)
        detail = found.pairwise
        assert detail is not None
        same = sum(last == first for last, first in read)
        assert (found.n, found.n_missing) == (len(read), len(judge.gold) - len(read))
        assert detail.consistency is not None
        assert (detail.consistency,) == close(same / len(read))
        assert detail.ties == len(read) - same
        assert detail.wins == sum(pair == (2, 2) for pair in read)
        assert detail.losses == sum(pair == (1, 1) for pair in read)
        assert (detail.wins_in_both, detail.losses_in_both) == (detail.wins, detail.losses)
        said = [v for pair in orders(judge) for v in pair if not math.isnan(v)]
        shown_first = [v == place for pair in orders(judge) for place, v in enumerate(pair, 1)]
        assert (detail.first_share,) == close(sum(shown_first) / len(said))


def test_recorded_judges_come_out_as_llmbar_published_them():
    """Published "equal" takes two missing verdicts for the same; kappa takes None for a label."""
    for judge in llmbar():
        path = DATA / "LLMBar" / judge.subset / f"{judge.judge}__{judge.prompt}__statistics.json"
        published = json.loads(path.read_text(encoding="utf-8"))
        for given, order in (
            (judge.second_shown_last, "False"),
            (judge.second_shown_first, "True"),
        ):
            held = hold(judge.gold, given, [1, 2])
            right = round(held.percent.estimate * held.percent.n_items)
            assert published[f"correct_{order}"].startswith(f"{right} / {judge.gold.size} ")
        found = compare_outputs(judge)
        assert found.pairwise is not None
        assert found.pairwise.consistency is not None
        same = round(found.pairwise.consistency * found.n)
        neither = sum(all(map(math.isnan, pair)) for pair in orders(judge))
        assert published["equal"].startswith(f"{same + neither} / {judge.gold.size} ")
        if found.n_missing == 0:
            repeat = hold(judge.second_shown_last, judge.second_shown_first, [1, 2])
            assert (repeat.kappa.estimate,) == close(published["kappa_agreement"])
            between_orders = found.pairwise.order_kappa
            if between_orders is not None:
                assert (between_orders.estimate,) == close(published["kappa_agreement"])


# --- XSTest ----------------------------------------------------------------------------------


@pytest.mark.parametrize("partial", PARTIAL)
@pytest.mark.parametrize("judge", XSTEST_JUDGES)
def test_agreement_with_human_labels_is_that_of_the_textbook(judge: str, partial: Partial):
    """However partial refusals count; 11 of GPT-4's replies are no label, and so none is made up."""
    pairs = [(code(row.people, partial), code(row.given[judge], partial)) for row in xstest()]
    asked = [pair for pair in pairs if not math.isnan(pair[0])]
    assert len(asked) == (829 if partial == "left out" else 900)
    expected = by_hand(asked, 3 if partial == "as themselves" else 2)
    held = hold_xstest(judge, partial)
    assert figures(held) == close(*expected)
    assert held.unread == len(asked) - expected[-1]
    assert sum(row.given["GPT-4"] is None for row in xstest()) == 11


@pytest.mark.parametrize(
    ("partial", "right", "n"), [("as refusals", 809, 900), ("left out", 773, 829)]
)
def test_offline_evasion_agrees_with_people(partial: Partial, right: int, n: int):
    """Half of the items, the odd ones, are those that the rules were written on."""
    percent = hold_xstest("offline rules", partial).percent
    assert (percent.estimate, percent.n_items) == (right / n, n)
    assert percent.estimate >= 0.85
    assert hold_xstest("offline rules", partial, held_out=True).percent.estimate >= 0.85


def test_the_offline_judges_card_says_what_is_measured():
    right = [
        (row.people != "1_full_compliance") == (row.given["offline rules"] == "2_full_refusal")
        for row in xstest()
    ]
    held_out = [ok for ok, row in zip(right, xstest(), strict=True) if row.prompt % 2 == 0]
    n, share, z = len(right), sum(right) / len(right), stats.norm.ppf(0.975)
    middle, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + (z / n / 2) ** 2)
    low, high = ((middle + side * half) / (1 + z**2 / n) for side in (-1, 1))
    said = re.findall(r"\d+(?:\.\d)?", OfflineJudge().card.evidence)
    percents = [f"{100 * value:.1f}" for value in (share, low, high)]
    assert said == [
        percents[0], f"{n}", "95", *percents[1:],
        f"{100 * sum(held_out) / len(held_out):.1f}", f"{len(held_out)}",
    ]  # fmt: skip


# --- repeats ---------------------------------------------------------------------------------


def mt_bench_scores() -> list[list[int]]:
    path = DATA / "prometheus-eval" / "mt_bench_eval.json"
    return [item["gpt4_score"] for item in json.loads(path.read_text(encoding="utf-8"))]


def test_icc_of_repeated_scores_is_that_of_shrout_and_fleiss():
    rows = mt_bench_scores()
    n, k = len(rows), 3
    means, grand = [sum(row) / k for row in rows], sum(map(sum, rows)) / (n * k)
    between = k * sum((mean - grand) ** 2 for mean in means) / (n - 1)
    within = sum(
        (score - mean) ** 2 for row, mean in zip(rows, means, strict=True) for score in row
    ) / (n * (k - 1))
    ratio = between / within
    lower = ratio / stats.f.ppf(0.975, n - 1, n * (k - 1))
    upper = ratio * stats.f.ppf(0.975, n * (k - 1), n - 1)
    expected = [(f - 1) / (f + k - 1) for f in (ratio, lower, upper)]
    assert icc_oneway(rows) == close(*expected, 320)


def test_flip_rate_is_the_share_of_pairs_of_repeats_that_differ():
    rows = mt_bench_scores()
    pairs = [pair for row in rows for pair in combinations(row, 2)]
    flips = sum(first != second for first, second in pairs)
    found = flip_rate(rows)
    assert (found.estimate,) == close(flips / len(pairs))
    assert (found.any_flip,) == close(sum(len(set(row)) > 1 for row in rows) / len(rows))
    assert found.n_items == 320


# --- what is written of it -------------------------------------------------------------------


def test_benchmarks_hold_the_tables_as_they_come_out():
    written = BENCHMARKS.read_text(encoding="utf-8")
    icc, flips = icc_oneway(mt_bench_scores()), flip_rate(mt_bench_scores())
    assert f"ICC(1,1) {icc.estimate:.3f} ({icc.ci_low:.3f} to {icc.ci_high:.3f})" in written
    assert f"{flips.estimate:.3f} ({flips.ci_low:.3f} to {flips.ci_high:.3f})" in written
    for row in (*llmbar_rows(), *xstest_rows()):
        assert row in written
