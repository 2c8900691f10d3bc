"""Redaction of identifiers in a text before it is sent to another machine. Best effort.

    Seen on 3 May 2021, MRN 0012345, reach her at jo@example.com.
    Seen on [date], MRN [record number], reach her at [e-mail].

Recognised are e-mail addresses, web addresses (with a scheme, www or a common ending), phone numbers,
record and insurance numbers behind an English keyword, numbers shaped like a US social security or
a UK national insurance number, and dates with a day or a month, in digits or with an English name.

Not recognised are names, postal addresses, ages, workplaces, identifiers of any other form, spelled
out or obfuscated ones ("jo at example dot com"), names of months in other languages, and a day
and month in digits without a year. This is no de-identification under HIPAA: data marked
`phi: true` stays on this machine unless `--allow-remote-phi` is given, redacted or not.

Digits and signs of every script, no-break spaces and hyphens count as their plain forms, and
invisible characters are ignored. A pattern does bounded work at each place, or starts only at the
beginning of a run of characters, so that the time is linear in the length of the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple

from harness.types import Sample, Task

REDACTION_VERSION = 1  # raise it when a text would be redacted differently
IdentifierKind = Literal["e-mail", "phone", "record number", "date", "url"]


class Identifier(NamedTuple):
    """An identifier in a text, from `start` up to `end`."""

    kind: IdentifierKind
    start: int
    end: int


def redact(text: str) -> str:
    """Replace identifiers by `[e-mail]`, `[phone]`, `[record number]`, `[date]` or `[url]`."""
    parts: list[str] = []
    done = 0
    for kind, start, end in find_identifiers(text):
        parts += text[done:start], f"[{kind}]"
        done = end
    return "".join([*parts, text[done:]])


def find_identifiers(text: str) -> Iterator[Identifier]:
    """Yield the identifiers that `redact` would replace, from left to right, without overlap."""
    places, plain = _fold(text)
    for match in _FINDER.finditer(plain):
        assert match.lastgroup is not None
        # The keyword before a number stays, so that a reader knows what was there.
        start, end = match.span(match.lastgroup)
        yield Identifier(_KINDS[match.lastgroup], places[start], places[end])


def redact_sample(sample: Sample) -> Sample:
    """Return an item with input, reference and criteria redacted."""
    reference = None if sample.reference is None else redact(sample.reference)
    references = tuple(map(redact, sample.references))
    criteria = {
        column: tuple(c.model_copy(update={"criterion": redact(c.criterion)}) for c in own)
        for column, own in sample.criteria.items()
    }
    return sample.model_copy(
        update={
            "input": redact(sample.input),
            "history": tuple(
                turn.model_copy(update={"content": redact(turn.content)}) for turn in sample.history
            ),
            "reference": reference,
            "references": references,
            "criteria": criteria,
        }
    )


def redact_task(task: Task) -> Task:
    return task.model_copy(update={"samples": tuple(map(redact_sample, task.samples))})


# --- plain characters ------------------------------------------------------------------------


def _fold(text: str) -> tuple[list[int], str]:
    """Return the position of each plain character in the text, then its length; and these characters."""
    folded = [(place, _plain(character)) for place, character in enumerate(text)]
    visible = [(place, plain) for place, plain in folded if plain]
    return [*(place for place, _ in visible), len(text)], "".join(plain for _, plain in visible)


@cache
def _plain(character: str) -> str:
    """Return the plain form of a character, which the patterns use; empty for an invisible one."""
    if character in "\n\r\t":
        return character
    category = unicodedata.category(character)
    if category in _INVISIBLE_CATEGORIES or character in _INVISIBLE_LETTERS:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs":
        return " "
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if character in "\N{FRACTION SLASH}\N{DIVISION SLASH}":
        return "/"
    simple = unicodedata.normalize("NFKC", character)
    return simple if len(simple) == 1 else character


_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Mn", "Me"}
_INVISIBLE_LETTERS = "\u115f\u1160\u3164\uffa0"


# --- patterns --------------------------------------------------------------------------------

_SPACES = r"[ \t\r\n]{0,3}"
_NOT_IN_WORD = r"(?<![a-z\d])(?<![a-z]-)"  # not the 19 of COVID-19

# A number with a unit is a dose or a count. Units of one letter could begin the next sentence.
_UNIT = (
    r"(?:[munµ]g|mcg|kg|[mdcµ]l|m?mol|[cm]m|mmhg|k?cal|meq|m?iu|units?|%|bpm|(?:year|month|week|day"
    r"|hour|minute|time|tablet|capsule|pill|dose|drop|puff|cell|patient|people|person|mile|percent)s?)"
)

_NO_UNIT = rf"(?! ?{_UNIT}(?![a-z]))"


# --- web and e-mail addresses

_EMAIL = r"(?<![\w.+%'-])[\w.+%'-]++@[\w-]++(?:\.[\w-]++)++"
_TAIL = r"[^\s<>\"]*[^\s<>\".,;:!?'()\[\]{}]"
_DOMAIN = r"(?<![\w.@-])(?:[\w-]++\.){1,8}(?:com|org|net|edu|gov|info|io|uk)(?![\w@-])"

_URL = (
    rf"(?<![a-z\d+.-])[a-z][a-z\d+.-]{{1,15}}://{_TAIL}|(?<![a-z\d])www\.{_TAIL}"
    rf"|{_DOMAIN}(?::\d{{1,5}})?(?:[/?#]{_TAIL}|/)?"
)


# --- record numbers

_NUMBER_WORD = r"(?:numbers?|num|no|nr|identifier|identification|id|code|#)"

_RECORD = (
    r"(?<![a-z])(?:mrns?|m\.r\.n|ssns?|social security|chi number|medical record(?= ?[:#])"
    r"|(?:medical record|patient|pat|pt|hospital|hosp|chart|case|record|insurance|policy|member"
    r"|membership|subscriber|group|account|acct|claim|file|health card|health plan|medicare"
    r"|medicaid|beneficiary|accession|specimen|licen[cs]e|passport|national insurance|ni|nhs)"
    rf"(?:'s)?[ .-]{{0,2}}{_NUMBER_WORD})(?![a-z])"
)

_RECORD_FILLER = (
    rf"(?:{_SPACES}(?:{_NUMBER_WORD}(?![a-z])|(?:is|was|of)(?![a-z])|[:=.()#-])){{0,4}}{_SPACES}"
)

_FOUR_DIGITS = r"(?=[a-z]{0,5}[-/ ]?(?:\d[-/. a-z]{0,3}){3}\d)"

_RECORD_VALUE = (
    rf"{_FOUR_DIGITS}[a-z]{{0,5}}[-/ ]?\d(?:[-/.]?[a-z\d]| \d{{2,}}+{_NO_UNIT}(?![/.]\d))*+"
)

_SSN = r"(?<!\d)(?<!\d[.,/-])(?:\d{3}-\d\d-\d{4}|\d{3} \d\d \d{4})(?!\d)(?![./-]\d)"
_NATIONAL_INSURANCE = r"(?-i:(?<![A-Z])[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D](?![A-Za-z]))"


# --- dates

_YEAR = r"(?:1[89]|20)\d\d"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_MONTH = r"(?:1[0-2]|0?[1-9])"


def _in_digits(sign: str) -> str:
    """Make a pattern of dates with one separator.

    Spaces around it are allowed only where the year has four digits.
    """
    wide = rf" ?{sign} ?"
    return (
        rf"(?<!\d)(?:{_DAY}{wide}{_MONTH}|{_MONTH}{wide}{_DAY}){wide}{_YEAR}(?!\d)"
        rf"|(?<!\d){_YEAR}{wide}{_MONTH}{wide}{_DAY}(?!\d)"
        rf"|(?<!\d)(?<!\d{sign})(?:{_DAY}{sign}{_MONTH}|{_MONTH}{sign}{_DAY}){sign}\d\d(?!\d)(?!{sign}\d){_NO_UNIT}"
    )


_MONTH_IN_DIGITS = (
    rf"(?<!\d)(?<!\d/)(?:0[1-9]|1[0-2])/{_YEAR}(?!\d)(?!/\d)"
    rf"|(?<!\d)(?<!\d-){_YEAR}-(?:0[1-9]|1[0-2])(?!\d)(?!-\d)"
)

# "may" and "march" in lower case are words, unless a year or an ordinal follows or precedes.
_UNAMBIGUOUS_MONTH = (
    r"(?:(?:jan(?:uary)?|feb(?:ruary)?|apr(?:il)?|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|(?-i:MAR(?:CH)?|MAY|Mar(?:ch)?|May))(?![a-z])\.?)"
)

_MONTH_NAME = rf"(?:{_UNAMBIGUOUS_MONTH}|(?:mar(?:ch)?|may)(?![a-z])\.?)"
_ORDINAL = rf"{_DAY}(?:st|nd|rd|th)"
_DAYS = rf"(?:{_ORDINAL}|{_DAY})(?: ?- ?(?:{_ORDINAL}|{_DAY}))?"  # 3-5 May
_GAP = r"[ \t\r\n]{0,2}[.,/-]?[ \t\r\n]{0,2}"
_THEN_YEAR = rf"(?:{_GAP}(?:of )?(?:{_YEAR}|'\d\d)(?!\d))"

_WRITTEN = (
    rf"(?<!\d){_DAYS}{_GAP}(?:of )?{_MONTH_NAME}{_THEN_YEAR}"
    rf"|{_NOT_IN_WORD}{_DAYS}[ /-]{{0,2}}(?:of )?{_UNAMBIGUOUS_MONTH}"
    rf"|{_NOT_IN_WORD}{_ORDINAL} (?:of )?{_MONTH_NAME}"
    rf"|(?<![a-z]){_MONTH_NAME}{_GAP}(?:the )?{_DAYS}{_THEN_YEAR}"
    rf"|(?<![a-z]){_MONTH_NAME} (?:the )?{_ORDINAL}(?![a-z])"
    rf"|(?<![a-z]){_UNAMBIGUOUS_MONTH}[ ./-]{{0,2}}{_DAYS}(?!\d)(?![.,/-]\d){_NO_UNIT}"
    rf"|(?<![a-z]){_MONTH_NAME}{_THEN_YEAR}"
)

_DATE = "|".join([*map(_in_digits, ("/", "-", "[.]")), _MONTH_IN_DIGITS, _WRITTEN])

_BORN = (
    r"(?<![a-z])(?:d\.?o\.?b\.?|date of birth|birth ?dates?|birthday|born)(?![a-z])"
    rf"(?:{_SPACES}(?:(?:is|was|on)(?![a-z])|[:=-])){{0,2}}{_SPACES}"
)

_BORN_VALUE = (
    rf"(?:{_YEAR}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])|\d\d? \d\d? {_YEAR}"
    rf"|{_DAY}/{_MONTH}|{_MONTH}/{_DAY})(?!\d)(?!/\d){_NO_UNIT}"
)


# --- phone numbers

_SIGN = r"[-. ()/]{0,2}"
_BETWEEN = r"[-. ]{1,3}"
_DRUG_CODE = r"\d{4,5}-\d{3,4}-\d\d?(?!\d)"  # 0555-0952-02, a medicine's in the US
_EXTENSION = r"(?: ?(?:x|ext\.?|extension) ?\d{1,6})?"

_PHONE = (
    rf"(?<![a-z\d])\+\(?[1-9](?:{_SIGN}\d){{7,14}}{_EXTENSION}(?!\d)"
    r"|(?<![a-z\d])(?<!\d[.,-])(?:"
    rf"(?:1[-. ]{{0,2}})?(?:\(\d{{3}}\)[-. ]{{0,3}}|\d{{3}}{_BETWEEN})\d{{3}}{_BETWEEN}\d{{4}}{_EXTENSION}"
    rf"|1?[2-9]\d{{9}}(?<!0{{6}}){_NO_UNIT}{_EXTENSION}"
    rf"|(?!{_DRUG_CODE})\(?00?[1-9](?:{_SIGN}\d){{8,12}}"
    r")(?!\d)(?![.,-]\d)"
)

_CALL = (
    r"(?<![a-z])(?:(?:tele)?phones?|tel|fax|mobile|pager|whatsapp|ph|call(?: (?:me|us|her|him))?"
    r"|cell(?: ?phone)?(?= ?[:#]| (?:is|no|number)))(?![a-z])"
    rf"(?:{_SPACES}(?:{_NUMBER_WORD}(?![a-z])|(?:is|was|on|at)(?![a-z])|[:.=(#])){{0,4}}{_SPACES}"
)

_CALL_VALUE = rf"\(?\d(?:{_SIGN}\d){{5,14}}(?!\d)(?![.,-]\d){_NO_UNIT}"

# Kind, text before the value, which stays, and the value. The first pattern that matches wins.
_PATTERNS: tuple[tuple[IdentifierKind, str, str], ...] = (
    ("url", "", _URL),
    ("e-mail", "", _EMAIL),
    ("record number", _RECORD + _RECORD_FILLER, _RECORD_VALUE),
    ("record number", "", f"{_SSN}|{_NATIONAL_INSURANCE}"),
    ("date", "", _DATE),
    ("date", _BORN, _BORN_VALUE),
    ("phone", "", _PHONE),
    ("phone", _CALL, _CALL_VALUE),
)

_KINDS: dict[str, IdentifierKind] = {f"p{n}": kind for n, (kind, _, _) in enumerate(_PATTERNS)}
_ANY_PATTERN = "|".join(f"{b}(?P<p{n}>{v})" for n, (_, b, v) in enumerate(_PATTERNS))

# No pattern starts at a letter inside a word; checking this once halves the time.
_FINDER = re.compile(rf"(?:(?<![a-z])|(?=[\d+(]))(?:{_ANY_PATTERN})", re.IGNORECASE)
