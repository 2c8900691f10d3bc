"""Which drafts go on: duplicates, lengths, labels, withheld ids and seeded subsets."""

import random
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence

from harness.config.data import Dedupe
from harness.core.errors import HarnessError
from harness.data.convert.cells import Chat
from harness.data.convert.drafts import ChatExample, Drafts, Dropped, Reason
from harness.data.text import normalise_text, normalise_words


def drop_excluded(drafts: Drafts, ids: Collection[str]) -> Drafts:
    """Drop the examples with these ids.

    Raises:
        HarnessError: no draft has any of them, so they are the ids of something else.
    """
    if ids and not any(draft.id in ids for draft in drafts.kept):
        raise HarnessError(f"None of the {len(ids)} ids to leave out is the id of a row.")
    return _drop(drafts, lambda draft: ("withheld", "") if draft.id in ids else None)


def only_positive(drafts: Drafts) -> Drafts:
    """Drop answers that are labelled bad."""
    return _drop(drafts, lambda draft: ("disliked", "") if draft.liked is False else None)


def pair_up(drafts: Drafts) -> Drafts:
    """Pair each liked answer with a disliked one to the same prompt, in file order."""
    waiting: dict[tuple[Chat, bool | None], deque[ChatExample]] = defaultdict(deque)
    pairs = []
    for draft in drafts.kept:
        others = waiting[draft.prompt, not draft.liked]
        if not others:
            waiting[draft.prompt, draft.liked].append(draft)
            continue
        first = others.popleft()
        liked, disliked = (draft, first) if draft.liked else (first, draft)
        pairs.append(
            first._replace(
                rows=(*first.rows, *draft.rows),
                answer=liked.answer,
                rejected=disliked.answer,
                liked=None,
            )
        )
    left = [draft for queue in waiting.values() for draft in queue]
    alone = [d for draft in left for d in _dropped(draft, "no_counterpart", "")]
    paired = Drafts(pairs, [*drafts.dropped, *alone])
    return _drop(paired, lambda d: ("identical_answers", "") if d.answer == d.rejected else None)


def keep_lengths(drafts: Drafts, *, min_words: int | None, max_words: int | None) -> Drafts:
    """Keep examples in which every answer has a number of words between the limits."""

    def problem(draft: ChatExample) -> tuple[Reason, str] | None:
        lengths = [len(normalise_words(answer)) for answer in draft.answers]
        if min_words is not None and min(lengths) < min_words:
            return "too_short", f"{min(lengths)} words"
        if max_words is not None and max(lengths) > max_words:
            return "too_long", f"{max(lengths)} words"
        return None

    return _drop(drafts, problem)


def drop_duplicates(drafts: Drafts, by: Dedupe) -> Drafts:
    """Keep the first of equal examples: as whole rows, or by their (normalised) question."""
    first: dict[object, str] = {}

    def problem(draft: ChatExample) -> tuple[Reason, str] | None:
        same = _sameness(draft, by)
        if same in first:
            return "duplicate", f"of row {first[same]}"
        first[same] = draft.rows[0]
        return None

    return _drop(drafts, problem)


def take_subset(drafts: Drafts, n: int, seed: int) -> Drafts:
    """Take a seeded subset of `n`, in file order.

    Raises:
        HarnessError: there are fewer.
    """
    if n > len(drafts.kept):
        raise HarnessError(f"Only {len(drafts.kept)} rows can be used, fewer than --take {n}.")
    chosen = set(random.Random(seed).sample([draft.id for draft in drafts.kept], n))
    return _drop(drafts, lambda draft: None if draft.id in chosen else ("not_taken", ""))


def _sameness(draft: ChatExample, by: Dedupe) -> object:
    """Return the key that two examples share when one repeats the other."""
    match by:
        case "none":
            return draft.rows
        case "row":
            return draft.prompt, draft.answers
        case "question":
            return draft.question
        case "normalised":
            return normalise_text(draft.question)


def _drop(drafts: Drafts, problem: Callable[[ChatExample], tuple[Reason, str] | None]) -> Drafts:
    kept: list[ChatExample] = []
    dropped: list[Dropped] = []
    for draft in drafts.kept:
        if found := problem(draft):
            dropped += _dropped(draft, *found)
        else:
            kept.append(draft)
    return Drafts(kept, [*drafts.dropped, *dropped])


def _dropped(draft: ChatExample, reason: Reason, detail: str) -> Sequence[Dropped]:
    return [Dropped(row=row, reason=reason, detail=detail) for row in draft.rows]
