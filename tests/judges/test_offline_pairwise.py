from judges import OfflineJudge
from tests.builders.judge_requests import BAD, ELSEWHERE, FAIR, GOOD, outcome, prefer, sample


def winner(first: str, second: str, **options: object) -> str | None:
    return outcome(OfflineJudge(), prefer(first, second, **options)).winner  # type: ignore[arg-type]


def test_better_answer_wins():
    assert winner(GOOD, BAD) == "first"


def test_swapped_order_swaps_the_winner():
    texts = [GOOD, FAIR, BAD, ELSEWHERE, ""]
    swap = {"first": "second", "second": "first", "tie": "tie"}
    for a in texts:
        for b in texts:
            assert winner(b, a) == swap[winner(a, b) or ""]


def test_order_label_and_names_play_no_part():
    assert winner(GOOD, BAD, order="baseline_first") == winner(GOOD, BAD, order="candidate_first")


def test_equal_answers_tie():
    assert winner(FAIR, FAIR) == "tie"


def test_hardly_different_answers_tie():
    assert winner(FAIR, FAIR.replace("often", "usually")) == "tie"


def test_two_empty_answers_tie():
    assert winner("", "") == "tie"


def test_any_real_answer_beats_silence():
    assert winner(FAIR, "") == "first"


def test_items_without_reference_are_compared_on_the_other_criteria():
    given = outcome(OfflineJudge(), prefer(GOOD, BAD, of=sample(reference=None)))
    assert given.winner == "first"
    assert "on clarity, safety, empathy" in (given.rationale or "")
