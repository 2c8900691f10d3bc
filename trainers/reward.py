"""A reward model: one number for an answer, learnt from preference pairs (Bradley-Terry).

It is no model that answers. GRPO and RLOO take it as their reward.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.types import Message
from trainers.adapter import load_base, load_reward_weights, lora_config
from trainers.chat_template import give_template
from trainers.dpo import START_TOLERANCE
from trainers.pair_dataset import SplitPairs, check_tokens, count_pairs, pair_dataset
from trainers.recipe import RewardRecipe
from trainers.starting_model import StartingPoint
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

MEASURED = ("eval_loss", "eval_accuracy", "eval_margin")


BATCH_SIZE = 16


class RewardModel(NamedTuple):
    """Learns to give the chosen answers of the pairs a higher number than the rejected ones."""

    recipe: RewardRecipe
    start: StartingPoint
    pairs: SplitPairs

    def config_type(self) -> Any:
        """TRL's, of its stable namespace."""
        from trl import RewardConfig

        return RewardConfig

    def make_trainer(self, config: Any) -> Any:
        """A new adapter and a head of zeros on the parent."""
        from trl import RewardTrainer

        base = self.start.base
        model, tokenizer = load_base(
            base.source,
            revision=base.revision,
            quantisation=self.recipe.quantisation,
            head="reward",
        )
        give_template(tokenizer, self.recipe.chat_template, base.source)
        return RewardTrainer(
            model=model,
            args=config,
            train_dataset=pair_dataset(self.pairs.learn),
            eval_dataset=pair_dataset(self.pairs.held_out),
            processing_class=tokenizer,
            peft_config=lora_config(self.recipe.lora, head="reward"),
        )

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Pairs, and how many were dropped because an answer with its prompt is too long."""
        rows, tokenizer, config = trainer.train_dataset, trainer.processing_class, trainer.args
        chosen, rejected = rows["chosen_ids"], rows["rejected_ids"]
        check_tokens(chosen, [*chosen, *rejected], tokenizer, config)
        longest = [max(len(c), len(r)) for c, r in zip(chosen, rejected, strict=True)]
        return count_pairs(longest, self.pairs, config)

    def check_log(self, log: Log, config: Any) -> None:
        """The head of zeros rewards everything alike at first."""
        check_start(log, config)

    def measure(self, trainer: Any) -> dict[str, float]:
        """Loss, accuracy and margin on the held-out pairs."""
        return held_out_metrics(trainer, MEASURED)

    def probes(self, trainer: Any) -> list[list[int]]:
        """The first chats, with their chosen answers."""
        return [list(ids) for ids in trainer.train_dataset["chosen_ids"][:N_PROBES]]


def check_start(log: Log, config: Any) -> None:
    """Refuse a run that did not start with rewards of 0.

    Raises:
        HarnessError: a first margin other than 0, or a first loss other than ln 2.
    """
    margin, loss = log[0]["margin"], log[0]["loss"]
    if abs(margin) > START_TOLERANCE or abs(loss - math.log(2)) > START_TOLERANCE:
        raise HarnessError(
            f"The reward model started with margin {margin:.4f} and loss {loss:.4f}; with a new head "
            f"they are 0 and {math.log(2):.4f}."
        )


def load_scores(
    directory: Path,
) -> Callable[[Sequence[tuple[Message, ...]], Sequence[str]], list[float]]:
    """The rewards of answers to chats, by the reward model there; loaded when first asked."""
    loaded = cache(lambda: load_reward_weights(directory))

    def score(prompts: Sequence[tuple[Message, ...]], answers: Sequence[str]) -> list[float]:
        import torch

        model, tokenizer = loaded()
        model.eval()
        chats = [
            [
                *(message.model_dump() for message in prompt),
                {"role": "assistant", "content": answer},
            ]
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
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
