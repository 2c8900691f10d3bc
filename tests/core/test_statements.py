import pytest

from harness.core.statements import split_statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("Rest helps a lot. See a doctor, e.g. your own.", ["Rest helps a lot.", "See a doctor, e.g. your own."]),
        ("- Drink much water\n2. Take 1.5 mg daily", ["Drink much water", "Take 1.5 mg daily"]),
        ("What is asthma? It is a disease.", ["It is a disease."]),
        ("Yes.", []),
        ("Maybe not. [1]", []),
        ("", []),
        ("哮喘是一种常见病。应当就医检查。", ["哮喘是一种常见病。", "应当就医检查。"]),
    ],
)  # fmt: skip
def test_statements_are_sentences_that_say_something(text: str, statements: list[str]) -> None:
    assert [statement.text for statement in split_statements(text)] == statements


@pytest.mark.parametrize(
    ("text", "cites"),
    [
        ("Rest helps most people [1].", (1,)),
        ("Rest helps most people. [2][3] ", (2, 3)),
        ("Rest [1] helps most people [3, 1].", (1, 3)),
        ("Rest helps most people [1-3].", (1, 2, 3)),
        ("Rest helps most people [see above].", ()),
        ("Rest helps most people [1-900].", ()),
    ],
)
def test_a_citation_belongs_to_its_sentence(text: str, cites: tuple[int, ...]) -> None:
    (statement,) = split_statements(text)
    assert statement.cites == cites


def test_a_citation_behind_a_sentence_is_not_one_of_the_next() -> None:
    first, second = split_statements("Rest helps most people. [1] Ice helps some people.")
    assert (first.cites, second.cites) == ((1,), ())
