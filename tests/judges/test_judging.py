"""Judging with the real offline judge and a real store."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import PairwiseMetric
from harness.core.progress import QuietProgress, Stage
from harness.core.store import Store
from harness.types import JudgeCard, JudgeRequest, Message, Outcome, Preference, Sample
from judges import OfflineJudge
from judges.backlog import outcome_key
from judges.judging import collect_outcomes, preference_requests, to_judgement

METRIC = PairwiseMetric(kind="pairwise", asks="Which is better?")
GOOD = "I am sorry it hurts. Rest and ice may help a sore knee. See your doctor if it lasts."
POOR = "You have a torn ligament."


class CountingJudge:
    """The offline judge, which keeps what it was asked."""

    def __init__(self, version: str = "1") -> None:
        self.asked: list[JudgeRequest] = []
        self.card = JudgeCard(name="counting", nature="offline", fingerprint=version)

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        asked = list(requests)
        self.asked += asked
        yield from OfflineJudge().judge(asked)


def sample(number: int) -> Sample:
    return Sample(id=f"q{number}", input=f"Why does my knee {number} hurt?", row=number)


def requests(n: int, candidate: str = GOOD) -> list[JudgeRequest]:
    sides = ("sft", POOR), ("dpo", candidate)
    return [r for i in range(n) for r in preference_requests(sample(i), "win", METRIC, *sides)]


def collect(judge: CountingJudge, asked: list[JudgeRequest], folder: Path) -> list[Outcome]:
    with Store(folder) as store:
        judged = collect_outcomes(asked, judge, store, QuietProgress(), Stage("test", len(asked)))
        return [outcome for _, outcome in judged]


def test_both_orders_show_the_answers_swapped() -> None:
    first, second = requests(1)
    assert (first.order, second.order) == ("baseline_first", "candidate_first")
    assert (first.first, first.second) == (second.second, second.first) == (POOR, GOOD)


def test_the_winner_is_named_by_model_whatever_the_order(tmp_path: Path) -> None:
    asked = requests(1)
    outcomes = collect(CountingJudge(), asked, tmp_path)
    assert [outcome.winner for outcome in outcomes] == ["second", "first"]
    judgements = [to_judgement(r, o) for r, o in zip(asked, outcomes, strict=True)]
    assert all(isinstance(j, Preference) and j.winner == "candidate" for j in judgements)


def test_a_verdict_is_asked_for_once(tmp_path: Path) -> None:
    judge = CountingJudge()
    assert collect(judge, requests(5), tmp_path) == collect(judge, requests(5), tmp_path)
    assert len(judge.asked) == 10


def test_the_same_request_twice_in_a_run_is_asked_once(tmp_path: Path) -> None:
    judge = CountingJudge()
    collect(judge, requests(1) + requests(1), tmp_path)
    assert len(judge.asked) == 2


def test_a_changed_answer_is_judged_anew(tmp_path: Path) -> None:
    judge = CountingJudge()
    collect(judge, requests(1), tmp_path)
    collect(judge, requests(1, candidate=GOOD + " Rest."), tmp_path)
    assert len(judge.asked) == 4


def test_the_verdict_depends_on_the_earlier_turns() -> None:
    (request, _), card = requests(1), CountingJudge().card
    turns = (Message(role="user", content="Hello."), Message(role="assistant", content="Hi."))
    talk = replace(request, sample=request.sample.model_copy(update={"history": turns}))
    other = replace(request, sample=request.sample.model_copy(update={"history": turns * 2}))
    assert len({outcome_key(r, card) for r in (request, talk, other)}) == 3


def test_another_judge_is_asked_anew(tmp_path: Path) -> None:
    collect(CountingJudge("1"), requests(1), tmp_path)
    other = CountingJudge("2")
    collect(other, requests(1), tmp_path)
    assert len(other.asked) == 2


def test_what_was_judged_before_an_interruption_is_kept(tmp_path: Path) -> None:
    class Interrupted(CountingJudge):
        def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
            for index, outcome in super().judge(requests):
                if index == 150:
                    raise KeyboardInterrupt
                yield index, outcome

    asked = requests(100)
    with pytest.raises(KeyboardInterrupt):
        collect(Interrupted(), asked, tmp_path)
    judge = CountingJudge()
    collect(judge, asked, tmp_path)
    assert len(judge.asked) == 200 - 150
