"""Equal questions under several ids: a checkpoint answers them once, and each has its answer."""

from pathlib import Path

from harness.config import Generation
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.generate import BATCH_SIZE, generate_responses
from harness.models.local import LocalModel
from harness.models.model_kinds import CheckpointModel
from harness.types import Sample, Task
from tests.builders.tiny import make_tiny_model


def test_each_of_many_equal_questions_has_its_answer(tmp_path: Path) -> None:
    source = make_tiny_model(tmp_path / "tiny")
    n = 2 * BATCH_SIZE + 3  # more than two batches, were they not answered once
    task = Task(
        name="t",
        source="s",
        items_hash="",
        n_items=n,
        samples=tuple(Sample(id=f"q{i}", input="Is it asthma?", row=i) for i in range(n)),
        generation=Generation(max_new_tokens=4, temperature=0.0),
        system=None,
        metrics={},
    )
    fingerprint = LocalModel.load(source).fingerprint
    with Store(tmp_path / "store") as store:
        model = CheckpointModel("tiny", source, fingerprint)
        answers = list(generate_responses(task, model, store, QuietProgress()))
        assert len(store.keys("response")) == 1
    assert sorted(a.sample_id for a in answers) == sorted(s.id for s in task.samples)
    assert len({a.text for a in answers}) == 1
