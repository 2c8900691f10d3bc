"""Preference pairs as TRL's data set, and the checks on the tokens that TRL makes of them."""

import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.types.training import PreferencePair


class SplitPairs(NamedTuple):
    """Pairs to train on, and pairs that are held out for evaluation."""

    train: list[PreferencePair]
    eval: list[PreferencePair]


def split_pairs(pairs: Sequence[PreferencePair], holdout: float, seed: int) -> SplitPairs:
    """Hold out the pairs of a share of the prompts; the pairs of one prompt stay together.

    Raises:
        HarnessError: there are no pairs to train on.
    """
    prompts = sorted({pair.sample_id for pair in pairs})
    eval_prompts = set(random.Random(seed).sample(prompts, round(holdout * len(prompts))))
    train = [pair for pair in pairs if pair.sample_id not in eval_prompts]
    if not train:
        raise HarnessError(
            "There are no preference pairs to train on. See the pairs' statistics for what was dropped."
        )
    return SplitPairs(train, [pair for pair in pairs if pair.sample_id in eval_prompts])


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


def check_tokens(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], tokenizer: Any, config: Any
) -> None:
    """Check the tokens that TRL made of prompts and answers.

    Raises:
        HarnessError: no row is left, a prompt begins with two BOS tokens, or an answer has no end of
            turn.
    """
    if not len(answers):
        raise HarnessError(
            f"No pair fits into max_length {config.max_length}. Raise trainer.max_length."
        )
    bos, stop = tokenizer.bos_token_id, tokenizer.eos_token_id
    if bos is not None and any(list(ids[:2]) == [bos, bos] for ids in prompts):
        raise HarnessError("The chats begin with two BOS tokens; the chat template must write one.")
    if not all(stop in ids for ids in answers):
        raise HarnessError(
            f"An answer does not end with {tokenizer.eos_token}; the chat template must write it."
        )


def count_pairs(longest: Sequence[int], pairs: SplitPairs, config: Any) -> dict[str, str]:
    """Return the counts of pairs that were truncated, dropped and held out.

    Args:
        longest: Tokens of each remaining pair's prompt with the longer of its two answers.
        pairs: All pairs of the run.
        config: TRL's configuration, with its `max_length`.
    """
    limit = config.max_length or math.inf
    return {
        "pairs": str(len(pairs.train)),
        "truncated": str(sum(length > limit for length in longest)),
        "dropped": str(len(pairs.train) - len(longest)),
        "held-out pairs": str(len(pairs.eval)),
    }
