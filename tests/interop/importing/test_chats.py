"""Chats in records of other tools become items with the turns before their questions."""

import json
from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.data.tasks import plan_tasks
from harness.interop.importing import ImportedStudy, import_records
from harness.types import Sample
from tests.builders.conversations import turns
from tests.builders.files import write
from tests.builders.foreign_logs import (
    all_results,
    inspect_log,
    inspect_sample,
    lm_eval_row,
    promptfoo_row,
)

CHAT = turns("I cough.", "At night?", "Yes. Is it asthma?", system="Be kind.")
TOOLS = [*CHAT[:2], {"role": "tool", "content": "5 mg"}, CHAT[-1]]


def import_files(folder: Path, **files: object) -> ImportedStudy:
    paths = [str(write(folder / f"{name}.json", json.dumps(data))) for name, data in files.items()]
    return import_records(paths, folder / "study")


def first_item(folder: Path, study: ImportedStudy) -> Sample:
    """The first item as a run of the imported suite plans it."""
    profile = folder / "study" / "profile.yaml"
    request = load_request(str(folder / "study" / "suite.yaml"), str(profile), study.models)
    return plan_tasks(request)[0].samples[0]


def inspect(chat: object) -> object:
    return inspect_log("org/a", samples=[inspect_sample(1, input=chat)])


def simple_evals(chat: list[dict[str, str]]) -> object:
    return all_results([1.0], convos=[[*chat, {"role": "assistant", "content": "Perhaps."}]])


def promptfoo(chat: object) -> object:
    prompt = {"raw": json.dumps(chat), "label": "p"}
    return {"results": {"version": 3, "results": [promptfoo_row(0, "a", prompt=prompt)]}}


@pytest.mark.parametrize("make", [inspect, simple_evals, promptfoo])
def test_the_turns_before_a_question_are_kept(tmp_path: Path, make: object) -> None:
    item = first_item(tmp_path, import_files(tmp_path, log=make(CHAT)))  # type: ignore[operator]
    assert item.input == "Yes. Is it asthma?"
    system = ["system"] if make is inspect else []  # elsewhere it is the run's
    assert [turn.role for turn in item.history] == [*system, "user", "assistant"]


def test_examples_of_a_chat_of_lm_eval_are_turns_before_its_question(tmp_path: Path) -> None:
    row = lm_eval_row(0, arguments={"gen_args_0": {"arg_0": json.dumps(CHAT), "arg_1": {}}})
    write(tmp_path / "samples_t.jsonl", json.dumps(row) + "\n")
    study = import_records([str(tmp_path / "samples_t.jsonl")], tmp_path / "study")
    assert [turn.content for turn in first_item(tmp_path, study).history] == [
        "I cough.",
        "At night?",
    ]


@pytest.mark.parametrize("make", [inspect, simple_evals, promptfoo])
def test_turns_that_cannot_be_asked_are_counted(tmp_path: Path, make: object) -> None:
    study = import_files(tmp_path, log=make(TOOLS))  # type: ignore[operator]
    item = first_item(tmp_path, study)
    assert (item.input, item.history) == ("I cough.\n\nYes. Is it asthma?", ())
    assert study.left_out == {"turns before a question that cannot be asked (unknown role)": 1}


def test_turns_that_differ_between_files_are_counted_and_left_out(tmp_path: Path) -> None:
    other = turns("I cough.", "By day?", "Yes. Is it asthma?")
    study = import_files(tmp_path, a=simple_evals(CHAT), b=simple_evals(other))
    assert first_item(tmp_path, study).history == ()
    assert study.left_out == {"turns before a question that differ between files": 1}
