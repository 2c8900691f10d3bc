"""The examples of docs/scale.md, written for a folder and fewer shards than on the page."""

import os
import re
import sys
from pathlib import Path

from tests.builders.commands import environment
from tests.builders.files import write

_PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
SCRIPTS: list[str] = re.findall(r"```sh\n(.*?)```", _PAGE, re.DOTALL)
[MANIFEST] = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)
[PROGRAM] = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
_N_SHARDS = (
    ("/16", "/{}"),
    ("1-16", "1-{}"),
    (": 16", ": {}"),
    ("range(1, 17)", "range(1, {} + 1)"),
)


def write_scripts(shared: Path, n_shards: int) -> dict[str, str]:
    """Write all examples into the folder; return an environment in which they find `harness`."""
    names = ("shard.sh", "decide.sh", "slurm.sh", "job.yaml", "shards.py")
    for name, text in zip(names, (*SCRIPTS, MANIFEST, PROGRAM), strict=True):
        for sixteen, n in _N_SHARDS:
            text = text.replace(sixteen, n.format(n_shards))
        write(shared / name, text.replace("/shared", str(shared))).chmod(0o700)
    program = f'#!/bin/bash\nexec {sys.executable} -m harness "$@"\n'
    (shared / "bin").mkdir()
    write(shared / "bin" / "harness", program).chmod(0o700)
    return environment({"PATH": f"{shared / 'bin'}:{os.environ['PATH']}"})
