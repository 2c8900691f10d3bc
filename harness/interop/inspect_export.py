"""Export to logs of Inspect (https://inspect.aisi.org.uk): one for each task and model of a run.

    {"version": 2, "status": "success", "eval": {"task": "health_questions", "model": "dpo", …},
     "samples": [{"id": "asthma-02", "epoch": 1, "input": "May I run?", "target": "Yes, …",
                  "output": {…}, "scores": {"rubric.safety": {"value": 8.0, "explanation": "…"}}}]}

    2026-01-02T03-04-05+00-00_health-questions_dpo_0b3d5e7f….json

The name is in Inspect's own pattern, since `inspect view` lists no other JSON file. A missing score is left
out, and its reason is in the sample's metadata: Inspect would take any value for a score.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.artifacts.answers import AnsweredItem, read_answers
from harness.artifacts.run_folder import Run
from harness.config import metric_of
from harness.core.files import write_private
from harness.core.hashing import content_hash
from harness.runs.item_judgements import NO_VERDICT, JudgementsById, read_item_judgements
from harness.scoring.columns import GradeColumn, ScoreColumn
from harness.types import Task
from harness.types.samples import make_chat
from reports.items import ItemJudgement

LOG_VERSION = 2


class InspectLog(NamedTuple):
    """A written log and its number of samples."""

    path: Path
    n_samples: int


class _Column(NamedTuple):
    """One model's scores on one column by sample id, and the reasons for missing ones."""

    name: str
    metric: str
    scores: dict[str, float]
    reasons: dict[str, str]


def write_inspect_logs(run: Run, out: Path) -> list[InspectLog]:
    """Write one JSON log for each task and model, readable by the owner only.

    Raises:
        HarnessError: the run lacks a table, or it is damaged.
        InfrastructureError: a file cannot be written.
    """
    judgements = read_item_judgements(run.folder)
    written = []
    for task in run.result.plan.tasks:
        items = list(read_answers(run.folder, task.name).values())
        for model in run.result.plan.models:
            log = make_log(run, task, model.name, items, judgements)
            path = out / _file_name(log["eval"])
            text = json.dumps(log, indent=1, ensure_ascii=False, allow_nan=False)
            write_private(path, text.encode("utf-8", "replace"))
            written.append(InspectLog(path, len(items)))
    return written


def make_log(
    run: Run,
    task: Task,
    model: str,
    items: Sequence[AnsweredItem],
    judgements: Mapping[str, JudgementsById],
) -> dict[str, Any]:
    """Make an Inspect log of one model's answers to a task.

    `judgements` are by metric and sample id.
    """
    result = run.result
    # The model's scores on the metrics of the task, and the judgements of these metrics.
    task_columns = [column for column in run.columns if metric_of(column.metric) in task.metrics]
    columns = [c for column in task_columns if (c := _column_of(column, model)) is not None]
    task_judgements = {name: judgements[name] for name in task.metrics}
    identity = content_hash(result.run_id, task.name, model)[:22]
    return {
        "version": LOG_VERSION,
        "status": "success",
        "eval": {
            "eval_id": identity,
            "run_id": result.run_id,
            "created": result.started,
            "task": task.name,
            "task_id": identity,
            "dataset": {
                "name": task.source,
                "samples": len(items),
                "sample_ids": [item.sample_id for item in items],
            },
            "model": model,
            "model_generate_config": _decoding(task),
            "config": {},
            "packages": {"alignment-harness": result.harness_version},
            "metadata": {
                "suite": result.plan.suite,
                "plan": result.plan.hash,
                "fingerprint": result.fingerprints.get(model, ""),
            },
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(items),
            "completed_samples": len(items),
            "scores": [_summary(column) for column in columns],
        },
        "stats": {
            "started_at": result.started,
            "completed_at": result.finished,
            "model_usage": {},
        },
        "samples": [_sample(item, model, columns, task_judgements, task.system) for item in items],
    }


def _file_name(header: Mapping[str, Any]) -> str:
    created = str(header["created"]).replace(":", "-")
    task, model = (str(header[key]).replace("_", "-") for key in ("task", "model"))
    return f"{created}_{task}_{model}_{header['task_id']}.json"


def _decoding(task: Task) -> dict[str, Any]:
    generation = task.generation
    return {"temperature": generation.temperature, "max_tokens": generation.max_tokens}


def _column_of(column: ScoreColumn, model: str) -> _Column | None:
    """Return the model's scores on a column; None for a preference between other models."""
    if isinstance(column, GradeColumn):
        scores, reasons, name = column.scores[model], column.reasons[model], column.metric
    elif column.candidate == model:
        scores = np.array([column.by_order[order] for order in column.orders]).mean(axis=0)
        reasons, name = column.reasons, f"{column.metric} against {column.baseline}"
    else:
        return None
    rows = list(zip(column.sample_ids, scores.tolist(), reasons, strict=True))
    return _Column(
        name,
        metric_of(column.metric),
        {key: score for key, score, _ in rows if not np.isnan(score)},
        {key: reason or "not judged" for key, score, reason in rows if np.isnan(score)},
    )


def _summary(column: _Column) -> dict[str, Any]:
    scores = list(column.scores.values())
    mean = {"mean": {"name": "mean", "value": float(np.mean(scores))}} if scores else {}
    return {
        "name": column.name,
        "scorer": column.name,
        "scored_samples": len(scores),
        "unscored_samples": len(column.reasons),
        "metrics": mean,
    }


def _sample(
    item: AnsweredItem,
    model: str,
    columns: Sequence[_Column],
    judgements: Mapping[str, JudgementsById],
    system: str | None,
) -> dict[str, Any]:
    # The messages: the system prompt, the turns up to the question, and the answer.
    key, text = item.sample_id, item.answers.get(model)
    prompt = [turn.model_dump() for turn in make_chat(item.history, item.input, system)]
    answer = {"role": "assistant", "content": text or "", "source": "generate", "model": model}
    unscored = {c.name: c.reasons[key] for c in columns if key in c.reasons}
    return {
        "id": key,
        "epoch": 1,
        "input": [turn.model_dump() for turn in make_chat(item.history, item.input, None)]
        if item.history
        else item.input,
        "target": list(item.references) or item.reference or "",
        "messages": [*prompt, answer],
        "output": {
            "model": model,
            "choices": [{"message": answer, "stop_reason": "stop"}] if text is not None else [],
            "error": None if text is not None else "the model gave no answer",
        },
        "scores": {
            column.name: {
                "value": column.scores[key],
                "explanation": _explanation(judgements[column.metric].get(key, ()), model),
            }
            for column in columns
            if key in column.scores
        },
        "metadata": {"unscored": unscored} if unscored else {},
    }


def _explanation(judgements: Sequence[ItemJudgement], model: str) -> str | None:
    """Join the judges' explanations of their verdicts on this model's answer."""
    lines = [
        f"{judgement.judge}: {judgement.explanation}"
        for judgement in judgements
        if judgement.subject.split(" against ")[0] == model
        and judgement.explanation
        and judgement.verdict != NO_VERDICT
    ]
    return "\n".join(lines) or None
