"""The kinds of models that answer: recorded answers, weights here or at a server, or an endpoint."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from harness.config import EndpointSpec, ServeSpec
from harness.core.errors import HarnessError
from harness.data.recorded import RecordedModel
from harness.models.local import LocalModel, drops_system, has_thinking_switch, make_prompt
from harness.models.serving.chat_format import Weights
from harness.models.serving.servers import Server, describe_serving, served_fingerprint
from harness.models.session import EndpointSession
from harness.models.weights import load_tokenizer
from harness.retrieval.retriever import Retriever


class CheckpointModel:
    """A local model, loaded when the first response is missing."""

    def __init__(
        self,
        name: str,
        source: str | Path,
        fingerprint: str,
        revision: str | None = None,
        seed: int | None = None,
        retriever: Retriever | None = None,
    ):
        self.name = name
        self.fingerprint = fingerprint
        self.seed = seed
        self.retriever = retriever
        self._source = source
        self._revision = revision

    @cached_property
    def local(self) -> LocalModel:
        """Load the weights at the first access.

        Raises:
            HarnessError: as `LocalModel.load`, or the files changed since the run began.
        """
        model = LocalModel.load(self._source, revision=self._revision, chats=False)
        if model.fingerprint != self.fingerprint:
            raise HarnessError(
                f"{self._source}: changed since this run began, so its answers would not be those of "
                f"'{self.name}'. Run it again."
            )
        return model

    @property
    def weights(self) -> Weights:
        """Return where the weights are, for a server to hold them."""
        return Weights(str(self._source), self._revision, self.fingerprint)

    def switches_thinking(self) -> bool:
        """Return whether the model's chat template can switch thinking; True if it cannot be read."""
        try:
            return has_thinking_switch(load_tokenizer(self._source, revision=self._revision))
        except (HarnessError, OSError, ValueError):
            return True

    def release(self) -> None:
        """Let the weights go; another access loads them again."""
        self.__dict__.pop("local", None)

    def drops(self, system: str) -> bool:
        """Return whether the model's chat template leaves a system prompt unwritten.

        Only the tokenizer is loaded; one that cannot be, or that refuses the prompt, drops nothing.
        """
        try:
            tokenizer = load_tokenizer(self._source, revision=self._revision)
            return drops_system(tokenizer, make_prompt(system, "Is it bad?"))
        except (HarnessError, OSError, ValueError):
            return False


class ServedCheckpoint(NamedTuple):
    """A checkpoint for which a server answers: an inference engine, or a server that somebody else runs."""

    checkpoint: CheckpointModel
    serve: ServeSpec
    session: EndpointSession

    @property
    def name(self) -> str:
        """Return the model's name in the run."""
        return self.checkpoint.name

    @property
    def seed(self) -> int | None:
        """Return the model's own seed of decoding."""
        return self.checkpoint.seed

    @property
    def retriever(self) -> Retriever | None:
        """Return what finds passages for its questions, if anything does."""
        return self.checkpoint.retriever

    @property
    def fingerprint(self) -> str:
        """Return a hash of what decides the answers: the weights, and what answers for them."""
        return served_fingerprint(self.checkpoint.fingerprint, self.serve)

    @property
    def served_by(self) -> str:
        """Describe what answers."""
        return describe_serving(self.serve)

    def open(self) -> Server:
        """Return the checked server; its engine is started where none runs yet."""
        return self.session.servers.open(self.checkpoint.weights, self.serve)


def serve_checkpoint(
    checkpoint: CheckpointModel, serve: ServeSpec | None, session: EndpointSession
) -> CheckpointModel | ServedCheckpoint:
    """Return the model as it answers: by a server where one is named, or else in this process."""
    if serve is None:
        return checkpoint
    session.servers.announce(checkpoint.weights, serve)
    return ServedCheckpoint(checkpoint, serve, session)


class EndpointModel(NamedTuple):
    """A model behind an endpoint, asked in a session."""

    name: str
    spec: EndpointSpec
    session: EndpointSession
    seed: int | None = None
    retriever: Retriever | None = None

    def switches_thinking(self) -> bool:
        """Return whether the endpoint is told to switch thinking: OpenAI's own takes no such field."""
        return self.spec.base_url is not None


Model = RecordedModel | CheckpointModel | ServedCheckpoint | EndpointModel
