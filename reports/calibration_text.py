"""Text on a calibration: for a terminal, for the head of its page, and for the run's report."""

from collections.abc import Iterator

from harness.types import Calibrated, Calibration, HumanMean, Interval, JudgeAgainstPeople
from reports.formatting import (
    ABSENT,
    count,
    number,
    percent,
    share_with_interval,
    signed,
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
    if calibration.refused:
        yield calibration.refused
    yield from calibration.notes


def _describe_agreement(agreement: JudgeAgainstPeople) -> Iterator[str]:
    # Agreement with the annotators' common verdict, and with single annotators.
    missing = f", {agreement.unscored} without its verdict" if agreement.unscored else ""
    yield f"{agreement.column}: {agreement.judge} against people, n {agreement.n}{missing}"
    yield (
        f"  same verdict {share_with_interval(agreement.percent)}, "
        f"kappa {with_interval(agreement.kappa, 2)}, AC1/AC2 {with_interval(agreement.ac1, 2)}"
    )
    if agreement.between is not None:
        yield (
            f"  same verdict, judge and one annotator {share_with_interval(agreement.single)}; "
            f"two annotators {share_with_interval(agreement.between.percent)} (the ceiling)"
        )
    yield from (f"  {line}" for line in _describe_confusion(agreement))
    # Biases, order of the answers, and spread of the scores.
    for bias in agreement.biases:
        yield (
            f"  {bias.what}: judge {number(bias.judge, 3)}, people {number(bias.people, 3)}, "
            f"difference {signed_with_interval(bias.difference)}"
        )
    for order in agreement.orders:
        yield f"  {order.order.replace('_', ' ')}: same verdict {share_with_interval(order.percent)}"
    if agreement.slope is not None:
        yield f"  slope of the judge's scores on people's: {with_interval(agreement.slope, 2)}"


def calibration_headline(calibration: Calibration) -> Iterator[str]:
    """Yield one sentence for each result of the annotators, and for each judge's agreement."""
    for mean in calibration.people.means:
        yield f"Annotators: {_describe_mean(mean)}."
    for agreement in calibration.judges:
        same = ABSENT if agreement.percent is None else percent(agreement.percent.estimate)
        coefficient, name = (
            (agreement.kappa, "kappa") if agreement.kappa else (agreement.ac1, "AC1/AC2")
        )
        yield (
            f"{agreement.judge} on {agreement.column}: same verdict as the annotators in {same} of "
            f"{agreement.n}, {name} {with_interval(coefficient, 2)}{_describe_ceiling(agreement)}."
        )


def format_estimate(interval: Interval, null: float | None) -> str:
    """Return an estimate with its interval; a difference (null value 0) is shown with its sign."""
    return signed_with_interval(interval) if null == 0 else with_interval(interval, 3)


def signed_with_interval(interval: Interval | None) -> str:
    """Return a difference with its sign and its interval; a dash when there is none."""
    if interval is None:
        return ABSENT
    low, high = signed(interval.low, 3), signed(interval.high, 3)
    return f"{signed(interval.estimate, 3)} ({low} to {high})"


def _describe_ceiling(agreement: JudgeAgainstPeople) -> str:
    """Compare judge with one annotator, and one annotator with another: like with like."""
    single, between = agreement.single, agreement.between
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
    if len(agreement.categories) > 5:
        return
    columns = ", ".join(agreement.categories)
    rows = "; ".join(
        f"{category}: {', '.join(map(str, counts))}"
        for category, counts in zip(agreement.categories, agreement.confusion, strict=True)
    )
    yield f"confusion matrix, people in rows, judge in columns ({columns}): {rows}"
