from pathlib import Path

import pytest

from harness.config.data import JudgedPairFilters, PairFilters
from harness.core.errors import HarnessError
from harness.data.preference_pairs import (
    GoldAnswer,
    JudgedAnswers,
    SampledAnswer,
    load_pairs,
    pairs_from_given,
    pairs_from_gold,
    pairs_from_preferences,
    unpairable_reason,
    write_pairs,
)
from harness.models.local import make_prompt
from harness.types import HygieneFlag, PairSide, Preference, Response, Winner
from harness.types.training import PreferencePair
from trainers.recipe import load_recipe

PROMPT = make_prompt("Be kind and never name a dose of any medicine at all.", "Is it asthma?")
LEAK = "I never name a dose of any medicine at all."


def verdict(winner: Winner | None, reason: str | None = None) -> Preference:
    return Preference(
        sample_id="asthma-01",
        baseline="draw 1",
        candidate="draw 2",
        metric="pairs",
        order="baseline_first",
        winner=winner,
        reason=reason,
    )


FIRST, SECOND, TIE = (verdict(w) for w in ("baseline", "candidate", "tie"))
UNREAD = verdict(None, "unreadable: no verdict in the reply")


def answer(text: str | None, *flags: HygieneFlag) -> SampledAnswer:
    response = Response(sample_id="asthma-01", model="sft", text=text, finish="stop")
    return SampledAnswer(response, flags)


def judged(
    forward: Preference | None,
    backward: Preference | None,
    first: SampledAnswer | None = None,
    second: SampledAnswer | None = None,
    votes: tuple[Winner, ...] = (),
) -> JudgedAnswers:
    return JudgedAnswers(
        PROMPT,
        first or answer("See a doctor soon."),
        second or answer("No."),
        forward,
        backward,
        votes,
    )


def given(chosen: str, rejected: str) -> PreferencePair:
    return PreferencePair(
        sample_id="q", prompt=PROMPT, chosen=chosen, rejected=rejected, source="given"
    )


def test_the_answer_preferred_in_both_orders_is_chosen():
    (pair,), statistics = pairs_from_preferences([judged(FIRST, FIRST)])
    assert (pair.chosen, pair.rejected) == ("See a doctor soon.", "No.")
    assert (pair.prompt, pair.sample_id, pair.source) == (PROMPT, "asthma-01", "judged")
    assert (statistics.built, statistics.kept, statistics.dropped) == (1, 1, {})


def test_the_second_answer_can_win():
    (pair,), _ = pairs_from_preferences([judged(SECOND, SECOND)])
    assert pair.chosen == "No."


@pytest.mark.parametrize(
    ("forward", "backward", "reason"),
    [
        (FIRST, SECOND, "inconsistent"),  # the judge likes whatever is shown first
        (FIRST, TIE, "inconsistent"),
        (TIE, TIE, "tied"),
        (UNREAD, SECOND, "unscored"),
        (FIRST, UNREAD, "unscored"),
        (None, None, "unscored"),
    ],
)
def test_what_is_no_agreed_winner_is_counted_and_not_guessed(
    forward: Preference, backward: Preference, reason: str
):
    pairs, statistics = pairs_from_preferences([judged(forward, backward)])
    assert pairs == []
    assert (statistics.built, statistics.kept, statistics.dropped) == (1, 0, {reason: 1})
    assert statistics.chosen.mean_words is None


def test_why_pairs_went_unscored_is_counted():
    refused = verdict(None, "refused: I cannot")
    _, statistics = pairs_from_preferences(
        [judged(UNREAD, FIRST), judged(FIRST, UNREAD), judged(refused, refused)]
    )
    assert statistics.unscored_reasons == {"unreadable": 2, "refused": 1}


def test_a_tie_of_judges_who_name_different_winners_is_a_split():
    told: tuple[Winner, ...] = ("baseline", "candidate") * 2
    both: tuple[Winner, ...] = ("tie", "tie", "baseline") * 2
    _, statistics = pairs_from_preferences([judged(TIE, TIE, votes=v) for v in (told, both)])
    assert statistics.dropped == {"split": 1, "tied": 1}


def test_a_margin_below_the_least_one_drops_the_pair():
    two_of_three: tuple[Winner, ...] = ("baseline", "baseline", "candidate") * 2
    candidates = [judged(FIRST, FIRST, votes=two_of_three), judged(FIRST, FIRST)]
    statistics = pairs_from_preferences(candidates, JudgedPairFilters(min_margin=0.5)).statistics
    assert (statistics.kept, statistics.dropped) == (1, {"low_margin": 1})
    kept = pairs_from_preferences(candidates, JudgedPairFilters(min_margin=1 / 3)).pairs
    assert len(kept) == 2


def test_identical_and_empty_answers_are_dropped_whatever_the_judge_says():
    same = judged(FIRST, FIRST, answer("No. "), answer("No."))
    empty = judged(FIRST, FIRST, answer("Yes."), answer(" "))
    failed = judged(FIRST, FIRST, answer("Yes."), answer(None))
    pairs, statistics = pairs_from_preferences([same, empty, failed])
    assert pairs == []
    assert statistics.dropped == {"identical": 1, "empty": 2}


def test_an_answer_that_leaks_its_prompt_is_never_chosen_but_may_be_rejected():
    leaking = answer(LEAK, "prompt_leak_words")
    pairs, statistics = pairs_from_preferences(
        [judged(FIRST, FIRST, leaking), judged(SECOND, SECOND, leaking)]
    )
    assert [pair.rejected for pair in pairs] == [LEAK]
    assert statistics.dropped == {"prompt_leak_words": 1}
    assert (statistics.chosen.leaks, statistics.rejected.leaks) == (0, 1)


def test_gold_is_chosen_over_the_models_own_answer():
    own = Response(sample_id="asthma-01", model="sft", text="No.", finish="length")
    pairs, statistics = pairs_from_gold(
        [
            GoldAnswer(PROMPT, "See a doctor.", own),
            GoldAnswer(PROMPT, "No.", own),
            GoldAnswer(PROMPT, "See a doctor.", own.model_copy(update={"text": None})),
        ]
    )
    assert [(pair.chosen, pair.rejected, pair.source) for pair in pairs] == [
        ("See a doctor.", "No.", "gold")
    ]
    assert statistics.dropped == {"identical": 1, "empty": 1}


# --- filters and statistics ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        (PairFilters(min_words=2), "too_short"),
        (PairFilters(max_words=3), "too_long"),
        (PairFilters(max_length_ratio=3.9), "length_ratio"),
    ],
)
def test_each_filter_on_length_is_counted_by_itself(filters: PairFilters, reason: str):
    pairs, statistics = pairs_from_given([given("one two three four", "one")], filters)
    assert (pairs, statistics.dropped) == ([], {reason: 1})


def test_a_pair_at_the_limits_is_kept():
    filters = PairFilters(min_words=1, max_words=4, max_length_ratio=4.0)
    assert pairs_from_given([given("one two three four", "one")], filters).statistics.kept == 1


def test_both_sides_of_the_kept_pairs_are_described():
    statistics = pairs_from_given(
        [given("Two words", "Five words are said here"), given(LEAK, "No")]
    ).statistics
    assert statistics.chosen == PairSide(mean_words=6.0, leaks=1, empty=0)
    assert statistics.rejected == PairSide(mean_words=3.0, leaks=0, empty=0)
    assert statistics.chosen_longer is not None
    assert statistics.chosen_longer.estimate == 0.5


def test_pairs_that_length_alone_would_guess_teach_length():
    longer = [given("one two three", "one")] * 140
    shorter = [given("one", "one two three")] * 60
    assert pairs_from_given(longer + shorter).statistics.teaches == "longer"
    assert pairs_from_given(longer[:60] + shorter[:1] * 140).statistics.teaches == "shorter"
    assert pairs_from_given(longer[:139] + shorter + shorter[:1]).statistics.teaches is None


def test_a_few_pairs_are_no_evidence_that_they_teach_length():
    assert pairs_from_given([given("one two", "one")] * 3).statistics.teaches is None


def test_equally_long_answers_teach_no_length():
    assert pairs_from_given([given("one two", "two one")] * 50).statistics.chosen_longer is None


def test_filters_that_leave_nothing_are_shown_with_their_line(tmp_path: Path):
    path = tmp_path / "pairs.yaml"
    path.write_text(
        "recipe: p\nmethod: given_pairs\ndata: {path: a.jsonl}\n"
        "filters:\n  min_words: 9\n  max_words: 3\n"
    )
    with pytest.raises(HarnessError, match=r"pairs.yaml:6: .*no pair is left"):
        load_recipe(str(path))


# --- before judging, and on disk ---------------------------------------------------------------


def test_whether_two_answers_can_be_judged_is_known_before_a_judge_is_asked():
    assert unpairable_reason("Yes.", "No.") is None
    assert unpairable_reason("Yes.", " Yes.") == "identical"
    assert unpairable_reason(None, "Yes.") == "empty"


def test_pairs_survive_a_file(tmp_path: Path):
    made = pairs_from_preferences([judged(FIRST, FIRST, answer("One\u2028line\nand another"))])
    write_pairs(tmp_path / "run" / "pairs.jsonl", made)
    assert load_pairs(tmp_path / "run" / "pairs.jsonl") == made


def test_pairs_that_were_cut_short_are_refused(tmp_path: Path):
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, pairs_from_preferences([judged(FIRST, FIRST)] * 2))
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(HarnessError, match="holds 1 rows, but its statistics count 2"):
        load_pairs(path)
    with pytest.raises(HarnessError, match="cannot be read"):
        load_pairs(tmp_path / "none.jsonl")
