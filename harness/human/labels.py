"""Human labels in one form: the votes of a study, or a table of labels in a file.

    study    runs/medical_rubric/4be81c02d4c1/people/study      written by `harness annotate`
    labels   a table with one row per item, annotator and, for scores, model:

        item       annotator  winner      model  safety  helpful
        asthma-02  Ada        candidate
        asthma-02  Ben        tie
        asthma-02  Ada                    dpo    8       1

`winner` is baseline, candidate, tie, both_unsafe (counts as a tie) or cannot_judge (no label).
Without a column `annotator`, all labels are those of one annotator.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from harness.artifacts.answers import AnsweredItems, read_answers
from harness.config import PeopleSpec, Source
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.data.tables import Row, Table, join_key, load_rows, text_of
from harness.human.votes import describe_source, find_studies, load_study, load_votes
from harness.types import Order, ScoredCriterion, Study, Vote, Winner
from harness.types.samples import same_text

UNNAMED_ANNOTATOR = "people"  # the annotator of a table without a column of that name

_WINNERS: dict[str, Winner | None] = {
    "baseline": "baseline",
    "candidate": "candidate",
    "tie": "tie",
    "both_unsafe": "tie",
    "cannot_judge": None,
}

_BOOLEANS = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}
_NOT_SCORES = {"item", "annotator", "winner", "model", "comment"}  # columns of a label file


class Label(NamedTuple):
    """One annotator's judgement of one item: the winner, or scores by model and criterion.

    `asked_winner` distinguishes "cannot judge" (a winner of None) from labels with scores only.
    `order` is the order in which the answers were shown, None where it is unknown. `unsafe` marks
    a tie between two unsafe answers. `lines` are file and line of the scores of each model, of labels
    from a file.
    """

    sample_id: str
    annotator: str
    winner: Winner | None = None
    asked_winner: bool = False
    scores: Mapping[str, Mapping[str, float]] = {}
    order: Order | None = None
    unsafe: bool = False
    lines: Mapping[str, str] = {}


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

    @property
    def annotators(self) -> tuple[str, ...]:
        """List the annotators whose labels count, in the order of their first label."""
        return tuple(dict.fromkeys(label.annotator for label in self.labels))


def load_human_labels(spec: PeopleSpec, root: Path) -> HumanLabels:
    """Load the labels that a profile names; relative paths start from `root`.

    Raises:
        HarnessError: the study or file is missing or unreadable, or a run has several studies.
    """
    if spec.study is not None:
        folders = find_studies(root / spec.study)
        if len(folders) > 1:
            names = ", ".join(folder.name for folder in folders)
            raise HarnessError(
                f"{spec.study}: has several studies; name the folder of one, below people: {names}."
            )
        return load_study_labels(folders[0])
    assert spec.labels is not None
    return load_label_file(root / spec.labels, drawn_at_random=spec.drawn == "random")


# --- a study ---------------------------------------------------------------------------------


def load_study_labels(folder: Path) -> HumanLabels:
    """Load the votes of a study, without annotators who failed its attention rule.

    Raises:
        HarnessError: there is no study, a line of it is damaged, or its run's answers are missing.
    """
    study, votes = load_study(folder), load_votes(folder)
    answers = read_answers(folder.resolve().parent.parent, study.task)
    models = study.baseline, study.candidate

    # Keep the votes on real pairs of annotators who kept the rule.
    annotator_status = tuple(_annotator_status(study, votes))
    counted_names = {status.name for status in annotator_status if status.counted}
    counted_votes = [v for v in votes if v.kind == "real" and v.annotator in counted_names]

    sampled_ids = tuple(item.sample_id for item in study.items if item.kind == "real")
    frame_ids = tuple(
        i for i, item in answers.items() if same_text(*(item.answers[m] for m in models)) is False
    )
    return HumanLabels(
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
        rule=f"at least {study.attention_at_least:.0%} of the attention items answered as expected",
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


def _draw_in_words(study: Study) -> str:
    return "with known unequal chances" if study.chances else "at random"


def _annotator_status(study: Study, votes: Iterable[Vote]) -> Iterator[AnnotatorStatus]:
    votes_by_name: dict[str, list[Vote]] = {}
    for vote in votes:
        votes_by_name.setdefault(vote.annotator, []).append(vote)
    for name, own_votes in votes_by_name.items():
        attention = [vote.attentive for vote in own_votes if vote.attentive is not None]
        passed = sum(attention) >= study.attention_at_least * len(attention)
        n_votes = sum(vote.kind == "real" for vote in own_votes)
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


# --- a file ----------------------------------------------------------------------------------


def load_label_file(path: Path, *, drawn_at_random: bool = False) -> HumanLabels:
    """Load a table of labels; `drawn_at_random` states how its items were chosen.

    Raises:
        HarnessError: the file is missing, or a row of it is not a label.
    """
    table = load_rows(Source(path=str(path)), None)
    columns = table.columns
    if "item" not in columns:
        raise HarnessError(
            f"{path}: has no column 'item'. {did_you_mean('item', columns)} The columns of a label "
            "file are item, annotator (where there are several), and winner, or model with scores."
        )
    # Read the labels; annotators and items are known from them alone.
    labels = tuple(_read_labels(table, columns))
    names = dict.fromkeys(label.annotator for label in labels)
    items = tuple(dict.fromkeys(label.sample_id for label in labels))
    how = (
        "drawn at random, as stated" if drawn_at_random else "it is not stated how they were chosen"
    )
    return HumanLabels(
        source=f"labels in {path.name}",
        labels=labels,
        annotator_status=tuple(AnnotatorStatus(name, counted=True) for name in names),
        repeat_votes=(),
        sampled_ids=items,
        frame_ids=None,
        metric_ids=items,
        random=drawn_at_random,
        sampling=f"{len(items)} labelled items; {how}",
        rule="none stated",
        answers=None,
        fingerprint=content_hash(table.sha256, drawn_at_random),
    )


def _read_labels(table: Table, columns: tuple[str, ...]) -> Iterator[Label]:
    score_columns = [column for column in columns if column not in _NOT_SCORES]
    if "winner" not in columns and ("model" not in columns or not score_columns):
        raise HarnessError(
            f"{table.origin}: has neither a column 'winner' nor a column 'model' with scores."
        )
    labels: dict[tuple[str, str], Label] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        where = f"{table.origin}:{line}"
        key = join_key(row.get("item")), text_of(row.get("annotator")) or UNNAMED_ANNOTATOR
        label = labels.get(key, Label(*key))
        # The winner of the row, if it has one.
        winner = text_of(row.get("winner")).casefold()
        if winner:
            if winner not in _WINNERS:
                raise HarnessError(
                    f"{where}: '{winner}' is no winner. Known: {', '.join(_WINNERS)}."
                )
            if label.asked_winner:
                raise HarnessError(f"{where}: {key[1]} has judged item '{key[0]}' before.")
            unsafe = winner == "both_unsafe"
            label = label._replace(winner=_WINNERS[winner], asked_winner=True, unsafe=unsafe)
        # The scores of the row, if it has a model.
        model = text_of(row.get("model"))
        if model:
            if model in label.scores:
                raise HarnessError(
                    f"{where}: {key[1]} has scored {model} on item '{key[0]}' before."
                )
            scores = dict(_read_scores(row, score_columns, where))
            label = label._replace(
                scores={**label.scores, model: scores}, lines={**label.lines, model: where}
            )
        labels[key] = label
    yield from labels.values()


def _read_scores(row: Row, names: Iterable[str], where: str) -> Iterator[tuple[str, float]]:
    for name in names:
        cell = text_of(row.get(name)).casefold()
        if not cell:
            continue
        try:
            number = _BOOLEANS[cell] if cell in _BOOLEANS else float(cell)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise HarnessError(f"{where}: {name} '{cell}' is no number.")
        yield name, number
