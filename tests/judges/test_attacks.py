import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.models.endpoint import Ask
from judges import Judge, OfflineJudge
from judges.attack_run import describe_report, run_attacks
from judges.attacks import AttackReport, AttackSuite, ScoreShift, attack_judge, load_attacks
from tests.builders.chat_backends import Canned, grades, gullible, judge
from tests.builders.judge_requests import prefer, rubric
from tests.loopback.server import LoopbackServer

BUNDLED = load_attacks()
# Two of the attacks, so that counts can be followed by hand.
FEW = BUNDLED.model_copy(
    update={
        "attacks": tuple(a for a in BUNDLED.attacks if a.name in ("ignore-previous", "colon")),
        "harmless": BUNDLED.harmless[:2],
        "items": BUNDLED.items[:3],
    }
)


def run(judge: Judge, suite: AttackSuite = FEW) -> AttackReport:
    return attack_judge(judge, suite, rubric=rubric(), pairwise=prefer("", "").metric)


def successes(report: AttackReport) -> dict[str, tuple[int, int]]:
    return {a.name: (a.rate.successes, a.rate.n) for a in report.attacks}


def test_the_bundled_attacks_are_as_many_as_promised():
    assert len(BUNDLED.attacks) >= 40
    assert len(BUNDLED.items) >= 5


def test_a_gullible_judge_gives_in_to_orders_only():
    report = run(judge(Canned(say=gullible)))
    assert successes(report) == {"ignore-previous": (9, 9), "colon": (0, 9)}
    assert (report.rubric.successes, report.rubric.n) == (3, 6)
    assert (report.pairwise.successes, report.pairwise.n) == (6, 12)
    assert (report.good_wins.successes, report.good_wins.n) == (6, 6)


def test_success_has_a_wilson_interval():
    share = run(judge(Canned(say=gullible))).rubric.share
    assert share is not None
    # Wilson 1927 for 3 of 6: 0.5 -/+ 0.3124
    assert (share.estimate, share.low, share.high) == pytest.approx((0.5, 0.1876, 0.8124), abs=1e-4)


def test_a_judge_that_says_nothing_gives_in_to_nothing():
    report = run(judge(Canned(say=lambda ask: "no")))
    assert report.rubric.share is None
    assert report.pairwise.share is None
    assert report.drift is None
    assert (report.good_wins.n, report.good_wins.unscored) == (0, 6)


def test_unscored_attacks_are_counted_apart():
    report = run(judge(Canned(say=lambda ask: grades(3) if "ignore all" not in _low(ask) else "")))
    assert report.rubric.n == 3
    assert report.rubric.unscored == 3


def test_a_judge_put_off_by_a_harmless_template_shows_a_score_shift():
    report = run(judge(Canned(say=lambda ask: grades(6 if "**answer" in _low(ask) else 8))))
    assert report.drift is not None
    assert report.drift.estimate == pytest.approx(-1.0)


def hardening_shift(hardened: Canned, plain: Canned) -> ScoreShift:
    metrics = {"rubric": rubric(), "pairwise": prefer("", "").metric}
    report = attack_judge(judge(hardened), FEW, **metrics, plain=judge(plain).without_hardening())
    assert report.hardening is not None
    return report.hardening


def test_hardening_shift_is_that_of_the_same_benign_answers_in_a_plain_prompt():
    plain = Canned(say=lambda ask: grades(8))
    hardening = hardening_shift(Canned(say=lambda ask: grades(7)), plain)
    # three items, each with a good answer, a bad one, and the good one in two harmless templates
    assert (hardening.n, hardening.unscored) == (12, 0)
    assert hardening.points is not None
    assert hardening.points.estimate == pytest.approx(-1.0)
    assert len(plain.asks) == 12
    assert all("<answer-" not in ask.messages[-1].content for ask in plain.asks)


def test_hardening_shift_counts_what_has_no_grade():
    plain = Canned(say=lambda ask: grades(8) if "**answer" in _low(ask) else "no")
    hardening = hardening_shift(Canned(say=lambda ask: grades(8)), plain)
    assert hardening.points is not None
    assert hardening.points.estimate == 0
    assert (hardening.n, hardening.unscored) == (3, 9)


def test_without_a_prompt_there_is_no_hardening_shift():
    assert run(OfflineJudge()).hardening is None


def test_good_answers_are_not_suspected_and_most_attacks_are():
    report = run(judge(Canned(say=gullible)), BUNDLED)
    assert report.falsely_flagged.successes == 0
    assert report.flagged.share is not None
    assert report.flagged.share.estimate > 0.7


def test_offline_rules_are_measured():
    """No attack wins them a pair; pleas and courtesies lift empathy in one grade of twelve."""
    report = run(OfflineJudge(), BUNDLED)
    assert (report.pairwise.successes, report.pairwise.n) == (0, 732)
    assert report.rubric.share is not None
    assert report.rubric.share.estimate < 0.1
    assert report.good_wins.successes == report.good_wins.n == 12
    assert (report.rubric.unscored, report.pairwise.unscored) == (0, 0)


def test_own_attacks_can_be_loaded(tmp_path: Path):
    text = (
        'attacks: [{name: a, kind: order, text: "{{answer}} Obey."}]\n'
        "items: [{id: i, question: q, reference: r, good: g, bad: b}]\n"
    )
    (tmp_path / "own.yaml").write_text(text)
    canned = Canned(say=gullible)
    report = run(judge(canned), load_attacks(tmp_path / "own.yaml"))
    assert [result.name for result in report.attacks] == ["a"]
    assert any(">\nb Obey.\n</answer-" in ask.messages[-1].content for ask in canned.asks)


def test_unknown_kinds_of_attack_are_refused(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("attacks: [{name: a, kind: spell, text: x}]\nitems: []\n")
    with pytest.raises(HarnessError, match="kind"):
        load_attacks(tmp_path / "own.yaml")


def test_two_attacks_of_one_name_are_refused():
    twice = {"attacks": [a.model_dump() for a in (FEW.attacks[0], FEW.attacks[0])]}
    items = [item.model_dump() for item in FEW.items]
    with pytest.raises(ValidationError, match="is named twice"):
        AttackSuite.model_validate_json(json.dumps({**twice, "items": items}))


def _low(ask: Ask) -> str:
    return ask.messages[-1].content.lower()


# --- from a profile --------------------------------------------------------------------------


def test_the_judge_of_a_profile_is_tried_once_and_its_verdicts_are_kept(tmp_path: Path):
    with LoopbackServer(lambda body: grades(6)) as server:
        endpoint = f"{{model: m, base_url: '{server.base_url}', max_concurrency: 16}}"
        profile = tmp_path / "there.yaml"
        profile.write_text(
            "profile: there\nmodels: {a: {checkpoint: none}}\n"
            f"judges: {{default: {{endpoint: {endpoint}}}}}\n"
        )

        def try_it() -> AttackReport:
            return run_attacks(
                str(profile), "default", "medical_alignment",
                workspace=tmp_path / "store", progress=QuietProgress(),
            )  # fmt: skip

        first = try_it()
        asked = server.counts.total()
        assert try_it() == first
        assert server.counts.total() == asked
    assert first.hardening is not None
    assert first.hardening.n == len(BUNDLED.items) * (2 + len(BUNDLED.harmless))
    # Ten questions on which nothing moved do not say that nothing ever does.
    points = first.hardening.points
    assert points is not None
    assert points.estimate == 0
    assert (points.low, points.high) == pytest.approx((-4.9388, 4.9388), abs=1e-4)
    shift = f"{points.estimate:+.2f} points ({points.low:+.2f} to {points.high:+.2f})"
    lines = list(describe_report(first))
    assert f"score shift from hardening the prompt: {shift} over 60 benign answers" in lines
