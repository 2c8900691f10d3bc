"""ORPO (https://arxiv.org/abs/2403.07691) and SimPO (https://arxiv.org/abs/2405.14734).

Neither has a reference, so nothing penalises divergence from the parent. TRL has both in its
experimental namespace only, which may change or disappear in any release.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.core.errors import HarnessError
from harness.models.local import Prompt, encode_chat
from harness.models.stops import end_of_turn_text
from harness.types.training import PreferencePair
from trainers.dpo import EVAL_METRICS, START_TOLERANCE
from trainers.pair_dataset import FittedPairs, SplitPairs, fit_pairs
from trainers.recipe import OrpoRecipe, SimpoRecipe
from trainers.starting_model import StartingPoint, load_policy
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

FACTS = {"reference": "none", "namespace": "trl.experimental"}


@dataclass
class _ReferenceFree:
    """The parts of a `Method` that ORPO and SimPO share."""

    recipe: OrpoRecipe | SimpoRecipe
    start: StartingPoint
    pairs: SplitPairs
    fitted: FittedPairs = field(default_factory=FittedPairs)

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Return the counts of pairs, and of those that were truncated or dropped."""
        prompts = [pair.prompt for pair in self.fitted.pairs.train]
        _check_prompts(trainer, prompts)
        return self.fitted.describe(self.pairs) | FACTS

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return loss, margin and accuracy on the held-out pairs."""
        return held_out_metrics(trainer, EVAL_METRICS)

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        """Return the token ids of the first chats, with their chosen answers."""
        return [list(ids) for ids in trainer.train_dataset["chosen_input_ids"][:N_PROBES]]

    def _make_trainer(self, kind: Any, config: Any) -> Any:
        """Make a trainer of a `kind` for the parent's own adapter, or for a new one on the parent."""
        if config.max_length is None:
            raise HarnessError(
                "trainer.max_length: must be a number for this method; TRL takes null as 512 tokens."
            )
        policy = load_policy(self.recipe, self.start)
        self.fitted = fit_pairs(self.pairs, policy.tokenizer, config)
        pairs = self.fitted.pairs
        config.remove_unused_columns = False  # TRL would set it, with a warning
        return kind(
            model=policy.model,
            args=config,
            train_dataset=_dataset(pairs.train, policy.tokenizer),
            eval_dataset=_dataset(pairs.eval, policy.tokenizer),
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
        )


class Orpo(_ReferenceFree):
    """Odds ratio preference optimisation on pairs; a `Method`."""

    def config_type(self) -> Any:
        from trl.experimental.orpo import ORPOConfig

        return ORPOConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer for the parent's own adapter, or for a new one on the parent."""
        from trl.experimental.orpo import ORPOTrainer

        return self._make_trainer(ORPOTrainer, config)

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check the first loss against the paper's equation 6: likelihood and odds ratio."""
        check_orpo_start(log, config)


class Simpo(_ReferenceFree):
    """Simple preference optimisation on pairs; a `Method`."""

    def config_type(self) -> Any:
        from trl.experimental.cpo import CPOConfig

        return CPOConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer for the parent's own adapter, or for a new one on the parent."""
        from trl.experimental.cpo import CPOTrainer

        config.loss_type, config.cpo_alpha = "simpo", 0.0
        return self._make_trainer(CPOTrainer, config)

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check the first loss against the paper's equation 6, without a likelihood term."""
        check_simpo_start(log, config)


def check_orpo_start(log: Log, config: Any) -> None:
    """Check that the first loss is the sum of its likelihood and odds-ratio terms.

    Raises:
        HarnessError: it is not.
    """
    first = log[0]
    expected = first["nll_loss"] - config.beta * first["log_odds_ratio"]
    if abs(first["loss"] - expected) > START_TOLERANCE * max(1.0, abs(expected)):
        raise HarnessError(
            f"ORPO started with loss {first['loss']:.4f}, and its terms make {expected:.4f}. This "
            "release of TRL computes something else."
        )


def check_simpo_start(log: Log, config: Any) -> None:
    """Check that the first loss has no SFT term, and is at least what its margin implies.

    -log sigmoid is convex, so the mean loss is at least the loss of the mean margin. A first step that ends an
    epoch is not compared: accelerate then leaves rows out of the margins that TRL logs, and not of the loss.

    Raises:
        HarnessError: it has one, or is smaller.
    """
    first = log[0]
    least = math.log1p(math.exp(config.simpo_gamma - first["rewards/margins"]))
    plain = not config.label_smoothing and not config.alpha and first.get("epoch", 0.0) < 1.0
    if first["nll_loss"] or (plain and first["loss"] < least - START_TOLERANCE):
        raise HarnessError(
            f"SimPO started with loss {first['loss']:.4f} and an SFT term of {first['nll_loss']:.4f}; "
            f"they must be at least {least:.4f}, and 0. This release of TRL computes something else."
        )


# --- rows ------------------------------------------------------------------------------------


def _dataset(pairs: Sequence[PreferencePair], tokenizer: Any) -> Any | None:
    """Return the pairs as the text that TRL tokenises; None if there are none."""
    from datasets import Dataset

    rows = [_render(pair, tokenizer) for pair in pairs]
    return Dataset.from_list(rows) if rows else None


def _render(pair: PreferencePair, tokenizer: Any) -> dict[str, str]:
    """Render a pair as text that ends with the end of the turn.

    These trainers append an end of turn of their own to chats whose template writes a line break
    after it, so they are given text.
    """
    stop = end_of_turn_text(tokenizer)
    turns = [message.model_dump() for message in pair.prompt]
    row = {
        "prompt": tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    }
    # Cut each answer out of its chat, up to the end of its turn.
    for side, text in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        turn = {"role": "assistant", "content": text}
        chat = tokenizer.apply_chat_template([*turns, turn], tokenize=False)
        answer, found, _ = chat.removeprefix(row["prompt"]).rpartition(stop)
        if not found or not chat.startswith(row["prompt"]):
            raise HarnessError(
                f"The chat template must write {stop} after an answer, and render the prompt the same "
                "with and without the answer."
            )
        row[side] = answer + found
    return row


def _check_prompts(trainer: Any, prompts: Sequence[Prompt]) -> None:
    """Check that training prompts have the same tokens as generation prompts.

    Raises:
        HarnessError: they have not.
    """
    for prompt, ids in zip(prompts, trainer.train_dataset["prompt_input_ids"], strict=True):
        if list(ids) != encode_chat(trainer.processing_class, prompt):
            raise HarnessError(
                "TRL tokenises the prompts differently from generation. The chat template must write "
                "the tokenizer's one BOS token, if it has any."
            )
