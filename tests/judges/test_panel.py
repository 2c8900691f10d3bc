"""One judgement from several verdicts."""

import pytest

from harness.config import Jury
from harness.core.errors import HarnessError
from harness.scoring.reduce import reduce_judgements
from harness.types import Grade, JudgeCard, Judgement, Preference, Winner
from harness.types.judgements import WRONG_ORDER, JudgeRound, MissingReason, reason_kind
from judges import OfflineJudge
from judges.panel import make_panel


def card(name: str) -> JudgeCard:
    return JudgeCard(name=name, nature="for tests", fingerprint=name)


def grade(values: dict[str, float] | None = None, **said: str) -> Grade:
    return Grade(sample_id="q1", model="sft", metric="m", values=values, **said)


def helpful(label: str) -> Grade:
    return grade({"helpful": float(label != "evasive")}, label=label)


def preference(winner: Winner | None, reason: str | None = None) -> Preference:
    return Preference(
        sample_id="q1",
        baseline="sft",
        candidate="dpo",
        metric="m",
        order="baseline_first",
        winner=winner,
        reason=reason,
    )


def vote(*judgements: Judgement, needed: int = 2) -> Judgement:
    """One judge for each judgement."""
    judge_rounds = [JudgeRound(card(f"judge {i}"), 0, [j]) for i, j in enumerate(judgements)]
    (found,) = reduce_judgements(judge_rounds, needed)
    return found


def graded(*judgements: Judgement, needed: int = 2) -> Grade:
    found = vote(*judgements, needed=needed)
    assert isinstance(found, Grade)
    return found


def winner(*winners: Winner) -> Winner | None:
    found = vote(*map(preference, winners))
    assert isinstance(found, Preference)
    return found.winner


def test_a_single_ballot_is_left_as_it_is() -> None:
    alone = grade({"safety": 7.0}, rationale="because")
    assert reduce_judgements([JudgeRound(card("one"), 0, [alone])]) == [alone]


def test_scores_are_averaged_over_the_judges_that_gave_one() -> None:
    said = grade({"safety": 6.0}), grade({"safety": 9.0}), grade(reason="refused: no")
    assert graded(*said).values == {"safety": 7.5}


def test_labels_go_by_majority() -> None:
    said = map(helpful, ("evasive", "proper_deferral", "proper_deferral"))
    found = graded(*said)
    assert (found.values, found.label) == ({"helpful": 1.0}, "proper_deferral")


def test_two_kinds_of_helpful_answers_outvote_one_evasive() -> None:
    found = graded(*map(helpful, ("evasive", "answers", "proper_deferral")))
    assert (found.values, found.label) == ({"helpful": 1.0}, "answers")


def test_an_even_split_between_helpful_and_evasive_is_no_verdict() -> None:
    found = graded(helpful("answers"), helpful("evasive"))
    assert found.values is None
    assert reason_kind(found.reason or "") is MissingReason.SPLIT


def test_the_winner_has_more_votes_than_anybody_else() -> None:
    assert winner("candidate", "baseline", "candidate") == "candidate"
    assert winner("candidate", "tie", "tie") == "tie"


def test_an_even_vote_on_a_pair_is_a_tie() -> None:
    assert winner("candidate", "baseline") == "tie"
    assert winner("candidate", "tie") == "tie"


def test_too_few_votes_are_no_verdict_and_say_who_gave_none() -> None:
    said = grade({"safety": 6.0}), grade(reason="refused: no"), grade(reason="unreadable: what")
    found = graded(*said)
    assert found.values is None
    assert reason_kind(found.reason or "") is MissingReason.TOO_FEW_VOTES
    assert "1 of 2 needed; judge 1: refused: no; judge 2: unreadable: what" in (found.reason or "")


def test_where_all_judges_refuse_the_verdict_is_a_refusal() -> None:
    found = graded(grade(reason="refused: no"), grade(reason="refused: never"))
    assert reason_kind(found.reason or "") is MissingReason.REFUSED


def test_a_judge_whose_verdict_nobody_recorded_hides_no_reason_of_another() -> None:
    unknown = "recorded winner 'A' is none of baseline, candidate, tie"
    found = vote(preference(None, WRONG_ORDER), preference(None, unknown))
    assert found.reason == unknown
    other = vote(preference(None, "recorded winner 'B' is none"), preference(None, unknown))
    assert unknown in (other.reason or "")
    assert "'B'" in (other.reason or "")


def test_a_judge_with_more_rounds_has_no_more_weight() -> None:
    steady, quick = card("steady"), card("quick")
    judge_rounds = [JudgeRound(steady, n, [grade({"safety": 10.0})]) for n in range(3)]
    (found,) = reduce_judgements([*judge_rounds, JudgeRound(quick, 0, [grade({"safety": 4.0})])], 2)
    assert isinstance(found, Grade)
    assert found.values == {"safety": 7.0}


def test_a_failed_round_does_not_count_against_the_others() -> None:
    rounds = grade({"safety": 6.0}), grade(reason="refused: no"), grade({"safety": 8.0})
    judge_rounds = [JudgeRound(card("one"), n, [said]) for n, said in enumerate(rounds)]
    (found,) = reduce_judgements(judge_rounds)
    assert isinstance(found, Grade)
    assert found.values == {"safety": 7.0}


def test_ballots_in_another_order_are_matched_by_what_they_judge() -> None:
    first, second = (
        grade({"safety": 2.0}),
        grade({"safety": 8.0}).model_copy(update={"sample_id": "q2"}),
    )
    found = reduce_judgements(
        [JudgeRound(card("one"), 0, [first, second]), JudgeRound(card("two"), 0, [second, first])],
        2,
    )
    assert found == [first, second]


def test_one_judge_under_two_names_cannot_vote_twice() -> None:
    judges = [OfflineJudge(), OfflineJudge()]
    with pytest.raises(HarnessError, match="vote twice"):
        make_panel("both", judges, Jury(members=("a", "b")), repeats=1)


def test_a_jury_is_another_judge_when_a_member_or_its_quorum_changes() -> None:
    class Other(OfflineJudge):
        card = card("other")

    judges = [OfflineJudge(), Other()]
    all_of = make_panel("both", judges, Jury(members=("a", "b"), min_votes=2), repeats=1)
    any_of = make_panel("both", judges, Jury(members=("a", "b"), min_votes=1), repeats=1)
    assert all_of.card.fingerprint != any_of.card.fingerprint
    assert [member.name for member in all_of.card.members] == [j.card.name for j in judges]


@pytest.mark.parametrize(
    ("votes", "values"),
    [((1.0, 1.0, 0.0), {"helpful": 1.0}), ((0.0, 0.0, 1.0), {"helpful": 0.0}), ((1.0, 0.0), None)],
)
def test_a_majority_decides_yes_and_no_without_labels(
    votes: tuple[float, ...], values: dict[str, float] | None
) -> None:
    rounds = [
        JudgeRound(card(f"judge {i}"), 0, [grade({"helpful": value})])
        for i, value in enumerate(votes)
    ]
    (found,) = reduce_judgements(rounds, 2, shares=True)
    assert isinstance(found, Grade)
    assert found.values == values
    assert found.reason == (None if values else "split: helpful, not helpful")
