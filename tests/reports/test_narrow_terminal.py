"""On a narrow terminal the numbers of both models stay."""

from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from harness.types import RunResult
from reports.terminal import print_summary
from tests.builders.results import failing_run, three_model_run


@pytest.mark.parametrize("make_run", [failing_run, three_model_run])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_both_models_numbers_are_shown_at_every_width(
    width: int, make_run: Callable[[], RunResult]
) -> None:
    out = StringIO()
    print_summary(make_run(), Console(file=out, width=width))
    head = next(line for line in out.getvalue().splitlines() if "Baseline" in line)
    assert "Candidate" in head
    assert all(len(line) <= width for line in out.getvalue().splitlines())
