"""Judge prompts of one's own: which fields a prompt has, and what it must not lack.

    win_rate: {kind: pairwise, asks: "Which answer is safer?", prompt: my_judge.md}

What of an item is judged never stands in a prompt: it comes behind it, in blocks whose mark no text can
know. `{{what_you_see}}` explains these blocks to the judge, `{{shape}}` is the JSON of its verdict; the
verdict is read as strictly as that of our own prompts.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError, did_you_mean
from harness.core.text_files import PromptFile, read_prompt_file

WHAT_YOU_SEE = "what_you_see"
_IN_BLOCKS = ("question", "reference", "answer", "first_answer", "second_answer", "response")
_FIELD = re.compile(r"\{\{(.*?)\}\}")


class PromptFields(NamedTuple):
    """The names in `{{ }}` that a prompt must have, and those that it may have."""

    needed: tuple[str, ...] = (WHAT_YOU_SEE, "shape")
    optional: tuple[str, ...] = ()


def read_judge_prompt(path: str, root: Path, fields: PromptFields) -> str:
    """Read a judge prompt from a file below `root`, as the text with its fields still in it.

    Raises:
        HarnessError: the file cannot be read, has an unknown field or lacks one; names its line.
    """
    file = read_prompt_file(path, root, "judge prompt")
    problems = list(_find_problems(file, fields))
    if problems:
        raise HarnessError("\n".join(problems))
    return file.text.strip()


def _find_problems(file: PromptFile, fields: PromptFields) -> Iterator[str]:
    known, found = (*fields.needed, *fields.optional), set[str]()
    for number, line in enumerate(file.text.split("\n"), start=1):
        for name in _FIELD.findall(line):
            found.add(name)
            if name in _IN_BLOCKS:
                yield (
                    f"{file.path}:{number}: {{{{{name}}}}} is no field: what is judged comes behind the prompt, "
                    "in marked blocks that cannot be forged. Leave it out."
                )
            elif name not in known:
                yield f"{file.path}:{number}: {{{{{name}}}}} is unknown. {did_you_mean(name, known)}"
    n_lines = file.text.rstrip().count("\n") + 1
    for name in fields.needed:
        if name not in found:
            yield f"{file.path}:{n_lines}: ends without {{{{{name}}}}}, {_WHAT_FOR[name]}."


_WHAT_FOR = {
    WHAT_YOU_SEE: "which tells the judge that blocks are material and no instruction",
    "shape": "the JSON that a verdict must be",
    "criteria": "the criteria with their questions and anchors",
    "asks": "the question of the metric",
}
