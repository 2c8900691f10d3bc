"""Log-probabilities of options: those of whole rows one by one, and those of lm-eval."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from harness.config import ChoiceLayout, Generation
from harness.core.errors import HarnessError
from harness.models.likelihood import (
    EncodedOptions,
    encode_options,
    log_probabilities,
    score_options,
)
from harness.models.local import LocalModel, make_prompt
from harness.models.weights import load_tokenizer, load_weights
from harness.types import Sample
from judges.likelihood import LikelihoodJudge
from tests.builders.adapter_kinds import with_virtual_tokens
from tests.builders.families import FAMILIES, make_base
from tests.builders.judge_requests import grade, outcome
from tests.builders.lm_eval import (
    CONTEXT,
    GOLDEN,
    LM_EVAL,
    SUITES,
    Row,
    condense,
    items_of,
    made_up_rows,
    metric_of,
    run_lm_eval,
)
from tests.builders.tiny import make_tiny_model

DATA = os.environ.get("HARNESS_DATA_DIR")
IN_WORDS = ChoiceLayout(None, "label", lettered=False, seed=None, template="{question}")
TEXTS = {"A": "see a doctor", "B": "cough", "C": "asthma. Could this be asthma? See a doctor soon."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"), context=CONTEXT)


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    return LocalModel.load(folder)


def item(question: str, texts: dict[str, str] = TEXTS) -> Sample:
    return Sample(id="q", input=question, row=0, choices=texts, right_choice="A")


def score(model: LocalModel, *items: Sample) -> list[Any]:
    return [json.loads(answer.text or "") for answer in score_options(model, items, IN_WORDS)]


def one_by_one(model: Any, row: EncodedOptions) -> dict[str, float]:
    """Each option as a row of its own, without padding or a cache."""
    import torch

    found = {}
    for label, ids in row.continuations.items():
        whole = torch.tensor([[*row.prompt, *ids]])
        with torch.inference_mode():
            log_p = model(input_ids=whole[:, :-1]).logits.float().log_softmax(-1)[0]
        chosen = log_p[-len(ids) :].gather(-1, torch.tensor(ids)[:, None])
        found[label] = float(chosen.sum())
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_the_numbers_of_whole_rows(tmp_path: Path, name: str) -> None:
    model, tokenizer = load_weights(make_base(name, tmp_path))
    rows = [encode_options(tokenizer, "Cough? " * n, TEXTS) for n in (1, 4, 20)]
    for found, row in zip(log_probabilities(model, rows), rows, strict=True):
        assert found == pytest.approx(one_by_one(model, row), abs=1e-4)


@pytest.mark.filterwarnings("default")  # PEFT's own ways of asking
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_virtual_tokens_stand_before_every_option(folder: Path, kind: str) -> None:
    base, tokenizer = load_weights(folder)
    rows = [encode_options(tokenizer, question, TEXTS) for question in ("Is it bad?", "cough " * 9)]
    tuned = with_virtual_tokens(base, kind)
    for found, row in zip(log_probabilities(tuned, rows), rows, strict=True):
        assert found == pytest.approx(one_by_one(tuned, row), abs=1e-4)


def test_numbers_do_not_depend_on_the_batch(model: LocalModel) -> None:
    items = [item("Cough? " * n) for n in range(1, 9)]
    for together, one in zip(score(model, *items), items, strict=True):
        assert together == pytest.approx(score(model, one)[0], abs=1e-4)


def test_the_prompt_is_read_once_for_all_options(model: LocalModel) -> None:
    sizes = []
    hook = model.model.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    score(model, item("Cough? " * 9))
    hook.remove()
    row = encode_options(model.tokenizer, "Cough? " * 9, TEXTS)
    assert sizes == [(1, len(row.prompt)), (3, len(row.continuations["C"]) - 1)]


def test_a_tokenizers_own_first_token_is_there_once(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(make_base("llama3", tmp_path))
    tokenizer.add_bos_token = True
    for prompt in ("Cough?", f"{tokenizer.bos_token}Cough?"):
        ids = encode_options(tokenizer, prompt, TEXTS).prompt
        assert ids.count(tokenizer.bos_token_id) == 1


def test_white_space_at_the_end_of_a_prompt_belongs_to_the_options(model: LocalModel) -> None:
    row = encode_options(model.tokenizer, "Cough?\n", {"A": "see"})
    assert model.tokenizer.decode(row.prompt) == "Cough?"
    assert model.tokenizer.decode(row.continuations["A"]) == "\n see"


@pytest.mark.parametrize("where", ["prompt", "option"])
def test_an_item_beyond_the_context_has_a_reason(model: LocalModel, where: str) -> None:
    long = "x" * CONTEXT  # a token each
    too_long = item(long) if where == "prompt" else item("Cough?", TEXTS | {"A": long})
    found, other = score(model, too_long, item("Cough?"))
    assert str(found).startswith("too long: prompt and option A have 2")
    assert str(found).endswith(" tokens, and the model's context has 2048")
    assert other == score(model, item("Cough?"))[0]


def test_the_last_token_of_an_option_takes_no_place_in_the_context(model: LocalModel) -> None:
    n = len(encode_options(model.tokenizer, "x", {"A": "x"}).continuations["A"])
    fits, not_any_more = score(
        model, *(item("x" * (CONTEXT + 1 - n + more), {"A": "x"}) for more in (0, 1))
    )
    assert isinstance(fits, dict)
    assert isinstance(not_any_more, str)


def test_an_option_without_tokens_has_a_reason(model: LocalModel) -> None:
    alphabet = Tokenizer(BPE({"x": 0, "</s>": 1}, []))  # drops every other character
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=alphabet, eos_token="</s>")
    of_x_alone = LocalModel(model.model, tokenizer, "x alone")
    assert score(of_x_alone, item("x", {"A": "x", "B": "y"})) == [
        "empty: the tokenizer makes no token of option B"
    ]


def test_a_base_without_a_chat_template_scores_options_and_answers_no_chat(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path)
    (folder / "chat_template.jinja").unlink()
    base = LocalModel.load(folder, chats=False)
    assert score(base, item("Cough?"))[0].keys() == TEXTS.keys()
    with pytest.raises(HarnessError, match=f"{folder}: has no chat template"):
        base.answer([make_prompt(None, "Cough?")], Generation(), seeds=[1])


def test_broken_weights_give_no_answer(folder: Path) -> None:
    broken = LocalModel.load(folder)
    broken.model.lm_head.weight.data.fill_(float("nan"))
    (answer,) = score_options(broken, [item("Cough?")], IN_WORDS)
    assert (answer.text, answer.reason) == (None, "the model gave NaN or infinite logits")


# --- lm-eval ---------------------------------------------------------------------------------


def require_equal(
    task: str, model: LocalModel, items: tuple[Sample, ...], theirs: list[Row]
) -> None:
    """Check prompts, continuations, log-probabilities and both scores, item by item."""
    assert len(items) == len(theirs)
    metric = metric_of(task)
    answers = score_options(model, items, metric.layout)
    for made, answer, expected in zip(items, answers, theirs, strict=True):
        assert made.input == expected["prompt"]
        texts = metric.layout.continuations(made.choices).values()
        assert [f" {text}" for text in texts] == expected["continuations"]
        found = [*json.loads(answer.text or "").values()]
        assert found == pytest.approx(expected["log_probabilities"], abs=1e-4)
        scored = outcome(LikelihoodJudge(), grade(answer.text or "", metric, of=made)).values
        assert scored == {"acc": expected["acc"], "acc_norm": expected["acc_norm"]}


@pytest.mark.parametrize("task", SUITES)
def test_the_recorded_numbers_of_lm_eval_come_out(model: LocalModel, task: str) -> None:
    golden = json.loads(GOLDEN.read_text())["samples"][task]
    require_equal(task, model, items_of(task, made_up_rows(task)), golden)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not LM_EVAL, reason="HARNESS_LM_EVAL is not set")
@pytest.mark.skipif(not DATA, reason="HARNESS_DATA_DIR is not set")
def test_lm_eval_gives_the_same_numbers_now(
    model: LocalModel, folder: Path, tmp_path: Path
) -> None:
    published = json.loads(Path(DATA or "", "pubmedqa", "ori_pqal.json").read_text())
    rows = {task: made_up_rows(task) for task in SUITES}
    rows["pubmedqa"] = [{"id": key, **row} for key, row in published.items()][:60]
    for task, theirs in run_lm_eval(folder, rows, tmp_path / "lm_eval").items():
        require_equal(task, model, items_of(task, rows[task]), [condense(one) for one in theirs])


@pytest.mark.slow
@pytest.mark.skipif(not LM_EVAL, reason="HARNESS_LM_EVAL is not set")
def test_lm_eval_gives_the_same_numbers_with_a_first_token(tmp_path: Path) -> None:
    base = make_base("gemma3", tmp_path / "gemma3")
    rows = {task: made_up_rows(task)[:1] for task in ("pubmedqa", "medqa_4options", "medmcqa")}
    theirs = run_lm_eval(base, rows, tmp_path / "lm_eval")
    local = LocalModel.load(base)
    for task, samples in theirs.items():
        require_equal(task, local, items_of(task, rows[task]), [condense(one) for one in samples])
