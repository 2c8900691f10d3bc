"""A calibration in words: for a terminal, for the head of its page, and for the run's report."""

from collections.abc import Iterator

from harness.types import Calibrated, Calibration, HumanMean, Interval, JudgeAgainstPeople
from reports.formatting import ABSENT, count, number, percent, share_with_span, signed, with_span


def describe_calibration(found: Calibration) -> Iterator[str]:
    """The findings in lines for a terminal, without what people alone came to."""
    for held in found.judges:
        yield f"{held.column}: {held.judge} against people, n {held.n}" + (
            f", {held.unscored} without its verdict" if held.unscored else ""
        )
        yield (
            f"  same verdict {share_with_span(held.percent)}, kappa {with_span(held.kappa, 2)}, "
            f"AC1/AC2 {with_span(held.ac1, 2)}"
        )
        if held.between is not None:
            yield (
                f"  with one annotator {share_with_span(held.single)}; two annotators with each "
                f"other {share_with_span(held.between.percent)} (the ceiling)"
            )
        yield from (f"  {line}" for line in _confusion_lines(held))
        for bias in held.biases:
            yield (
                f"  {bias.what}: judge {number(bias.judge, 3)}, people {number(bias.people, 3)}, "
                f"difference {signed_span(bias.difference)}"
            )
        for order in held.orders:
            yield f"  {order.order.replace('_', ' ')}: same verdict {share_with_span(order.percent)}"
        if held.slope is not None:
            yield f"  slope of its scores on people's: {with_span(held.slope, 2)}"
    for line in found.corrected:
        yield f"{line.column}, {line.of}:"
        yield from (f"  {e.method}: {with_span(e.interval, 3)}, n {e.n}" for e in line.estimates)
        yield f"  {labels_needed(line)}"
    if found.refused:
        yield found.refused
    yield from found.notes


def headline(found: Calibration) -> Iterator[str]:
    """What people say, and whether the judge says the same, in a sentence each."""
    for mean in found.people.means:
        yield f"People: {_mean_in_words(mean)}."
    for held in found.judges:
        same = ABSENT if held.percent is None else percent(held.percent.estimate)
        coefficient, found_as = (held.kappa, "kappa") if held.kappa else (held.ac1, "AC1/AC2")
        yield (
            f"{held.judge} on {held.column}: says what people say in {same} of {held.n}, "
            f"{found_as} {with_span(coefficient, 2)}{_ceiling(held)}."
        )


def on_scale(interval: Interval, null: float | None) -> str:
    """Win rates as they are, differences with their sign, means as they are."""
    return signed_span(interval) if null == 0 else with_span(interval, 3)


def signed_span(interval: Interval | None) -> str:
    """A difference with its sign and its interval."""
    if interval is None:
        return ABSENT
    low, high = signed(interval.low, 3), signed(interval.high, 3)
    return f"{signed(interval.estimate, 3)} ({low} to {high})"


def _ceiling(held: JudgeAgainstPeople) -> str:
    """What one annotator says of the judge beside what one says of another: like with like."""
    if held.single is None or held.between is None or held.between.percent is None:
        return ""
    kappa = held.between.kappa
    return (
        f"; with one annotator it agrees {percent(held.single.estimate)}, and two annotators with "
        f"each other {percent(held.between.percent.estimate)}"
        + (f" (kappa {with_span(kappa, 2)})" if kappa else "")
        + ", the ceiling"
    )


def _mean_in_words(mean: HumanMean) -> str:
    people = count(mean.n_annotators, "annotator")
    value = share_with_span(mean.mean) if mean.null == 0.5 else signed_span(mean.mean)
    what = "win rate" if mean.null == 0.5 else "difference"
    alone = ". The interval speaks for this annotator alone" if mean.n_annotators == 1 else ""
    return f"{mean.column}, {what} {value}, {count(mean.n_items, 'item')}, {people}{alone}"


def labels_needed(line: Calibrated) -> str:
    """How many more labels bring the corrected interval to the precision asked for."""
    width = f"±{line.half_width:g}"
    if line.n_labels_needed is None:
        return f"{width} takes more items than there are"
    if not line.more_labels:
        return f"{width} is reached"
    return f"{line.more_labels:,} more for {width}"


def _confusion_lines(held: JudgeAgainstPeople) -> Iterator[str]:
    if len(held.categories) > 5:
        return
    names = ", ".join(held.categories)
    rows = "; ".join(
        f"{said}: {', '.join(map(str, counts))}"
        for said, counts in zip(held.categories, held.confusion, strict=True)
    )
    yield f"people by row, the judge's {names}: {rows}"
