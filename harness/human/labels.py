"""Human labels in one form: the votes of a study, or a table of labels in a file.

    study    runs/medical_rubric/4be81c02d4c1/people/study      written by `harness annotate`
    labels   a table with one row per item, annotator and, for scores, model:

        item       annotator  winner      model  safety  helpful
        asthma-02  Ada        candidate
        asthma-02  Ben        tie
        asthma-02  Ada                    dpo    8       1

`winner` is baseline, candidate, tie, both_unsafe (counts as a tie) or cannot_judge (no label).
Without a column `annotator`, all labels are those of one annotator. A profile can describe tables
with other columns and words (`LabelsFile`).
"""

import random
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.artifacts.answers import AnsweredItems, read_answers
from harness.artifacts.results_json import load_result
from harness.config import LabelsFile, PeopleSpec, Source
from harness.config.request import Request
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.yaml_loader import load_spec
from harness.data.tables import Table, load_rows
from harness.data.tasks import plan_tasks
from harness.human.annotate.placements import require_placed
from harness.human.label_fit import LeftOut, fit_labels
from harness.human.label_rows import Label, RowIds, read_labels
from harness.human.votes import describe_rule, describe_source, find_studies, load_study, load_votes
from harness.types import Order, ScoredCriterion, Study, Vote, Winner
from harness.types.samples import same_text


class AnnotatorStatus(NamedTuple):
    """One annotator's votes and attention items; `counted` is False where the rule was broken."""

    name: str
    counted: bool
    n_votes: int = 0
    n_attention: int = 0
    n_attentive: int = 0


class HumanLabels(NamedTuple):
    """The labels that count, with the sampling of the items and the question.

    Attributes:
        source: what reports call these labels.
        annotator_status: every annotator who voted, also those whose votes are excluded.
        repeat_votes: annotator, first winner and second winner of each item shown twice.
        sampled_ids: the items that annotators were given.
        frame_ids: the items from which they were sampled; None where that is unknown.
        metric_ids: the items on which a metric judged by these people is computed.
        random: whether the items were sampled at random.
        sampling: the sampling in words.
        rule: the rule that annotators had to keep, in words.
        answers: the texts that annotators saw, by item and model; None where they are unknown.
        models: baseline and candidate; None where the labels name no pair.
        metric: the pairwise metric that the winners answer.
        rubric: the metric whose criteria were scored.
        asks: the question about the two answers; None where its words are unknown.
        criteria: the criteria that were scored, with their scales.
        chances: of each item in the frame, its chance to be drawn, where these differ. The items
            are then no random sample as they are.
        left_out: the labels in files that are of other items or models than the run's.
    """

    source: str
    labels: tuple[Label, ...]
    annotator_status: tuple[AnnotatorStatus, ...]
    repeat_votes: tuple[tuple[str, Winner | None, Winner | None], ...]
    sampled_ids: tuple[str, ...]
    frame_ids: tuple[str, ...] | None
    metric_ids: tuple[str, ...]
    random: bool
    sampling: str
    rule: str
    answers: Mapping[str, Mapping[str, str | None]] | None
    fingerprint: str
    models: tuple[str, str] | None = None
    metric: str | None = None
    rubric: str | None = None
    asks: str | None = None
    criteria: tuple[ScoredCriterion, ...] = ()
    chances: Mapping[str, float] | None = None
    left_out: LeftOut = LeftOut()

    @property
    def annotators(self) -> tuple[str, ...]:
        """List the annotators whose labels count, in the order of their first label."""
        return tuple(dict.fromkeys(label.annotator for label in self.labels))


def load_human_labels(spec: PeopleSpec, request: Request) -> HumanLabels:
    """Load the labels that a request's profile names, as far as they are of its models.

    Raises:
        HarnessError: the study or file is missing or unreadable, or a run has several studies.
    """
    root = request.profile_root
    if spec.study is None:
        return _load_label_files(spec, root, request.models, lambda: _ids_by_row(request))
    folders = find_studies(root / spec.study)
    if len(folders) > 1:
        names = ", ".join(folder.name for folder in folders)
        raise HarnessError(
            f"{spec.study}: has several studies; name the folder of one, below people: {names}."
        )
    return load_study_labels(folders[0])


def _ids_by_row(request: Request) -> dict[str, str]:
    tasks = plan_tasks(request)
    return ids_by_row((s.row, s.id) for task in tasks for s in task.samples if s.draw == 0)


def ids_by_row(rows: Iterable[tuple[int, str]]) -> dict[str, str]:
    """Return the item's id by the number of its row, by which labels are joined.

    Raises:
        HarnessError: the rows are those of several data sets.
    """
    ids: dict[str, str] = {}
    for row, sample_id in rows:
        if ids.setdefault(str(row), sample_id) != sample_id:
            raise HarnessError(
                f"row {row} is '{ids[str(row)]}' in one data set of the suite and '{sample_id}' in "
                "another; join the labels by item."
            )
    return ids


# --- a study ---------------------------------------------------------------------------------


def load_study_labels(folder: Path) -> HumanLabels:
    """Load the votes of a study, without annotators who failed its attention rule.

    Raises:
        HarnessError: there is no study, a line of it is damaged, or its run's answers are missing.
        InfrastructureError: a vote cannot have been cast on it, or its run was changed.
    """
    study, votes = load_study(folder), load_votes(folder)
    run = folder.resolve().parent.parent
    result = load_result(run)
    if study.run_id != result.run_id:
        raise HarnessError(f"{folder}: belongs to run {study.run_id}, not {result.run_id}.")
    answers = read_answers(run, study.task)
    require_placed(votes, study, answers, folder)
    models = study.baseline, study.candidate

    # Keep the votes on real pairs of annotators who kept the rule.
    annotator_status = tuple(_annotator_status(study, votes))
    counted_names = {status.name for status in annotator_status if status.counted}
    counted_votes = [v for v in votes if v.kind == "real" and v.annotator in counted_names]

    sampled_ids = tuple(item.sample_id for item in study.items if item.kind == "real")
    frame_ids = tuple(
        i for i, item in answers.items() if same_text(*(item.answers[m] for m in models)) is False
    )
    people = HumanLabels(
        source=describe_source(study),
        labels=tuple(_label_of_vote(vote) for vote in counted_votes),
        annotator_status=annotator_status,
        repeat_votes=tuple(_repeat_votes(votes, counted_votes)),
        sampled_ids=sampled_ids,
        frame_ids=frame_ids,
        metric_ids=_metric_ids(study, sampled_ids, frame_ids, answers),
        random=not study.chances,
        sampling=f"{study.n} drawn {_draw_in_words(study)} (seed {study.seed}) from {study.n_comparable} items "
        f"with two different answers, of {study.n_items} in all",
        rule=describe_rule(study),
        answers={i: {m: item.answers[m] for m in models} for i, item in answers.items()},
        fingerprint=content_hash(
            study.model_dump(mode="json", exclude={"secret"}),
            [vote.model_dump(mode="json", exclude={"comment"}) for vote in votes],
        ),
        models=models,
        metric=study.metric,
        rubric=study.rubric,
        asks=study.asks,
        criteria=study.criteria,
        chances=study.chances or None,
    )
    return (
        _join_earlier(people, study, load_study_labels(folder.parent / study.after))
        if study.after
        else people
    )


def _join_earlier(people: HumanLabels, study: Study, earlier: HumanLabels) -> HumanLabels:
    """Return a study's labels with those that were there when it was drawn, and the chance to be in either.

    Annotators see the drawn pairs in random order, so that of an unfinished study each chance is smaller by
    the same factor.
    """
    own = dict.fromkeys(label.sample_id for label in people.labels)
    done = len(own) / max(len(people.sampled_ids), 1)
    carried = set(study.carried)
    either = {
        i: 1 - (1 - study.carried_chances[i]) * (1 - min(1.0, chance * done))
        for i, chance in study.chances.items()
    }
    sampled_ids = (*study.carried, *own)
    return people._replace(
        labels=(*(label for label in earlier.labels if label.sample_id in carried), *people.labels),
        annotator_status=(*earlier.annotator_status, *people.annotator_status),
        repeat_votes=(*earlier.repeat_votes, *people.repeat_votes),
        sampled_ids=sampled_ids,
        metric_ids=tuple(dict.fromkeys((*earlier.metric_ids, *people.metric_ids))),
        sampling=f"{people.sampling}, after {len(carried)} of study '{study.after}': {earlier.sampling}",
        chances=either,
        fingerprint=content_hash(people.fingerprint, earlier.fingerprint),
    )


def _draw_in_words(study: Study) -> str:
    return "with known unequal chances" if study.chances else "at random"


def _annotator_status(study: Study, votes: Iterable[Vote]) -> Iterator[AnnotatorStatus]:
    votes_by_name: dict[str, list[Vote]] = {}
    for vote in votes:
        votes_by_name.setdefault(vote.annotator, []).append(vote)
    for name, own_votes in votes_by_name.items():
        attention = [vote.attentive for vote in own_votes if vote.attentive is not None]
        n_votes = sum(vote.kind == "real" for vote in own_votes)
        passed = sum(attention) >= study.attention_at_least * len(attention)
        passed = passed and n_votes >= study.least_votes
        yield AnnotatorStatus(name, passed, n_votes, len(attention), sum(attention))


def _label_of_vote(vote: Vote) -> Label:
    models = {"baseline": vote.baseline, "candidate": vote.candidate}
    scores = {
        models[side]: {name: float(score) for name, score in by_criterion.items()}
        for side, by_criterion in vote.scores.items()
        if side in models
    }
    order: Order = "baseline_first" if vote.left == "baseline" else "candidate_first"
    unsafe = vote.verdict == "both_unsafe"
    return Label(vote.sample_id, vote.annotator, vote.winner, True, scores, order, unsafe)


def _repeat_votes(
    votes: Iterable[Vote], counted_votes: Iterable[Vote]
) -> Iterator[tuple[str, Winner | None, Winner | None]]:
    first_winners = {(vote.annotator, vote.sample_id): vote.winner for vote in counted_votes}
    for vote in votes:
        key = vote.annotator, vote.sample_id
        if vote.kind == "repeat" and key in first_winners:
            yield vote.annotator, first_winners[key], vote.winner


def _metric_ids(
    study: Study,
    sampled_ids: tuple[str, ...],
    frame_ids: tuple[str, ...],
    answers: AnsweredItems,
) -> tuple[str, ...]:
    """Return the sampled items, and the same share of the items outside the sampling frame.

    Where the answers are equal, or one is missing, the verdict is known without a vote. Without
    these items a win rate would describe other items than the suite's. They are all known, and are
    all returned, where the sampled items have weights.
    """
    outside = sorted(set(answers) - set(frame_ids))
    share = len(sampled_ids) / len(frame_ids) if frame_ids else 0.0
    share = 1.0 if study.chances else share
    sampled_outside = random.Random(study.seed).sample(outside, round(share * len(outside)))
    selected = {*sampled_ids, *sampled_outside}
    return tuple(i for i in answers if i in selected)


# --- files -----------------------------------------------------------------------------------


def load_label_file(
    path: Path,
    *,
    drawn_at_random: bool = False,
    models: Sequence[str] = (),
    row_ids: RowIds | None = None,
) -> HumanLabels:
    """Load a table of labels, or those that a YAML file describes as a profile does.

    `drawn_at_random` states how the items were chosen. With `models`, the first the baseline and the
    last the candidate, labels of others are left out. `row_ids` are of the items to join by row.

    Raises:
        HarnessError: a file is missing, or a row of it is not a label.
    """
    drawn: Literal["random"] | None = "random" if drawn_at_random else None
    root: Path | None = None
    spec = PeopleSpec(labels=(LabelsFile(path=str(path)),), drawn=drawn)
    if path.suffix in {".yaml", ".yml"}:
        spec, root = load_spec(path, PeopleSpec), path.parent
        if not spec.labels:
            raise HarnessError(f"{path}: names a study; --study does that.")
        spec = spec.model_copy(update={"drawn": drawn or spec.drawn})
    return _load_label_files(spec, root, models, row_ids)


def _load_label_files(
    spec: PeopleSpec, root: Path | None, models: Sequence[str], row_ids: RowIds | None
) -> HumanLabels:
    tables = [(file, _load_table(file, root)) for file in spec.labels]
    drawn_at_random = spec.drawn == "random"
    meanings = [file.meaning for file in spec.labels]
    hashes = [table.sha256 for _, table in tables]
    plain = len(hashes) == 1 and not meanings[0]
    names = dict.fromkeys(Path(table.origin).name for _, table in tables)
    people = HumanLabels(
        source=f"labels in {' and '.join(names)}",
        labels=read_labels(tables, row_ids),
        annotator_status=(),
        repeat_votes=(),
        sampled_ids=(),
        frame_ids=None,
        metric_ids=(),
        random=drawn_at_random,
        sampling="",
        rule="none stated",
        answers=None,
        fingerprint=content_hash(hashes[0], drawn_at_random)
        if plain
        else content_hash(hashes, meanings, drawn_at_random),
    )
    return fit_people(people, models, None) if models else _describe_labels(people)


def _load_table(file: LabelsFile, root: Path | None) -> Table:
    """Load a file's rows; a path alone may lead anywhere, as it always could."""
    if file.path is not None and file == LabelsFile(path=file.path):
        return load_rows(Source(path=str((root or Path()) / file.path)), None)
    return load_rows(file, root).with_columns(file.columns)


def fit_people(
    people: HumanLabels, models: Sequence[str], item_ids: Container[str] | None
) -> HumanLabels:
    """Limit labels to a run's models and items, and count those that are left out.

    `models` are baseline first and candidate last; without item ids all items count.
    """
    labels, left_out = fit_labels(people.labels, models, item_ids)
    compared = any(label.compared is not None for label in labels)
    fitted = people._replace(
        labels=labels,
        left_out=people.left_out.plus(left_out),
        models=(models[0], models[-1]) if compared else people.models,
    )
    return fitted if people.answers is not None else _describe_labels(fitted)


def require_fitting(people: HumanLabels, models: Sequence[str]) -> HumanLabels:
    """Return the labels, if any is left of those that a run can use.

    Raises:
        HarnessError: none is, which points to a wrong file.
    """
    if not people.labels and people.left_out != LeftOut():
        raise HarnessError(
            f"{people.source}: no label is on an item and a model of this run "
            f"({', '.join(models)}); {people.left_out.description}."
        )
    return people


def _describe_labels(people: HumanLabels) -> HumanLabels:
    """Fill in what is known of a file's labels from them alone: annotators and items."""
    names = dict.fromkeys(label.annotator for label in people.labels)
    items = tuple(dict.fromkeys(label.sample_id for label in people.labels))
    how = "drawn at random, as stated" if people.random else "it is not stated how they were chosen"
    left_out = people.left_out.description
    return people._replace(
        annotator_status=tuple(AnnotatorStatus(name, counted=True) for name in names),
        sampled_ids=items,
        metric_ids=items,
        sampling=f"{len(items)} labelled items; {how}" + (f"; {left_out}" if left_out else ""),
    )
