"""Preference pairs as TRL's data set, the pairs that fit, and checks on the tokens."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.data.split import hold_out
from harness.models.stops import end_of_turn, end_of_turn_text
from harness.types.training import PreferencePair
from trainers.chat_tokens import (
    AnswerTokens,
    ChatFacts,
    fits,
    keeps_end,
    question_of,
    refuse_dropped_system,
    tokenise_answer,
)


class SplitPairs(NamedTuple):
    """Pairs to train on, and pairs that are held out for evaluation."""

    train: list[PreferencePair]
    eval: list[PreferencePair]


def split_pairs(pairs: Sequence[PreferencePair], holdout: float, seed: int) -> SplitPairs:
    """Hold out the pairs of a share of the prompts; those of one prompt and its near-duplicates together.

    Raises:
        HarnessError: there are no pairs to train on.
    """
    sides = hold_out([question_of(pair.prompt) for pair in pairs], share=holdout, seed=seed)
    train = [pair for pair, side in zip(pairs, sides, strict=True) if side == "train"]
    if not train:
        raise HarnessError(
            "There are no preference pairs to train on. See the pairs' statistics for what was dropped."
        )
    return SplitPairs(train, [p for p, side in zip(pairs, sides, strict=True) if side == "eval"])


def pair_dataset(pairs: Sequence[PreferencePair]) -> Any | None:
    """Return the pairs as a data set of chats, or None if there are no pairs.

    The rows are chats, not rendered text, so that the template writes exactly one BOS and the end of
    the turn.
    """
    from datasets import Dataset

    rows = [
        {
            "prompt": [message.model_dump() for message in pair.prompt],
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
        }
        for pair in pairs
    ]
    return Dataset.from_list(rows) if rows else None


class FittedPairs:
    """The pairs that are learnt from, and counts of the others, by whether they are held out.

    A method fills it when it makes its trainer, where the tokenizer is known.
    """

    def __init__(self) -> None:
        self.too_long = {"train": 0, "eval": 0}
        self.equal = {"train": 0, "eval": 0}
        self.truncated = 0
        self.pairs = SplitPairs([], [])
        self.seen: dict[str, str] = {}  # facts on their chats

    def describe(self, pairs: SplitPairs) -> dict[str, str]:
        """Return the counts as facts: pairs to train on, those held out, and those that were dropped."""
        train, held_out = len(pairs.train), len(self.pairs.eval)
        facts = {
            "pairs": str(train),
            "truncated": str(self.truncated),
            "dropped": str(train - len(self.pairs.train)),
            "held-out pairs": str(held_out),
        }
        reasons = {
            "dropped, longer than max_length": self.too_long["train"],
            "dropped, equal as tokens": self.equal["train"],
            "held-out pairs dropped": len(pairs.eval) - held_out,
        }
        facts |= {name: str(n) for name, n in reasons.items() if n}
        return facts | self.seen


def fit_pairs(pairs: SplitPairs, tokenizer: Any, config: Any, *, cuts: bool = True) -> FittedPairs:
    """Return the pairs that can be learnt from, with counts of what became of the others.

    Pairs are compared as the tokens that are trained on: after the chat template, which may strip
    parts of an answer, and after the cut at `max_length`. Dropped are pairs that are then equal, and those
    whose prompt leaves no room for an answer; without `cuts` (TRL's reward trainer cuts nothing) those of
    which one answer does not fit whole.

    Raises:
        HarnessError: no pair to train on is left, or the chat template drops the system prompts.
    """
    fitted, seen = FittedPairs(), ChatFacts(tokenizer)
    everything = [*pairs.train, *pairs.eval]
    refuse_dropped_system(tokenizer, [pair.prompt for pair in everything])
    kept: dict[str, list[PreferencePair]] = {"train": [], "eval": []}
    for side, of_side in (("train", pairs.train), ("eval", pairs.eval)):
        for pair in of_side:
            chosen = tokenise_answer(tokenizer, pair.prompt, pair.chosen)
            rejected = tokenise_answer(tokenizer, pair.prompt, pair.rejected)
            shorter = min(chosen, rejected, key=lambda tokens: tokens.n_prompt)
            seen.add(shorter, pair.prompt, pair.chosen, pair.rejected)
            if _is_too_long(chosen, rejected, config, cuts=cuts):
                fitted.too_long[side] += 1
            elif _cut(chosen, config) == _cut(rejected, config):
                fitted.equal[side] += 1
            else:
                longest = max(len(chosen.ids), len(rejected.ids))
                fitted.truncated += side == "train" and longest > _limit(config)
                kept[side].append(pair)
    fitted.pairs, fitted.seen = SplitPairs(kept["train"], kept["eval"]), seen.describe()
    if not kept["train"]:
        raise _nothing_left(fitted, config)
    return fitted


def _is_too_long(chosen: AnswerTokens, rejected: AnswerTokens, config: Any, *, cuts: bool) -> bool:
    limit = _limit(config)
    if not cuts:
        return max(len(chosen.ids), len(rejected.ids)) > limit
    return not (fits(chosen, config) and fits(rejected, config))


def _cut(tokens: AnswerTokens, config: Any) -> list[int]:
    if config.max_length is None:
        return tokens.ids
    return (
        tokens.ids[-config.max_length :] if keeps_end(config) else tokens.ids[: config.max_length]
    )


def _limit(config: Any) -> float:
    return math.inf if config.max_length is None else config.max_length


def _nothing_left(fitted: FittedPairs, config: Any) -> HarnessError:
    too_long, equal = fitted.too_long["train"], fitted.equal["train"]
    if not equal:
        return HarnessError(
            f"No pair fits into max_length {config.max_length}. Raise trainer.max_length."
        )
    longer = f"; {too_long} more do not fit into it at all" if too_long else ""
    return HarnessError(
        f"No pair is left to learn from: the two answers of {equal} are the same tokens after the chat "
        f"template and the cut at max_length {config.max_length}{longer}. Raise trainer.max_length, or "
        "see whether the template strips what tells them apart."
    )


def check_tokens(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], tokenizer: Any
) -> None:
    """Check the tokens that TRL made of prompts and answers.

    Raises:
        HarnessError: a prompt begins with two BOS tokens, or an answer has no end of turn.
    """
    bos, stop = tokenizer.bos_token_id, end_of_turn(tokenizer)
    if bos is not None and any(list(ids[:2]) == [bos, bos] for ids in prompts):
        raise HarnessError("The chats begin with two BOS tokens; the chat template must write one.")
    if not all(stop in ids for ids in answers):
        raise HarnessError(
            f"An answer does not end with {end_of_turn_text(tokenizer)}; the chat template must write it."
        )
