"""Match between the question that people answered and the question that a metric asks.

Votes on which answer is safer are no evidence on which answer is better.
"""

from collections.abc import Mapping

from harness.config import (
    ChecklistMetric,
    ComputedMetric,
    EvasionMetric,
    Metric,
    PairwiseMetric,
    RubricMetric,
    SupportMetric,
)
from harness.core.errors import HarnessError
from harness.human.labels import HumanLabels


def require_same_question(name: str, metric: Metric, people: HumanLabels) -> None:
    """Check that people were asked everything that the metric asks, in the same words.

    Raises:
        HarnessError: they were asked something else; the message has both questions.
    """
    if isinstance(metric, ChecklistMetric | SupportMetric):
        raise HarnessError(
            f"metric '{name}' takes a verdict on each criterion or statement, and {people.source} has none: "
            "people's scores of whole answers test and correct its judge (`calibrated_by`)."
        )
    for key in metric.label_keys(name).values():
        mismatch = question_mismatch(metric, key, people)
        if mismatch is not None:
            raise HarnessError(
                f"metric '{name}' cannot be judged by {people.source}: {mismatch}. Let the metric ask "
                "what people were asked, or name another judge for it."
            )
    require_scores_on_scale({name: metric}, people)


def require_scores_on_scale(metrics: Mapping[str, Metric], people: HumanLabels) -> None:
    """Check that every score that answers one of the metrics is a value of its scale.

    Raises:
        HarnessError: one is not; the message has the score, its file and line, and the scale.
    """
    for name, metric in metrics.items():
        if metric.compares_pairs or metric.computed:
            continue
        low, *_, high = metric.verdict_values
        shares = isinstance(metric, SupportMetric)
        values = "the shares" if shares else "the whole numbers"
        for key in metric.label_keys(name).values():
            if question_mismatch(metric, key, people) is not None:
                continue
            for label in people.labels:
                for model, scores in label.scores.items():
                    if key not in scores or (shares and low <= scores[key] <= high):
                        continue
                    if scores[key] not in metric.verdict_values:
                        raise HarnessError(
                            f"{label.lines.get(model, people.source)}: {key} "
                            f"{scores[key]:g} of {label.annotator} for item '{label.sample_id}' "
                            f"is not on the scale of metric '{name}', {values} from "
                            f"{low:g} to {high:g}. Correct the label, or leave its cell empty."
                        )


def question_mismatch(metric: Metric, key: str, people: HumanLabels) -> str | None:
    """Describe how the question to people differs from the metric's; None if it does not.

    `key` is the criterion of a rubric, `winner` of a preference, `helpful` of a refusal metric.
    A file of labels has no words of a question; only its columns are compared.
    """
    match metric:
        case PairwiseMetric():
            return _preference_mismatch(metric, people)
        case RubricMetric():
            return _criterion_mismatch(metric, key, people)
        case EvasionMetric() if people.asks is not None:
            return "people compared answers, and were not asked whether each of them helps"
        case ChecklistMetric() | SupportMetric() if people.asks is not None:
            return "people compared answers, and were not asked about each criterion or statement"
        case EvasionMetric() | ChecklistMetric() | SupportMetric() | ComputedMetric():
            return _missing_scores(key, people)


def _preference_mismatch(metric: PairwiseMetric, people: HumanLabels) -> str | None:
    if people.asks is None:
        has_winners = any(label.asked_winner for label in people.labels)
        return None if has_winners else "people were not asked which answer is better"
    return _wording_mismatch(people.asks, metric.asks)


def _criterion_mismatch(metric: RubricMetric, key: str, people: HumanLabels) -> str | None:
    if people.asks is None:
        return _missing_scores(key, people)
    scored = next((criterion for criterion in people.criteria if criterion.name == key), None)
    if scored is None:
        return (
            f"people were not asked to score '{key}' (`harness annotate --rubric` offers the "
            "suite's criteria)"
        )
    if (scored.low, scored.high) != metric.scale:
        low, high = metric.scale
        return (
            f"people scored '{key}' from {scored.low} to {scored.high}, and this is from {low} to "
            f"{high}"
        )
    asks = next(criterion.asks for criterion in metric.criteria if criterion.name == key)
    return _wording_mismatch(scored.asks, asks)


def _missing_scores(key: str, people: HumanLabels) -> str | None:
    scored = any(key in scores for label in people.labels for scores in label.scores.values())
    return None if scored else f"nobody gave a score for '{key}'"


def _wording_mismatch(people_asks: str, metric_asks: str) -> str | None:
    """Compare two questions; case and white space make no difference."""
    if people_asks.casefold().split() == metric_asks.casefold().split():
        return None
    return f"people were asked '{people_asks}', and this asks '{metric_asks}'"
