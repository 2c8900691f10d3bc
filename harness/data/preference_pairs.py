"""Preference pairs, a chosen and a rejected answer to one prompt, and counts of dropped candidates.

    {"sample_id": "asthma-01", "source": "judged", "prompt": [{"role": "system", ...}, ...],
     "chosen": "That sounds worrying ...", "rejected": "An inhaler is ..."}

An unreadable verdict, a tie, judges who disagree, and a judge whose verdict depends on the order of
the answers give no pair. An answer that leaks its prompt or is cut off is never the chosen one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from harness.config import Source
from harness.config.data import JudgedPairFilters, PairFilters
from harness.core.errors import HarnessError
from harness.data.hygiene import leaks_sentence, leaks_words
from harness.data.jsonl import load_rows_with_stats, write_rows_with_stats
from harness.data.tables import load_rows
from harness.data.text import normalise_words
from harness.types import (
    HygieneFlag,
    Interval,
    Message,
    PairDrop,
    PairSide,
    PairStatistics,
    Preference,
    Response,
    Winner,
)
from harness.types.training import PreferencePair


class Pairs(NamedTuple):
    """Pairs for training, and the statistics of how they were made."""

    pairs: list[PreferencePair]
    statistics: PairStatistics


class SampledAnswer(NamedTuple):
    """A model's answer with its hygiene flags."""

    response: Response
    flags: tuple[HygieneFlag, ...] = ()


class JudgedAnswers(NamedTuple):
    """Two sampled answers to one prompt, and the verdicts on them.

    In all verdicts `first` is the baseline. It was shown first to `forward` and second to
    `backward`; they are None where no judge was asked. `votes` are the readable verdicts of every
    judge, order and round, from which both were reduced.
    """

    prompt: tuple[Message, ...]
    first: SampledAnswer
    second: SampledAnswer
    forward: Preference | None
    backward: Preference | None
    votes: tuple[Winner, ...] = ()


class GoldAnswer(NamedTuple):
    """The reference answer to a prompt, and the model's own answer."""

    prompt: tuple[Message, ...]
    gold: str
    own: Response


def pairs_from_preferences(
    judged: Iterable[JudgedAnswers], filters: JudgedPairFilters | None = None
) -> Pairs:
    """Make pairs where the judges named the same winner in both orders."""
    filters = filters or JudgedPairFilters()
    return _collect([_judged_pair(answers, filters.min_margin) for answers in judged], filters)


def pairs_from_gold(answers: Iterable[GoldAnswer], filters: PairFilters | None = None) -> Pairs:
    """Make pairs of the reference (chosen) and the model's own answer (rejected).

    An own answer that is cut off or leaks its prompt is not dropped: it is the rejected one.
    """
    return _collect([_gold_pair(answer) for answer in answers], filters)


def pairs_from_given(pairs: Iterable[PreferencePair], filters: PairFilters | None = None) -> Pairs:
    """Keep the given pairs whose answers exist and differ, and that pass the filters."""
    return _collect([_given_pair(pair) for pair in pairs], filters)


def unpairable_reason(first: str | None, second: str | None) -> PairDrop | None:
    """Return why two answers can make no pair under any verdict; None if they can."""
    texts = [(text or "").strip() for text in (first, second)]
    if not all(texts):
        return "empty"
    return "identical" if texts[0] == texts[1] else None


# --- one candidate ---------------------------------------------------------------------------


class _Dropped(NamedTuple):
    """The reason why a candidate is no pair; `detail` is the reason why it is unscored."""

    reason: PairDrop
    detail: str = ""


def _judged_pair(answers: JudgedAnswers, min_margin: float) -> PreferencePair | _Dropped:
    first, second = answers.first, answers.second
    if reason := unpairable_reason(first.response.text, second.response.text):
        return _Dropped(reason)
    winner = _agreed_winner(answers)
    if isinstance(winner, _Dropped):
        return winner
    chosen, rejected = (first, second) if winner == "baseline" else (second, first)
    if chosen.flags:
        return _Dropped(chosen.flags[0])
    if _margin(winner, answers.votes) < min_margin:
        return _Dropped("low_margin")
    return PreferencePair(
        sample_id=chosen.response.sample_id,
        prompt=answers.prompt,
        chosen=chosen.response.text or "",
        rejected=rejected.response.text or "",
        source="judged",
    )


def _agreed_winner(answers: JudgedAnswers) -> Literal["baseline", "candidate"] | _Dropped:
    for verdict in (answers.forward, answers.backward):
        if verdict is None:
            return _Dropped("unscored", "not asked")
        if verdict.winner is None:  # keep the kind of the reason, without details of the reply
            return _Dropped("unscored", (verdict.reason or "").partition(":")[0])
    assert answers.forward is not None
    assert answers.backward is not None
    winner = answers.forward.winner
    if winner != answers.backward.winner:
        return _Dropped("inconsistent")
    if winner == "baseline" or winner == "candidate":
        return winner
    ties = answers.votes.count("tie")
    return _Dropped("tied" if 2 * ties >= len(answers.votes) else "split")


def _margin(winner: Winner, votes: Sequence[Winner]) -> float:
    """Return the share of votes for the winner less the share for the other; 1 if unanimous."""
    n_against = sum(vote not in (winner, "tie") for vote in votes)
    return (votes.count(winner) - n_against) / len(votes) if votes else 1.0


def _gold_pair(answer: GoldAnswer) -> PreferencePair | _Dropped:
    if reason := unpairable_reason(answer.gold, answer.own.text):
        return _Dropped(reason)
    return PreferencePair(
        sample_id=answer.own.sample_id,
        prompt=answer.prompt,
        chosen=answer.gold,
        rejected=answer.own.text or "",
        source="gold",
    )


def _given_pair(pair: PreferencePair) -> PreferencePair | _Dropped:
    reason = unpairable_reason(pair.chosen, pair.rejected)
    return _Dropped(reason) if reason else pair


# --- filters and statistics ------------------------------------------------------------------


class _PairWithLengths(NamedTuple):
    """A pair with the number of words in each answer."""

    pair: PreferencePair
    n_chosen: int
    n_rejected: int


def _collect(candidates: Sequence[PreferencePair | _Dropped], filters: PairFilters | None) -> Pairs:
    """Drop pairs by the lengths of their answers, and count all candidates."""
    dropped = [candidate for candidate in candidates if isinstance(candidate, _Dropped)]
    kept_pairs = []
    for candidate in candidates:
        if isinstance(candidate, _Dropped):
            continue
        lengths = (len(normalise_words(text)) for text in (candidate.chosen, candidate.rejected))
        pair = _PairWithLengths(candidate, *lengths)
        reason = _length_problem(pair, filters or PairFilters())
        if reason is None:
            kept_pairs.append(pair)
        else:
            dropped.append(_Dropped(reason))
    statistics = PairStatistics(
        built=len(candidates),
        kept=len(kept_pairs),
        dropped=dict(Counter(drop.reason for drop in dropped)),
        unscored_reasons=dict(Counter(drop.detail for drop in dropped if drop.detail)),
        chosen=_side([(p.pair.prompt, p.pair.chosen, p.n_chosen) for p in kept_pairs]),
        rejected=_side([(p.pair.prompt, p.pair.rejected, p.n_rejected) for p in kept_pairs]),
        chosen_longer=_chosen_longer(kept_pairs),
    )
    return Pairs([p.pair for p in kept_pairs], statistics)


def _length_problem(pair: _PairWithLengths, filters: PairFilters) -> PairDrop | None:
    shorter, longer = sorted((pair.n_chosen, pair.n_rejected))
    if shorter < filters.min_words:
        return "too_short"
    if filters.max_words is not None and longer > filters.max_words:
        return "too_long"
    ratio = filters.max_length_ratio
    return "length_ratio" if ratio is not None and longer > ratio * shorter else None


def _side(answers: Sequence[tuple[tuple[Message, ...], str, int]]) -> PairSide:
    """Summarise one side of the pairs, given each prompt, answer and number of words."""
    return PairSide(
        mean_words=sum(words for *_, words in answers) / len(answers) if answers else None,
        leaks=sum(_leaks(prompt, text) for prompt, text, _ in answers),
        empty=sum(not text.strip() for _, text, _ in answers),
    )


def _leaks(prompt: Sequence[Message], answer: str) -> bool:
    systems = [message.content for message in prompt if message.role == "system"]
    return any(leaks_words(answer, text) or leaks_sentence(answer, text) for text in systems)


def _chosen_longer(pairs: Sequence[_PairWithLengths]) -> Interval | None:
    """Estimate how often the chosen answer is the longer one, with Wilson's interval."""
    from harness.stats.proportions import wilson_interval

    unequal = [pair for pair in pairs if pair.n_chosen != pair.n_rejected]
    if not unequal:
        return None
    n_longer = sum(pair.n_chosen > pair.n_rejected for pair in unequal)
    low, high = wilson_interval(n_longer, len(unequal))
    return Interval(estimate=n_longer / len(unequal), low=low, high=high)


# --- files -----------------------------------------------------------------------------------


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write the pairs as JSON Lines, and then their statistics in a second file."""
    write_rows_with_stats(path, pairs.pairs, pairs.statistics)


def load_pairs(path: Path) -> Pairs:
    """Load pairs and their statistics.

    Raises:
        HarnessError: a file is missing, unreadable or incomplete.
    """
    return Pairs(*load_rows_with_stats(path, PreferencePair, PairStatistics))


def load_given_pairs(source: Source, root: Path, filters: PairFilters | None = None) -> Pairs:
    """Load the pairs of a source, such as a file written by `harness convert`.

    Raises:
        HarnessError: the data are unreadable or changed, or a row is no pair.
    """
    table = load_rows(source, root)
    pairs = []
    for line, row in zip(table.lines, table.rows, strict=True):
        try:
            pairs.append(PreferencePair.model_validate(row))
        except ValidationError as error:
            problem = error.errors()[0]
            field = ".".join(str(part) for part in problem["loc"])
            raise HarnessError(
                f"{table.origin}:{line}: is no preference pair: {field}: {problem['msg']}. "
                "In other formats (prompt, chosen and rejected, say) they are converted on first use: "
                f"'data: {{convert: {{source: {source.label}, to: preference}}}}' in the recipe; or once, by `harness "
                "convert --to preference`."
            ) from None
    return pairs_from_given(pairs, filters)
