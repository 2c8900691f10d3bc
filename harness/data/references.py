"""References that a computed metric can use: why an item cannot be scored, found before it is asked."""

from harness.config import Metric, NumberMatch, RegexMatch, TokenF1, WordMatch
from harness.core.safe_regex import pattern_problem
from harness.core.sanitize import short_line
from harness.data.numbers import read_number
from harness.data.text import normalise_words
from harness.types import Sample

NO_REFERENCE = "has none"


def reference_problem(metric: Metric, sample: Sample) -> str | None:
    """Return why the metric cannot use an item's reference; None if it can, or uses none."""
    if not metric.needs_reference:
        return None
    texts = [text for text in sample.acceptable_answers if text.strip()]
    if not texts:
        return NO_REFERENCE
    return next(filter(None, (_text_problem(metric, text) for text in texts)), None)


def _text_problem(metric: Metric, text: str) -> str | None:
    match metric:
        case WordMatch() | TokenF1() if not normalise_words(text):
            return f"has '{short_line(text)}', in which is no word. Compare it with 'by: exact'"
        case NumberMatch() if (
            read_number(text, decimal=metric.mark, hundredths=metric.percent == "hundredth") is None
        ):
            return f"has '{short_line(text)}', which is not one number with the decimal mark '{metric.mark}'"
        case RegexMatch():
            problem = pattern_problem(text)
            return f"has '{short_line(text)}': {problem}" if problem else None
        case _:
            return None
