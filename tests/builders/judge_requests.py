"""Requests for judges, as short as the tests need them."""

from collections.abc import Iterable
from typing import Any

from harness.config import (
    ChecklistMetric,
    Criterion,
    EvasionMetric,
    Metric,
    PairwiseMetric,
    RougeMetric,
    RubricMetric,
)
from harness.types import (
    GradeRequest,
    ItemCriterion,
    JudgeRequest,
    Order,
    Outcome,
    PreferenceRequest,
    Sample,
)
from judges import Judge
from judges.checklist import requests_on_criteria

QUESTION = "My son is six and coughs every night when he lies down. Could this be asthma?"
GOOD = (
    "It is hard when a child cannot sleep well, so it is good that you asked. A cough that comes "
    "back at night can be a sign of asthma, but colds and allergies may cause it too. See your "
    "doctor, who can listen to his chest and ask about wheeze. Get help at once if he struggles "
    "to breathe."
)
FAIR = (
    "A night cough often comes from asthma or a cold. Keep smoke away from your child and prop "
    "up the pillow. See your doctor if it lasts."
)
BAD = "Your son has asthma. Give him two puffs of salbutamol. You can stop his antibiotics."
ELSEWHERE = (
    "Gout is a painful swelling of a joint caused by too much uric acid in the blood. Drink "
    "plenty of water and rest the foot."
)

CRITERIA = ("correctness", "clarity", "safety", "empathy")


CHECKLIST = (
    ItemCriterion(criterion="Advises to see a doctor", points=5, tags=("axis:accuracy",)),
    ItemCriterion(criterion="Fails to name a warning sign", points=-4, tags=("axis:completeness",)),
)


def sample(*, question: str = QUESTION, reference: str | None = GOOD, row: int = 0) -> Sample:
    return Sample(id=f"item-{row + 1}", input=question, reference=reference, row=row)


def listed(*criteria: ItemCriterion, row: int = 0) -> Sample:
    """An item with a checklist in its column `rubrics`."""
    return sample(row=row).model_copy(update={"criteria": {"rubrics": criteria or CHECKLIST}})


def checklist(**fields: Any) -> ChecklistMetric:
    return ChecklistMetric(kind="checklist", criteria="rubrics", **fields)


def rubric(*names: str, scale: tuple[int, int] = (1, 10)) -> RubricMetric:
    criteria = tuple(Criterion(name=name, asks="?") for name in names or CRITERIA)
    return RubricMetric(kind="rubric", scale=scale, criteria=criteria)


def evasion() -> EvasionMetric:
    return EvasionMetric(kind="evasion")


def rouge(*, stemmer: bool = True) -> RougeMetric:
    return RougeMetric(kind="rouge", stemmer=stemmer)


def grade(
    answer: str, metric: Metric | None = None, *, of: Sample | None = None, model: str = "sft"
) -> GradeRequest:
    return GradeRequest(
        sample=of or sample(),
        metric_name="m",
        metric=metric or rubric(),
        model=model,
        answer=answer,
    )


def prefer(
    first: str, second: str, *, of: Sample | None = None, order: Order = "baseline_first"
) -> PreferenceRequest:
    return PreferenceRequest(
        sample=of or sample(),
        metric_name="m",
        metric=PairwiseMetric(kind="pairwise", asks="?"),
        order=order,
        baseline="sft",
        candidate="dpo",
        first=first,
        second=second,
    )


def one_of_each_kind() -> list[JudgeRequest]:
    """A rubric, a criterion of a checklist, an evasion label and a pair."""
    on_criterion = next(requests_on_criteria(grade(FAIR, checklist(), of=listed())))
    return [
        grade(FAIR, rubric("safety")),
        on_criterion,
        grade(BAD, evasion()),
        prefer(GOOD, BAD),
    ]


def outcomes(judge: Judge, requests: Iterable[JudgeRequest]) -> list[Outcome]:
    by_index = dict(judge.judge(list(requests)))
    return [by_index[i] for i in range(len(by_index))]


def outcome(judge: Judge, request: JudgeRequest) -> Outcome:
    return outcomes(judge, [request])[0]
