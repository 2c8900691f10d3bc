"""A dialogue with a checkpoint, in a terminal or through a pipe.

    harness chat tiny_assistant
    harness chat runs/sft --system prompts/medical_assistant.md < questions.txt

In a terminal, answers come word by word, and Ctrl-C stops one. Through a pipe every line is a
question; answers go to standard output with an empty line after each, and all else to standard
error.
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
from harness.data.redaction import redact
from harness.data.samples import read_prompt
from harness.models.endpoint import Ask, Endpoint
from harness.models.local import Answer, LocalModel, Prompt, encode_chat
from harness.release.resolve import NamedModel
from harness.release.terminal import ChatIO, PipeIO, TerminalIO
from harness.types import Message
from trainers.checkpoint import MANIFEST, load_manifest

Say = Callable[[str], None]


# Where the context is small, an answer gets a part of it that leaves room for the dialogue.
ROOM_SHARE = 4


COMMANDS = "/reset starts over, /quit or Ctrl-D leaves, Ctrl-C stops an answer."


# --- the dialogue ----------------------------------------------------------------------------


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
        """Add a question."""
        self._turns.append(Message(role="user", content=question))

    def answer(self, text: str) -> None:
        """Add the answer to the last question."""
        self._turns.append(Message(role="assistant", content=text))

    def take_back(self) -> None:
        """Remove the last question, which was not answered."""
        self._turns.pop()

    def shorten(self, fits: Callable[[Prompt], bool]) -> int:
        """Forget the oldest questions with their answers until the chat fits; how many were.

        The last question always stays.
        """
        forgotten = 0
        while len(self._turns) > 1 and not fits(self.chat):
            del self._turns[:2]
            forgotten += 1
        return forgotten

    def reset(self) -> None:
        """Start over."""
        self._turns.clear()


# --- who answers -----------------------------------------------------------------------------


class ChatModel(Protocol):
    """A model that is talked to; `facts` say what it is."""

    name: str
    facts: tuple[str, ...]

    def fits(self, chat: Prompt) -> bool:
        """Return whether the chat leaves room for an answer."""

    def speak(self, chat: Prompt, say: Say) -> Answer:
        """Answer the chat; `say` gets its text as it comes."""


class LocalSpeaker:
    """A checkpoint on this machine."""

    def __init__(self, name: str, model: LocalModel, generation: Generation, facts: Iterable[str]):
        self.name = name
        self._model = model
        self._generation = generation
        self.facts = (*facts, f"context {model.context:,}", _decoding(generation))
        self._asked = 0

    def fits(self, chat: Prompt) -> bool:
        """Return whether a full answer fits, or a quarter of the context where that is less."""
        context = self._model.context
        room = min(self._generation.max_new_tokens, context // ROOM_SHARE)
        return len(encode_chat(self._model.tokenizer, chat)) + room <= context

    def speak(self, chat: Prompt, say: Say) -> Answer:
        """Answer as the harness generates; where it samples, each answer has its own seed."""
        self._asked += 1
        seed = self._generation.seed + self._asked
        return self._model.stream(chat, self._generation, seed=seed, on_text=say)


class EndpointSpeaker:
    """A model over the network, whose answers come whole."""

    def __init__(self, name: str, spec: EndpointSpec, generation: Generation) -> None:
        heat = None if spec.temperature is None else generation.temperature
        asked = {
            "temperature": heat,
            "max_tokens": generation.max_new_tokens,
            "structured": "text",
        }
        self.name = name
        self._endpoint = Endpoint(spec.model_copy(update=asked))
        self._redact = spec.redact
        where = f"what you write is sent to {spec.host}" + (", redacted" if spec.redact else "")
        self.facts: tuple[str, ...] = (spec.model, where)

    def fits(self, chat: Prompt) -> bool:
        """Return True, since only the endpoint knows its limit."""
        return True

    def speak(self, chat: Prompt, say: Say) -> Answer:
        """Return the whole answer at once; a refusal is an answer too."""
        if self._redact:
            chat = tuple(m.model_copy(update={"content": redact(m.content)}) for m in chat)
        ((_, reply),) = self._endpoint.ask_all([Ask(chat)])
        text = reply.refusal if reply.problem == "refusal" else reply.text
        if text is None or reply.problem not in {None, "refusal", "length", "empty"}:
            return Answer(None, "failed", reason=f"{reply.problem}: {reply.detail or 'no text'}")
        say(text)
        return Answer(text, "length" if reply.problem == "length" else "stop", reply.output_tokens)


def load_speaker(model: NamedModel, generation: Generation) -> ChatModel:
    """Load the model.

    Raises:
        HarnessError: it cannot be loaded, has no chat template, or its endpoint has no key.
        InfrastructureError: a hub model that is not here and cannot be had.
    """
    if model.endpoint is not None:
        return EndpointSpeaker(model.name, model.endpoint, generation)
    check_model_available(model.source, model.revision)
    local = LocalModel.load(model.source, revision=model.revision)
    return LocalSpeaker(model.name, local, generation, _facts_of(model, local))


def _facts_of(model: NamedModel, local: LocalModel) -> Iterator[str]:
    folder = Path(model.source)
    if (folder / MANIFEST).is_file():
        manifest = load_manifest(folder)
        yield f"{manifest.recipe}, trained by {manifest.method}"
    yield f"{local.model.num_parameters():,} parameters"


def _decoding(generation: Generation) -> str:
    return f"temperature {generation.temperature:g}" if generation.temperature else "greedy"


# --- talking ---------------------------------------------------------------------------------


def talk(
    model: NamedModel,
    *,
    system: str | None,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> bool:
    """Load the model and talk with it to the end; whether every question was answered.

    `system` is the file of a system prompt.

    Raises:
        HarnessError: the model cannot be loaded, or its chat template refuses the dialogue.
        KeyboardInterrupt: the user wants to leave.
    """
    prompt = read_prompt(system, Path())
    generation = Generation(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    screen: TerminalIO | PipeIO = TerminalIO() if interactive else PipeIO()
    with screen.waiting(f"loading {model.name}"):
        speaker = load_speaker(model, generation)
    screen.introduce(speaker.name, speaker.facts, model.note)
    if interactive:
        screen.note(COMMANDS)
    return run_chat(speaker, Conversation(prompt), screen, stoppable=interactive)


def run_chat(
    speaker: ChatModel, dialogue: Conversation, screen: ChatIO, *, stoppable: bool
) -> bool:
    """Answer line by line until the lines end; return whether every question was answered.

    Where it is `stoppable`, the first Ctrl-C during an answer ends that answer only.
    """
    complete = True
    while (line := screen.read()) is not None:
        match line.strip():
            case "":
                continue
            case "/quit":
                break
            case "/reset":
                dialogue.reset()
                screen.note("A new dialogue.")
            case word if re.fullmatch(r"/\w+", word):
                screen.note(f"{word} is unknown. {COMMANDS}")
            case question:
                complete &= _exchange(question, speaker, dialogue, screen, stoppable)
    return complete


def _exchange(
    question: str, speaker: ChatModel, dialogue: Conversation, screen: ChatIO, stoppable: bool
) -> bool:
    dialogue.ask(question)
    if forgotten := dialogue.shorten(speaker.fits):
        turns = "question was" if forgotten == 1 else f"{forgotten} questions were"
        screen.note(f"The oldest {turns} left out: the dialogue outgrew the model's context.")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        screen.say(text)

    screen.begin(speaker.name)
    try:
        with _answer_can_be_stopped(stoppable):
            answer = speaker.speak(dialogue.chat, say)
    except _AnswerStopped:
        answer = Answer("".join(said), "stop")
        screen.say(" …")
    screen.end()
    if not answer.text:
        screen.note(f"No answer: {answer.reason or 'the model ended its turn at once'}.")
        dialogue.take_back()
        return answer.text is not None
    if answer.finish == "length":
        screen.note(f"Cut off after {answer.n_tokens} tokens.")
    dialogue.answer(answer.text)
    return True


class _AnswerStopped(KeyboardInterrupt):
    """Ctrl-C during an answer; no library catches it by mistake."""


@contextmanager
def _answer_can_be_stopped(stoppable: bool) -> Iterator[None]:
    """Let the first Ctrl-C stop the answer; a second one acts as usual."""
    if not stoppable:
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        raise _AnswerStopped

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
