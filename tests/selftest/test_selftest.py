"""The harness's own error rates, by simulation; the slow set takes more simulations."""

import os

import pytest

from harness.config.claim_kinds import CLAIM_KINDS
from harness.selftest.run import ErrorRate, SelfTest, describe_selftest, run_selftest


def quiet(stage: str, done: int, total: int) -> None:
    pass


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_method_errs_no_more_than_it_says_and_every_wrong_way_is_caught() -> None:
    found = run_selftest(20_000, jobs=os.cpu_count() or 1, progress=quiet)
    assert found.holds, "\n".join(describe_selftest(found))


def test_the_same_seed_gives_the_same_rates() -> None:
    first, second = (run_selftest(3, progress=quiet) for _ in range(2))
    assert first == second


def test_two_processes_change_no_figure() -> None:
    assert run_selftest(2, jobs=2, progress=quiet) == run_selftest(2, progress=quiet)


def test_every_kind_of_claim_has_its_wrong_verdicts_counted() -> None:
    found = run_selftest(1, progress=quiet)
    methods = [cell.method for cell in found.cells if cell.kind == "error"]
    for kind in CLAIM_KINDS.values():
        assert any(kind.words in method for method in methods), kind.words


def cell(**changes: object) -> ErrorRate:
    known = {"method": "m", "world": "w", "n": 100, "kind": "error", "rate": 0.05, "se": 0.005}
    return ErrorRate.model_validate(known | {"limit": 0.063} | changes)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"rate": 0.063}, True),
        ({"rate": 0.064}, False),
        ({"kind": "coverage", "rate": 0.92, "limit": 0.93}, False),
        ({"kind": "control", "rate": 0.06, "limit": 0.07}, False),
        ({"kind": "control", "rate": 0.2, "limit": 0.07}, True),
        ({"kind": "power", "rate": 0.1, "limit": None}, True),
        ({"kind": "saved", "rate": 0.29, "limit": 0.3}, False),
    ],
)
def test_a_limit_is_kept_from_its_own_side(changes: dict[str, object], *, holds: bool) -> None:
    assert cell(**changes).holds is holds


def test_a_broken_limit_is_shown() -> None:
    saved = cell(kind="saved", rate=0.4, limit=0.3)
    found = SelfTest(simulations=10, cells=(cell(rate=0.2), cell(), saved))
    told = list(describe_selftest(found))
    assert told[2].endswith("| at most 0.063 | FAILS |")
    assert told[-1] == "1 of 3 limits broken"
