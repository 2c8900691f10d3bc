"""Text on the monitoring of a stream of scores."""

from collections.abc import Iterator

from harness.types.regression import MonitorResult


def describe_monitor(result: MonitorResult) -> Iterator[str]:
    """Describe the mean, the evidence and the alarm in lines."""
    missing = f" ({result.n_missing:,} without a score)" if result.n_missing else ""
    yield (
        f"{result.n:,} items{missing}: mean {result.mean.estimate:.4g}, promised at least "
        f"{result.promised:g}"
    )
    low, high = result.mean.low, result.mean.high
    limits = f"Confidence limits of the mean: {low:.4g} and {high:.4g}"
    if low > high:
        limits = f"The mean has changed: at some time it was at least {low:.4g}, at another at most {high:.4g}"
    yield f"{limits}; each is wrong with probability at most {result.alpha:g}, at any time."
    yield (
        f"Evidence against the promise: e = {result.e_value:.3g} now, {result.largest:.3g} at its "
        f"maximum (after item {result.largest_at:,}); the alarm is raised at {1 / result.alpha:.3g}."
    )
    yield (
        "Evidence that scores are more often below than above the promised value: e at most "
        f"{result.sign_e_value:.3g}."
    )
    if result.alarm:
        yield "ALARM: the mean is below the promised value."
    else:
        yield "No alarm."
