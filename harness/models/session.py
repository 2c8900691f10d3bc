"""On what terms endpoints are asked: within a budget, and now or by batch file.

    asking = Asking(store, budget=budget, folder=Path("batch"))
    endpoint = connect(spec, asking)

A reply that came by batch is taken before anyone is asked. With a folder nobody is asked at all:
the questions are written there when the run has found all of them.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from harness.config import EndpointSpec
from harness.core.store import Store, make_writable
from harness.models.batch_files import (
    BatchIndex,
    BatchRequest,
    display_path,
    make_batch_request,
    write_batch_requests,
)
from harness.models.endpoint import Ask, Budget, BudgetSpentError, Endpoint, Reply
from harness.models.endpoint.addresses import read_address
from harness.models.endpoint.client import fingerprint_endpoint
from harness.types import Record

PAUSE_S = 0.02  # while there is nothing to ask


# Nothing final follows from it: it is neither stored nor scored.
_AWAITED = Reply(
    text=None,
    finish=None,
    refusal=None,
    input_tokens=None,
    output_tokens=None,
    seconds=0.0,
    attempts=0,
    problem="unreachable",
    detail="awaited in a batch",
)


class PendingFile(Record):
    """A batch file with questions that wait for replies, and what they can cost at most."""

    path: str
    questions: int
    new: bool
    most: float | None = None
    currency: str | None = None


class PendingRequests(Record):
    """What a run waits for; `repeated` of the questions stood in files that are gone."""

    questions: int
    files: tuple[PendingFile, ...]
    repeated: int


class PendingRepliesError(Exception):
    """The work cannot go on before replies have come; says which, once they are written down."""

    def __init__(self, awaited: PendingRequests | None = None) -> None:
        super().__init__("replies are awaited")
        self.awaited = awaited


class EndpointSession:
    """How one run asks its endpoints. `store` must be open before anything is asked.

    `budget` bounds what is asked live, and any batch; with a `folder` nothing is asked live.
    """

    def __init__(
        self, store: Store, *, budget: Budget | None = None, folder: Path | None = None
    ) -> None:
        self.store = store
        self.budget = budget
        self.folder = folder
        # Judges ask from threads of their own; single operations on a dict need no lock.
        self._new: dict[str, BatchRequest] = {}
        self._earlier: dict[str, Path] = {}

    @cached_property
    def register(self) -> BatchIndex:
        """What was written into batch files before this run."""
        return BatchIndex(self.store)

    @property
    def waits(self) -> bool:
        """Whether a reply is missing that can only come by batch."""
        return bool(self._new or self._earlier)

    def reply_by_batch(self, question: BatchRequest) -> Reply | None:
        """The stored reply, or one that says that it is awaited; None where it may be asked now."""
        stored = self.store.get("reply", [question.id], Reply)
        if stored:
            return stored[question.id]
        file = self.register.awaited_in(question.id)
        if file is not None:
            self._earlier[question.id] = file
        elif self.folder is not None:
            self._new[question.id] = question
        else:
            return None
        return _AWAITED

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Work that ends, where replies are awaited, with their questions written down.

        Raises:
            HarnessError: the folder for questions cannot be written.
            RepliesAwaitedError: there are such questions; says which.
        """
        if self.folder is not None:
            make_writable(self.folder)
        with suppress(PendingRepliesError):
            yield
        if self.waits:
            raise PendingRepliesError(self.write_pending())

    def check_complete(self) -> None:
        """Go no further on half of the replies, as where verdicts choose training pairs.

        Raises:
            RepliesAwaitedError: some are still to come.
        """
        if self.waits:
            raise PendingRepliesError

    def write_pending(self) -> PendingRequests:
        """Write what is new into files; everything that the run waits for.

        Raises:
            BudgetSpentError: it could cost more than the budget; nothing is written.
        """
        self._check_budget()
        repeated = sum(self.register.is_lost(i) for i in self._new)
        earlier = sorted(Counter(self._earlier.values()).items())
        files = [PendingFile(path=display_path(p), questions=n, new=False) for p, n in earlier]
        if self.folder is not None:
            for path, n, most, currency in write_batch_requests(
                self._new.values(), self.folder, self.register
            ):
                files.append(
                    PendingFile(path=str(path), questions=n, new=True, most=most, currency=currency)
                )
        return PendingRequests(
            questions=len(self._new) + len(self._earlier), files=tuple(files), repeated=repeated
        )

    def _check_budget(self) -> None:
        most = sum(question.most or 0.0 for question in self._new.values())
        if self.budget is not None and most > self.budget.max_cost:
            raise BudgetSpentError(
                f"This batch may cost up to {most:.4f} {self.budget.currency}, more than the limit "
                f"of {self.budget.max_cost:g}. Nothing was written."
            )


class BatchEndpoint:
    """An endpoint whose replies may have come by batch; otherwise like `Endpoint`."""

    def __init__(self, spec: EndpointSpec, asking: EndpointSession) -> None:
        """Check the address, and the key only if anything will be sent."""
        self._spec = spec
        self._asking = asking
        self._address = read_address(spec.base_url)
        if asking.budget:
            asking.budget.check_prices(spec.price_per_million, spec.model)
        live = asking.folder is None
        self._endpoint = Endpoint(spec, budget=asking.budget) if live else None
        self.host = self._address.host
        self.fingerprint = fingerprint_endpoint(spec, self._address)

    def ask_all(self, asks: Iterable[Ask | None]) -> Iterator[tuple[int, Reply]]:
        """Each ask's reply with the ask's number.

        Where batches were used, what is to be asked now is asked together, after all the rest
        was looked up.

        Raises:
            EndpointRefusedError, BudgetSpentError: as `Endpoint`.
        """
        if self._endpoint is not None and not self._asking.register:
            yield from self._endpoint.ask_all(asks)
            return
        number, remaining, more = 0, iter(asks), True
        while more:
            more = False
            live: list[tuple[int, Ask]] = []
            for ask in remaining:
                if ask is None:
                    more = True
                    break
                question = make_batch_request(self._spec, self._address, ask)
                reply = self._asking.reply_by_batch(question)
                if reply is None:
                    live.append((number, ask))
                else:
                    yield number, reply
                number += 1
            if live:
                yield from self._ask_live(live)
            elif more:
                time.sleep(PAUSE_S)

    def _ask_live(self, asks: list[tuple[int, Ask]]) -> Iterator[tuple[int, Reply]]:
        assert self._endpoint is not None  # in batch mode everything has a reply, if only awaited
        for i, reply in self._endpoint.ask_all(ask for _, ask in asks):
            yield asks[i][0], reply


Terms = EndpointSession | Budget | None


def open_endpoint(spec: EndpointSpec, terms: Terms) -> Endpoint | BatchEndpoint:
    """The endpoint, asked on these terms: by batch too, within a budget, or freely.

    Raises:
        HarnessError: a base URL that nothing may be sent to, no key, or mixed currencies.
    """
    return (
        BatchEndpoint(spec, terms)
        if isinstance(terms, EndpointSession)
        else Endpoint(spec, budget=terms)
    )


def describe_pending(awaited: PendingRequests) -> Iterator[str]:
    """What a run waits for and what to do next, in lines."""
    yield f"No verdict yet: {_questions(awaited.questions)} wait for replies."
    for file in awaited.files:
        cost = f", at most {file.most:.4f} {file.currency}" if file.most is not None else ""
        yield f"  {file.path}: {_questions(file.questions)}{cost if file.new else ', written earlier'}"
    if awaited.repeated:
        yield f"  {_questions(awaited.repeated)} of them stood in files that are gone."
    if any(file.new for file in awaited.files):
        yield "Send each new file to its endpoint (OpenAI's Batch API, `vllm run-batch`), then:"
    else:
        yield "They are asked again once their file is deleted. When its results are there:"
    yield "  harness batch collect RESULTS.jsonl"
    yield "and run the same command again."


def _questions(n: int) -> str:
    return f"{n:,} question{'' if n == 1 else 's'}"
