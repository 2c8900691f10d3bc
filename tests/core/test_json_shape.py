import pytest

from harness.core.json_shape import parse_strict_json, shape_problem, value_problem

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (True, '{"any": 1}', ""),
        ({"type": "integer"}, "4.0", "4.5"),
        ({"type": "integer"}, "9" * 400, "true"),
        ({"type": ["number", "null"]}, "null", '"1"'),
        ({"enum": [1, "a", {"b": [True]}]}, '{"b": [true]}', '{"b": [1]}'),
        ({"const": {"a": 1, "b": 2}}, '{"b": 2.0, "a": 1}', '{"a": 1}'),
        (PERSON, '{"name": "Ada", "age": 36}', '{"name": "Ada", "aged": 36}'),
        (PERSON, '{"name": "Ada"}', '{"name": ""}'),
        (PERSON, '{"name": "Ada"}', "{}"),
        ({"additionalProperties": {"type": "number"}}, '{"a": 1}', '{"a": "1"}'),
        ({"items": {"minimum": 1, "exclusiveMaximum": 5}, "maxItems": 2}, "[1, 4.9]", "[1, 5]"),
        ({"items": {"minimum": 1}, "maxItems": 2}, "[1]", "[1, 2, 3]"),
        ({"uniqueItems": True}, "[1, true]", "[1, 1.0]"),
        ({"pattern": "^[A-Z]"}, '"Ab"', '"ab"'),
        ({"oneOf": [{"minimum": 0}, {"maximum": 10}]}, "11", "5"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "null", "1"),
        ({"allOf": [{"minimum": 0}, {"maximum": 10}]}, "5", "11"),
        ({"not": {"type": "array"}}, "{}", "[]"),
    ],
)  # fmt: skip
def test_a_value_has_the_shape_or_not(schema: object, right: str, wrong: str) -> None:
    assert shape_problem(schema) is None
    assert value_problem(parse_strict_json(right), schema) is None
    if wrong:
        assert value_problem(parse_strict_json(wrong), schema) is not None


def test_a_problem_names_its_place() -> None:
    schema = {"properties": {"doses": {"items": {"type": "number"}}}}
    assert value_problem({"doses": [1, "2"]}, schema) == "the value.doses[1] is not of type number"


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"typ": "object"}, "has 'typ', which is not read here. Did you mean 'type'?"),
        ({"$ref": "file:///etc/passwd"}, "has '$ref', which is not read here"),
        ({"properties": {"a": {"type": "objekt"}}}, "'type' of the schema.a: must be of null"),
        ({"anyOf": []}, "'anyOf' of the schema: must be a list of schemas"),
        ({"enum": []}, "'enum' of the schema: must be a list"),
        ({"required": "name"}, "'required' of the schema: must be a list of names"),
        ({"properties": [1]}, "'properties' of the schema: must map"),
        ({"minItems": True}, "'minItems' of the schema: must be a whole number"),
        ({"minimum": "1"}, "'minimum' of the schema: must be a number"),
        ({"uniqueItems": 1}, "'uniqueItems' of the schema: must be true or false"),
        ({"pattern": "(a"}, "'pattern' of the schema: no regular expression"),
        ({"items": [{"type": "null"}]}, "the schema.items must be a mapping"),
    ],
)
def test_a_schema_that_is_not_read_whole_is_refused(schema: object, problem: str) -> None:
    assert problem in (shape_problem(schema) or "")


@pytest.mark.parametrize("text", ["NaN", '{"a": 1, "a": 2}', "{'a': 1}", "[1,]", "", "9" * 5000])
def test_what_is_no_standard_json_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_strict_json(text)


def test_nesting_without_end_is_no_crash() -> None:
    deep = "[" * 100_000
    with pytest.raises(ValueError, match=r".+"):
        parse_strict_json(deep)
    value: object = 1
    for _ in range(5_000):
        value = [value]
    assert value_problem(value, {"uniqueItems": True}) == "the value is nested too deep"
