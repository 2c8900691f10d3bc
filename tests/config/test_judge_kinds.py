"""Every kind of judge in a profile states every fact."""

from typing import get_args

import pytest

from harness.config import EndpointSpec, JudgeSpec, Jury, LocalJudge, PeopleSpec, PluginJudge
from harness.config.profile import JudgeSource

KINDS = {
    "offline": JudgeSpec(offline="consumer_health"),
    "endpoint": JudgeSpec(endpoint=EndpointSpec(model="m")),
    "local": JudgeSpec(local=LocalJudge(checkpoint="m")),
    "recorded": JudgeSpec(recorded={}),
    "plugin": JudgeSpec(plugin=PluginJudge("plain_words")),
    "jury": JudgeSpec(jury=Jury(members=("a", "b"))),
    "people": JudgeSpec(people=PeopleSpec(study="study")),
}


def test_every_kind_of_judge_is_tried_here() -> None:
    said_of_all = {"calibrated_by", "then", "title", "note"}
    assert set(KINDS) == set(JudgeSpec.model_fields) - said_of_all
    assert len(get_args(JudgeSource)) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_source_of_a_judge_is_what_was_stated(kind: str) -> None:
    assert KINDS[kind].source == getattr(KINDS[kind], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_only_rules_and_local_models_are_asked_on_this_machine(kind: str) -> None:
    assert KINDS[kind].is_on_this_machine == (kind in ("offline", "local"))
    assert KINDS[kind].is_single == (kind not in ("jury", "people"))
