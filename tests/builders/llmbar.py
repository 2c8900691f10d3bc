"""LLMBar's judges, which reply in words: the reading of their published verdicts."""

import re
from collections.abc import Mapping


def read_labelled_verdict(text: str, labels: Mapping[str, str]) -> str | None:
    """Return the choice of a reply in words; None if it declares none.

    The whole reply is a label ("Output (a)"), or the last "<label> is better" counts. One that is
    better on a condition ("in terms of length", "if") or that neither is ("nor") does not.
    """
    choices = {label.casefold(): choice for label, choice in labels.items()}
    reply = text.strip().rstrip(".").casefold()
    if reply in choices:
        return choices[reply]
    any_label = "|".join(re.escape(label) for label in sorted(choices, key=len, reverse=True))
    declared = re.findall(
        rf"(?<!nor )({any_label}) is better\b(?! (?:in|if|when)\b)", text.casefold()
    )
    return choices[declared[-1]] if declared else None
