"""Which language models are kin, told by their names: a judge should not judge its own kind."""

import re

from harness.types import JudgeCard

# A name that holds one of these words is of that family, wherever the word stands.
_WORDS = {
    "llama": ("llama", "vicuna", "alpaca", "meditron", "tulu", "hermes"),
    "mistral": ("mistral", "mixtral", "ministral", "magistral", "zephyr"),
    "qwen": ("qwen", "qwq"),
    "deepseek": ("deepseek",),
    "google": ("gemma", "gemini", "palm2"),
    "openai": ("chatgpt", "davinci"),
    "claude": ("claude",),
    "falcon": ("falcon",),
    "olmo": ("olmo",),
    "grok": ("grok",),
}

# Too short to be looked for inside a word: a part of the name must begin with it.
_BEGINNINGS = {
    "openai": r"gpt|o[1345](?![0-9])",
    "microsoft": r"phi(?![a-z])",
    "glm": r"(?:chat)?glm",
    "yi": r"yi(?![a-z])",
    "cohere": r"command|aya(?![a-z])",
}


def shared_family(judge: JudgeCard, model: str | None) -> str | None:
    """A family that the judge's model and the named one have in common, if one is known.

    A distilled model is of both families; an unknown name is of none, which proves nothing.
    """
    common = families_of(judge.model or "") & families_of(model or "")
    return min(common, default=None)


def families_of(name: str) -> frozenset[str]:
    """The families that a model's name tells: `DeepSeek-R1-Distill-Llama-8B` is of two."""
    low = name.rpartition("/")[2].lower()
    by_word = {family for family, words in _WORDS.items() if any(word in low for word in words)}
    by_beginning = {
        family
        for family, pattern in _BEGINNINGS.items()
        if re.search(rf"(?:^|[^a-z0-9])(?:{pattern})", low)
    }
    return frozenset(by_word | by_beginning)
