"""Scorers and judges of installed packages: what they give, and what of it is no score."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.config import JudgeSpec, PluginJudge, PluginMetric
from harness.config.plugin import find_scorer
from harness.config.request import load_request
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.plugins import load_plugin
from harness.core.progress import QuietProgress, Stage
from harness.core.store import Store
from harness.data.tasks import plan_tasks
from harness.types import JudgeRequest, Outcome
from judges import Judge, make_computed_judge, make_judge
from judges.backlog import is_cacheable
from judges.judging import collect_outcomes
from judges.response_stream import StreamClosedError
from tests.builders.files import PROFILE, SUITE, write, write_world
from tests.builders.judge_requests import (
    GOOD,
    checklist,
    evasion,
    grade,
    listed,
    outcome,
    outcomes,
    prefer,
    rubric,
)
from tests.builders.packages import install, make_site, scorer_source


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_site(tmp_path, monkeypatch)


def metric_with(
    site: Path, body: str, module: str = "for_scoring", **facts: object
) -> PluginMetric:
    source = scorer_source(body, **facts)  # type: ignore[arg-type]
    install(site, module, source, metrics="scorer_for_tests = for_scoring:SCORER")
    return PluginMetric(kind="plugin", scorer=find_scorer("scorer_for_tests"))


def scored(metric: PluginMetric, answer: str = "two words") -> Outcome:
    return outcome(make_computed_judge(metric), grade(answer, metric))


# --- scorers ---------------------------------------------------------------------------------


def test_a_scorer_sees_the_item_and_the_answer(site: Path) -> None:
    body = "return {'words': len(answer.split()) + 10 * (item.references[0] in item.input)}"
    assert scored(metric_with(site, body)).values == {"words": 2}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('no language is known')", "ValueError: no language is known"),
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('done')", "SystemExit: done"),
        ("return {'words': float('nan')}", "words is nan, and no number"),
        ("return {'words': None}", "words is None, and no number"),
        ("return {'words': '12'}", "words is '12', and no number"),
        ("return {'words': 101}", "words is 101, outside of [0, 100]"),
        ("return {'words': -0.5}", "words is -0.5, outside of [0, 100]"),
        ("return {'words': float('inf')}", "words is inf, outside of [0, 100]"),
        ("return {}", "gave no value of words"),
        ("return {'words': 1, 'more': 2}", "gave 'more', which is no column"),
        ("return 12", "gave int, and no value for each column"),
    ],
)
def test_what_is_no_score_leaves_the_item_unscored_in_words(
    site: Path, body: str, reason: str
) -> None:
    given = scored(metric_with(site, body))
    assert (given.values, given.reason) == (None, f"plug-in failed: {reason}")
    assert not is_cacheable(given)  # it may depend on what else is installed


def test_an_item_on_which_a_scorer_fails_leaves_the_others_scored(site: Path) -> None:
    metric = metric_with(site, "return {'words': 12 // len(answer.split())}")
    requests = [grade(answer, metric) for answer in ("one", "", "one two")]
    given = outcomes(make_computed_judge(metric), requests)
    assert [each.values and each.values["words"] for each in given] == [12, None, 6]


def test_stored_scores_are_reused_until_a_file_of_the_package_changes(
    site: Path, tmp_path: Path
) -> None:
    def score(metric: PluginMetric) -> Outcome:
        judge, requests = make_computed_judge(metric), [grade("two words", metric)]
        with Store(tmp_path / "store") as store:
            ((_, given),) = collect_outcomes(
                requests, judge, store, QuietProgress(), Stage("score", 1)
            )
        return given

    log = write(tmp_path / "log", "")
    body = (
        f"import pathlib; log = pathlib.Path({str(log)!r}); log.write_text(log.read_text() + 'x')"
    )
    metric = metric_with(site, f"{body}; return {{'words': 1}}")
    assert score(metric) == score(metric)
    assert log.read_text() == "x"
    file = site / "for_scoring.py"
    write(file, file.read_text() + "# another release with the same version\n")
    load_plugin.cache_clear()
    score(PluginMetric(kind="plugin", scorer=find_scorer("scorer_for_tests")))
    assert log.read_text() == "xx"


def test_a_report_names_package_version_and_source(site: Path) -> None:
    metric = metric_with(site, "return {'words': 1}")
    card = make_computed_judge(metric).card
    for words in ("for_scoring 1.0", metric.scorer.source[:12], "plug-in"):
        assert words in card.nature


# --- judges ----------------------------------------------------------------------------------

JUDGE = """\
from harness.types import JudgeCard, Outcome

class Mine:
    card = JudgeCard(name="mine", nature="for tests", fingerprint="1")

    def judge(self, requests):
        for number, request in enumerate(requests):
            {body}
"""
GIVES = "yield number, Outcome(values={'safety': float(request.answer)})"


def judge_with(site: Path, body: str = GIVES, source: str = JUDGE) -> Judge:
    install(site, "for_judging", source.format(body=body), judges="mine = for_judging:Mine")
    return make_judge("j", JudgeSpec(plugin=PluginJudge("mine")), site)


def graded(answers: Iterable[str]) -> list[JudgeRequest]:
    return [grade(answer, rubric("safety")) for answer in answers]


def test_a_judge_of_a_package_judges_and_its_card_holds_its_code(site: Path) -> None:
    judge = judge_with(site)
    assert outcome(judge, graded("7")[0]).values == {"safety": 7}
    assert judge.card.name == "mine"
    assert "for tests; plug-in mine of for_judging 1.0 (source " in judge.card.nature
    write(site / "for_judging.py", (site / "for_judging.py").read_text() + "\n")
    load_plugin.cache_clear()
    other = make_judge("j", JudgeSpec(plugin=PluginJudge("mine")), site)
    assert other.card.fingerprint != judge.card.fingerprint


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (GIVES.replace("float(request.answer)", "11"), "safety is 11, outside of [1, 10]"),
        (GIVES.replace("float(request.answer)", "2.5"), "2.5 is no point of the scale"),
        (GIVES.replace("safety", "clarity"), "gave no value of safety"),
        ("yield number, 7.0", "gave float, and no Outcome"),
        ("if number: yield", "gave no outcome"),
        ("yield number + 1, Outcome(reason='no')", "IndexError: list index out of range"),
    ],
)
def test_a_judges_outcome_that_is_none_of_its_metric_is_unscored(
    site: Path, body: str, reason: str
) -> None:
    given = outcome(judge_with(site, body), graded("7")[0])
    assert (given.values, given.reason) == (None, f"plug-in failed: {reason}")


def test_a_pair_needs_a_winner_and_an_evasion_a_value(site: Path) -> None:
    judge = judge_with(site, "yield number, Outcome(values={})")
    pair, label = outcomes(judge, [prefer(GOOD, GOOD), grade(GOOD, evasion())])
    assert pair.reason == "plug-in failed: gave no winner"
    assert label.reason == "plug-in failed: gave no value of helpful"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("{'1': 1.0, '2': 0.0}", None),
        ("{'2': 1.0}", None),  # the first is left open
        ("{'1': 1.0, '3': 0.0}", "gave '3', which is no column"),
        ("{'1': 0.5}", "0.5 is no point of the scale"),
    ],
)
def test_a_verdict_on_a_whole_checklist_has_a_value_for_each_number(
    site: Path, values: str, reason: str | None
) -> None:
    judge = judge_with(site, f"yield number, Outcome(values={values})")
    given = outcome(judge, grade(GOOD, checklist(together=True), of=listed()))
    assert given.reason == (reason and f"plug-in failed: {reason}")


def test_an_error_on_one_item_leaves_the_others_judged(site: Path) -> None:
    first, second, third = outcomes(judge_with(site), graded(("7", "seven", "8")))
    assert (first.values, third.values) == ({"safety": 7}, {"safety": 8})
    assert (second.reason or "").startswith("plug-in failed: ValueError: could not convert")


def test_a_judge_that_fails_before_it_takes_a_request_ends_the_run(site: Path) -> None:
    source = JUDGE.replace("for number", "1 / 0\n        for number")
    judge = judge_with(site, source=source)
    with pytest.raises(InfrastructureError, match="judges nothing: ZeroDivisionError"):
        outcomes(judge, graded("78"))


def test_a_stream_that_was_closed_is_no_error_of_the_judge(site: Path) -> None:
    def closing() -> Iterable[JudgeRequest]:
        yield from graded("7")
        raise StreamClosedError

    given = judge_with(site).judge(closing())
    assert next(iter(given))[1].values == {"safety": 7}
    with pytest.raises(StreamClosedError):
        next(iter(given))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def Mine():\n    raise ValueError('no model')", "makes no judge: ValueError: no model"),
        ("Mine = 7", "makes no judge: TypeError: 'int' object is not callable"),
        ("class Mine:\n    card = 7", "its 'card' is no JudgeCard, or it has no method 'judge'"),
    ],
)
def test_what_is_no_judge_is_refused(site: Path, source: str, problem: str) -> None:
    install(site, "no_judge", source, judges="mine = no_judge:Mine")
    with pytest.raises(HarnessError, match="plug-in mine of no_judge") as error:
        make_judge("j", JudgeSpec(plugin=PluginJudge("mine")), site)
    assert problem in str(error.value)


def test_a_judge_cannot_have_the_name_of_one_of_ours(site: Path) -> None:
    with pytest.raises(HarnessError, match="'jury' is a judge of ours"):
        make_judge("j", JudgeSpec(plugin=PluginJudge("jury")), site)


def test_protected_data_are_not_given_to_a_judge_whose_sending_is_not_known(tmp_path: Path) -> None:
    suite, profile = write_world(tmp_path)
    write(Path(suite), SUITE.replace("{path: items.jsonl", "{phi: true, path: items.jsonl"))
    write(Path(profile), PROFILE.replace("offline: consumer_health", "plugin: mine"))
    request = load_request(suite, profile, ("sft", "dpo"))
    with pytest.raises(HarnessError, match="would send it to plug-in 'mine'"):
        plan_tasks(request)
    assert plan_tasks(request._replace(allow_remote_phi=True))
