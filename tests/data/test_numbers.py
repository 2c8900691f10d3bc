import time
from decimal import Decimal

import pytest

from harness.data.numbers import read_number, read_numbers


def values(text: str, **options: object) -> list[Decimal | None]:
    return [found.value for found in read_numbers(text, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("about 1,250.5 mg", "1250.5"),
        ("1,00,000", "100000"),
        ("1'234", "1234"),
        ("1\u202f234", "1234"),
        ("\u22125", "-5"),
        ("T = \u22123.2 °C", "-3.2"),
        ("it is -5.", "-5"),
        ("T = \u20135", "-5"),
        ("\u2013 5 mg", "5"),
        ("about ~5", "5"),
        ("The answer\u20145", "5"),
        (".5", "0.5"),
        ("wait ...5", "5"),
        ("5mg", "5"),
        ("**42**", "42"),
        ("1.5e3", "1500"),
        ("1.5 \u00d7 10^3", "1500"),
        ("\u0663\u066b\u0665", "3.5"),
        ("\uff11\uff12", "12"),
        ("约5毫克", "5"),
        ("25 %", "25"),
        ("- 5 mg", "5"),
    ],
)
def test_a_number_is_read(text: str, value: str) -> None:
    assert values(text) == [Decimal(value)]


@pytest.mark.parametrize(
    "text",
    ["120/80", "120 / 80", "5-10", "5 \u2013 10 mg", "5\u201310", "5\u201410", "5~10", "5 -10", "1,5 mg", "1 000", "3.5.1", "12:30",
     "2024-05-01", "10\u00b3", "\u00bd", "9" * 61],
)  # fmt: skip
def test_what_is_not_one_number_has_no_value(text: str) -> None:
    assert values(text) == [None]


@pytest.mark.parametrize("text", ["HbA1c, B12, COVID-19, q8h, x_5", "no number", ""])
def test_digits_of_a_word_are_no_number(text: str) -> None:
    assert values(text) == []


def test_a_decimal_comma_is_read_where_it_is_stated() -> None:
    assert values("1.234,5 und 1,5", decimal=",") == [Decimal("1234.5"), Decimal("1.5")]


def test_a_percentage_is_a_number_of_hundredths_where_that_is_stated() -> None:
    assert values("25 %", hundredths=True) == [Decimal("0.25")]


def test_the_sign_of_a_range_is_no_minus() -> None:
    assert values("5%-10%") == [Decimal(5), None]


def test_a_reference_of_two_numbers_is_not_one_number() -> None:
    assert read_number("5 mg twice, 3 days") is None


def test_time_is_linear_in_the_text() -> None:
    start = time.perf_counter()
    for text in ("1 -" * 50_000, "1" * 100_000, "1 000 " * 20_000, "1." * 50_000):
        list(read_numbers(text))
    assert time.perf_counter() - start < 20
