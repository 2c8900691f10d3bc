"""Kinship of language models, told by their names."""

import pytest

from harness.types import JudgeCard
from judges.families import families_of, shared_family


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("gpt-4o-mini", {"openai"}),
        ("o3-mini", {"openai"}),
        ("openai/gpt-oss-120b", {"openai"}),
        ("claude-sonnet-4-5", {"claude"}),
        ("meta-llama/Llama-3.1-8B-Instruct", {"llama"}),
        ("BioMistral/BioMistral-7B", {"mistral"}),
        ("mistralai/Mixtral-8x7B-v0.1", {"mistral"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", {"deepseek", "llama"}),
        ("Qwen/Qwen3-8B", {"qwen"}),
        ("google/medgemma-4b-it", {"google"}),
        ("microsoft/Phi-3-mini", {"microsoft"}),
        ("CohereForAI/aya-23", {"cohere"}),
        ("01-ai/Yi-34B", {"yi"}),
        ("THUDM/chatglm3-6b", {"glm"}),
        ("sft", set()),
        ("dolphin", set()),
        ("graphite", set()),
        ("yield-7b", set()),
        ("biogpt", set()),
        ("video1", set()),
        ("o1000", set()),
    ],
)
def test_a_family_is_told_by_the_name(name: str, families: set[str]) -> None:
    assert families_of(name) == families


def test_a_judge_of_the_same_family_is_kin() -> None:
    judge = JudgeCard(name="j", nature="", fingerprint="", model="gpt-4o")
    assert shared_family(judge, "gpt-4o-mini") == "openai"
    assert shared_family(judge, "Llama-3.1-8B") is None


def test_a_judge_without_a_model_is_nobodys_kin() -> None:
    assert shared_family(JudgeCard(name="rules", nature="", fingerprint=""), "gpt-4o") is None
