"""What making checkpoints and their data takes, and what comes of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from harness.config import Profile
from harness.core.progress import Progress
from harness.core.store import Store
from harness.data.contamination import TrainingText
from harness.models.endpoint import Budget
from harness.models.session import EndpointSession
from harness.types import JudgeCard, PairStatistics
from judges.factory import judge_loader
from judges.panel import Panel, make_named_panel
from judges.protocol import Judge
from trainers.distributed.config import Launch


class RunOptions(NamedTuple):
    """What a command is given to work with.

    Work is kept in `workspace` from run to run, and `progress` shows it. With `launch` adapters are
    trained in several processes. `budget` bounds what endpoints may cost; with a folder as `batch`
    they are not asked, and the questions are written there.
    """

    workspace: Path
    progress: Progress
    launch: Launch | None = None
    budget: Budget | None = None
    batch: Path | None = None


class TrainingContext(NamedTuple):
    """What preparing models takes: a profile with its judges by name, and how they are asked.

    The profile's paths start from `profile_root`. With `launch` adapters are trained in several
    processes.
    """

    session: EndpointSession
    judge: Callable[[str], Judge]
    profile: Profile
    profile_root: Path
    progress: Progress
    launch: Launch | None = None

    @contextmanager
    def open(self) -> Iterator["TrainingContext"]:
        """The same with an open store, for work that may end because replies are awaited.

        Raises:
            RepliesAwaitedError: the work cannot go on before replies have come by batch.
        """
        with self.store, self.session.flush_pending():
            yield self

    def panel(self, name: str, repeats: int) -> Panel:
        """The judge or the jury of that name, each member asked `repeats` times.

        Raises:
            HarnessError: there is none of that name, or it could not judge.
        """
        return make_named_panel(name, self.profile, self.judge, repeats=repeats)

    @property
    def store(self) -> Store:
        """Where answers, verdicts and replies are kept."""
        assert self.session.store is not None
        return self.session.store

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


def make_context(profile: Profile, root: Path, resources: RunOptions) -> TrainingContext:
    """A workshop with the profile's judges, not opened yet; `root` is the profile's folder."""
    session = EndpointSession(
        Store(resources.workspace), budget=resources.budget, folder=resources.batch
    )
    find_judge = judge_loader(profile, root, session)
    return TrainingContext(session, find_judge, profile, root, resources.progress, resources.launch)


class TrainedModel(NamedTuple):
    """A checkpoint in the workspace (or the parent it starts from), and what it came of."""

    directory: str
    fingerprint: str
    base: str = ""
    teachers: tuple[JudgeCard, ...] = ()
    learnt: tuple[TrainingText, ...] = ()
    pairs: PairStatistics | None = None
