"""Direct preference optimisation (https://arxiv.org/abs/2305.18290) from an SFT checkpoint.

The reference is the SFT model, never its base, unless the recipe asks for that. So the policy
starts where the reference stands, the first step's margin is 0 and its loss is known: ln 2 for
the sigmoid loss. Both are checked.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from trainers.adapter import upcast_adapter
from trainers.distributed.config import is_single_process
from trainers.pair_dataset import SplitPairs, check_tokens, count_pairs, pair_dataset
from trainers.recipe import DpoRecipe
from trainers.reference_cache import cached_reference_logprobs
from trainers.starting_model import StartingPoint, load_policy
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

START_TOLERANCE = 1e-3


# Where reference and policy went through the model in different batches. In bfloat16 an answer's
# log-probability then differs by some tenths of a nat, of which beta leaves a hundredth or two.
APART_TOLERANCE = 5e-2


MEASURED = ("eval_loss", "eval_rewards/margins", "eval_rewards/accuracies", "eval_kl")


class Dpo(NamedTuple):
    """Learns to prefer the chosen answers of the pairs.

    In `references` the reference's log-probabilities are kept, unless the recipe sets TRL's
    `precompute_ref_log_probs` to false; without it they are computed in each step.
    """

    recipe: DpoRecipe
    start: StartingPoint
    pairs: SplitPairs
    references: Path | None = None

    def config_type(self) -> Any:
        """TRL's, of its stable namespace."""
        from trl import DPOConfig

        return DPOConfig

    def make_trainer(self, config: Any) -> Any:
        """The parent's own adapter, or a new one on the parent."""
        from trl import DPOTrainer

        policy = load_policy(self.recipe, self.start)
        config.precompute_ref_log_probs = False  # below, once adapters and reference are settled
        trainer = _with_divergence(DPOTrainer)(
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
        if self.references is not None and self._keeps_reference:
            upcast_adapter(trainer.model)
            given = cached_reference_logprobs(trainer, self.recipe, self.start, self.references)
            if given.computed:
                self._check_first_pairs(trainer)
        return trainer

    @property
    def _keeps_reference(self) -> bool:
        """Several processes would each compute a part, and could not be told from one."""
        wanted = self.recipe.trainer.get("precompute_ref_log_probs", True)
        return self.references is not None and wanted is not False and is_single_process()

    def _check_first_pairs(self, trainer: Any) -> None:
        """Look at two pairs with reference and policy in one batch, where rounding is the same."""
        import torch

        rows = [trainer.train_dataset[i] for i in range(min(2, len(trainer.train_dataset)))]
        inputs = trainer._prepare_inputs(trainer.data_collator(rows))
        trainer.precompute_ref_logps = False
        with torch.no_grad(), trainer.compute_loss_context_manager():
            loss = trainer.compute_loss(trainer.model, inputs)
        trainer.precompute_ref_logps = True
        mode = "train" if trainer.model.training else "eval"
        seen = {name: values[-1] for name, values in trainer._metrics[mode].items()}
        trainer._metrics[mode].clear()
        trainer._total_train_tokens = 0
        self._check_start({"loss": float(loss)} | seen, trainer.args, START_TOLERANCE)

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
        self._check_start(
            log[0], config, APART_TOLERANCE if self._keeps_reference else START_TOLERANCE
        )

    def _check_start(self, first: dict[str, float], config: Any, tolerance: float) -> None:
        if self.recipe.reference == "base":
            check_start_off_reference([first])
        else:
            check_start([first], config, tolerance)

    def measure(self, trainer: Any) -> dict[str, float]:
        """Loss, margin and accuracy on the held-out pairs."""
        return held_out_metrics(trainer, MEASURED)

    def probes(self, trainer: Any) -> list[list[int]]:
        """The first chats, with their chosen answers."""
        first = trainer.train_dataset[:N_PROBES]
        return [p + c for p, c in zip(first["prompt_ids"], first["chosen_ids"], strict=True)]


def _with_divergence(kind: Any) -> Any:
    """TRL's trainer, which also logs how far the policy has gone from its reference, as `kl`.

    It is the mean over both answers of log reference - log policy, in nats per answer: the simplest
    estimate of the divergence of the policy from the reference where the reference gave both answers,
    as for pairs of the parent's own (k1 in http://joschu.net/blog/kl-approx.html, with the samples
    of the reference). Of answers from elsewhere it tells how much likelihood they have lost, and it
    may be negative.
    """

    class WithDivergence(kind):  # type: ignore[misc]  # TRL has no types
        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            metrics = self._metrics["train" if self.model.training else "eval"]
            rewards = [metrics.get(f"rewards/{side}") or [] for side in ("chosen", "rejected")]
            if self.beta:
                metrics["kl"] = [-(c + r) / (2 * self.beta) for c, r in zip(*rewards, strict=True)]
            if not metrics["kl"]:
                del metrics["kl"]
            super().log(logs, start_time)

    return WithDivergence


def check_start(log: Log, config: Any, tolerance: float = START_TOLERANCE) -> None:
    """Refuse a run whose reference was not its starting policy.

    Raises:
        HarnessError: a first margin other than 0, or a first loss other than it must then be.
    """
    margin, loss, expected = log[0]["rewards/margins"], log[0]["loss"], first_loss(config)
    wrong = expected is not None and abs(loss - expected) > tolerance * max(1.0, expected)
    if abs(margin) > tolerance or wrong:
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
