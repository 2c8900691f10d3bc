"""What making checkpoints and their data takes, and what comes of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from harness.asking import Asking, Terms
from harness.endpoint import Budget
from harness.judging import judges_of, seat_judge
from harness.jury import Panel, make_panel
from harness.progress import Progress
from harness.store import Store
from harness.suite import Profile
from harness.types import JudgeCard, PairStatistics
from judges.protocol import Judge
from trainers.contamination import TrainingText
from trainers.processes import Launch


@contextmanager
def open_workshop(
    profile: Profile,
    root: Path,
    *,
    workspace: Path,
    progress: Progress,
    launch: Launch | None = None,
    budget: Budget | None = None,
    batch: Path | None = None,
) -> "Iterator[Workshop]":
    """A workshop with the profile's judges and an open store; `root` is the profile's folder.

    With `launch` adapters are trained in several processes. `budget` bounds what endpoints may cost; with a folder as `batch` they are not asked, and the
    questions are written there.

    Raises:
        RepliesAwaitedError: the work cannot go on before replies have come by batch.
    """
    store = Store(workspace)
    asking = Asking(store, budget=budget, folder=batch)
    find_judge = judges_of(profile, root, terms=asking)
    with store, asking.settled():
        yield Workshop(store, find_judge, progress, asking, profile, launch, root)


class Workshop(NamedTuple):
    """What preparing models takes: a store, judges by name, a display, and the terms of asking.

    `profile` tells which names are juries; without it each is a single judge. Its paths start from
    `profile_root`. With `launch` adapters are trained in several processes.
    """

    store: Store
    judge: Callable[[str], Judge]
    progress: Progress
    terms: Terms = None
    profile: Profile | None = None
    launch: Launch | None = None
    profile_root: Path = Path()

    def panel(self, name: str, repeats: int) -> Panel:
        """The judge or the jury of that name, each member asked `repeats` times.

        Raises:
            HarnessError: there is none of that name, or it could not judge.
        """
        if self.profile is None:
            return make_panel(name, [self.judge(name)], None, repeats)
        return seat_judge(name, self.profile, self.judge, repeats=repeats)

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are kept."""
        return self.store.workspace / "checkpoints"

    @property
    def pairs(self) -> Path:
        """Where preference pairs are kept."""
        return self.store.workspace / "pairs"

    @property
    def references(self) -> Path:
        """Where log-probabilities of references are kept."""
        return self.store.workspace / "references"

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
