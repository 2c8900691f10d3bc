import pytest

from harness.core.statements import split_statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("Rest helps a lot. See a doctor, e.g. your own.", ["Rest helps a lot.", "See a doctor, e.g. your own."]),
        ("- Drink much water\n2. Take 1.5 mg daily", ["Drink much water", "Take 1.5 mg daily"]),
        ("What is asthma? It is a disease.", ["It is a disease."]),
        ("Yes.", []),
        ('It answers "Is it safe?"', ['It answers "Is it safe?"']),
        ("Maybe not. [1]", []),
        ("", []),
        ("哮喘是一种常见病。应当就医检查。", ["哮喘是一种常见病。", "应当就医检查。"]),
        ("الربو مرض مزمن. هل هو خطير؟ يجب استشارة الطبيب.", ["الربو مرض مزمن.", "يجب استشارة الطبيب."]),
        ("Возможно.", []),
        ("多喝水。", []),
        ("## Causes of asthma attacks\nDust and pollen cause it.", ["Dust and pollen cause it."]),
        ("**What you can do**\n**Rest** helps a lot.", ["**Rest** helps a lot."]),
        ("Here is what helps you:\n1) use some ice\n\u2013 take a rest\n(ii) raise the leg", ["use some ice", "take a rest", "raise the leg"]),
        ("| Drug | Dose | How often |\n|---|:-:|---|\n| Aspirin | 100 mg | daily |", ["| Aspirin | 100 mg | daily |"]),
        ("Dr. Smith says so. Some drugs, e.g. Aspirin, help.", ["Dr. Smith says so.", "Some drugs, e.g. Aspirin, help."]),
        ("Rest helps a lot.\r\nIce helps a bit.", ["Rest helps a lot.", "Ice helps a bit."]),
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
        ("Rest helps most people [3-1].", ()),
        ("Rest helps most people [1], [3].", (1, 3)),
        ("Rest helps most people [1]\u2013[3].", (1, 2, 3)),
        ("Rest helps most people [2 and 3].", (2, 3)),
        ("Rest helps most people [passage 2] [^3].", (2, 3)),
        ("Rest helps most people【2】.", (2,)),
        ("Rest helps most people.\n[2]\n", (2,)),
        ("الربو مرض مزمن [٢].", (2,)),
        ("哮喘是一种常见病。[2]", (2,)),
        ("Rest helps most people (1), 10² times, as found in 2019 [2019].", ()),
    ],
)
def test_a_citation_belongs_to_its_sentence(text: str, cites: tuple[int, ...]) -> None:
    (statement,) = split_statements(text)
    assert statement.cites == cites


def test_a_citation_behind_a_sentence_is_not_one_of_the_next() -> None:
    first, second = split_statements("Rest helps most people. [1] Ice helps some people.")
    assert (first.cites, second.cites) == ((1,), ())


def test_what_is_said_again_is_one_statement_with_all_that_it_cites() -> None:
    answer = "Rest helps most people [1]. Ice helps some people. Rest helps most people [2, 1]."
    assert split_statements(answer) == (
        ("Rest helps most people.", (1, 2)),
        ("Ice helps some people.", ()),
    )


@pytest.mark.parametrize(
    "piece", [" ", "[", "[1 ", ". ", ".[1 ", "| --", "1,", "**", "(i)", "e.g. "]
)
def test_a_long_answer_of_marks_alone_is_split_in_no_time(piece: str) -> None:
    assert len(split_statements(f"Rest [1{piece * 30_000}x")) <= 1
