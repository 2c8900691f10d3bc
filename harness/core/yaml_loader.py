"""A strict YAML reader: unambiguous values only, and errors with line numbers.

All hand-written files (suites, profiles, recipes) are read by `load_spec`. Unlike plain PyYAML
it refuses what surprises: duplicate keys, `no` for False, `12:30` for 750,
`012` for 10, dates, aliases and anchors (which can hide an explosion), tags (which can hide
code), files above 1 MB and nesting beyond 64 levels.
"""

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from harness.core.errors import HarnessError, did_you_mean, nearest_file

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

# Plain scalars on which YAML 1.1 and 1.2 readers disagree.
_AMBIGUOUS = re.compile(
    r"(?:yes|no|on|off)"  # booleans in 1.1, text in 1.2
    r"|[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.\d*)?"  # 12:30 is 750 in 1.1
    r"|[-+]?0\d+"  # 012 is 10 in 1.1
    r"|[-+]?0b[01_]+"
    r"|[-+]?\d+_[\d_]*"
    r"|\d{4}-\d{1,2}-\d{1,2}(?:[Tt ].*)?",  # a date object in 1.1
    re.IGNORECASE,
)

# The tags of plain values in PyYAML. Any other was written by hand, to construct objects.
_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp", "value")
}

_NULL = {"", "~", "null"}
_BOOL = {"true": True, "false": False}
_INT = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
Location = tuple[str | int, ...]
SpecT = TypeVar("SpecT", bound=BaseModel)


class Document(NamedTuple):
    """A parsed file: plain data, and the line of each value."""

    data: object
    lines: dict[Location, int]


def load_spec(path: Path, model: type[SpecT]) -> SpecT:
    """Read a file and validate it as `model`; validators find its folder as `root` in their context.

    Raises:
        HarnessError: the message names the file, the line, the mistake and what would work.
    """
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise HarnessError(
            f"{path}:1: expected a mapping of keys, found {_describe(document.data)}."
        )
    _refuse_other_kind(document.data, path, model)
    return validate_document(document, path, model, root=path.parent)


def validate_document(document: Document, path: Path, model: type[SpecT], *, root: Path) -> SpecT:
    """Validate parsed data as `model`, with mistakes on their lines of `path`.

    Raises:
        HarnessError: as `load_spec`.
    """
    try:
        # JSON mode is strict about types, yet lets a list become a tuple.
        written = json.dumps(document.data)
        return model.model_validate_json(written, context={"root": root})
    except ValidationError as error:
        raise HarnessError(_explain(error, document, path, model)) from None


_KINDS = (
    "study",
    "suite",
    "profile",
    "recipe",
    "loop",
    "release",
)  # a spec's name stands under its kind


def _refuse_other_kind(data: dict[str, Any], path: Path, model: type[BaseModel]) -> None:
    """Name the kind of a spec that was given in place of another, not its unknown keys.

    Raises:
        HarnessError: the file names itself as another kind.
    """
    fields = model.model_fields
    wanted = next((kind for kind in _KINDS if kind in fields and fields[kind].is_required()), None)
    other = next((kind for kind in _KINDS if kind in data and kind not in fields), None)
    if wanted is not None and wanted not in data and other is not None:
        raise HarnessError(f"{path}: is a {other}, and a {wanted} is needed here.")


def read_yaml(path: Path) -> Document:
    """Read a file into plain data with line numbers.

    Raises:
        HarnessError: it cannot be read, or is not unambiguous YAML.
    """
    return parse_yaml(_read(path), source=str(path))


def parse_yaml(text: str, source: str) -> Document:
    """Parse a text into plain data with line numbers.

    Raises:
        HarnessError: the message names `source` and the line.
    """
    if len(text.encode()) > MAX_BYTES:
        raise HarnessError(f"{source}: larger than 1 MB; a spec is written by hand.")
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        _refuse_aliases(text, source)
    except yaml.YAMLError as error:
        raise HarnessError(_syntax_message(error, source)) from None
    except RecursionError:
        raise HarnessError(f"{source}: nested more than {MAX_DEPTH} levels deep.") from None
    if len(nodes) > 1:
        raise HarnessError(f"{source}: holds {len(nodes)} YAML documents; write exactly one.")
    lines: dict[Location, int] = {}
    if not nodes or nodes[0] is None:
        return Document(None, lines)
    return Document(_build(nodes[0], (), lines, source), lines)


def field_error(at: str, message: str) -> PydanticCustomError:
    """Build the error of a validator of a whole spec about one of its parts.

    `load_spec` reports it on the line of that part, such as `gate.claims.0.metric`.
    """
    return PydanticCustomError("mistake", "{message}", {"message": message, "at": at})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HarnessError(f"{path}: no such file.{nearest_file(path)}") from None
    except UnicodeDecodeError as error:
        raise HarnessError(
            f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from None
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None


def _refuse_aliases(text: str, source: str) -> None:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise HarnessError(
                f"{source}:{line}: anchors and aliases (& and *) are not allowed; "
                "write the value out."
            )


def _build(node: yaml.Node, at: Location, lines: dict[Location, int], source: str) -> object:
    lines[at] = node.start_mark.line + 1
    where = f"{source}:{lines[at]}"
    if len(at) > MAX_DEPTH:
        raise HarnessError(f"{where}: nested more than {MAX_DEPTH} levels deep.")
    if node.tag not in _TAGS:
        raise HarnessError(f"{where}: the tag '{node.tag}' is not allowed; a spec is data only.")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, where)
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*at, i), lines, source) for i, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    mapping: dict[str, object] = {}
    for key_node, value_node in node.value:
        key = str(_build(key_node, (*at, "<key>"), lines, source))
        if isinstance(key_node, yaml.ScalarNode):
            key = key_node.value  # as it was written: null, true and 1.0 are names here
        line = key_node.start_mark.line + 1
        if key in mapping:
            raise HarnessError(
                f"{source}:{line}: the key '{key}' is written twice "
                f"(first on line {lines[(*at, key)]}); keep one."
            )
        mapping[key] = _build(value_node, (*at, key), lines, source)
        lines[(*at, key)] = line
    return mapping


def _scalar(node: yaml.ScalarNode, where: str) -> str | int | float | bool | None:
    text: str = node.value
    if node.style is not None:  # quoted or a block: it is text
        return text
    if _AMBIGUOUS.fullmatch(text):
        raise HarnessError(
            f"{where}: `{text}` means different things to different YAML readers. "
            f"Write '{text}' in quotes for text, or true/false, or a plain number."
        )
    if text.lower() in _NULL:
        return None
    if text.lower() in _BOOL:
        return _BOOL[text.lower()]
    if _FLOAT.fullmatch(text):
        return _number(text, where)
    return text


def _number(text: str, where: str) -> int | float:
    if not math.isfinite(float(text)):
        raise HarnessError(f"{where}: the number {text[:20]}… is too large.")
    return int(text) if _INT.fullmatch(text) else float(text)


def _syntax_message(error: yaml.YAMLError, source: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{source}:{error.problem_mark.line + 1}: not valid YAML: {error.problem}."
    return f"{source}: not valid YAML: {' '.join(str(error).split())}."


def _explain(error: ValidationError, document: Document, path: Path, model: type[BaseModel]) -> str:
    details = error.errors()
    messages = []
    for detail in details:
        deeper = any(other["loc"][: len(detail["loc"])] == detail["loc"] for other in details
                     if len(other["loc"]) > len(detail["loc"]))  # fmt: skip
        if detail["type"] == "too_short" and deeper:
            continue  # there are items, but invalid ones, which are reported on their own lines
        at, message = _place_and_message(detail, document, model)
        name = ".".join(str(part) for part in at) or "the file"
        line = document.lines.get(at, 1)
        messages.append((line, f"{path}:{line}: {name}: {_sentence(message)}"))
    unique = list(dict.fromkeys(message for _, message in sorted(messages)))
    return "\n".join(unique)


def _place_and_message(
    detail: ErrorDetails, document: Document, model: type[BaseModel]
) -> tuple[Location, str]:
    """Return where a validation error belongs in the document, and its message."""
    loc, context = detail["loc"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            hint = did_you_mean(str(loc[-1]), _known_keys(model, loc[:-1]))
            return _locate(loc, document), f"unknown key. {hint}"
        case "mistake":
            parts = (int(part) if part.isdigit() else part for part in context["at"].split("."))
            return _locate((*loc, *parts), document), context["message"]
        case "union_tag_invalid":
            key = context["discriminator"].strip("'()")  # a field, or a function of its name
            tags = [tag.strip("'") for tag in context["expected_tags"].split(", ")]
            hint = did_you_mean(context["tag"], tags)
            return _locate((*loc, key), document), f"'{context['tag']}' is unknown. {hint}"
        case "union_tag_not_found":
            key = context["discriminator"].strip("'")
            return _locate((*loc, key), document)[:-1], f"needs the key '{key}'."
        case "missing":
            return _locate(loc, document), "this key is required."
        case "literal_error" if isinstance(detail["input"], str):
            values = re.findall(r"'([^']*)'", context["expected"])
            hint = did_you_mean(detail["input"], values)
            return _locate(loc, document), f"'{detail['input']}' is unknown. {hint}"
        case "string_pattern_mismatch" if context["pattern"] == NAME_PATTERN:
            message = f"'{detail['input']}' is no name: up to 64 ASCII letters (a to z), digits, '.', '_' and '-'."
            return _locate(loc, document), message
        case "too_short":
            message = f"needs at least {context['min_length']}, and has {context['actual_length']}."
            return _locate(loc, document), message
        case "value_error":
            return _locate(loc, document, missing=False), detail["msg"]
        case _:
            return _locate(loc, document), f"{detail['msg']}, found {_describe(detail['input'])}"


def _known_keys(annotation: Any, loc: tuple[str | int, ...]) -> set[str]:
    """Return the keys that a spec has at `loc`, by following its type annotations."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _known_keys(annotation.model_fields["root"].annotation, loc)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        if not loc:
            return set(fields)
        if loc[0] in fields:
            return _known_keys(fields[str(loc[0])].annotation, loc[1:])
        tags = [tag for field in fields.values() for tag in get_args(field.annotation)]
        return _known_keys(annotation, loc[1:]) if loc[0] in tags else set()
    inner = loc[1:] if get_origin(annotation) in (dict, list, tuple) else loc
    return set().union(*(_known_keys(arg, inner) for arg in get_args(annotation)))


def _locate(loc: tuple[str | int, ...], document: Document, *, missing: bool = True) -> Location:
    """Return the longest path of `loc` that exists in the data; its last part may be a missing key.

    The locations of pydantic contain the tags of unions, which are not in the data. They end the
    location of a mistake in a whole mapping, which is not `missing`.
    """
    at: list[str | int] = []
    value = document.data
    for part in loc:
        if isinstance(value, dict) and str(part) in value:
            value = value[str(part)]
            at.append(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
            at.append(part)
        elif missing and part == loc[-1] and isinstance(value, dict) and isinstance(part, str):
            at.append(part)  # a missing key: named, on the line of its parent
    while at and tuple(at) not in document.lines and tuple(at[:-1]) in document.lines:
        document.lines[tuple(at)] = document.lines[tuple(at[:-1])]
    return tuple(at)


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message if message.endswith((".", "?")) else f"{message}."


def _describe(value: object) -> str:
    """Describe a value in a few words. A text keeps its quotes: it may be meant as a number."""
    kinds = {list: "a list", dict: "a mapping", type(None): "nothing", str: f"'{str(value)[:60]}'"}
    return kinds.get(type(value), json.dumps(value))
