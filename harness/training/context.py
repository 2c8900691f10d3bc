"""The resources that a command works with, and the record of a trained model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from harness.config.request import NOTHING_AGAIN, AskAgain
from harness.core.errors import HarnessError
from harness.core.progress import Progress
from harness.core.store import LEDGER, Store
from harness.data.contamination import TrainingText
from harness.models.endpoint import Budget
from harness.models.session import EndpointSession
from harness.types import JudgeCard, PairStatistics, Task
from trainers.distributed.config import Launch


class RunContext(NamedTuple):
    """The store, the endpoint session and the progress of one command.

    With `launch` adapters are trained in several processes. `ledger` is the file in which tries are
    counted, if that is not the workspace's own. `made_before` is whether what a run trains or samples
    must be there, as on one of several machines, each of which would make its own. `kept_apart` are the
    items that no training may learn.
    """

    store: Store
    session: EndpointSession
    progress: Progress
    launch: Launch | None = None
    ledger: Path | None = None
    made_before: bool = False
    kept_apart: tuple[Task, ...] = ()

    @property
    def ledger_path(self) -> Path:
        """Return the file in which tries are counted."""
        return self.ledger or self.store.workspace / LEDGER

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the store open for work that may end because replies are awaited.

        Raises:
            PendingRepliesError: the work cannot go on before replies have come by batch.
        """
        with self.store, self.session.flush_pending():
            yield

    def begin_making(self, path: Path) -> None:
        """Refuse to train or sample a missing file or folder if it must have been made before.

        Raises:
            HarnessError: it must; tells how to provide it.
        """
        if self.made_before:
            raise HarnessError(
                f"{path}: is missing, and every shard would make its own. Make it once, for example by "
                "'harness train', and copy or link 'checkpoints', 'pairs' and 'best_of' of that store into "
                "each shard's."
            )

    @property
    def checkpoints(self) -> Path:
        return self.store.workspace / "checkpoints"

    @property
    def pairs(self) -> Path:
        """Return the folder of the preference pairs."""
        return self.store.workspace / "pairs"

    @property
    def references(self) -> Path:
        """Return the folder of the reference models' log-probabilities."""
        return self.store.workspace / "references"

    @property
    def best_of(self) -> Path:
        """Return the folder of the best of several answers."""
        return self.store.workspace / "best_of"


def make_context(
    workspace: Path,
    progress: Progress,
    *,
    launch: Launch | None = None,
    budget: Budget | None = None,
    batch: Path | None = None,
    again: AskAgain = NOTHING_AGAIN,
    wait_s: float = 0.0,
    ledger: Path | None = None,
) -> RunContext:
    """Make a context whose store is not open yet.

    Args:
        workspace: The folder in which work is kept from run to run.
        progress: The display of progress.
        launch: The processes in which adapters are trained.
        budget: The bound on the cost of endpoints.
        batch: The folder into which requests are written instead of being sent.
        again: What is asked again although the store has it.
        wait_s: The longest wait for another process that works in the workspace, in seconds.
        ledger: The file in which tries are counted, instead of the workspace's.
    """
    store = Store(workspace, wait_s=wait_s)
    session = EndpointSession(store, budget=budget, folder=batch, again=again, log=progress.log)
    return RunContext(store, session, progress, launch, ledger)


class TrainedModel(NamedTuple):
    """A checkpoint in the workspace, or an existing model, with its provenance.

    `base` is the name of the model that training started from, and `training_texts` are all texts
    that were learnt since. `teachers` are the judges that chose or rewarded them, and `pairs` counts
    the preference pairs of the last stage.
    """

    directory: str
    fingerprint: str
    base: str = ""
    teachers: tuple[JudgeCard, ...] = ()
    training_texts: tuple[TrainingText, ...] = ()
    pairs: PairStatistics | None = None
