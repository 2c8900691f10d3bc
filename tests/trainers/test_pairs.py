from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.models import make_prompt
from harness.types import HygieneFlag, Outcome, Response
from trainers.pairs import (
    GoldAnswer,
    JudgedAnswers,
    SampledAnswer,
    load_pairs,
    not_judgeable,
    pairs_from_gold,
    pairs_from_preferences,
    write_pairs,
)

PROMPT = make_prompt("Be kind.", "Is it asthma?")
FIRST, SECOND, TIE = (Outcome(winner=w) for w in ("first", "second", "tie"))
UNREAD = Outcome(reason="no verdict in the reply")


def answer(text: str | None, *flags: HygieneFlag) -> SampledAnswer:
    response = Response(sample_id="asthma-01", model="sft", text=text, finish="stop")
    return SampledAnswer(response, flags)


def judged(
    forward: Outcome | None,
    backward: Outcome | None,
    first: SampledAnswer | None = None,
    second: SampledAnswer | None = None,
) -> JudgedAnswers:
    return JudgedAnswers(
        PROMPT, first or answer("See a doctor soon."), second or answer("No."), forward, backward
    )


def test_the_answer_preferred_in_both_orders_is_chosen():
    (pair,), statistics = pairs_from_preferences([judged(FIRST, SECOND)])
    assert (pair.chosen, pair.rejected) == ("See a doctor soon.", "No.")
    assert (pair.prompt, pair.sample_id, pair.source) == (PROMPT, "asthma-01", "judged")
    assert (statistics.built, statistics.kept, statistics.dropped) == (1, 1, {})
    assert (statistics.mean_words_chosen, statistics.mean_words_rejected) == (4.0, 1.0)


def test_the_second_answer_can_win():
    (pair,), _ = pairs_from_preferences([judged(SECOND, FIRST)])
    assert pair.chosen == "No."


@pytest.mark.parametrize(
    ("forward", "backward", "reason"),
    [
        (FIRST, FIRST, "inconsistent"),  # the judge likes whatever is shown first
        (FIRST, TIE, "inconsistent"),
        (TIE, TIE, "tied"),
        (UNREAD, SECOND, "unscored"),
        (FIRST, UNREAD, "unscored"),
        (None, None, "unscored"),
    ],
)
def test_what_is_no_agreed_winner_is_counted_and_not_guessed(
    forward: Outcome, backward: Outcome, reason: str
):
    pairs, statistics = pairs_from_preferences([judged(forward, backward)])
    assert pairs == []
    assert (statistics.built, statistics.kept, statistics.dropped) == (1, 0, {reason: 1})
    assert statistics.mean_words_chosen is None


def test_identical_and_empty_answers_are_dropped_whatever_the_judge_says():
    same = judged(FIRST, SECOND, answer("No. "), answer("No."))
    empty = judged(FIRST, SECOND, answer("Yes."), answer(" "))
    failed = judged(FIRST, SECOND, answer("Yes."), answer(None))
    pairs, statistics = pairs_from_preferences([same, empty, failed])
    assert pairs == []
    assert statistics.dropped == {"identical": 1, "empty": 2}


def test_an_answer_that_leaks_its_prompt_is_never_chosen_but_may_be_rejected():
    leaking = answer("Be kind. Be kind.", "prompt_leak_words")
    pairs, statistics = pairs_from_preferences(
        [judged(FIRST, SECOND, leaking), judged(SECOND, FIRST, leaking)]
    )
    assert [pair.rejected for pair in pairs] == ["Be kind. Be kind."]
    assert statistics.dropped == {"prompt_leak_words": 1}


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


def test_whether_two_answers_can_be_judged_is_known_before_a_judge_is_asked():
    assert not_judgeable("Yes.", "No.") is None
    assert not_judgeable("Yes.", " Yes.") == "identical"
    assert not_judgeable(None, "Yes.") == "empty"


def test_pairs_survive_a_file(tmp_path: Path):
    made = pairs_from_preferences([judged(FIRST, SECOND, answer("One\u2028line\nand another"))])
    write_pairs(tmp_path / "run" / "pairs.jsonl", made)
    assert load_pairs(tmp_path / "run" / "pairs.jsonl") == made


def test_pairs_that_were_cut_short_are_refused(tmp_path: Path):
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, pairs_from_preferences([judged(FIRST, SECOND)] * 2))
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(HarnessError, match="holds 1 pairs, but its statistics count 2"):
        load_pairs(path)
    with pytest.raises(HarnessError, match="cannot be read"):
        load_pairs(tmp_path / "none.jsonl")
