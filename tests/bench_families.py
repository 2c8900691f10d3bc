"""The table of model families in docs/checkpoints.md: `python -m tests.bench_families`.

With HARNESS_TRANSFORMERS_4, a folder with transformers 4, the exports are loaded there too.
"""

import tempfile
from pathlib import Path

from harness.core.errors import HarnessError
from tests.builders.families import FAMILIES
from tests.builders.family_walk import walk_family

STEPS = ("train SFT", "DPO", "ask", "chat", "merge", "export", "transformers 5", "transformers 4")


def main() -> None:
    """Print a row for each family."""
    print("| base | " + " | ".join(STEPS) + " |")
    print("|---" * (len(STEPS) + 1) + "|")
    for name in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                done = walk_family(name, Path(folder))
            except HarnessError as error:
                done = {STEPS[0]: str(error)}
        print(f"| {name} | " + " | ".join(done.get(step, "-") for step in STEPS) + " |", flush=True)


if __name__ == "__main__":
    main()
