"""Text on a calibration: for a terminal, for the head of its page, and for the run's report."""

from collections.abc import Iterator

from harness.gate.confirmation import confirmation_caveats
from harness.types import (
    Calibrated,
    Calibration,
    HumanMean,
    Interval,
    JudgeAgainstPeople,
    ModelAgreement,
    StrictAgreement,
)
from reports.formatting import (
    ABSENT,
    count,
    number,
    percent,
    share_with_interval,
    signed_with_interval,
    with_interval,
)


def describe_calibration(calibration: Calibration) -> Iterator[str]:
    """Describe the agreement of the judge with people and the corrected estimates, in lines."""
    for agreement in calibration.judges:
        yield from _describe_agreement(agreement)
    for estimate in calibration.corrected:
        yield f"{estimate.column}, {estimate.of}:"
        for e in estimate.estimates:
            yield f"  {e.method}: {with_interval(e.interval, 3)}, n {e.n}"
        yield f"  {labels_needed(estimate)}"
    yield from (f"! {c.text}" for c in confirmation_caveats(calibration.confirmations))
    if any(c.corrected == "inconclusive" for c in calibration.confirmations):
        yield (
            "More labels would show more. `harness annotate RUN --study next --after STUDY` draws pairs whose labels "
            "count with a study's; --informative prefers those on which a label tells most, with known chances."
        )
    if calibration.refused:
        yield calibration.refused
    yield from calibration.notes


def _describe_agreement(agreement: JudgeAgainstPeople) -> Iterator[str]:
    # Agreement with the annotators' common verdict, and with single annotators.
    missing = f", {agreement.unscored} without its verdict" if agreement.unscored else ""
    if agreement.undecided:
        missing += f", {agreement.undecided} without a majority of the annotators"
    yield f"{agreement.column}: {agreement.judge} against people, n {agreement.n}{missing}"
    strict = agreement.strict
    if strict is not None:
        yield f"  strict (alike in both orders and as people) {_describe_measures(strict)}"
    lenient = "lenient (mean of both orders) " if strict else ""
    yield f"  {lenient}{_describe_measures(agreement)}"
    if agreement.between is not None:
        single = agreement.single if strict is None else strict.single
        yield (
            f"  same verdict, judge and one annotator {share_with_interval(single)}; "
            f"two annotators {share_with_interval(agreement.between.percent)} (the ceiling)"
        )
    for line in agreement.models:
        yield f"  on the answers of {line.model}: {_describe_measures(line)}, n {line.n}"
    yield from (f"  {line}" for line in _describe_confusion(agreement))
    # Biases, order of the answers, and spread of the scores.
    for bias in agreement.all_biases:
        yield (
            f"  {bias.what}: judge {number(bias.judge, 3)}, people {number(bias.people, 3)}, "
            f"difference {signed_with_interval(bias.difference)}"
        )
    for order in agreement.orders:
        yield f"  {order.order.replace('_', ' ')}: same verdict {share_with_interval(order.percent)}"
    if agreement.over_orders is not None:
        yield f"  mean of both orders: same verdict {share_with_interval(agreement.over_orders)}"
    if agreement.slope is not None:
        yield f"  slope of the judge's scores on people's: {with_interval(agreement.slope, 2)}"


def _describe_measures(measures: JudgeAgainstPeople | StrictAgreement | ModelAgreement) -> str:
    return (
        f"same verdict {share_with_interval(measures.percent)}, "
        f"kappa {with_interval(measures.kappa, 2)}, AC1/AC2 {with_interval(measures.ac1, 2)}"
    )


def calibration_headline(calibration: Calibration) -> Iterator[str]:
    """Yield one sentence for each result of the annotators, and for each judge's agreement."""
    for mean in calibration.people.means:
        yield f"Annotators: {_describe_mean(mean)}."
    for agreement in calibration.judges:
        yield (
            f"{agreement.judge} on {agreement.column}: same verdict as the annotators in "
            f"{_describe_same(agreement)}{_describe_ceiling(agreement)}."
        )


def format_estimate(interval: Interval, null: float | None) -> str:
    """Return an estimate with its interval; a difference (null value 0) is shown with its sign."""
    return signed_with_interval(interval) if null == 0 else with_interval(interval, 3)


def _describe_same(agreement: JudgeAgainstPeople) -> str:
    """Describe the agreement with the majority: strict, and in brackets lenient, where they differ."""
    measures = agreement.strict or agreement
    same = ABSENT if measures.percent is None else percent(measures.percent.estimate)
    coefficient, name = (measures.kappa, "kappa") if measures.kappa else (measures.ac1, "AC1/AC2")
    text = f"{same} of {agreement.n}, {name} {with_interval(coefficient, 2)}"
    if agreement.strict is None or not agreement.strict.n_by_order or agreement.percent is None:
        return text
    return (
        f"{text} (strict: the same in both orders; lenient, with the mean of both orders, "
        f"{percent(agreement.percent.estimate)})"
    )


def _describe_ceiling(agreement: JudgeAgainstPeople) -> str:
    """Compare judge with one annotator, and one annotator with another: like with like."""
    single, between = (agreement.strict or agreement).single, agreement.between
    if single is None or between is None or between.percent is None:
        return ""
    kappa = f" (kappa {with_interval(between.kappa, 2)})" if between.kappa else ""
    return (
        f"; judge and one annotator agree in {percent(single.estimate)}, two annotators in "
        f"{percent(between.percent.estimate)}{kappa}, which is the ceiling for a judge"
    )


def _describe_mean(mean: HumanMean) -> str:
    annotators = count(mean.n_annotators, "annotator")
    value = share_with_interval(mean.mean) if mean.null == 0.5 else signed_with_interval(mean.mean)
    label = "win rate" if mean.null == 0.5 else "difference"
    note = ". The interval holds for this annotator only" if mean.n_annotators == 1 else ""
    return f"{mean.column}, {label} {value}, {count(mean.n_items, 'item')}, {annotators}{note}"


def labels_needed(line: Calibrated) -> str:
    """Describe how many more labels bring the corrected interval to the requested precision."""
    width = f"±{line.half_width:g}"
    if line.n_labels_needed is None:
        return f"{width} needs more items than the run has"
    if not line.more_labels:
        return f"{width} is reached"
    return f"{line.more_labels:,} more labels needed for {width}"


def _describe_confusion(agreement: JudgeAgainstPeople) -> Iterator[str]:
    if not 0 < len(agreement.categories) <= 5:
        return
    columns = ", ".join(agreement.categories)
    rows = "; ".join(
        f"{category}: {', '.join(map(str, counts))}"
        for category, counts in zip(agreement.categories, agreement.confusion, strict=True)
    )
    yield f"confusion matrix, people in rows, judge in columns ({columns}): {rows}"
