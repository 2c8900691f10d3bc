"""Text on human annotation: the design of a study, its progress, and the results of its votes."""

import math
from collections.abc import Iterator

from harness.human.annotate.progress_summary import VoteSummary
from harness.types import AnnotatorSummary, HumanMean, HumanSummary, Study
from reports.formatting import with_interval


def describe_study(study: Study) -> list[str]:
    """Describe the pairs, repeats and attention items of a study."""
    kinds = [item.kind for item in study.items]
    n_attention, n_repeats = kinds.count("attention"), kinds.count("repeat")
    lines = [
        f"{study.n} pairs of {study.candidate} and {study.baseline}, drawn {_how(study)} (seed "
        f"{study.seed}) from {study.n_comparable} with two different answers; {study.n_items} "
        "items in all"
    ]
    if study.least_votes:
        lines.append(f"an annotator counts with votes on at least {study.least_votes} of them")
    if n_repeats:
        lines.append(f"{n_repeats} of them are shown twice, with the sides exchanged")
    if n_attention:
        n_needed = math.ceil(study.attention_at_least * n_attention)
        lines.append(
            f"{n_attention} attention items are mixed in: the votes of an annotator who answers "
            f"fewer than {study.attention_at_least:.0%} of them as expected ({n_needed} of "
            f"{n_attention}) do not count"
        )
    return lines


def _how(study: Study) -> str:
    """Describe the draw: at random, or with unequal chances, and whether it follows another."""
    how = "with known unequal chances" if len(set(study.chances.values())) > 1 else "at random"
    after = f" after the {len(study.carried)} that have labels in study '{study.after}'"
    return how + (after if study.after else "")


def describe_votes(study: Study, summary: VoteSummary) -> list[str]:
    """Describe each annotator's progress, and the win rate so far."""
    total = len(study.items)
    lines = [
        f"{a.name}: {a.n_votes} of {total} pairs"
        + (f", attention {a.n_attentive} of {a.n_attention}" if a.n_attention else "")
        for a in summary.annotators
    ]
    if summary.win_rate is not None:
        lines.append(
            f"{study.candidate} against {study.baseline}: win rate {summary.win_rate:.1%} "
            f"(wins {summary.wins}, ties {summary.ties}, losses {summary.losses}, could not be "
            f"judged {summary.cannot_judge})"
        )
    return lines or ["no votes yet"]


def describe_human_summary(summary: HumanSummary) -> Iterator[str]:
    """Describe the means, votes and annotators, and the agreement between annotators."""
    for mean in summary.means:
        yield _describe_mean(mean)
    # Votes, their sampling, and each annotator.
    votes = summary.wins + summary.ties + summary.losses
    if votes + summary.undecided:
        yield (
            f"  votes: {summary.wins} wins, {summary.ties} ties, {summary.losses} losses"
            + (f", {summary.undecided} could not be judged" if summary.undecided else "")
        )
    yield f"  {summary.source}: {summary.sampling}"
    yield f"  rule for annotators: {summary.rule}"
    yield from (f"  {_describe_annotator(annotator)}" for annotator in summary.annotators)
    # Agreement between annotators, and of an annotator with themselves.
    for agreement in summary.agreements:
        intervals = {
            "same": agreement.percent,
            "alpha": agreement.alpha,
            "AC1": agreement.ac1,
            "kappa": agreement.kappa,
        }
        coefficients = ", ".join(
            f"{name} {i.estimate:.2f} ({i.low:.2f} to {i.high:.2f})"
            for name, i in intervals.items()
            if i is not None
        )
        if agreement.n:
            yield (
                f"  between annotators, {agreement.column}: {coefficients or 'not estimable'} "
                f"(n {agreement.n})"
            )
        for pair in agreement.pairs:
            first, second = pair.judges
            yield f"    {first} and {second}: kappa {with_interval(pair.kappa, 2)} (n {pair.n})"
    if summary.same_again is not None:
        same = summary.same_again
        yield (
            f"  the same annotator on repeats: {same.estimate:.0%} equal "
            f"({same.low:.0%} to {same.high:.0%}, n {summary.n_again})"
        )


def _describe_mean(mean: HumanMean) -> str:
    m, own = mean.mean, mean.of_items
    is_win_rate = mean.null == 0.5

    def fmt(value: float) -> str:
        return f"{value:.1%}" if is_win_rate else f"{value:+.2f}"

    name = "win rate" if is_win_rate else "difference"
    p = f"p {mean.p_value:.4f}" if mean.p_value >= 0.0001 else "p < 0.0001"
    text = (
        f"{mean.column}: {name} {fmt(m.estimate)} ({fmt(m.low)} to {fmt(m.high)}), {p}, "
        f"{mean.n_items} items, {mean.n_annotators} "
        f"{'annotator' if mean.n_annotators == 1 else 'annotators'}, {mean.n_votes} votes"
    )
    if mean.n_annotators == 1:
        return f"{text}. The interval holds for this annotator only."
    return f"{text}. For these annotators only: {fmt(own.low)} to {fmt(own.high)}."


def _describe_annotator(annotator: AnnotatorSummary) -> str:
    parts = [f"{annotator.name}: {annotator.n_votes} votes"]
    if annotator.mean is not None:
        parts.append(f"win rate {annotator.mean.estimate:.0%}")
    if annotator.n_attention:
        parts.append(f"attention {annotator.n_attentive} of {annotator.n_attention}")
    if annotator.n_repeats:
        parts.append(f"repeats judged equally {annotator.n_same} of {annotator.n_repeats}")
    if not annotator.counted:
        parts.append("EXCLUDED by the rule")
    return ", ".join(parts)
