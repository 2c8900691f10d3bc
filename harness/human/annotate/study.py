"""Design of a study: the pairs of answers that people are shown, fixed before the first vote.

Items are drawn at random with a stated seed from those on which both models gave an answer and
the answers differ; on the others the verdict is known without a vote.
"""

import math
import random
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from harness.artifacts.answers import AnsweredItems, read_answers
from harness.artifacts.results_json import load_result
from harness.artifacts.run_folder import load_run
from harness.config import PairwiseMetric, RubricMetric
from harness.core.errors import HarnessError, did_you_mean
from harness.core.files import write_private
from harness.human.annotate.interest import find_interest
from harness.human.annotate.next_draw import NextDraw, draw_next
from harness.human.labels import HumanLabels, load_study_labels
from harness.human.votes import PEOPLE_FOLDER, STUDY_FILE, load_study
from harness.stats.unequal_draw import draw_items, inclusion_chances
from harness.types import Plan, RunResult, ScoredCriterion, Study, StudyItem, Task
from harness.types.samples import same_text

N = 100
SEED = 1
BREAK_EVERY = 25  # votes
LEAST_VOTES = 10  # pairs; whoever stops before has hardly begun
ATTENTION_AT_LEAST = 0.75
ASKS = "Which answer would you rather have given to the person who asked?"
MIN_WORDS = 8  # a shorter answer may still make sense with its words shuffled
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class StudyOptions(NamedTuple):
    """The options of a study; None takes a default, or the value of a study that has begun."""

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
    informative: bool | None = None
    least_votes: int | None = None
    after: str | None = None


class OpenStudy(NamedTuple):
    """A study with its folder and the texts of its items."""

    study: Study
    folder: Path
    items: AnsweredItems


def open_study(run: Path, options: StudyOptions) -> OpenStudy:
    """Open the run's study of that name, and begin it if it does not exist.

    Raises:
        HarnessError: the run has nothing to compare, or the study was begun with other options.
        InfrastructureError: the study could not be written.
    """
    folder = study_folder(run, options.name)
    if (folder / STUDY_FILE).is_file():
        return reopen_study(run, options)
    result = load_result(run)
    task = _choose_task(result.plan, options.metric)
    items = read_answers(run, task.name)
    interest = find_interest(load_run(run), task, options.metric) if options.informative else None
    earlier = _load_earlier(run, task, options) if options.after else None
    study = draw_study(result, task, items, options, interest, earlier)
    write_private(folder / STUDY_FILE, study.model_dump_json(indent=1).encode())
    return OpenStudy(study, folder, items)


def _load_earlier(run: Path, task: Task, options: StudyOptions) -> HumanLabels:
    """Load the labels of the study after which another is drawn.

    Raises:
        HarnessError: there is none, or it asked another question.
    """
    earlier = load_study(study_folder(run, options.after or ""))
    metric, _ = _find_pairwise_metric(task, options.metric)
    if (earlier.task, earlier.metric, earlier.rubric is not None) != (
        task.name,
        metric,
        bool(options.rubric),
    ):
        raise HarnessError(
            f"--after {options.after}: this study asked another question, so that its labels do not count with "
            "new ones. Give the --metric and --rubric with which it was begun."
        )
    return load_study_labels(study_folder(run, options.after or ""))


def reopen_study(run: Path, options: StudyOptions) -> OpenStudy:
    """Open the run's existing study of that name.

    Raises:
        HarnessError: there is none, it is damaged, or it was begun with other options.
    """
    folder = study_folder(run, options.name)
    result, study = load_result(run), load_study(folder)
    if study.run_id != result.run_id:
        raise HarnessError(f"{folder}: belongs to run {study.run_id}, not {result.run_id}.")
    _require_same_options(study, options, folder)
    return OpenStudy(study, folder, read_answers(run, study.task))


def study_folder(run: Path, name: str) -> Path:
    """Return the folder of the run's study of that name.

    Raises:
        HarnessError: the name cannot be one of a folder.
    """
    if not _NAME.fullmatch(name):
        raise HarnessError(f"--study '{name}': a name has letters, digits, '.', '_' and '-' only.")
    return run / PEOPLE_FOLDER / name


def draw_study(
    result: RunResult,
    task: Task,
    items: AnsweredItems,
    options: StudyOptions,
    interest: Mapping[str, float] | None = None,
    earlier: HumanLabels | None = None,
) -> Study:
    """Draw a new study of the run's candidate against its baseline.

    With an `interest` of each item, half of its chance to be drawn is in proportion to it. With the labels of
    an `earlier` study it is of pairs without one.

    Raises:
        HarnessError: the run has one model, or no item has two different answers.
    """
    plan = result.plan
    models = plan.baseline, plan.candidate
    if len(plan.models) < 2:
        raise HarnessError("the run has one model only; a blind comparison needs two.")
    frame_ids = [
        i for i, item in items.items() if same_text(*(item.answers[m] for m in models)) is False
    ]
    if not frame_ids:
        raise HarnessError(f"{task.name}: the two models gave no two different answers.")
    metric, spec = _find_pairwise_metric(task, options.metric)
    rubric, criteria = _find_rubric(task) if options.rubric else (None, ())

    # Draw the items, those shown twice, and the attention items, in this order of the generator.
    seed = _or_default(options.seed, SEED)
    rng = random.Random(seed)
    n = min(_or_default(options.n, N), len(frame_ids))
    chances: Mapping[str, float] = {}
    following = NextDraw()
    if earlier is not None:
        following = draw_next(earlier, interest, n, seed, options.after or "")
        sampled_ids, chances = list(following.new_ids), following.chances
    elif interest is None or n == len(frame_ids):
        sampled_ids = rng.sample(frame_ids, n)
    else:
        of_items = inclusion_chances(np.array([interest[i] for i in frame_ids]), n)
        sampled_ids = [frame_ids[i] for i in draw_items(of_items, seed)]
        chances = dict(zip(frame_ids, of_items.tolist(), strict=True))
    n_repeats = _or_default(options.repeats, math.ceil(len(sampled_ids) / 10))
    n_attention = _or_default(options.attention, max(4, math.ceil(len(sampled_ids) / 20)))
    repeated_ids = rng.sample(sampled_ids, min(n_repeats, len(sampled_ids)))
    real = [_item("real", n, task, i) for n, i in enumerate(sampled_ids, 1)]
    repeats = [_item("repeat", n, task, i) for n, i in enumerate(repeated_ids, 1)]
    attention = _attention_items(n_attention, task, items, sampled_ids, models, rng)
    return Study(
        name=options.name,
        run_id=result.run_id,
        plan_hash=plan.hash,
        baseline=plan.baseline,
        candidate=plan.candidate,
        task=task.name,
        metric=metric,
        asks=spec.asks if spec else ASKS,
        rubric=rubric,
        criteria=criteria,
        show_reference=bool(options.show_reference),
        seed=seed,
        n=len(sampled_ids),
        n_items=len(items),
        n_comparable=len(frame_ids),
        attention_at_least=_or_default(options.attention_at_least, ATTENTION_AT_LEAST),
        break_every=_or_default(options.break_every, BREAK_EVERY),
        items=(*real, *repeats, *attention),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        secret=secrets.token_hex(32),
        chances=dict(chances),
        after=options.after or "",
        carried=following.carried,
        carried_chances=dict(following.carried_chances),
        least_votes=min(_or_default(options.least_votes, LEAST_VOTES), len(sampled_ids)),
    )


# --- items -----------------------------------------------------------------------------------


def _item(kind: Literal["real", "repeat"], number: int, task: Task, sample_id: str) -> StudyItem:
    return StudyItem(key=f"{kind}-{number:04d}", kind=kind, task=task.name, sample_id=sample_id)


def _attention_items(
    n: int,
    task: Task,
    items: AnsweredItems,
    sampled_ids: Sequence[str],
    models: tuple[str, str],
    rng: random.Random,
) -> Iterator[StudyItem]:
    """Make up to `n` items with a known right answer, first on questions outside the sample.

    Both texts are of the same model, so that its style gives nothing away. Decoys alternate between
    an answer to another question and the expected answer with its words shuffled.
    """
    sampled = set(sampled_ids)
    other_ids = [i for i in items if i not in sampled]
    pool = rng.sample(other_ids, len(other_ids)) + rng.sample(list(sampled_ids), len(sampled_ids))
    n_made = 0
    for sample_id in pool:
        if n_made == n:
            return
        # Choose the model whose answer is expected, and find what can serve as a decoy.
        side: Literal["baseline", "candidate"] = rng.choice(("baseline", "candidate"))
        model = models[side == "candidate"]
        answer = items[sample_id].answers[model]
        decoy_ids = [i for i in items if same_text(items[i].answers[model], answer) is False]
        can_shuffle = len((answer or "").split()) >= MIN_WORDS
        if not answer or not answer.strip() or not (decoy_ids or can_shuffle):
            continue
        shuffle = can_shuffle and (n_made % 2 == 1 or not decoy_ids)
        n_made += 1
        yield StudyItem(
            key=f"attention-{n_made:04d}",
            kind="attention",
            task=task.name,
            sample_id=sample_id,
            expected=side,
            decoy="shuffled" if shuffle else "other_question",
            decoy_of=None if shuffle else rng.choice(decoy_ids),
        )


# --- questions -------------------------------------------------------------------------------


def _choose_task(plan: Plan, metric: str | None) -> Task:
    """Choose the task of the named pairwise metric; else of the first one; else the first with answers."""
    pairwise = {
        name: task
        for task in plan.tasks
        for name, spec in task.metrics.items()
        if isinstance(spec, PairwiseMetric)
    }
    if metric is None:
        answered = (task for task in plan.tasks if task.scored_options is None)
        chosen = next(iter(pairwise.values()), None) or next(answered, None)
        if chosen is None:
            raise HarnessError(
                "the run has log-probabilities of options and no answers, so people have nothing to compare."
            )
        return chosen
    if metric not in pairwise:
        raise HarnessError(
            f"the run has no pairwise metric '{metric}'. {did_you_mean(metric, pairwise)}"
        )
    return pairwise[metric]


def _find_pairwise_metric(
    task: Task, wanted_name: str | None
) -> tuple[str | None, PairwiseMetric | None]:
    for name, spec in task.metrics.items():
        if isinstance(spec, PairwiseMetric) and wanted_name in (None, name):
            return name, spec
    return None, None


def _find_rubric(task: Task) -> tuple[str, tuple[ScoredCriterion, ...]]:
    for name, spec in task.metrics.items():
        if isinstance(spec, RubricMetric):
            low, high = spec.scale
            return name, tuple(
                ScoredCriterion(name=c.name, asks=c.asks, low=low, high=high, anchors=c.anchors)
                for c in spec.criteria
            )
    raise HarnessError(f"--rubric: the suite states no rubric for {task.name}.")


# --- options ---------------------------------------------------------------------------------


def _require_same_options(study: Study, options: StudyOptions, folder: Path) -> None:
    """Raise if an option differs from the study's; people may have voted under its design."""
    kinds = [item.kind for item in study.items]
    n = options.n
    if n is not None and study.n == study.n_comparable:
        n = min(n, study.n)  # more than there are means all of them
    if study.after:
        n = None  # about so many were drawn
    values: dict[str, tuple[object, object]] = {
        "--n": (n, study.n),
        "--seed": (options.seed, study.seed),
        "--attention": (options.attention, kinds.count("attention")),
        "--repeats": (options.repeats, kinds.count("repeat")),
        "--least-votes": (options.least_votes, study.least_votes),
        "--attention-at-least": (options.attention_at_least, study.attention_at_least),
        "--break-every": (options.break_every, study.break_every),
        "--metric": (options.metric, study.metric),
        "--rubric": (options.rubric, study.rubric is not None),
        "--reference": (options.show_reference, study.show_reference),
        "--informative": (options.informative, len(set(study.chances.values())) > 1),
        "--after": (options.after, study.after),
    }
    for option, (value, study_value) in values.items():
        if value is not None and value != study_value:
            raise HarnessError(
                f"{folder}: was begun with {option} {study_value}, which cannot change once people "
                f"may have voted. Leave {option} out to go on, or begin another study with --study."
            )


def _or_default(value: T | None, default: T) -> T:
    return default if value is None else value
