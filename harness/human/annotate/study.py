"""A study: which pairs of answers people are shown, stated before the first vote.

Items are drawn at random with a stated seed from those on which both models gave an answer and
the answers differ; on the others nobody needs to be asked.
"""

import math
import random
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from harness.artifacts.answers import AnsweredItems, read_answers
from harness.artifacts.results_json import load_result
from harness.config import Metric, PairwiseMetric, RubricMetric
from harness.core.errors import HarnessError, InfrastructureError, did_you_mean
from harness.core.files import write_private
from harness.human.votes import PEOPLE_FOLDER, STUDY_FILE, load_study
from harness.types import Plan, RunResult, ScoredCriterion, Study, StudyItem, Task
from harness.types.samples import same_text

N = 100


SEED = 1


BREAK_EVERY = 25


ATTENTION_AT_LEAST = 0.75


ASKS = "Which answer would you rather have given to the person who asked?"


MIN_WORDS = 8  # fewer of them still make sense when shuffled


T = TypeVar("T")


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class StudyOptions(NamedTuple):
    """What a study may be asked to be; None where nobody said, so that a default is taken."""

    name: str = "study"
    n: int | None = None
    seed: int | None = None
    attention: int | None = None
    repeats: int | None = None
    attention_at_least: float | None = None
    break_every: int | None = None
    metric: str | None = None
    rubric: bool | None = None
    show_reference: bool | None = None


class OpenStudy(NamedTuple):
    """A study with its folder and the texts of its items."""

    study: Study
    folder: Path
    items: AnsweredItems


def open_study(run: Path, options: StudyOptions) -> OpenStudy:
    """The run's study of that name, begun now if it is not there yet.

    Raises:
        HarnessError: the run cannot be studied, or the study was begun with other options.
    """
    folder = study_folder(run, options.name)
    if (folder / STUDY_FILE).is_file():
        return reopen_study(run, options)
    result = load_result(run)
    task = _choose_task(result.plan, options.metric)
    items = read_answers(run, task.name)
    study = draw_study(result, task, items, options)
    _write_study(folder, study)
    return OpenStudy(study, folder, items)


def reopen_study(run: Path, options: StudyOptions) -> OpenStudy:
    """The run's study of that name, which is there.

    Raises:
        HarnessError: it is not there, is damaged, or was begun with other options.
    """
    folder = study_folder(run, options.name)
    result, study = load_result(run), load_study(folder)
    if study.run_id != result.run_id:
        raise HarnessError(f"{folder}: belongs to run {study.run_id}, not {result.run_id}.")
    _refuse_changes(study, options, folder)
    return OpenStudy(study, folder, read_answers(run, study.task))


def study_folder(run: Path, name: str) -> Path:
    """Where a study of that name is kept.

    Raises:
        HarnessError: it is no name for a folder.
    """
    if not _NAME.fullmatch(name):
        raise HarnessError(f"--study '{name}': a name has letters, digits, '.', '_' and '-' only.")
    return run / PEOPLE_FOLDER / name


def draw_study(result: RunResult, task: Task, items: AnsweredItems, options: StudyOptions) -> Study:
    """A new study of the run's candidate against its baseline.

    Raises:
        HarnessError: there is nothing to compare.
    """
    plan = result.plan
    models = plan.baseline, plan.candidate
    if len(plan.models) < 2:
        raise HarnessError("the run has one model only; a blind comparison needs two.")
    frame = [
        i for i, item in items.items() if same_text(*(item.answers[m] for m in models)) is False
    ]
    if not frame:
        raise HarnessError(f"{task.name}: the two models gave no two different answers.")
    metric, spec = _pairwise(task, options.metric)
    rubric, criteria = _criteria(task) if options.rubric else (None, ())
    seed = _or(options.seed, SEED)
    rng = random.Random(seed)
    chosen = rng.sample(frame, min(_or(options.n, N), len(frame)))
    repeats = _or(options.repeats, math.ceil(len(chosen) / 10))
    attention = _or(options.attention, max(4, math.ceil(len(chosen) / 20)))
    again = rng.sample(chosen, min(repeats, len(chosen)))
    real = [_item("real", n, task, i) for n, i in enumerate(chosen, 1)]
    repeated = [_item("repeat", n, task, i) for n, i in enumerate(again, 1)]
    return Study(
        name=options.name,
        run_id=result.run_id,
        plan_hash=plan.hash,
        baseline=models[0],
        candidate=models[1],
        task=task.name,
        metric=metric,
        asks=spec.asks if spec else ASKS,
        rubric=rubric,
        criteria=criteria,
        show_reference=bool(options.show_reference),
        seed=seed,
        n=len(chosen),
        n_items=len(items),
        n_comparable=len(frame),
        attention_at_least=_or(options.attention_at_least, ATTENTION_AT_LEAST),
        break_every=_or(options.break_every, BREAK_EVERY),
        items=(*real, *repeated, *_attention_items(attention, task, items, chosen, models, rng)),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        secret=secrets.token_hex(32),
    )


def describe_study(study: Study) -> list[str]:
    """What was stated beforehand, in sentences."""
    kinds = [item.kind for item in study.items]
    attention, repeats = kinds.count("attention"), kinds.count("repeat")
    lines = [
        f"{study.n} pairs of {study.candidate} and {study.baseline}, drawn at random (seed "
        f"{study.seed}) from {study.n_comparable} with two different answers; {study.n_items} "
        "items in all"
    ]
    if repeats:
        lines.append(f"shown twice, with the sides exchanged: {repeats} of them")
    if attention:
        needed = math.ceil(study.attention_at_least * attention)
        lines.append(
            f"{attention} attention items are mixed in: whoever answers fewer than "
            f"{study.attention_at_least:.0%} of them as expected ({needed} of {attention}) does "
            "not count"
        )
    return lines


# --- what is drawn ---------------------------------------------------------------------------


def _item(kind: Literal["real", "repeat"], number: int, task: Task, sample_id: str) -> StudyItem:
    return StudyItem(key=f"{kind}-{number:04d}", kind=kind, task=task.name, sample_id=sample_id)


def _attention_items(
    n: int,
    task: Task,
    items: AnsweredItems,
    chosen: Sequence[str],
    models: tuple[str, str],
    rng: random.Random,
) -> Iterator[StudyItem]:
    """Items with a known right answer, on questions that are not drawn where there are others.

    Both texts are of the same model, so that its style gives nothing away.
    """
    spare = [i for i in items if i not in set(chosen)]
    pool = rng.sample(spare, len(spare)) + rng.sample(list(chosen), len(chosen))
    made = 0
    for sample_id in pool:
        if made == n:
            return
        side: Literal["baseline", "candidate"] = rng.choice(("baseline", "candidate"))
        model = models[side == "candidate"]
        answer = items[sample_id].answers[model]
        others = [i for i in items if same_text(items[i].answers[model], answer) is False]
        can_shuffle = len((answer or "").split()) >= MIN_WORDS
        if not answer or not answer.strip() or not (others or can_shuffle):
            continue
        shuffle = can_shuffle and (made % 2 == 1 or not others)
        made += 1
        yield StudyItem(
            key=f"attention-{made:04d}",
            kind="attention",
            task=task.name,
            sample_id=sample_id,
            expected=side,
            decoy="shuffled" if shuffle else "other_question",
            decoy_of=None if shuffle else rng.choice(others),
        )


# --- what is asked ---------------------------------------------------------------------------


def _choose_task(plan: Plan, metric: str | None) -> Task:
    """The task of the named pairwise metric; else of the first one; else the first task."""
    pairwise = {
        name: task
        for task in plan.tasks
        for name, spec in task.metrics.items()
        if isinstance(spec, PairwiseMetric)
    }
    if metric is None:
        return next(iter(pairwise.values()), plan.tasks[0])
    if metric not in pairwise:
        raise HarnessError(
            f"the run has no pairwise metric '{metric}'. {did_you_mean(metric, pairwise)}"
        )
    return pairwise[metric]


def _pairwise(task: Task, wanted: str | None) -> tuple[str | None, PairwiseMetric | None]:
    for name, spec in task.metrics.items():
        if isinstance(spec, PairwiseMetric) and wanted in (None, name):
            return name, spec
    return None, None


def _criteria(task: Task) -> tuple[str, tuple[ScoredCriterion, ...]]:
    found: dict[str, Metric] = {
        name: spec for name, spec in task.metrics.items() if isinstance(spec, RubricMetric)
    }
    for name, spec in found.items():
        assert isinstance(spec, RubricMetric)
        low, high = spec.scale
        return name, tuple(
            ScoredCriterion(name=c.name, asks=c.asks, low=low, high=high, anchors=c.anchors)
            for c in spec.criteria
        )
    raise HarnessError(f"--rubric: the suite states no rubric for {task.name}.")


# --- keeping ---------------------------------------------------------------------------------


def _refuse_changes(study: Study, options: StudyOptions, folder: Path) -> None:
    """What was stated before the first vote stays as it is."""
    kinds = [item.kind for item in study.items]
    stated: dict[str, tuple[object, object]] = {
        "--n": (options.n, study.n),
        "--seed": (options.seed, study.seed),
        "--attention": (options.attention, kinds.count("attention")),
        "--repeats": (options.repeats, kinds.count("repeat")),
        "--attention-at-least": (options.attention_at_least, study.attention_at_least),
        "--break-every": (options.break_every, study.break_every),
        "--metric": (options.metric, study.metric),
        "--rubric": (options.rubric, study.rubric is not None),
        "--reference": (options.show_reference, study.show_reference),
    }
    for option, (wanted, was) in stated.items():
        capped = option == "--n" and isinstance(wanted, int) and study.n_comparable <= wanted
        if wanted is not None and wanted != was and not (capped and was == study.n_comparable):
            raise HarnessError(
                f"{folder}: was begun with {option} {was}, which cannot change once people may "
                f"have voted. Leave {option} out to go on, or begin another study with --study."
            )


def _write_study(folder: Path, study: Study) -> None:
    path = folder / STUDY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"{path}: could not be written: {error.strerror}.") from None
    write_private(path, study.model_dump_json(indent=1).encode())


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
