"""The protocol of a training method, and the records that one training run passes around."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from harness.types import Curve
from trainers.eval_callback import TrainingEval
from trainers.recipe import AdapterRecipe
from trainers.trl_config import Log

NO_FACTS: Mapping[str, str] = MappingProxyType({})
ProgressCallback = Callable[[str, int, int], None]  # stage, steps done, steps in all


class Method(Protocol):
    """One way to train an adapter, with its data."""

    def config_type(self) -> Any:
        """Return TRL's configuration class."""

    def make_trainer(self, config: Any) -> Any:
        """Make TRL's trainer, ready to train.

        Raises:
            HarnessError: data or a parent that cannot be trained on.
        """

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Return facts on the tokenised data, such as the number of truncated rows.

        Raises:
            HarnessError: the tokens would not train what the recipe asks for.
        """

    def check_first_step(self, log: Log, config: Any) -> None:
        """Check the first logged step against its known values.

        Raises:
            HarnessError: the run did not begin where its method begins.
        """

    def eval_metrics(self, trainer: Any) -> dict[str, float]:
        """Return the trained model's metrics on held-out data."""

    def merge_probes(self, trainer: Any) -> list[list[int]]:
        """Return token ids of a few training rows, on which adapter and merged model are compared."""


class RunSettings(NamedTuple):
    """Settings of a run that do not change what is learnt.

    Attributes:
        facts: Facts on the data, for the checkpoint's manifest.
        training_eval: An evaluation of the model during training.
        reference_dir: The cache of references' log-probabilities. Its use changes the trained weights
            by rounding only.
    """

    facts: Mapping[str, str] = NO_FACTS
    training_eval: TrainingEval | None = None
    reference_dir: Path | None = None


class OutputPaths(NamedTuple):
    """The folders of a run: steps to resume from, logs, and the checkpoint with the adapter."""

    steps: Path
    logs: Path
    checkpoint: Path


class Job(NamedTuple):
    """One training run: its recipe, its method with the data, and its folders."""

    recipe: AdapterRecipe
    method: Method
    paths: OutputPaths


class Trained(NamedTuple):
    """The result of a run whose adapter is saved.

    Attributes:
        adapter: The hash of the trained adapter.
        tokenizer: The tokenizer to save with the model.
        probes: Token ids on which the merged model is compared with the adapter.
        facts: Facts on the data and the run, for the checkpoint's manifest.
        metrics: Metrics on held-out data.
        curves: The training curves.
    """

    adapter: str
    tokenizer: Any
    probes: list[list[int]]
    facts: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]
