"""lm-eval's samples: which choice was taken, chats as prompts, and what cannot be told."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.interop.importing import import_records
from harness.interop.importing.lm_eval import UNKNOWN_CHOICE, read_lm_eval
from tests.builders.foreign_logs import (
    answers_of,
    import_lm_eval,
    lm_eval_row,
    ranked_row,
    rows_of,
    save,
)

CONTEXTS = ["Ann thanked Bea because Ann", "Ann thanked Bea because Bea"]


@pytest.mark.parametrize(
    ("likelihoods", "chosen"),
    [
        ([-3.5, 0.0], "b"),
        ([0.0, -3.5], "a"),
        ([0.0, 0.0], "a"),
        (["-0.0", "-1"], "a"),
        (["-inf", "-3"], "b"),
        ([-2.0, "nan", -1.0], "b"),  # numpy's argmax takes the first NaN
    ],
)
def test_the_largest_log_likelihood_is_taken(
    tmp_path: Path, likelihoods: list[float | str], chosen: str
) -> None:
    row = ranked_row(likelihoods, target=str("ab".index(chosen)))
    import_lm_eval(tmp_path, [row], [row])
    assert answers_of(tmp_path, "new") == {"doc-0": chosen}


def test_a_choice_in_the_context_is_what_differs_there(tmp_path: Path) -> None:
    end = " had helped."
    row = ranked_row([-9.0, -2.0], contexts=CONTEXTS, ends=[end] * 2, target="had helped.")
    import_lm_eval(tmp_path, [row], [row])
    assert answers_of(tmp_path, "new") == {"doc-0": "Bea"}
    (item,) = rows_of(tmp_path / "study" / "items.jsonl")
    assert item["input"] == "Ann thanked Bea because _ had helped."
    assert item["reference"] == "Bea"  # for its acc is 1


def test_words_of_choices_in_contexts_are_not_cut(tmp_path: Path) -> None:
    contexts = ["It is the trophy", "It is the track"]
    row = ranked_row([-1.0, -2.0], contexts=contexts, ends=[" there."] * 2)
    import_lm_eval(tmp_path, [row], [row])
    assert answers_of(tmp_path, "new") == {"doc-0": "trophy"}


def test_requests_without_a_context_are_no_choices(tmp_path: Path) -> None:
    contexts, ends = ["Sky?", "Sky?", "", ""], [" red", " blue", "red", "blue"]
    row = ranked_row(
        [-5.0, -4.0, -0.5, -9.0], contexts=contexts, ends=ends, target="1",
        metrics=["acc", "acc_mutual_info"], acc_mutual_info=1.0,
    )  # fmt: skip
    import_lm_eval(tmp_path, [row], [row])
    assert answers_of(tmp_path, "new") == {"doc-0": "blue"}


@pytest.mark.parametrize(
    ("metric", "chosen"), [("acc", "no"), ("acc_norm", "certainly"), ("acc_mutual_info", "no")]
)
def test_without_acc_the_rule_of_the_next_metric_counts(
    tmp_path: Path, metric: str, chosen: str
) -> None:
    ends = [" no", " certainly", "no", "certainly"]
    row = ranked_row(
        [-4.0, -6.0, -9.0, -3.0], contexts=["Sky?", "Sky?", "", ""], ends=ends,
        target=str(("no", "certainly").index(chosen)), metrics=[metric],
    )  # fmt: skip
    del row["acc"]
    row[metric] = 1.0
    import_lm_eval(tmp_path, [row], [row])
    assert answers_of(tmp_path, "new") == {"doc-0": chosen}


@pytest.mark.parametrize(
    "changes",
    [
        {"acc": 0.0},  # the target is the taken choice
        {"acc": 1.0, "target": "1"},
        {"acc": 0.43},  # as truthfulqa_mc2 scores
        {"acc": None},
        {"ends": ["", " b"]},
    ],
)
def test_what_was_chosen_is_not_told_against_the_score(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    ends = changes.pop("ends", None)
    row = ranked_row([-1.0, -2.0], ends=ends, **changes)  # type: ignore[arg-type]
    found = import_lm_eval(tmp_path, [row], [row])
    assert found.left_out[UNKNOWN_CHOICE] == 2
    assert "-1\n" in str(answers_of(tmp_path, "new")["doc-0"])


@pytest.mark.parametrize(
    ("target", "acc", "reference"),
    [
        ("[0, 2]", 1.0, ["a", "c"]),
        ("[1, 2]", 0.0, ["b", "c"]),
        ([0, 1], 1.0, ["a", "b"]),
        ("a", 1.0, "a"),
        ("-100", 0.0, None),
        ("2", 0.0, "c"),
    ],
)
def test_targets_are_read_as_numbers_lists_or_texts(
    tmp_path: Path, target: object, acc: float, reference: object
) -> None:
    row = ranked_row([-1.0, -2.0, -3.0], target=target, acc=acc)
    import_lm_eval(tmp_path, [row], [row])
    assert answers_of(tmp_path, "new") == {"doc-0": "a"}
    assert rows_of(tmp_path / "study" / "items.jsonl")[0].get("reference") == reference


def test_a_choice_that_is_a_number_is_meant_where_only_it_agrees(tmp_path: Path) -> None:
    row = ranked_row([-1.0, -2.0, -3.0], ends=[" 2", " 1", " 0"], target="2", acc=1.0)
    import_lm_eval(tmp_path, [row], [row])
    assert rows_of(tmp_path / "study" / "items.jsonl")[0]["reference"] == "2"


def test_choices_without_any_context_are_the_question(tmp_path: Path) -> None:
    row = ranked_row([-1.0, -2.0], contexts=["", ""], ends=["Cats sleep.", "Cats sleeps."])
    import_lm_eval(tmp_path, [row], [row])
    assert rows_of(tmp_path / "study" / "items.jsonl")[0]["input"] == "Cats sleep.\nCats sleeps."
    assert answers_of(tmp_path, "new") == {"doc-0": "Cats sleep."}


CHAT = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "an example"},
    {"role": "assistant", "content": "its answer"},
    {"role": "user", "content": "How much is 2 + 2?", "type": "text"},
]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "How much is 2 + 2?"}]}]


@pytest.mark.parametrize(
    "prompt",
    [json.dumps(CHAT), [json.dumps(CHAT)], CHAT, [json.dumps(PARTS)], PARTS],
    ids=["text", "text in a list", "messages", "text of parts", "parts"],
)
def test_the_question_of_a_chat_is_its_last_user_turn(tmp_path: Path, prompt: object) -> None:
    row = lm_eval_row(0, arguments={"gen_args_0": {"arg_0": prompt, "arg_1": {}}})
    found = import_lm_eval(tmp_path, [row], [row])
    assert (found.n_items, found.metrics) == (1, ("exact_match",))
    assert rows_of(tmp_path / "study" / "items.jsonl")[0]["input"] == "How much is 2 + 2?"


@pytest.mark.parametrize("prompt", ["[{1, 2}] is a set?", '[{"a": 1}]'])
def test_a_prompt_that_looks_like_json_stays_text(tmp_path: Path, prompt: str) -> None:
    row = lm_eval_row(0, arguments=[[prompt, {}]])
    import_lm_eval(tmp_path, [row], [row])
    assert rows_of(tmp_path / "study" / "items.jsonl")[0]["input"] == prompt


def test_where_no_item_is_left_the_counted_reasons_are_named(tmp_path: Path) -> None:
    rows = [lm_eval_row(i, arguments={}) for i in range(2)]
    with pytest.raises(HarnessError, match="Left out: 4: no prompt"):
        import_lm_eval(tmp_path, rows, rows)


def test_metrics_that_would_have_one_name_are_kept_apart(tmp_path: Path) -> None:
    scores = {"f1/a": 1.0, "f1 a": 0.0, "win_rate": 0.5, "words": 0.25, "id": 0.75}
    row = lm_eval_row(0, metrics=list(scores), **scores)
    found = import_lm_eval(tmp_path, [row], [row])
    assert found.metrics == ("f1_a", "f1_a_2", "id_2", "win_rate_2", "words_2")
    (scored,) = rows_of(tmp_path / "study" / "scores" / "new.jsonl")
    assert scored == {
        "id": "doc-0", "f1_a": 0.0, "f1_a_2": 1.0, "id_2": 0.75, "win_rate_2": 0.5,
        "words_2": 0.25, "words": None,
    }  # fmt: skip


def test_the_likelihood_of_one_given_end_is_no_choice(tmp_path: Path) -> None:
    row = ranked_row([-3.25], contexts=["He opened the"], ends=[" door"], target=" door")
    found = import_lm_eval(tmp_path, [row], [row])
    assert found.metrics == ("acc",)
    assert answers_of(tmp_path, "new") == {"doc-0": "door: -3.25"}
    assert not found.left_out


def test_likelihoods_that_are_not_nested_are_no_generated_text(tmp_path: Path) -> None:
    row = ranked_row([-3.0, -1.0], resps=[["-3.0", "False"], ["-1.0", "True"]], target="1")
    import_lm_eval(tmp_path, [row], [row])
    assert answers_of(tmp_path, "new") == {"doc-0": "b"}


def test_totals_point_to_the_samples(tmp_path: Path) -> None:
    file = save(tmp_path / "results_1.json", {"results": {}, "configs": {}, "versions": {}})
    with pytest.raises(HarnessError, match="--log_samples"):
        import_records([file], tmp_path / "study")


@pytest.mark.parametrize("kind", ["acc", "acc_norm", "acc_mutual_info", "contexts"])
def test_the_choice_is_that_of_lm_evals_own_arithmetic(kind: str) -> None:
    draw = random.Random(kind)
    words = ["alpha", "be", "gamma", "delta", "epsilon", "zeta", "eta"]
    for _ in range(300):
        n = draw.randint(2, 5)
        choices = draw.sample(words, n)
        given = [draw.choice([0.0, -0.0, -math.inf, -1.0, -9 * draw.random()]) for _ in range(n)]
        alone = [-9 * draw.random() for _ in range(n)]
        by_metric = {
            "acc_norm": np.array(given) / [len(choice) for choice in choices],
            "acc_mutual_info": np.array(given) - alone,
        }
        taken, gold = int(np.argmax(by_metric.get(kind, given))), draw.randrange(n)
        metric = "acc" if kind == "contexts" else kind
        contexts, ends = ["The thing is"] * n, [f" {choice}" for choice in choices]
        if kind == "contexts":
            contexts, ends = [f"He saw the {c}" for c in choices], [" there."] * n
        if kind == "acc_mutual_info":
            contexts, ends, given = contexts + [""] * n, ends + choices, given + alone
        row = ranked_row(given, contexts=contexts, ends=ends, target=str(gold), metrics=[metric])
        del row["acc"]
        records = read_lm_eval([row | {metric: float(taken == gold)}], "m", "file")
        assert records.answers["m"]["doc-0"] == choices[taken]
