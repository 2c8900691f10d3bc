"""A payload in every text of a run changes nothing of the pages but their text."""

from pathlib import Path

import pytest

from harness.artifacts.results_json import dump_result
from tests.builders.hostile import PAYLOADS, readable_hostile_run
from tests.builders.html_pages import page_skeleton
from tests.builders.view_workspaces import viewed

HARMLESS = " harmless"
PAGES = ("/", "/run/suite/run0", "/trends", "/compare?run=suite/run0&run=suite/run1")


def skeletons(out: Path, payload: str) -> list[object]:
    result = readable_hostile_run(payload)
    for number in range(2):
        folder = out / "suite" / f"run{number}"
        folder.mkdir(parents=True)
        (folder / "results.json").write_bytes(dump_result(result))
    viewer = viewed(out).viewer()
    replies = [viewer.get(path) for path in PAGES]
    assert {reply.status for reply in replies} == {200}
    return [page_skeleton(reply.body) for reply in replies]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    return skeletons(tmp_path_factory.mktemp("clean"), HARMLESS)


SOME = PAYLOADS[:: len(PAYLOADS) // 6]
ALL = [
    pytest.param(p, marks=() if p in SOME else pytest.mark.slow)
    for p in PAYLOADS
    if "\ud800" not in p
]


@pytest.mark.parametrize("payload", ALL)
def test_a_payload_in_every_text_adds_no_element_and_no_attribute(
    tmp_path: Path, clean: list[object], payload: str
) -> None:
    assert skeletons(tmp_path, payload) == clean
