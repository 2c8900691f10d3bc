"""Kahneman-Tversky optimisation (https://arxiv.org/abs/2402.01306), of pairs or labelled answers.

Each pair becomes two rows: the chosen answer, which is desirable, and the rejected one, which is
not. A labelled answer is a row as it is. The reference is the parent, so the first rewards are 0 and
the first loss is one half.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.core.errors import HarnessError
from harness.types import Message
from harness.types.training import LabelledAnswer, PreferencePair
from trainers.adapter import complete_reference
from trainers.dpo import START_TOLERANCE, check_moved_start
from trainers.labelled import SplitAnswers, fit_answers
from trainers.pair_dataset import FittedPairs, SplitPairs, check_tokens, fit_pairs
from trainers.recipe import KtoRecipe
from trainers.starting_model import StartingPoint, load_policy
from trainers.training import N_PROBES
from trainers.trl_config import Log, held_out_metrics

EVAL_METRICS = ("eval_loss", "eval_rewards/margins", "eval_kl")
Row = dict[str, Any]  # of TRL: a prompt, an answer and its label


@dataclass
class Kto:
    """Kahneman-Tversky optimisation on the answers of pairs; a `Method`."""

    recipe: KtoRecipe
    start: StartingPoint
    pairs: SplitPairs
    fitted: FittedPairs = field(default_factory=FittedPairs)
    alone: dict[str, int] = field(default_factory=dict)

    def config_type(self) -> Any:
        from trl import KTOConfig

        return KTOConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer for the parent's own adapter, or for a new one on the parent."""
        from datasets import Dataset
        from trl import KTOTrainer

        # It advises on weights, which the facts do.
        logging.getLogger("trl.trainer.kto_trainer").setLevel(logging.ERROR)
        policy = load_policy(self.recipe, self.start)
        train, held_out = self._rows(policy.tokenizer, config)
        self.alone = {"train": _drop_alone(train, config), "eval": _drop_alone(held_out, config)}
        trainer = KTOTrainer(
            model=policy.model,
            args=config,
            train_dataset=Dataset.from_list(train),
            eval_dataset=Dataset.from_list(held_out) if held_out else None,
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
            ref_model=policy.reference,
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
        facts = self._describe(len(rows)) | {"truncated": str(truncated)}
        names = {
            "train": "dropped, alone in the last batch",
            "eval": "held out, alone in the last batch",
        }
        facts |= {names[side]: str(n) for side, n in self.alone.items() if n}
        return facts | {"reference": "the parent checkpoint"}

    def _rows(self, tokenizer: Any, config: Any) -> tuple[list[Row], list[Row]]:
        """Return the rows to train on, and those that are held out, in the order of training."""
        self.fitted = fit_pairs(self.pairs, tokenizer, config)
        train, held_out = self.fitted.pairs
        return _of_pairs(train, self.recipe.seed), _of_pairs(held_out, self.recipe.seed)

    def _describe(self, n_rows: int) -> dict[str, str]:
        n = 2 * len(self.pairs.train)
        return self.fitted.describe(self.pairs) | {"rows": str(n), "dropped": str(n - n_rows)}

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check that training starts at the reference, or off it where the adapter says so."""
        if self.recipe.starts_at_parent:
            check_start(log, config)
        else:
            check_moved_start(log)

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return loss, margin and divergence on the held-out pairs."""
        return held_out_metrics(trainer, EVAL_METRICS)

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        """Return the token ids of the first chats, with their answers."""
        first = trainer.train_dataset[:N_PROBES]
        return [p + c for p, c in zip(first["prompt_ids"], first["completion_ids"], strict=True)]


@dataclass
class KtoOnLabels(Kto):
    """Kahneman-Tversky optimisation on answers with labels of their own; a `Method`."""

    answers: SplitAnswers = field(default_factory=lambda: SplitAnswers([], []))
    facts: dict[str, str] = field(default_factory=dict)

    def _rows(self, tokenizer: Any, config: Any) -> tuple[list[Row], list[Row]]:
        (train, held_out), self.facts = fit_answers(self.answers, tokenizer, config)
        return _of_answers(train, self.recipe.seed), _of_answers(held_out, self.recipe.seed)

    def _describe(self, n_rows: int) -> dict[str, str]:
        held_out = str(int(self.facts["held-out answers"]) - self.alone["eval"])
        return self.facts | {"held-out answers": held_out}


def _of_pairs(pairs: Sequence[PreferencePair], seed: int) -> list[Row]:
    """Return both answers of each pair as labelled rows, shuffled."""
    rows = [
        _row(pair.prompt, answer, label=label)
        for pair in pairs
        for answer, label in ((pair.chosen, True), (pair.rejected, False))
    ]
    return _shuffled(rows, seed)


def _of_answers(answers: Sequence[LabelledAnswer], seed: int) -> list[Row]:
    rows = [_row(answer.prompt, answer.completion, label=answer.label) for answer in answers]
    return _shuffled(rows, seed)


def _row(prompt: Sequence[Message], answer: str, *, label: bool) -> Row:
    """Return a row as chats, not rendered text, so that the template writes exactly one BOS."""
    return {
        "prompt": [message.model_dump() for message in prompt],
        "completion": [{"role": "assistant", "content": answer}],
        "label": label,
    }


def _shuffled(rows: list[Row], seed: int) -> list[Row]:
    """Shuffle rows, which TRL reads in their order.

    It estimates the divergence from each prompt with the answer of the row before it. In the order of
    pairs it would read all chosen answers first, or pair a prompt with another answer to the same
    prompt; in that of a file sorted by label a batch would have one label.
    """
    random.Random(seed).shuffle(rows)
    return rows


def _drop_alone(rows: list[Row], config: Any) -> int:
    """Drop a row that would be alone in its batch, and return how many were dropped: one, or none.

    TRL pairs its prompt with its own answer, so that the divergence would be its own reward.
    """
    if config.loss_type != "kto" or len(rows) % config.per_device_train_batch_size != 1:
        return 0
    rows.pop()
    return 1


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
