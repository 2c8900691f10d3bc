"""Retrieval: the passages of a corpus that a model of a profile is given with each question.

    models:
      closed: {checkpoint: runs/sft}
      open:
        checkpoint: runs/sft
        retrieval: {corpus: abstracts, retriever: bm25, k: 4}

A corpus is data: rows with an id and a text, named in the profile's `data` or stated in place.
"""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from harness.config.base import Name, Spec
from harness.config.data import Source
from harness.config.endpoint import EndpointSpec
from harness.core.errors import HarnessError
from harness.core.text_files import read_prompt_file
from harness.core.yaml_loader import field_error

RetrieverName = Literal["bm25", "dense"]
PASSAGES, QUESTION = "passages", "question"
_FIELD = re.compile(r"\{\{(\w+)\}\}")


class TextModelSpec(Spec):
    """A sentence-transformers folder here (`checkpoint`), or `model` of a server on this machine at `base_url`.

    `revision` says, in your words, what a server holds under the model's name: another one is another model.
    """

    checkpoint: str | None = None
    base_url: str | None = None
    model: str | None = None
    revision: str | None = Field(default=None, exclude_if=lambda stated: stated is None)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.checkpoint is None) == (self.base_url is None):
            raise ValueError("name exactly one of 'checkpoint' (a folder) or 'base_url' (a server)")
        if (self.base_url is None) != (self.model is None):
            raise ValueError("'base_url' and 'model' go together")
        if self.base_url is None or self.model is None:
            if self.revision is not None:
                raise field_error("revision", "is of a server; of a folder its files are hashed.")
            return self
        server = EndpointSpec(model=self.model, base_url=self.base_url)
        if server.elsewhere:
            raise field_error(
                "base_url",
                f"{server.host} is another machine; passages are searched for on this one.",
            )
        return self

    @property
    def server_name(self) -> str:
        """Return the server's model with its address and revision."""
        revision = "" if self.revision is None else f", revision {self.revision}"
        return f"{self.model} at {self.base_url}{revision}"


class EmbeddingSpec(TextModelSpec):
    """What turns texts into vectors; a server is asked as OpenAI's /v1/embeddings.

    `query_prefix` and `passage_prefix` are put before the texts, as some models were trained ("query: ").
    """

    query_prefix: str = ""
    passage_prefix: str = ""


class RerankSpec(TextModelSpec):
    """What scores a question with each of the `candidates` best passages found, of which the best are given.

    A folder is a cross-encoder; a server is asked as Cohere's and Jina's /v1/rerank.
    """

    candidates: int = Field(default=20, ge=2, le=1000)


class RetrievalSpec(Spec):
    """How passages are found for a question, and how they stand in the prompt.

    Texts are cut into passages of `words` words, each beginning with the last `overlap` of the one before
    it. The `k` best are given, in the order of their scores. `bm25` counts shared words; `dense` compares
    vectors, which `embeddings` makes. With `rerank` the best `k` are those of its scores. `prompt` is a file with
    {{passages}} and {{question}} in place of ours; once the profile is read, its text.
    """

    corpus: Name | Source
    retriever: RetrieverName = "bm25"
    k: int = Field(default=4, ge=1, le=100)
    words: int = Field(default=200, ge=10)
    overlap: int = Field(default=40, ge=0)
    embeddings: EmbeddingSpec | None = None
    rerank: RerankSpec | None = Field(default=None, exclude_if=lambda stated: stated is None)
    prompt: str | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> "RetrievalSpec":
        if self.overlap >= self.words:
            raise field_error("overlap", f"{self.overlap} words leave no new ones of {self.words}.")
        if (self.retriever == "dense") != (self.embeddings is not None):
            raise field_error(
                "embeddings",
                "states what makes the vectors of 'retriever: dense', such as "
                "'{checkpoint: models/all-MiniLM-L6-v2}', and goes with it alone.",
            )
        if self.rerank is not None and self.rerank.candidates < self.k:
            raise field_error(
                "rerank",
                f"its {self.rerank.candidates} 'candidates' are fewer than the {self.k} of 'k'.",
            )
        return self

    @field_validator("prompt")
    @classmethod
    def _read_file(cls, prompt: str | None, info: ValidationInfo) -> str | None:
        if prompt is None or info.context is None:  # of a written profile: the text already
            return prompt
        try:
            return read_retrieval_prompt(prompt, info.context["root"])
        except HarnessError as error:
            raise ValueError(str(error)) from None


def read_retrieval_prompt(path: str, root: Path) -> str:
    """Read a prompt with a place for the passages and one for the question, each once.

    Raises:
        HarnessError: the file cannot be read, lacks a field, or has another one.
    """
    file = read_prompt_file(path, root, "retrieval prompt")
    found = sorted(_FIELD.findall(file.text))
    if found != sorted((PASSAGES, QUESTION)):
        raise HarnessError(
            f"{file.path}: must have {{{{{PASSAGES}}}}} and {{{{{QUESTION}}}}}, once each, and no other field. "
            f"Found: {', '.join(found) or 'none'}."
        )
    return file.text.strip()
