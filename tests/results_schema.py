"""`make schema`: publish the schema of results.json as docs/schema/results-VERSION.json.

Within a version things are only added: fields, kinds, words. What would break a reader of the
published schema is refused here, and needs a new version: raise `schema_version` of `RunResult`,
and see that `load_result` reads the old one or says what to do.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.artifacts.results_json import SCHEMA_VERSION, results_schema

FOLDER = Path(__file__).parents[1] / "docs" / "schema"
PUBLISHED = FOLDER / f"results-{SCHEMA_VERSION}.json"

_WORDS_ONLY = {"description", "title", "default"}
_MAY_GROW = {"properties", "$defs", "mapping"}
_LISTS_THAT_MAY_GROW = {"enum", "anyOf", "oneOf", "required"}


def breaking_changes(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """Where a file of the new schema might not be one of the old, apart from what was added."""
    name = at.rpartition("/")[2]
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() - _WORDS_ONLY:
            if key in new:
                yield from breaking_changes(old[key], new[key], f"{at}/{key}")
            else:
                yield f"{at}/{key}: is gone"
        if name not in _MAY_GROW:
            yield from (f"{at}/{key}: is new" for key in new.keys() - old.keys() - _WORDS_ONLY)
    elif isinstance(old, list) and isinstance(new, list) and name in _LISTS_THAT_MAY_GROW:
        yield from (f"{at}: {each} is gone" for each in old if each not in new)
    elif old != new:
        yield f"{at}: was {old}, is {new}"


def main() -> None:
    schema = json.loads(json.dumps(results_schema()))
    if PUBLISHED.exists():
        broken = sorted(breaking_changes(json.loads(PUBLISHED.read_text()), schema))
        if broken:
            sys.exit("\n".join([*broken, "This needs a new schema_version: see this file's head."]))
    FOLDER.mkdir(exist_ok=True)
    PUBLISHED.write_text(json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    print(PUBLISHED.relative_to(FOLDER.parents[1]))


if __name__ == "__main__":
    main()
