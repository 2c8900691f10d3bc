"""What making checkpoints and their data takes, and what comes of it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from harness.asking import Terms
from harness.progress import Progress
from harness.store import Store
from harness.types import JudgeCard
from judges.protocol import Judge
from trainers.contamination import TrainingText
from trainers.pairs import PairStatistics


class Workshop(NamedTuple):
    """What preparing models takes: a store, judges by name, a display, and the terms of asking."""

    store: Store
    judge: Callable[[str], Judge]
    progress: Progress
    terms: Terms = None

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are kept."""
        return self.store.workspace / "checkpoints"

    @property
    def pairs(self) -> Path:
        """Where preference pairs are kept."""
        return self.store.workspace / "pairs"

    @property
    def best_of(self) -> Path:
        """Where the best of several answers are kept."""
        return self.store.workspace / "best_of"


class Made(NamedTuple):
    """A checkpoint in the workspace (or the parent it starts from), and what it came of."""

    directory: str
    fingerprint: str
    base: str = ""
    teachers: tuple[JudgeCard, ...] = ()
    learnt: tuple[TrainingText, ...] = ()
    pairs: PairStatistics | None = None
