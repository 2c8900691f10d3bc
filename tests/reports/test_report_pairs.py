"""What a report says of the preference pairs that a model learnt from."""

import pytest

from harness.types import Interval, JudgeAgreement, PairSide, PairStatistics, RunResult
from reports.components import Table
from reports.markdown import render_markdown
from reports.sections.preference_pairs import (
    DROP_LABELS,
    describe_pairs,
    pair_tables,
    pair_warnings,
)
from reports.view import make_view
from tests.builders.results import passing_run

PAIRS = PairStatistics(
    built=100,
    kept=60,
    dropped={"tied": 15, "inconsistent": 10, "unscored": 8, "cut_off": 4, "too_long": 3},
    unscored_reasons={"refused": 6, "unreadable": 2},
    chosen=PairSide(mean_words=40.0, leaks=0, empty=0),
    rejected=PairSide(mean_words=25.5, leaks=6, empty=0),
    chosen_longer=Interval(estimate=0.8, low=0.68, high=0.88),
)
AGREEMENT = JudgeAgreement(
    column="preference",
    judges=("one", "two"),
    n=180,
    percent=Interval(estimate=0.75, low=0.68, high=0.81),
    alpha=Interval(estimate=0.5, low=0.4, high=0.6),
    ac1=None,
    kappa=None,
)


def run_with(pairs: PairStatistics) -> RunResult:
    result = passing_run()
    first, last = result.checkpoints
    return result.model_copy(
        update={"checkpoints": (first, last.model_copy(update={"pairs": pairs}))}
    )


def tables(pairs: PairStatistics) -> list[Table]:
    return list(pair_tables(run_with(pairs).checkpoints))


def test_the_fates_of_all_pairs_add_up_to_those_built() -> None:
    fates = tables(PAIRS)[0]
    assert sum(int(n) for _, n, _ in fates.rows) == PAIRS.built
    assert ("no verdict (6 refused and 2 unreadable)", "8", "8.0 %") in fates.rows


def test_both_sides_stand_beside_each_other() -> None:
    sides = tables(PAIRS)[1]
    assert ("mean words", "40.0", "25.5") in sides.rows
    assert ("mean words more than the other", "+14.5", "\N{MINUS SIGN}14.5") in sides.rows
    assert ("contain the system prompt", "0.0 %", "10.0 %") in sides.rows
    assert ("is the longer one", "80.0 % (68.0 to 88.0)", "20.0 % (12.0 to 32.0)") in sides.rows


def test_the_agreement_of_a_jury_is_shown_and_a_single_judge_has_none() -> None:
    assert len(tables(PAIRS)) == 2
    agreement = tables(PAIRS.model_copy(update={"agreement": AGREEMENT}))[2]
    assert agreement.rows == (
        ("one and two", "180", "75.0 % (68.0 to 81.0)", "0.50 (0.40 to 0.60)"),
    )


def test_a_model_without_pairs_has_no_table() -> None:
    assert list(pair_tables(passing_run().checkpoints)) == []


def test_pairs_of_which_none_was_kept_have_no_sides() -> None:
    none = PairSide(mean_words=None, leaks=0, empty=0)
    empty = PAIRS.model_copy(
        update={"kept": 0, "chosen": none, "rejected": none, "chosen_longer": None}
    )
    assert len(tables(empty)) == 1
    assert "chosen is the longer one" not in describe_pairs(empty)


def test_every_reason_has_its_words() -> None:
    from typing import get_args

    from harness.types import HygieneFlag, PairDrop

    own = {reason for part in get_args(PairDrop) for reason in get_args(part) or (part,)}
    assert own | set(get_args(HygieneFlag)) == set(DROP_LABELS)


@pytest.mark.parametrize(
    ("estimate", "low", "high", "said"),
    [
        (
            0.8,
            0.7,
            0.9,
            "In 80.0 % of my pairs with answers of different length, the chosen answer is the longer one",
        ),
        (
            0.2,
            0.1,
            0.3,
            "In 80.0 % of my pairs with answers of different length, the chosen answer is the shorter one",
        ),
        (0.8, 0.45, 0.95, ""),
        (0.6, 0.55, 0.65, ""),
    ],
)
def test_pairs_that_differ_mainly_in_length_are_warned_of(
    estimate: float, low: float, high: float, said: str
) -> None:
    share = Interval(estimate=estimate, low=low, high=high)
    told = " ".join(
        pair_warnings(PAIRS.model_copy(update={"chosen_longer": share}), subject="my pairs")
    )
    assert told.startswith(said) if said else told == ""


def test_chosen_answers_that_leak_are_warned_of() -> None:
    leaking = PAIRS.model_copy(update={"chosen": PairSide(mean_words=9.0, leaks=3, empty=0)})
    *_, told = pair_warnings(leaking, subject="my pairs")
    assert told.startswith("In 3 of my pairs, the chosen answer contains the system prompt.")


def test_the_report_and_the_command_tell_the_same_counts() -> None:
    told = describe_pairs(PAIRS)
    assert (told["dropped, tied in both orders"], told["pairs kept"]) == ("15", "60")
    section = next(s for s in make_view(run_with(PAIRS)).sections if s.name == "training")
    assert any("Pairs kept and dropped for" in table.title for table in section.tables)
    assert "tied in both orders" in render_markdown(run_with(PAIRS))
