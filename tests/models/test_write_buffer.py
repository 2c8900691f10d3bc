from pathlib import Path

from harness.core.store import Store
from harness.models.write_buffer import WriteBuffer
from harness.types import Exchange, Outcome, Response

SAID = Exchange(replies=("7",), input_tokens=1, output_tokens=1, seconds=0.1)


def test_what_a_language_model_said_is_stored_at_once(tmp_path: Path) -> None:
    verdict = Outcome(values={"score": 7.0}, exchange=SAID)
    answer = Response(sample_id="a", model="m", text="x", finish="stop", exchange=SAID)
    with Store(tmp_path) as store:
        outcomes, responses = WriteBuffer(store), WriteBuffer(store, "response")
        for i in range(3):
            outcomes.add(f"key-{i}", verdict)
            responses.add(f"key-{i}", answer)
            assert (len(store.keys("outcome")), len(store.keys("response"))) == (i + 1, i + 1)


def test_what_a_rule_says_is_all_there_after_the_last_commit(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        fresh = WriteBuffer(store)
        said = {f"key-{i}": Outcome(values={"score": float(i)}) for i in range(200)}
        for key, outcome in said.items():
            fresh.add(key, outcome)
        fresh.commit()
        assert store.get("outcome", said, Outcome) == said
