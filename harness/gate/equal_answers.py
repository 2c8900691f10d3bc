"""Passes that rest on answers which also answer other questions: they become inconclusive.

One text for many questions may please a judge and has answered none of them. Where one answer is
right for many (a set of requests to be refused), the suite says so: `equal_answers: expected`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from harness.config import metric_of
from harness.types import Caveat, GateDecision, HygieneCount, Plan

REPEATED_SHARE = 0.2  # of a model's answers that also answer other questions, which is too much


def equal_answer_reasons(
    plan: Plan, hygiene: Iterable[HygieneCount], columns: Iterable[str], models: Collection[str]
) -> Iterator[Caveat]:
    """Yield a reason for each of the models that answers many questions of a judged column alike."""
    claimed = {metric_of(column) for column in columns}
    tasks = {task.name: task for task in plan.tasks}
    for count in hygiene:
        judged = {
            name for name, metric in tasks[count.task].metrics.items() if metric.judge is not None
        }
        n = count.counts.get("repeated_answer", 0)
        if count.model in models and claimed & judged and n > REPEATED_SHARE * count.n:
            yield Caveat(
                code="repeated_answers",
                text=f"{n} of {count.n} answers of '{count.model}' on '{count.task}' are word for "
                "word its answers to other questions, which no pass can rest on. Where they are right, "
                "state 'equal_answers: expected' at the suite's data.",
            )


def withhold_pass(decision: GateDecision, reasons: Sequence[Caveat]) -> GateDecision:
    """Return the decision, inconclusive where it is a pass and there are reasons against it."""
    if decision.verdict != "pass" or not reasons:
        return decision
    why = " ".join(caveat.text for caveat in reasons)
    return decision.model_copy(
        update={"verdict": "inconclusive", "sentence": f"{why} By the scores: {decision.sentence}"}
    )
