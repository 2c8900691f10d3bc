"""Kahneman-Tversky optimisation (https://arxiv.org/abs/2402.01306) from preference pairs.

Each pair becomes two rows: the chosen answer, which is desirable, and the rejected one, which is
not. The reference is the parent, so the first rewards are 0 and the first loss is one half.
"""

import random
from dataclasses import dataclass, field
from typing import Any

from harness.core.errors import HarnessError
from trainers.adapter import complete_reference
from trainers.dpo import START_TOLERANCE
from trainers.pair_dataset import FittedPairs, SplitPairs, check_tokens, fit_pairs, pair_dataset
from trainers.recipe import KtoRecipe
from trainers.starting_model import StartingPoint, load_policy
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

EVAL_METRICS = ("eval_loss", "eval_rewards/margins", "eval_kl")


@dataclass
class Kto:
    """Kahneman-Tversky optimisation on the answers of pairs; a `Method`."""

    recipe: KtoRecipe
    start: StartingPoint
    pairs: SplitPairs
    fitted: FittedPairs = field(default_factory=FittedPairs)

    def config_type(self) -> Any:
        """Return KTOConfig, of TRL's stable namespace."""
        from trl import KTOConfig

        return KTOConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer for the parent's own adapter, or for a new one on the parent."""
        from trl import KTOTrainer

        policy = load_policy(self.recipe, self.start)
        self.fitted = fit_pairs(self.pairs, policy.tokenizer, config)
        pairs = self.fitted.pairs
        trainer = KTOTrainer(
            model=policy.model,
            args=config,
            train_dataset=_labelled(pairs.train, self.recipe.seed),
            eval_dataset=_labelled(pairs.eval, self.recipe.seed),
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
        )
        complete_reference(trainer.model)
        return trainer

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Return the counts of pairs and rows, and of rows that were truncated or dropped."""
        rows, config = trainer.train_dataset, trainer.args
        prompts, answers = rows["prompt_ids"], rows["completion_ids"]
        check_tokens(prompts, answers, trainer.processing_class)
        lengths = [len(p) + len(a) for p, a in zip(prompts, answers, strict=True)]
        truncated = sum(length > (config.max_length or length) for length in lengths)
        return self.fitted.describe(self.pairs) | {
            "rows": str(2 * len(self.pairs.train)),
            "truncated": str(truncated),
            "dropped": str(2 * len(self.pairs.train) - len(rows)),
            "reference": "the parent checkpoint",
        }

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check that training starts at the reference."""
        check_start(log, config)

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return loss, margin and divergence on the held-out pairs."""
        return held_out_metrics(trainer, EVAL_METRICS)

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        """Return the token ids of the first chats, with their answers."""
        first = trainer.train_dataset[:N_PROBES]
        return [p + c for p, c in zip(first["prompt_ids"], first["completion_ids"], strict=True)]


def _labelled(pairs: list[Any], seed: int) -> Any | None:
    """Return both answers of each pair as labelled rows, shuffled.

    TRL reads the rows in their order, and estimates the divergence from each prompt with the answer
    of the row before it. In the pairs' own order it would read all chosen answers first, or pair a
    prompt with another answer to the same prompt.
    """
    from datasets import Dataset

    dataset = pair_dataset(pairs)
    if dataset is None:
        return None
    rows = [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in dataset
        for side in ("chosen", "rejected")
    ]
    random.Random(seed).shuffle(rows)
    return Dataset.from_list(rows)


def check_start(log: Log, config: Any) -> None:
    """Check that the reference was the starting policy.

    Raises:
        HarnessError: the first rewards are not 0, or (where both kinds of rows weigh the same) the
            first loss is not half their weight.
    """
    first = log[0]
    rewards = [first[name] for name in ("rewards/chosen", "rewards/rejected") if name in first]
    weights = {config.desirable_weight, config.undesirable_weight}
    expected = 0.5 * config.desirable_weight
    wrong = len(weights) == 1 and abs(first["loss"] - expected) > START_TOLERANCE
    if wrong or any(abs(reward) > START_TOLERANCE for reward in rewards):
        raise HarnessError(
            f"KTO started with rewards {rewards} and loss {first['loss']:.4f}; where the reference "
            f"is the starting policy they are 0 and {expected:.4f}. Dropout must be off, and the "
            "reference the parent checkpoint."
        )
