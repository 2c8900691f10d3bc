"""The end of a turn, and pairs and rows as the tokens that are trained on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.models.local import drops_system, make_prompt
from harness.models.stops import end_of_turn_text
from harness.types import Message, Sample
from harness.types.training import PreferencePair
from tests.builders.families import CHATML, FAMILIES, make_base
from trainers.chat_tokens import refuse_dropped_system, tokenise_answer
from trainers.pair_dataset import SplitPairs, fit_pairs


def tokenizer_of(name: str, folder: Path, template: str | None = None) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_base(name, folder / name))
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


def pair(chosen: str, rejected: str, question: str = "Is it bad?") -> PreferencePair:
    prompt = make_prompt(None, question)
    return PreferencePair(
        sample_id=question, prompt=prompt, chosen=chosen, rejected=rejected, source="gold"
    )


def options(max_length: int | None, **more: str) -> SimpleNamespace:
    return SimpleNamespace(max_length=max_length, **more)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.template])
def test_a_template_names_the_end_of_its_turn(name: str, tmp_path: Path) -> None:
    assert end_of_turn_text(tokenizer_of(name, tmp_path)) == FAMILIES[name].end_of_turn


# --- pairs -----------------------------------------------------------------------------------


def test_pairs_that_are_equal_once_cut_are_dropped_and_counted(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("qwen2_base", tmp_path)
    same_start = pair("cough " * 30 + "yes", "cough " * 30 + "no")
    pairs = SplitPairs([same_start, pair("Yes.", "No.")], [same_start])
    fitted = fit_pairs(pairs, tokenizer, options(40))
    assert (len(fitted.pairs.train), len(fitted.pairs.eval)) == (1, 0)
    facts = fitted.describe(pairs)
    assert (facts["dropped"], facts["dropped, equal as tokens"]) == ("1", "1")
    assert (facts["held-out pairs"], facts["held-out pairs dropped"]) == ("0", "1")
    end = fit_pairs(pairs, tokenizer, options(40, truncation_mode="keep_end"))
    assert len(end.pairs.train) == 2  # the ends differ
    with pytest.raises(HarnessError, match="are the same tokens"):
        fit_pairs(SplitPairs([same_start], []), tokenizer, options(40))


def test_pairs_that_the_template_makes_equal_are_dropped(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("qwen3", tmp_path)  # it strips thoughts
    thoughts = pair("<think>a</think>Yes.", "<think>b</think>Yes.")
    fitted = fit_pairs(SplitPairs([thoughts, pair("Yes.", "No.")], []), tokenizer, options(None))
    assert fitted.equal["train"] == 1


@pytest.mark.parametrize("cuts", [True, False])
def test_prompts_that_leave_no_room_are_dropped_until_none_is_left(
    cuts: bool, tmp_path: Path
) -> None:
    tokenizer = tokenizer_of("gemma3", tmp_path)
    long, short = pair("Yes.", "No.", "cough " * 60), pair("Yes.", "No.")
    fitted = fit_pairs(SplitPairs([long, short], [long]), tokenizer, options(60), cuts=cuts)
    assert fitted.pairs == SplitPairs([short], [])
    assert fitted.describe(SplitPairs([long, short], [long]))["held-out pairs"] == "0"
    with pytest.raises(HarnessError, match="No pair fits into max_length 60"):
        fit_pairs(SplitPairs([long], [short]), tokenizer, options(60), cuts=cuts)


# --- prompts ---------------------------------------------------------------------------------

THOUGHTFUL = CHATML.replace(
    "{{ '<|im_start|>assistant\n' }}", "{{ '<|im_start|>assistant\n<think>\n' }}"
)


def test_a_prompt_that_is_asked_in_another_form_is_a_fact(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("qwen3", tmp_path, THOUGHTFUL)
    pairs = SplitPairs([pair("Yes.", "No.")], [])
    facts = fit_pairs(pairs, tokenizer, options(None)).describe(pairs)
    assert facts["prompt differs when asked"].startswith("in 1 of 1 rows")
    chat = tokenise_answer(tokenizer, pairs.train[0].prompt, "Yes.")
    assert chat.n_prompt < chat.n_asked


def test_a_text_that_holds_control_tokens_is_a_fact(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("qwen2_base", tmp_path)
    rendered = pair("Yes.<|im_end|>", "No.")
    asked = pair("Yes.", "No.", "Is it bad?<|im_start|>assistant")
    pairs = SplitPairs([rendered, asked, pair("Yes.", "<|No|>")], [])
    facts = fit_pairs(pairs, tokenizer, options(None)).describe(pairs)
    assert facts["control tokens in texts"].startswith(
        "in 2 of 3 rows a text holds control tokens such as '<|im_end|>'"
    )


DROPS = CHATML.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")
DEFAULT = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    + CHATML
)


@pytest.mark.parametrize("name", ["qwen2_base", "olmo2", "smollm3"])
def test_a_template_that_drops_the_system_prompt_is_found(name: str, tmp_path: Path) -> None:
    prompt = make_prompt("Be kind.", "Is it bad?")
    dropping = tokenizer_of(name, tmp_path, DROPS)
    assert drops_system(dropping, prompt)
    with pytest.raises(HarnessError, match="does not write the system prompt of 1 of 2 rows"):
        refuse_dropped_system(dropping, [prompt, make_prompt(None, "Is it bad?")])
    for template in (CHATML, DEFAULT):  # its own default may be the very same text
        dropping.chat_template = template
        assert not drops_system(dropping, prompt)


OWN_SYSTEM = Sample(
    id="q", input="Why?", row=0, history=(Message(role="system", content="Be kind."),)
)


@pytest.mark.parametrize(("system", "samples"), [("Be kind.", ()), (None, (OWN_SYSTEM,))])
def test_a_run_reports_a_model_that_never_saw_the_system_prompt(
    tmp_path: Path, system: str | None, samples: tuple[Sample, ...]
) -> None:
    from harness.models.model_kinds import CheckpointModel
    from harness.runs.answer_caveats import prompt_caveats
    from harness.runs.prepare import Prepared

    models = {}
    for name, template in (("drops", DROPS), ("writes", CHATML)):
        base = make_base("qwen2_base", tmp_path / name)
        (base / "chat_template.jinja").write_text(template)
        models[name] = Prepared(CheckpointModel(name, base, "f"), "f", (), (), name)
    task = SimpleNamespace(
        name="questions", system=system, generation=Generation(), samples=samples
    )
    (caveat,) = prompt_caveats([SimpleNamespace(task=task)], models)  # type: ignore[list-item]
    assert caveat.code == "system_prompt_dropped"
    assert "'drops' does not write the system prompt of questions" in caveat.text


def test_a_run_reports_a_model_that_cannot_switch_its_thoughts(tmp_path: Path) -> None:
    from harness.models.model_kinds import CheckpointModel
    from harness.runs.answer_caveats import prompt_caveats
    from harness.runs.prepare import Prepared

    switch = "{% if enable_thinking %}<think>{% endif %}"
    models = {}
    for name, template in (("always", CHATML), ("switches", CHATML + switch)):
        base = make_base("qwen2_base", tmp_path / name)
        (base / "chat_template.jinja").write_text(template)
        models[name] = Prepared(CheckpointModel(name, base, "f"), "f", (), (), name)
    task = SimpleNamespace(
        name="questions", system=None, generation=Generation(thinking=True), samples=()
    )
    (caveat,) = prompt_caveats([SimpleNamespace(task=task)], models)  # type: ignore[list-item]
    assert caveat.code == "thinking_not_switched"
    assert "changed nothing for 'always' in questions" in caveat.text
