"""Sources in, files for recipes out: filters, summaries, exit codes and recipes that read them."""

import gzip
import hashlib
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.config import Source
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.data.convert import ConversionSummary, convert_file, make_options
from harness.data.preference_pairs import load_given_pairs, load_pairs
from harness.data.tables import load_rows
from harness.training.commands import build_pairs
from harness.training.context import make_context
from tests.builders.commands import harness_here
from tests.builders.files import write, write_rows
from trainers.examples import load_examples
from trainers.recipe import TrainingSource

SFT = [{"instruction": f"What helps against illness {n}?", "output": f"Remedy {n}, and rest."}
       for n in range(30)]  # fmt: skip
PAIRS = [{"question": f"What helps against illness {n}?", "response_chosen": "See your doctor.",
          "response_rejected": f"Remedy {n}."} for n in range(30)]  # fmt: skip


def convert(folder: Path, rows: list[Mapping[str, object]], **options: object) -> ConversionSummary:
    source = write_rows(folder / "in.jsonl", rows)
    given = {"to": "sft", "fields": "", **options}
    return convert_file(str(source), folder / "out.jsonl", make_options(**given))  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- what is written -------------------------------------------------------------------------


def test_sft_rows_are_what_a_recipe_reads(tmp_path: Path) -> None:
    convert(tmp_path, SFT[:1])
    assert read(tmp_path / "out.jsonl") == [
        {"id": "row-00001", "input": "What helps against illness 0?", "reference": "Remedy 0, and rest."}
    ]  # fmt: skip


def test_the_summary_beside_the_output_accounts_for_every_row(tmp_path: Path) -> None:
    rows = [*SFT[:3], {"instruction": "", "output": "x"}, {"instruction": "Why?", "output": ""}]
    summary = convert(tmp_path, rows)
    assert (summary.rows, summary.kept) == (5, 3)
    assert summary.dropped == {"empty_question": 1, "empty_answer": 1}
    assert [(d.row, d.reason) for d in summary.dropped_rows] == [
        ("4", "empty_question"),
        ("5", "empty_answer"),
    ]
    assert summary.records == {"out.jsonl": 3}
    written = (tmp_path / "out.summary.json").read_text(encoding="utf-8")
    assert ConversionSummary.model_validate_json(written) == summary
    content = (tmp_path / "in.jsonl").read_bytes()
    assert summary.sha256 == hashlib.sha256(content).hexdigest()


def test_two_conversions_write_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        convert(tmp_path, SFT, take=20, seed=3, split=0.3)
        names = ("out.train.jsonl", "out.eval.jsonl", "out.summary.json")
        contents.append([(tmp_path / name).read_bytes() for name in names])
    assert contents[0] == contents[1]


def test_an_own_system_prompt_goes_before_the_given_one(tmp_path: Path) -> None:
    write(tmp_path / "kind.md", "Be kind.\n")
    rows = [SFT[0] | {"system": "Be brief."}, SFT[1]]
    summary = convert(tmp_path, rows, system=str(tmp_path / "kind.md"))
    assert [row["system"] for row in read(tmp_path / "out.jsonl")] == ["Be brief.", "Be kind."]
    assert (summary.system_prompt, summary.own_system) == ("Be kind.", 1)


def test_pairs_with_the_same_prompt_carry_the_same_id(tmp_path: Path) -> None:
    rows = [PAIRS[0], PAIRS[1], PAIRS[0] | {"response_rejected": "Nothing."}]
    convert(tmp_path, rows, to="preference")
    pairs = load_pairs(tmp_path / "out.jsonl").pairs
    assert [pair.sample_id for pair in pairs] == ["row-00001", "row-00002", "row-00001"]
    assert {pair.source for pair in pairs} == {"given"}


def test_answers_with_labels_are_paired_by_prompt(tmp_path: Path) -> None:
    answers = [("A?", "bad", False), ("A?", "good", True), ("B?", "alone", True), ("A?", "more", True)]  # fmt: skip
    rows = [{"prompt": p, "completion": c, "label": label} for p, c, label in answers]
    summary = convert(tmp_path, rows, to="preference")
    (pair,) = load_pairs(tmp_path / "out.jsonl").pairs
    assert (pair.chosen, pair.rejected) == ("good", "bad")
    assert (summary.rows, summary.kept, summary.dropped) == (4, 2, {"no_counterpart": 2})
    assert summary.records == {"out.jsonl": 1}


def test_only_liked_answers_are_imitated(tmp_path: Path) -> None:
    rows = [{"prompt": f"A{n}?", "completion": "B.", "label": n > 0} for n in range(3)]
    summary = convert(tmp_path, rows)
    assert (summary.kept, summary.dropped) == (2, {"disliked": 1})


# --- which rows go on ------------------------------------------------------------------------


def test_lengths_are_counted_in_the_words_of_every_answer(tmp_path: Path) -> None:
    answers = [("one two three", "one"), ("one two", "two one"), ("one two", "one two three four")]
    rows = [{"prompt": "A?", "chosen": c, "rejected": r} for c, r in answers]
    summary = convert(tmp_path, rows, to="preference", min_words=2, max_words=3)
    assert [(d.row, d.reason, d.detail) for d in summary.dropped_rows] == [
        ("1", "too_short", "1 words"),
        ("3", "too_long", "4 words"),
    ]


@pytest.mark.parametrize(
    ("dedupe", "kept"), [("none", 5), ("row", 4), ("question", 3), ("normalised", 2)]
)
def test_the_first_of_what_counts_as_the_same_is_kept(
    tmp_path: Path, dedupe: str, kept: int
) -> None:
    asked = [("Gout?", "A."), ("Gout?", "A."), ("Gout?", "B."), ("GOUT", "A."), ("Lupus?", "A.")]
    rows = [{"instruction": question, "output": answer} for question, answer in asked]
    summary = convert(tmp_path, rows, dedupe=dedupe)
    assert (summary.kept, summary.dropped.get("duplicate", 0)) == (kept, 5 - kept)
    assert read(tmp_path / "out.jsonl")[0]["id"] == "row-00001"
    assert all(dropped.detail == "of row 1" for dropped in summary.dropped_rows)


def test_a_seeded_subset_is_in_file_order_and_other_seeds_take_others(tmp_path: Path) -> None:
    taken = []
    for seed in (1, 1, 2):
        summary = convert(tmp_path, SFT, take=10, seed=seed)
        assert (summary.kept, summary.dropped) == (10, {"not_taken": 20})
        taken.append([str(row["id"]) for row in read(tmp_path / "out.jsonl")])
    assert taken[0] == taken[1] == sorted(taken[0])
    assert taken[0] != taken[2]


@pytest.mark.parametrize("listed", ['{"row-00002": "yes"}', '["row-00002"]', "row-00002\nother\n"])
def test_ids_of_a_test_set_are_left_out(tmp_path: Path, listed: str) -> None:
    ids = write(tmp_path / "ids", listed)
    summary = convert(tmp_path, SFT[:3], without=str(ids), strict=True)
    assert (summary.kept, summary.dropped) == (2, {"withheld": 1})


def test_ids_of_something_else_are_refused(tmp_path: Path) -> None:
    ids = write(tmp_path / "ids.json", '["nobody"]')
    with pytest.raises(HarnessError, match="None of the 1 ids"):
        convert(tmp_path, SFT, without=str(ids))


def test_a_split_keeps_every_question_on_one_side(tmp_path: Path) -> None:
    again = [row | {"output": "Another answer."} for row in SFT]
    summary = convert(tmp_path, [*SFT, *again], split=0.3)
    train, evaluation = (
        {row["input"] for row in read(tmp_path / f"out.{side}.jsonl")} for side in ("train", "eval")
    )
    assert len(train) + len(evaluation) == 30
    assert train.isdisjoint(evaluation)
    assert sum(summary.records.values()) == summary.kept == 60
    assert summary.split is not None
    assert (summary.split.n_groups, summary.split.largest_group) == (30, 2)


# --- what is refused -------------------------------------------------------------------------


def test_strict_names_the_file_and_the_rows_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"in\.jsonl:2: empty_answer"):
        convert(tmp_path, [SFT[0], SFT[1] | {"output": ""}], strict=True)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_line_that_is_no_row_is_an_error_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", '{"instruction": "A?", "output": "B."}\n{"instruction": \n')
    with pytest.raises(HarnessError, match=r"in\.jsonl:2: not valid JSON"):
        convert_file(str(tmp_path / "in.jsonl"), tmp_path / "o.jsonl", make_options(to="sft", fields=""))  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"take": 31}, "Only 30 rows can be used"),
        ({"split": 0.0001}, r"out\.eval\.jsonl: would be empty"),
        ({"split": 1.5}, "--split"),
        ({"min_words": 999}, "none of its 30 rows can be used"),
        ({"fields": "input"}, "'input' is not NAME=COLUMN"),
        ({"fields": "input=a", "source_format": "alpaca"}, "give one of them"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(HarnessError, match=message):
        convert(tmp_path, SFT, **options)


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", SFT)
    with pytest.raises(HarnessError, match="is the source itself"):
        convert_file(str(source), source, make_options(to="sft", fields=""))


# --- other files -----------------------------------------------------------------------------


def test_json_lines_that_are_called_json_are_read(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "reward.json", PAIRS)
    options = make_options(to="preference", fields="")
    assert convert_file(str(source), tmp_path / "o.jsonl", options).format == "reward"


def in_parquet(rows: list[dict[str, object]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


def test_a_parquet_file_and_packed_ones_hold_the_same_rows_as_json_lines(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B é."}]
    rows: list[dict[str, object]] = [{"id": n, "messages": turns} for n in range(3)]
    plain = write_rows(tmp_path / "rows.jsonl", rows).read_bytes()
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "rows.parquet").write_bytes(in_parquet(rows))
    (tmp_path / "rows.parquet.gz").write_bytes(gzip.compress(in_parquet(rows)))
    for name in ("rows.jsonl", "rows.jsonl.gz", "rows.parquet", "rows.parquet.gz"):
        assert load_rows(Source(path=name), tmp_path).rows == rows
        options = make_options(to="sft", fields="")
        assert (
            convert_file(str(tmp_path / name), tmp_path / "out.jsonl", options).format == "chatml"
        )


def test_times_and_bytes_of_parquet_are_texts(tmp_path: Path) -> None:
    when = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    (tmp_path / "a.parquet").write_bytes(in_parquet([{"q": "A?", "at": when, "n": None}]))
    rows = load_rows(Source(path="a.parquet"), tmp_path).rows
    assert rows == [{"q": "A?", "at": "2026-01-02 03:04:00+00:00", "n": None}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 torn", "not a readable Parquet file"),
        ("a.jsonl.gz", b"no gzip", r"not a readable \.gz file"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99)[:-9], r"not a readable \.gz file"),
        ("a.txt.gz", gzip.compress(b"text"), "unknown format 'txt'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HarnessError, match=message):
        load_rows(Source(path=name), tmp_path)


def test_a_source_may_be_pinned_and_filtered_in_a_yaml_file(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", "frage,antwort,teil\nGicht?,Nein.,a\nLupus?,Ja.,b\n")
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    source = write(
        tmp_path / "source.yaml",
        f"path: t.csv\nsha256: {digest}\nphi: true\n"
        "fields: {input: frage, reference: antwort}\nwhere: {teil: b}\n",
    )
    summary = convert_file(str(source), tmp_path / "o.jsonl", make_options(to="sft", fields=""))
    assert read(tmp_path / "o.jsonl")[0]["input"] == "Lupus?"
    assert (summary.rows, summary.sha256) == (1, digest)
    assert summary.recipe.endswith("phi: true}")
    table.write_text("frage,antwort,teil\nGicht?,Ja.,b\n", encoding="utf-8")
    with pytest.raises(HarnessError, match="not the pinned"):
        convert_file(str(source), tmp_path / "o.jsonl", make_options(to="sft", fields=""))


MEDQUAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<Document id="7" source="CDC"><Focus>Gout</Focus><QAPairs>
<QAPair pid="1"><Question qid="7-1">What is gout ?</Question><Answer> An arthritis. </Answer></QAPair>
<QAPair pid="2"><Question qid="7-2">Who gets gout ?</Question><Answer></Answer></QAPair>
</QAPairs></Document>
"""


def test_a_folder_of_xml_is_read_as_medquad(tmp_path: Path) -> None:
    (tmp_path / "xml").mkdir()
    write(tmp_path / "xml" / "7.xml", MEDQUAD)
    summary = convert_file(str(tmp_path / "xml"), tmp_path / "o.jsonl", make_options(to="sft", fields=""))  # fmt: skip
    assert read(tmp_path / "o.jsonl") == [
        {"id": "CDC-7-1", "input": "What is gout ?", "reference": "An arthritis."}
    ]
    assert [(d.row, d.reason) for d in summary.dropped_rows] == [("7.xml#2", "empty_answer")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<Document>\n<QAPair>", r"7\.xml:2: not valid XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Document/>', "declares a document type"),
        ("<Document/>", "hold no <QAPair>"),
    ],
)
def test_other_xml_is_refused(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path / "7.xml", content)
    with pytest.raises(HarnessError, match=message):
        convert_file(str(tmp_path), tmp_path / "o.jsonl", make_options(to="sft", fields=""))


# --- recipes that read it --------------------------------------------------------------------


def test_a_dialogue_reaches_training_whole(tmp_path: Path) -> None:
    turns = [("system", "Be kind."), ("human", "A?"), ("gpt", "B."), ("human", "C?"), ("gpt", "D.")]
    dialogue = {"conversations": [{"from": who, "value": what} for who, what in turns]}
    single = {"conversations": [{"from": "human", "value": "E?"}, {"from": "gpt", "value": "F."}]}
    summary = convert(tmp_path, [dialogue, single])
    fields = {name: name for name in ("id", "input", "reference", "system", "history")}
    assert all(f"{name}: {name}" in summary.recipe for name in fields)
    write(tmp_path / "brief.md", "Be brief.")
    source = TrainingSource(path="out.jsonl", fields=fields, system="brief.md")
    first, second = load_examples([source], tmp_path)
    assert [(m.role, m.content) for m in first.prompt] == [
        ("system", "Be kind."), ("user", "A?"), ("assistant", "B."), ("user", "C?")
    ]  # fmt: skip
    assert [(m.role, m.content) for m in second.prompt] == [("system", "Be brief."), ("user", "E?")]
    assert (first.completion, second.completion) == ("D.", "F.")


def test_a_history_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "r.jsonl", [{"q": "A?", "a": "B.", "h": [{"role": "user"}]}])
    fields = {"input": "q", "reference": "a", "history": "h"}
    with pytest.raises(HarnessError, match=r"r\.jsonl:1: 'h'"):
        load_examples([TrainingSource(path="r.jsonl", fields=fields)], tmp_path)


def test_a_recipe_of_given_pairs_reads_the_file_where_it_lies(tmp_path: Path) -> None:
    convert(tmp_path, PAIRS, to="preference")
    recipe = write(tmp_path / "given.yaml", "recipe: g\nmethod: given_pairs\ndata: {path: out.jsonl}\n")  # fmt: skip
    made = build_pairs(str(recipe), "tiny", make_context(tmp_path / "store", QuietProgress()))
    assert made.directory == "out.jsonl"
    assert (made.summary["pairs built"], made.summary["pairs kept"]) == ("30", "30")
    assert made.summary["chosen by"] == "whoever made the file"


def test_given_pairs_that_teach_nothing_are_dropped_and_counted(tmp_path: Path) -> None:
    pair = {"sample_id": "a", "prompt": [{"role": "user", "content": "A?"}], "source": "given"}
    rows = [pair | {"chosen": "B.", "rejected": r} for r in ("C.", "B.", "")]
    write_rows(tmp_path / "p.jsonl", rows)
    pairs, statistics = load_given_pairs(Source(path="p.jsonl"), tmp_path)
    assert len(pairs) == statistics.kept == 1
    assert statistics.dropped == {"identical": 1, "empty": 1}


def test_given_pairs_of_another_shape_are_refused_with_their_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "p.jsonl", PAIRS)
    with pytest.raises(HarnessError, match=r"p\.jsonl:1: is no preference pair.*harness convert"):
        load_given_pairs(Source(path="p.jsonl"), tmp_path)


# --- the command -----------------------------------------------------------------------------


def test_the_command_tells_its_summary_and_ends_with_0_or_2(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", [*SFT, {"instruction": "Why?", "output": ""}])
    asked = ("convert", "in.jsonl", "--to", "sft", "--out", "o.jsonl")
    told = harness_here(*asked, "--format", "json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == json.loads((tmp_path / "o.summary.json").read_text())
    strict = harness_here(*asked, "--strict", cwd=tmp_path)
    assert strict.returncode == 2
    assert "in.jsonl:31: empty_answer" in strict.stderr


@pytest.mark.parametrize("taken", ["rows.jsonl", "folder/rows.jsonl"])
def test_a_place_that_cannot_be_written_is_refused_before_reading(
    tmp_path: Path, taken: str
) -> None:
    (tmp_path / "folder").write_text("a file where the folder should be")
    (tmp_path / "rows.jsonl").mkdir()
    with pytest.raises(HarnessError, match=r"is a folder|is no folder"):
        convert_file("nowhere.jsonl", tmp_path / taken, make_options(to="sft", fields=""))


def test_earlier_turns_of_weight_0_keep_their_weight_for_recipes(tmp_path: Path) -> None:
    """Only a run on all turns would learn them."""
    turns = [("user", "Bad?"), ("assistant", "Fatal."), ("user", "Really?"), ("assistant", "No.")]
    chat: list[dict[str, object]] = [{"role": r, "content": c} for r, c in turns]
    chat[1]["weight"] = 0
    convert(tmp_path, [{"messages": [{"role": "system", "content": "Be kind."}, *chat]}])
    (row,) = read(tmp_path / "out.jsonl")
    assert row["history"] == [
        {"role": "user", "content": "Bad?"},
        {"role": "assistant", "content": "Fatal.", "weight": 0},
    ]
    columns = ("id", "input", "reference", "system", "history")
    source = TrainingSource(path="out.jsonl", fields={name: name for name in columns})
    (example,) = load_examples([source], tmp_path)
    assert example.unlearnt_turns == 1
    assert [m.role for m in example.prompt] == ["system", "user", "assistant", "user"]
