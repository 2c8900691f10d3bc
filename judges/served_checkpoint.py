"""A checkpoint at a server as a chat backend: an inference engine started here, or somebody else's server."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from harness.config import ServeSpec
from harness.core.hashing import content_hash
from harness.models.endpoint import ChatFlow, EndpointRefusedError
from harness.models.serving.chat_format import Weights
from harness.models.serving.servers import Servers, served_fingerprint

T = TypeVar("T")


class ServedBackend:
    """A served checkpoint behind the `ChatBackend` protocol of `judges/llm.py`; decoding is greedy.

    Its server is opened at the first request: neither a plan nor a run whose verdicts are all in the store
    starts an engine.
    """

    def __init__(
        self, weights: Weights, serve: ServeSpec, servers: Servers, *, max_tokens: int
    ) -> None:
        self._weights = weights
        self._serve = serve
        self._servers = servers
        self._max_tokens = max_tokens

    @property
    def fingerprint(self) -> str:
        """Return a hash of the checkpoint, what answers for it, and the limit of a reply."""
        return content_hash(
            served_fingerprint(self._weights.fingerprint, self._serve), self._max_tokens
        )

    def run_flows(self, flows: Iterable[ChatFlow[T]]) -> Iterator[tuple[int, T]]:
        """Run the flows; yield each one's result with its number, as they end.

        Raises:
            HarnessError, InfrastructureError: as `Servers.open`, or the engine ended.
        """
        waiting = iter(flows)
        first = list(islice(waiting, 1))
        if not first:
            return
        server = self._servers.open(self._weights, self._serve)
        spec = server.endpoint.model_copy(update={"max_tokens": self._max_tokens})
        try:
            yield from server.open(spec).run_flows(chain(first, waiting))
        except EndpointRefusedError:
            server.require_alive()
            raise
        server.require_alive()
