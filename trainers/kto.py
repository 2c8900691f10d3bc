"""Kahneman-Tversky optimisation (https://arxiv.org/abs/2402.01306) from preference pairs.

Each pair becomes two rows: the chosen answer, which is desirable, and the rejected one, which is
not. The reference is the parent, so the first rewards are 0 and the first loss is one half.
"""

import random
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from trainers.dpo import START_TOLERANCE
from trainers.pair_dataset import SplitPairs, check_tokens, pair_dataset
from trainers.recipe import KtoRecipe
from trainers.starting_model import StartingPoint, load_policy
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

MEASURED = ("eval_loss", "eval_rewards/margins", "eval_kl")


class Kto(NamedTuple):
    """Learns that the chosen answers are desirable, and that the rejected ones are not."""

    recipe: KtoRecipe
    start: StartingPoint
    pairs: SplitPairs

    def config_type(self) -> Any:
        """TRL's, of its stable namespace."""
        from trl import KTOConfig

        return KTOConfig

    def make_trainer(self, config: Any) -> Any:
        """The parent's own adapter, or a new one on the parent; the reference is the parent."""
        from trl import KTOTrainer

        policy = load_policy(self.recipe, self.start)
        return KTOTrainer(
            model=policy.model,
            args=config,
            train_dataset=_labelled(self.pairs.learn, self.recipe.seed),
            eval_dataset=_labelled(self.pairs.held_out, self.recipe.seed),
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
        )

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Pairs and their rows, and how many of them were cut or dropped."""
        rows, tokenizer, config = trainer.train_dataset, trainer.processing_class, trainer.args
        prompts, answers = rows["prompt_ids"], rows["completion_ids"]
        check_tokens(prompts, answers, tokenizer, config)
        lengths = [len(p) + len(a) for p, a in zip(prompts, answers, strict=True)]
        cut = sum(length > (config.max_length or length) for length in lengths)
        return {
            "pairs": str(len(self.pairs.learn)),
            "rows": str(2 * len(self.pairs.learn)),
            "truncated": str(cut),
            "dropped": str(2 * len(self.pairs.learn) - len(rows)),
            "held-out pairs": str(len(self.pairs.held_out)),
            "reference": "the parent checkpoint",
        }

    def check_log(self, log: Log, config: Any) -> None:
        """The first step stands at the reference."""
        check_start(log, config)

    def measure(self, trainer: Any) -> dict[str, float]:
        """Loss, margin and divergence on the held-out pairs."""
        return held_out_metrics(trainer, MEASURED)

    def probes(self, trainer: Any) -> list[list[int]]:
        """The first chats, with their answers."""
        first = trainer.train_dataset[:N_PROBES]
        return [p + c for p, c in zip(first["prompt_ids"], first["completion_ids"], strict=True)]


def _labelled(pairs: list[Any], seed: int) -> Any | None:
    """Both answers of each pair as rows of their own, shuffled.

    TRL reads them in their order, and estimates the divergence from each prompt with the answer
    of the row before it. In the pairs' own order it would see all chosen answers first, or take
    an answer to the same prompt for one to another.
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
    """Refuse a run whose reference was not its starting policy.

    Raises:
        HarnessError: a first reward other than 0, or (where both kinds of rows weigh the same) a
            first loss other than half their weight.
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
