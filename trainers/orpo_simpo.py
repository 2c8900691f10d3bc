"""ORPO (https://arxiv.org/abs/2403.07691) and SimPO (https://arxiv.org/abs/2405.14734).

Neither has a reference, so no divergence from the parent is held against the model. TRL has both
in its experimental namespace only, which may change or go in any release.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.models.local import encode_chat
from harness.types.training import PreferencePair
from trainers.dpo import MEASURED, START_TOLERANCE
from trainers.pair_dataset import SplitPairs, count_pairs
from trainers.recipe import OrpoRecipe, SimpoRecipe
from trainers.starting_model import Policy, StartingPoint, load_policy
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

FACTS = {"reference": "none", "namespace": "trl.experimental"}


class Orpo(NamedTuple):
    """Learns the chosen answers, and raises their odds over the rejected ones."""

    recipe: OrpoRecipe
    start: StartingPoint
    pairs: SplitPairs

    def config_type(self) -> Any:
        """TRL's, of its experimental namespace."""
        from trl.experimental.orpo import ORPOConfig

        return ORPOConfig

    def make_trainer(self, config: Any) -> Any:
        """The parent's own adapter, or a new one on the parent."""
        from trl.experimental.orpo import ORPOTrainer

        return _make(ORPOTrainer, load_policy(self.recipe, self.start), self.pairs, config)

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Pairs, and how many of them were cut or dropped."""
        return _check_pairs(trainer, self.pairs)

    def check_log(self, log: Log, config: Any) -> None:
        """The first loss is that of the paper: equation 6, likelihood and odds ratio."""
        check_orpo_start(log, config)

    def measure(self, trainer: Any) -> dict[str, float]:
        """Loss, margin and accuracy on the held-out pairs."""
        return held_out_metrics(trainer, MEASURED)

    def probes(self, trainer: Any) -> list[list[int]]:
        """The first chats, with their chosen answers."""
        return [list(ids) for ids in trainer.train_dataset["chosen_input_ids"][:N_PROBES]]


class Simpo(NamedTuple):
    """Learns to give the chosen answers a higher mean log-probability, by a margin."""

    recipe: SimpoRecipe
    start: StartingPoint
    pairs: SplitPairs

    def config_type(self) -> Any:
        """TRL's, of its experimental namespace."""
        from trl.experimental.cpo import CPOConfig

        return CPOConfig

    def make_trainer(self, config: Any) -> Any:
        """The parent's own adapter, or a new one on the parent."""
        from trl.experimental.cpo import CPOTrainer

        config.loss_type, config.cpo_alpha = "simpo", 0.0
        return _make(CPOTrainer, load_policy(self.recipe, self.start), self.pairs, config)

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Pairs, and how many of them were cut or dropped."""
        return _check_pairs(trainer, self.pairs)

    def check_log(self, log: Log, config: Any) -> None:
        """The first loss is that of the paper: equation 6, without a likelihood term."""
        check_simpo_start(log, config)

    def measure(self, trainer: Any) -> dict[str, float]:
        """Loss, margin and accuracy on the held-out pairs."""
        return held_out_metrics(trainer, MEASURED)

    def probes(self, trainer: Any) -> list[list[int]]:
        """The first chats, with their chosen answers."""
        return [list(ids) for ids in trainer.train_dataset["chosen_input_ids"][:N_PROBES]]


def check_orpo_start(log: Log, config: Any) -> None:
    """Refuse a run whose first loss is not its likelihood and odds-ratio terms.

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
    """Refuse a run whose first loss has an SFT term, or lies below what its margin allows.

    -log sigmoid is convex, so that the mean loss is at least the loss of the mean margin.

    Raises:
        HarnessError: it does.
    """
    first = log[0]
    least = math.log1p(math.exp(config.simpo_gamma - first["rewards/margins"]))
    plain = not config.label_smoothing and not config.alpha
    if first["nll_loss"] or (plain and first["loss"] < least - START_TOLERANCE):
        raise HarnessError(
            f"SimPO started with loss {first['loss']:.4f} and an SFT term of {first['nll_loss']:.4f}; "
            f"they must be at least {least:.4f}, and 0. This release of TRL computes something else."
        )


# --- rows ------------------------------------------------------------------------------------


class _Rendered(NamedTuple):
    """A pair as the text that TRL tokenises, with the tokens that each part has."""

    prompt: str
    chosen: str
    rejected: str
    n_prompt: int
    n_chosen: int
    n_rejected: int


def _make(kind: Any, policy: Policy, pairs: SplitPairs, config: Any) -> Any:
    if config.max_length is None:
        raise HarnessError("TRL would cut at 512 tokens where trainer.max_length is null; name it.")
    learn = _dataset(pairs.learn, policy.tokenizer, config.max_length)
    if learn is None:
        raise HarnessError(
            f"No pair fits into max_length {config.max_length}. Raise trainer.max_length."
        )
    config.remove_unused_columns = False  # TRL does so itself, with a warning
    return kind(
        model=policy.model,
        args=config,
        train_dataset=learn,
        eval_dataset=_dataset(pairs.held_out, policy.tokenizer, config.max_length),
        processing_class=policy.tokenizer,
        peft_config=policy.peft_config,
    )


def _dataset(pairs: Sequence[PreferencePair], tokenizer: Any, max_length: int) -> Any | None:
    """Rendered pairs without those whose prompt alone fills `max_length`; None without any."""
    from datasets import Dataset

    rendered = [_render(pair, tokenizer) for pair in pairs]
    fitting = [row for row in rendered if row.n_prompt < max_length]
    rows = [{"prompt": r.prompt, "chosen": r.chosen, "rejected": r.rejected} for r in fitting]
    return Dataset.from_list(rows) if rows else None


def _render(pair: PreferencePair, tokenizer: Any) -> _Rendered:
    """Text that ends with the end of the turn.

    Given chats whose template writes a line break after the end of a turn, these trainers would
    append a second one.
    """
    turns = [message.model_dump() for message in pair.prompt]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    answers = []
    for text in (pair.chosen, pair.rejected):
        turn = {"role": "assistant", "content": text}
        whole = tokenizer.apply_chat_template([*turns, turn], tokenize=False)
        answer, stop, _ = whole.removeprefix(prompt).rpartition(tokenizer.eos_token)
        if not stop or not whole.startswith(prompt):
            raise HarnessError(
                f"The chat template must write {tokenizer.eos_token} after an answer, and the prompt "
                "alike with and without the answer."
            )
        answers.append(answer + stop)
    lengths = [
        len(tokenizer(text, add_special_tokens=False)["input_ids"])
        for text in (prompt, prompt + answers[0], prompt + answers[1])
    ]
    return _Rendered(prompt, *answers, *lengths)


def _check_pairs(trainer: Any, pairs: SplitPairs) -> dict[str, str]:
    """Counts, and whether the model learns from the very prompts that it will be asked with."""
    limit, tokenizer = trainer.args.max_length, trainer.processing_class
    kept = []
    for pair in pairs.learn:
        rendered = _render(pair, tokenizer)
        if rendered.n_prompt < limit:
            kept.append((pair, rendered))
    for (pair, _), ids in zip(kept, trainer.train_dataset["prompt_input_ids"], strict=True):
        if list(ids) != encode_chat(tokenizer, pair.prompt):
            raise HarnessError(
                "TRL reads the prompts as other tokens than the model will be asked with. The chat "
                "template must write the tokenizer's one BOS token, if it has any."
            )
    longest = [max(rendered.n_chosen, rendered.n_rejected) for _, rendered in kept]
    return count_pairs(longest, pairs, trainer.args) | FACTS
