"""What a run has found, for comparison with that of another run."""

import json
from pathlib import Path
from typing import Any


def read_without_times(runs: Path) -> dict[str, Any]:
    """The results.json of the only run in a suite's folder, without what differs by the clock."""
    (path,) = runs.glob("*/results.json")
    result: dict[str, Any] = json.loads(path.read_text())
    # Tables of answers and judgements hold the seconds of each reply.
    result["tables"] = {k: v for k, v in result["tables"].items() if "scores" in k}
    return _without_times(result)  # type: ignore[no-any-return]


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        times = ("registered", "started", "finished", "seconds", "per_second")
        return {k: _without_times(v) for k, v in value.items() if not k.endswith(times)}
    return [_without_times(one) for one in value] if isinstance(value, list) else value
