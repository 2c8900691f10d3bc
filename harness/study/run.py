"""A study, from its file to the ranking of its arms.

file → arms → [train → answer, judge → compare → drop] at every look → ranking → report

Everything is stored by content: the same command goes on where it was killed, and asks and trains nothing twice.
An arm that cannot be trained, or has no scores, keeps its reason in the result and takes no part in the ranking.
"""

from datetime import UTC, datetime
from pathlib import Path

from harness.analysis.arms import (
    ArmScores,
    arm_scores,
    beaten_arms,
    begin_standing,
    compare_at_look,
    look_levels,
)
from harness.artifacts.scores import read_scores
from harness.core.errors import HarnessError
from harness.runs.conclude import NoScoresError
from harness.runs.run import FinishedRun, run_suite
from harness.study.conclude import Outcome, conclude_study
from harness.study.grid import Grid, Look
from harness.study.statement import state_study
from harness.study.trainings import Trained, prepare_arms, train_arms
from harness.training.context import RunContext
from harness.types.study import StudyLook, StudyResult
from reports.study import STUDY_FILES, write_study
from reports.write import remove_reports

STUDIES = "studies"  # the folder of studies among those of runs


def run_study(
    grid: Grid, context: RunContext, *, out: Path, jobs: int = 1
) -> tuple[StudyResult, Path]:
    """Train, judge and rank the arms of a study; return the result and the folder of its report.

    `jobs` is the number of trainings at a time.

    Raises:
        HarnessError: data that cannot be read, or fewer than two arms are left.
        InfrastructureError: a service, disk or process failed; finished work is kept.
        PendingRepliesError: there is no result before replies have come by batch.
    """
    # 1. State the study before anything is trained.
    started = datetime.now(UTC).isoformat(timespec="seconds")
    folder = out / STUDIES / grid.study.study
    remove_reports(folder, STUDY_FILES)  # an earlier study must not be read as this one
    looks = grid.looks(grid.ranked_task.n_distinct)
    with context.open():
        stated = state_study(grid, context.store.workspace)
    # 2. Train, judge and compare at every look, and drop what cannot be the best any more.
    run = _StudyRun(grid, context, out)
    levels = look_levels(grid.study.alpha, len(looks))
    for look, alpha in zip(looks, levels, strict=True):
        if len(looks) > 1:
            context.progress.log(f"look {look.number} of {len(looks)}: {look.n_items} items")
        train_arms(grid, run.remaining, look, run.trained, context, jobs=jobs)
        run.take_look(look, alpha, final=look is looks[-1])
        if len(run.remaining) < 2:
            break
    # 3. Rank, and write.
    result = conclude_study(grid, looks, stated, run.outcome(), started)
    write_study(result, folder)
    return result, folder


class _StudyRun:
    """One execution of a study: what is trained, measured and known so far."""

    def __init__(self, grid: Grid, context: RunContext, out: Path) -> None:
        self._grid = grid
        self._context = context
        self._out = out
        self._standing = begin_standing(grid.names)
        self._scores: dict[str, ArmScores] = {}
        self._looks: list[StudyLook] = []
        self._runs: list[FinishedRun] = []
        self._dropped: dict[str, int] = {}
        self.remaining = list(grid.names)
        self.trained = Trained({}, {})

    def take_look(self, look: Look, alpha: float, *, final: bool) -> None:
        """Answer and judge what the look needs, compare the arms, and drop those that are beaten."""
        # 1. Measure every arm that could be trained and scored.
        finished = self._measure(look)
        names = [name for name in self.remaining if name not in self.trained.problems]
        scores = arm_scores(read_scores(finished.folder), self._grid.study.metric, names)
        self._scores |= dict.fromkeys(names, scores)
        self._runs.append(finished)
        # 2. Compare them.
        self._standing = compare_at_look(self._standing, scores, look.number, alpha)
        beaten = {} if final else beaten_arms(self._standing, names)
        self._looks.append(
            StudyLook(
                number=look.number,
                seeds=look.seeds,
                n_items=look.n_items,
                alpha=alpha,
                arms=tuple(names),
                dropped=beaten,
                judgements=_count_judged(scores),
                run_id=finished.result.run_id,
                folder=str(finished.folder),
            )
        )
        # 3. Drop the beaten.
        for name, other in beaten.items():
            self._context.progress.log(f"{name} is dropped: {other} is better")
            self._dropped[name] = look.number
        self.remaining = [name for name in names if name not in beaten]

    def _measure(self, look: Look) -> FinishedRun:
        """Run the suite with the arms that are left; one without any score is left out with its words.

        Raises:
            HarnessError: fewer than two arms could be trained and scored.
        """
        while True:
            names = [name for name in self.remaining if name not in self.trained.problems]
            if len(names) < 2:
                told = "; ".join(f"{name}: {why}" for name, why in self.trained.problems.items())
                raise HarnessError(
                    f"study '{self._grid.study.study}': fewer than two arms are left to compare. {told}"
                )
            request = self._grid.request(names, look)
            made = prepare_arms(self._grid, names, look, self.trained, self._context)
            try:
                return run_suite(request, self._context, out=self._out, counted=False, made=made)
            except NoScoresError as error:
                if not error.models:
                    raise
                self.trained.problems.update(dict.fromkeys(error.models, str(error)))

    def outcome(self) -> Outcome:
        """Return what the looks showed."""
        return Outcome(
            self._standing, self._scores, self._looks, self._runs, self._dropped, self.trained
        )


def _count_judged(scores: ArmScores) -> int:
    """Count the judged answers, or pairs of answers, that the ranking rests on so far."""
    cells = [matrix.size for matrix in scores.observed.values()]
    return sum(cells) * (len(cells) - 1) // 2 if scores.preference else sum(cells)
