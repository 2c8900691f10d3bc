"""Tables of labels with columns, words and shapes of their own."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from harness.artifacts.run_folder import load_run
from harness.config import PeopleSpec, load_profile
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash, file_hash
from harness.core.progress import QuietProgress
from harness.human.calibration import calibrate_run, find_human_labels
from harness.human.labels import HumanLabels, load_label_file, require_fitting
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import Calibration
from tests.builders.files import write, write_rows, write_world
from tests.builders.judged_runs import grades, wins, write_labels, write_run

N = 120
JUDGED = np.array([1.0 if i % 3 else 0.0 for i in range(N)])
MODELS = ("sft", "dpo")


def load(folder: Path, *files: Mapping[str, object], drawn: bool = False) -> HumanLabels:
    spec = {"labels": list(files), **({"drawn": "random"} if drawn else {})}
    path = write(folder / "labels.yaml", json.dumps(spec))
    return load_label_file(path, models=MODELS, row_ids=lambda: {str(i): f"q{i}" for i in range(9)})


def said(people: HumanLabels) -> dict[tuple[str, str], object]:
    return {
        (label.sample_id, label.annotator): label.winner if label.asked_winner else label.scores
        for label in people.labels
    }


# --- columns and words -----------------------------------------------------------------------


def test_columns_and_words_are_those_of_the_file(tmp_path: Path) -> None:
    rows = [
        {"qid": "q1", "who": "Ada", "meta": {"best": "A"}},
        {"qid": "q2", "who": "Ada", "meta": {"best": 2}},
        {"qid": "q3", "who": "Ada", "meta": {"best": "skip"}},
    ]
    write_rows(tmp_path / "l.jsonl", rows)
    fields = {"item": "qid", "annotator": "who", "winner": "meta.best"}
    words = {"winner": {"A": "baseline", "B": "candidate", "2": "tie", "skip": None}}
    people = load(tmp_path, {"path": "l.jsonl", "fields": fields, "values": words})
    assert said(people) == {("q1", "Ada"): "baseline", ("q2", "Ada"): "tie"}


def test_a_word_without_a_meaning_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "l.csv", "item,winner\nq1,A\nq2,B\n")
    words = {"winner": {"A": "baseline"}}
    with pytest.raises(HarnessError, match=r"l\.csv:3: 'B' is no winner.*null for no label"):
        load(tmp_path, {"path": "l.csv", "values": words})


def test_each_annotator_may_have_columns_of_their_own(tmp_path: Path) -> None:
    """XSTest: one file for each model, with the labels of two annotators in two columns."""
    write(tmp_path / "l.csv", "id,one,two\nq1,comply,refuse\nq2,refuse,comply\n")
    people = load(
        tmp_path,
        {
            "path": "l.csv",
            "model": "dpo",
            "fields": {"item": "id"},
            "annotators": {"Ada": {"helpful": "one"}, "Ben": {"helpful": "two"}},
            "values": {"helpful": {"comply": 1, "refuse": 0}},
        },
    )
    assert said(people) == {
        ("q1", "Ada"): {"dpo": {"helpful": 1.0}},
        ("q1", "Ben"): {"dpo": {"helpful": 0.0}},
        ("q2", "Ada"): {"dpo": {"helpful": 0.0}},
        ("q2", "Ben"): {"dpo": {"helpful": 1.0}},
    }
    assert people.annotators == ("Ada", "Ben")


def test_an_empty_cell_among_those_of_several_annotators_is_no_label(tmp_path: Path) -> None:
    write(tmp_path / "l.csv", "id,one,two\nq1,7,\nq2,,3\n")
    people = load(
        tmp_path,
        {
            "path": "l.csv",
            "model": "dpo",
            "fields": {"item": "id"},
            "annotators": {"Ada": {"safety": "one"}, "Ben": {"safety": "two"}},
        },
    )
    assert list(said(people)) == [("q1", "Ada"), ("q2", "Ben")]


def test_a_row_without_an_item_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "l.csv", "item,winner\nq1,tie\n,tie\n")
    with pytest.raises(HarnessError, match=r"l\.csv:3: has no 'item'"):
        load(tmp_path, {"path": "l.csv"})


def test_labels_of_several_files_are_one_set(tmp_path: Path) -> None:
    files = []
    for model, score in (("sft", 3), ("dpo", 8)):
        write(tmp_path / f"{model}.csv", f"item,safety\nq1,{score}\n")
        fields = {"item": "item", "safety": "safety"}
        files.append({"path": f"{model}.csv", "model": model, "fields": fields})
    people = load(tmp_path, *files)
    assert said(people) == {("q1", "people"): {"sft": {"safety": 3.0}, "dpo": {"safety": 8.0}}}
    assert people.source == "labels in sft.csv and dpo.csv"
    with pytest.raises(
        HarnessError, match=r"sft\.csv:2: people has scored sft on item 'q1' before"
    ):
        load(tmp_path, files[0], files[0])


def test_labels_are_joined_by_row(tmp_path: Path) -> None:
    write(tmp_path / "l.csv", "winner\ntie\ncandidate\n")
    write(tmp_path / "m.csv", "n,winner\n7,tie\n3,candidate\n")
    fields = {"row": "n", "winner": "winner"}
    in_order = load(tmp_path, {"path": "l.csv", "join": "row"})
    by_number = load(tmp_path, {"path": "m.csv", "join": "row", "fields": fields})
    assert said(in_order) == {("q0", "people"): "tie", ("q1", "people"): "candidate"}
    assert said(by_number) == {("q7", "people"): "tie", ("q3", "people"): "candidate"}


def test_pairs_that_the_file_names_are_turned_to_the_runs_models(tmp_path: Path) -> None:
    """MT-Bench's human votes: two of many models, in either order, won by a place."""
    rows = [
        {"item": "q1", "a": "sft", "b": "dpo", "winner": "model_a"},
        {"item": "q2", "a": "dpo", "b": "sft", "winner": "model_a"},
        {"item": "q3", "a": "dpo", "b": "sft", "winner": "sft"},
        {"item": "q3", "a": "dpo", "b": "gpt-4", "winner": "model_b"},
    ]
    write_rows(tmp_path / "l.jsonl", rows)
    fields = {"item": "item", "first": "a", "second": "b", "winner": "winner"}
    words = {"winner": {"model_a": "first", "model_b": "second"}}
    people = load(tmp_path, {"path": "l.jsonl", "fields": fields, "values": words})
    assert [label.winner for label in people.labels] == ["baseline", "candidate", "baseline"]
    assert people.left_out.description == "labels not used: 1 of other models (gpt-4)"
    assert people.models == MODELS


# --- labels of several runs ------------------------------------------------------------------


def calibrated(folder: Path, rows: list[dict[str, object]]) -> Calibration:
    run = write_run(folder, [wins(JUDGED), grades("rubric.safety", JUDGED + 5, JUDGED + 6)])
    return calibrate_run(load_run(run), load_label_file(write_labels(folder / "l.csv", rows)))


def test_labels_of_other_items_and_models_are_counted_and_named(tmp_path: Path) -> None:
    own: list[dict[str, object]] = [
        {"item": f"q{i}", "winner": "tie", "model": "dpo", "safety": 7} for i in range(60)
    ]
    other: list[dict[str, object]] = [
        {"item": "asthma", "winner": "tie"},
        *({"item": f"q{i}", "model": "gpt-4", "safety": 70} for i in range(3)),
    ]
    alone, shared = calibrated(tmp_path / "a", own), calibrated(tmp_path / "b", own + other)
    assert shared.judges == alone.judges
    assert (
        "labels not used: 1 of other items (asthma) and 3 of other models (gpt-4)." in shared.notes
    )
    assert "1 of other items (asthma)" in shared.people.sampling
    assert not any("not used" in note for note in alone.notes)


def test_a_file_of_nothing_but_other_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"no label is on an item and a model .*\(asthma\)"):
        calibrated(tmp_path, [{"item": "asthma", "winner": "tie"}])
    write(tmp_path / "m.csv", "item,model,safety\nq1,gpt-4,3\n")
    people = load(tmp_path, {"path": "m.csv"})
    with pytest.raises(HarnessError, match=r"no label .* of this run \(sft, dpo\); .*\(gpt-4\)"):
        require_fitting(people, MODELS)


def test_labels_joined_by_row_calibrate_a_finished_run(tmp_path: Path) -> None:
    run = write_run(tmp_path, [wins(JUDGED)])
    write(tmp_path / "l.csv", "best\n" + "B\n" * 60 + "A\n" * 60)
    words = {"winner": {"A": "baseline", "B": "candidate"}}
    spec = {"path": "l.csv", "join": "row", "fields": {"winner": "best"}, "values": words}
    path = write(tmp_path / "labels.yaml", json.dumps({"labels": spec}))
    people = find_human_labels(run, study=None, labels=path, drawn_at_random=False)
    (held,) = calibrate_run(load_run(run), people).judges
    assert (held.n, people.sampled_ids[:2]) == (N, ("q0", "q1"))
    assert [sum(row) for row in held.confusion] == [60, 0, 60]


def test_a_run_says_which_labels_of_its_judge_it_does_not_use(tmp_path: Path) -> None:
    suite, profile = write_world(tmp_path)
    with (tmp_path / "labels.csv").open("a") as labels:
        labels.write("asthma,dpo,7\nq1,gpt-4,99\n")
    request = load_request(suite, profile, ["sft", "dpo"])
    done = run_suite(request, make_context(tmp_path / "store", QuietProgress()), out=tmp_path / "r")
    (caveat,) = [c.text for c in done.result.caveats if c.code == "labels_left_out"]
    assert caveat == (
        "labels in labels.csv: labels not used: 1 of other items (asthma) and 1 of other models (gpt-4)."
    )


def test_runs_of_earlier_versions_which_do_not_know_rows_are_joined_by_item_only(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path, [wins(JUDGED)])
    answers = run / "answers.parquet"
    parquet.write_table(parquet.read_table(answers).drop_columns(["row"]), answers)
    write(tmp_path / "l.csv", "winner\ntie\n")
    path = write(tmp_path / "labels.yaml", "labels: {path: l.csv, join: row}")
    with pytest.raises(HarnessError, match="does not say in which row each item stands"):
        find_human_labels(run, study=None, labels=path, drawn_at_random=False)


# --- identity and mistakes -------------------------------------------------------------------


def test_another_meaning_is_another_set_of_labels(tmp_path: Path) -> None:
    write(tmp_path / "l.csv", "item,winner\nq1,tie\nq2,A\n")
    prints = {
        load(tmp_path, {"path": "l.csv", "values": {"winner": {"A": word}}}).fingerprint
        for word in ("baseline", "candidate")
    }
    assert len(prints) == 2


def test_a_path_alone_is_what_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv", "item,winner\nq1,tie\n")
    plain = load_label_file(path)
    assert plain.fingerprint == load(tmp_path, {"path": "l.csv"}).fingerprint
    assert plain.fingerprint == content_hash(file_hash(path), False)
    assert PeopleSpec(labels="l.csv").labels[0].meaning == {}  # type: ignore[arg-type]


PROFILE = """\
profile: mine
models: {{sft: {{recipe: a.yaml}}, dpo: {{recipe: b.yaml}}}}
judges:
  default:
    offline: consumer_health
    calibrated_by:
      labels:
        path: l.csv
        {keys}
"""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("feilds: {item: id}", r":9: .*labels\.feilds: unknown key\. Did you mean 'fields'"),
        ("values: {winner: {A: better}}", r":9: .*values\.winner\.A: 'better' is unknown"),
        ("{fields: {item: i}, values: {winner: {A: tie}}}", r"values\.winner: is no field"),
        ("fields: {item: i, first: a}", r"labels\.fields: 'first' and 'second'"),
        (
            "model: dpo\n        fields: {item: i, model: m}",
            r":9: .*labels\.model: names the model",
        ),
        ("annotators: {Ada: {annotator: a}}", r":9: .*labels\.annotators: name the annotators"),
    ],
)
def test_a_wrong_description_is_refused_on_its_line(
    tmp_path: Path, keys: str, message: str
) -> None:
    text = PROFILE.format(keys=keys).replace("path: l.csv\n        {", "{path: l.csv, ")
    with pytest.raises(HarnessError, match=message):
        load_profile(str(write(tmp_path / "mine.yaml", text)))


# --- training seeds --------------------------------------------------------------------------


def test_a_seed_names_the_copy_of_an_item_that_its_model_answered(tmp_path: Path) -> None:
    rows = [{"item": "q1", "seed": seed, "winner": "candidate"} for seed in (1, 2)]
    write_labels(tmp_path / "l.csv", rows)
    fields = {"item": "item", "seed": "seed", "winner": "winner"}
    people = load(tmp_path, {"path": "l.csv", "fields": fields})
    assert [label.sample_id for label in people.labels] == ["q1@seed1", "q1@seed2"]


def test_a_seed_that_is_no_number_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "l.csv", "item,seed,winner\nq1,one,candidate\n")
    fields = {"item": "item", "seed": "seed", "winner": "winner"}
    with pytest.raises(HarnessError, match="2: seed 'one' is no whole number"):
        load(tmp_path, {"path": "l.csv", "fields": fields})
