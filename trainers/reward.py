"""A reward model: one number for an answer, learnt from preference pairs (Bradley-Terry).

It generates no text. GRPO and RLOO use it as their reward.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError
from harness.types import Message
from trainers.adapter import check_vocabulary, load_base, load_reward_weights, new_adapter
from trainers.chat_template import set_chat_template
from trainers.dpo import START_TOLERANCE
from trainers.pair_dataset import FittedPairs, SplitPairs, check_tokens, fit_pairs, pair_dataset
from trainers.recipe import RewardRecipe
from trainers.starting_model import StartingPoint
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

EVAL_METRICS = ("eval_loss", "eval_accuracy", "eval_margin")
BATCH_SIZE = 16


@dataclass
class RewardModel:
    """Reward modelling on pairs: chosen answers get higher numbers than rejected ones; a `Method`."""

    recipe: RewardRecipe
    start: StartingPoint
    pairs: SplitPairs
    fitted: FittedPairs = field(default_factory=FittedPairs)

    def config_type(self) -> Any:
        from trl import RewardConfig

        return RewardConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer with a new adapter, and a head of zeros, on the parent."""
        from trl import RewardTrainer

        base = self.start.base
        model, tokenizer = load_base(
            base.source,
            revision=base.revision,
            quantisation=self.recipe.quantisation,
            head="reward",
        )
        set_chat_template(
            tokenizer, self.recipe.chat_template, base.source, thinking=self.recipe.thinking
        )
        check_vocabulary(model, tokenizer, base.source)
        self.fitted = fit_pairs(self.pairs, tokenizer, config, cuts=False)
        pairs = self.fitted.pairs
        assert self.recipe.new_adapter is not None  # which the recipe's validation requires
        start = new_adapter(self.recipe.new_adapter, model, tokenizer, head="reward")
        return RewardTrainer(
            model=start.model,
            args=config,
            train_dataset=pair_dataset(pairs.train),
            eval_dataset=pair_dataset(pairs.eval),
            processing_class=tokenizer,
            peft_config=start.peft_config,
        )

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Return the counts of pairs, and of those dropped because prompt and answer are too long."""
        chosen, rejected = (
            trainer.train_dataset["chosen_ids"],
            trainer.train_dataset["rejected_ids"],
        )
        check_tokens(chosen, [*chosen, *rejected], trainer.processing_class)
        return self.fitted.describe(self.pairs)

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check that training starts with equal rewards, as the head of zeros gives."""
        check_start(log, config)

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return loss, accuracy and margin on the held-out pairs."""
        return held_out_metrics(trainer, EVAL_METRICS)

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        """Return the token ids of the first chats, with their chosen answers."""
        return [list(ids) for ids in trainer.train_dataset["chosen_ids"][:N_PROBES]]


def check_start(log: Log, config: Any) -> None:
    """Check that training started with rewards of 0.

    Raises:
        HarnessError: the first margin is not 0, or the first loss not ln 2.
    """
    margin, loss = log[0]["margin"], log[0]["loss"]
    if abs(margin) > START_TOLERANCE or abs(loss - math.log(2)) > START_TOLERANCE:
        raise HarnessError(
            f"The reward model started with margin {margin:.4f} and loss {loss:.4f}; with a new head "
            f"they are 0 and {math.log(2):.4f}."
        )


def load_reward_scorer(
    directory: Path,
) -> Callable[[Sequence[tuple[Message, ...]], Sequence[str]], list[float]]:
    """Return a function that scores answers to chats with the reward model in a directory.

    The model is loaded at the first call.
    """
    load = cache(lambda: load_reward_weights(directory))

    def score(prompts: Sequence[tuple[Message, ...]], answers: Sequence[str]) -> list[float]:
        import torch

        model, tokenizer = load()
        model.eval()
        # Complete the chats.
        chats = [
            [
                *(message.model_dump() for message in prompt),
                {"role": "assistant", "content": answer},
            ]
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        # Score them in batches.
        rewards: list[float] = []
        for start in range(0, len(chats), BATCH_SIZE):
            batch = tokenizer.apply_chat_template(
                chats[start : start + BATCH_SIZE],
                return_dict=True,
                return_tensors="pt",
                padding=True,
            ).to(model.device)
            with torch.inference_mode():
                rewards += model(**batch).logits[:, 0].float().tolist()
        return rewards

    return score
