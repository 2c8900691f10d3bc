"""A study from records of other tools: what the models share, and what can be compared.

Models are compared on the same items: an item that a model did not answer is left out for all. The
files that are written are in study_files.py.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError
from harness.core.sanitize import printable_line
from harness.interop.importing.formats import read_file
from harness.interop.importing.inspect_logs import score_of
from harness.interop.importing.merge import merge_records
from harness.interop.importing.records import RecordedItem, Records, make_name, unique_names
from harness.interop.importing.simple_evals import SCORE
from harness.interop.importing.study_files import (
    CHECKLIST,
    PREFERENCE,
    RESERVED,
    Study,
    write_study,
)

NOT_SHARED = "not answered by every model"
MAX_WORDS = 12  # different words of one score; more are texts and no labels
WIDEST_SCALE = 100_000


class ImportedStudy(NamedTuple):
    """A written study: models with the baseline first, metrics, and counts of unusable records."""

    folder: Path
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    n_items: int
    left_out: dict[str, int]
    notes: tuple[str, ...]

    @property
    def command(self) -> str:
        """Return the command that re-analyses the study."""
        where = f"{self.folder / 'suite.yaml'} --profile {self.folder / 'profile.yaml'}"
        return f"harness run {where} --models {','.join(self.models)}"


def import_records(files: Sequence[str], out: Path) -> ImportedStudy:
    """Read files, each given as `FILE` or `MODEL=FILE`, and write a study into a new folder.

    Raises:
        HarnessError: a file has no known format, the records do not belong together or name no
            model, no item was answered by all models, or the folder is in use.
    """
    if out.exists() and not out.is_dir():
        raise HarnessError(f"{out}: is no folder. Name a new folder.")
    if out.exists() and any(out.iterdir()):
        raise HarnessError(f"{out}: is in use. Name a new folder.")
    # Read and merge the records.
    merged = merge_records([part for file in files for part in read_file(file)])
    models = _models(merged)
    if not models:
        raise HarnessError(f"{merged.source}: no model's answers or verdicts. {_counts(merged)}")
    # Keep what can be compared: items and scores that all models have.
    shared = _shared_items(merged, models)
    _resolve_words(merged)
    study = _make_study(merged, models, shared)
    try:
        write_study(out, study)
    except OSError as error:
        raise HarnessError(f"{error.filename}: cannot be written: {error.strerror}.") from None
    return ImportedStudy(
        folder=out,
        models=tuple(study.names[model] for model in models),
        metrics=(
            *study.metrics.values(),
            *([CHECKLIST] if study.checklist else []),
            *([PREFERENCE] if study.is_pairwise else []),
        ),
        n_items=len(shared),
        left_out={reason: n for reason, n in sorted(merged.left_out.items()) if n},
        notes=tuple(merged.notes),
    )


def describe_import(study: ImportedStudy) -> Iterator[str]:
    """Describe the study in lines: its content, unusable records, notes, and the command to run."""
    yield f"{study.n_items:,} items, models {', '.join(study.models)}: {', '.join(study.metrics)}"
    for reason, n in study.left_out.items():
        yield f"  {n:,}: {reason}"
    yield from study.notes
    yield study.command


def _make_study(
    merged: Records, models: Sequence[str], shared: Mapping[str, RecordedItem]
) -> Study:
    """Choose the scores that all models have, and name everything."""
    checklist, scales = all(item.criteria for item in shared.values()), {}
    for name in _score_names(merged, models):
        if checklist and name == SCORE:
            continue  # it follows from the verdicts on the criteria
        scale = merged.scales.get(name) or _guess_scale(name, merged, shared)
        if scale is not None:
            scales[name] = scale
    names = unique_names(models)
    for model, name in names.items():
        if name != make_name(model):  # another model has that name
            merged.notes.append(f"'{printable_line(model)}' is named '{name}' here.")
    if not (scales or checklist or merged.preferences):
        merged.notes.append(
            "The files have no verdicts: name a judge in profile.yaml before the suite is run."
        )
    if len(models) == 1:
        merged.notes.append(
            f"All records are of '{names[models[0]]}', which is measured alone. To compare it, import "
            "another model's files with it."
        )
    merged.notes = list(dict.fromkeys(merged.notes))
    metrics = unique_names(scales, taken=RESERVED)
    return Study(merged, names, dict(shared), metrics, scales, checklist)


# --- what is shared --------------------------------------------------------------------------


def _models(merged: Records) -> tuple[str, ...]:
    """List the models: baselines of preferences first, then in the order of the files."""
    baselines = dict.fromkeys(baseline for baseline, _ in merged.preferences)
    return tuple(dict.fromkeys([*baselines, *merged.answers, *merged.models]))


def _shared_items(merged: Records, models: Sequence[str]) -> dict[str, RecordedItem]:
    shared = {
        key: item
        for key, item in merged.items.items()
        if all(key in merged.answers.get(model, {}) for model in models)
    }
    if not shared:
        raise HarnessError(_nothing_shared(merged, models))
    merged.left_out[NOT_SHARED] += len(merged.items) - len(shared)
    return shared


def _nothing_shared(merged: Records, models: Sequence[str]) -> str:
    """Say which files are missing, or what became of their rows."""
    named = ", ".join(printable_line(model) for model in models)
    silent = [printable_line(model) for model in models if not merged.answers.get(model)]
    if not merged.items and not merged.left_out.total():
        return (
            "the files have verdicts without questions: import the questions and answers with them."
        )
    if silent and merged.items:
        return (
            f"there is no answer of {', '.join(silent)}: import its answers too. {_counts(merged)}"
        )
    return (
        f"there is no item that all of {named} answered. Import files of the same task. "
        f"{_counts(merged)}"
    ).strip()


def _counts(merged: Records) -> str:
    counted = [f"{n:,}: {reason}" for reason, n in merged.left_out.most_common(3) if n]
    return f"Left out: {'; '.join(counted)}." if counted else ""


# --- scores ----------------------------------------------------------------------------------


def _resolve_words(merged: Records) -> None:
    """Turn word scores into numbers: C and I, yes and no, or a share of answers for each word.

    The words of all models decide together, so that a C among A, B and D is no 1.
    """
    values: dict[str, set[float | str]] = {}
    for scores in merged.scores.values():
        for score in scores.values():
            for name, value in score.values.items():
                values.setdefault(name, set()).add(value)
    for name, found in values.items():
        words = sorted(value for value in found if isinstance(value, str))
        if not words:
            continue
        graded = all(score_of(word) is not None for word in words)
        as_shares = not graded and len(words) == len(found) <= MAX_WORDS
        if not graded and not as_shares:
            label = printable_line(name)
            merged.left_out[f"'{label}' has {len(found):,} different words: unscored"] += 1
        for scores in merged.scores.values():
            for score in scores.values():
                _replace_word(score.values, name, words if as_shares else ())


def _replace_word(values: dict[str, float | str], name: str, words: Sequence[str]) -> None:
    """Replace a word score by 1 for the word and 0 for all others, or else by its number, if any."""
    value = values.get(name)
    if not isinstance(value, str):
        return
    del values[name]
    number = score_of(value)
    if words:
        values.update({f"{name}_{word}": float(word == value) for word in words})
    elif number is not None:
        values[name] = number


def _score_names(merged: Records, models: Sequence[str]) -> list[str]:
    """List the scores that every model has; others cannot be compared."""
    by_model = [
        {name for scores in merged.scores.get(model, {}).values() for name in scores.values}
        for model in models
    ]
    shared = set.intersection(*by_model) if by_model else set()
    for name in sorted(set().union(*by_model) - shared):
        merged.left_out[f"'{printable_line(name)}' is not scored for every model"] += 1
    return sorted(shared)


def _guess_scale(
    name: str, merged: Records, shared: Mapping[str, RecordedItem]
) -> tuple[int, int] | None:
    """Guess the scale of a score: 0 to 1, 0 to 100, or the range of its values; None if too wide."""
    values = [
        float(scores[key].values[name])
        for scores in merged.scores.values()
        for key in shared
        if key in scores and name in scores[key].values
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low >= 0 and high <= 1:
        return 0, 1
    if low >= 0 and 10 < high <= 100:
        return 0, 100
    label = printable_line(name)
    if high - low > WIDEST_SCALE or max(abs(low), abs(high)) > 1e12:
        merged.left_out[f"'{label}' runs from {low:g} to {high:g}, too wide for a scale"] += 1
        return None
    merged.notes.append(f"'{label}' runs from {low:g} to {high:g}: state its scale in suite.yaml.")
    return math.floor(low), max(math.ceil(high), math.floor(low) + 1)
