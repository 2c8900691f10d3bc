"""GRPO (https://arxiv.org/abs/2402.03300) and RLOO (https://arxiv.org/abs/2402.14740).

The model answers each prompt several times, a reward scores the answers, and answers that score above
the others of their prompt become likelier. An answer that could not be scored has no reward: it is
left out of its group's mean, and contributes no gradient.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.data.thoughts import drop_thoughts
from harness.models.local import context_length, encode_chat, read_answer
from harness.models.weights import stop_ids
from harness.types import Message, Record
from trainers.adapter import complete_reference
from trainers.checkpoint import CheckpointManifest
from trainers.examples import data_hash
from trainers.method import ProgressCallback, RunSettings
from trainers.recipe import OnlineRecipe
from trainers.starting_model import StartingPoint, find_starting_point, load_policy
from trainers.training import N_PROBES, train_adapter
from trainers.trl_config import Log

KL_TOLERANCE = 1e-3  # nats per token; in bfloat16 two computations of one value differ by 1e-4


class PromptRow(Record):
    """A chat to answer."""

    id: str
    prompt: tuple[Message, ...]


class Reward(NamedTuple):
    """A reward for online reinforcement learning.

    Attributes:
        score: Scores answers to prompts; None where an answer could not be scored.
        fingerprint: A hash of everything that a score depends on.
        name: The name in reports and errors.
    """

    score: Callable[[Sequence[PromptRow], Sequence[str]], Sequence[float | None]]
    fingerprint: str
    name: str


def online_hash(prompts: Sequence[PromptRow], reward: Reward) -> str:
    """Return one hash over the prompts and the reward."""
    return content_hash(data_hash(prompts), reward.fingerprint)


def train_online(
    recipe: OnlineRecipe,
    parent: str | Path,
    out: Path,
    *,
    prompts: Sequence[PromptRow],
    reward: Reward,
    progress: ProgressCallback,
    settings: RunSettings = RunSettings(),  # noqa: B008 - an immutable tuple
) -> CheckpointManifest:
    """Train `parent` on its own rewarded answers, and write a merged checkpoint in `out`.

    Raises:
        HarnessError: options that TRL refuses, prompts too long for an answer to fit, a run that did
            not start at the parent, or one that learnt nothing.
    """
    start = find_starting_point(recipe, parent)
    return train_adapter(
        recipe,
        Online(recipe, start, prompts, reward),
        out,
        start=start,
        data_hash=online_hash(prompts, reward),
        progress=progress,
        settings=settings,
    )


@dataclass(frozen=True)
class Online:
    """GRPO or RLOO on prompts and a reward; a `Method`."""

    recipe: OnlineRecipe
    start: StartingPoint
    prompts: Sequence[PromptRow]
    reward: Reward

    def config_type(self) -> Any:
        from trl import GRPOConfig, RLOOConfig

        return GRPOConfig if self.recipe.method == "grpo" else RLOOConfig

    def make_trainer(self, config: Any) -> Any:
        """Make a trainer for the parent's own adapter, or for a new one on the parent."""
        from datasets import Dataset
        from trl import GRPOTrainer, RLOOTrainer

        if not self.prompts:
            raise HarnessError(f"{self.recipe.recipe}: there are no prompts to answer.")
        for name in ("grpo", "rloo"):  # they print the whole prompt of an answer without reward
            logging.getLogger(f"trl.trainer.{name}_trainer").setLevel(logging.ERROR)
        if config.beta and "disable_dropout" not in self.recipe.trainer:
            config.disable_dropout = True  # else the first divergence would be that of the dropout
        policy = load_policy(self.recipe, self.start)
        rows = [
            {"prompt": [message.model_dump() for message in row.prompt], "place": place}
            for place, row in enumerate(self.prompts)
        ]
        kind = GRPOTrainer if self.recipe.method == "grpo" else RLOOTrainer
        stops = stop_ids(policy.model, policy.tokenizer)

        def reward(
            completion_ids: Sequence[Sequence[int]], place: Sequence[int], **rest: Any
        ) -> list[float | None]:
            answers = [
                answer_without_thoughts(policy.tokenizer, stops, self.prompts[i], tokens)
                for i, tokens in zip(place, completion_ids, strict=True)
            ]
            return self._score(answers, place, rest["trainer_state"], rest["log_metric"])

        trainer = _with_epoch_order(kind)(
            model=policy.model,
            args=config,
            reward_funcs=reward,
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
        )
        complete_reference(trainer.model)
        return trainer

    def _score(
        self,
        answers: Sequence[str],
        place: Sequence[int],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
    ) -> list[float | None]:
        rewards = list(self.reward.score([self.prompts[i] for i in place], answers))
        if trainer_state.global_step == 0 and all(reward is None for reward in rewards):
            raise HarnessError(
                f"{self.reward.name} scored none of the first {len(rewards)} answers, so there is "
                "nothing to learn from."
            )
        log_metric("unscored", sum(reward is None for reward in rewards) / len(rewards))
        return rewards

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Return the number of prompts, as none is truncated or dropped, and the reward.

        Raises:
            HarnessError: the longest prompt with the longest answer exceeds the model's context.
        """
        config, tokenizer = trainer.args, trainer.processing_class
        longest = max(len(encode_chat(tokenizer, row.prompt)) for row in self.prompts)
        context = context_length(trainer.model.config)
        if longest + config.max_completion_length > context:
            raise HarnessError(
                f"The longest prompt has {longest} tokens and an answer may have "
                f"{config.max_completion_length}, more than the model's context of {context}. Lower "
                "trainer.max_completion_length, or leave out long prompts."
            )
        return {
            "prompts": str(len(self.prompts)),
            "answers per prompt": str(config.num_generations),
            "reward": self.reward.name,
            "reference": "the parent checkpoint" if config.beta else "none",
        }

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check that training starts at the reference, if there is one."""
        check_start(log, config)

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return the mean reward of the first and the last steps, and the share not scored."""
        return reward_metrics(trainer.state.log_history)

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        return [
            encode_chat(trainer.processing_class, row.prompt) for row in self.prompts[:N_PROBES]
        ]


def answer_without_thoughts(
    tokenizer: Any, stops: Sequence[int], row: PromptRow, tokens: Sequence[int]
) -> str:
    """Return the answer that is rewarded: without thoughts, and empty if they never ended."""
    answer = read_answer(tokenizer, stops, encode_chat(tokenizer, row.prompt), tokens)
    return drop_thoughts(answer.whole_text or "")


def _with_epoch_order(kind: Any) -> Any:
    """Extend TRL's trainer to shuffle the prompts with a seed of each epoch's own.

    TRL shuffles with one generator, so a resumed run would repeat the first epoch's order.
    """

    class WithEpochOrder(kind):  # type: ignore[misc]  # TRL has no types
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            sampler = super()._get_train_sampler(dataset)
            if sampler.shuffle:
                sampler.set_epoch = lambda n: sampler.generator.manual_seed(sampler.seed + n)
            return sampler

    return WithEpochOrder


def check_start(log: Log, config: Any) -> None:
    """Check that training started at its reference; without one (beta 0) accept anything.

    Raises:
        HarnessError: the first divergence is not 0.
    """
    if config.beta and abs(log[0]["kl"]) > KL_TOLERANCE:
        raise HarnessError(
            f"Training started with a divergence of {log[0]['kl']:.4f} from its reference; where that "
            "is the starting policy it is 0."
        )


def reward_metrics(log: Log) -> dict[str, float]:
    """Return the mean reward of the first and the last tenth of the steps (at least one step each).

    Also return the share of answers that were not scored.
    """
    rewards = [entry["reward"] for entry in log if entry.get("reward") is not None]
    n = max(1, len(rewards) // 10)
    unscored = [entry["unscored"] for entry in log if "unscored" in entry]
    return {
        "reward_first": sum(rewards[:n]) / n,
        "reward_last": sum(rewards[-n:]) / n,
        "unscored_share": sum(unscored) / len(unscored),
    }
