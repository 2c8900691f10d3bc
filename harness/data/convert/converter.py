"""A source in, JSON Lines and a summary out."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import Source
from harness.config.data import ConvertOptions as Options
from harness.config.data import Kind
from harness.core.errors import HarnessError
from harness.core.files import write_atomically
from harness.core.store import make_writable
from harness.core.yaml_loader import load_spec
from harness.data.convert.cells import Row
from harness.data.convert.drafts import (
    ASKED_FOR,
    ChatExample,
    Drafts,
    Dropped,
    preference_pairs,
    sft_columns,
    sft_row,
    with_system_prompt,
)
from harness.data.convert.filters import (
    drop_duplicates,
    drop_excluded,
    keep_lengths,
    only_positive,
    pair_up,
    take_subset,
)
from harness.data.convert.formats import (
    Format,
    detect_format,
    find_format,
    format_of_fields,
    read_drafts,
)
from harness.data.convert.formats_medquad import load_medquad
from harness.data.convert.summary import SplitFacts, Summary
from harness.data.preference_pairs import pairs_from_given, write_pairs
from harness.data.samples import read_prompt
from harness.data.split import SIDES, Split, split_by_question
from harness.data.tables import load_rows
from harness.data.text import normalise_words

N_SHOWN = 5  # rows that a message names for each reason; the summary's file names all


class Loaded(NamedTuple):
    """A source's rows with their places in it, before anything is made of them."""

    rows: Sequence[tuple[str, Row]]
    origin: str
    sha256: str
    fields: dict[str, str]
    phi: bool


def convert_file(given: str, out: Path, options: Options, *, root: Path | None = None) -> Summary:
    """Convert a file, a folder of XML or a YAML source, and write `out` with its summary beside it.

    The options' own files start from `root`. `out` is JSON Lines that a recipe reads: rows with
    `input` and `reference` for SFT, preference pairs for DPO. With `options.split` it names two
    files, `.train.jsonl` and `.eval.jsonl`.

    Raises:
        HarnessError: an unknown format, unreadable data, no usable row, or with `options.strict`
            any row that had to be dropped.
    """
    if out.suffix != ".jsonl":
        raise HarnessError(f"{out}: JSON Lines are written; end the name with .jsonl.")
    if out.exists() and out.resolve() == Path(given).resolve():
        raise HarnessError(f"{out}: is what is read; give --out another name.")
    if out.is_dir():
        raise HarnessError(f"{out}: is a folder; give --out the name of a file.")
    make_writable(out.parent)
    loaded = _load(given)
    format = _format(loaded, options)
    root = root or Path()
    system = read_prompt(options.system, root)
    withheld = None if options.without is None else _load_ids(root / options.without)
    read = _filtered(read_drafts(loaded.rows, format), options, withheld)
    _check(read, loaded, options)
    drafts = [with_system_prompt(draft, system) for draft in read.kept]
    split = _split(drafts, options)
    parts = _parts(out, drafts, split)
    for path, part in parts.items():
        _write_part(path, part, sft_columns(drafts), options.to)
    summary = Summary(
        source=loaded.origin,
        sha256=loaded.sha256,
        format=format.name,
        options=options,
        rows=len(loaded.rows),
        kept=sum(len(draft.rows) for draft in drafts),
        dropped=dict(sorted(Counter(d.reason for d in read.dropped).items())),
        records={path.name: len(part) for path, part in parts.items()},
        recipe=_recipe_line(next(iter(parts)).name, drafts, loaded, options),
        system_prompt=system,
        own_system=sum(draft.system is not None for draft in read.kept),
        multi_turn=sum(bool(draft.history) for draft in drafts),
        words_answer=_mean_words([draft.answer for draft in drafts]),
        words_rejected=_mean_words([draft.rejected or "" for draft in drafts])
        if options.to == "preference"
        else None,
        split=SplitFacts(n_groups=split.n_groups, largest_group=split.largest_group)
        if split
        else None,
        dropped_rows=_in_file_order(read.dropped, loaded),
    )
    summary_path = out.with_suffix(".summary.json")
    write_atomically(summary_path, f"{summary.model_dump_json(indent=2)}\n".encode())
    return summary


def describe_conversion(summary: Summary) -> list[str]:
    """Format the summary as lines of text."""
    lines = [
        f"source: {summary.source} (sha256 {summary.sha256[:12]})",
        f"format: {summary.format}",
        f"rows: {summary.rows}",
        f"kept: {summary.kept}",
        f"dropped: {summary.rows - summary.kept}",
    ]
    for reason, n in summary.dropped.items():
        rows = [d.row for d in summary.dropped_rows if d.reason == reason]
        more = ", …" if n > N_SHOWN else ""
        lines.append(f"  {reason}: {n} (rows {', '.join(rows[:N_SHOWN])}{more})")
    lines += [f"written: {name}, {n} records" for name, n in summary.records.items()]
    words = f"{summary.words_answer:.0f}"
    if summary.words_rejected is not None:
        words += f" chosen, {summary.words_rejected:.0f} rejected"
    lines.append(f"words in an answer, mean: {words}")
    if summary.own_system:
        lines.append(f"with a system prompt of their own: {summary.own_system}")
    if summary.multi_turn:
        lines.append(f"of several turns: {summary.multi_turn}")
    if summary.split:
        lines.append(
            f"questions apart: {summary.split.n_groups} groups, "
            f"the largest of {summary.split.largest_group} records"
        )
    return [*lines, f"in a recipe: {summary.recipe}"]


# --- reading ---------------------------------------------------------------------------------


def _load(given: str) -> Loaded:
    path = Path(given)
    if path.is_dir():
        pairs = load_medquad(path)
        return Loaded(pairs.rows, given, pairs.sha256, fields={}, phi=False)
    is_spec = path.suffix in {".yaml", ".yml"}
    source = load_spec(path, Source) if is_spec else Source(path=given)
    table = load_rows(source, path.parent if is_spec else Path())
    rows = [(str(line), row) for line, row in zip(table.lines, table.rows, strict=True)]
    where = "".join(f", {key} = {value}" for key, value in source.where.items())
    return Loaded(rows, table.origin + where, table.sha256, source.fields, source.phi)


def _format(loaded: Loaded, options: Options) -> Format:
    columns = list(dict.fromkeys(column for _, row in loaded.rows for column in row))
    fields = options.fields or loaded.fields
    if fields and options.source_format:
        raise HarnessError("--from names a format and --fields name columns; give one of them.")
    if fields:
        return format_of_fields(fields, columns, to=options.to, origin=loaded.origin)
    if options.source_format:
        return find_format(options.source_format, columns, to=options.to, origin=loaded.origin)
    return detect_format(columns, to=options.to, origin=loaded.origin)


def _filtered(drafts: Drafts, options: Options, withheld: set[str] | None) -> Drafts:
    if withheld is not None:
        drafts = drop_excluded(drafts, withheld)
    if any(draft.liked is not None for draft in drafts.kept):
        drafts = pair_up(drafts) if options.to == "preference" else only_positive(drafts)
    drafts = keep_lengths(drafts, min_words=options.min_words, max_words=options.max_words)
    drafts = drop_duplicates(drafts, options.dedupe)
    return drafts if options.take is None else take_subset(drafts, options.take, options.seed)


def _load_ids(path: Path) -> set[str]:
    """Load ids from a JSON list, the keys of a JSON object, or one on each line."""
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


def _check(drafts: Drafts, loaded: Loaded, options: Options) -> None:
    kept = sum(len(draft.rows) for draft in drafts.kept)
    if kept + len(drafts.dropped) != len(loaded.rows):
        raise AssertionError("a row was lost: it was neither kept nor dropped")
    problems = [dropped for dropped in drafts.dropped if dropped.reason not in ASKED_FOR]
    if options.strict and problems:
        raise HarnessError(
            f"{len(problems)} of {len(loaded.rows)} rows cannot be used:\n"
            + _listed(_in_file_order(problems, loaded)[: 2 * N_SHOWN], loaded)
        )
    if not kept:
        raise HarnessError(
            f"{loaded.origin}: none of its {len(loaded.rows)} rows can be used:\n"
            + _listed(_in_file_order(drafts.dropped, loaded)[:N_SHOWN], loaded)
        )


def _in_file_order(dropped: Iterable[Dropped], loaded: Loaded) -> tuple[Dropped, ...]:
    order = {place: number for number, (place, _) in enumerate(loaded.rows)}
    return tuple(sorted(dropped, key=lambda d: order[d.row]))


def _listed(dropped: Iterable[Dropped], loaded: Loaded) -> str:
    return "\n".join(
        f"{loaded.origin}:{d.row}: {d.reason}{f' ({d.detail})' if d.detail else ''}"
        for d in dropped
    )


# --- writing ---------------------------------------------------------------------------------


def _split(drafts: Sequence[ChatExample], options: Options) -> Split | None:
    if options.split is None:
        return None
    questions = [draft.question for draft in drafts]
    return split_by_question(questions, eval_share=options.split, seed=options.seed)


def _parts(
    out: Path, drafts: Sequence[ChatExample], split: Split | None
) -> dict[Path, list[ChatExample]]:
    if split is None:
        return {out: list(drafts)}
    sided = list(zip(drafts, split.sides, strict=True))
    parts = {
        out.with_suffix(f".{side}.jsonl"): [draft for draft, at in sided if at == side]
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
    rows = (sft_row(draft, columns) for draft in part)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(path, "".join(lines).encode())


def _recipe_line(name: str, drafts: Sequence[ChatExample], loaded: Loaded, options: Options) -> str:
    phi = ", phi: true" if loaded.phi else ""
    if options.to == "preference":
        return f"method: given_pairs, data: {{path: {name}{phi}}}"
    fields = ", ".join(f"{column}: {column}" for column in sft_columns(drafts))
    return f"{{path: {name}, fields: {{{fields}}}{phi}}}"


def _mean_words(texts: Sequence[str]) -> float:
    return sum(len(normalise_words(text)) for text in texts) / len(texts)
