"""The ledger of tries: a file of JSON lines, in the workspace or committed to a repository.

Lines are only added. A try is registered before the gate sees a score, and stands there a second time
with its verdict. Lines are keyed by content, so that the lines of two files together are the ledger of
both, in any order and however often a line is repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from harness.config import metric_of
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.files import refuse_link, write_atomically
from harness.core.hashing import content_hash
from harness.core.json_text import json_lines, read_utf8
from harness.gate.best import is_best_of
from harness.gate.tries import KEPT_ITEMS, count_tries, is_same, merge_records
from harness.planning.plan_diff import UNSCORED_FIELD, claim_fields, measurement_fields
from harness.scoring.columns import ScoreColumn
from harness.scoring.paired import pair_scores
from harness.scoring.task_scores import TaskScores
from harness.types import ItemSet, JudgeCard, Plan, PlannedModel, Sample, Try, TryCount
from harness.types.samples import Responses

HASH = 12  # hexadecimal figures of an item or answer
N_ANSWERS = 8  # of models behind endpoints, by which another model of the same name is found
N_SCORES = 64  # of recorded judges, by which other verdicts in their files are found

_LINE: TypeAdapter[ItemSet | Try] = TypeAdapter(
    Annotated[ItemSet | Try, Field(discriminator="record")]
)


class Ledger(NamedTuple):
    """The tries in a file, by time and each once, and their sets of items by key."""

    tries: Sequence[Try]
    items: Mapping[str, ItemSet]

    def count_for(self, attempt: Try) -> TryCount:
        """Count the tries on the items of this one."""
        return count_tries(attempt, self.tries, self.items)

    def find(self, attempt: Try) -> Try | None:
        """Find the record of the same comparison with the same answers."""
        return next((known for known in self.tries if is_same(known, attempt)), None)


def read_ledger(path: Path, *, must_exist: bool = False) -> Ledger:
    """Read a ledger; one that does not exist is empty, unless it must.

    Raises:
        HarnessError: a line is damaged or of a later version: what was tried is then unknown.
    """
    if must_exist and not path.is_file():
        raise HarnessError(f"{path}: no such file.")
    refuse_link(path)
    lines = list(_read_lines(path)) if path.exists() else []
    items = {line.key: line for line in lines if isinstance(line, ItemSet)}
    tries = merge_records([line for line in lines if isinstance(line, Try)])
    for attempt in tries:
        if attempt.items not in items:
            raise HarnessError(
                f"{path}: the items of try {attempt.key[:12]} are missing. Restore the file."
            )
    return Ledger(tries, items)


def add_lines(path: Path, lines: Iterable[ItemSet | Try]) -> None:
    """Add lines that are not there yet; after a kill the file has all of them or is unchanged.

    Raises:
        InfrastructureError: the file could not be written.
    """
    refuse_link(path)
    before = path.read_text() if path.exists() else ""
    known = set(before.splitlines())
    new = [f"{text}\n" for line in lines if (text := line.model_dump_json()) not in known]
    if not new:
        return
    end = "" if not before or before.endswith("\n") else "\n"
    try:
        write_atomically(path, f"{before}{end}{''.join(new)}".encode())
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written: {error.strerror}.") from None


def all_lines(ledger: Ledger) -> list[ItemSet | Try]:
    """Return a ledger's lines: each set of items, and each try once."""
    used = {attempt.items for attempt in ledger.tries}
    return [*(item_set for key, item_set in ledger.items.items() if key in used), *ledger.tries]


def make_tries(
    plan: Plan, fingerprints: Mapping[str, str], measured: Sequence[TaskScores]
) -> tuple[ItemSet, list[Try]]:
    """Make the records of a run: what its gate decides on, then what is shown beside it."""
    claimed = _find_claimed(plan, measured)
    questions = _hash_questions(s for part in claimed.parts for s in part.samples)
    item_set = _make_item_set(questions)
    claims = hash_claims(plan)
    start = datetime.now(UTC)
    tries = []
    # The candidate first, so that what is only shown has the later numbers; or all as one.
    later = tuple(model.name for model in plan.models[1:])
    groups = [(plan.candidate,), *((name,) for name in later[:-1])]
    for place, names in enumerate([later] if is_best_of(plan) else groups):
        baseline = "" if plan.alone else _identity(plan.models[0], fingerprints)
        candidates = sorted(fingerprints[name][:16] for name in names)
        in_order = sorted(names, key=lambda name: fingerprints[name])
        how, seed = _hash_measurement(plan), _hash_seeds(plan, (plan.baseline, *in_order))
        prints = ["" if plan.alone else fingerprints[plan.baseline][:16], *candidates]
        attempt = Try(
            key=content_hash(prints, item_set.key, claimed.columns, claims, how, seed)[:16],
            registered=(start + timedelta(microseconds=place)).isoformat(timespec="microseconds"),
            suite=plan.suite,
            models=names if plan.alone else (plan.baseline, *names),
            baseline=baseline,
            candidates=tuple(candidates),
            columns=claimed.columns,
            items=item_set.key,
            n_items=len(questions),
            claims=claims,
            measured=how,
            seed=seed,
            answers=tuple(
                hashed
                for name in in_order
                for hashed in (
                    *_hash_answers(plan, (plan.baseline, name), claimed),
                    *_hash_scores(plan, (plan.baseline, name), claimed),
                )
            ),
            alpha=plan.gate.alpha if plan.gate else 1.0,
            seen=place > 0,
        )
        tries.append(attempt)
    return item_set, tries


def _identity(model: PlannedModel, fingerprints: Mapping[str, str]) -> str:
    """Return the hash by which a baseline is known: under other training seeds it is the same one."""
    known = content_hash(model.kind, model.source) if model.seeds else fingerprints[model.name]
    return known[:16]


class _Claimed(NamedTuple):
    """The columns that a gate decides on, with all items, answers and scores of their tasks."""

    columns: tuple[str, ...]
    parts: list["_Part"]


class _Part(NamedTuple):
    samples: Sequence[Sample]
    responses: Mapping[str, Responses]
    scores: Sequence[ScoreColumn]


def find_claimed_items(plan: Plan) -> tuple[tuple[str, ...], ItemSet]:
    """Return the columns that the plan's gate decides on, and the items of their tasks."""
    columns = _claimed_columns(plan)
    metrics = {metric_of(column.partition(" ")[0]) for column in columns}
    tasks = [task for task in plan.tasks if metrics & task.metrics.keys()]
    questions = _hash_questions(sample for task in tasks for sample in task.samples)
    return columns, _make_item_set(questions)


def _claimed_columns(plan: Plan) -> tuple[str, ...]:
    """Return the names of the gate's columns; what people judge is another question than a judge's."""
    assert plan.gate is not None
    claims = {claim.metric for claim in plan.gate.claims}
    by_people = {name for name, card in plan.judges.items() if card.people}
    return tuple(
        f"{column} (people)" if metric_of(column) in by_people else column
        for column in sorted(claims | {rule.metric for rule in plan.gate.critical})
    )


def _find_claimed(plan: Plan, measured: Sequence[TaskScores]) -> _Claimed:
    columns = _claimed_columns(plan)
    names = {column.partition(" ")[0] for column in columns}
    metrics = set(map(metric_of, names))
    parts = [
        _Part(task.samples, part.responses, [c for c in part.columns if c.metric in names])
        for task, part in zip(plan.tasks, measured, strict=True)
        if metrics & task.metrics.keys()
    ]
    return _Claimed(columns, parts)


def hash_claims(plan: Plan) -> str:
    """Hash what the plan's gate states, apart from what it is measured on.

    How much may be missing is no claim: what is missing counts at its worst, whatever the limit.
    """
    left_out = {*measurement_fields(plan), UNSCORED_FIELD}
    return content_hash({k: v for k, v in claim_fields(plan).items() if k not in left_out})[:HASH]


def _hash_measurement(plan: Plan) -> str:
    """Hash decoding but for its seed, prompts, metrics and judges.

    The file behind a recorded judge may also hold other models' verdicts, and grow by those: such a
    judge is known by its scores.
    """
    fields = measurement_fields(plan)
    for task in plan.tasks:
        decoding = task.generation.model_dump_json(exclude={"seed"})
        fields[f"decoding of {task.name}"] = decoding
    left_out = {f"judge of {name}" for name, card in plan.judges.items() if _is_recorded(card)}
    left_out |= {f"items of {task.name}" for task in plan.tasks}
    return content_hash({k: v for k, v in fields.items() if k not in left_out})[:HASH]


def _hash_seeds(plan: Plan, names: Sequence[str]) -> str:
    seeds = {model.name: model.seed for model in plan.models}
    of_tasks = [task.generation.seed for task in plan.tasks]
    return content_hash(of_tasks, [seeds[name] for name in names])[:HASH]


def _is_recorded(card: JudgeCard) -> bool:
    return card.replayed or any(map(_is_recorded, card.members))


def _hash_questions(samples: Iterable[Sample]) -> set[str]:
    """Hash each of the items' questions, up to case and white space."""
    texts = {" ".join(sample.own_question.casefold().split()) for sample in samples}
    return {content_hash(text)[:HASH] for text in texts}


def _make_item_set(questions: Iterable[str]) -> ItemSet:
    """Make the set of items with these hashes of their questions."""
    hashes = sorted(questions)
    return ItemSet(key=content_hash(hashes)[:16], hashes=tuple(hashes[:KEPT_ITEMS]))


def _hash_answers(plan: Plan, pair: tuple[str, str], claimed: _Claimed) -> tuple[str, ...]:
    """Hash the first answers of models behind endpoints, item by item; empty where one is missing."""
    endpoints = {model.name for model in plan.models if model.kind == "endpoint"}
    asked = [model for model in pair if model in endpoints]
    rows = [
        [_text_of(part.responses[model], sample.id) for model in asked]
        for part in claimed.parts
        for sample in part.samples[:N_ANSWERS]
    ]
    return tuple("" if None in row else content_hash(row)[:HASH] for row in rows if asked)


def _hash_scores(plan: Plan, pair: tuple[str, str], claimed: _Claimed) -> tuple[str, ...]:
    """Hash the first scores of recorded judges, item by item; empty where one is missing."""
    return tuple(
        "" if np.isnan(d) else content_hash(d)[:4]
        for part in claimed.parts
        for column in part.scores
        if _is_recorded(plan.judges[metric_of(column.metric)])
        for paired in pair_scores(column, pair[0])
        if paired.candidate == pair[1]
        for d in paired.d[:N_SCORES].tolist()
    )


def _text_of(responses: Responses, sample_id: str) -> str | None:
    response = responses.get(sample_id)
    return None if response is None else response.text


def _read_lines(path: Path) -> Iterable[ItemSet | Try]:
    try:
        text = read_utf8(path)
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path}: cannot be read: {error}.") from None
    for number, line in json_lines(text):
        try:
            yield _LINE.validate_json(line)
        except ValidationError as error:
            raise HarnessError(
                f"{path}:{number}: not a line of a ledger: {error.errors()[0]['msg']}. What was tried is "
                "then unknown: restore the file, or name another with --ledger."
            ) from None
