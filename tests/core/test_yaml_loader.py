import pytest

from harness.core.errors import HarnessError
from harness.core.yaml_loader import MAX_DEPTH, parse_yaml


def refused(text: str) -> str:
    with pytest.raises(HarnessError) as error:
        parse_yaml(text, "s.yaml")
    return str(error.value)


def test_plain_data_comes_with_its_lines() -> None:
    document = parse_yaml("a: 1\nb:\n  c: [x, 2.5, true, null]\n", "s.yaml")
    assert document.data == {"a": 1, "b": {"c": ["x", 2.5, True, None]}}
    assert document.lines[("b", "c")] == 3


def test_a_duplicate_key_names_both_lines() -> None:
    message = refused("a: 1\nb: 2\na: 3\n")
    assert message.startswith("s.yaml:3:")
    assert "first on line 1" in message


@pytest.mark.parametrize(
    "scalar", ["no", "Yes", "off", "12:30", "012", "0b11", "1_000", "2026-11-22"]
)
def test_a_scalar_that_readers_disagree_on_is_refused(scalar: str) -> None:
    assert f"`{scalar}` means different things" in refused(f"a: 1\nkey: {scalar}\n")


def test_quotes_make_text_of_an_ambiguous_scalar() -> None:
    assert parse_yaml("a: 'no'\nb: \"12:30\"\n", "s.yaml").data == {"a": "no", "b": "12:30"}


def test_an_alias_bomb_is_refused_before_it_unfolds() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\n" + "c: [*b, *b]\n"
    assert "anchors and aliases" in refused(bomb)


def test_a_tag_is_refused() -> None:
    assert "is not allowed; a spec is data only" in refused("a: !!python/object:os.system x\n")


def test_a_second_document_is_refused() -> None:
    assert "write exactly one" in refused("a: 1\n---\nb: 2\n")


def test_deep_nesting_is_refused() -> None:
    assert "levels deep" in refused("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2))


def test_a_huge_file_is_refused() -> None:
    assert "1 MB" in refused("a: " + "x" * 1_000_001)


def test_a_syntax_error_names_its_line() -> None:
    assert refused("a: 1\nb: [1, 2\nc: 3\n").startswith("s.yaml:3: not valid YAML")


@pytest.mark.parametrize("number", ["9" * 5000, "1e400", "-1e999"])
def test_a_number_beyond_all_bounds_is_refused(number: str) -> None:
    assert "is too large" in refused(f"a: 1\nkey: {number}\n")


def test_a_binary_file_is_refused_in_one_line() -> None:
    message = refused("a: b\0c\n")
    assert message.startswith("s.yaml: not valid YAML")
    assert "\n" not in message
