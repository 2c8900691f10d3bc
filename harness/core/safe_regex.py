r"""Regular expressions from suites and data, which may be hostile: time linear in the text.

Python's `re` backtracks: `(a+)+$` takes minutes on forty letters, and a time limit around it leaves
a thread behind and makes a score depend on the machine's load. RE2 comes with pyarrow; it has neither
look-around nor back-references, and its time is bounded by the text's length times the pattern's (Cox
2010, https://swtch.com/~rsc/regexp/regexp3.html). `\w`, `\d` and `\b` are ASCII there; `\p{L}` is any letter.
"""

from harness.core.sanitize import to_valid_utf8

MAX_PATTERN = 500  # characters; the time is that of the text's length times the pattern's

SYNTAX = "It is read by RE2: no look-around, no back-references; https://github.com/google/re2/wiki/Syntax"


def pattern_problem(pattern: str) -> str | None:
    """Return why a pattern cannot be used; None if it can."""
    if not pattern:
        return "the regular expression is empty, and every answer would match"
    if len(pattern) > MAX_PATTERN:
        return f"the regular expression has {len(pattern):,} characters, and {MAX_PATTERN} at most are read"
    try:
        is_found(pattern, "")
    except ValueError as error:  # pyarrow's errors are ValueErrors, and so is a lone surrogate
        reason = str(error).removeprefix("Invalid regular expression: ").rstrip(".")
        return f"no regular expression: {reason}. {SYNTAX}"
    return None


def is_found(pattern: str, text: str, *, whole: bool = False) -> bool:
    """Return whether the pattern describes a part of the text, or with `whole` all of it.

    Half a surrogate pair in the text is a question mark, as everywhere.

    Raises:
        ValueError: the pattern is none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    expression = f"\\A(?:{pattern})\\z" if whole else pattern
    return bool(
        pc.match_substring_regex(pa.scalar(to_valid_utf8(text)), pattern=expression).as_py()
    )
