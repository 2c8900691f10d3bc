"""Logs of Inspect: one .json file, or an .eval archive with a header and a file for each sample.

    {"eval": {"task": "health", "model": "openai/gpt-4o", …},
     "samples": [{"id": 1, "epoch": 1, "input": "…", "target": "…", "output": {"choices": […]},
                  "scores": {"match": {"value": "C", "explanation": "…"}}}]}

Scores in words become numbers as in Inspect's value_to_float: C 1, P 0.5, I and N 0.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError
from harness.core.json_text import parse_json
from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedScores,
    Records,
    as_number,
    make_name,
)

MAX_BYTES = 4_000_000_000  # uncompressed; a larger log would not fit into memory
ZSTD = 93  # compression method of zip (APPNOTE 6.3.9, 4.4.5)
_LETTER_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_BOOLEANS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def is_inspect_log(data: object) -> bool:
    """Return whether this is a log of Inspect."""
    return isinstance(data, dict) and isinstance(data.get("eval"), dict) and "version" in data


def read_eval_archive(path: Path) -> Object:
    """Read an .eval archive as the same object as a .json log.

    Raises:
        HarnessError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                raise HarnessError(f"{path}: holds more than {MAX_BYTES / 1e9:.0f} GB.")
            log: Object = _parse_member(archive, "header.json")
            samples = [n for n in names if n.startswith("samples/") and n.endswith(".json")]
            return log | {"samples": [_parse_member(archive, name) for name in samples]}
    except (
        OSError, KeyError, ValueError, struct.error, zipfile.BadZipFile, NotImplementedError,
        RecursionError,
    ) as error:  # fmt: skip
        raise HarnessError(
            f"{path}: is no Inspect log that can be read ({error}). "
            "`inspect log convert --to json` makes one that can."
        ) from None


def _parse_member(archive: zipfile.ZipFile, name: str) -> Any:
    return parse_json(_read_member(archive, name).decode("utf-8-sig"))


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a file of the archive; zstd of newer archives is unpacked here, as zipfile cannot."""
    info = archive.getinfo(name)
    if info.compress_type != ZSTD:
        return archive.read(info)
    from pyarrow import Codec

    # Skip the local header (30 bytes, name, extra field), and decompress what follows.
    assert archive.fp is not None
    archive.fp.seek(info.header_offset)
    name_length, extra_length = struct.unpack("<26xHH", archive.fp.read(30))
    archive.fp.seek(name_length + extra_length, 1)
    compressed = archive.fp.read(info.compress_size)
    content = Codec("zstd").decompress(compressed, decompressed_size=info.file_size, asbytes=True)
    if zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile(f"bad checksum of {name}")
    return bytes(content)


def read_inspect_log(log: Object, model: str | None, source: str) -> Records:
    """Read one model's answers and scores on one task.

    Raises:
        HarnessError: the log has no samples.
    """
    samples = log.get("samples")
    if not isinstance(samples, list) or not samples:
        raise HarnessError(f"{source}: holds no samples; write the log with them.")
    records = Records(source)
    if log.get("status", "success") != "success":
        records.notes.append(f"{source}: its status is '{log['status']}', not success.")
    # Keep the first epoch of each sample.
    name = model or make_name(str(log["eval"].get("model", "model")))
    answers = records.answers.setdefault(name, {})
    for sample in sorted(samples, key=lambda sample: int(sample.get("epoch", 1))):
        key = str(sample.get("id", "")).strip()
        question = _question(sample)
        if not key or not question.strip():
            records.left_out["no id or no input"] += 1
        elif key in answers:
            records.left_out["a further epoch of the same item"] += 1
        else:
            records.items[key] = RecordedItem(question, _target(sample.get("target")), question)
            answers[key] = _answer(sample)
            if answers[key] is None:
                records.left_out["no answer: counts as a failed one"] += 1
            _add_scores(sample, key, name, records)
    return records


def _target(target: object) -> str | list[str] | None:
    """Return the target as text; several acceptable targets as texts."""
    if isinstance(target, list) and all(isinstance(text, str) for text in target):
        return target or None
    return _text(target) or None


def _add_scores(sample: Object, key: str, model: str, records: Records) -> None:
    values: dict[str, float] = {}
    explanations = []
    for name, score in (sample.get("scores") or {}).items():
        value = score.get("value") if isinstance(score, dict) else score
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, part_value in parts:
            number = score_of(part_value)
            if number is None:
                records.left_out[f"'{name}' is no number: unscored"] += 1
            else:
                values[f"{name}_{part}" if part else name] = number
        if isinstance(score, dict) and isinstance(score.get("explanation"), str):
            explanations.append(score["explanation"])
    records.scores.setdefault(model, {})[key] = RecordedScores(
        values, "\n".join(explanations) or None
    )


def score_of(value: object) -> float | None:
    """Convert a score to a number as Inspect does; return None if it is not one."""
    if not isinstance(value, str):
        return as_number(value)
    if value in _LETTER_GRADES:
        return _LETTER_GRADES[value]
    if value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    try:
        return as_number(float(value))
    except ValueError:
        return None


def _question(sample: Object) -> str:
    """Return the input, or the user's turns of a chat."""
    content = sample.get("input", "")
    if isinstance(content, list):
        turns = [m for m in content if isinstance(m, dict) and m.get("role") == "user"]
        content = "\n\n".join(_text(turn.get("content"), sample) for turn in turns)
    return _text(content, sample)


def _answer(sample: Object) -> str | None:
    """Return the text of the output; None if the sample ended in an error or without output."""
    output = sample.get("output") or {}
    choices = output.get("choices") if isinstance(output, dict) else None
    if not choices:
        return None
    return _text(choices[0].get("message", {}).get("content"), sample)


def _text(content: Any, sample: Object | None = None) -> str:
    """Return plain content, or the text parts of a list, without reasoning and tool calls.

    A long text is stored among the sample's attachments.
    """
    if isinstance(content, list):
        return "\n".join(filter(None, (_part(part, sample) for part in content)))
    text = content if isinstance(content, str) else ""
    if sample is not None and text.startswith("attachment://"):
        attachment = (sample.get("attachments") or {}).get(text.removeprefix("attachment://"))
        return attachment if isinstance(attachment, str) else text
    return text


def _part(part: object, sample: Object | None) -> str:
    if isinstance(part, dict):
        return _text(part.get("text"), sample) if part.get("type") == "text" else ""
    return _text(part, sample)
