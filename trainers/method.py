from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from harness.types import Curve
from trainers.eval_callback import TrainingEval
from trainers.recipe import AdapterRecipe
from trainers.trl_config import Log

NO_FACTS: Mapping[str, str] = MappingProxyType({})


ProgressCallback = Callable[[str, int, int], None]


class Method(Protocol):
    """One way to train an adapter, with its data."""

    def config_type(self) -> Any:
        """TRL's configuration class."""

    def make_trainer(self, config: Any) -> Any:
        """TRL's trainer, ready to go.

        Raises:
            HarnessError: data or a parent that cannot be trained on.
        """

    def check_data(self, trainer: Any) -> dict[str, str]:
        """Facts on the data, such as the rows that were cut.

        Raises:
            HarnessError: data that would teach something else than was meant.
        """

    def check_log(self, log: Log, config: Any) -> None:
        """Refuse a run that did not begin where its method begins.

        Raises:
            HarnessError: it did not.
        """

    def measure(self, trainer: Any) -> dict[str, float]:
        """What the trained model reaches on held-out data."""

    def probes(self, trainer: Any) -> list[list[int]]:
        """Token ids of a few training rows."""


class RunSettings(NamedTuple):
    """What a run is given beside its recipe and its data; none of it changes what is learnt.

    `facts` are told of the data; `references` is where log-probabilities of references are kept,
    which changes weights by rounding only.
    """

    facts: Mapping[str, str] = NO_FACTS
    watch: TrainingEval | None = None
    references: Path | None = None


class OutputPaths(NamedTuple):
    """Where a run puts things: steps to resume from, logs, and its adapter, in `folder`."""

    steps: Path
    logs: Path
    folder: Path


class Job(NamedTuple):
    """What is trained, how, and where everything goes."""

    recipe: AdapterRecipe
    method: Method
    place: OutputPaths


class Trained(NamedTuple):
    """What a run leaves beside its saved adapter: that adapter's hash, and what is known of it."""

    adapter: str
    tokenizer: Any
    probes: list[list[int]]
    facts: dict[str, str]
    metrics: dict[str, float]
    curves: tuple[Curve, ...]
