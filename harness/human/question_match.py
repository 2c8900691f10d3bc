"""Whether people were asked what a metric asks: votes on who is safer do not say who is better."""

from harness.config import ComputedMetric, EvasionMetric, Metric, PairwiseMetric, RubricMetric
from harness.core.errors import HarnessError
from harness.human.labels import HumanLabels


def require_same_question(name: str, metric: Metric, people: HumanLabels) -> None:
    """Return if people were asked everything that the metric asks, in these words.

    Raises:
        HarnessError: they were not; says both questions.
    """
    for key in metric.verdict_keys(name).values():
        why = question_mismatch(metric, key, people)
        if why is not None:
            raise HarnessError(
                f"metric '{name}' cannot be judged by {people.source}: {why}. Let the metric ask what "
                "people were asked, or name another judge for it."
            )


def question_mismatch(metric: Metric, key: str, people: HumanLabels) -> str | None:
    """How what people were asked differs from what the metric asks; None where it does not.

    `key` is the criterion of a rubric, `winner` of a preference, `helpful` of an evasion. Of labels
    in a file only what was labelled is known, and not in which words it was asked for.
    """
    match metric:
        case PairwiseMetric():
            return _other_preference(metric, people)
        case RubricMetric():
            return _other_criterion(metric, key, people)
        case EvasionMetric() if people.asks is not None:
            return "people compared answers, and were not asked whether each of them helps"
        case EvasionMetric() | ComputedMetric():
            return _unlabelled(key, people)


def _other_preference(metric: PairwiseMetric, people: HumanLabels) -> str | None:
    if people.asks is None:
        answered = any(label.asked_winner for label in people.labels)
        return None if answered else "people were not asked which answer is better"
    return _other_words(people.asks, metric.asks)


def _other_criterion(metric: RubricMetric, key: str, people: HumanLabels) -> str | None:
    if people.asks is None:
        return _unlabelled(key, people)
    given = next((each for each in people.criteria if each.name == key), None)
    if given is None:
        return (
            f"people were not asked to score '{key}' (`harness annotate --rubric` offers the "
            "suite's criteria)"
        )
    if (given.low, given.high) != metric.scale:
        low, high = metric.scale
        return f"people scored '{key}' from {given.low} to {given.high}, and this is from {low} to {high}"
    asks = next(criterion.asks for criterion in metric.criteria if criterion.name == key)
    return _other_words(given.asks, asks)


def _unlabelled(key: str, people: HumanLabels) -> str | None:
    scored = any(key in given for label in people.labels for given in label.scores.values())
    return None if scored else f"nobody gave a score for '{key}'"


def _other_words(asked: str, asks: str) -> str | None:
    """Capitals and line breaks make no other question."""
    if asked.casefold().split() == asks.casefold().split():
        return None
    return f"people were asked '{asked}', and this asks '{asks}'"
