"""People's verdicts as columns of scores: the mean of their votes, and behind it every vote."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn, score_judgements
from harness.stats.annotator_means import mean_votes
from harness.stats.vectors import Vector
from harness.types import Preference, Task
from harness.types.judgements import JudgeRound
from harness.types.samples import Responses, same_text


def score_people(
    task: Task, metric: str, ballots: Sequence[JudgeRound], responses: Mapping[str, Responses]
) -> list[ScoreColumn]:
    """The columns of one metric with each annotator's scores, one ballot an annotator."""
    by_annotator = [score_judgements(task, metric, b.judgements, responses) for b in ballots]
    first_shown = _first_share(ballots)
    return [_join(same, first_shown, responses) for same in zip(*by_annotator, strict=True)]


def _join(
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
        nowhere = np.full_like(mean, np.nan)
        return replace(
            first,
            by_order={"baseline_first": mean, "candidate_first": nowhere},
            asked=("baseline_first",),
            reasons=_reasons(mean, [c.reasons for c in columns if isinstance(c, PreferenceColumn)]),
            votes=votes,
            first_share=first_share,
        )
    grades = [c for c in columns if isinstance(c, GradeColumn)]
    by_model = {m: np.array([c.scores[m] for c in grades]).T for m in first.scores}
    means = {m: mean_votes(votes) for m, votes in by_model.items()}
    return replace(
        first,
        # A share that people are divided on is no yes and no no any more.
        kind="points" if first.kind == "share" and len(grades) > 1 else first.kind,
        scores=means,
        reasons={m: _reasons(means[m], [c.reasons[m] for c in grades]) for m in means},
        votes=by_model,
    )


def _wins(column: PreferenceColumn) -> Vector:
    """One annotator's win scores: each pair was shown in one order only."""
    return mean_votes(np.array(list(column.by_order.values())).T)


def _reasons(mean: Vector, reasons: Iterable[Sequence[str | None]]) -> list[str | None]:
    """Why nobody's verdict is there, for each item without one; the most telling of the reasons."""
    each = zip(*reasons, strict=True)
    return [
        max((why for why in whys if why), key=lambda why: why != "not judged", default="not judged")
        if gap
        else None
        for gap, whys in zip(np.isnan(mean).tolist(), each, strict=True)
    ]


def _first_share(ballots: Iterable[JudgeRound]) -> float | None:
    """How often what was shown first won, a tie counting half; None without any verdict."""
    scores = [
        0.5
        if j.winner == "tie"
        else float((j.winner == "baseline") == (j.order == "baseline_first"))
        for ballot in ballots
        for j in ballot.judgements
        if isinstance(j, Preference) and j.winner is not None
    ]
    return float(np.mean(scores)) if scores else None
