"""Interactive chat with a model, in a terminal or through a pipe.

    harness chat tiny_assistant
    harness chat runs/sft --system prompts/medical_assistant.md < questions.txt

In a terminal, answers are shown word by word, and Ctrl-C stops the current one. Through a pipe, every
line is a question; answers go to standard output, each followed by an empty line, and everything
else goes to standard error.
"""

import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from harness.config import EndpointSpec, Generation
from harness.core.hub import check_model_available
from harness.core.text_files import read_prompt
from harness.data.redaction import redact
from harness.data.thoughts import UNFINISHED_THOUGHTS, separate_thoughts
from harness.models.endpoint import Ask, Endpoint
from harness.models.local import UNBOUNDED, Answer, LocalModel, Prompt, encode_chat
from harness.models.model_folder import MANIFEST
from harness.release.resolve import NamedModel
from harness.release.terminal import ChatIO, PipeIO, TerminalIO
from harness.types import Message
from trainers.checkpoint import load_manifest

OnText = Callable[[str], None]
CONTEXT_PARTS = 4  # at most a quarter of the context is reserved for the answer
COMMANDS = "Commands: /reset starts a new chat, /quit or Ctrl-D exits, Ctrl-C stops an answer."


# --- conversation ----------------------------------------------------------------------------


class Conversation:
    """The turns so far, after an optional system prompt."""

    def __init__(self, system: str | None = None) -> None:
        self._system = [Message(role="system", content=system)] if system else []
        self._turns: list[Message] = []

    @property
    def chat(self) -> Prompt:
        """Return everything that the model sees."""
        return (*self._system, *self._turns)

    def ask(self, question: str) -> None:
        self._turns.append(Message(role="user", content=question))

    def answer(self, text: str) -> None:
        """Add the answer to the last question."""
        self._turns.append(Message(role="assistant", content=text))

    def pop_question(self) -> None:
        """Remove the last question, which was not answered."""
        self._turns.pop()

    def shorten(self, fits: Callable[[Prompt], bool]) -> int:
        """Drop the oldest questions with their answers until the chat fits; return their number.

        The last question is always kept.
        """
        n_dropped = 0
        while len(self._turns) > 1 and not fits(self.chat):
            del self._turns[:2]
            n_dropped += 1
        return n_dropped

    def reset(self) -> None:
        """Drop all turns."""
        self._turns.clear()


# --- models ----------------------------------------------------------------------------------


class ChatModel(Protocol):
    """A model to chat with; `facts` describe it."""

    name: str
    facts: tuple[str, ...]

    def fits(self, chat: Prompt) -> bool:
        """Return whether the context has enough tokens left for an answer."""

    def answer(self, chat: Prompt, on_text: OnText) -> Answer:
        """Generate the answer to the chat; `on_text` receives its text in pieces."""


class LocalChatModel:
    """A checkpoint on this machine."""

    def __init__(self, name: str, model: LocalModel, generation: Generation, facts: Iterable[str]):
        self.name = name
        self._model = model
        self._generation = generation
        unbounded = model.context >= UNBOUNDED
        context = "no bound on the context" if unbounded else f"context {model.context:,}"
        self.facts = (*facts, context, _decoding(generation))
        self._n_answers = 0

    def fits(self, chat: Prompt) -> bool:
        """Return whether a full answer fits, or a quarter of the context if that is less."""
        context = self._model.context
        n_reserved = min(self._generation.max_new_tokens, context // CONTEXT_PARTS)
        return len(encode_chat(self._model.tokenizer, chat)) + n_reserved <= context

    def answer(self, chat: Prompt, on_text: OnText) -> Answer:
        """Generate as in a run; with sampling, each answer has its own seed."""
        self._n_answers += 1
        seed = self._generation.seed + self._n_answers
        return self._model.stream(chat, self._generation, seed=seed, on_text=on_text)


class EndpointChatModel:
    """A model behind an endpoint, whose answers arrive in one piece."""

    def __init__(self, name: str, spec: EndpointSpec, generation: Generation) -> None:
        options = {
            "temperature": None if spec.temperature is None else generation.temperature,
            "max_tokens": generation.max_new_tokens,
            "structured": "text",
        }
        self.name = name
        self._endpoint = Endpoint(spec.model_copy(update=options))
        self._redact = spec.redact
        destination = f"your input is sent to {spec.host}" + (", redacted" if spec.redact else "")
        self.facts: tuple[str, ...] = (spec.model, destination)

    def fits(self, chat: Prompt) -> bool:
        """Return True, since only the endpoint knows its limit."""
        return True

    def answer(self, chat: Prompt, on_text: OnText) -> Answer:
        """Request the answer; a refusal also counts as an answer."""
        if self._redact:
            chat = tuple(m.model_copy(update={"content": redact(m.content)}) for m in chat)
        ((_, reply),) = self._endpoint.ask_all([Ask(chat)])
        text = reply.refusal if reply.problem == "refusal" else reply.text
        if text is None or reply.problem not in {None, "refusal", "length", "empty"}:
            return Answer(None, "failed", reason=f"{reply.problem}: {reply.detail or 'no text'}")
        on_text(text)
        return Answer(text, "length" if reply.problem == "length" else "stop", reply.output_tokens)


def load_chat_model(model: NamedModel, generation: Generation) -> ChatModel:
    """Load the model.

    Raises:
        HarnessError: it cannot be loaded, has no chat template, or its endpoint has no key.
        InfrastructureError: the hub model is not on this machine and cannot be downloaded.
    """
    if model.endpoint is not None:
        return EndpointChatModel(model.name, model.endpoint, generation)
    check_model_available(model.source, model.revision)
    local = LocalModel.load(model.source, revision=model.revision)
    return LocalChatModel(model.name, local, generation, _facts_of(model, local))


def _facts_of(model: NamedModel, local: LocalModel) -> Iterator[str]:
    folder = Path(model.source)
    if (folder / MANIFEST).is_file():
        manifest = load_manifest(folder)
        yield f"{manifest.recipe}, trained by {manifest.method}"
    yield f"{local.model.num_parameters():,} parameters"


def _decoding(generation: Generation) -> str:
    return f"temperature {generation.temperature:g}" if generation.temperature else "greedy"


# --- chat ------------------------------------------------------------------------------------


def start_chat(
    model: NamedModel,
    *,
    system: str | None,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> bool:
    """Load the model and chat until the input ends; return whether every question was answered.

    `system` is the file of a system prompt.

    Raises:
        HarnessError: the model cannot be loaded, or its chat template rejects the conversation.
        KeyboardInterrupt: the user interrupts outside an answer.
    """
    prompt = read_prompt(system, None)
    generation = Generation(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    io: TerminalIO | PipeIO = TerminalIO() if interactive else PipeIO()
    with io.show_status(f"loading {model.name}"):
        chat_model = load_chat_model(model, generation)
    io.introduce(chat_model.name, chat_model.facts, model.note)
    if interactive:
        io.note(COMMANDS)
    return run_chat(chat_model, Conversation(prompt), io, stoppable=interactive)


def run_chat(model: ChatModel, conversation: Conversation, io: ChatIO, *, stoppable: bool) -> bool:
    """Answer each input line until the input ends; return whether every question was answered.

    If `stoppable`, the first Ctrl-C during an answer stops only that answer.
    """
    complete = True
    while (line := io.read()) is not None:
        match line.strip():
            case "":
                continue
            case "/quit":
                break
            case "/reset":
                conversation.reset()
                io.note("Started a new chat.")
            case command if re.fullmatch(r"/\w+", command):
                io.note(f"{command} is unknown. {COMMANDS}")
            case question:
                complete &= _answer_question(question, model, conversation, io, stoppable)
    return complete


def _answer_question(
    question: str, model: ChatModel, conversation: Conversation, io: ChatIO, stoppable: bool
) -> bool:
    # 1. Add the question, and drop old ones that no longer fit the context.
    conversation.ask(question)
    if n_dropped := conversation.shorten(model.fits):
        dropped = "question was" if n_dropped == 1 else f"{n_dropped} questions were"
        io.note(f"The oldest {dropped} left out, because the chat exceeds the model's context.")
    # 2. Show the answer while it is generated.
    pieces: list[str] = []

    def show(text: str) -> None:
        pieces.append(text)
        io.write(text)

    io.begin_answer(model.name)
    try:
        with _interruptible_answer(stoppable):
            answer = model.answer(conversation.chat, show)
    except _AnswerStopped:
        answer = Answer("".join(pieces), "stop")
        io.write(" …")
    io.end_answer()
    # 3. Keep the answer without its thoughts, or remove the question without one.
    said = separate_thoughts(answer.whole_text or "")
    if not said.answer:
        why = answer.reason or (
            "the model generated no text" if said.ended else UNFINISHED_THOUGHTS
        )
        io.note(f"No answer: {why}.")
        conversation.pop_question()
        return answer.text is not None
    if answer.finish == "length":
        io.note(f"Cut off after {answer.n_tokens} tokens.")
    conversation.answer(said.answer)
    return True


class _AnswerStopped(KeyboardInterrupt):
    """Ctrl-C during an answer; a class of its own, so that no library catches it."""


@contextmanager
def _interruptible_answer(stoppable: bool) -> Iterator[None]:
    """Let the first Ctrl-C stop only the answer; a second one acts as usual."""
    if not stoppable:
        yield
        return
    previous = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, previous)
        raise _AnswerStopped

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
