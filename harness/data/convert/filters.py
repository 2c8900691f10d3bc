"""Filters of examples: excluded ids, labels, lengths, duplicates and seeded subsets."""

import random
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence

from harness.config.data import Dedupe
from harness.core.errors import HarnessError
from harness.data.cells import Chat, Reason
from harness.data.convert.examples import ChatExample, Dropped, FilteredExamples
from harness.data.text import normalise_text, normalise_words


def drop_excluded(examples: FilteredExamples, ids: Collection[str]) -> FilteredExamples:
    """Drop the examples with these ids.

    Raises:
        HarnessError: no example has any of them, so they are ids of other data.
    """
    if ids and not any(example.id in ids for example in examples.kept):
        raise HarnessError(f"None of the {len(ids)} ids to leave out is the id of a row.")
    return _drop(examples, lambda example: ("withheld", "") if example.id in ids else None)


def only_positive(examples: FilteredExamples) -> FilteredExamples:
    """Drop examples whose answer is labelled bad."""
    return _drop(examples, lambda example: ("disliked", "") if example.label is False else None)


def only_labelled(examples: FilteredExamples) -> FilteredExamples:
    """Drop examples whose answer has no label, or to the same prompt both labels."""
    labels: dict[tuple[Chat, str], set[bool]] = defaultdict(set)
    for example in examples.kept:
        if example.label is not None:
            labels[example.prompt, example.answer].add(example.label)

    def problem(example: ChatExample) -> tuple[Reason, str] | None:
        if example.label is None:
            return "unlabelled", ""
        both = len(labels[example.prompt, example.answer]) > 1
        return ("contradicted", "the same answer has the other label too") if both else None

    return _drop(examples, problem)


def pair_up(examples: FilteredExamples) -> FilteredExamples:
    """Pair each good answer with a bad one to the same prompt, in file order."""
    # Match each example with the first unmatched one of the other label.
    unmatched: dict[tuple[Chat, bool | None], deque[ChatExample]] = defaultdict(deque)
    pairs = []
    for example in examples.kept:
        counterparts = unmatched[example.prompt, not example.label]
        if not counterparts:
            unmatched[example.prompt, example.label].append(example)
            continue
        first = counterparts.popleft()
        chosen, rejected = (example, first) if example.label else (first, example)
        pairs.append(
            first._replace(
                rows=(*first.rows, *example.rows),
                answer=chosen.answer,
                rejected=rejected.answer,
                label=None,
            )
        )
    # Drop what has no counterpart, and pairs of equal answers.
    dropped = [
        row
        for queue in unmatched.values()
        for example in queue
        for row in _dropped(example, "no_counterpart", "")
    ]
    paired = FilteredExamples(pairs, [*examples.dropped, *dropped])
    return _drop(paired, lambda p: ("identical_answers", "") if p.answer == p.rejected else None)


def keep_lengths(
    examples: FilteredExamples, *, min_words: int | None, max_words: int | None
) -> FilteredExamples:
    """Drop examples with an answer of fewer or more words than allowed."""

    def problem(example: ChatExample) -> tuple[Reason, str] | None:
        lengths = [len(normalise_words(answer)) for answer in example.answers]
        if min_words is not None and min(lengths) < min_words:
            return "too_short", f"{min(lengths)} words"
        if max_words is not None and max(lengths) > max_words:
            return "too_long", f"{max(lengths)} words"
        return None

    return _drop(examples, problem)


def drop_duplicates(examples: FilteredExamples, by: Dedupe) -> FilteredExamples:
    """Keep the first of equal examples: equal as a whole, or by their (normalised) question."""
    first_rows: dict[object, str] = {}

    def problem(example: ChatExample) -> tuple[Reason, str] | None:
        key = _duplicate_key(example, by)
        if key in first_rows:
            return "duplicate", f"of row {first_rows[key]}"
        first_rows[key] = example.rows[0]
        return None

    return _drop(examples, problem)


def take_subset(examples: FilteredExamples, n: int, seed: int) -> FilteredExamples:
    """Take a seeded subset of `n`, in file order.

    Raises:
        HarnessError: there are fewer examples.
    """
    if n > len(examples.kept):
        raise HarnessError(f"Only {len(examples.kept)} rows can be used, fewer than --take {n}.")
    taken_ids = set(random.Random(seed).sample([example.id for example in examples.kept], n))
    return _drop(examples, lambda example: None if example.id in taken_ids else ("not_taken", ""))


def _duplicate_key(example: ChatExample, by: Dedupe) -> object:
    """Return the key that is equal for duplicates."""
    match by:
        case "none":
            return example.rows
        case "row":
            return example.prompt, example.answers
        case "question":
            return example.question
        case "normalised":
            return normalise_text(example.question)


def _drop(
    examples: FilteredExamples, problem: Callable[[ChatExample], tuple[Reason, str] | None]
) -> FilteredExamples:
    kept: list[ChatExample] = []
    dropped: list[Dropped] = []
    for example in examples.kept:
        if reason := problem(example):
            dropped += _dropped(example, *reason)
        else:
            kept.append(example)
    return FilteredExamples(kept, [*examples.dropped, *dropped])


def _dropped(example: ChatExample, reason: Reason, detail: str) -> Sequence[Dropped]:
    return [Dropped(row=row, reason=reason, detail=detail) for row in example.rows]
