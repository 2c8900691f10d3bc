"""Daily checks: alarms that are seldom wrong over all days together."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.artifacts.run_folder import Run
from harness.cli import app
from harness.core.errors import HarnessError
from harness.runs.daily import check_daily
from harness.runs.regression import Baseline, bless_run, write_baseline
from tests.builders.scored import grades, make_run
from tests.builders.sealed import write_whole_run


def day(number: int, shift: float = 0.0, folder: Path = Path("runs")) -> Run:
    run = make_run(grades(shift, seed=number), run_id=f"{number:012}")
    started = f"2026-01-{number:02}T00:00:00+00:00"
    return run._replace(
        result=run.result.model_copy(update={"started": started}), folder=folder / str(number)
    )


def baseline_of(run: Run) -> Baseline:
    return bless_run(run, margins={"rubric.safety": 0.5})


def test_each_day_has_a_share_of_alpha_in_the_order_of_time() -> None:
    first = day(1)
    days = check_daily([day(3), day(1), day(2)], baseline_of(first))
    assert [one.started[8:10] for one in days] == ["01", "02", "03"]
    assert [round(one.alpha, 5) for one in days] == [0.0304, 0.0076, 0.00338]
    assert not any(one.alarm for one in days)


def test_a_clear_drop_raises_the_alarm_also_on_a_late_day() -> None:
    days = check_daily([*map(day, range(1, 20)), day(20, -2.5)], baseline_of(day(1)))
    assert [one.alarm for one in days] == [False] * 19 + [True]


def test_a_run_named_twice_is_refused() -> None:
    with pytest.raises(HarnessError, match="named twice"):
        check_daily([day(1), day(1)], baseline_of(day(1)))


def test_the_exit_code_is_that_of_the_alarm(tmp_path: Path) -> None:
    write_baseline(baseline_of(day(1)), tmp_path / "baseline.json")
    for run in (day(2, folder=tmp_path), day(3, -2.5, folder=tmp_path)):
        write_whole_run(run, run.folder)
    command = [
        "check",
        "--daily",
        "--baseline",
        str(tmp_path / "baseline.json"),
        str(tmp_path / "2"),
    ]
    quiet = CliRunner().invoke(app, command)
    assert (quiet.exit_code, "0 alarms in 1 daily checks" in quiet.output) == (0, True)
    loud = CliRunner().invoke(app, [*command, str(tmp_path / "3")])
    assert loud.exit_code == 1
    assert "2026-01-03: fail" in loud.output
