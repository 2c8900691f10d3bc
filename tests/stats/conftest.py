import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def golden() -> Callable[[str], dict[str, Any]]:
    """Reads the reference values called `name`."""

    def load_golden(name: str) -> dict[str, Any]:
        return json.loads((GOLDEN / f"{name}.json").read_text())

    return load_golden
