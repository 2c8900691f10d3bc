"""A judge held to people: agreement, leanings, corrections, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import load_run
from harness.core.errors import HarnessError
from harness.human.calibration import calibrate_run, find_human_labels
from harness.human.labels import load_label_file, load_study_labels
from harness.types import Calibration
from reports.calibration import calibration_html, calibration_markdown
from reports.calibration_text import describe_calibration
from tests.builders.judged_runs import grades, winner_rows, wins, write_labels, write_run
from tests.builders.votes import cast_votes, steady

RNG = np.random.default_rng(4)
N = 120
TRUE = (RNG.random(N) < 0.6).astype(float)  # what people say
JUDGED = np.where(RNG.random(N) < 0.8, TRUE, 1.0)  # a judge that errs for the candidate


def calibrate(tmp_path: Path, *, drawn: bool = True, chosen: range = range(60)) -> Calibration:
    run = write_run(tmp_path, [wins(JUDGED)])
    labels = write_labels(tmp_path / "labels.csv", winner_rows(TRUE, chosen))
    return calibrate_run(load_run(run), load_label_file(labels, drawn_at_random=drawn))


def test_agreement_is_with_the_labelled_items(tmp_path: Path):
    (held,) = calibrate(tmp_path).judges
    assert held.percent is not None
    assert held.percent.estimate == pytest.approx((TRUE[:60] == JUDGED[:60]).mean())
    assert (held.n, held.between, held.single) == (60, None, None)


def test_perfect_agreement_on_a_few_is_not_taken_for_certain(tmp_path: Path):
    run = write_run(tmp_path, [wins(TRUE)])
    labels = write_labels(tmp_path / "labels.csv", winner_rows(TRUE, range(20)))
    (held,) = calibrate_run(load_run(run), load_label_file(labels, drawn_at_random=True)).judges
    for measure in (held.kappa, held.ac1):
        assert measure is not None
        assert measure.estimate == 1.0
        assert 0.5 < measure.low < 0.9


def test_a_judge_that_leans_is_shown_to(tmp_path: Path):
    (held,) = calibrate(tmp_path).judges
    (lean,) = (bias for bias in held.biases if bias.what == "prefers dpo")
    assert lean.difference is not None
    assert lean.difference.estimate == pytest.approx((JUDGED - TRUE)[:60].mean())


def test_a_judge_that_takes_the_longer_answer_is_shown_to(tmp_path: Path):
    longer = np.arange(N) % 2 == 0
    answers = {
        "sft": ["short" if long else "a much longer answer" for long in longer],
        "dpo": ["a much longer answer" if long else "short" for long in longer],
    }
    run = write_run(tmp_path, [wins(longer.astype(float))], answers)
    labels = write_labels(tmp_path / "labels.csv", winner_rows(TRUE, range(N)))
    (held,) = calibrate_run(load_run(run), load_label_file(labels)).judges
    (lean,) = (bias for bias in held.biases if bias.what == "prefers the longer answer")
    assert (lean.judge, lean.n) == (1.0, N)
    assert lean.people == pytest.approx(np.where(longer, TRUE, 1 - TRUE).mean())


def test_a_win_rate_is_corrected_towards_people(tmp_path: Path):
    (line,) = calibrate(tmp_path).corrected
    raw, labels, corrected = (each.interval for each in line.estimates)
    assert raw.estimate == pytest.approx(JUDGED.mean())
    assert labels.estimate == pytest.approx(TRUE[:60].mean())
    assert abs(corrected.estimate - TRUE.mean()) < abs(raw.estimate - TRUE.mean())
    assert corrected.high - corrected.low < labels.high - labels.low


def test_labels_that_were_not_drawn_at_random_correct_nothing(tmp_path: Path):
    found = calibrate(tmp_path, drawn=False)
    assert found.corrected == ()
    assert found.refused is not None
    assert "random sample" in found.refused
    assert found.judges


def test_labels_of_every_item_need_not_be_drawn(tmp_path: Path):
    found = calibrate(tmp_path, drawn=False, chosen=range(N))
    assert found.refused is None
    assert found.corrected[0].estimates[2].interval.estimate == pytest.approx(TRUE.mean())


def test_verdicts_that_are_missing_are_counted_and_not_made_up(tmp_path: Path):
    gaps = JUDGED.copy()
    gaps[:7] = np.nan
    run = write_run(tmp_path, [wins(gaps)])
    labels = write_labels(tmp_path / "labels.csv", winner_rows(TRUE, range(60)))
    found = calibrate_run(load_run(run), load_label_file(labels, drawn_at_random=True))
    assert (found.judges[0].n, found.judges[0].unscored) == (53, 7)
    assert found.corrected[0].estimates[1].n == 53


def test_scores_show_how_far_a_judge_compresses(tmp_path: Path):
    people = RNG.integers(1, 11, N).astype(float)
    judge = np.rint(5 + (people - 5) / 2)
    run = write_run(tmp_path, [grades("rubric.safety", judge, judge)])
    rows = [
        {"item": f"q{i}", "model": model, "safety": people[i]}
        for i in range(N)
        for model in ("sft", "dpo")
    ]
    labels = write_labels(tmp_path / "labels.csv", rows)
    (held,) = calibrate_run(load_run(run), load_label_file(labels)).judges
    assert held.slope is not None
    assert held.slope.estimate == pytest.approx(np.polyfit(people, judge, 1)[0])
    assert held.slope.high < 1


def test_a_share_is_corrected_by_double_sampling(tmp_path: Path):
    people = (RNG.random(N) < 0.8).astype(float)
    judge = np.where(RNG.random(N) < 0.8, people, 1 - people)
    run = write_run(tmp_path, [grades("hq", judge, judge)])
    rows = [{"item": f"q{i}", "model": "dpo", "helpful": int(people[i])} for i in range(60)]
    labels = load_label_file(write_labels(tmp_path / "l.csv", rows), drawn_at_random=True)
    (line,) = calibrate_run(load_run(run), labels).corrected
    yes = judge[:60] == 1
    p, ppv, missed = judge.mean(), people[:60][yes].mean(), people[:60][~yes].mean()
    assert (line.of, line.estimates[2].method) == ("dpo", "corrected (double sampling)")
    assert line.estimates[2].interval.estimate == pytest.approx(p * ppv + (1 - p) * missed)


def test_a_study_needs_no_more_than_its_votes(tmp_path: Path):
    run = write_run(tmp_path, [wins(JUDGED)])
    folder = cast_votes(run, {"Ada": steady("candidate"), "Ben": steady("tie")})
    found = calibrate_run(load_run(run), load_study_labels(folder))
    (held,) = found.judges
    assert (held.n, held.undecided, found.refused) == (0, 60, None)
    assert held.between is not None
    assert held.between.percent is not None
    assert held.between.percent.estimate == 0.0


def test_labels_about_other_items_are_refused(tmp_path: Path):
    run = write_run(tmp_path, [wins(JUDGED)])
    labels = write_labels(tmp_path / "l.csv", [{"item": "asthma", "winner": "tie"}])
    with pytest.raises(HarnessError, match=r"no label is on an item and a model .*\(asthma\)"):
        calibrate_run(load_run(run), load_label_file(labels))


def test_nobody_having_voted_says_what_to_do(tmp_path: Path):
    run = write_run(tmp_path, [wins(JUDGED)])
    with pytest.raises(HarnessError, match="harness annotate"):
        find_human_labels(run, study=None, labels=None, drawn_at_random=False)


def test_the_page_asks_nothing_of_the_network_and_says_the_same(tmp_path: Path):
    found = calibrate(tmp_path)
    page, text = calibration_html(found), calibration_markdown(found)
    told = "\n".join(describe_calibration(found))
    assert "default-src &#39;none&#39;" in page
    assert "<script" not in page
    for said in (page, text):
        assert "Corrected" in said
        assert "prefers dpo" in said
    assert "corrected (PPI++)" in told


def test_names_from_files_are_escaped(tmp_path: Path):
    run = write_run(tmp_path, [wins(JUDGED)])
    rows = winner_rows(TRUE, range(60), annotator="<script>alert(1)</script>")
    labels = load_label_file(write_labels(tmp_path / "l.csv", rows), drawn_at_random=True)
    assert "<script" not in calibration_html(calibrate_run(load_run(run), labels))


def test_what_does_not_vary_has_an_interval_and_never_one_of_width_nought(tmp_path: Path):
    fives = np.full(30, 5.0)
    run = write_run(tmp_path, [grades("rubric.safety", fives, fives + 2)])
    rows = [
        {"item": f"q{i}", "annotator": who, "model": model, "safety": str(score)}
        for i in range(30)
        for who in ("Ada", "Ben")
        for model, score in (("sft", 5), ("dpo", 6))
    ]
    labels = write_labels(tmp_path / "labels.csv", rows)
    found = calibrate_run(load_run(run), load_label_file(labels, drawn_at_random=True))
    (held,) = found.judges
    lean = {bias.what: bias.difference for bias in held.all_biases}
    for what, estimate in (("score of sft", 0), ("score of dpo", 1), ("dpo minus sft", 1)):
        interval = lean[what]
        assert interval is not None
        assert interval.estimate == estimate
        assert interval.low < estimate < interval.high
    assert [c.of for c in found.corrected] == ["sft", "dpo", "dpo minus sft"]
    for line in found.corrected:
        by_method = {e.method: e.interval for e in line.estimates}
        assert by_method["labels alone"].low < by_method["labels alone"].high
        assert by_method["judge alone"].low < by_method["judge alone"].high
    (mean,) = found.people.means
    assert np.isfinite([mean.mean.low, mean.mean.high]).all()
    assert mean.mean.low < 1 < mean.mean.high
    assert "inf" not in calibration_markdown(found)
    assert "inf" not in found.model_dump_json()
