"""Passages in a prompt: material in marked blocks, which no passage can close or imitate.

    <passage-1-5b0c2e9f>
    Mitochondria are …
    </passage-1-5b0c2e9f>

The mark depends on all texts and occurs in none of them. Text that looks like such a block, a role, a tag or a
special token is broken up (`harness.core.quoting`), so that a passage cannot speak as the system.
"""

import re
from collections.abc import Sequence
from itertools import count

from harness.config.retrieval import PASSAGES, QUESTION
from harness.core.hashing import content_hash
from harness.core.paths import bundle_root
from harness.core.quoting import BREAK, escape_untrusted
from harness.types import GivenPassage, Sample

PROMPT_VERSION = 1  # raise it when the same passages and template make another prompt
MARK_DIGITS = 8  # short, since it stands in the prompt twice a passage; it occurs in no text
_BLOCK = re.compile(r"<(?=\s{0,8}/?\s{0,8}passage\b)", re.IGNORECASE)
NOTHING_FOUND = "The search found no passage."


def default_prompt() -> str:
    """Return our prompt about passages."""
    path = bundle_root() / "suites" / "prompts" / "retrieval.md"
    return path.read_text(encoding="utf-8").strip()


def with_passages(sample: Sample, passages: Sequence[GivenPassage], template: str) -> Sample:
    """Return the sample with the passages before the question of its last turn."""
    before, between, after = _split(template)
    question_last = template.index(f"{{{{{PASSAGES}}}}}") < template.index(f"{{{{{QUESTION}}}}}")
    blocks = mark_passages(passages, sample.input)
    first, second = (blocks, sample.input) if question_last else (sample.input, blocks)
    return sample.model_copy(
        update={
            "input": f"{before}{first}{between}{second}{after}",
            "question": sample.question or sample.input,
        }
    )


def mark_passages(passages: Sequence[GivenPassage], question: str) -> str:
    """Write the passages as numbered blocks, or the sentence that there are none."""
    texts = [_BLOCK.sub(f"<{BREAK}", escape_untrusted(passage.text)) for passage in passages]
    mark = _mark([question, *texts])
    blocks = (
        f"<passage-{number}-{mark}>\n{text}\n</passage-{number}-{mark}>"
        for number, text in enumerate(texts, start=1)
    )
    return "\n\n".join(blocks) or NOTHING_FOUND


def _mark(texts: Sequence[str]) -> str:
    folded = [text.casefold() for text in texts]
    for attempt in count():
        mark = content_hash(attempt, texts)[:MARK_DIGITS]
        if not any(mark in text for text in folded):
            return mark
    raise AssertionError("unreachable")


def _split(template: str) -> tuple[str, str, str]:
    """Return the texts before, between and behind the two fields."""
    first, second = sorted(
        (f"{{{{{field}}}}}" for field in (PASSAGES, QUESTION)), key=template.index
    )
    before, _, rest = template.partition(first)
    between, _, after = rest.partition(second)
    return before, between, after
