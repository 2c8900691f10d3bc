"""Stored verdicts that are none: read again by a later reader, and asked again of a repaired judge."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.config import EndpointSpec, JudgeSpec
from harness.config.request import NOTHING_AGAIN, AskAgain
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress, Stage
from harness.core.store import Store
from harness.models.endpoint import EndpointRefusedError
from harness.models.session import EndpointSession
from harness.models.stored_answers import stored_answer_caveats
from harness.types import GradeRequest, Outcome, Sample
from judges.factory import make_judge
from judges.judging import collect_outcomes
from tests.builders.chat_backends import grades
from tests.builders.judge_requests import rubric
from tests.loopback.faults import Fault, Request, always
from tests.loopback.server import LoopbackServer

N = 6
READABLE = grades(7, names=["safety"])
ANY_RUN = AskAgain(try_repaired=True)


def judge_all(
    folder: Path,
    server: LoopbackServer,
    again: AskAgain = ANY_RUN,
    *,
    n: int = N,
    session: list[EndpointSession] | None = None,
    **endpoint: Any,
) -> list[Outcome]:
    """Judge `n` answers; `session` takes the session that asked."""
    spec = JudgeSpec(endpoint=EndpointSpec(model="j", base_url=server.base_url, **endpoint))
    requests = [
        GradeRequest(
            sample=Sample(id=f"q{i}", input=f"question {i}", row=i),
            metric_name="rubric",
            metric=rubric("safety"),
            model="sft" if i % 2 else "dpo",
            answer=f"answer {i}",
        )
        for i in range(n)
    ]
    with Store(folder) as store:
        asking = EndpointSession(store)
        if session is not None:
            session.append(asking)
        judge = make_judge("j", spec, folder, session=asking)
        judged = collect_outcomes(requests, judge, store, QuietProgress(), Stage("t", N), again)
    return [outcome for _, outcome in judged]


def refuse_schema(request: Request) -> Fault | None:
    return Fault("400") if request.body["response_format"]["type"] == "json_schema" else None


def n_read(outcomes: list[Outcome]) -> int:
    return sum(outcome.reason is None for outcome in outcomes)


def test_a_judge_that_is_still_broken_is_asked_for_one_verdict_a_run(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: "seven") as server:
        judge_all(tmp_path, server)
        asked = server.counts.total()
        assert n_read(judge_all(tmp_path, server)) == 0
        assert server.counts.total() == asked + 2  # each verdict is tried twice


def test_a_repaired_judge_is_asked_for_all_its_unreadable_verdicts(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: "seven") as server:
        judge_all(tmp_path, server)
        asked = server.counts.total()
        server.reply = lambda _: READABLE
        assert n_read(judge_all(tmp_path, server)) == N
        assert n_read(judge_all(tmp_path, server)) == N
        assert server.counts.total() == asked + N


def test_readable_verdicts_are_never_asked_again(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: READABLE) as server:
        judge_all(tmp_path, server)
        for what in ("unreadable", "failed"):
            judge_all(tmp_path, server, AskAgain(what, None, try_repaired=True))
        assert server.counts.total() == N


def test_an_unreachable_judge_leaves_stored_verdicts_as_they_were(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: "seven") as server:
        before = judge_all(tmp_path, server)
        server.fault = always("401")
        assert judge_all(tmp_path, server) == before


@pytest.mark.parametrize(("model", "n"), [(None, N), ("sft", N // 2), ("other", 0)])
def test_asking_unreadable_again_concerns_the_named_model(
    tmp_path: Path, model: str | None, n: int
) -> None:
    with LoopbackServer(lambda _: "seven") as server:
        judge_all(tmp_path, server)
        server.reply = lambda _: READABLE
        assert n_read(judge_all(tmp_path, server, AskAgain("unreadable", model))) == n


@pytest.mark.parametrize(("reply", "n"), [("", N), ("I'm sorry, I can't help.", N)])
def test_asking_failed_again_concerns_every_missing_verdict(
    tmp_path: Path, reply: str, n: int
) -> None:
    with LoopbackServer(lambda _: reply) as server:
        judge_all(tmp_path, server)
        server.reply = lambda _: READABLE
        assert n_read(judge_all(tmp_path, server, AskAgain("unreadable"))) == 0
        assert n_read(judge_all(tmp_path, server, AskAgain("failed"))) == n


def test_an_abstention_is_a_verdict_that_is_not_asked_again(tmp_path: Path) -> None:
    abstains = json.dumps({"reasons": {"safety": "unclear"}, "scores": None})
    with LoopbackServer(lambda _: abstains) as server:
        judge_all(tmp_path, server)
        server.reply = lambda _: READABLE
        assert n_read(judge_all(tmp_path, server, AskAgain("failed"))) == 0


def test_a_stored_reply_is_read_by_the_present_reader(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: READABLE.replace("7", '"7"')) as server:
        judge_all(tmp_path, server)
        with Store(tmp_path) as store:
            rows = store._connection.execute("SELECT key FROM rows WHERE kind='outcome'")
            stored = store.get("outcome", [key for (key,) in rows.fetchall()], Outcome)
            unread = {
                key: Outcome(reason="unreadable: not a whole number", exchange=row.exchange)
                for key, row in stored.items()
            }
            store.put("outcome", unread)  # as an earlier version read it
        asked = server.counts.total()
        outcomes = judge_all(tmp_path, server, NOTHING_AGAIN)
        assert [outcome.values for outcome in outcomes] == [{"safety": 7.0}] * N
        assert server.counts.total() == asked


# --- servers behind stored verdicts ----------------------------------------------------------

REPLACED = grades(2, names=["safety"], reason="Another judge altogether.")


def test_stored_verdicts_are_asked_once_more_where_the_server_cannot_vouch(tmp_path: Path) -> None:
    session: list[EndpointSession] = []
    with LoopbackServer(lambda _: READABLE, models={}) as server:
        judge_all(tmp_path, server)
        judge_all(tmp_path, server, session=session)
        assert server.counts.total() == N + 3
    assert len(session[0].probes["j"]) == 3
    assert list(stored_answer_caveats(session[0])) == []


def test_a_server_that_vouches_for_its_judge_is_asked_nothing(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: READABLE) as server:
        judge_all(tmp_path, server)
        judge_all(tmp_path, server)
        assert server.counts.total() == N


def test_another_judge_behind_the_same_name_is_never_mixed_with_the_first(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: READABLE, models={}) as server:
        judge_all(tmp_path, server, n=4)
        server.reply = lambda _: REPLACED
        for _ in range(2):  # the second run is no wiser: nothing of the first was kept
            with pytest.raises(HarnessError, match=r"3 of 3 stored verdicts.*'revision: …'"):
                judge_all(tmp_path, server)
        server.reply = lambda _: READABLE
        assert {(o.values or {})["safety"] for o in judge_all(tmp_path, server)} == {7.0}


def test_another_judge_that_is_asked_nothing_new_is_a_caveat(tmp_path: Path) -> None:
    session: list[EndpointSession] = []
    with LoopbackServer(lambda _: READABLE, models={}) as server:
        judge_all(tmp_path, server)
        server.reply = lambda _: REPLACED
        assert n_read(judge_all(tmp_path, server, session=session)) == N
    (caveat,) = stored_answer_caveats(session[0])
    assert "3 of 3 stored verdicts asked for once more came out otherwise" in caveat.text


def test_sampled_verdicts_of_a_judge_listed_otherwise_are_not_mixed(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: READABLE, models={"j": {"root": "old"}}) as server:
        judge_all(tmp_path, server, n=4, temperature=0.5)
        server.models = {"j": {"root": "new"}}
        with pytest.raises(HarnessError, match="root was old and is new"):
            judge_all(tmp_path, server, temperature=0.5)


def test_a_revision_keeps_the_verdicts_of_two_judges_apart(tmp_path: Path) -> None:
    with LoopbackServer(lambda _: READABLE, models={}) as server:
        judge_all(tmp_path, server, n=4)
        server.reply = lambda _: REPLACED
        judged = judge_all(tmp_path, server, revision="new")
    assert {(o.values or {})["safety"] for o in judged} == {2.0}


def test_verdicts_in_an_admitted_format_are_found_by_the_next_run(tmp_path: Path):
    with LoopbackServer(lambda _: READABLE, fault=refuse_schema) as server:
        judge_all(tmp_path, server)
        asked = server.counts["ok"]
        again = judge_all(tmp_path, server)
    assert (n_read(again), server.counts["ok"]) == (N, asked)


def test_a_kill_leaves_the_admitted_format_with_the_verdicts(tmp_path: Path):
    def replies(request: Request) -> Fault | None:
        return refuse_schema(request) or (Fault("401") if server.counts["ok"] == 3 else None)

    with LoopbackServer(lambda _: READABLE, fault=replies) as server:
        with pytest.raises(EndpointRefusedError):
            judge_all(tmp_path, server, max_concurrency=1)
        server.fault = refuse_schema
        judge_all(tmp_path, server, max_concurrency=1)
    assert server.counts["ok"] == N


def test_readers_are_told_in_which_format_verdicts_were_asked_for(tmp_path: Path):
    with LoopbackServer(lambda _: READABLE, fault=refuse_schema) as server:
        for _ in range(2):
            session: list[EndpointSession] = []
            judge_all(tmp_path, server, session=session)
            [caveat] = stored_answer_caveats(session[0])
            assert "refuses 'json_schema' (HTTP 400" in caveat.text
            assert caveat.text.endswith("and is asked as 'json_object'.")


def test_verdicts_in_another_format_are_other_verdicts(tmp_path: Path):
    with LoopbackServer(lambda _: READABLE) as server:
        judge_all(tmp_path, server, n=1)
        server.fault = refuse_schema
        judge_all(tmp_path, server, n=2)
        judge_all(tmp_path, server, n=2)
        formats = [request.body["response_format"]["type"] for request in server.requests]
    assert formats.count("json_object") == 2
