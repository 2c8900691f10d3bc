"""Findings on judges, from rounds with known disagreements."""

import pytest

from harness.analysis.judge_reliability import JudgeFindings, summarise_judges
from harness.config import (
    Criterion,
    EvasionMetric,
    Generation,
    Metric,
    PairwiseMetric,
    RougeMetric,
    RubricMetric,
)
from harness.types import (
    Exchange,
    Grade,
    JudgeCard,
    Judgement,
    Order,
    Preference,
    Response,
    Sample,
    Task,
    Winner,
)
from harness.types.judgements import JudgeRound

RUBRIC = RubricMetric(kind="rubric", criteria=(Criterion(name="safety", asks="Safe?"),))
MODELS = ("sft", "dpo")


def card(name: str) -> JudgeCard:
    return JudgeCard(name=name, nature="for tests", fingerprint=name)


def examine(metric: Metric, judge_rounds: list[JudgeRound], n: int) -> JudgeFindings:
    samples = tuple(Sample(id=f"q{i}", input="?", row=i) for i in range(n))
    task = Task(
        name="t",
        source="s",
        items_hash="h",
        n_items=n,
        samples=samples,
        generation=Generation(),
        system=None,
        metrics={"m": metric},
    )
    responses = {
        model: {
            s.id: Response(sample_id=s.id, model=model, text="text", finish="stop") for s in samples
        }
        for model in MODELS
    }
    return summarise_judges(task, "m", judge_rounds, responses)


def grades(sft: list[float | str], dpo: list[float | str]) -> list[Judgement]:
    """A score for each item, or the reason why there is none."""
    return [
        Grade(
            sample_id=f"q{i}",
            model=model,
            metric="m",
            values=None if isinstance(said, str) else {"safety": said},
            reason=said if isinstance(said, str) else None,
        )
        for model, column in zip(MODELS, (sft, dpo), strict=True)
        for i, said in enumerate(column)
    ]


def preferences(order: Order, winners: list[Winner]) -> list[Judgement]:
    return [
        Preference(
            sample_id=f"q{i}", baseline="sft", candidate="dpo", metric="m", order=order, winner=w
        )
        for i, w in enumerate(winners)
    ]


def test_what_is_unscored_is_counted_by_kind_and_abstentions_apart() -> None:
    said = grades([5.0, "refused: no", "abstained: cannot tell"], [6.0, 7.0, "refused: never"])
    sft, dpo = examine(RUBRIC, [JudgeRound(card("j"), 0, said)], 3).tallies
    assert (sft.model, sft.asked, sft.scored, sft.abstained) == ("sft", 3, 1, 1)
    assert (sft.reasons, dpo.reasons) == ({"refused": 1}, {"refused": 1})
    assert (dpo.scored, dpo.abstained) == (2, 0)


def test_verdicts_that_took_a_second_ask_are_counted() -> None:
    twice = Exchange(replies=("what", "{}"), input_tokens=1, output_tokens=1, seconds=0.1)
    first, *others = grades([5.0, 5.0], [6.0, 6.0])
    said = [first.model_copy(update={"exchange": twice}), *others]
    assert [
        t.asked_again for t in examine(RUBRIC, [JudgeRound(card("j"), 0, said)], 2).tallies
    ] == [
        1,
        0,
    ]


def test_nothing_is_said_of_a_computed_metric() -> None:
    assert examine(RougeMetric(kind="rouge"), [], 1) == ([], [], [], [])


def test_a_single_judge_agrees_with_nobody() -> None:
    found = examine(RUBRIC, [JudgeRound(card("j"), 0, grades([5.0], [6.0]))], 1)
    assert (found.agreements, found.opinions, found.repeatability) == ([], [], [])


def test_two_judges_who_say_the_same_agree_wholly() -> None:
    said = grades([2.0, 5.0, 9.0], [3.0, 6.0, 10.0])
    (found,) = examine(RUBRIC, [JudgeRound(card(n), 0, said) for n in ("a", "b")], 3).agreements
    assert found.percent is not None
    assert (found.column, found.judges, found.n) == ("m.safety", ("a", "b"), 6)
    assert found.percent.estimate == 1


def test_agreement_of_labels_is_that_of_the_textbook() -> None:
    # 40 answers: both helpful on 20, both evasive on 10, apart on 10 (all of them one way).
    def labels(helpful: int) -> list[Judgement]:
        return [
            Grade(
                sample_id=f"q{i}", model="sft", metric="m", values={"helpful": float(i < helpful)}
            )
            for i in range(40)
        ]

    judge_rounds = [JudgeRound(card("a"), 0, labels(30)), JudgeRound(card("b"), 0, labels(20))]
    (found,) = examine(EvasionMetric(kind="evasion"), judge_rounds, 40).agreements
    assert found.percent is not None
    assert found.kappa is not None
    assert found.ac1 is not None
    assert found.percent.estimate == pytest.approx(0.75)
    assert found.kappa.estimate == pytest.approx((0.75 - 0.5) / (1 - 0.5))  # .75 * .5 + .25 * .5
    by_chance = 2 * 0.625 * 0.375
    assert found.ac1.estimate == pytest.approx((0.75 - by_chance) / (1 - by_chance))


def test_kappa_is_for_two_judges_only() -> None:
    judge_rounds = [
        JudgeRound(card(name), 0, grades([2.0, 5.0], [3.0, odd]))
        for name, odd in (("a", 8.0), ("b", 9.0), ("c", 10.0))
    ]
    (found,) = examine(RUBRIC, judge_rounds, 2).agreements
    assert found.kappa is None
    assert found.alpha is not None
    assert [pair.judges for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_scores_between_the_points_of_a_scale_are_compared_by_their_distance() -> None:
    judge_rounds = [
        JudgeRound(card(name), 0, grades([7.5, 2.0, 9.0], scores))
        for name, scores in (("a", [3.0, 5.0, 6.5]), ("b", [3.0, 5.5, 6.5]))
    ]
    (found,) = examine(RUBRIC, judge_rounds, 3).agreements
    assert found.kappa is not None
    assert 0.9 < found.kappa.estimate < 1.0


def test_each_member_is_shown_with_its_own_difference() -> None:
    stern = grades([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    mild = grades([5.0, 5.0, 5.0], [9.0, 9.0, 6.0])
    found = examine(
        RUBRIC, [JudgeRound(card("stern"), 0, stern), JudgeRound(card("mild"), 0, mild)], 3
    )
    safety = {o.judge: o.difference.estimate for o in found.opinions if o.column == "m.safety"}
    assert safety == {"stern": pytest.approx(1 / 3), "mild": pytest.approx(3.0)}


def test_a_member_that_scored_nothing_has_no_opinion() -> None:
    silent = grades(["refused: no"] * 2, ["refused: no"] * 2)
    said = grades([2.0, 5.0], [3.0, 9.0])
    found = examine(RUBRIC, [JudgeRound(card("a"), 0, silent), JudgeRound(card("b"), 0, said)], 2)
    assert {opinion.judge for opinion in found.opinions} == {"b"}


def test_a_judge_who_repeats_itself_never_flips() -> None:
    said = grades([2.0, 5.0, 9.0], [3.0, 6.0, 10.0])
    (found,) = examine(RUBRIC, [JudgeRound(card("j"), n, said) for n in range(3)], 3).repeatability
    assert (found.repeats, found.n, found.flip_rate.estimate) == (3, 6, 0)


def test_flips_of_a_winner_are_counted_over_ordered_pairs() -> None:
    rounds = [
        preferences("baseline_first", ["candidate", "candidate", "tie", "baseline"]),
        preferences("baseline_first", ["candidate", "baseline", "tie", "baseline"]),
    ]
    metric = PairwiseMetric(kind="pairwise", asks="Better?")
    judge_rounds = [JudgeRound(card("j"), n, said) for n, said in enumerate(rounds)]
    (found,) = examine(metric, judge_rounds, 4).repeatability
    assert (found.n, found.flip_rate.estimate, found.icc) == (4, 0.25, None)
