"""Statistics of preference pairs: how many were kept or dropped, and unintended differences."""

from collections.abc import Iterable, Iterator

from harness.types import CheckpointCard, Interval, JudgeAgreement, PairDrop, PairStatistics
from harness.types.judgements import rank_reasons
from reports.components import Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    join_names,
    number_or_dash,
    percent,
    share_with_interval,
    signed,
    with_interval,
)

# Reasons why pairs are dropped, in the order of the checks.
DROP_LABELS: dict[PairDrop, str] = {
    "empty": "an answer is empty",
    "identical": "both answers are identical",
    "unscored": "no verdict",
    "inconsistent": "different winner in the other order",
    "tied": "tied in both orders",
    "split": "no majority among the judges",
    "prompt_leak_sentence": "the winner contains a sentence of the system prompt",
    "prompt_leak_words": "the winner contains words of the system prompt",
    "cut_off": "the winner was cut off",
    "unfinished_thoughts": "the winner's thoughts never ended",
    "repetition_loop": "the winner contains a repetition loop",
    "repeated_answer": "the winner is the answer to other questions too",
    "special_tokens": "the winner contains special tokens",
    "suspected_injection": "the winner addresses the judge",
    "low_margin": "below min_margin",
    "too_short": "below min_words",
    "too_long": "above max_words",
    "length_ratio": "above max_length_ratio",
}


def describe_pairs(statistics: PairStatistics) -> dict[str, str]:
    """Return the statistics as labels and formatted values."""
    facts = {"pairs built": f"{statistics.built:,}", "pairs kept": f"{statistics.kept:,}"}
    facts |= {f"dropped, {label}": f"{n:,}" for label, n in _drops(statistics)}
    if statistics.kept:
        facts |= {
            f"{label}, chosen and rejected": f"{chosen} and {rejected}"
            for label, chosen, rejected in _sides(statistics)
        }
        facts["chosen is the longer one"] = share_with_interval(statistics.chosen_longer)
    if statistics.agreement is not None:
        facts["same verdict of two judges"] = share_with_interval(statistics.agreement.percent)
    warning = " ".join(pair_warnings(statistics, "these pairs"))
    return facts | ({"warning": warning} if warning else {})


def pair_warnings(statistics: PairStatistics, subject: str) -> Iterator[str]:
    """Warn of unintended differences between chosen and rejected; `subject` names the pairs."""
    share = statistics.chosen_longer
    if statistics.teaches is not None and share is not None:
        predicted = share.estimate if statistics.teaches == "longer" else 1 - share.estimate
        yield (
            f"In {percent(predicted)} of {subject} with answers of different length, the chosen "
            f"answer is the {statistics.teaches} one. Such pairs train a preference for length."
        )
    if leaks := statistics.chosen.leaks:
        yield (
            f"In {leaks:,} of {subject}, the chosen answer contains the system prompt. "
            "Such pairs train the model to repeat it."
        )


def pair_tables(checkpoints: Iterable[CheckpointCard]) -> Iterator[Table]:
    """Yield, for each checkpoint trained on pairs, their drops and how chosen and rejected differ."""
    for card in checkpoints:
        if card.pairs is None:
            continue
        yield _drop_table(card.model, card.pairs)
        if card.pairs.kept:
            yield _side_table(card.model, card.pairs)
        if card.pairs.agreement is not None:
            yield _agreement_table(card.model, card.pairs.agreement)


def _drop_table(model: str, statistics: PairStatistics) -> Table:
    outcomes = [("kept", statistics.kept), *_drops(statistics)]
    rows = [(label, f"{n:,}", _share(n, statistics.built)) for label, n in outcomes]
    return Table(
        f"Pairs kept and dropped for '{model}'",
        ("", "Pairs", f"Of {statistics.built:,} built"),
        "lrr",
        tuple(rows),
        note="A dropped pair is counted under the first reason that applies. No winner is guessed.",
    )


def _drops(statistics: PairStatistics) -> Iterator[tuple[str, int]]:
    """Yield each reason for dropped pairs, as a label, with their number."""
    for reason, label in DROP_LABELS.items():
        if n := statistics.dropped.get(reason):
            details = [
                f"{statistics.unscored_reasons[kind]:,} {kind}"
                for kind in rank_reasons(statistics.unscored_reasons)
            ]
            suffix = f" ({join_names(details)})" if reason == "unscored" and details else ""
            yield label + suffix, n


def _side_table(model: str, statistics: PairStatistics) -> Table:
    return Table(
        f"Chosen and rejected answers for '{model}'",
        ("", "Chosen", "Rejected"),
        "lrr",
        (*_sides(statistics), *_length_rows(statistics)),
        note="Pairs that differ mainly in length train a preference for length. The 95 % interval "
        "is over the pairs of unequal length.",
    )


def _sides(statistics: PairStatistics) -> Iterator[tuple[str, str, str]]:
    """Yield label, chosen value and rejected value of each statistic of the kept pairs."""
    chosen, rejected, n = statistics.chosen, statistics.rejected, statistics.kept
    yield "mean words", number_or_dash(chosen.mean_words, 1), number_or_dash(rejected.mean_words, 1)
    yield "contain the system prompt", _share(chosen.leaks, n), _share(rejected.leaks, n)
    yield "empty", _share(chosen.empty, n), _share(rejected.empty, n)


def _length_rows(statistics: PairStatistics) -> Iterator[tuple[str, str, str]]:
    """Yield the difference in mean length, and how often each side is the longer one."""
    chosen, rejected = statistics.chosen.mean_words, statistics.rejected.mean_words
    if chosen is not None and rejected is not None:
        excess = chosen - rejected
        yield "mean words more than the other", signed(excess, 1), signed(-excess, 1)
    share = statistics.chosen_longer
    if share is not None:
        other = Interval(estimate=1 - share.estimate, low=1 - share.high, high=1 - share.low)
        yield "is the longer one", share_with_interval(share), share_with_interval(other)


def _agreement_table(model: str, agreement: JudgeAgreement) -> Table:
    table = Table(
        f"Agreement of the judges that chose the pairs for '{model}'",
        ("Judges", "n", "Same verdict", "Krippendorff's alpha", "Gwet's AC1", "Cohen's kappa"),
        "lrrrrr",
        (
            (
                join_names(agreement.judges),
                f"{agreement.n:,}",
                share_with_interval(agreement.percent),
                with_interval(agreement.alpha, 2),
                with_interval(agreement.ac1, 2),
                with_interval(agreement.kappa, 2),
            ),
        ),
        note="n counts pairs, in one order, that two of the judges judged. Same verdict is the share "
        "of equal verdicts of two judges; the other coefficients are corrected for chance.",
    )
    return without_empty_columns(table)


def _share(n: int, total: int) -> str:
    return percent(n / total) if total else ABSENT
