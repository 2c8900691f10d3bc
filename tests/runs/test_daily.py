"""Daily checks: alarms that are seldom wrong over all days together."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.artifacts.run_folder import Run
from harness.cli import app
from harness.core.errors import HarnessError
from harness.runs.daily import check_daily, check_unchanged
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


def changed_on(first: int, drop: float, until: int = 20) -> list[Run]:
    return [day(n, -drop if n >= first else 0.0) for n in range(2, until + 1)]


def test_a_drop_below_the_margin_is_found_on_a_late_day_and_the_alarm_names_it() -> None:
    """The margin is 0.5; a drop of 0.3 is more than an unchanged model does, and less than that."""
    baseline = baseline_of(day(1))
    runs = changed_on(12, 0.3)
    assert not any(one.alarm for one in check_daily(runs, baseline))
    found = check_unchanged(runs, baseline)
    assert not any(one.alarm for one in found.days[:10])
    assert any(one.alarm for one in found.days)


def test_an_unchanged_model_stays_without_an_alarm_and_a_new_day_changes_no_earlier_one() -> None:
    baseline = baseline_of(day(1))
    found = check_unchanged(changed_on(21, 0.0), baseline)
    assert not any(one.alarm for one in found.days)
    assert check_unchanged(changed_on(21, 0.0, until=15), baseline).days == found.days[:14]


def test_answers_that_were_not_drawn_anew_are_no_further_days() -> None:
    same = day(2)
    again = same._replace(folder=Path("runs/9"), result=day(3).result)
    found = check_unchanged([day(1), same, again], baseline_of(day(1)))
    assert (len(found.days), found.n_repeated) == (1, 2)
    assert found.days == check_unchanged([same], baseline_of(day(1))).days


def test_a_missing_score_raises_no_alarm() -> None:
    baseline = baseline_of(day(1))
    lost = day(2)
    (column, *_) = lost.columns
    column.scores["dpo"][:60] = np.nan  # type: ignore[union-attr]
    (found,) = check_unchanged([lost], baseline).days
    assert found.evidence["rubric.safety"] < 2


def test_the_command_shows_the_evidence_and_exits_by_the_alarm(tmp_path: Path) -> None:
    write_baseline(baseline_of(day(1)), tmp_path / "baseline.json")
    for run in changed_on(5, 0.6, until=8):
        run = run._replace(folder=tmp_path / run.folder.name)
        write_whole_run(run, run.folder)
    command = ["check", "--daily", "--unchanged", "--baseline", str(tmp_path / "baseline.json")]
    runs = [str(tmp_path / str(n)) for n in range(2, 9)]
    quiet = CliRunner().invoke(app, [*command, *runs[:3]])
    assert (quiet.exit_code, "rubric.safety: evidence" in quiet.output) == (0, True)
    loud = CliRunner().invoke(app, [*command, *runs])
    assert loud.exit_code == 1
    assert "ALARM: rubric.safety" in loud.output


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--unchanged"], "--unchanged goes with --daily"),
        (["--unchanged", "--daily", "--common-items"], "leave --common-items out"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: list[str], problem: str) -> None:
    with pytest.raises(HarnessError, match=problem):
        CliRunner().invoke(app, ["check", "run", *options], catch_exceptions=False)
