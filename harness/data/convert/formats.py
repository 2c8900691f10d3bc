"""The known formats of public data sets, by their columns, and the reader of each."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from harness.config.data import Kind
from harness.core.errors import HarnessError, did_you_mean
from harness.data.cells import (
    Chat,
    Row,
    UnusableRowError,
    answer_in,
    chat_in,
    check_prompt,
    dialogue_in,
    history_in,
    label_in,
    last_answer,
    optional_text,
    prompt_in,
    text_in,
    unlearnt_turns,
    user,
    with_system,
)
from harness.data.convert.examples import ChatExample, Dropped, FilteredExamples
from harness.types import Message


class ParsedRow(NamedTuple):
    """A row read by a format; `context` is the text that the last turn begins with, before the question.

    `document` is the id of the document that holds the answer, and `text` what the row says of it.
    """

    prompt: Chat
    answer: str
    rejected: str | None = None
    context: str = ""
    label: bool | None = None
    unlearnt: frozenset[int] = frozenset()
    document: str = ""
    text: str = ""


class Format(NamedTuple):
    """A layout of rows: the columns that identify it, the kinds it makes, and its reader."""

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
        HarnessError: there is none, it makes another kind, or its columns are missing.
    """
    formats = {format.name: format for format in FORMATS}
    if name not in formats:
        raise HarnessError(f"there is no format '{name}'. {did_you_mean(name, formats)}")
    format = formats[name]
    _check_kind([format], to, origin)
    if missing := sorted(format.columns - set(columns)):
        raise HarnessError(
            f"{origin}: {name} needs the columns {', '.join(missing)}. Found: {_listed(columns)}."
        )
    return format


def detect_format(columns: Iterable[str], *, to: Kind, origin: str) -> Format:
    """Detect the format of these columns: the only one that fits, or the most specific one.

    Raises:
        HarnessError: no format fits, or several do; the message lists them and the columns.
    """
    # Formats whose columns are all there.
    present = set(columns)
    fitting = [format for format in FORMATS if format.columns <= present]
    if not fitting:
        formats = "; ".join(str(format) for format in FORMATS if to in format.to)
        raise HarnessError(
            f"{origin}: its columns fit no known format. Found: {_listed(present)}. "
            f"Known for --to {to}: {formats}. "
            f"Or name the columns: --fields {_EXAMPLE_FIELDS[to]}."
        )
    # The most specific of all, or else of those that make the wanted kind.
    if best := _most_specific(fitting):
        return _check_kind([best], to, origin)[0]
    usable = _check_kind(fitting, to, origin)
    if best := _most_specific(usable):
        return best
    raise HarnessError(
        f"{origin}: its columns fit several formats: {'; '.join(map(str, usable))}. "
        "Choose one with --from."
    )


def format_of_fields(
    fields: Mapping[str, str], columns: Iterable[str], *, to: Kind, origin: str
) -> Format:
    """Make a format for a table whose columns were named by `fields`.

    Raises:
        HarnessError: a field is unknown or missing, or a column does not exist.
    """
    # Check the fields.
    if to in ("questions", "corpus"):
        raise HarnessError(
            f"{origin}: a table of one's own needs no conversion to {to}: name its columns in the 'fields' of "
            "the profile's data set or of the suite."
        )
    answers = {"preference": ("chosen", "rejected"), "labelled": ("reference", "label")}.get(
        to, ("reference",)
    )
    required, other = ("input", *answers), ("id", "context", "system")
    for name, column in fields.items():
        if name not in (*required, *other):
            hint = did_you_mean(name, (*required, *other))
            raise HarnessError(f"{origin}: field '{name}' is unknown. {hint}")
        if column not in set(columns):
            raise HarnessError(f"{origin}: no column '{column}'. {did_you_mean(column, columns)}")
    if missing := [name for name in required if name not in fields]:
        raise HarnessError(f"{origin}: --fields must also name {', '.join(missing)}.")

    # Read a row by them.
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
            label=label_in(row, fields["label"]) if to == "labelled" else None,
        )

    return Format(
        "fields", frozenset({to}), frozenset(fields.values()), read, fields.get("id", "id")
    )


def read_examples(rows: Iterable[tuple[str, Row]], format: Format) -> FilteredExamples:
    """Read each row, given with its place in the file, as an example or as dropped.

    An id is the row's own, or `row-00017`. A repeated id gets the place appended.
    """
    examples = FilteredExamples([], [])
    used_ids: set[str] = set()
    for place, row in rows:
        try:
            example = _read_example(place, row, format)
        except UnusableRowError as problem:
            examples.dropped.append(
                Dropped(row=place, reason=problem.reason, detail=problem.detail)
            )
            continue
        while example.id in used_ids:
            example = example._replace(id=f"{example.id}~{place}")
        used_ids.add(example.id)
        examples.kept.append(example)
    return examples


def _read_example(place: str, row: Row, format: Format) -> ChatExample:
    parsed = format.read(row)
    check_prompt(parsed.prompt)
    if not parsed.answer or parsed.rejected == "":
        raise UnusableRowError("empty_answer", "")
    if parsed.answer == parsed.rejected:
        raise UnusableRowError("identical_answers", "")
    questions = [m.content for m in parsed.prompt if m.role == "user"]
    questions[-1] = questions[-1].removeprefix(parsed.context).strip()
    own_id = optional_text(row, format.id_column)
    return ChatExample(
        rows=(place,),
        id=own_id or (f"row-{int(place):05d}" if place.isdecimal() else place),
        prompt=parsed.prompt,
        question="\n".join(questions),
        answer=parsed.answer,
        rejected=parsed.rejected,
        label=parsed.label,
        unlearnt=parsed.unlearnt,
        document=parsed.document,
        text=parsed.text,
    )


def _most_specific(formats: list[Format]) -> Format | None:
    """Find the format that has all columns of the others, if there is one."""
    supersets = (f for f in formats if all(f.columns >= other.columns for other in formats))
    return next(supersets, None)


def _check_kind(formats: list[Format], to: Kind, origin: str) -> list[Format]:
    usable = [format for format in formats if to in format.to]
    if not usable:
        holds = "two answers" if "preference" in formats[0].to else "one answer"
        if to == "labelled" and holds == "one answer":
            holds = "one answer without a label"
        if to in ("questions", "corpus"):
            known = ", ".join(format.name for format in FORMATS if to in format.to)
            raise HarnessError(
                f"{origin}: {formats[0]} does not say which document holds an answer. --to {to} reads {known}; a "
                "table of your own is read as it is, with 'fields' in the profile or the suite."
            )
        other = "sft" if "sft" in formats[0].to else min(formats[0].to)
        raise HarnessError(
            f"{origin}: {formats[0]} holds {holds} to each question; use --to {other}."
        )
    return usable


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(sorted(columns)) or "none"


# --- readers of the formats ------------------------------------------------------------------


def _alpaca_prompt(row: Row) -> Chat:
    parts = [text_in(row, "instruction"), optional_text(row, "input")]
    turn = user("\n\n".join(part for part in parts if part))
    return with_system(optional_text(row, "system"), (*history_in(row), turn))


def _alpaca(row: Row) -> ParsedRow:
    return ParsedRow(_alpaca_prompt(row), text_in(row, "output"))


def _alpaca_preference(row: Row) -> ParsedRow:
    return ParsedRow(_alpaca_prompt(row), text_in(row, "chosen"), text_in(row, "rejected"))


def _chat_of(column: str) -> Callable[[Row], ParsedRow]:
    def read(row: Row) -> ParsedRow:
        prompt, answer = last_answer(chat_in(row, column), column)
        return ParsedRow(
            _with_own_system(row, prompt),
            answer,
            label=label_in(row),
            unlearnt=unlearnt_turns(row, column),
        )

    return read


def _sharegpt_preference(row: Row) -> ParsedRow:
    prompt = _with_own_system(row, chat_in(row, "conversations"))
    return ParsedRow(prompt, answer_in(row, "chosen", prompt), answer_in(row, "rejected", prompt))


def _prompt_completion(row: Row) -> ParsedRow:
    prompt = _with_own_system(row, prompt_in(row, "prompt"))
    return ParsedRow(prompt, answer_in(row, "completion", prompt))


def _unpaired(row: Row) -> ParsedRow:
    label = label_in(row)
    if label is None:
        raise UnusableRowError(
            "unreadable", f"'label' is {row.get('label')!r}, neither true nor false"
        )
    return _prompt_completion(row)._replace(label=label)


def _preference(row: Row) -> ParsedRow:
    prompt = _with_own_system(row, prompt_in(row, "prompt"))
    return ParsedRow(prompt, answer_in(row, "chosen", prompt), answer_in(row, "rejected", prompt))


def _implicit_preference(row: Row) -> ParsedRow:
    prompt, chosen = last_answer(dialogue_in(row, "chosen"), "chosen")
    other_prompt, rejected = last_answer(dialogue_in(row, "rejected"), "rejected")
    if prompt != other_prompt:
        raise UnusableRowError("other_prompt", "chosen and rejected answer different prompts")
    return ParsedRow(prompt, chosen, rejected)


def _reward(row: Row) -> ParsedRow:
    turn = user(text_in(row, "question"))
    prompt = with_system(optional_text(row, "system"), (*history_in(row), turn))
    return ParsedRow(prompt, text_in(row, "response_chosen"), text_in(row, "response_rejected"))


def _pubmedqa(row: Row) -> ParsedRow:
    context = text_in(row, "CONTEXTS")
    prompt = (_with_context(context, text_in(row, "QUESTION")),)
    answer, document = text_in(row, "LONG_ANSWER"), optional_text(row, "id")
    return ParsedRow(prompt, answer, context=context, document=document, text=context)


def _meqsum(row: Row) -> ParsedRow:
    return ParsedRow((user(text_in(row, "CHQ")),), text_in(row, "Summary"))


def _medquad(row: Row) -> ParsedRow:
    question, answer = text_in(row, "question"), text_in(row, "answer")
    return ParsedRow(
        (user(question),),
        answer,
        document=optional_text(row, "document"),
        text=f"{question}\n{answer}",
    )


def _with_own_system(row: Row, chat: Chat) -> Chat:
    """Add the row's `system` column, unless the chat begins with a system prompt."""
    if chat and chat[0].role == "system":
        return chat
    return with_system(optional_text(row, "system"), chat)


def _with_context(context: str, question: str) -> Message:
    return user(f"{context}\n\n{question}" if context and question else question)


_SFT: frozenset[Kind] = frozenset({"sft"})
_PREFERENCE: frozenset[Kind] = frozenset({"preference"})
_LABELLED: frozenset[Kind] = frozenset({"labelled"})

_WITH_DOCUMENTS: frozenset[Kind] = _SFT | {"questions", "corpus"}

_EXAMPLE_FIELDS: dict[Kind, str] = {
    "sft": "input=COLUMN,reference=COLUMN",
    "preference": "input=COLUMN,chosen=COLUMN,rejected=COLUMN",
    "labelled": "input=COLUMN,reference=COLUMN,label=COLUMN",
    "questions": "input=COLUMN,reference=COLUMN",
    "corpus": "input=COLUMN,reference=COLUMN",
}

FORMATS = (
    Format("alpaca", _SFT, frozenset({"instruction", "output"}), _alpaca),
    Format("sharegpt", _SFT | _LABELLED, frozenset({"conversations"}), _chat_of("conversations")),
    Format("chatml", _SFT | _LABELLED, frozenset({"messages"}), _chat_of("messages")),
    Format("prompt_completion", _SFT, frozenset({"prompt", "completion"}), _prompt_completion),
    Format(
        "unpaired",
        _SFT | _PREFERENCE | _LABELLED,
        frozenset({"prompt", "completion", "label"}),
        _unpaired,
    ),
    Format(
        "pubmedqa", _WITH_DOCUMENTS, frozenset({"QUESTION", "CONTEXTS", "LONG_ANSWER"}), _pubmedqa
    ),
    Format("meqsum", _SFT, frozenset({"CHQ", "Summary"}), _meqsum, "File"),
    Format(
        "medquad",
        _WITH_DOCUMENTS,
        frozenset({"qid", "question", "answer", "focus"}),
        _medquad,
        "qid",
    ),
    Format(
        "sharegpt_preference",
        _PREFERENCE,
        frozenset({"conversations", "chosen", "rejected"}),
        _sharegpt_preference,
    ),
    Format(
        "alpaca_preference",
        _PREFERENCE,
        frozenset({"instruction", "chosen", "rejected"}),
        _alpaca_preference,
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
