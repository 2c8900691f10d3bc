"""Human labels as score columns: the mean of the votes, with every vote."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn, score_judgements
from harness.stats.annotator_means import mean_votes
from harness.stats.vectors import Vector
from harness.types import Preference, Task
from harness.types.judgements import NOT_JUDGED, JudgeRound, telling_reasons
from harness.types.samples import Responses, same_text


def score_annotators(
    task: Task, metric: str, judge_rounds: Sequence[JudgeRound], responses: Mapping[str, Responses]
) -> list[ScoreColumn]:
    """Return the columns of one metric with each annotator's scores; one round per annotator."""
    by_annotator = [score_judgements(task, metric, b.judgements, responses) for b in judge_rounds]
    first_shown = _first_share(judge_rounds)
    return [
        _join_annotators(same, first_shown, responses) for same in zip(*by_annotator, strict=True)
    ]


def _join_annotators(
    columns: Sequence[ScoreColumn],
    first_share: float | None,
    responses: Mapping[str, Responses],
) -> ScoreColumn:
    first = columns[0]
    if isinstance(first, PreferenceColumn):
        votes = np.array([_wins(c) for c in columns if isinstance(c, PreferenceColumn)]).T
        old, new = responses[first.baseline], responses[first.candidate]
        equal = [same_text(old[i].text, new[i].text) is True for i in first.sample_ids]
        votes[equal] = 0.5  # two equal answers tie; nobody is asked
        mean = mean_votes(votes)
        no_votes = np.full_like(mean, np.nan)
        return replace(
            first,
            by_order={"baseline_first": mean, "candidate_first": no_votes},
            asked_orders=("baseline_first",),
            order_reasons={},
            reasons=reasons_of_gaps(
                mean, [c.reasons for c in columns if isinstance(c, PreferenceColumn)]
            ),
            votes=votes,
            first_share=first_share,
        )
    grades = [c for c in columns if isinstance(c, GradeColumn)]
    by_model = {m: np.array([c.scores[m] for c in grades]).T for m in first.scores}
    means = {m: mean_votes(votes) for m, votes in by_model.items()}
    return replace(
        first,
        # The mean of several annotators' yes and no is between 0 and 1: points, not a share.
        kind="points" if first.kind == "share" and len(grades) > 1 else first.kind,
        scores=means,
        reasons={m: reasons_of_gaps(means[m], [c.reasons[m] for c in grades]) for m in means},
        votes=by_model,
    )


def _wins(column: PreferenceColumn) -> Vector:
    """Return one annotator's win scores; each pair was shown in one order only."""
    return mean_votes(np.array(list(column.by_order.values())).T)


def reasons_of_gaps(
    mean: Vector, reasons: Iterable[Sequence[str | None]], otherwise: str = NOT_JUDGED
) -> list[str | None]:
    """Return the most telling reason for each item without a score; None for the others."""
    cells = zip(np.isnan(mean).tolist(), telling_reasons([*reasons]), strict=True)
    return [(why or otherwise) if gap else None for gap, why in cells]


def _first_share(judge_rounds: Iterable[JudgeRound]) -> float | None:
    """Return how often the answer shown first won, a tie counting half; None without verdicts."""
    scores = [
        0.5
        if j.winner == "tie"
        else float((j.winner == "baseline") == (j.order == "baseline_first"))
        for judge_round in judge_rounds
        for j in judge_round.judgements
        if isinstance(j, Preference) and j.winner is not None
    ]
    return float(np.mean(scores)) if scores else None
