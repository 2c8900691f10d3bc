"""Nothing that reaches a browser tells which model is which."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

from harness.human.annotate.assignment import assign_items, opposite_side, show_pair
from harness.human.annotate.label_studio import write_label_studio
from harness.human.annotate.offline import render_offline
from harness.human.annotate.pages import Instructions, Voter, pair_page
from harness.human.annotate.session import NextPair
from harness.human.annotate.study import OpenStudy, StudyOptions, open_study, reopen_study
from tests.builders.studies import Reply, answers, form_token, good, poor, served, write_run

NAMES = ("zebra-sft-7b", "walrus-dpo-8b")
SECRET = "5e" * 32
_TEXT = re.compile(r'(data-part="(?:left|right)"[^>]*>).*?(</div>)', re.DOTALL)
_ANY_TEXT = re.compile(r'(data-part="[^>]*>).*?(</div>)', re.DOTALL)


def world(
    folder: Path,
    *,
    models: tuple[str, str] = NAMES,
    texts: tuple[Callable[[int], str], ...] = (poor, good),
    attention: int = 4,
) -> Path:
    """A run with a study whose secret is known."""
    run = write_run(folder, models=models, texts=texts)
    opened = open_study(run, StudyOptions(n=10, attention=attention, repeats=2, rubric=True))
    path = opened.folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"secret": SECRET}))
    return run


def opened(folder: Path) -> OpenStudy:
    return reopen_study(folder, StudyOptions())


def sitting(run: Path) -> list[Reply]:
    """Everything that is sent to an annotator who judges all pairs, with an undo and a mistake."""
    with served(run) as site:
        page, reply = site.enter("Ada")
        choices = ["left", "tie", "right", "both_unsafe", "cannot_judge"] * 4
        for _, choice in zip(site.session.study.items, choices, strict=False):
            reply = page.vote(reply, choice)
        page.post("/undo", {"token": form_token(reply.body)})
        page.post("/vote", {"token": form_token(reply.body), "choice": "neither"})
        page.get("/pair")
        page.get("/nowhere")
        page.get("/annotate.css")
        page.get("/annotate.js")
        return page.traffic


def pairs(traffic: list[Reply]) -> list[str]:
    return [reply.body for reply in traffic if 'name="ticket"' in reply.body]


def test_no_name_id_or_path_is_ever_sent(tmp_path: Path) -> None:
    sent = "\n".join(f"{r.headers} {html.unescape(r.body)}" for r in sitting(world(tmp_path)))
    opened_study = opened(tmp_path)
    for word in (*NAMES, "baseline", "candidate", "expected", "decoy", "attention", "real-"):
        assert word not in sent.lower(), word
    for item in opened_study.study.items:
        assert not re.search(rf"\b{item.sample_id}\b", sent)
        assert item.key not in sent
    for secret in (SECRET, str(tmp_path), opened_study.study.run_id, opened_study.study.plan_hash):
        assert secret not in sent


def test_other_model_names_leave_every_byte_as_it_is(tmp_path: Path) -> None:
    one = sitting(world(tmp_path / "one"))
    other = sitting(world(tmp_path / "other", models=("a", "a-much-longer-name-for-a-model")))
    assert one == other


def test_exchanged_models_exchange_the_two_texts_and_nothing_else(tmp_path: Path) -> None:
    one = pairs(sitting(world(tmp_path / "one", attention=0)))
    other = pairs(sitting(world(tmp_path / "other", texts=(good, poor), attention=0)))
    assert len(one) == len(other) == 13
    for page, exchanged in zip(one, other, strict=True):
        assert answers(page) == answers(exchanged)[::-1]
        assert _TEXT.sub(r"\1\2", page) == _TEXT.sub(r"\1\2", exchanged)


def test_a_page_is_the_same_whichever_side_is_where(tmp_path: Path) -> None:
    study, _, items = opened(world(tmp_path))
    voter, asked = Voter("Ada", 0, 16, form_token="0"), Instructions(study.asks, study.criteria)
    for assignment in assign_items(study, "Ada"):
        exchanged = assignment._replace(left=opposite_side(assignment.left))
        one, other = (
            pair_page(voter, asked, NextPair(show_pair(p, study, items), 1, None), "")
            for p in (assignment, exchanged)
        )
        assert answers(one) == answers(other)[::-1]
        assert _TEXT.sub(r"\1\2", one) == _TEXT.sub(r"\1\2", other)


def test_attention_items_look_like_all_others(tmp_path: Path) -> None:
    bare = {
        re.sub(r"[0-9a-f]{20}|\d+", "", _ANY_TEXT.sub(r"\1\2", page).split("<main")[1])
        for page in pairs(sitting(world(tmp_path)))
    }
    assert len(bare) == 1


def test_the_offline_file_tells_no_more(tmp_path: Path) -> None:
    one = render_offline(opened(world(tmp_path / "one")), "Ada")
    other = render_offline(opened(world(tmp_path / "other", models=("x", "y"))), "Ada")
    assert one == other
    for word in (*NAMES, "baseline", "candidate", "expected", "decoy", "attention", SECRET, 'q1"'):
        assert word not in one, word


def test_exchanged_models_exchange_the_texts_in_the_offline_file(tmp_path: Path) -> None:
    def embedded(folder: Path, texts: tuple[Callable[[int], str], ...]) -> list[dict[str, str]]:
        page = render_offline(opened(world(folder, texts=texts, attention=0)), "Ada")
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
        assert found
        return json.loads(found.group(1))["pairs"]  # type: ignore[no-any-return]

    one = embedded(tmp_path / "one", (poor, good))
    other = embedded(tmp_path / "other", (good, poor))
    assert one == [p | {"left": p["right"], "right": p["left"]} for p in other]


def test_the_pairs_for_label_studio_tell_no_more(tmp_path: Path) -> None:
    study = opened(world(tmp_path / "run"))
    for kind in ("json", "csv"):
        config = write_label_studio(study, tmp_path / f"pairs.{kind}")
        sent = (tmp_path / f"pairs.{kind}").read_text() + config.read_text()
        for word in (*NAMES, "baseline", "candidate", "expected", "decoy", SECRET):
            assert word not in sent, word
