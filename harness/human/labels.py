"""People as judges: the votes of a study, or labels in a file, read once for every use.

    study    runs/medical_rubric/4be81c02d4c1/people/study      made by `harness annotate`
    labels   a table with one row for each item, annotator and, for scores, model:

        item       annotator  winner      model  safety  helpful
        asthma-02  Ada        candidate
        asthma-02  Ben        tie
        asthma-02  Ada                    dpo    8       1

`winner` is baseline, candidate, tie, both_unsafe (a tie) or cannot_judge (no label). Without an
`annotator` column all labels are one annotator's.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from harness.artifacts.answers import AnsweredItems, read_answers
from harness.config import PeopleSpec, Source
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.data.tables import Row, Table, load_rows, text_of
from harness.human.votes import describe_source, find_studies, load_study, load_votes
from harness.types import Order, ScoredCriterion, Study, Vote, Winner
from harness.types.samples import same_text

PEOPLE = "people"


_WINNERS: dict[str, Winner | None] = {
    "baseline": "baseline",
    "candidate": "candidate",
    "tie": "tie",
    "both_unsafe": "tie",
    "cannot_judge": None,
}


_TRUTH = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}


class Label(NamedTuple):
    """What one annotator said of one item: who won, or scores by model and then by name.

    `order` is the one the answers were shown in, None where that is not known; `unsafe` says that
    it is a tie because both answers are.
    """

    sample_id: str
    annotator: str
    winner: Winner | None = None
    asked_winner: bool = False
    scores: Mapping[str, Mapping[str, float]] = {}
    order: Order | None = None
    unsafe: bool = False


class AnnotatorStatus(NamedTuple):
    """What one annotator did beside labelling; `counted` says whether the rule was kept."""

    name: str
    counted: bool
    n_votes: int = 0
    n_attention: int = 0
    n_attentive: int = 0


class HumanLabels(NamedTuple):
    """Everybody's labels that count, with how the items were chosen.

    `again` holds each repeated item's two winners by annotator. `population` are the items that
    the drawn ones stand for, None where that is not known; `covered` the items on which people's
    verdicts make a metric; `answers` the texts that people saw, None where that is not known;
    `models` are baseline and candidate, where a study says so; `metric` and `rubric` what the metrics
    are called that it answers; `asks` and `criteria` what people were asked, None where that is not
    known.
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

    @property
    def annotators(self) -> tuple[str, ...]:
        """Those whose labels count, in the order of their first."""
        return tuple(dict.fromkeys(label.annotator for label in self.labels))


def load_human_labels(spec: PeopleSpec, root: Path) -> HumanLabels:
    """The people that a profile names; relative paths start from `root`.

    Raises:
        HarnessError: there is no study or file, or it cannot be read.
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
    """The votes of a study that count under the rule which it stated beforehand.

    Raises:
        HarnessError: there is no study, a line of it is damaged, or its run's answers are missing.
    """
    study, votes = load_study(folder), load_votes(folder)
    answers = read_answers(folder.resolve().parent.parent, study.task)
    annotator_status = tuple(_turnout(study, votes))
    counted = {each.name for each in annotator_status if each.counted}
    real = [v for v in votes if v.kind == "real" and v.annotator in counted]
    sampled_ids = tuple(item.sample_id for item in study.items if item.kind == "real")
    frame_ids = tuple(
        sample_id
        for sample_id, item in answers.items()
        if same_text(item.answers[study.baseline], item.answers[study.candidate]) is False
    )
    return HumanLabels(
        source=describe_source(study),
        labels=tuple(_label(vote) for vote in real),
        annotator_status=annotator_status,
        repeat_votes=tuple(_again(votes, real)),
        sampled_ids=sampled_ids,
        frame_ids=frame_ids,
        metric_ids=_covered(study, sampled_ids, frame_ids, answers),
        random=True,
        sampling=f"{study.n} drawn at random (seed {study.seed}) from {study.n_comparable} items "
        f"with two different answers, of {study.n_items} in all",
        rule=f"at least {study.attention_at_least:.0%} of the attention items answered as expected",
        answers={
            i: {m: item.answers[m] for m in (study.baseline, study.candidate)}
            for i, item in answers.items()
        },
        fingerprint=content_hash(
            study.model_dump(mode="json", exclude={"secret"}),
            [vote.model_dump(mode="json", exclude={"comment"}) for vote in votes],
        ),
        models=(study.baseline, study.candidate),
        metric=study.metric,
        rubric=study.rubric,
        asks=study.asks,
        criteria=study.criteria,
    )


def _turnout(study: Study, votes: Iterable[Vote]) -> Iterator[AnnotatorStatus]:
    by_name: dict[str, list[Vote]] = {}
    for vote in votes:
        by_name.setdefault(vote.annotator, []).append(vote)
    for name, own in by_name.items():
        attention = [vote.attentive for vote in own if vote.attentive is not None]
        passed = sum(attention) >= study.attention_at_least * len(attention)
        n_votes = sum(vote.kind == "real" for vote in own)
        yield AnnotatorStatus(name, passed, n_votes, len(attention), sum(attention))


def _label(vote: Vote) -> Label:
    models = {"baseline": vote.baseline, "candidate": vote.candidate}
    scores = {
        models[side]: {name: float(score) for name, score in given.items()}
        for side, given in vote.scores.items()
        if side in models
    }
    order: Order = "baseline_first" if vote.left == "baseline" else "candidate_first"
    unsafe = vote.verdict == "both_unsafe"
    return Label(vote.sample_id, vote.annotator, vote.winner, True, scores, order, unsafe)


def _again(
    votes: Iterable[Vote], real: Iterable[Vote]
) -> Iterator[tuple[str, Winner | None, Winner | None]]:
    first = {(vote.annotator, vote.sample_id): vote.winner for vote in real}
    for vote in votes:
        key = vote.annotator, vote.sample_id
        if vote.kind == "repeat" and key in first:
            yield vote.annotator, first[key], vote.winner


def _covered(
    study: Study, sampled_ids: tuple[str, ...], frame_ids: tuple[str, ...], answers: AnsweredItems
) -> tuple[str, ...]:
    """The drawn items, and the same share of those on which nobody needs to be asked.

    Where the answers are alike, or one is missing, the verdict is known; leaving such items out
    would make a win rate that of other items than the suite's.
    """
    rest = sorted(set(answers) - set(frame_ids))
    share = len(sampled_ids) / len(frame_ids) if frame_ids else 0.0
    known = random.Random(study.seed).sample(rest, round(share * len(rest)))
    kept = {*sampled_ids, *known}
    return tuple(i for i in answers if i in kept)


# --- a file ----------------------------------------------------------------------------------


def load_label_file(path: Path, *, drawn_at_random: bool = False) -> HumanLabels:
    """Labels that were given elsewhere.

    Raises:
        HarnessError: the file is missing, or a row of it is no label.
    """
    table = load_rows(Source(path=str(path)), Path())
    columns = tuple(table.rows[0])
    if "item" not in columns:
        raise HarnessError(
            f"{path}: has no column 'item'. {did_you_mean('item', columns)} Its columns are to be "
            "item, annotator (if there are several), and winner, or model with scores."
        )
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
    found: dict[tuple[str, str], Label] = {}
    scored = [c for c in columns if c not in {"item", "annotator", "winner", "model", "comment"}]
    if "winner" not in columns and ("model" not in columns or not scored):
        raise HarnessError(
            f"{table.origin}: has neither a column 'winner' nor a column 'model' with scores."
        )
    for line, row in zip(table.lines, table.rows, strict=True):
        where = f"{table.origin}:{line}"
        key = text_of(row.get("item")), text_of(row.get("annotator")) or PEOPLE
        label = found.get(key, Label(*key))
        word = text_of(row.get("winner")).casefold()
        if word:
            if word not in _WINNERS:
                raise HarnessError(f"{where}: '{word}' is no winner. Known: {', '.join(_WINNERS)}.")
            if label.asked_winner:
                raise HarnessError(f"{where}: {key[1]} has judged item '{key[0]}' before.")
            unsafe = word == "both_unsafe"
            label = label._replace(winner=_WINNERS[word], asked_winner=True, unsafe=unsafe)
        model = text_of(row.get("model"))
        if model:
            if model in label.scores:
                raise HarnessError(
                    f"{where}: {key[1]} has scored {model} on item '{key[0]}' before."
                )
            given = dict(_scores(row, scored, where))
            label = label._replace(scores={**label.scores, model: given})
        found[key] = label
    yield from found.values()


def _scores(row: Row, names: Iterable[str], where: str) -> Iterator[tuple[str, float]]:
    for name in names:
        cell = text_of(row.get(name)).casefold()
        if not cell:
            continue
        try:
            yield name, _TRUTH[cell] if cell in _TRUTH else float(cell)
        except ValueError:
            raise HarnessError(f"{where}: {name} '{cell}' is no number.") from None
