"""Direct preference optimisation (https://arxiv.org/abs/2305.18290) from an SFT checkpoint.

The reference is the SFT model, never its base, unless the recipe asks for that. So the policy
starts where the reference stands, the first step's margin is 0 and its loss is known: ln 2 for
the sigmoid loss. Both are checked.
"""

import math
from typing import Any, NamedTuple

from harness.errors import HarnessError
from trainers.pair_rows import (
    SplitPairs,
    check_tokens,
    count_pairs,
    held_out_metrics,
    pair_dataset,
)
from trainers.policy import Start, load_policy
from trainers.recipe import DpoRecipe
from trainers.training import N_PROBES
from trainers.trl_options import Log

START_TOLERANCE = 1e-3
MEASURED = ("eval_loss", "eval_rewards/margins", "eval_rewards/accuracies")


class Dpo(NamedTuple):
    """Learns to prefer the chosen answers of the pairs."""

    recipe: DpoRecipe
    start: Start
    pairs: SplitPairs

    def config_type(self) -> Any:
        """TRL's, of its stable namespace."""
        from trl import DPOConfig

        return DPOConfig

    def make_trainer(self, config: Any) -> Any:
        """The parent's own adapter, or a new one on the parent."""
        from trl import DPOTrainer

        policy = load_policy(self.recipe, self.start)
        trainer = DPOTrainer(
            model=policy.model,
            args=config,
            train_dataset=pair_dataset(self.pairs.learn),
            eval_dataset=pair_dataset(self.pairs.held_out),
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
        )
        # TRL keeps a frozen copy of the parent's adapter, named "ref", as the reference. Without
        # it the reference is the model with no adapter: the base, or the parent under a new one.
        if self.recipe.reference == "base":
            trainer.model.delete_adapter("ref")
        return trainer

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Pairs, and how many of them were cut or dropped."""
        rows, tokenizer, config = trainer.train_dataset, trainer.processing_class, trainer.args
        prompts, chosen, rejected = rows["prompt_ids"], rows["chosen_ids"], rows["rejected_ids"]
        check_tokens(prompts, [*chosen, *rejected], tokenizer, config)
        longest = [
            len(p) + max(len(c), len(r)) for p, c, r in zip(prompts, chosen, rejected, strict=True)
        ]
        reference = {
            "parent": "the parent checkpoint",
            "base": "the base under the parent's adapter",
        }[self.recipe.reference]
        return count_pairs(longest, self.pairs, config) | {"reference": reference}

    def check_log(self, log: Log, config: Any) -> None:
        """The first step stands at the reference, or away from it where that is the base."""
        if self.recipe.reference == "base":
            check_start_off_reference(log)
        else:
            check_start(log, config)

    def measure(self, trainer: Any) -> dict[str, float]:
        """Loss, margin and accuracy on the held-out pairs."""
        return held_out_metrics(trainer, MEASURED)

    def probes(self, trainer: Any) -> list[list[int]]:
        """The first chats, with their chosen answers."""
        first = trainer.train_dataset[:N_PROBES]
        return [p + c for p, c in zip(first["prompt_ids"], first["chosen_ids"], strict=True)]


def check_start(log: Log, config: Any) -> None:
    """Refuse a run whose reference was not its starting policy.

    Raises:
        HarnessError: a first margin other than 0, or a first loss other than it must then be.
    """
    margin, loss, expected = log[0]["rewards/margins"], log[0]["loss"], first_loss(config)
    wrong = expected is not None and abs(loss - expected) > START_TOLERANCE * max(1.0, expected)
    if abs(margin) > START_TOLERANCE or wrong:
        known = "" if expected is None else f" and {expected:.4f}"
        raise HarnessError(
            f"DPO started with margin {margin:.4f} and loss {loss:.4f}; where the reference is the "
            f"starting policy they are 0{known}. Dropout must be off, and the reference the parent "
            "checkpoint."
        )


def check_start_off_reference(log: Log) -> None:
    """Refuse a run that started at its reference although the base was asked for.

    Raises:
        HarnessError: neither the chosen nor the rejected answers were likelier or less likely.
    """
    if log[0]["rewards/chosen"] == 0.0 and log[0]["rewards/rejected"] == 0.0:
        raise HarnessError(
            "DPO started at its reference, although the recipe asks for 'reference: base'. The "
            "parent's adapter changes nothing on these pairs, or it was the reference after all."
        )


def first_loss(config: Any) -> float | None:
    """The loss of a policy that equals its reference; None where the data decide it.

    Each value is TRL's loss (`DPOTrainer._compute_loss`) with both log-ratios 0, which every
    f-divergence keeps at 0.
    """
    weights = config.loss_weights or [1.0] * len(config.loss_type)
    values = [_first_loss(name, config) for name in config.loss_type]
    known = [value for value in values if value is not None]
    if config.use_weighting or config.router_aux_loss_coef or len(known) < len(values):
        return None
    return math.fsum(weight * value for weight, value in zip(weights, known, strict=True))


def _first_loss(loss_type: str, config: Any) -> float | None:
    match loss_type:
        case "sigmoid" | "sigmoid_norm" | "robust" | "aot" | "aot_unpaired":
            return math.log(2)
        case "nca_pair" | "bco_pair":
            return 2 * math.log(2)
        case "hinge" | "apo_zero" | "apo_down":
            return 1.0
        case "discopop":
            return 0.5 * math.log(2) + 0.5
        case "ipo":
            return float(1 / (2 * config.beta) ** 2)
        case "sppo_hard":
            return float(2 * (0.5 / config.beta) ** 2)
        case "exo_pair":
            smoothing = config.label_smoothing
            return float(-math.log(2) - 0.5 * (math.log(smoothing) + math.log1p(-smoothing)))
        case _:  # "sft" is the likelihood of the chosen answers
            return None
