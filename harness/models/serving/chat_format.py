"""What of a checkpoint decides how a server is asked and read: tokenizer, stop tokens and context."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from harness.core.hub import check_model_available
from harness.data.thoughts import CHANNEL_TOKENS, MARK_TOKENS
from harness.models.local import Prompt, context_length, encode_chat
from harness.models.model_folder import LOADED_SUFFIXES, adapter_base, is_adapter
from harness.models.weights import chat_template_error, load_tokenizer, require_checkpoint, stop_ids


class Weights(NamedTuple):
    """A checkpoint that a server holds: a folder or a hub model at a revision, and its fingerprint."""

    source: str
    revision: str | None
    fingerprint: str

    @property
    def folder(self) -> str:
        """Return the folder of the model, that of its files in the hub's cache included.

        Raises:
            InfrastructureError: the hub cannot be reached.
        """
        return _local_folder(self.source, self.revision)

    @property
    def base(self) -> str:
        """Return the folder of the base of an adapter, and of another model its own."""
        folder = Path(self.source)
        if not is_adapter(folder):
            return self.folder
        base = adapter_base(folder, self.revision)
        return _local_folder(base.source, base.revision)


class ChatFormat(NamedTuple):
    """How a checkpoint's chats are written, where an answer ends, and how many tokens both may have.

    `marks` says that thoughts are marked by special tokens.
    """

    tokenizer: Any
    stops: list[int]
    context: int
    marks: bool

    def encode(self, prompt: Prompt, options: Mapping[str, bool] | None = None) -> list[int]:
        """Encode a chat as `LocalModel` does."""
        return encode_chat(self.tokenizer, prompt, options=options)


def read_chat_format(weights: Weights) -> ChatFormat:
    """Read a checkpoint's tokenizer and configuration; its weights are not loaded.

    Raises:
        HarnessError: it has no chat template, or is no model at all.
    """
    from transformers import AutoConfig, GenerationConfig

    require_checkpoint(weights.source, revision=weights.revision)
    tokenizer = load_tokenizer(weights.source, revision=weights.revision)
    if not tokenizer.chat_template:
        raise chat_template_error(weights.source)
    config = AutoConfig.from_pretrained(weights.base, trust_remote_code=False)
    try:
        generation = GenerationConfig.from_pretrained(weights.base)
    except OSError:
        generation = GenerationConfig.from_model_config(config)
    added = tokenizer.added_tokens_decoder.values()
    special = {token.content for token in added if token.special}
    return ChatFormat(
        tokenizer,
        stop_ids(SimpleNamespace(generation_config=generation), tokenizer),
        context_length(config),
        bool(special & (MARK_TOKENS | CHANNEL_TOKENS)),
    )


def _local_folder(source: str, revision: str | None) -> str:
    if Path(source).is_dir():
        return str(Path(source).resolve())
    from huggingface_hub import snapshot_download

    check_model_available(source, revision)
    patterns = [f"*{suffix}" for suffix in sorted(LOADED_SUFFIXES)]
    return str(snapshot_download(source, revision=revision, allow_patterns=patterns))
