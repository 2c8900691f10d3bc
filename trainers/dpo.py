"""Direct preference optimisation (https://arxiv.org/abs/2305.18290) from an SFT checkpoint.

The reference is the SFT model, and its base only if the recipe asks for that. So the policy starts at
the reference, the first step's margin is 0 and its loss is known: ln 2 for the sigmoid loss. Both are
checked.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError
from trainers.adapter import complete_reference, upcast_adapter
from trainers.distributed.config import is_single_process
from trainers.pair_dataset import FittedPairs, SplitPairs, check_tokens, fit_pairs, pair_dataset
from trainers.recipe import DpoRecipe
from trainers.reference_cache import cached_reference_logprobs
from trainers.starting_model import StartingPoint, load_policy
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

START_TOLERANCE = 1e-3

# For cached references, whose forward passes had other batches than the policy's. In bfloat16 an
# answer's log-probability then differs by some tenths of a nat; times beta, by 0.01 or 0.02.
CACHED_REFERENCE_TOLERANCE = 5e-2
EVAL_METRICS = ("eval_loss", "eval_rewards/margins", "eval_rewards/accuracies", "eval_kl")


@dataclass
class Dpo:
    """Direct preference optimisation on pairs; a `Method`.

    The reference's log-probabilities are cached in `reference_dir`. Without it, or if the recipe sets
    TRL's `precompute_ref_log_probs` to false, each step computes them.
    """

    recipe: DpoRecipe
    start: StartingPoint
    pairs: SplitPairs
    reference_dir: Path | None = None
    fitted: FittedPairs = field(default_factory=FittedPairs)

    def config_type(self) -> Any:
        from trl import DPOConfig

        return DPOConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer for the parent's own adapter, or for a new one on the parent."""
        from trl import DPOTrainer

        policy = load_policy(self.recipe, self.start)
        self.fitted = fit_pairs(self.pairs, policy.tokenizer, config)
        pairs = self.fitted.pairs
        config.precompute_ref_log_probs = False  # done below, once adapters and reference are final
        trainer = _with_kl_metric(DPOTrainer)(
            model=policy.model,
            args=config,
            train_dataset=pair_dataset(pairs.train),
            eval_dataset=pair_dataset(pairs.eval),
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
            ref_model=policy.reference,
        )
        complete_reference(trainer.model)
        # TRL's reference is a frozen copy of the parent's adapter, named "ref". Without it the
        # reference is the model with no adapter: the base, or the parent under a new adapter.
        if self.recipe.reference == "base":
            trainer.model.delete_adapter("ref")
        if self.reference_dir is not None and self._caches_reference:
            upcast_adapter(trainer.model)
            cache = cached_reference_logprobs(trainer, self.recipe, self.start, self.reference_dir)
            if cache.computed:
                self._check_first_pairs(trainer)
        return trainer

    @property
    def _caches_reference(self) -> bool:
        """Return whether the reference is cached; of several processes each would compute a part."""
        requested = self.recipe.trainer.get("precompute_ref_log_probs", True)
        return self.reference_dir is not None and requested is not False and is_single_process()

    def _check_first_pairs(self, trainer: Any) -> None:
        """Check the start on two pairs, with reference and policy in one batch and so equal rounding.

        The trainer's counters are reset afterwards.
        """
        import torch

        rows = [trainer.train_dataset[i] for i in range(min(2, len(trainer.train_dataset)))]
        inputs = trainer._prepare_inputs(trainer.data_collator(rows))
        trainer.precompute_ref_logps = False
        with torch.no_grad(), trainer.compute_loss_context_manager():
            loss = trainer.compute_loss(trainer.model, inputs)
        trainer.precompute_ref_logps = True
        mode = "train" if trainer.model.training else "eval"
        metrics = {name: values[-1] for name, values in trainer._metrics[mode].items()}
        trainer._metrics[mode].clear()
        trainer._total_train_tokens = 0
        self._check_start({"loss": float(loss)} | metrics, trainer.args, START_TOLERANCE)

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Return the counts of pairs, and of those that were truncated or dropped."""
        rows = trainer.train_dataset
        answers = [*rows["chosen_ids"], *rows["rejected_ids"]]
        check_tokens(rows["prompt_ids"], answers, trainer.processing_class)
        reference = {
            "parent": "the parent checkpoint",
            "base": "the base under the parent's adapter",
        }[self.recipe.reference]
        return self.fitted.describe(self.pairs) | {"reference": reference}

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check that training starts at the reference, or off it where recipe or adapter say so."""
        tolerance = CACHED_REFERENCE_TOLERANCE if self._caches_reference else START_TOLERANCE
        self._check_start(log[0], config, tolerance)

    def _check_start(self, first: dict[str, float], config: Any, tolerance: float) -> None:
        if self.recipe.reference == "base":
            check_start_off_reference([first])
        elif not self.recipe.starts_at_parent:
            check_moved_start([first])
        else:
            check_start([first], config, tolerance)

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return loss, margin, accuracy and divergence on the held-out pairs."""
        return held_out_metrics(trainer, EVAL_METRICS)

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        """Return the token ids of the first chats, with their chosen answers."""
        first = trainer.train_dataset[:N_PROBES]
        return [p + c for p, c in zip(first["prompt_ids"], first["chosen_ids"], strict=True)]


def _with_kl_metric(kind: Any) -> Any:
    """Extend TRL's trainer to log the policy's divergence from its reference, as `kl`.

    It is the mean over both answers of log reference - log policy, in nats per answer. Where the
    reference generated both answers, as for pairs of the parent's own, this is the simplest estimate
    of the divergence of the policy from the reference (k1 in http://joschu.net/blog/kl-approx.html,
    with samples of the reference). For other answers it is the likelihood they have lost, and it may
    be negative.
    """

    class WithKl(kind):  # type: ignore[misc]  # TRL has no types
        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            metrics = self._metrics["train" if self.model.training else "eval"]
            rewards = [metrics.get(f"rewards/{side}") or [] for side in ("chosen", "rejected")]
            if self.beta:
                metrics["kl"] = [-(c + r) / (2 * self.beta) for c, r in zip(*rewards, strict=True)]
            if not metrics["kl"]:
                del metrics["kl"]
            super().log(logs, start_time)

    return WithKl


def check_start(log: Log, config: Any, tolerance: float = START_TOLERANCE) -> None:
    """Check that the reference was the starting policy.

    Raises:
        HarnessError: the first margin is not 0, or the first loss not what it must then be.
    """
    margin, loss, expected = log[0]["rewards/margins"], log[0]["loss"], first_loss(config)
    wrong = expected is not None and abs(loss - expected) > tolerance * max(1.0, expected)
    if abs(margin) > tolerance or wrong:
        and_loss = "" if expected is None else f" and {expected:.4f}"
        raise HarnessError(
            f"DPO started with margin {margin:.4f} and loss {loss:.4f}; where the reference is the "
            f"starting policy they are 0{and_loss}. Dropout must be off, and the reference the parent "
            "checkpoint."
        )


def check_start_off_reference(log: Log) -> None:
    """Check that training did not start at its reference, as the recipe's reference is the base.

    Raises:
        HarnessError: policy and reference gave chosen and rejected answers the same likelihood.
    """
    if log[0]["rewards/chosen"] == 0.0 and log[0]["rewards/rejected"] == 0.0:
        raise HarnessError(
            "DPO started at its reference, although the recipe asks for 'reference: base'. The "
            "parent's adapter changes nothing on these pairs, or it was the reference after all."
        )


def check_moved_start(log: Log) -> None:
    """Check that a policy whose new adapter moves the parent at once did not start at its reference.

    Raises:
        HarnessError: it did, so that the reference has the adapter too, or the policy has none.
    """
    if log[0].get("rewards/chosen", 1.0) == 0.0 and log[0].get("rewards/rejected", 1.0) == 0.0:
        raise HarnessError(
            "Training started at its reference, although the new adapter changes the parent from the start. "
            "The reference must be the parent without it."
        )


def first_loss(config: Any) -> float | None:
    """Return the loss of a policy that equals its reference; None where it depends on the data.

    Each value is TRL's loss (`DPOTrainer._compute_loss`) with both log-ratios 0, which every
    f-divergence keeps at 0.
    """
    weights = config.loss_weights or [1.0] * len(config.loss_type)
    losses = [_first_loss(name, config) for name in config.loss_type]
    known_losses = [loss for loss in losses if loss is not None]
    if config.use_weighting or config.router_aux_loss_coef or len(known_losses) < len(losses):
        return None
    return math.fsum(weight * loss for weight, loss in zip(weights, known_losses, strict=True))


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
