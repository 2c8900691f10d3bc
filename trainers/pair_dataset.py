"""Preference pairs as TRL reads them, and what must be true of them once it has cut them."""

import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.types.training import PreferencePair


class SplitPairs(NamedTuple):
    """Pairs to learn from, and pairs that are kept for evaluation."""

    learn: list[PreferencePair]
    held_out: list[PreferencePair]


def split_pairs(pairs: Sequence[PreferencePair], holdout: float, seed: int) -> SplitPairs:
    """Pairs to learn from and pairs to evaluate on; a prompt's pairs stay together.

    Raises:
        HarnessError: nothing to learn from.
    """
    prompts = sorted({pair.sample_id for pair in pairs})
    held = set(random.Random(seed).sample(prompts, round(holdout * len(prompts))))
    learn = [pair for pair in pairs if pair.sample_id not in held]
    if not learn:
        raise HarnessError(
            "There are no preference pairs to learn from. See the pairs' statistics for what was dropped."
        )
    return SplitPairs(learn, [pair for pair in pairs if pair.sample_id in held])


def pair_dataset(pairs: Sequence[PreferencePair]) -> Any | None:
    """The pairs as a data set of chats, or None where there are none.

    Chats, not rendered text: the template writes the one BOS and the end of the turn.
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
    """Refuse what TRL made of chats and answers, if it would teach something else.

    Raises:
        HarnessError: nothing is left, two BOS tokens, or answers without an end of turn.
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
    """Facts from the tokens that the longer answer of each kept pair has with its prompt."""
    limit = config.max_length or math.inf
    return {
        "pairs": str(len(pairs.learn)),
        "truncated": str(sum(length > limit for length in longest)),
        "dropped": str(len(pairs.learn) - len(longest)),
        "held-out pairs": str(len(pairs.held_out)),
    }
