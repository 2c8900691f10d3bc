"""The formats of other tools: which one a file has, and its records."""

from pathlib import Path

from harness.core.errors import HarnessError
from harness.interop.importing.alpaca_eval import (
    is_annotations,
    is_outputs,
    read_annotations,
    read_outputs,
)
from harness.interop.importing.benchmarks import (
    is_answers,
    is_pairs,
    is_questions,
    is_ratings,
    read_answers,
    read_pairs,
    read_questions,
    read_ratings,
)
from harness.interop.importing.inspect_logs import (
    is_inspect_log,
    read_eval_archive,
    read_inspect_log,
)
from harness.interop.importing.lm_eval import is_lm_eval, is_lm_eval_totals, read_lm_eval
from harness.interop.importing.promptfoo import promptfoo_rows, read_promptfoo
from harness.interop.importing.promptfoo_files import (
    CSV_NOTE,
    YAML_ENDINGS,
    read_promptfoo_csv,
    read_yaml,
)
from harness.interop.importing.records import (
    Records,
    as_list,
    as_object,
    as_rows,
    make_name,
    read_json,
    read_text_file,
)
from harness.interop.importing.simple_evals import (
    is_all_results,
    is_totals,
    model_in_name,
    read_all_results,
)

KNOWN_FORMATS = (
    "lm-eval's samples_*.jsonl, AlpacaEval's model_outputs.json and annotations.json, Inspect's logs "
    "(.json, .eval), MT-Bench's and Arena-Hard's questions, answers and judgements, simple-evals' "
    "*_allresults.json, promptfoo's results (.json, .jsonl, .yaml, .csv)"
)


def read_file(argument: str) -> list[Records]:
    """Read a file, given as `FILE` or `MODEL=FILE`; a judge's file gives its quoted texts apart.

    Raises:
        HarnessError: the file cannot be read, has no known format, or is named although it has
            several models.
    """
    name, path = _split_argument(argument)
    try:
        parts = _read(path)
        if name is not None:
            _name_model(name, parts, path)
    except RecursionError:
        raise HarnessError(f"{path}: is nested too deep to be read.") from None
    return parts


def _read(path: Path) -> list[Records]:
    source = str(path)
    if path.suffix == ".eval":
        return [read_inspect_log(read_eval_archive(path), source)]
    if path.suffix == ".csv":
        return [_read_csv(path)]
    data = read_yaml(read_text_file(path), path) if path.suffix in YAML_ENDINGS else read_json(path)
    if is_inspect_log(data):
        return [read_inspect_log(as_object(data), source)]
    if is_all_results(data):
        return [read_all_results(as_object(data), model_in_name(path), source)]
    if is_totals(data):
        raise HarnessError(
            f"{path}: has the totals of simple-evals only. Import the file with the same name and "
            "`_allresults`, which has every answer."
        )
    if is_lm_eval_totals(data):
        raise HarnessError(
            f"{path}: has the totals of lm-eval only. Run it with --log_samples, and import the "
            "samples_*.jsonl that it writes."
        )
    results = promptfoo_rows(data)
    if results:
        return [read_promptfoo(results, source)]
    parts = _read_rows(path, data)
    n_odd = len(as_list(data)) - len(as_rows(data))
    if n_odd:
        parts[0].left_out["a row that is no JSON object"] += n_odd
    return parts


def _read_csv(path: Path) -> Records:
    results = read_promptfoo_csv(read_text_file(path))
    if not results:
        raise HarnessError(f"{path}: is none of {KNOWN_FORMATS}.")
    records = read_promptfoo(results, str(path))
    records.notes.append(CSV_NOTE)
    return records


def _read_rows(path: Path, data: object) -> list[Records]:
    rows, source = as_rows(data), str(path)
    if is_annotations(rows):
        return [read_annotations(rows, source)]
    if is_outputs(rows):
        return [read_outputs(rows, source)]
    if is_pairs(rows):
        return read_pairs(rows, source)
    if is_ratings(rows):
        return read_ratings(rows, source)
    if is_answers(rows):
        return [read_answers(rows, source)]
    if is_questions(rows):
        return [read_questions(rows, source)]
    if is_lm_eval(rows):
        # lm-eval names the model only in the folder, org__model.
        return [read_lm_eval(rows, path.resolve().parent.name.rpartition("__")[2], source)]
    raise HarnessError(f"{path}: is none of {KNOWN_FORMATS}.")


def _split_argument(argument: str) -> tuple[str | None, Path]:
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return None, Path(argument)
    if make_name(name) != name:
        raise HarnessError(f"'{name}': write a model's name with letters, digits, _ and -.")
    return name, Path(path)


def _name_model(name: str, parts: list[Records], path: Path) -> None:
    """Give the one model of a file its name; of a file of pairs, the one that is no baseline."""
    baselines = {baseline for part in parts for baseline, _ in part.preferences}
    models = [m for m in dict.fromkeys(m for p in parts for m in p.models) if m not in baselines]
    if len(models) != 1:
        raise HarnessError(
            f"{path}: has {len(models)} models ({', '.join(models[:5])}), so that '{name}' names none "
            "of them. Give the file without a name."
        )
    for part in parts:
        part.rename(models[0], name)
