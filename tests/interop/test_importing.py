"""Records of other tools: what is read, what is left out, and that the study can be run."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.config import load_profile, load_suite
from harness.core.errors import HarnessError
from harness.interop.importing import describe_import, import_records
from harness.interop.importing.alpaca_eval import winner_of
from harness.interop.importing.inspect_logs import score_of
from tests.builders.foreign_logs import (
    annotation_row,
    import_lm_eval,
    inspect_log,
    lm_eval_row,
    output_row,
    rows_of,
    save,
)

# --- lm-eval ---------------------------------------------------------------------------------


def test_lm_eval_samples_are_named_after_their_folders(tmp_path: Path) -> None:
    rows = [lm_eval_row(i) for i in range(3)]
    found = import_lm_eval(tmp_path, rows, rows)
    assert (found.models, found.metrics, found.n_items) == (("old", "new"), ("exact_match",), 3)
    study = tmp_path / "study"
    assert rows_of(study / "items.jsonl")[1] == {
        "id": "doc-1", "input": "Q: 1?\nA:", "reference": "1",
    }  # fmt: skip
    assert rows_of(study / "answers" / "new.jsonl")[1]["response"] == "It is 1."
    assert rows_of(study / "scores" / "new.jsonl")[1]["exact_match"] == 1.0


def test_of_ranked_choices_the_likeliest_is_the_answer(tmp_path: Path) -> None:
    asked = {f"gen_args_{k}": {"arg_0": "Sky?", "arg_1": f" {c}"} for k, c in enumerate("xyz")}
    resps = [[["-9.5", "False"]], [["-0.5", "True"]], [["-3.0", "False"]]]
    row = lm_eval_row(0, arguments=asked, resps=resps, target="2")
    import_lm_eval(tmp_path, [row], [row])
    assert rows_of(tmp_path / "study" / "answers" / "old.jsonl")[0]["response"] == "y"
    assert rows_of(tmp_path / "study" / "items.jsonl")[0]["reference"] == "z"


def test_each_filter_of_lm_eval_is_a_score_of_its_own(tmp_path: Path) -> None:
    rows = [lm_eval_row(0, filter=name) for name in ("strict-match", "flexible-extract")]
    found = import_lm_eval(tmp_path, rows, rows)
    assert found.metrics == ("exact_match_flexible-extract", "exact_match_strict-match")
    assert found.n_items == 1


def test_rows_that_cannot_be_used_are_counted_with_their_reasons(tmp_path: Path) -> None:
    good = [lm_eval_row(i) for i in range(2)]
    perplexity = lm_eval_row(2, resps=[[["-120.3", "False"]]])
    tuple_score = lm_eval_row(3, exact_match=[1, 2])
    found = import_lm_eval(tmp_path, [*good, perplexity, tuple_score], [*good, lm_eval_row(4)])
    assert found.left_out == {
        "no generated answer and no choices": 1,
        "'exact_match' is no number": 1,
        "not answered by every model": 2,
    }
    assert "  2: not answered by every model" in list(describe_import(found))


def test_another_question_under_the_same_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="'doc-0' is another question"):
        import_lm_eval(tmp_path, [lm_eval_row(0)], [lm_eval_row(0, doc_hash="other")])


# --- AlpacaEval ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preference", "winner"),
    [
        (1, "baseline"), (1.0, "baseline"), (1.49, "baseline"), (1.5, "tie"), (0, "tie"),
        (1.51, "candidate"), (2, "candidate"), (None, None), (3, None), (0.5, None),
        ("2", None), (float("nan"), None),
    ],
)  # fmt: skip
def test_preferences_run_from_generator_1_to_generator_2(preference: Any, winner: Any) -> None:
    assert winner_of(preference) == winner


def test_generator_1_is_the_baseline(tmp_path: Path) -> None:
    rows = [annotation_row(0, 2.0), annotation_row(1, 1.0), annotation_row(2, None)]
    found = import_records([save(tmp_path / "annotations.json", rows)], tmp_path / "study")
    assert found.models == ("ref", "new_1")
    winners = rows_of(tmp_path / "study" / "preferences" / "new_1.jsonl")
    assert [row["winner"] for row in winners] == ["candidate", "baseline", None]
    assert found.left_out["a preference that is no number from 1 to 2: unscored"] == 1
    assert any("random order" in note for note in found.notes)


def test_outputs_and_annotations_belong_together(tmp_path: Path) -> None:
    files = [
        save(tmp_path / "annotations.json", [annotation_row(i, 2.0) for i in range(3)]),
        save(tmp_path / "other.json", [output_row(i, "third") for i in range(2)]),
    ]
    found = import_records(files, tmp_path / "study")
    assert (found.models, found.n_items) == (("ref", "new_1", "third"), 2)


def test_outputs_alone_ask_for_a_judge(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{m}.json", [output_row(0, m)]) for m in ("a", "b")]
    found = import_records(files, tmp_path / "study")
    assert found.metrics == ("win_rate",)
    assert "name a judge in profile.yaml" in " ".join(found.notes)


def test_two_answers_of_one_model_to_one_item_are_refused(tmp_path: Path) -> None:
    files = [
        save(tmp_path / "a.json", [output_row(0, "m")]),
        save(tmp_path / "b.json", [output_row(0, "m", output="else")]),
    ]
    with pytest.raises(HarnessError, match="'m' gives another answer"):
        import_records(files, tmp_path / "study")


# --- Inspect ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (True, 1.0), (0.3, 0.3), ("yes", 1.0),
     ("0.25", 0.25), ("maybe", None), (float("nan"), None), ([1], None)],
)  # fmt: skip
def test_scores_mean_what_inspect_takes_them_for(value: object, number: float | None) -> None:
    assert score_of(value) == number


def test_inspect_logs_name_their_models(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{m}.json", inspect_log(f"org/{m}")) for m in ("old", "new")]
    found = import_records(files, tmp_path / "study")
    assert (found.models, found.metrics, found.n_items) == (("org_old", "org_new"), ("match",), 4)
    study = tmp_path / "study"
    history = [{"role": "system", "content": "s"}]
    assert rows_of(study / "items.jsonl")[0] == {
        "id": "1", "input": "1?", "reference": "1", "history": history
    }  # fmt: skip
    assert rows_of(study / "answers" / "org_new.jsonl")[0]["response"] == "1!"
    scores = rows_of(study / "scores" / "org_new.jsonl")
    assert scores[1] == {"id": "2", "match": 0.0, "words": "because"}


def test_an_eval_archive_is_read_as_the_json_would_be(tmp_path: Path) -> None:
    log = inspect_log("new")
    samples = log.pop("samples")
    with zipfile.ZipFile(tmp_path / "new.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(log))
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    old = save(tmp_path / "old.json", inspect_log("old"))
    found = import_records([old, str(tmp_path / "new.eval")], tmp_path / "study")
    assert (found.models, found.n_items) == (("old", "new"), 4)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "new.eval").write_bytes(b"PK and no more")
    with pytest.raises(HarnessError, match=r"new\.eval: is no Inspect log that can be read"):
        import_records([str(tmp_path / "new.eval")], tmp_path / "study")


def test_a_broken_off_log_is_named(tmp_path: Path) -> None:
    logs = [inspect_log("old"), inspect_log("new", status="error")]
    files = [save(tmp_path / f"{i}.json", log) for i, log in enumerate(logs)]
    found = import_records(files, tmp_path / "study")
    assert any("status is 'error'" in note for note in found.notes)


# --- any format ------------------------------------------------------------------------------


def test_a_models_name_can_be_given(tmp_path: Path) -> None:
    file = save(tmp_path / "x" / "samples.jsonl", [lm_eval_row(0)])
    found = import_records([f"sft={file}", f"dpo={file}"], tmp_path / "study")
    assert found.models == ("sft", "dpo")


def test_what_is_written_is_a_suite_and_a_profile(tmp_path: Path) -> None:
    rows = [lm_eval_row(i, exact_match=10.0 * i) for i in range(3)]
    import_lm_eval(tmp_path, rows, rows)
    suite, _ = load_suite(str(tmp_path / "study" / "suite.yaml"))
    profile, _ = load_profile(str(tmp_path / "study" / "profile.yaml"))
    assert suite.metrics["exact_match"].model_dump()["scale"] == (0, 100)
    assert set(profile.models) == {"old", "new"}


def test_the_claim_in_the_suites_comment_is_one_that_it_can_make(tmp_path: Path) -> None:
    rows = [lm_eval_row(i, exact_match=float(i % 2)) for i in range(3)]
    import_lm_eval(tmp_path, rows, rows)
    file = tmp_path / "study" / "suite.yaml"
    file.write_text(file.read_text("utf-8").replace("# gate", "gate").replace("#  ", "  "), "utf-8")
    suite, _ = load_suite(str(file))
    assert suite.gate is not None
    assert [str(claim) for claim in suite.gate.claims] == ["exact_match.score superior"]


@pytest.mark.parametrize("data", [[], {}, [{"a": 1}], "text", [1]])
def test_an_unknown_format_is_refused(tmp_path: Path, data: object) -> None:
    with pytest.raises(HarnessError, match=r"is none of lm-eval's samples"):
        import_records([save(tmp_path / "x.json", data)], tmp_path / "study")


def test_a_single_log_needs_no_second_one(tmp_path: Path) -> None:
    found = import_records(["dpo=" + save(tmp_path / "m.json", inspect_log("m"))], tmp_path / "s")
    assert (found.models, found.n_items) == (("dpo",), 4)
    assert any("import another model's files" in note for note in found.notes)


def test_nothing_in_common_is_no_comparison(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i}.json", [output_row(i, f"m{i}")]) for i in range(2)]
    with pytest.raises(HarnessError, match="no item that all of m0, m1 answered"):
        import_records(files, tmp_path / "study")


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    file = save(tmp_path / "m.json", [output_row(0, "m")])
    with pytest.raises(HarnessError, match="is in use"):
        import_records([file], tmp_path)


def test_the_command_says_what_to_run_next(tmp_path: Path) -> None:
    file = save(tmp_path / "annotations.json", [annotation_row(i, 2.0) for i in range(3)])
    study = tmp_path / "study"
    done = CliRunner().invoke(app, ["import", file, "--out", str(study), "--format", "json"])
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert told["models"] == ["ref", "new_1"]
    assert told["command"].startswith(f"harness run {study}/suite.yaml")
