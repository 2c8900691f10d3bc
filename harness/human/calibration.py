"""`harness calibrate`: a run's judge held to people, and its figures corrected by their labels.

    judge, all items    J J J J J J J J …
    people, some        Y   Y     Y         drawn at random: only these speak for the others

Agreement stands beside that of people with each other, which is the most that a judge can be asked
for. What is corrected is right on average whatever the judge does (harness/stats/corrected.py);
the judge's own interval, however narrow, is not.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.artifacts.answers import AnsweredItems, read_answers
from harness.artifacts.run_folder import Run
from harness.core.errors import HarnessError
from harness.human.corrections import correct_column
from harness.human.judge_agreement import judge_agreement
from harness.human.label_join import LabelledColumn, join_labels
from harness.human.labels import HumanLabels, load_label_file, load_study_labels
from harness.human.summary import describe_unsafe, summarise_labels
from harness.human.votes import PEOPLE_FOLDER, find_studies
from harness.scoring.columns import ScoreColumn
from harness.types import Calibration, HumanSummary

FEW_LABELS = 50  # below it the corrected intervals are a little too narrow


HALF_WIDTH = 0.05  # of a share or a win rate, and of a scale's range


_NOT_CORRECTED = (
    "nothing is corrected: the labelled items are not stated to be a random sample of the run's, and "
    "labels on chosen items say nothing of the others. If they were drawn at random, say --random "
    "(in a profile 'drawn: random')."
)


def find_human_labels(
    run: Path, *, study: str | None, labels: Path | None, drawn_at_random: bool
) -> HumanLabels:
    """Whom to hold the run's judge to: a study of it, its only one if unnamed, or a file.

    Raises:
        HarnessError: nobody has voted, several studies and none named, or a file that is wrong.
    """
    if labels is not None and study is not None:
        raise HarnessError("name either --study or --labels, not both.")
    if labels is not None:
        return load_label_file(labels, drawn_at_random=drawn_at_random)
    if drawn_at_random:
        raise HarnessError("--random goes with --labels; a study says itself how it was drawn.")
    if study is not None:
        return load_study_labels(run / PEOPLE_FOLDER / study)
    found = find_studies(run)
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise HarnessError(f"{run}: has several studies; name one with --study: {names}.")
    return load_study_labels(found[0])


def calibrate_run(run: Run, people: HumanLabels, *, half_width: float = HALF_WIDTH) -> Calibration:
    """Every judged column that people labelled too.

    `half_width` is what the corrected intervals should come to, as a share of a scale's range.

    Raises:
        HarnessError: the labels are about other items or models than the run's, or about nothing
            that a judge of the run has judged.
    """
    plan = run.result.plan
    baseline, candidate = plan.baseline, plan.candidate
    _refuse_strangers(run, people)
    columns = list(join_labels(plan, run.columns, people))
    found = summarise_labels(people, baseline, candidate)
    refused = None if labels_are_representative(people, run.columns) else _NOT_CORRECTED
    texts = _texts(run)
    return Calibration(
        run_id=run.result.run_id,
        suite=plan.suite,
        baseline=baseline,
        candidate=candidate,
        people=found,
        judges=tuple(judge_agreement(column, texts, (baseline, candidate)) for column in columns),
        corrected=()
        if refused
        else tuple(
            each
            for column in columns
            for each in correct_column(column, (baseline, candidate), half_width)
        ),
        refused=refused,
        notes=tuple(_notes(run, people, found, columns)),
    )


def labels_are_representative(people: HumanLabels, columns: Sequence[ScoreColumn]) -> bool:
    """Whether the labelled items are a random sample, or all that there are."""
    labelled = {label.sample_id for label in people.labels}
    return people.random or all(set(column.sample_ids) <= labelled for column in columns)


def _refuse_strangers(run: Run, people: HumanLabels) -> None:
    """Labels about other things than the run's are a mistake, not a small overlap."""
    plan = run.result.plan
    known = {i for column in run.columns for i in column.sample_ids}
    for label in people.labels:
        if label.sample_id not in known:
            raise HarnessError(
                f"{people.source}: item '{label.sample_id}' is not one of this run's {len(known)}."
            )
        for model in label.scores:
            if model not in {planned.name for planned in plan.models}:
                names = ", ".join(planned.name for planned in plan.models)
                raise HarnessError(
                    f"{people.source}: '{model}' is no model of this run. Its models: {names}."
                )


def _texts(run: Run) -> dict[str, AnsweredItems]:
    return {task.name: read_answers(run.folder, task.name) for task in run.result.plan.tasks}


def _notes(
    run: Run, people: HumanLabels, found: HumanSummary, columns: Sequence[LabelledColumn]
) -> Iterator[str]:
    if not columns:
        yield "no judge of this run judged what people labelled; there is nothing to hold to them."
    if (n := len({i for c in columns for i, _ in c.subjects})) and n < FEW_LABELS:
        yield (
            f"{n} labelled items: below {FEW_LABELS} the corrected intervals are a little too narrow."
        )
    labelled = {label.sample_id for label in people.labels}
    if missing := len(set(people.sampled_ids) - labelled):
        yield (
            f"{missing} of {len(people.sampled_ids)} sampled items have no label yet. Each annotator sees "
            "them in a random order of their own, so those there are still speak for all."
        )
    if found.unsafe:
        yield describe_unsafe(found)
    out = [line.name for line in found.annotators if not line.counted]
    if out:
        yield f"excluded by the rule stated beforehand ({people.rule}): {', '.join(out)}."
    if people.annotators and len(people.annotators) == 1:
        yield (
            "one annotator: agreement is with this person, and how far people agree among "
            "themselves is not known."
        )
    if any(column.clusters is not None for column in run.columns):
        yield "items come in clusters, and the intervals here take them as independent."
