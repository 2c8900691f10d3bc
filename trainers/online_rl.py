"""GRPO (https://arxiv.org/abs/2402.03300) and RLOO (https://arxiv.org/abs/2402.14740).

The model answers each prompt several times, a reward scores the answers, and those above the
others of their prompt become likelier. An answer that could not be scored has no reward: it is
left out of its group's mean, and moves nothing.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.models.local import encode_chat
from harness.types import Message, Record
from trainers.checkpoint import CheckpointManifest
from trainers.examples import data_hash
from trainers.method import ProgressCallback, RunSettings
from trainers.recipe import OnlineRecipe
from trainers.starting_model import StartingPoint, find_starting_point, load_policy
from trainers.training import N_PROBES, train_adapter
from trainers.trl_config import Log

KL_TOLERANCE = 1e-3  # nats per token; in bfloat16 two computations of the same differ by 1e-4


class PromptRow(Record):
    """A chat to answer."""

    id: str
    prompt: tuple[Message, ...]


class Reward(NamedTuple):
    """What scores answers: None where it could not.

    `fingerprint` covers everything that a score depends on; `name` says who it is.
    """

    score: Callable[[Sequence[PromptRow], Sequence[str]], Sequence[float | None]]
    fingerprint: str
    name: str


def online_hash(questions: Sequence[PromptRow], reward: Reward) -> str:
    """One hash over what is asked and what rewards the answers."""
    return content_hash(data_hash(questions), reward.fingerprint)


def train_online(
    recipe: OnlineRecipe,
    parent: str | Path,
    out: Path,
    *,
    questions: Sequence[PromptRow],
    reward: Reward,
    progress: ProgressCallback,
    setting: RunSettings = RunSettings(),  # noqa: B008 - a tuple, which nothing changes
) -> CheckpointManifest:
    """A merged checkpoint in `out`, trained from `parent` on its own rewarded answers.

    Raises:
        HarnessError: options that TRL refuses, prompts that leave no room for an answer, a run
            that did not start at the parent, or one that learnt nothing.
    """
    start = find_starting_point(recipe, parent)
    return train_adapter(
        recipe,
        Online(recipe, start, questions, reward),
        out,
        start=start,
        data_hash=online_hash(questions, reward),
        progress=progress,
        setting=setting,
    )


class Online(NamedTuple):
    """Learns from the rewards of its own answers."""

    recipe: OnlineRecipe
    start: StartingPoint
    questions: Sequence[PromptRow]
    reward: Reward

    def config_type(self) -> Any:
        """TRL's, of its stable namespace."""
        from trl import GRPOConfig, RLOOConfig

        return GRPOConfig if self.recipe.method == "grpo" else RLOOConfig

    def make_trainer(self, config: Any) -> Any:
        """The parent's own adapter, or a new one on the parent; a reference is the parent."""
        from datasets import Dataset
        from trl import GRPOTrainer, RLOOTrainer

        if not self.questions:
            raise HarnessError(f"{self.recipe.recipe}: there are no prompts to answer.")
        for trainer in ("grpo", "rloo"):  # they print the whole prompt of an answer without reward
            logging.getLogger(f"trl.trainer.{trainer}_trainer").setLevel(logging.ERROR)
        policy = load_policy(self.recipe, self.start)
        rows = [
            {"prompt": [message.model_dump() for message in question.prompt], "place": place}
            for place, question in enumerate(self.questions)
        ]
        kind = GRPOTrainer if self.recipe.method == "grpo" else RLOOTrainer
        return _by_epoch(kind)(
            model=policy.model,
            args=config,
            reward_funcs=self._score,
            train_dataset=Dataset.from_list(rows),
            processing_class=policy.tokenizer,
            peft_config=policy.peft_config,
        )

    def _score(
        self,
        completions: Sequence[Sequence[dict[str, str]]],
        place: Sequence[int],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float | None]:
        answers = [turns[-1]["content"] for turns in completions]
        rewards = list(self.reward.score([self.questions[i] for i in place], answers))
        if trainer_state.global_step == 0 and all(reward is None for reward in rewards):
            raise HarnessError(
                f"{self.reward.name} scored none of the first {len(rewards)} answers, so there is "
                "nothing to learn from."
            )
        log_metric("unscored", sum(reward is None for reward in rewards) / len(rewards))
        return rewards

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Prompts, and who rewards; none is cut or dropped.

        Raises:
            HarnessError: a prompt that leaves no room for a whole answer.
        """
        config, tokenizer = trainer.args, trainer.processing_class
        longest = max(len(encode_chat(tokenizer, q.prompt)) for q in self.questions)
        context = trainer.model.config.max_position_embeddings
        if longest + config.max_completion_length > context:
            raise HarnessError(
                f"The longest prompt has {longest} tokens and an answer may have "
                f"{config.max_completion_length}, more than the model's context of {context}. Lower "
                "trainer.max_completion_length, or leave out long prompts."
            )
        return {
            "prompts": str(len(self.questions)),
            "answers per prompt": str(config.num_generations),
            "reward": self.reward.name,
            "reference": "the parent checkpoint" if config.beta else "none",
        }

    def check_log(self, log: Log, config: Any) -> None:
        """The first step stands at the reference, where there is one."""
        check_start(log, config)

    def measure(self, trainer: Any) -> dict[str, float]:
        """Mean reward in the first and the last steps, and the share that was not scored."""
        return reward_metrics(trainer.state.log_history)

    def probes(self, trainer: Any) -> list[list[int]]:
        """The first chats."""
        first = self.questions[:N_PROBES]
        return [encode_chat(trainer.processing_class, question.prompt) for question in first]


def _by_epoch(kind: Any) -> Any:
    """TRL's trainer, with the order of the prompts drawn anew from each epoch's number.

    TRL draws it from one generator, which a resumed run would begin again with the first epoch's.
    """

    class ByEpoch(kind):  # type: ignore[misc]  # TRL has no types
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            sampler = super()._get_train_sampler(dataset)
            if sampler.shuffle:
                sampler.set_epoch = lambda n: sampler.generator.manual_seed(sampler.seed + n)
            return sampler

    return ByEpoch


def check_start(log: Log, config: Any) -> None:
    """Refuse a run that did not start at its reference; without one (beta 0) there is nothing to see.

    Raises:
        HarnessError: a first divergence other than 0.
    """
    if config.beta and abs(log[0]["kl"]) > KL_TOLERANCE:
        raise HarnessError(
            f"Training started with a divergence of {log[0]['kl']:.4f} from its reference; where that "
            "is the starting policy it is 0."
        )


def reward_metrics(log: Log) -> dict[str, float]:
    """Mean reward over the first and the last tenth of the steps (one at least), and gaps."""
    rewards = [entry["reward"] for entry in log if entry.get("reward") is not None]
    n = max(1, len(rewards) // 10)
    unscored = [entry["unscored"] for entry in log if "unscored" in entry]
    return {
        "reward_first": sum(rewards[:n]) / n,
        "reward_last": sum(rewards[-n:]) / n,
        "unscored_share": sum(unscored) / len(unscored),
    }
