"""Families of language models, by model name."""

import re

# A name that contains one of these words, at any place, belongs to that family.
_FAMILY_WORDS = {
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

# Too short to be searched for inside a word: a part of the name must begin with the prefix.
_FAMILY_PREFIXES = {
    "openai": r"gpt|o[1345](?![0-9])",
    "microsoft": r"phi(?![a-z])",
    "glm": r"(?:chat)?glm",
    "yi": r"yi(?![a-z])",
    "cohere": r"command|aya(?![a-z])",
}


def families_of(name: str) -> frozenset[str]:
    """Return the families of a model name, such as two for `DeepSeek-R1-Distill-Llama-8B`."""
    low = name.rpartition("/")[2].lower()
    by_word = {
        family for family, words in _FAMILY_WORDS.items() if any(word in low for word in words)
    }
    by_prefix = {
        family
        for family, pattern in _FAMILY_PREFIXES.items()
        if re.search(rf"(?:^|[^a-z0-9])(?:{pattern})", low)
    }
    return frozenset(by_word | by_prefix)


def is_other_family(asked: str, answered: str) -> bool:
    """Return whether both names tell a family, and none in common."""
    families = families_of(asked), families_of(answered)
    return answered != asked and all(families) and not families[0] & families[1]
