"""The formats that are known, by their columns, and how a row of each is read."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from harness.config.data import Kind
from harness.core.errors import HarnessError, did_you_mean
from harness.data.convert.cells import (
    Chat,
    Row,
    answer_in,
    chat_in,
    check_prompt,
    history_in,
    last_answer,
    optional_text,
    prompt_in,
    text_in,
    user,
    with_system,
)
from harness.data.convert.drafts import ChatExample, Drafts, Dropped, UnusableRowError
from harness.types import Message


class ParsedRow(NamedTuple):
    """What one row says. `context` is the part of the last question that is no question."""

    prompt: Chat
    answer: str
    rejected: str | None = None
    context: str = ""
    liked: bool | None = None


class Format(NamedTuple):
    """A layout of rows: the columns that tell it, what it is made into, and how it is read."""

    name: str
    to: frozenset[Kind]
    columns: frozenset[str]
    read: Callable[[Row], ParsedRow]
    id_column: str = "id"

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(sorted(self.columns))})"


def find_format(name: str, columns: Iterable[str], *, to: Kind, origin: str) -> Format:
    """Find the format of that name.

    Raises:
        HarnessError: there is none, it makes something else, or its columns are missing.
    """
    known = {format.name: format for format in FORMATS}
    if name not in known:
        raise HarnessError(f"there is no format '{name}'. {did_you_mean(name, known)}")
    format = known[name]
    _check_kind([format], to, origin)
    if missing := sorted(format.columns - set(columns)):
        raise HarnessError(
            f"{origin}: {name} needs the columns {', '.join(missing)}. Found: {_listed(columns)}."
        )
    return format


def detect_format(columns: Iterable[str], *, to: Kind, origin: str) -> Format:
    """Detect the only format that these columns fit; one that has all columns of the others wins.

    Raises:
        HarnessError: none fits, or several do; says what was found and what is known.
    """
    found = set(columns)
    fitting = [format for format in FORMATS if format.columns <= found]
    if not fitting:
        known = "; ".join(str(format) for format in FORMATS if to in format.to)
        raise HarnessError(
            f"{origin}: its columns fit no known format. Found: {_listed(found)}. "
            f"Known for --to {to}: {known}. "
            f"Or say which columns they are: --fields {_EXAMPLE_FIELDS[to]}."
        )
    if best := _most_telling(fitting):
        return _check_kind([best], to, origin)[0]
    usable = _check_kind(fitting, to, origin)
    if best := _most_telling(usable):
        return best
    raise HarnessError(
        f"{origin}: its columns fit several formats: {'; '.join(map(str, usable))}. "
        "Say which one with --from."
    )


def format_of_fields(
    fields: Mapping[str, str], columns: Iterable[str], *, to: Kind, origin: str
) -> Format:
    """Make a format for plain tables whose columns were named.

    Raises:
        HarnessError: an unknown field, one that is missing, or a column that is not there.
    """
    answers = ("chosen", "rejected") if to == "preference" else ("reference",)
    required, other = ("input", *answers), ("id", "context", "system")
    for name, column in fields.items():
        if name not in (*required, *other):
            hint = did_you_mean(name, (*required, *other))
            raise HarnessError(f"{origin}: field '{name}' is unknown. {hint}")
        if column not in set(columns):
            raise HarnessError(f"{origin}: no column '{column}'. {did_you_mean(column, columns)}")
    if missing := [name for name in required if name not in fields]:
        raise HarnessError(f"{origin}: --fields must also name {', '.join(missing)}.")

    def optional(row: Row, field: str) -> str:
        return optional_text(row, fields[field]) if field in fields else ""

    def read(row: Row) -> ParsedRow:
        context = optional(row, "context")
        prompt = (_with_context(context, text_in(row, fields["input"])),)
        return ParsedRow(
            with_system(optional(row, "system"), prompt),
            text_in(row, fields[answers[0]]),
            text_in(row, fields["rejected"]) if to == "preference" else None,
            context=context,
        )

    return Format(
        "fields", frozenset({to}), frozenset(fields.values()), read, fields.get("id", "id")
    )


def read_drafts(rows: Iterable[tuple[str, Row]], format: Format) -> Drafts:
    """Read every row, with its place in the file, as an example or as dropped.

    An id is the row's own, or `row-00017`. One that stood before gets its place in the file too.
    """
    drafts = Drafts([], [])
    taken: set[str] = set()
    for place, row in rows:
        try:
            draft = _draft(place, row, format)
        except UnusableRowError as problem:
            drafts.dropped.append(Dropped(row=place, reason=problem.reason, detail=problem.detail))
            continue
        while draft.id in taken:
            draft = draft._replace(id=f"{draft.id}~{place}")
        taken.add(draft.id)
        drafts.kept.append(draft)
    return drafts


def _draft(place: str, row: Row, format: Format) -> ChatExample:
    reading = format.read(row)
    check_prompt(reading.prompt)
    for text in (reading.answer, *([] if reading.rejected is None else [reading.rejected])):
        if not text:
            raise UnusableRowError("empty_answer", "")
    if reading.answer == reading.rejected:
        raise UnusableRowError("identical_answers", "")
    asked = [m.content for m in reading.prompt if m.role == "user"]
    asked[-1] = asked[-1].removeprefix(reading.context).strip()
    own_id = optional_text(row, format.id_column)
    return ChatExample(
        rows=(place,),
        id=own_id or (f"row-{int(place):05d}" if place.isdecimal() else place),
        prompt=reading.prompt,
        question="\n".join(asked),
        answer=reading.answer,
        rejected=reading.rejected,
        liked=reading.liked,
    )


def _most_telling(formats: list[Format]) -> Format | None:
    """Find the format that has all columns of the others, if there is one."""
    best = [f for f in formats if all(f.columns >= other.columns for other in formats)]
    return best[0] if best else None


def _check_kind(formats: list[Format], to: Kind, origin: str) -> list[Format]:
    usable = [format for format in formats if to in format.to]
    if not usable:
        other: Kind = "sft" if to == "preference" else "preference"
        n_answers = "one answer" if to == "preference" else "two answers"
        raise HarnessError(
            f"{origin}: {formats[0]} holds {n_answers} to each question; use --to {other}."
        )
    return usable


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(sorted(columns)) or "none"


# --- how a row of each format is read --------------------------------------------------------


def _alpaca(row: Row) -> ParsedRow:
    parts = [text_in(row, "instruction"), optional_text(row, "input")]
    asked = user("\n\n".join(part for part in parts if part))
    prompt = with_system(optional_text(row, "system"), (*history_in(row), asked))
    return ParsedRow(prompt, text_in(row, "output"))


def _chat_of(column: str) -> Callable[[Row], ParsedRow]:
    def read(row: Row) -> ParsedRow:
        prompt, answer = last_answer(chat_in(row, column), column)
        return ParsedRow(_with_own_system(row, prompt), answer)

    return read


def _sharegpt_preference(row: Row) -> ParsedRow:
    prompt = _with_own_system(row, chat_in(row, "conversations"))
    return ParsedRow(prompt, answer_in(row, "chosen", prompt), answer_in(row, "rejected", prompt))


def _prompt_completion(row: Row) -> ParsedRow:
    prompt = _with_own_system(row, prompt_in(row, "prompt"))
    return ParsedRow(prompt, answer_in(row, "completion", prompt))


def _unpaired(row: Row) -> ParsedRow:
    label = row.get("label")
    liked = label if isinstance(label, bool) else _LABELS.get(str(label).casefold())
    if liked is None:
        raise UnusableRowError("unreadable", f"'label' is {label!r}, neither true nor false")
    return _prompt_completion(row)._replace(liked=liked)


def _preference(row: Row) -> ParsedRow:
    prompt = _with_own_system(row, prompt_in(row, "prompt"))
    return ParsedRow(prompt, answer_in(row, "chosen", prompt), answer_in(row, "rejected", prompt))


def _implicit_preference(row: Row) -> ParsedRow:
    prompt, chosen = last_answer(chat_in(row, "chosen"), "chosen")
    other, rejected = last_answer(chat_in(row, "rejected"), "rejected")
    if prompt != other:
        raise UnusableRowError("other_prompt", "chosen and rejected answer different prompts")
    return ParsedRow(prompt, chosen, rejected)


def _reward(row: Row) -> ParsedRow:
    asked = user(text_in(row, "question"))
    prompt = with_system(optional_text(row, "system"), (*history_in(row), asked))
    return ParsedRow(prompt, text_in(row, "response_chosen"), text_in(row, "response_rejected"))


def _pubmedqa(row: Row) -> ParsedRow:
    context = text_in(row, "CONTEXTS")
    prompt = (_with_context(context, text_in(row, "QUESTION")),)
    return ParsedRow(prompt, text_in(row, "LONG_ANSWER"), context=context)


def _meqsum(row: Row) -> ParsedRow:
    return ParsedRow((user(text_in(row, "CHQ")),), text_in(row, "Summary"))


def _medquad(row: Row) -> ParsedRow:
    return ParsedRow((user(text_in(row, "question")),), text_in(row, "answer"))


def _with_own_system(row: Row, chat: Chat) -> Chat:
    """Add the row's `system` column where the chat does not begin with a system prompt."""
    if chat and chat[0].role == "system":
        return chat
    return with_system(optional_text(row, "system"), chat)


def _with_context(context: str, question: str) -> Message:
    return user(f"{context}\n\n{question}" if context and question else question)


_LABELS = {"true": True, "1": True, "false": False, "0": False}


_SFT: frozenset[Kind] = frozenset({"sft"})


_PREFERENCE: frozenset[Kind] = frozenset({"preference"})


_EXAMPLE_FIELDS: dict[Kind, str] = {
    "sft": "input=COLUMN,reference=COLUMN",
    "preference": "input=COLUMN,chosen=COLUMN,rejected=COLUMN",
}


FORMATS = (
    Format("alpaca", _SFT, frozenset({"instruction", "output"}), _alpaca),
    Format("sharegpt", _SFT, frozenset({"conversations"}), _chat_of("conversations")),
    Format("chatml", _SFT, frozenset({"messages"}), _chat_of("messages")),
    Format("prompt_completion", _SFT, frozenset({"prompt", "completion"}), _prompt_completion),
    Format("unpaired", _SFT | _PREFERENCE, frozenset({"prompt", "completion", "label"}), _unpaired),
    Format("pubmedqa", _SFT, frozenset({"QUESTION", "CONTEXTS", "LONG_ANSWER"}), _pubmedqa),
    Format("meqsum", _SFT, frozenset({"CHQ", "Summary"}), _meqsum, "File"),
    Format("medquad", _SFT, frozenset({"qid", "question", "answer", "focus"}), _medquad, "qid"),
    Format(
        "sharegpt_preference",
        _PREFERENCE,
        frozenset({"conversations", "chosen", "rejected"}),
        _sharegpt_preference,
    ),
    Format("preference", _PREFERENCE, frozenset({"prompt", "chosen", "rejected"}), _preference),
    Format(
        "implicit_preference", _PREFERENCE, frozenset({"chosen", "rejected"}), _implicit_preference
    ),
    Format(
        "reward",
        _PREFERENCE,
        frozenset({"question", "response_chosen", "response_rejected"}),
        _reward,
    ),
)
