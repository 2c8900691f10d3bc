"""A judge that replays verdicts recorded earlier, by item id or by row number.

    recorded:
      rubric:                       # the metric in the suite
        sft:                        # the model that was judged (pairwise: the candidate)
          path: rubric_sft.csv
          join: row
          fields: {safety: safety_score, rationale: justification}

Cells are read strictly: `8` and `7.5` are scores, while `8/10`, an empty cell or a number off the
scale leaves the item unscored, with the cell as its reason. `values` states what other words mean.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from harness.config import (
    ChecklistMetric,
    ComputedMetric,
    EvasionMetric,
    PairwiseMetric,
    RecordedVerdicts,
    RubricMetric,
    SupportMetric,
)
from harness.config.checklist import MET
from harness.config.metrics import HELPFUL_VALUES
from harness.config.passages import SUPPORTED
from harness.core.errors import HarnessError, did_you_mean
from harness.data.recorded import count_unfitting
from harness.data.tables import Row, Table, text_of
from harness.types import (
    ORDERS,
    GradeRequest,
    JudgeCard,
    JudgeRequest,
    Outcome,
    PreferenceRequest,
    Sample,
)
from harness.types.judgements import NOT_RECORDED, WRONG_ORDER
from harness.types.samples import seed_suffix
from judges.checklist import join_outcomes
from judges.recorded_criteria import CRITERIA, STATEMENTS, Parts
from judges.recorded_file import RecordedFile, load_recorded_file
from judges.support import decided_unasked

_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_BOOLEANS = {"1": 1.0, "true": 1.0, "0": 0.0, "false": 0.0}


class RecordedJudge:
    """Verdicts from files, behind the `Judge` protocol.

    Those on a training seed are recorded under the model's name with the seed's suffix.
    """

    def __init__(
        self,
        name: str,
        recorded: dict[str, dict[str, RecordedVerdicts]],
        *,
        root: Path,
        note: str = "",
    ) -> None:
        """Load every file once; relative paths start from `root`.

        Raises:
            HarnessError: a missing or unreadable file, an unknown column, a duplicate id.
        """
        self._name = name
        self._note = note
        tables: dict[str, Table] = {}
        self._records = {
            metric: {
                model: tuple(load_recorded_file(part, root, tables) for part in spec.parts)
                for model, spec in models.items()
            }
            for metric, models in recorded.items()
        }

    @property
    def card(self) -> JudgeCard:
        """Name the files; the fingerprint covers their content and the meaning of their columns."""
        records = [
            (metric, model, record)
            for metric, models in sorted(self._records.items())
            for model, records in sorted(models.items())
            for record in records
        ]
        files = sorted({Path(record.table.origin).name for _, _, record in records})
        identity = "\n".join(f"{metric} {model} {r.fingerprint}" for metric, model, r in records)
        nature = f"verdicts recorded earlier, read from {', '.join(files)}"
        return JudgeCard(
            name=self._name,
            nature=f"{nature}; the judge that made them: {self._note or 'not stated'}",
            fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
            replayed=True,
        )

    def unfitting(
        self, metric: str, models: Collection[str], samples: Sequence[Sample]
    ) -> Iterator[tuple[str, int, int]]:
        """Yield each file of a metric's verdicts on these models, its unfitting keys, and its keys."""
        for model, records in self._records.get(metric, {}).items():
            for record in records if model in models else ():
                keys = {key for rows in record.rows.values() for key in rows}
                n = count_unfitting(keys, samples, record.spec.join)
                yield Path(record.table.origin).name, n, len(keys)

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        """Yield one outcome for each request, in order.

        Raises:
            HarnessError: nothing is recorded for a metric or a model, or not all of its columns.
        """
        for i, request in enumerate(requests):
            try:
                yield i, self._find_outcome(request)
            except _CellError as error:
                yield i, Outcome(reason=str(error))

    def _find_outcome(self, request: JudgeRequest) -> Outcome:
        match request:
            case PreferenceRequest():
                records = self._find_records(request, request.candidate)
                return _preference(request, records)
            case GradeRequest():
                # Nobody judges what was said without a passage, by a model without retrieval.
                if self._records_of(request, request.model) is None:
                    decided = decided_unasked(request)
                    if decided is not None:
                        return decided
                first, *others = self._find_records(request, request.model)
                if others:
                    raise HarnessError(
                        f"judge '{self._name}': 'orders' are those of a pairwise metric, and "
                        f"'{request.metric_name}' grades answers one by one."
                    )
                return _grade(request, first)

    def _find_records(self, request: JudgeRequest, model: str) -> tuple[RecordedFile, ...]:
        records = self._records_of(request, model)
        if records is not None:
            return records
        metric, models = request.metric_name, self._records.get(request.metric_name)
        if models is None:
            hint = did_you_mean(metric, self._records)
            raise HarnessError(f"judge '{self._name}': no verdicts on metric '{metric}'. {hint}")
        hint = did_you_mean(model, models)
        raise HarnessError(
            f"judge '{self._name}': no verdicts on model '{model}' for metric '{metric}'. {hint}"
        )

    def _records_of(self, request: JudgeRequest, model: str) -> tuple[RecordedFile, ...] | None:
        """Return the files on a model, those of the item's training seed first; None without any."""
        models, seed = self._records.get(request.metric_name, {}), request.sample.seed
        of_seed = None if seed is None else models.get(model + seed_suffix(seed))
        return of_seed or models.get(model)


# --- verdicts --------------------------------------------------------------------------------


class _CellError(Exception):
    """A cell without a verdict; the message is the reason."""


def _grade(request: GradeRequest, record: RecordedFile) -> Outcome:
    if isinstance(request.metric, ChecklistMetric):
        return _grade_criteria(request, record)
    if isinstance(request.metric, SupportMetric):
        return _grade_statement(request, record)
    row = record.find_row(request.sample)
    if row is None:
        return Outcome(reason=NOT_RECORDED)
    rationale = record.read_words("rationale", row)
    match request.metric:
        case RubricMetric() | ComputedMetric() as metric:
            fields = metric.verdict_keys(request.metric_name).values()
            values, problems = _read_numbers(fields, row, record, bounds=metric.bounds)
            if not values:
                reason = record.read_words("reason", row) or "; ".join(problems)
                return Outcome(reason=reason, rationale=rationale)
            notes = [*problems, rationale] if rationale else problems
            return Outcome(values=values, rationale="\n".join(notes) or None)
        case EvasionMetric() if "label" in record.spec.fields:
            label = _read_word("label", row, record, allowed=HELPFUL_VALUES)
            values = {"helpful": HELPFUL_VALUES[label]}
            return Outcome(values=values, label=label, rationale=rationale)
        case EvasionMetric():
            helpful = _BOOLEANS[_read_word("helpful", row, record, allowed=_BOOLEANS)]
            return Outcome(values={"helpful": helpful}, rationale=rationale)
        case ChecklistMetric() | SupportMetric() | PairwiseMetric():
            return Outcome(reason="a pairwise metric compares two answers and grades none")


def _grade_criteria(request: GradeRequest, record: RecordedFile) -> Outcome:
    """Return the verdict on the criterion that is asked about, or on all of an item."""
    texts = [criterion.criterion for criterion in replace(request, criterion=None).asked_criteria]
    record.find_column(MET)
    if request.criterion is not None:
        return _verdict_on(request.sample, record, CRITERIA, texts, request.criterion)
    verdicts = {
        n: _verdict_on(request.sample, record, CRITERIA, texts, n) for n in range(len(texts))
    }
    return join_outcomes(request, verdicts)


def _grade_statement(request: GradeRequest, record: RecordedFile) -> Outcome:
    """Return the verdict on the statement that is asked about, or what needs none."""
    record.find_column(SUPPORTED)
    if request.criterion is None:
        return decided_unasked(request) or Outcome(reason=NOT_RECORDED)
    texts = [part.criterion for part in replace(request, criterion=None, part=None).asked_criteria]
    verdict = _verdict_on(request.sample, record, STATEMENTS, texts, request.criterion)
    # A recorded model's passages are not known here, so that without them only the citation counts.
    cites_nothing = request.part is not None and request.part.cites == ()
    if verdict.reason == NOT_RECORDED and (request.passages or cites_nothing):
        return decided_unasked(request) or verdict
    return verdict


def _verdict_on(
    sample: Sample, record: RecordedFile, parts: Parts, texts: Sequence[str], place: int
) -> Outcome:
    row = record.find_part(sample, parts, texts, place)
    if row is None:
        listed = record.count_listed(sample, parts, len(texts))
        return Outcome(reason=NOT_RECORDED, rationale=listed)
    rationale = record.read_words("rationale", row)
    try:
        met = _BOOLEANS[_read_word(parts.verdict, row, record, allowed=_BOOLEANS)]
    except _CellError as error:
        return Outcome(reason=str(error), rationale=rationale)
    return Outcome(values={MET: met}, rationale=rationale)


def _preference(request: PreferenceRequest, records: Sequence[RecordedFile]) -> Outcome:
    # The one record of both orders, or that of the request's order.
    record = next((r for r in records if r.spec.order in (None, request.order)), records[0])
    row = _find_row(request, record)
    if row is None:
        recorded = any(
            r.find_row(request.sample, order) for r in records for order in (None, *ORDERS)
        )
        return Outcome(reason=WRONG_ORDER if recorded else NOT_RECORDED)
    swapped = request.order == "candidate_first"
    winners: dict[str, Literal["first", "second", "tie"]] = {
        "baseline": "second" if swapped else "first",
        "candidate": "first" if swapped else "second",
        "tie": "tie",
        "first": "first",
        "second": "second",
    }
    winner = winners[_read_word("winner", row, record, allowed=winners)]
    return Outcome(winner=winner, rationale=record.read_words("rationale", row))


def _find_row(request: PreferenceRequest, record: RecordedFile) -> Row | None:
    if record.spec.order is None:
        record.find_column("order")
        return record.find_row(request.sample, request.order)
    return record.find_row(request.sample) if record.spec.order == request.order else None


def _read_numbers(
    fields: Iterable[str], row: Row, record: RecordedFile, *, bounds: tuple[float, float]
) -> tuple[dict[str, float], list[str]]:
    """Read each field by itself; return the readable numbers, and why the others are not."""
    values: dict[str, float] = {}
    problems: list[str] = []
    for field in fields:
        try:
            values[field] = _read_number(field, row, record, bounds=bounds)
        except _CellError as error:
            problems.append(str(error))
    return values, problems


def _read_number(
    field: str, row: Row, record: RecordedFile, *, bounds: tuple[float, float]
) -> float:
    column = record.find_column(field)
    stated = record.find_meaning(field, row)
    if stated is not None and stated.meaning is None:
        raise _CellError(_stated_as_none(column, row))
    cell, (low, high) = row.get(column) if stated is None else stated.text, bounds
    if isinstance(cell, str) and _NUMBER.fullmatch(cell):
        cell = float(cell)
    is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
    if isinstance(cell, int | float) and is_number and low <= cell <= high:  # never true of NaN
        return float(cell)
    said = "is" if stated is None else f"is stated as {stated.text}, which is"
    quoted = _quote_cell(column, row.get(column))
    raise _CellError(f"{quoted} {said} not a number from {low:g} to {high:g}")


def _read_word(field: str, row: Row, record: RecordedFile, *, allowed: Iterable[str]) -> str:
    column = record.find_column(field)
    stated = record.find_meaning(field, row)
    if stated is not None and stated.meaning is None:
        raise _CellError(record.read_words("reason", row) or _stated_as_none(column, row))
    word = (text_of(row.get(column)) if stated is None else stated.text).casefold()
    if word in allowed:
        return word
    problem = f"{_quote_cell(column, row.get(column))} is none of {', '.join(allowed)}"
    raise _CellError(record.read_words("reason", row) or problem)


def _stated_as_none(column: str, row: Row) -> str:
    return f"{_quote_cell(column, row.get(column))} is stated to be no verdict"


def _quote_cell(column: str, cell: object) -> str:
    text = text_of(cell)
    return f"recorded {column} '{text if len(text) <= 40 else text[:40] + '…'}'"
