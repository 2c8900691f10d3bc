"""A study from records of other tools: items, recorded answers and verdicts, a suite and a profile.

    study/items.jsonl            {"id": "doc-0", "input": "…", "reference": "…"}
    study/answers/gpt-4.jsonl    {"id": "doc-0", "response": "…"}
    study/scores/gpt-4.jsonl     {"id": "doc-0", "exact_match": 1.0, "words": "…"}
    study/preferences/gpt-4.jsonl  {"id": "doc-0", "winner": "candidate", "words": "…"}
    study/suite.yaml, study/profile.yaml

Models are compared on the same items: an item that a model did not answer is left out for all.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.core.errors import HarnessError
from harness.interop.importing.alpaca_eval import (
    is_annotations,
    is_outputs,
    read_annotations,
    read_outputs,
)
from harness.interop.importing.inspect_logs import (
    is_inspect_log,
    read_eval_archive,
    read_inspect_log,
)
from harness.interop.importing.lm_eval import is_lm_eval, read_lm_eval
from harness.interop.importing.records import (
    RecordedItem,
    RecordedScores,
    Records,
    make_name,
    objects_of,
    read_json,
)

PREFERENCE = "win_rate"
NOT_SHARED = "not answered by every model"

KNOWN_FORMATS = (
    "lm-eval's samples_*.jsonl, AlpacaEval's model_outputs.json and annotations.json, "
    "Inspect's logs (.json, .eval)"
)


class ImportedStudy(NamedTuple):
    """A written study: models with the baseline first, metrics, and counts of unusable records."""

    folder: Path
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    n_items: int
    left_out: dict[str, int]
    notes: tuple[str, ...]
    has_verdicts: bool

    @property
    def command(self) -> str:
        """Return the command that re-analyses the study."""
        where = f"{self.folder / 'suite.yaml'} --profile {self.folder / 'profile.yaml'}"
        return f"harness run {where} --models {','.join(self.models)}"


def import_records(files: Sequence[str], out: Path) -> ImportedStudy:
    """Read files, each given as `FILE` or `MODEL=FILE`, and write a study into a new folder.

    Raises:
        HarnessError: a file has no known format, the records do not belong together or have fewer
            than two models, no item was answered by all models, or the folder is in use.
    """
    if out.exists() and any(out.iterdir()):
        raise HarnessError(f"{out}: is in use. Name a new folder.")
    # Read and merge the records.
    merged = _merge([_read(file) for file in files])
    models = _models(merged)
    if len(models) < 2:
        raise HarnessError(
            f"all records are of '{''.join(models)}', and two models are compared. Name files of two "
            "models, as `MODEL=FILE` where a file does not name its model."
        )
    # Keep what can be compared: items and scores that all models have.
    shared = _shared_items(merged, models)
    metrics = {name: _scale(name, merged, shared) for name in _score_names(merged, models)}
    if not metrics and not merged.preferences:
        merged.notes.append(
            "The files have no verdicts: name a judge in profile.yaml before the suite is run."
        )
    try:
        _write(out, merged, models, shared, metrics)
    except OSError as error:
        raise HarnessError(f"{error.filename}: cannot be written: {error.strerror}.") from None
    pairwise = [PREFERENCE] if merged.preferences or not metrics else []
    return ImportedStudy(
        folder=out,
        models=models,
        metrics=(*metrics, *pairwise),
        n_items=len(shared),
        left_out=dict(sorted(merged.left_out.items())),
        notes=tuple(dict.fromkeys(merged.notes)),
        has_verdicts=bool(metrics or merged.preferences),
    )


def describe_import(study: ImportedStudy) -> Iterator[str]:
    """Describe the study in lines: its content, unusable records, notes, and the command to run."""
    yield f"{study.n_items:,} items, models {', '.join(study.models)}: {', '.join(study.metrics)}"
    for reason, n in study.left_out.items():
        yield f"  {n:,}: {reason}"
    yield from study.notes
    yield study.command


# --- reading ---------------------------------------------------------------------------------


def _read(argument: str) -> Records:
    name, path = _split_argument(argument)
    if path.suffix == ".eval":
        return read_inspect_log(read_eval_archive(path), name, str(path))
    data = read_json(path)
    if isinstance(data, dict) and is_inspect_log(data):
        return read_inspect_log(data, name, str(path))
    rows = objects_of(data)
    if is_annotations(rows):
        return read_annotations(rows, str(path))
    if is_outputs(rows):
        return read_outputs(rows, name, str(path))
    if is_lm_eval(rows):
        # lm-eval names the model only in the folder, org__model.
        folder_name = make_name(path.resolve().parent.name.rpartition("__")[2])
        return read_lm_eval(rows, name or folder_name, str(path))
    raise HarnessError(f"{path}: is none of {KNOWN_FORMATS}.")


def _split_argument(argument: str) -> tuple[str | None, Path]:
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return None, Path(argument)
    if make_name(name) != name:
        raise HarnessError(f"'{name}': write a model's name with letters, digits, _ and -.")
    return name, Path(path)


def _merge(parts: Sequence[Records]) -> Records:
    """Merge all records into one.

    Raises:
        HarnessError: an id has two questions, or a model has two answers to one.
    """
    merged = Records(", ".join(part.source for part in parts))
    for part in parts:
        # Items and answers must agree between files.
        for key, item in part.items.items():
            if merged.items.setdefault(key, item).identity != item.identity:
                raise HarnessError(
                    f"{part.source}: item '{key}' is another question there than in the files "
                    "before it. Import only files of the same task."
                )
        for model, answers in part.answers.items():
            merged_answers = merged.answers.setdefault(model, {})
            for key, text in answers.items():
                if merged_answers.setdefault(key, text) != text:
                    raise HarnessError(
                        f"{part.source}: '{model}' gives another answer to item '{key}' there. "
                        "Give the models of different files different names, as MODEL=FILE."
                    )
        # Scores and preferences of a later file replace those of the same item.
        for model, scores in part.scores.items():
            merged.scores.setdefault(model, {}).update(scores)
        for pair, judged in part.preferences.items():
            merged.preferences.setdefault(pair, {}).update(judged)
        merged.left_out += part.left_out
        merged.notes += part.notes
    return merged


def _models(merged: Records) -> tuple[str, ...]:
    """List the models: baselines of preferences first, then in the order of the files."""
    baselines = dict.fromkeys(baseline for baseline, _ in merged.preferences)
    return tuple(dict.fromkeys([*baselines, *merged.answers]))


def _shared_items(merged: Records, models: Sequence[str]) -> dict[str, RecordedItem]:
    shared = {
        key: item
        for key, item in merged.items.items()
        if all(key in merged.answers[model] for model in models)
    }
    if not shared:
        raise HarnessError(
            f"there is no item that all of {', '.join(models)} answered. Import files of the same task."
        )
    merged.left_out += Counter({NOT_SHARED: len(merged.items) - len(shared)})
    return shared


def _score_names(merged: Records, models: Iterable[str]) -> list[str]:
    """List the scores that every model has; others cannot be compared."""
    by_model = [
        {name for scores in merged.scores.get(model, {}).values() for name in scores.values}
        for model in models
    ]
    shared = set.intersection(*by_model) if by_model else set()
    for name in sorted(set().union(*by_model) - shared):
        merged.left_out[f"'{name}' is not scored for every model"] += 1
    return sorted(shared)


def _scale(name: str, merged: Records, shared: Mapping[str, RecordedItem]) -> tuple[int, int]:
    """Guess the scale of a score: 0 to 1, 0 to 100, or the range of its values."""
    values = [
        scores[key].values[name]
        for scores in merged.scores.values()
        for key in shared
        if key in scores and name in scores[key].values
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low >= 0 and high <= 1:
        return 0, 1
    if low >= 0 and 10 < high <= 100:
        return 0, 100
    merged.notes.append(f"'{name}' runs from {low:g} to {high:g}: state its scale in suite.yaml.")
    return math.floor(low), max(math.ceil(high), math.floor(low) + 1)


# --- writing ---------------------------------------------------------------------------------


def _write(
    out: Path,
    merged: Records,
    models: Sequence[str],
    shared: Mapping[str, RecordedItem],
    metrics: Mapping[str, tuple[int, int]],
) -> None:
    rows = ({"id": k, "input": i.input, "reference": i.reference} for k, i in shared.items())
    _write_rows(out / "items.jsonl", rows)
    for model in models:
        answers = merged.answers[model]
        answered = ({"id": key, "response": answers[key]} for key in shared)
        _write_rows(out / "answers" / f"{model}.jsonl", answered)
        if metrics:
            scored = (_score_row(key, merged.scores[model].get(key), metrics) for key in shared)
            _write_rows(out / "scores" / f"{model}.jsonl", scored)
    for (_, candidate), judged in merged.preferences.items():
        preferred = (
            {"id": key, "winner": judged[key].winner, "words": judged[key].rationale}
            for key in shared
            if key in judged
        )
        _write_rows(out / "preferences" / f"{candidate}.jsonl", preferred)
    _write_yaml(out / "suite.yaml", _suite(out, shared, merged, metrics))
    _write_yaml(out / "profile.yaml", _profile(out, merged, models, metrics))


def _score_row(
    key: str, scores: RecordedScores | None, metrics: Iterable[str]
) -> Mapping[str, object]:
    values, rationale = scores or RecordedScores({})
    named_values = {make_name(name): values.get(name) for name in metrics}
    return {"id": key} | named_values | {"words": rationale}


def _suite(
    out: Path,
    shared: Mapping[str, RecordedItem],
    merged: Records,
    metrics: Mapping[str, tuple[int, int]],
) -> dict[str, Any]:
    fields = {"id": "id", "input": "input"}
    if all(item.reference is not None for item in shared.values()):
        fields["reference"] = "reference"
    specs: dict[str, Any] = {
        make_name(name): {
            "kind": "rubric",
            "scale": list(scale),
            "criteria": [{"name": "score", "asks": f"{name}, as it was recorded"}],
        }
        for name, scale in metrics.items()
    }
    if merged.preferences or not metrics:
        specs[PREFERENCE] = {"kind": "pairwise", "asks": "Which answer is better?"}
    return {
        "suite": make_name(out.name),
        "title": "ImportedStudy records",
        "data": {"source": {"path": "items.jsonl", "fields": fields}},
        "metrics": specs,
    }


def _profile(
    out: Path, merged: Records, models: Sequence[str], metrics: Iterable[str]
) -> dict[str, Any]:
    # Recorded verdicts, by metric and model.
    recorded: dict[str, Any] = {
        make_name(name): {
            model: {
                "path": f"scores/{model}.jsonl",
                "fields": {"id": "id", "score": make_name(name), "rationale": "words"},
            }
            for model in models
        }
        for name in metrics
    }
    if merged.preferences:
        recorded[PREFERENCE] = {
            candidate: {
                "path": f"preferences/{candidate}.jsonl",
                "order": "baseline_first",
                "fields": {"id": "id", "winner": "winner", "rationale": "words"},
            }
            for _, candidate in merged.preferences
        }
    # Recorded answers, by model.
    answers = {
        model: {
            "recorded": {
                "path": f"answers/{model}.jsonl",
                "fields": {"id": "id", "response": "response"},
            }
        }
        for model in models
    }
    note = " ".join(["Imported; nothing is generated or judged anew.", *merged.notes])
    profile: dict[str, Any] = {"profile": make_name(out.name), "note": note, "models": answers}
    if recorded:
        profile["judges"] = {"default": {"title": "as recorded", "recorded": recorded}}
    return profile


def _write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _write_yaml(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(
        yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100), encoding="utf-8"
    )
