"""Options of multiple-choice items: read from the data, put into the prompt, and the right one found.

    fields: {input: question, choices: options, reference: answer_idx}       a list, or {A: …, B: …}
    fields: {input: question, choices.A: opa, choices.B: opb, reference: cop}  a column for each

The prompt is the question, a line for each option, and the sentence that asks for one:

    Which drug is a diuretic?

    A) furosemide
    B) ibuprofen

    End your reply with one line: "Answer:" and the letter of one option (A or B).

A layout with a template makes the prompt of it, with the texts of the data as they are.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase

from harness.config import ChoiceLayout
from harness.core.choice_text import option_key
from harness.core.errors import HarnessError
from harness.core.json_text import parse_json
from harness.core.sanitize import short_line, to_valid_utf8
from harness.data.tables import Row, Table, is_missing, join_key, text_of
from harness.types import Sample

FIELD = "choices"
MAX_CHOICES = len(ascii_uppercase)
_LABEL = re.compile(r"[A-Za-z]|[0-9]{1,2}")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class _ItemError(Exception):
    """Why an item's options or its reference cannot be used, as the end of a sentence."""


def is_choice_field(name: str) -> bool:
    """Return whether a field of a source holds options: `choices`, or `choices.A` for one of them."""
    return name == FIELD or bool(_LABEL.fullmatch(name.removeprefix(f"{FIELD}.")))


def put_choices(
    samples: Sequence[Sample], layout: ChoiceLayout, table: Table, fields: Mapping[str, str]
) -> tuple[Sample, ...]:
    """Return the items with their options in their prompts, and the right option of each.

    Raises:
        HarnessError: no options are named, or those of an item or its reference cannot be used; names
            the item, and how many others.
    """
    if layout.choices is None and not any(map(is_choice_field, fields)):
        raise HarnessError(
            f"{table.origin}: a metric of kind 'choice' needs options. Name their column in 'fields: "
            '{choices: …}\', or state those of all items at the metric: \'choices: ["yes", "no"]\'.'
        )
    made, problems = list[Sample](), dict[str, str]()
    for sample in samples:
        try:
            row = table.rows[sample.row]
            options, right = _shuffled(sample, layout, _options(row, layout, fields))
            if layout.template is None:
                prompt = "\n".join(_prompt_lines(sample.input, layout, options))
            else:
                prompt = _fill(layout.template, sample, row, fields, layout, options)
            made.append(_put(sample, prompt, options, right))
        except _ItemError as error:
            problems[sample.id] = str(error)
    if problems:
        (first, problem), n_more = next(iter(problems.items())), len(problems) - 1
        more = f" (and {n_more} more)" if n_more else ""
        raise HarnessError(f"{table.origin}: item '{first}'{more} {problem}.")
    return tuple(made)


# --- the options of an item ------------------------------------------------------------------


def _options(row: Row, layout: ChoiceLayout, fields: Mapping[str, str]) -> dict[str, str]:
    """Return an item's options by label, in the order of the data."""
    if layout.choices is not None:
        return dict(zip(ascii_uppercase, layout.choices, strict=False))
    cell: object = {
        name.removeprefix(f"{FIELD}."): row.get(column)
        for name, column in fields.items()
        if name != FIELD and is_choice_field(name)
    }
    if FIELD in fields:
        cell = _parsed(row.get(fields[FIELD]))
    if isinstance(cell, list):
        if len(cell) > MAX_CHOICES:
            raise _ItemError(f"has {len(cell)} options, and {MAX_CHOICES} at most are shown")
        cell = dict(zip(ascii_uppercase, cell, strict=False))
    if not isinstance(cell, dict):
        raise _ItemError("has options that are neither a list nor a mapping of labels to texts")
    # A hub's table has every label in every row, and null where an item has fewer options.
    options = {
        str(label).strip(): _option_text(text, one_line=layout.template is None)
        for label, text in cell.items()
        if not is_missing(text)
    }
    if len(options) < 2:
        raise _ItemError("has fewer than two options")
    odd = next((label for label in options if not _LABEL.fullmatch(label)), None)
    if odd is not None:
        raise _ItemError(f"has the label '{odd}', which is no single letter or small number")
    if len({label.casefold() for label in options}) < len(options):
        raise _ItemError("has two labels that differ in case only")
    if not layout.lettered:
        _require_different(options)
    return options


def _parsed(cell: object) -> object:
    """Return the value of a cell; a text, as in a CSV, is read as JSON."""
    if not isinstance(cell, str):
        return cell
    try:
        return parse_json(cell)
    except ValueError:
        raise _ItemError(f"has options that are no JSON list or mapping: '{cell[:60]}'") from None


def _option_text(value: object, *, one_line: bool) -> str:
    if isinstance(value, list | dict):
        raise _ItemError(f"has an option that is no text: '{json.dumps(value)[:60]}'")
    text = to_valid_utf8(text_of(value))
    if not option_key(text):
        raise _ItemError("has an empty option")
    return " ".join(text.split()) if one_line else text


def _require_different(options: Mapping[str, str]) -> None:
    if len(set(map(option_key, options.values()))) < len(options):
        raise _ItemError("has two options of the same text, which no answer can tell apart")


# --- the right one ---------------------------------------------------------------------------


def _right_label(sample: Sample, options: Mapping[str, str], layout: ChoiceLayout) -> str:
    if len(sample.references) > 1:
        raise _ItemError("has several references, and one option is right")
    reference = (sample.reference or "").strip()
    if not reference:
        raise _ItemError("has no reference. Name its column in 'fields: {reference: …}'")
    found = _named(reference, options)
    labels = found.get(layout.answer, [])
    if len(labels) == 1:
        return labels[0]
    if labels:
        raise _ItemError(
            f"has the reference '{short_line(reference)}', the text of {len(labels)} options"
        )
    others = [name for name, others in found.items() if others]
    hint = (
        f". It would be an option's {' or '.join(others)}: state 'answer: {others[0]}'"
        if others
        else ""
    )
    shown = ", ".join(options.values() if layout.answer == "text" else options)
    raise _ItemError(
        f"has the reference '{short_line(reference)}', which is the {layout.answer} of none of its options "
        f"({short_line(shown)}){hint}"
    )  # fmt: skip


def _named(reference: str, options: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the labels of the options that a reference names, by what it is taken for."""
    labels, key = list(options), option_key(reference)
    place = (
        int(reference.removesuffix(".0")) if re.fullmatch(r"[0-9]{1,3}(\.0)?", reference) else -1
    )
    return {
        "text": [label for label, text in options.items() if option_key(text) == key],
        "label": [label for label in labels if label.casefold() == reference.casefold()],
        "index": labels[place : place + 1] if place >= 0 else [],
        "number": labels[place - 1 : place] if place >= 1 else [],
    }


# --- the prompt ------------------------------------------------------------------------------


def _shuffled(
    sample: Sample, layout: ChoiceLayout, options: dict[str, str]
) -> tuple[dict[str, str], str]:
    """Return the options as they are shown, and the label of the right one.

    The labels stay in their order, and the texts change places among them.
    """
    right = _right_label(sample, options, layout)
    if layout.seed is None:
        return options, right
    order = list(options)
    random.Random(f"{layout.seed}\n{sample.input}").shuffle(order)
    shown = dict(zip(options, [options[label] for label in order], strict=True))
    return shown, list(options)[order.index(right)]


def _put(sample: Sample, prompt: str, options: dict[str, str], right: str) -> Sample:
    return sample.model_copy(
        update={
            "input": prompt,
            "question": sample.input,
            "reference": options[right],
            "references": (),
            "choices": options,
            "right_choice": right,
        }
    )


def _prompt_lines(question: str, layout: ChoiceLayout, options: Mapping[str, str]) -> Iterator[str]:
    yield from (question, "")
    for label, text in options.items():
        yield f"{label}) {text}" if layout.lettered else f"- {text}"
    yield ""
    if layout.instruction is not None:
        yield layout.instruction
    elif layout.lettered:
        *most, last = options
        letters = f"{', '.join(most)} or {last}"
        yield f'End your reply with one line: "Answer:" and the letter of one option ({letters}).'
    else:
        yield 'End your reply with one line: "Answer:" and one of these options, word for word.'


def _fill(
    template: str,
    sample: Sample,
    row: Row,
    fields: Mapping[str, str],
    layout: ChoiceLayout,
    options: Mapping[str, str],
) -> str:
    """Return a template with the texts of an item in it; one that it does not have is an error.

    `{question}` alone has the context in front, as without a template. Categories such as
    `college_biology` are written in words.
    """
    if sample.history:
        raise _ItemError("is a conversation, and a prompt that options continue holds one question")
    values = {column: text.replace("_", " ") for column, text in sample.slices.items()}
    values["question"] = sample.input
    if "{context}" in template and "context" in fields:
        context = values["context"] = join_key(row.get(fields["context"]))
        values["question"] = sample.input.removeprefix(f"{context}\n\n")
    values["stripped_question"] = values["question"].strip()
    values["options"] = "\n".join(
        f"{label}. {text}" if layout.lettered else f"- {text}" for label, text in options.items()
    )
    missing = next((name for name in _PLACEHOLDER.findall(template) if name not in values), None)
    if missing is not None:
        raise _ItemError(
            f"has no '{missing}' for {{{missing}}} in the prompt. Known: {', '.join(sorted(values))}; "
            "{context} needs its field, and a column its place under 'slices'"
        )
    return _PLACEHOLDER.sub(lambda name: values[name[1]], template)
