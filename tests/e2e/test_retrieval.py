"""One model with and without passages, from the profile to the report."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from harness.retrieval.rerank import PROBE
from tests.builders.commands import Done, harness_here
from tests.builders.embeddings import EmbeddingsServer
from tests.builders.files import write, write_rows
from tests.builders.retrieval import (
    N_ITEMS,
    SUITE,
    answer_from_passages,
    documents,
    read_result,
    write_world,
)
from tests.loopback.server import LoopbackServer

RUN = ("run", "doses.yaml", "--models", "closed,open", "--profile", "there.yaml")


def run(folder: Path, *args: str) -> Done:
    return harness_here(*RUN, *args, cwd=folder, env={"HARNESS_CACHE_DIR": str(folder / "cache")})


def test_that_retrieval_helps_is_a_claim_and_the_passages_are_kept(tmp_path: Path) -> None:
    with LoopbackServer(answer_from_passages) as server:
        write_world(tmp_path, server.base_url)
        done = run(tmp_path)
        assert done.returncode == 0, done.stderr
        assert server.counts == {"ok": 2 * N_ITEMS}
        # A second run asks and searches for nothing.
        assert run(tmp_path).returncode == 0
        assert server.counts == {"ok": 2 * N_ITEMS}
    result = read_result(tmp_path)
    card = result["plan"]["models"][1]["retrieval"]
    assert (card["retriever"], card["k"], card["documents"]) == ("bm25", 2, N_ITEMS)
    assert "retrieval" not in result["plan"]["models"][0]
    rows = pq.read_table(next(tmp_path.rglob("answers.parquet"))).to_pylist()
    first = next(r for r in rows if (r["model"], r["sample_id"]) == ("open", "q7"))
    given = json.loads(first["passages"])
    assert (given[0]["rank"], given[0]["document"]) == (1, "leaflet-drug7")
    assert given[0]["score"] > given[1]["score"] > 0
    assert all(row["passages"] is None for row in rows if row["model"] == "closed")
    scores = {(s["metric"], s["model"]): s["mean"]["estimate"] for s in result["scores"]}
    assert (scores["found.recall", "open"], scores["found.recall", "closed"]) == (1, 0)
    assert "retrieval by bm25" in next(tmp_path.rglob("report.md")).read_text()


def test_another_corpus_asks_again_the_model_that_retrieves_alone(tmp_path: Path) -> None:
    with LoopbackServer(answer_from_passages) as server:
        write_world(tmp_path, server.base_url)
        run(tmp_path)
        changed = [row | {"text": row["text"] + " Keep it dry."} for row in documents()]
        write_rows(tmp_path / "corpus.jsonl", changed)
        run(tmp_path)
        assert server.counts == {"ok": 3 * N_ITEMS}


def test_a_missing_corpus_stops_the_run_before_anything_is_asked(tmp_path: Path) -> None:
    with LoopbackServer(answer_from_passages) as server:
        write_world(tmp_path, server.base_url)
        (tmp_path / "corpus.jsonl").unlink()
        done = run(tmp_path)
        assert (done.returncode, server.counts.total()) == (2, 0)
    assert "corpus.jsonl" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "models", "problem"),
    [
        (", sources: source", "", "closed,open", "those of item 'q0' are not known"),
        ("at: 2", "at: 3", "closed,open", "counts the first 3 documents, and model 'open' is given 2"),
        ("", "", "closed", "none of closed has 'retrieval' in the profile"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, old: str, new: str, models: str, problem: str
) -> None:
    write_world(tmp_path, "http://127.0.0.1:9/v1", suite=SUITE.replace(old, new) if old else SUITE)
    done = harness_here(
        "plan", "doses.yaml", "--models", models, "--profile", "there.yaml", cwd=tmp_path
    )
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.split())


def test_statements_and_citations_are_judged_against_the_passages(tmp_path: Path) -> None:
    more = "\n  grounded: {kind: grounded}\n  citations: {kind: citation}\ngate:\n"
    with LoopbackServer(answer_from_passages) as server:
        write_world(tmp_path, server.base_url, suite=SUITE.replace("\ngate:\n", more, 1))
        done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    result = read_result(tmp_path)
    scores = {(s["metric"], s["model"]): s["mean"]["estimate"] for s in result["scores"]}
    assert (scores["grounded", "open"], scores["grounded", "closed"]) == (1, 0)
    assert (scores["citations", "open"], scores["citations", "closed"]) == (0.5, 0)


def say_or_judge(body: dict[str, Any]) -> str:
    """What the model says, "Yes." to every fifth question, and a judge's word on each statement."""
    text = body["messages"][-1]["content"]
    if "response_format" not in body:
        return "Yes." if re.search(r"drug\d*[05]\?", text) else answer_from_passages(body)
    return json.dumps({"reason": "r", "supported": "yes" if "The dose is" in text else "no"})


def test_a_language_model_is_asked_about_each_statement_once_and_the_pages_show_it(
    tmp_path: Path,
) -> None:
    suite = SUITE.partition("gate:")[0] + "  grounded: {kind: grounded}\n"
    with LoopbackServer(say_or_judge) as server:
        write_world(tmp_path, server.base_url, suite=suite)
        judge = f"default: {{endpoint: {{model: judge, base_url: '{server.base_url}'}}}}"
        profile = (tmp_path / "there.yaml").read_text()
        write(
            tmp_path / "there.yaml", profile.replace("default: {offline: consumer_health}", judge)
        )
        done = run(tmp_path)
        assert done.returncode == 0, done.stderr
        # 32 answers from passages have two statements each; those without passages take no judge.
        assert server.counts == {"ok": 2 * N_ITEMS + 2 * 32}
        run(tmp_path)
        assert server.counts == {"ok": 2 * N_ITEMS + 2 * 32}
    pages = [page.read_text() for page in tmp_path.rglob("items/*.html")]
    assert any("Passages in its prompt: 2" in page and "leaflet-drug7#1" in page for page in pages)
    assert any("one such prompt about each of 2 statements" in page for page in pages)


@pytest.mark.parametrize(("value", "verdict"), [(0.5, "pass"), (0.8, "inconclusive")])
def test_statements_that_a_judge_cannot_tell_about_pass_only_at_their_worst(
    tmp_path: Path, value: float, verdict: str
) -> None:
    """All it decides is supported, and of every second answer it leaves one of two statements open: 0.75 at worst."""

    def say_or_break_off(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        if "response_format" not in body:
            return answer_from_passages(body)
        statement = text.partition("<statement-")[2]
        supported = json.dumps({"reason": "r", "supported": "yes"})
        breaks_off = "The dose is" in statement and re.search(r"drug\d*[02468]\?", text)
        return "Let me see" if breaks_off else supported

    claim = f"{{metric: grounded, claim: at_least, value: {value}}}"
    gate = f"gate: {{max_unscored: 1.0, claims: [{claim}]}}\n"
    suite = SUITE.partition("gate:")[0] + "  grounded: {kind: grounded}\n" + gate
    with LoopbackServer(say_or_break_off) as server:
        write_world(tmp_path, server.base_url, suite=suite)
        judge = f"default: {{endpoint: {{model: judge, base_url: '{server.base_url}'}}}}"
        profile = (tmp_path / "there.yaml").read_text()
        write(
            tmp_path / "there.yaml", profile.replace("default: {offline: consumer_health}", judge)
        )
        run(tmp_path)
    (claim_result,) = read_result(tmp_path)["decision"]["claims"]
    assert claim_result["verdict"] == verdict
    assert claim_result["estimate"] == 0.75


@pytest.fixture
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat requests at once."""
    monkeypatch.setattr("harness.core.retries.MAX_BACKOFF_S", 0.0)


@pytest.mark.usefixtures("without_waiting")
def test_where_the_search_fails_the_model_has_no_answer_and_its_server_is_not_asked(
    tmp_path: Path,
) -> None:
    with EmbeddingsServer() as dead:
        address = f"{{base_url: '{dead.base_url}', model: counts}}"
    with LoopbackServer(answer_from_passages) as server:
        more = f", retriever: dense, embeddings: {address}"
        write_world(tmp_path, server.base_url, more=more)
        done = run(tmp_path)
        assert server.counts == {"ok": N_ITEMS}
    assert done.returncode == 4
    said = " ".join(done.stderr.split())
    assert (
        f"'open': {N_ITEMS} of {N_ITEMS} requests failed (retrieval failed: embeddings of" in said
    )


@pytest.mark.usefixtures("without_waiting")
def test_a_failed_reranker_is_never_no_reranking_and_the_next_run_asks_for_the_rest_alone(
    tmp_path: Path,
) -> None:
    with EmbeddingsServer() as reranker, LoopbackServer(answer_from_passages) as server:
        more = f", rerank: {{base_url: '{reranker.base_url}', model: m, candidates: 5}}"
        write_world(tmp_path, server.base_url, more=more)
        planned = harness_here("plan", *RUN[1:], cwd=tmp_path)
        row = next(row for row in planned.stdout.split("\n") if "reranks items" in row)
        assert row.split("│")[3].strip() == str(N_ITEMS)
        reranker.fail = lambda texts: (
            (400, "no room") if "What is the dose of drug7?" in texts else None
        )
        done = run(tmp_path)
        assert done.returncode == 0, done.stderr
        assert server.counts == {"ok": 2 * N_ITEMS - 1}
        report = next(tmp_path.rglob("report.md")).read_text()
        assert "HTTP 400: no room" in report
        assert "as reranked by m at " in report
        reranker.fail = lambda texts: None
        run(tmp_path)
        assert server.counts == {"ok": 2 * N_ITEMS}
        probes = {pair for pair in reranker.pairs if pair[0] == PROBE}
        assert {reranker.pairs[pair] for pair in reranker.pairs.keys() - probes} == {1}
    page = next(p.read_text() for p in tmp_path.rglob("items/*.html") if "drug7#1" in p.read_text())
    assert "and reranked" in page


def test_what_was_found_is_measured_on_the_answers_to_a_choice(tmp_path: Path) -> None:
    choice = (
        "found: {kind: retrieval}\n  right: {kind: choice, choices: [3 mg, 4 mg], answer: text}"
    )
    suite = SUITE.replace(
        "right: {kind: match, by: contains}\n  found: {kind: retrieval, at: 2}", choice
    )
    suite = suite.replace(
        "path: items.jsonl", "path: items.jsonl\n    where_any: {answer: [3 mg, 4 mg]}"
    )
    write_world(tmp_path, "http://127.0.0.1:9/v1", suite=suite.partition("gate:")[0])
    done = harness_here("validate", "doses.yaml", "--profile", "there.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "items: items 2\n" in done.stdout


def test_a_protected_corpus_is_not_sent_to_another_machine(tmp_path: Path) -> None:
    write_world(tmp_path, "https://models.example/v1")
    profile = (tmp_path / "there.yaml").read_text()
    protected = profile.replace("{path: corpus.jsonl}", "{path: corpus.jsonl, phi: true}")
    write(tmp_path / "there.yaml", protected)
    done = harness_here(
        "plan", "doses.yaml", "--models", "closed,open", "--profile", "there.yaml", cwd=tmp_path
    )
    assert done.returncode == 2
    assert "corpus.jsonl: is marked phi" in done.stderr
