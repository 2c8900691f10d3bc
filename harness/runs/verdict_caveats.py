"""Caveats on the verdicts of judges: those that are missing, of a second judge, or leniently read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from harness.config import Metric
from harness.scoring.reduce import group_by_judge
from harness.scoring.task_scores import TaskScores
from harness.types import Caveat, Grade, Task
from harness.types.judgements import (
    JudgeRound,
    MissingReason,
    describe_reasons,
    reason_kind,
    verdict_reasons,
)
from judges.parsing import is_read_leniently, read_verdict


def missing_verdict_caveats(measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Report the requests that a judge gave no verdict on, by judge, in its server's own words."""
    for part in measured:
        for metric, rounds in part.judge_rounds.items():
            for judge, own in group_by_judge(rounds).items():
                reasons = [judgement.reason for part_of in own for judgement in part_of.judgements]
                missing = [reason for reason in reasons if reason and _is_of_judge(reason)]
                if missing:
                    yield Caveat(
                        code="missing_verdicts",
                        text=f"{metric}: no verdict of '{judge.name}' on {len(missing):,} of "
                        f"{len(reasons):,} requests "
                        f"({describe_reasons(missing, protected=part.task.phi)}).",
                    )
            yield from _missing_criteria_caveats(part.task, metric, rounds)


def _missing_criteria_caveats(
    task: Task, name: str, rounds: Sequence[JudgeRound]
) -> Iterator[Caveat]:
    """Report the criteria without a verdict of answers on which a judge gave others."""
    metric = task.metrics[name]
    for judge, own in group_by_judge(rounds).items():
        judged = [j for part in own for j in part.judgements if j.reason is None]
        reasons = [reason for judgement in judged for reason in verdict_reasons(judgement, metric)]
        missing = [reason for reason in reasons if reason is not None]
        if missing:
            yield Caveat(
                code="missing_verdicts",
                text=f"{name}: no verdict of '{judge.name}' on {len(missing):,} of {len(reasons):,} criteria "
                "of answers that it judged by others: the score takes a verdict on each "
                f"({describe_reasons(missing, protected=task.phi)}).",
            )


def _is_of_judge(reason: str) -> bool:
    """Return whether a judge was asked and gave no verdict."""
    return reason_kind(reason) not in (None, MissingReason.REQUEST_FAILED)


def second_judge_caveats(measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Report the scores that are a second judge's, by the model that they are of."""
    for part in measured:
        for metric, (first, *others) in part.judge_rounds.items():
            for judge_round in others:
                spec = part.task.metrics[metric]
                given = _count_verdicts(judge_round, spec)
                if judge_round.stands_in and given:
                    counted = ", ".join(f"{n:,} of '{model}'" for model, n in given.items())
                    asked = sum(
                        len(verdict_reasons(judgement, spec))
                        for r in (first, *others)
                        if not r.stands_in
                        for judgement in r.judgements
                    )
                    yield Caveat(
                        code="second_judge",
                        text=f"{metric}: {given.total():,} verdicts ({counted}) are of "
                        f"'{judge_round.judge.name}', as those of '{first.judge.name}' could not be read "
                        f"(of {asked:,}). These scores mix two judges, who may be unequally strict.",
                    )


def _count_verdicts(judge_round: JudgeRound, metric: Metric) -> Counter[str]:
    """Count the verdicts that a judge gave by the model that they are of."""
    return Counter(
        judgement.model if isinstance(judgement, Grade) else judgement.candidate
        for judgement in judge_round.judgements
        for reason in verdict_reasons(judgement, metric)
        if reason is None
    )


def lenient_reading_caveats(measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Count the verdicts of each judge that were not exactly the JSON that it was asked for."""
    n_read: Counter[str] = Counter()
    n_lenient: Counter[str] = Counter()
    for part in measured:
        for metric_name, rounds in part.judge_rounds.items():
            metric = part.task.metrics[metric_name]
            for judge_round in rounds:
                for judgement in judge_round.judgements:
                    if judgement.reason is None and judgement.exchange is not None:
                        n_read[judge_round.judge.name] += 1
                        replies = judgement.exchange.replies
                        n_lenient[judge_round.judge.name] += any(
                            is_read_leniently(reply) and read_verdict(reply, metric).reason is None
                            for reply in replies
                        )
    for judge, n in n_lenient.items():
        if n:
            yield Caveat(
                code="read_leniently",
                text=f"{n:,} of {n_read[judge]:,} verdicts of {judge} were read leniently: a whole number "
                'written as 4.0 or "4", or words before the JSON. Each had one meaning; a judge that '
                "does not keep to the form is often a weak one.",
            )
