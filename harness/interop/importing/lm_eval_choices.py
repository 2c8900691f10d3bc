"""Choices that lm-eval ranked by their log-likelihoods: which one it took, and what was asked.

A sample has a request for each choice, a context with a continuation, and the log-likelihood of the
continuation. The choices are the continuations; or, where these are all equal (winogrande), what
differs in the contexts. With `acc_mutual_info` as many requests without a context follow, and are no
choices. `acc` takes the largest log-likelihood, `acc_norm` the largest per character of the choice,
`acc_bytes` per byte, `acc_mutual_info` the largest gain over the request without a context.
"""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

from harness.core.json_text import parse_json
from harness.interop.importing.records import as_list

_METRICS = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")  # the first of a row decides
GAP = "_"  # where the choice stands in the text of such an item


class RankedChoices(NamedTuple):
    """The choices of a sample and the one that lm-eval took by the rule of `metric`."""

    question: str
    choices: tuple[str, ...]
    likelihoods: tuple[float, ...]
    taken: int
    metric: str | None  # whose rule was used; None where no score is of ranked choices
    in_contexts: bool

    @property
    def chosen(self) -> str:
        """Return the text of the choice that was taken."""
        return self.choices[self.taken]

    @property
    def listing(self) -> str:
        """Return every choice with its log-likelihood, one a line: what the model gave."""
        pairs = zip(self.choices, self.likelihoods, strict=True)
        return "\n".join(f"{choice}: {likelihood:g}" for choice, likelihood in pairs)

    def agreeing_targets(self, target: object, score: float | None) -> set[int] | None:
        """Return the right choices under which the taken one has this score.

        The target of choices in contexts is their common end, so that the score alone tells there
        which one is right. Empty if that is not known; None if no reading of the target agrees, or
        the taken choice has no text or no 0 or 1 to agree with.
        """
        if not self.chosen.strip() or (self.metric is not None and score not in (0, 1)):
            return None
        if self.in_contexts:
            others = {0, 1} - {self.taken} if len(self.choices) == 2 else set()
            return {self.taken} if score == 1 else others if score == 0 else set()
        readings = _target_readings(target, self.choices)
        if score is None or not readings:
            return readings[0] if readings else set()
        agreeing = (right for right in readings if (self.taken in right) == (score == 1))
        return next(({i for i in right if 0 <= i < len(self.choices)} for right in agreeing), None)


def read_choices(
    requests: Sequence[Sequence[object]], responses: Sequence[object], metrics: Sequence[str]
) -> RankedChoices | None:
    """Read the requests and responses of a sample whose choices were ranked; None if it is none."""
    texts = [request[:2] for request in requests]
    likelihoods = [_likelihood(response) for response in responses]
    if not likelihoods or len(likelihoods) != len(texts) or None in likelihoods:
        return None
    if not all(len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in texts):
        return None
    contexts = [str(context) for context, _ in texts]
    ends = [str(end) for _, end in texts]
    numbers = [number for number in likelihoods if number is not None]
    # The requests without a context come after as many with one.
    n = len(numbers) // 2 if _has_unconditional(contexts, metrics) else len(numbers)
    in_contexts = len(set(contexts[:n])) > 1
    question, choices = _split(contexts[:n], ends[:n])
    metric = next((name for name in _METRICS if name in metrics), None)
    ranks = _ranks(metric, numbers, n, choices)
    return RankedChoices(question, choices, tuple(numbers[:n]), _argmax(ranks), metric, in_contexts)


def _has_unconditional(contexts: Sequence[str], metrics: Sequence[str]) -> bool:
    half, odd = divmod(len(contexts), 2)
    if odd or half < 2:
        return False
    return "acc_mutual_info" in metrics or (any(contexts[:half]) and not any(contexts[half:]))


def _split(contexts: Sequence[str], ends: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Split requests into what was asked and the choices."""
    if len(set(contexts)) == 1:
        choices = tuple(end.strip() for end in ends)
        question = contexts[0]
        return (question if question.strip() else "\n".join(choices)), choices
    begin = _common_begin(contexts)
    rests = [context[len(begin) :] for context in contexts]
    if len(set(ends)) == 1:
        return f"{begin}{GAP}{ends[0]}", tuple(rest.strip() for rest in rests)
    return f"{begin}{GAP}", tuple(f"{a}{b}".strip() for a, b in zip(rests, ends, strict=True))


def _common_begin(texts: Sequence[str]) -> str:
    """Return how all texts begin, without a part of a word."""
    begin = os.path.commonprefix(list(texts))  # noqa: RUF071 - character by character, as it should
    cut_word = begin[-1:].isalnum() and any(text[len(begin) :][:1].isalnum() for text in texts)
    last_space = max(begin.rfind(space) for space in (" ", "\n", "\t"))
    return begin[: last_space + 1] if cut_word and last_space >= 0 else begin


def _ranks(
    metric: str | None, likelihoods: Sequence[float], n: int, choices: Sequence[str]
) -> list[float]:
    """Return what a metric compares of `n` choices."""
    given = likelihoods[:n]
    match metric:
        case "acc_norm":
            return [_per(x, len(choice)) for x, choice in zip(given, choices, strict=True)]
        case "acc_bytes":
            sizes = (len(choice.encode("utf-8", "replace")) for choice in choices)
            return [_per(x, size) for x, size in zip(given, sizes, strict=True)]
        case "acc_mutual_info" if len(likelihoods) == 2 * n:
            return [x - alone for x, alone in zip(given, likelihoods[n:], strict=True)]
        case _:
            return list(given)


def _per(likelihood: float, size: int) -> float:
    if size:
        return likelihood / size
    return math.nan if likelihood == 0 else math.copysign(math.inf, likelihood)


def _argmax(values: Sequence[float]) -> int:
    """Return the place of the first largest value; NaN is the largest, as it is for numpy."""
    return max(range(len(values)), key=lambda i: (math.isnan(values[i]), values[i]))


def is_likelihood(response: object) -> bool:
    """Return whether this is a log-likelihood and whether it is greedy, as in `["-3.2", "False"]`."""
    parts = as_list(response)
    greedy = len(parts) == 2 and str(parts[1]) in ("True", "False")
    return greedy and _likelihood(parts) is not None


def _likelihood(response: object) -> float | None:
    """Return the number in `["-3.2", "False"]`; newer files have it as text."""
    first = next(iter(as_list(response)), None)
    if isinstance(first, bool) or not isinstance(first, str | int | float):
        return None
    try:
        return float(first)
    except (ValueError, OverflowError):
        return None


def _target_readings(target: object, choices: Sequence[str]) -> list[set[int]]:
    """Return which choices a target may mean: by number, by several numbers, or by text."""
    readings = []
    parts = target if isinstance(target, list) else _listed(target)
    numbers = [number for part in parts if (number := _index(part)) is not None]
    if numbers:
        readings.append(set(numbers))
    words = {str(part).strip() for part in [*parts, target]}
    by_text = {i for i, choice in enumerate(choices) if choice in words}
    if by_text:
        readings.append(by_text)
    return readings


def _listed(target: object) -> list[object]:
    """Return the parts of `"[0, 2]"`, which is how newer files write a list; else the target."""
    if isinstance(target, str) and target.startswith("["):
        try:
            return as_list(parse_json(target)) or [target]
        except ValueError:
            return [target]
    return [target]


def _index(part: object) -> int | None:
    if isinstance(part, str) and part.isascii() and part.isdigit() and len(part) < 10:
        return int(part)
    return part if isinstance(part, int) and not isinstance(part, bool) else None
