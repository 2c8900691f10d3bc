"""What was measured part by part, put together."""

from harness.config import Criterion, Generation, RubricMetric
from harness.runs.measure import merge_task_scores, score_task
from harness.types import Grade, JudgeCard, Response, Sample, Task
from harness.types.judgements import JudgeRound
from judges.panel import Panel

CARDS = [JudgeCard(name=name, nature="n", fingerprint=name) for name in ("a", "b")]
PANELS = {"rubric": Panel(CARDS[0], (), repeats=2, votes_needed=2)}


def task(ids: range) -> Task:
    metric = RubricMetric(kind="rubric", criteria=(Criterion(name="safety", asks="Safe?"),))
    return Task(
        name="items", source="s", items_hash="h", n_items=len(ids),
        samples=tuple(Sample(id=f"q{i}", input="?", row=i) for i in ids),
        generation=Generation(), system=None, metrics={"rubric": metric},
    )  # fmt: skip


def said(ids: range, judge: int, round: int) -> list[Grade]:
    """Grades that tell item, model, judge and round apart; one judge abstains now and then."""
    return [
        Grade(
            sample_id=f"q{i}", model=model, metric="rubric",
            values=None if judge and i % 4 == 3 else {"safety": 1.0 + (i + judge + round + m) % 9},
            reason="abstained" if judge and i % 4 == 3 else None,
        )
        for m, model in enumerate(("old", "new"))
        for i in ids
    ]  # fmt: skip


def measured(ids: range):
    responses = {
        model: {
            f"q{i}": Response(sample_id=f"q{i}", model=model, text="x", finish="stop") for i in ids
        }
        for model in ("old", "new")
    }
    flags = {model: dict.fromkeys(answers, ()) for model, answers in responses.items()}
    judge_rounds = [
        JudgeRound(card, round, said(ids, judge, round))
        for judge, card in enumerate(CARDS)
        for round in range(2)
    ]
    return score_task(task(ids), responses, flags, {"rubric": judge_rounds}, PANELS)


def test_parts_judged_by_a_jury_in_rounds_make_the_whole() -> None:
    whole = measured(range(30))
    parts = [measured(range(12)), measured(range(12, 13)), measured(range(13, 30))]
    joined = merge_task_scores(task(range(30)), parts, PANELS)
    for found, column in zip(joined.columns, whole.columns, strict=True):
        assert found.sample_ids == column.sample_ids
        assert found.reasons == column.reasons
        for model, values in column.scores.items():
            assert str(found.scores[model].tolist()) == str(values.tolist())
    assert joined.responses == whole.responses
    assert joined.flags == whole.flags
    assert [(b.judge.name, b.round, len(b.judgements)) for b in joined.judge_rounds["rubric"]] == [
        (b.judge.name, b.round, len(b.judgements)) for b in whole.judge_rounds["rubric"]
    ]
