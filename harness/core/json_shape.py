"""Strict JSON, and whether a value has the shape that a JSON Schema states.

Read is the part of JSON Schema (2020-12, https://json-schema.org) that describes the value at hand:
types, properties, items, bounds, enumerations and their combinations. Any other keyword is refused
when a suite is read and never ignored; a `$ref` could name another file or host.
"""

import json
from collections.abc import Iterator, Mapping
from typing import NoReturn

from harness.core.errors import did_you_mean
from harness.core.safe_regex import is_found, pattern_problem

_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
    "number": (int, float),
    "integer": (int,),
}
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SEVERAL = ("allOf", "anyOf", "oneOf")
# These say nothing of a value.
_WORDS = ("title", "description", "$schema", "$comment", "default", "examples")
_OBJECTS = ("properties", "required", "additionalProperties")
_OTHERS = ("type", "enum", "const", "not", "pattern", "items", "uniqueItems")
KEYWORDS = frozenset({*_COUNTS, *_BOUNDS, *_SEVERAL, *_WORDS, *_OBJECTS, *_OTHERS})


def parse_strict_json(text: str) -> object:
    """Parse JSON as its standard (RFC 8259) has it: no NaN, and no key twice in an object.

    Raises:
        ValueError: it is no such JSON, has a number of more than 4,300 digits, or is nested too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


# --- the schema ------------------------------------------------------------------------------


def shape_problem(schema: object, at: str = "the schema") -> str | None:
    """Return why a schema cannot be used; None if it can."""
    return next(_shape_problems(schema, at), None)


def _shape_problems(schema: object, at: str) -> Iterator[str]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"{at} must be a mapping, or true or false"
        return
    for keyword, value in schema.items():
        if keyword not in KEYWORDS:
            yield f"{at} has '{keyword}', which is not read here. {did_you_mean(keyword, KEYWORDS)}"
        problem = _keyword_problem(keyword, value)
        if problem:
            yield f"'{keyword}' of {at}: {problem}"
        for name, inner in _inner_schemas(keyword, value):
            yield from _shape_problems(inner, f"{at}.{name}")


def _keyword_problem(keyword: str, value: object) -> str | None:
    """Return what is wrong with a keyword's own value; schemas inside are looked at by themselves."""
    names = value if isinstance(value, list) else [value]
    match keyword:
        case "type" if not names or not all(isinstance(n, str) and n in _TYPES for n in names):
            return f"must be of {', '.join(_TYPES)}, or a list of them"
        case "enum" if not isinstance(value, list) or not value:
            return "must be a list of values"
        case "required" if not isinstance(value, list) or not all(
            isinstance(n, str) for n in value
        ):
            return "must be a list of names"
        case "properties" if not isinstance(value, dict):
            return "must map each name to a schema"
        case "pattern":
            return pattern_problem(value) if isinstance(value, str) else "must be text"
        case "uniqueItems" if not isinstance(value, bool):
            return "must be true or false"
        case keyword if keyword in _SEVERAL and (not isinstance(value, list) or not value):
            return "must be a list of schemas"
        case keyword if keyword in _COUNTS and (type(value) is not int or value < 0):
            return "must be a whole number from 0"
        case keyword if keyword in _BOUNDS and not _is_number(value):
            return "must be a number"
        case _:
            return None


def _inner_schemas(keyword: str, value: object) -> Iterator[tuple[str, object]]:
    if keyword == "properties" and isinstance(value, dict):
        yield from ((str(name), inner) for name, inner in value.items())
    elif keyword in _SEVERAL and isinstance(value, list):
        yield from ((f"{keyword}[{i}]", inner) for i, inner in enumerate(value))
    elif keyword in ("items", "additionalProperties", "not"):
        yield keyword, value


# --- values ----------------------------------------------------------------------------------


def value_problem(value: object, schema: object, at: str = "the value") -> str | None:
    """Return where a value first departs from a schema without problems; None if nowhere."""
    try:
        return next(_value_problems(value, schema, at), None)
    except RecursionError:
        return f"{at} is nested too deep"


def _value_problems(value: object, schema: object, at: str) -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{at} is not allowed"
        return
    assert isinstance(schema, dict)
    types = schema.get("type", list(_TYPES))
    types = [types] if isinstance(types, str) else types
    if not any(_is_of(value, name) for name in types):
        yield f"{at} is not of type {' or '.join(types)}"
        return
    if "enum" in schema and not any(_equal(value, other) for other in schema["enum"]):
        yield f"{at} is none of the values of its enum"
    if "const" in schema and not _equal(value, schema["const"]):
        yield f"{at} is not the value of its const"
    if isinstance(value, str):
        yield from _text_problems(value, schema, at)
    elif isinstance(value, list):
        yield from _list_problems(value, schema, at)
    elif isinstance(value, dict):
        yield from _object_problems(value, schema, at)
    elif _is_number(value):
        yield from _number_problems(value, schema, at)
    yield from _combination_problems(value, schema, at)


def _text_problems(value: str, schema: Mapping[str, object], at: str) -> Iterator[str]:
    yield from _count_problems(len(value), "Length", "characters", schema, at)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not is_found(pattern, value):
        yield f"{at} does not contain {pattern}"


def _list_problems(value: list[object], schema: Mapping[str, object], at: str) -> Iterator[str]:
    yield from _count_problems(len(value), "Items", "items", schema, at)
    if "items" in schema:
        for i, item in enumerate(value):
            yield from _value_problems(item, schema["items"], f"{at}[{i}]")
    if schema.get("uniqueItems"):
        keys = [_key(item) for item in value]
        if len(set(keys)) < len(keys):
            yield f"{at} holds an item twice"


def _object_problems(
    value: dict[str, object], schema: Mapping[str, object], at: str
) -> Iterator[str]:
    yield from _count_problems(len(value), "Properties", "properties", schema, at)
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    assert isinstance(properties, dict) and isinstance(required, list)  # noqa: PT018
    yield from (f"{at} lacks '{name}'" for name in required if name not in value)
    for name, inner in value.items():
        if name in properties:
            yield from _value_problems(inner, properties[name], f"{at}.{name}")
        elif schema.get("additionalProperties", True) is False:
            yield f"{at} has '{name}', which its schema does not have"
        else:
            yield from _value_problems(
                inner, schema.get("additionalProperties", True), f"{at}.{name}"
            )


def _count_problems(
    n: int, of: str, words: str, schema: Mapping[str, object], at: str
) -> Iterator[str]:
    least, most = schema.get(f"min{of}", 0), schema.get(f"max{of}", n)
    assert isinstance(least, int) and isinstance(most, int)  # noqa: PT018
    if not least <= n <= most:
        yield f"{at} has {n} {words}"


def _number_problems(value: object, schema: Mapping[str, object], at: str) -> Iterator[str]:
    assert isinstance(value, int | float)
    limits = {name: limit for name in _BOUNDS if (limit := schema.get(name)) is not None}
    for name, limit in limits.items():
        assert isinstance(limit, int | float)
        holds = {
            "minimum": value >= limit,
            "maximum": value <= limit,
            "exclusiveMinimum": value > limit,
            "exclusiveMaximum": value < limit,
        }[name]
        if not holds:
            yield f"{at} breaks its {name} {limit}"


def _combination_problems(value: object, schema: Mapping[str, object], at: str) -> Iterator[str]:
    for keyword in _SEVERAL:
        inner = schema.get(keyword)
        if not isinstance(inner, list):
            continue
        n = sum(value_problem(value, one) is None for one in inner)
        if not {"allOf": n == len(inner), "anyOf": n >= 1, "oneOf": n == 1}[keyword]:
            yield f"{at} has {n} of the {len(inner)} shapes of its {keyword}"
    if "not" in schema and value_problem(value, schema["not"]) is None:
        yield f"{at} has the shape that its schema excludes"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_of(value: object, name: str) -> bool:
    if name == "integer" and isinstance(value, float):
        return value.is_integer()  # 4.0 is an integer there
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _equal(first: object, second: object) -> bool:
    return _key(first) == _key(second)


def _key(value: object) -> str:
    """Return a text that equal values share: 1 is 1.0 and not true, and keys have no order."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
