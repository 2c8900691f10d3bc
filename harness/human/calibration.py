"""Calibration of a run's judge: agreement with human labels, and estimates corrected by them.

    judge, all items    J J J J J J J J …
    people, some        Y   Y     Y         a random sample of the items

Agreement of the judge with people is reported with the agreement of people with each other, which
is the most that a judge can reach. The corrected estimates are unbiased for any judge
(harness/stats/judge_correction.py); the judge's own interval, however narrow, is not.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from harness.artifacts.answers import read_answers, read_item_rows
from harness.artifacts.run_folder import Run
from harness.core.errors import HarnessError
from harness.human.claim_labels import confirm_claims
from harness.human.corrections import correct_column
from harness.human.judge_agreement import judge_agreement
from harness.human.label_join import LabelledColumn, join_labels
from harness.human.labels import (
    HumanLabels,
    fit_people,
    ids_by_row,
    load_label_file,
    load_study_labels,
    require_fitting,
)
from harness.human.question_match import require_scores_on_scale
from harness.human.summary import describe_unsafe, summarise_labels
from harness.human.votes import PEOPLE_FOLDER, NobodyVotedError, find_studies
from harness.scoring.columns import ScoreColumn
from harness.scoring.paired import gated_pairs
from harness.types import Calibrated, Calibration, Confirmation, HumanSummary

FEW_LABELS = 50  # below it the corrected intervals are a little too narrow
HALF_WIDTH = 0.05  # of a share or a win rate, and of a scale's range

_UNEQUAL_CHANCES = (
    "the items were drawn with known unequal chances: means and agreement above are of the drawn items, "
    "and only the gate's claims are corrected, with weights."
)

_NOT_CORRECTED = (
    "nothing is corrected: the labelled items are not stated to be a random sample of the run's, and "
    "labels on selected items are no evidence on the others. If they were drawn at random, give "
    "--random (in a profile 'drawn: random')."
)


def find_human_labels(
    run: Path, *, study: str | None, labels: Path | None, drawn_at_random: bool
) -> HumanLabels:
    """Load the labels for a run: of the named study, of its only study, or of a file.

    Raises:
        HarnessError: the run has no votes, or several studies and none is named; the file cannot be
            read; or the options contradict each other.
    """
    if labels is not None and study is not None:
        raise HarnessError("name either --study or --labels, not both.")
    if labels is not None:
        rows = partial(_ids_by_row, run)
        return load_label_file(labels, drawn_at_random=drawn_at_random, row_ids=rows)
    if drawn_at_random:
        raise HarnessError("--random goes with --labels; a study records how it was drawn.")
    if study is not None:
        return load_study_labels(run / PEOPLE_FOLDER / study)
    studies = find_studies(run)
    if len(studies) > 1:
        names = ", ".join(folder.name for folder in studies)
        raise HarnessError(f"{run}: has several studies; name one with --study: {names}.")
    return load_study_labels(studies[0])


def find_labels_if_any(run: Path, *, study: str | None, labels: Path | None) -> HumanLabels | None:
    """Load the labels as `find_human_labels`; None where none are named and the run has no study.

    Raises:
        HarnessError: as `find_human_labels`.
    """
    try:
        return find_human_labels(run, study=study, labels=labels, drawn_at_random=False)
    except NobodyVotedError:
        if study is not None:
            raise
        return None


def _ids_by_row(run: Path) -> dict[str, str]:
    return ids_by_row(read_item_rows(run))


def calibrate_run(run: Run, people: HumanLabels, *, half_width: float = HALF_WIDTH) -> Calibration:
    """Compare the judges of a run with people, and correct their estimates.

    `half_width`, a share of a scale's range, is the precision for which the number of further
    labels is computed.

    Raises:
        HarnessError: no label is on an item and a model of the run.
    """
    plan = run.result.plan
    models = plan.baseline, plan.candidate
    names = [planned.name for planned in plan.models]
    ids = {i for column in run.columns for i in column.sample_ids}
    people = require_fitting(fit_people(people, names, ids), names)
    for task in plan.tasks:
        require_scores_on_scale(task.metrics, people)

    columns = list(join_labels(plan, run.columns, people))
    ranges = {
        key: metric.bounds
        for name, metric in plan.metrics.items()
        for key in metric.label_keys(name).values()
    }
    summary = summarise_labels(people, *models, ranges)
    texts = {task.name: read_answers(run.folder, task.name) for task in plan.tasks}
    # Correct the estimates, if the labels are a random sample; claims also where chances are known.
    corrected: list[Calibrated] = []
    confirmations: tuple[Confirmation, ...] = ()
    representative = labels_are_representative(people, run.columns)
    if representative:
        for column in columns:
            corrected += correct_column(column, models, half_width)
    if representative or people.chances is not None:
        confirmations = tuple(_confirm(run, people))
    return Calibration(
        run_id=run.result.run_id,
        suite=plan.suite,
        baseline=plan.baseline,
        candidate=plan.candidate,
        people=summary,
        judges=tuple(judge_agreement(column, texts, models) for column in columns),
        corrected=tuple(corrected),
        refused=None if representative else _UNEQUAL_CHANCES if people.chances else _NOT_CORRECTED,
        notes=tuple(_notes(run, people, summary, columns)),
        confirmations=confirmations,
    )


def _confirm(run: Run, people: HumanLabels) -> Iterator[Confirmation]:
    """Test the gate's claims again with the judge's scores corrected by the labels."""
    plan, decision = run.result.plan, run.result.decision
    if plan.gate is None or decision is None:
        return
    if people.models not in (None, (plan.baseline, plan.candidate)):
        return
    labels = {name: people for task in plan.tasks for name in task.metrics}
    yield from confirm_claims(
        plan, decision, gated_pairs(run.columns, plan), labels, run.result.stopping
    )


def labels_are_representative(people: HumanLabels, columns: Sequence[ScoreColumn]) -> bool:
    """Return whether the labelled items are a random sample of the run's, or all of them.

    Where labels score the models' answers, all items must have a label of each of these models.
    """
    labelled_ids: dict[str, set[str]] = {}
    for label in people.labels:
        for subject in (*label.scores, *(["winner"] if label.asked_winner else [])):
            labelled_ids.setdefault(subject, set()).add(label.sample_id)
    return people.random or all(
        ids.issuperset(column.sample_ids) for ids in labelled_ids.values() for column in columns
    )


def _notes(
    run: Run, people: HumanLabels, summary: HumanSummary, columns: Sequence[LabelledColumn]
) -> Iterator[str]:
    # The labels: their number, and items still without one.
    if not people.labels:
        yield "there is no vote yet, and nothing to compare. `harness annotate` collects them."
    elif not columns:
        yield (
            "no judge of this run judged what people labelled, so there is nothing to compare: votes on the better "
            "answer go with a 'pairwise' metric, scores (`harness annotate --rubric`) with a 'rubric'."
        )
    n = len({i for column in columns for i, _ in column.subjects})
    if 0 < n < FEW_LABELS:
        yield f"{n} labelled items: below {FEW_LABELS} the corrected intervals are a little too narrow."
    n_unlabelled = len(set(people.sampled_ids) - {label.sample_id for label in people.labels})
    if n_unlabelled:
        yield (
            f"{n_unlabelled} of {len(people.sampled_ids)} sampled items have no label yet. Each "
            "annotator sees them in their own random order, so the labelled items are still a "
            "random sample."
        )
    if people.left_out.description:
        yield f"{people.left_out.description}."
    # The annotators: unsafe answers, exclusions, and a single annotator.
    if summary.unsafe:
        yield describe_unsafe(summary)
    excluded = [annotator.name for annotator in summary.annotators if not annotator.counted]
    if excluded:
        yield f"excluded by the rule stated beforehand ({people.rule}): {', '.join(excluded)}."
    if len(people.annotators) == 1:
        yield (
            "one annotator: agreement is with this person, and agreement among people is unknown."
        )
    if any(column.clusters is not None for column in run.columns):
        yield "items come in clusters, and the intervals here take them as independent."
