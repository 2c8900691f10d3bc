"""Conversion of a source to JSON Lines and a summary."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import Source
from harness.config.data import ConvertOptions, Kind
from harness.core.errors import HarnessError
from harness.core.files import write_atomically
from harness.core.store import make_writable
from harness.core.text_files import read_prompt
from harness.core.yaml_loader import load_spec
from harness.data.cells import Row
from harness.data.convert.examples import (
    REQUESTED_DROPS,
    ChatExample,
    Dropped,
    FilteredExamples,
    corpus_rows,
    labelled_answers,
    preference_pairs,
    question_row,
    sft_columns,
    sft_row,
    with_system_prompt,
)
from harness.data.convert.filters import (
    drop_duplicates,
    drop_excluded,
    keep_lengths,
    only_labelled,
    only_positive,
    pair_up,
    take_subset,
)
from harness.data.convert.formats import (
    Format,
    detect_format,
    find_format,
    format_of_fields,
    read_examples,
)
from harness.data.convert.formats_medquad import load_medquad
from harness.data.convert.summary import ConversionSummary, SplitFacts
from harness.data.preference_pairs import pairs_from_given, write_pairs
from harness.data.split import SIDES, Split, split_by_question
from harness.data.tables import load_rows
from harness.data.text import normalise_words

N_LISTED = 5  # rows that a message lists for each reason; the summary file has all


class LoadedSource(NamedTuple):
    """The rows of a source with their places in it."""

    rows: Sequence[tuple[str, Row]]
    origin: str
    sha256: str
    fields: dict[str, str]
    phi: bool


def convert_file(
    source: str, out: Path, options: ConvertOptions, *, root: Path | None = None
) -> ConversionSummary:
    """Convert a file, a folder of XML or a YAML source; write `out` and its `.summary.json`.

    `out` is JSON Lines that a recipe reads: rows with `input` and `reference` for SFT, preference
    pairs for DPO, labelled answers for KTO; or what a suite and a profile read: questions with the `sources` of
    their answers, and the corpus of these documents. With `options.split` it becomes two files, `.train.jsonl` and `.eval.jsonl`.
    File names in `options` start from `root`.

    Raises:
        HarnessError: the format is unknown, the data cannot be read, no row is usable, or with
            `options.strict` a row had to be dropped.
    """
    # Check the output, and load the source.
    if out.suffix != ".jsonl":
        raise HarnessError(f"{out}: JSON Lines are written; end the name with .jsonl.")
    if out.exists() and out.resolve() == Path(source).resolve():
        raise HarnessError(f"{out}: is the source itself; give --out another name.")
    if out.is_dir():
        raise HarnessError(f"{out}: is a folder; give --out the name of a file.")
    if options.to == "corpus" and options.split is not None:
        raise HarnessError(
            "--split: a corpus is not split; its documents are found for any question."
        )
    make_writable(out.parent)
    loaded = _load(source, options)
    format = _choose_format(loaded, options)

    # Read the examples, filter them and add the system prompt.
    system = read_prompt(options.system, root)
    root = root or Path()
    excluded_ids = None if options.without is None else _load_ids(root / options.without)
    filtered = _filter(read_examples(loaded.rows, format), options, excluded_ids)
    _check_rows(filtered, loaded, options)
    examples = [with_system_prompt(example, system) for example in filtered.kept]

    # Write the files, and then the summary.
    split = _split(examples, options)
    parts = _parts(out, examples, split)
    for path, part in parts.items():
        _write_part(path, part, sft_columns(examples), options.to)
    summary = ConversionSummary(
        source=loaded.origin,
        sha256=loaded.sha256,
        format=format.name,
        options=options,
        rows=len(loaded.rows),
        kept=sum(len(example.rows) for example in examples),
        dropped=dict(sorted(Counter(d.reason for d in filtered.dropped).items())),
        records={
            path.name: len(corpus_rows(part) if options.to == "corpus" else part)
            for path, part in parts.items()
        },
        recipe=_recipe_line(next(iter(parts)).name, examples, loaded, options),
        system_prompt=system,
        own_system=sum(example.system is not None for example in filtered.kept),
        multi_turn=sum(bool(example.history) for example in examples),
        words_answer=_mean_words([example.answer for example in examples]),
        words_rejected=_mean_words([example.rejected or "" for example in examples])
        if options.to == "preference"
        else None,
        split=SplitFacts(n_groups=split.n_groups, largest_group=split.largest_group)
        if split
        else None,
        dropped_rows=_in_file_order(filtered.dropped, loaded),
    )
    summary_path = out.with_suffix(".summary.json")
    write_atomically(summary_path, f"{summary.model_dump_json(indent=2)}\n".encode())
    return summary


# --- reading ---------------------------------------------------------------------------------


def _load(source: str, options: ConvertOptions) -> LoadedSource:
    path = Path(source)
    if path.is_dir():
        pairs = load_medquad(path)
        return LoadedSource(pairs.rows, source, pairs.sha256, fields={}, phi=False)
    is_spec = path.suffix in {".yaml", ".yml"}
    spec = load_spec(path, Source) if is_spec else Source(path=source)
    root = path.parent if is_spec else None
    table = load_rows(spec, root).with_columns(options.fields.values())
    rows = [(str(line), row) for line, row in zip(table.lines, table.rows, strict=True)]
    where = f", {spec.condition}" if spec.condition else ""
    return LoadedSource(rows, table.origin + where, table.sha256, spec.fields, spec.phi)


def _choose_format(loaded: LoadedSource, options: ConvertOptions) -> Format:
    columns = list(dict.fromkeys(column for _, row in loaded.rows for column in row))
    fields = options.fields or loaded.fields
    if fields and options.source_format:
        raise HarnessError("--from names a format and --fields names columns; give one of them.")
    if fields:
        return format_of_fields(fields, columns, to=options.to, origin=loaded.origin)
    if options.source_format:
        return find_format(options.source_format, columns, to=options.to, origin=loaded.origin)
    return detect_format(columns, to=options.to, origin=loaded.origin)


def _filter(
    examples: FilteredExamples, options: ConvertOptions, excluded_ids: set[str] | None
) -> FilteredExamples:
    if excluded_ids is not None:
        examples = drop_excluded(examples, excluded_ids)
    if options.to == "labelled":
        examples = only_labelled(examples)
    elif any(example.label is not None for example in examples.kept):
        examples = pair_up(examples) if options.to == "preference" else only_positive(examples)
    examples = keep_lengths(examples, min_words=options.min_words, max_words=options.max_words)
    examples = drop_duplicates(examples, "none" if options.to == "corpus" else options.dedupe)
    return examples if options.take is None else take_subset(examples, options.take, options.seed)


def _load_ids(path: Path) -> set[str]:
    """Load ids from a JSON list, the keys of a JSON object, or words of plain text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path}: cannot be read as a list of ids: {error}.") from None
    try:
        ids = json.loads(text)
    except ValueError:
        ids = text.split()
    if not isinstance(ids, dict | list):
        ids = text.split()
    return {str(identity) for identity in ids}


def _check_rows(examples: FilteredExamples, loaded: LoadedSource, options: ConvertOptions) -> None:
    """Check that no row was lost, that some are left, and with --strict that none was dropped."""
    n_kept = sum(len(example.rows) for example in examples.kept)
    if n_kept + len(examples.dropped) != len(loaded.rows):
        raise AssertionError("a row was lost: it was neither kept nor dropped")
    problems = [dropped for dropped in examples.dropped if dropped.reason not in REQUESTED_DROPS]
    if options.strict and problems:
        raise HarnessError(
            f"{len(problems)} of {len(loaded.rows)} rows cannot be used:\n"
            + _listed(_in_file_order(problems, loaded)[: 2 * N_LISTED], loaded)
        )
    alone = any(dropped.reason == "no_counterpart" for dropped in examples.dropped)
    if not n_kept:
        raise HarnessError(
            f"{loaded.origin}: none of its {len(loaded.rows)} rows can be used:\n"
            + _listed(_in_file_order(examples.dropped, loaded)[:N_LISTED], loaded)
            + ("\n--to labelled keeps answers without a counterpart, for KTO." if alone else "")
        )


def _in_file_order(dropped: Iterable[Dropped], loaded: LoadedSource) -> tuple[Dropped, ...]:
    position = {place: number for number, (place, _) in enumerate(loaded.rows)}
    return tuple(sorted(dropped, key=lambda d: position[d.row]))


def _listed(dropped: Iterable[Dropped], loaded: LoadedSource) -> str:
    return "\n".join(
        f"{loaded.origin}:{d.row}: {d.reason}{f' ({d.detail})' if d.detail else ''}"
        for d in dropped
    )


# --- writing ---------------------------------------------------------------------------------


def _split(examples: Sequence[ChatExample], options: ConvertOptions) -> Split | None:
    if options.split is None:
        return None
    questions = [example.question for example in examples]
    return split_by_question(questions, eval_share=options.split, seed=options.seed)


def _parts(
    out: Path, examples: Sequence[ChatExample], split: Split | None
) -> dict[Path, list[ChatExample]]:
    if split is None:
        return {out: list(examples)}
    by_side = list(zip(examples, split.sides, strict=True))
    parts = {
        out.with_suffix(f".{side}.jsonl"): [example for example, at in by_side if at == side]
        for side in SIDES
    }
    for path, part in parts.items():
        if not part:
            raise HarnessError(f"{path.name}: would be empty; choose another --split or --seed.")
    return parts


def _write_part(path: Path, part: Sequence[ChatExample], columns: Sequence[str], to: Kind) -> None:
    if to == "preference":
        write_pairs(path, pairs_from_given(preference_pairs(part)))
        return
    if to == "labelled":
        answers = (answer.model_dump_json() + "\n" for answer in labelled_answers(part))
        write_atomically(path, "".join(answers).encode())
        return
    rows: Iterable[dict[str, object]]
    match to:
        case "corpus":
            rows = corpus_rows(part)
        case "questions":
            rows = map(question_row, part)
        case _:
            rows = (sft_row(example, columns) for example in part)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(path, "".join(lines).encode())


def _recipe_line(
    name: str, examples: Sequence[ChatExample], loaded: LoadedSource, options: ConvertOptions
) -> str:
    phi = ", phi: true" if loaded.phi else ""
    if options.to == "preference":
        return f"method: given_pairs, data: {{path: {name}{phi}}}"
    if options.to == "labelled":
        return f"method: kto, labelled: {{path: {name}{phi}}}"
    if options.to == "corpus":
        return f"corpus: {{path: {name}{phi}}}"
    if options.to == "questions":
        fields = "id: id, input: input, reference: reference, sources: sources"
        return f"{{path: {name}, fields: {{{fields}}}{phi}}}"
    fields = ", ".join(f"{column}: {column}" for column in sft_columns(examples))
    return f"{{path: {name}, fields: {{{fields}}}{phi}}}"


def _mean_words(texts: Sequence[str]) -> float:
    return sum(len(normalise_words(text)) for text in texts) / len(texts)
