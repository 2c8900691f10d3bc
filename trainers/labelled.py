"""Labelled answers as KTO learns from them: held out, fitted to the length, counted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.data.split import hold_out
from harness.types.training import LabelledAnswer
from trainers.chat_tokens import (
    ChatFacts,
    fits,
    question_of,
    refuse_dropped_system,
    tokenise_answer,
)

# The weighted ratio of desirable to undesirable answers, by equation 8 of the paper.
BALANCE = (1.0, 4 / 3)


class SplitAnswers(NamedTuple):
    """Answers to train on, and answers that are held out for evaluation."""

    train: list[LabelledAnswer]
    eval: list[LabelledAnswer]


def split_answers(answers: Sequence[LabelledAnswer], holdout: float, seed: int) -> SplitAnswers:
    """Hold out the answers to a share of the prompts; near-duplicates of a prompt stay together.

    Raises:
        HarnessError: the answers to train on lack one of the two labels.
    """
    sides = hold_out([question_of(answer.prompt) for answer in answers], share=holdout, seed=seed)
    train = [answer for answer, side in zip(answers, sides, strict=True) if side == "train"]
    _require_both_labels(train, "to train on")
    return SplitAnswers(
        train, [a for a, side in zip(answers, sides, strict=True) if side == "eval"]
    )


class FittedAnswers(NamedTuple):
    """The answers that are learnt from and held out, and facts on them and on what was dropped."""

    answers: SplitAnswers
    facts: dict[str, str]


def fit_answers(split: SplitAnswers, tokenizer: Any, config: Any) -> FittedAnswers:
    """Return the answers whose prompt leaves room for them in `max_length`.

    Raises:
        HarnessError: one of the labels has none left, or the chat template drops the system prompts.
    """
    refuse_dropped_system(tokenizer, [answer.prompt for answer in (*split.train, *split.eval)])
    seen, sides = ChatFacts(tokenizer), []
    for side in split:
        kept = []
        for answer in side:
            tokens = tokenise_answer(tokenizer, answer.prompt, answer.completion)
            seen.add(tokens, answer.prompt, answer.completion)
            if fits(tokens, config):
                kept.append(answer)
        sides.append(kept)
    fitted = SplitAnswers(*sides)
    _require_both_labels(fitted.train, f"that fit into max_length {config.max_length}")
    facts = {
        "answers": str(len(split.train)),
        "dropped": str(len(split.train) - len(fitted.train)),
        "held-out answers": str(len(fitted.eval)),
    }
    if len(fitted.eval) < len(split.eval):
        facts["held-out answers dropped"] = str(len(split.eval) - len(fitted.eval))
    return FittedAnswers(fitted, facts | _describe_balance(fitted.train, config) | seen.describe())


def _describe_balance(answers: Sequence[LabelledAnswer], config: Any) -> dict[str, str]:
    """Return how many answers have each label, with advice where their weights do not balance them."""
    good = sum(answer.label for answer in answers)
    bad = len(answers) - good
    ratio = good * config.desirable_weight / (bad * config.undesirable_weight)
    counts = f"{good} desirable, {bad} undesirable, weighted {ratio:.2f} to 1"
    low, high = BALANCE
    if low <= round(ratio, 2) <= round(high, 2):
        return {"labels": counts}
    # The rarer label is given the weight that brings the ratio to the nearer end.
    if ratio > high:
        name, value = "undesirable_weight", config.undesirable_weight * ratio / high
    else:
        name, value = "desirable_weight", config.desirable_weight * low / ratio
    advice = f"the paper advises 1 to 1.33; 'trainer.{name}: {value:.3g}' would balance them"
    return {"labels": f"{counts}: {advice}"}


def _require_both_labels(answers: Sequence[LabelledAnswer], which: str) -> None:
    missing = {True, False} - {answer.label for answer in answers}
    if missing:
        name = "desirable" if True in missing else "undesirable"
        raise HarnessError(
            f"Of the {len(answers)} labelled answers {which} none is {name}; KTO learns from both."
        )
