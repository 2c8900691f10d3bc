"""`make schema`: publish the schema of results.json as docs/schema/results-VERSION.json.

Within a version things are only added: fields, kinds, words. A definition may change its name, which
no results.json holds. What would break a reader of the published schema is refused here, and needs a
new version: raise `schema_version` of `RunResult`, and see that `load_result` reads the old one or
says what to do.
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
_MAY_GROW = {"properties", "mapping"}
_LISTS_THAT_MAY_GROW = {"enum", "anyOf", "oneOf", "required"}
_REFERENCE = "#/$defs/"


def breaking_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Where a file of the new schema might not be one of the old, apart from what was added.

    The names under `$defs` are labels within the schema: a definition may be renamed.
    """
    return list(_Comparison(old["$defs"], new["$defs"]).changes(old, new))


class _Comparison:
    """Two schemas, and the pairs of their definitions that have been compared."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old, self._new = old, new
        self._compared: set[tuple[str, str]] = set()

    def changes(self, old: Any, new: Any, at: str = "") -> Iterator[str]:
        name = at.rpartition("/")[2]
        if _is_reference(old) and _is_reference(new):
            if (old, new) not in self._compared:
                self._compared.add((old, new))
                names = old.removeprefix(_REFERENCE), new.removeprefix(_REFERENCE)
                definitions = self._old[names[0]], self._new[names[1]]
                yield from self.changes(*definitions, f"{_REFERENCE}{names[0]}")
        elif _is_union(new) and (_is_reference(old) or _is_reference(_referenced(old))):
            # A kind of one form has several now.
            member = {"$ref": old} if isinstance(old, str) else old
            yield from self._changes_of_member(member, new["oneOf"], at)
        elif isinstance(old, dict) and isinstance(new, dict):
            for key in old.keys() - _WORDS_ONLY - {"$defs"}:
                if key in new:
                    yield from self.changes(old[key], new[key], f"{at}/{key}")
                else:
                    yield f"{at}/{key}: is gone"
            if name not in _MAY_GROW:
                added = new.keys() - old.keys() - _WORDS_ONLY
                yield from (f"{at}/{key}: is new" for key in added)
        elif isinstance(old, list) and isinstance(new, list) and name in _LISTS_THAT_MAY_GROW:
            for member in old:
                yield from self._changes_of_member(member, new, at)
        elif old != new:
            yield f"{at}: was {old}, is {new}"

    def _changes_of_member(self, member: Any, new: list[Any], at: str) -> Iterator[str]:
        """Report a member that none of the new ones matches, and nothing if one of them does."""
        compared = self._compared.copy()
        for candidate in new:
            self._compared = compared.copy()
            if not any(self.changes(member, candidate, at)):
                return
        self._compared = compared
        yield f"{at}: {member} is gone"


def _is_union(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.keys() == {"oneOf"}


def _referenced(schema: Any) -> Any:
    return schema.get("$ref") if isinstance(schema, dict) else None


def _is_reference(schema: Any) -> bool:
    return isinstance(schema, str) and schema.startswith(_REFERENCE)


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
