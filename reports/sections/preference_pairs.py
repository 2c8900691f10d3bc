"""What became of preference pairs, and what the kept ones teach beside what they should."""

from collections.abc import Iterable, Iterator

from harness.types import CheckpointCard, Interval, JudgeAgreement, PairDrop, PairStatistics
from reports.components import Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    listing,
    optional,
    percent,
    share_with_span,
    signed,
    with_span,
)

# Why pairs were dropped, in the order in which it is asked.
REASONS: dict[PairDrop, str] = {
    "empty": "an answer is empty",
    "identical": "both answers are the same",
    "unscored": "no verdict",
    "inconsistent": "another winner in the other order",
    "tied": "tied in both orders",
    "split": "the judges were split",
    "prompt_leak_sentence": "the winner contains a sentence of the system prompt",
    "prompt_leak_words": "the winner contains words of the system prompt",
    "cut_off": "the winner was cut off",
    "repetition_loop": "the winner repeats itself in a loop",
    "special_tokens": "the winner contains special tokens",
    "suspected_injection": "the winner reads as if it spoke to the judge",
    "low_margin": "below min_margin",
    "too_short": "below min_words",
    "too_long": "above max_words",
    "length_ratio": "above max_length_ratio",
}


def describe_pairs(statistics: PairStatistics) -> dict[str, str]:
    """The statistics in words, by name."""
    facts = {"pairs built": f"{statistics.built:,}", "pairs kept": f"{statistics.kept:,}"}
    facts |= {f"dropped, {what}": f"{n:,}" for what, n in _drops(statistics)}
    if statistics.kept:
        facts |= {
            f"{what}, chosen and rejected": f"{a} and {b}" for what, a, b in _sides(statistics)
        }
        facts["chosen is the longer one"] = share_with_span(statistics.chosen_longer)
    if statistics.agreement is not None:
        facts["same verdict of two judges"] = share_with_span(statistics.agreement.percent)
    beware = " ".join(pair_warnings(statistics, "these pairs"))
    return facts | ({"beware": beware} if beware else {})


def pair_warnings(statistics: PairStatistics, whose: str) -> Iterator[str]:
    """What the pairs teach beside what they should; `whose` says in a few words which they are."""
    share = statistics.chosen_longer
    if statistics.teaches is not None and share is not None:
        guessed = share.estimate if statistics.teaches == "longer" else 1 - share.estimate
        yield (
            f"In {percent(guessed)} of {whose} the chosen answer is the {statistics.teaches} one, "
            "where the two differ in length. Such pairs teach length, whatever else they teach."
        )
    if leaks := statistics.chosen.leaks:
        yield (
            f"In {leaks:,} of {whose} the chosen answer contains the system prompt. "
            "Such pairs teach to repeat it."
        )


def pair_tables(checkpoints: Iterable[CheckpointCard]) -> Iterator[Table]:
    """Of each checkpoint that learnt from pairs: what became of them, and how their sides differ."""
    for card in checkpoints:
        if card.pairs is None:
            continue
        yield _fate_table(card.model, card.pairs)
        if card.pairs.kept:
            yield _side_table(card.model, card.pairs)
        if card.pairs.agreement is not None:
            yield _agreement_table(card.model, card.pairs.agreement)


def _fate_table(model: str, statistics: PairStatistics) -> Table:
    fates = [("kept", statistics.kept), *_drops(statistics)]
    rows = [(what, f"{n:,}", _share(n, statistics.built)) for what, n in fates]
    return Table(
        f"What became of the pairs for '{model}'?",
        ("", "Pairs", f"Of {statistics.built:,} built"),
        "lrr",
        tuple(rows),
        note="A pair is dropped for the first reason that holds. None is guessed.",
    )


def _drops(statistics: PairStatistics) -> Iterator[tuple[str, int]]:
    """Why pairs were dropped, in words, and how many."""
    for reason, what in REASONS.items():
        if n := statistics.dropped.get(reason):
            told = [
                f"{n_of:,} {kind}" for kind, n_of in sorted(statistics.unscored_reasons.items())
            ]
            why = f" ({listing(told)})" if reason == "unscored" and told else ""
            yield what + why, n


def _side_table(model: str, statistics: PairStatistics) -> Table:
    return Table(
        f"How do chosen and rejected answers for '{model}' differ?",
        ("", "Chosen", "Rejected"),
        "lrr",
        (*_sides(statistics), *_length_rows(statistics)),
        note="Pairs that differ mainly in length teach length. The interval is a 95 % one over "
        "the pairs of unequal length.",
    )


def _sides(statistics: PairStatistics) -> Iterator[tuple[str, str, str]]:
    """What is told of both sides of the kept pairs: what, of the chosen, of the rejected."""
    chosen, rejected, n = statistics.chosen, statistics.rejected, statistics.kept
    yield "mean words", optional(chosen.mean_words, 1), optional(rejected.mean_words, 1)
    yield "leak their system prompt", _share(chosen.leaks, n), _share(rejected.leaks, n)
    yield "empty", _share(chosen.empty, n), _share(rejected.empty, n)


def _length_rows(statistics: PairStatistics) -> Iterator[tuple[str, str, str]]:
    """Each side's mean length less the other's, and how often it is the longer one."""
    chosen, rejected = statistics.chosen.mean_words, statistics.rejected.mean_words
    if chosen is not None and rejected is not None:
        more = chosen - rejected
        yield "words more than the other", signed(more, 1), signed(-more, 1)
    share = statistics.chosen_longer
    if share is not None:
        other = Interval(estimate=1 - share.estimate, low=1 - share.high, high=1 - share.low)
        yield "is the longer one", share_with_span(share), share_with_span(other)


def _agreement_table(model: str, agreement: JudgeAgreement) -> Table:
    table = Table(
        f"Did the judges who chose the pairs for '{model}' agree?",
        ("Judges", "n", "Same verdict", "Krippendorff's alpha", "Gwet's AC1", "Cohen's kappa"),
        "lrrrrr",
        (
            (
                listing(agreement.judges),
                f"{agreement.n:,}",
                share_with_span(agreement.percent),
                with_span(agreement.alpha, 2),
                with_span(agreement.ac1, 2),
                with_span(agreement.kappa, 2),
            ),
        ),
        note="n are pairs in one order that two of them judged. Same verdict is how often two of "
        "them gave exactly the same; the other figures leave out what chance alone would give.",
    )
    return without_empty_columns(table)


def _share(n: int, of: int) -> str:
    return percent(n / of) if of else ABSENT
