"""The chat template of a recipe: a model is trained with it, and generates with it afterwards.

A recipe's `chat_template` is a file in the recipe's folder, or the name of a bundled template in
`chat_templates/`. It is saved with the checkpoint, so that generation, chat and export use no other.
"""

from pathlib import Path
from typing import Any

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.core.paths import bundle_root, find_bundled
from harness.models.local import encode_chat, has_thinking_switch, make_prompt

# Padding tokens for a tokenizer without one, or that pads with its end of turn. Each is in the
# vocabulary of some model family; a token added to the vocabulary would have no embedding.
PAD_CANDIDATES = (
    "<|finetune_right_pad_id|>",
    "<|reserved_special_token_0|>",
    "<|pad|>",
    "<pad>",
    "<unk>",
)


def read_template(name: str, search_dir: Path) -> str:
    """Read a template from a file in `search_dir`, or a bundled one by its name.

    Raises:
        HarnessError: neither exists; suggests a bundled one.
    """
    bundled = bundle_root() / "trainers" / "chat_templates"
    path = search_dir / name
    candidates = (path, bundled / f"{name}.jinja")
    known = (file.stem for file in bundled.glob("*.jinja"))
    file = find_bundled(f"chat_template: {path}", "file", candidates, known, wanted=name)
    return file.read_text(encoding="utf-8").rstrip("\n")


def set_chat_template(
    tokenizer: Any, template: str | None, source: str | Path, *, thinking: bool | None = None
) -> None:
    """Set the tokenizer's chat template, unless the recipe has none and the tokenizer keeps its own.

    `thinking` becomes the default of the template's switch, for training and for all who load the
    checkpoint; they can still set the switch themselves.

    Also choose a padding token other than the end of turn if the vocabulary has a spare one: a model
    trained with one token for both may never learn to stop.

    Raises:
        HarnessError: there is no template at all, one that cannot render a chat, or one without the
            switch that `thinking` sets.
    """
    # Set the template.
    if template is not None:
        tokenizer.chat_template = template
    if not tokenizer.chat_template:
        raise HarnessError(
            f"{source}: its tokenizer has no chat template. Name one in the recipe: 'chat_template: "
            "plain', or a file in the recipe's folder."
        )
    encode_chat(tokenizer, make_prompt(None, "Is it bad?"))
    if thinking is not None:
        _set_thinking(tokenizer, thinking, source)
    # Choose the padding token.
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        taken = {tokenizer.bos_token, tokenizer.eos_token}
        vocabulary = tokenizer.get_vocab()
        spare = [token for token in (*PAD_CANDIDATES, tokenizer.unk_token) if token in vocabulary]
        for token in spare:
            if token not in taken:
                tokenizer.pad_token = token
                return
    if tokenizer.pad_token_id is None:  # as most of TRL's trainers do by themselves
        tokenizer.pad_token = tokenizer.eos_token


def _set_thinking(tokenizer: Any, thinking: bool, source: str | Path) -> None:
    """Put the default of the switch at the head of the template."""
    if not has_thinking_switch(tokenizer):
        raise HarnessError(
            f"{source}: its chat template has no switch of thinking, so 'thinking' in the recipe would change "
            "nothing. Leave it out, or name a 'chat_template' that reads enable_thinking."
        )
    defaults = (
        f"{{%- if {name} is not defined %}}{{% set {name} = {str(value).lower()} %}}{{% endif -%}}"
        for name, value in Generation(thinking=thinking).template_options.items()
    )
    tokenizer.chat_template = "".join(defaults) + tokenizer.chat_template
