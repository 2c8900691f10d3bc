"""Tries on the same items: how many there were, and what alpha each of them has.

Who compares one candidate after another with a baseline on the same items passes a lucky one sooner
or later; so does who adds items until it passes. So every comparison that a gate decides is a try,
numbered in the order in which it was registered, and has a share of alpha.

The first has the whole alpha for as long as it is the only one, and nine tenths beside others. The
tenth is for all later ones together: the k-th has 6 / (pi^2 (k - 1)^2) of it. All shares sum to 1
(Bonferroni over an endless series), so that a false claim's pass stands with probability at most
alpha over all tries that share an item, whatever their dependence. A pass of the first that needs more
than nine tenths no longer stands once there is a second; who stops at the first pass in any order
is wrong with probability at most 1.1 alpha.

The same comparison under another seed is no new chance: the first seed decides, and another passes
only if the first did (a fixed sequence, which costs no alpha).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.stats.vectors import first_true
from harness.types import EarlierTry, ItemSet, Try, TryCount

LATER_SHARE = 0.1  # of alpha, for all tries after the first
KEPT_ITEMS = 4096  # of a set; all of a smaller one
MOST_TRIES = 1000  # up to which it is known whether a pass would stand
LISTED = 20  # earlier tries in a result, the latest


def share_of_try(number: int) -> float:
    """Return the share of alpha of the try with this number, from 1; all shares sum to 1."""
    return 1 - LATER_SHARE if number == 1 else LATER_SHARE * spending_share(number - 1)


def spending_share(number: int) -> float:
    """Return 6 / (pi^2 number^2), which sums to 1 over an endless series from 1."""
    return 6 / (math.pi * number) ** 2


def count_tries(attempt: Try, history: Iterable[Try], items: Mapping[str, ItemSet]) -> TryCount:
    """Count the tries in the family of this one; `items` are by key, `history` may include it."""
    known = sorted(history, key=_by_time)
    first = next((one for one in known if is_other_seed(attempt, one)), None)
    if first is not None and _by_time(first) < _by_time(attempt):
        decided = count_tries(first, [one for one in known if not is_same(one, attempt)], items)
        return decided.model_copy(update={"first_seed": _as_earlier(attempt, first)})
    family = [other for other in known if is_related(attempt, other, items)]
    family = [
        other
        for place, other in enumerate(family)
        if not is_other_seed(attempt, other)
        and not any(is_other_seed(other, before) for before in family[:place])
    ]
    earlier = [other for other in family if _by_time(other) < _by_time(attempt)]
    alone = all(other.seen for other in family)
    number = len(earlier) + 1
    return TryCount(
        key=attempt.key,
        number=number,
        total=len(family) + 1,
        alone=alone and number == 1,
        alpha=attempt.alpha,
        level=attempt.alpha * (1 if alone and number == 1 else share_of_try(number)),
        next_level=attempt.alpha * share_of_try(len(family) + 2),
        earlier=tuple(_as_earlier(attempt, other) for other in earlier[-LISTED:]),
    )


def is_related(attempt: Try, other: Try, items: Mapping[str, ItemSet]) -> bool:
    """Return whether another try has the same baseline, and a claim on the same column and items."""
    return (
        not is_same(attempt, other)
        and attempt.baseline == other.baseline
        and not set(attempt.columns).isdisjoint(other.columns)
        and (
            attempt.items == other.items
            or not set(items[attempt.items].hashes).isdisjoint(items[other.items].hashes)
        )
    )


def is_same(attempt: Try, other: Try) -> bool:
    """Return whether two records are of one try: the same comparison with the same answers."""
    return attempt.key == other.key and all(
        not old or not new or old == new
        for old, new in zip(attempt.answers, other.answers, strict=False)
    )


def is_other_seed(attempt: Try, other: Try) -> bool:
    """Return whether two records are of one comparison under two seeds."""
    return attempt.seed != other.seed and all(
        getattr(attempt, name) == getattr(other, name)
        for name in ("baseline", "candidates", "columns", "items", "claims", "measured")
    )


def stands(attempt: Try, count: TryCount) -> bool:
    """Return whether a pass is one at the level that the try has now."""
    if attempt.verdict != "pass":
        return False
    if count.first_seed is not None and count.first_seed.verdict != "pass":
        return False
    return count.alone or (attempt.stands_to or 0) >= count.number


def find_last_standing(passes: Callable[[float], bool], alpha: float) -> int:
    """Return the last number of a try at whose level the gate passes, at most `MOST_TRIES`; or 0.

    `passes` is true up to some number, and false from there on.
    """
    return first_true(lambda t: not passes(alpha * share_of_try(t)), 1, MOST_TRIES + 1) - 1


def describe_difference(attempt: Try, other: Try) -> str:
    """Describe in a few words what another try had that this one has not."""
    words = []
    if attempt.candidates != other.candidates:
        words.append("another candidate")
    if attempt.items != other.items:
        fewer = other.n_items < attempt.n_items
        words.append("fewer of the items" if fewer else "other items among them")
    if attempt.claims != other.claims:
        words.append("other claims")
    if attempt.measured != other.measured:
        words.append("another prompt, decoding or judge")
    if attempt.seed != other.seed:
        words.append("another seed")
    return ", ".join(words) or "other answers or verdicts"


def describe_models(models: Sequence[str]) -> str:
    """Return the names of what was compared: `dpo against sft`, or one model's."""
    baseline, *candidates = models
    return f"{', '.join(candidates)} against {baseline}" if candidates else baseline


def describe_count(count: TryCount) -> str:
    """Describe in a sentence at which level a try was decided; empty for the only one."""
    if count.alone:
        return ""
    again = "" if count.number > 1 else ", which is no longer the only one"
    return (
        f"This is try {count.number} of {count.total} on these items{again}: it is "
        f"decided at {count.level:.2g}, its share of alpha {count.alpha:g}."
    )


def merge_records(records: Sequence[Try]) -> list[Try]:
    """Return one record for each try, by time: registered first, with the verdict that counts.

    That is the latest; but where it was given at a lower level, a pass before it remains what it was.
    """
    groups: dict[str, list[list[Try]]] = {}
    for record in sorted(records, key=lambda one: (*_by_time(one), one.decided)):
        of_key = groups.setdefault(record.key, [])
        group = next((same for same in of_key if is_same(same[0], record)), None)
        if group is None:
            of_key.append([record])
        else:
            group.append(record)
    merged = [_merge_same(group) for of_key in groups.values() for group in of_key]
    return sorted(merged, key=_by_time)


def _merge_same(group: Sequence[Try]) -> Try:
    latest = max(group, key=lambda one: one.decided)
    last_pass = max(
        (one for one in group if one.verdict == "pass"), key=lambda one: one.decided, default=latest
    )
    lower = latest.verdict != "pass" and (latest.level or 0) < (last_pass.level or 0)
    return (last_pass if lower else latest).model_copy(
        update={
            "registered": group[0].registered,
            "seen": all(one.seen for one in group),
            "answers": tuple(map(max, zip(*(one.answers for one in group), strict=False))),
        }
    )


def _as_earlier(attempt: Try, other: Try) -> EarlierTry:
    return EarlierTry(
        registered=other.registered,
        models=other.models,
        differs=describe_difference(attempt, other),
        verdict=other.verdict,
    )


def _by_time(attempt: Try) -> tuple[str, str, tuple[str, ...]]:
    return attempt.registered, attempt.key, attempt.answers
