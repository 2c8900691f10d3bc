"""Preference pairs: two answers to one prompt, the better and the worse, and what was dropped.

    {"sample_id": "asthma-01", "source": "judged", "prompt": [{"role": "system", ...}, ...],
     "chosen": "That sounds worrying ...", "rejected": "An inhaler is ..."}

A verdict that could not be read, a tie, and a judge who changes his mind with the order of the
answers never become a label. Nor does an answer that leaks its prompt or is cut off become one
to imitate, however much the judge liked it.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.samples import load_rows
from harness.suite import Source
from harness.types import HygieneFlag, Message, Outcome, Record, Response


class PreferencePair(Record):
    """One prompt with the preferred and the other answer."""

    sample_id: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    source: Literal["judged", "gold", "given"]


# Why no pair was made. A hygiene flag is that of the answer that would have been chosen.
Drop = Literal["tied", "inconsistent", "unscored", "identical"] | HygieneFlag


class PairStatistics(Record):
    """What became of the candidates: `built` is `kept` plus all that were `dropped`."""

    built: int
    kept: int
    dropped: dict[Drop, int]
    mean_words_chosen: float | None
    mean_words_rejected: float | None


def describe_pairs(statistics: PairStatistics) -> dict[str, str]:
    """The statistics in words, by name: pairs that differ mainly in length teach length."""
    facts = {"pairs built": str(statistics.built), "pairs kept": str(statistics.kept)}
    facts |= {f"dropped, {reason}": str(n) for reason, n in sorted(statistics.dropped.items())}
    chosen, rejected = statistics.mean_words_chosen, statistics.mean_words_rejected
    if chosen is not None and rejected is not None:
        facts["mean words, chosen and rejected"] = f"{chosen:.1f} and {rejected:.1f}"
    return facts


class Pairs(NamedTuple):
    """The pairs to learn from, and what was dropped."""

    pairs: list[PreferencePair]
    statistics: PairStatistics


class SampledAnswer(NamedTuple):
    """A model's answer with its hygiene flags."""

    response: Response
    flags: tuple[HygieneFlag, ...] = ()


class JudgedAnswers(NamedTuple):
    """Two sampled answers to one prompt, with a judge's verdict in each order of showing.

    `forward` saw `first` first, `backward` saw `second` first; None where nothing was judged.
    """

    prompt: tuple[Message, ...]
    first: SampledAnswer
    second: SampledAnswer
    forward: Outcome | None
    backward: Outcome | None


class GoldAnswer(NamedTuple):
    """The reference answer to a prompt, and the model's own."""

    prompt: tuple[Message, ...]
    gold: str
    own: Response


def pairs_from_preferences(judged: Iterable[JudgedAnswers]) -> Pairs:
    """Pairs on which the judge named the same winner in both orders."""
    return _collect([_judged_pair(answers) for answers in judged])


def pairs_from_gold(answers: Iterable[GoldAnswer]) -> Pairs:
    """Pairs of the reference, chosen, and the model's own answer, rejected.

    An own answer that is cut off or leaks its prompt stays: the pair teaches against it.
    """
    return _collect([_gold_pair(answer) for answer in answers])


def pairs_from_given(pairs: Iterable[PreferencePair]) -> Pairs:
    """Pairs that others made; those that could teach nothing are dropped."""
    return _collect([not_judgeable(pair.chosen, pair.rejected) or pair for pair in pairs])


def not_judgeable(first: str | None, second: str | None) -> Drop | None:
    """Why two answers cannot make a pair whatever a judge says, so that none need be asked."""
    texts = [(text or "").strip() for text in (first, second)]
    if not all(texts):
        return "empty"
    return "identical" if texts[0] == texts[1] else None


# --- one candidate ---------------------------------------------------------------------------


def _judged_pair(answers: JudgedAnswers) -> PreferencePair | Drop:
    first, second = answers.first, answers.second
    if reason := not_judgeable(first.response.text, second.response.text):
        return reason
    winner = _agreed_winner(answers.forward, answers.backward)
    if winner == "first":
        chosen, rejected = first, second
    elif winner == "second":
        chosen, rejected = second, first
    else:
        return winner
    if chosen.flags:
        return chosen.flags[0]
    return PreferencePair(
        sample_id=chosen.response.sample_id,
        prompt=answers.prompt,
        chosen=chosen.response.text or "",
        rejected=rejected.response.text or "",
        source="judged",
    )


def _agreed_winner(
    forward: Outcome | None, backward: Outcome | None
) -> Literal["first", "second", "tied", "inconsistent", "unscored"]:
    if forward is None or backward is None or forward.winner is None or backward.winner is None:
        return "unscored"
    swapped = {"first": "second", "second": "first", "tie": "tie"}[backward.winner]
    if forward.winner != swapped:
        return "inconsistent"
    return "tied" if forward.winner == "tie" else forward.winner


def _gold_pair(answer: GoldAnswer) -> PreferencePair | Drop:
    if reason := not_judgeable(answer.gold, answer.own.text):
        return reason
    return PreferencePair(
        sample_id=answer.own.sample_id,
        prompt=answer.prompt,
        chosen=answer.gold,
        rejected=answer.own.text or "",
        source="gold",
    )


def _collect(found: Sequence[PreferencePair | Drop]) -> Pairs:
    pairs = [pair for pair in found if isinstance(pair, PreferencePair)]
    dropped = Counter(reason for reason in found if not isinstance(reason, PreferencePair))
    statistics = PairStatistics(
        built=len(found),
        kept=len(pairs),
        dropped=dict(dropped),
        mean_words_chosen=_mean_words([pair.chosen for pair in pairs]),
        mean_words_rejected=_mean_words([pair.rejected for pair in pairs]),
    )
    return Pairs(pairs, statistics)


def _mean_words(texts: Sequence[str]) -> float | None:
    return sum(len(text.split()) for text in texts) / len(texts) if texts else None


# --- on disk ---------------------------------------------------------------------------------


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write the pairs as JSON Lines, and then their statistics beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, "".join(pair.model_dump_json() + "\n" for pair in pairs.pairs))
    _write(_statistics_path(path), pairs.statistics.model_dump_json(indent=2) + "\n")


def load_pairs(path: Path) -> Pairs:
    """The pairs of a file, with the statistics beside it.

    Raises:
        HarnessError: missing, unreadable or incomplete.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # U+2028 ends no line of JSON
        statistics = PairStatistics.model_validate_json(_statistics_path(path).read_bytes())
        pairs = [PreferencePair.model_validate_json(line) for line in lines if line]
    except OSError as error:
        raise HarnessError(f"{error.filename}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise HarnessError(
            f"{path}: holds no preference pairs: {error.errors()[0]['msg']}."
        ) from None
    if len(pairs) != statistics.kept:
        raise HarnessError(
            f"{path}: holds {len(pairs)} pairs, but its statistics count {statistics.kept}. Build them again."
        )
    return Pairs(pairs, statistics)


def load_given_pairs(source: Source, root: Path) -> Pairs:
    """The pairs of a source that others made, such as one written by `harness convert`.

    Raises:
        HarnessError: unreadable or changed data, or a row that is no pair (with its line).
    """
    table = load_rows(source, root)
    pairs = []
    for line, row in zip(table.lines, table.rows, strict=True):
        try:
            pairs.append(PreferencePair.model_validate(row))
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise HarnessError(
                f"{table.origin}:{line}: is no preference pair: {place}: {problem['msg']}. "
                "`harness convert --to preference` makes them of other formats."
            ) from None
    return pairs_from_given(pairs)


def _statistics_path(path: Path) -> Path:
    return path.with_suffix(".statistics.json")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
