"""The chat template that a model is trained with, and answers with ever after.

A recipe's `chat_template` is a file beside it, or the name of one of ours in `chat_templates/`. It
is saved with the checkpoint, so that generation, chat and export know of nothing else.
"""

from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError
from harness.core.paths import bundle_root, find_bundled
from harness.models.local import encode_chat, make_prompt

# Tokens to pad with where a tokenizer has none, or pads with its end of turn. All are in the
# vocabulary of some family already; a new one would have no embedding.
PADS = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>", "<|pad|>", "<pad>", "<unk>")


def read_template(name: str, search_dir: Path) -> str:
    """Return the text of a template: a file in the folder, or a bundled one by its name.

    Raises:
        HarnessError: neither exists; suggests a bundled one.
    """
    bundled = bundle_root() / "trainers" / "chat_templates"
    path = search_dir / name
    candidates = (path, bundled / f"{name}.jinja")
    known = (file.stem for file in bundled.glob("*.jinja"))
    file = find_bundled(f"chat_template: {path}", "file", candidates, known, wanted=name)
    return file.read_text(encoding="utf-8").rstrip("\n")


def give_template(tokenizer: Any, template: str | None, source: str | Path) -> None:
    """Let the tokenizer write chats with the template, or with its own where the recipe has none.

    It pads with a token other than the end of turn if its vocabulary has one to spare: a model that
    is shown padding and end of turn as one may never learn to stop.

    Raises:
        HarnessError: there is no template at all, or one that cannot write a chat.
    """
    if template is not None:
        tokenizer.chat_template = template
    if not tokenizer.chat_template:
        raise HarnessError(
            f"{source}: its tokenizer has no chat template. Name one in the recipe: 'chat_template: "
            "plain', or a file beside the recipe."
        )
    encode_chat(tokenizer, make_prompt(None, "Is it bad?"))
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        taken = {tokenizer.bos_token, tokenizer.eos_token}
        vocabulary = tokenizer.get_vocab()
        spare = [token for token in (*PADS, tokenizer.unk_token) if token in vocabulary]
        for token in spare:
            if token not in taken:
                tokenizer.pad_token = token
                return
