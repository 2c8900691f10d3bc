"""Logs of Inspect: one .json file, or an .eval archive with a header and a file for each sample.

    {"eval": {"task": "health", "model": "openai/gpt-4o", …},
     "samples": [{"id": 1, "epoch": 1, "input": "…", "target": "…", "output": {"choices": […]},
                  "scores": {"match": {"value": "C", "explanation": "…"}}}]}

Scores in words become numbers as in Inspect's value_to_float: C 1, P 0.5, I and N 0. If a scorer has
other words too, each word is a score of its own: 1 on the answers that have it, else 0.

Every epoch of a sample is an answer to its item. A sample that was invalidated or ended in an error
has no answer that counts and no score; one that was stopped by a limit keeps its answer, if there is
one, and has no score.
"""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from harness.core.errors import HarnessError
from harness.core.json_text import parse_json
from harness.core.sanitize import printable_line
from harness.data.cells import Chat
from harness.data.thoughts import mark_thoughts
from harness.interop.importing.records import (
    Object,
    RecordedItem,
    RecordedScores,
    Records,
    as_key,
    as_list,
    as_number,
    as_object,
    as_rows,
    as_text,
    read_chat,
    user_text,
)
from harness.types.samples import write_transcript

MAX_BYTES = 4_000_000_000  # uncompressed; a larger log would not fit into memory
ZSTD = 93  # compression method of zip (APPNOTE 6.3.9, 4.4.5)
_ERROR = "ended in an error"
_LETTER_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_BOOLEANS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def is_inspect_log(data: object) -> bool:
    return isinstance(data, dict) and isinstance(data.get("eval"), dict) and "version" in data


def read_eval_archive(path: Path) -> Object:
    """Read an .eval archive as the same object as a .json log.

    Raises:
        HarnessError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = dict.fromkeys(archive.namelist())  # of entries with one name the last is read
            if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                raise HarnessError(f"{path}: holds more than {MAX_BYTES / 1e9:.0f} GB.")
            log = as_object(_parse_member(archive, "header.json"))
            if not is_inspect_log(log):
                raise ValueError("its header is none of Inspect")
            samples = [n for n in names if n.startswith("samples/") and n.endswith(".json")]
            return log | {"samples": [_parse_member(archive, name) for name in samples]}
    except (
        OSError, EOFError, KeyError, ValueError, RuntimeError, struct.error, zlib.error,
        zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise HarnessError(
            f"{path}: is no Inspect log that can be read ({error}). "
            "`inspect log convert --to json` makes one that can."
        ) from None


def _parse_member(archive: zipfile.ZipFile, name: str) -> object:
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


def read_inspect_log(log: Object, source: str) -> Records:
    """Read one model's answers and scores on one task.

    Raises:
        HarnessError: the log has no samples.
    """
    samples = as_list(log.get("samples"))
    if not samples:
        raise HarnessError(f"{source}: holds no samples; write the log with them.")
    records = Records(source)
    model = as_text(as_object(log["eval"]).get("model")) or "model"
    records.answers[model] = {}
    attempts = _last_attempts(samples, records)
    for (name, epoch), sample in attempts.items():
        # The first epoch has the item's own id, as the first of several answers has in a run.
        key = name if epoch == 1 else f"{name}#{epoch}"
        if epoch != 1 and (key, 1) in attempts:
            records.left_out["an epoch whose id is another item's"] += 1
            continue
        question, earlier = _question(sample, records)
        if not question.strip():
            records.left_out["no id or no input"] += 1
            continue
        cluster = None if key == name else name
        records.items[key] = RecordedItem(
            question,
            _target(sample.get("target")),
            write_transcript(earlier, question),
            cluster,
            earlier,
        )
        _add_sample(sample, key, model, records)
    _add_notes(log, samples, records)
    return records


def _add_notes(log: Object, samples: Sequence[object], records: Records) -> None:
    if log.get("status", "success") != "success":
        status = printable_line(str(log["status"]), limit=40)
        records.notes.append(f"{records.source}: its status is '{status}', not success.")
    if log.get("invalidated") and not any(as_object(s).get("invalidation") for s in samples):
        records.notes.append(
            f"{records.source}: is marked as invalidated, though none of its samples is: do not "
            "trust its scores."
        )


def _last_attempts(samples: Sequence[object], records: Records) -> dict[tuple[str, int], Object]:
    """Return the last attempt at each item and epoch; earlier ones are counted."""
    attempts: dict[tuple[str, int], Object] = {}
    for sample in samples:
        name = as_key(as_object(sample).get("id"))
        if not isinstance(sample, dict) or name is None:
            records.left_out["no id or no input"] += 1
            continue
        number = as_number(sample.get("epoch"))
        epoch = int(number) if number is not None and number >= 1 else 1
        if (name, epoch) in attempts:
            records.left_out["an earlier attempt at the same item and epoch"] += 1
        attempts[name, epoch] = sample
    return dict(sorted(attempts.items(), key=lambda attempt: attempt[0][1]))


def _add_sample(sample: Object, key: str, model: str, records: Records) -> None:
    if sample.get("error_retries"):
        records.left_out["retried after an error: the last attempt counts"] += 1
    failure, limit, answer = _failure(sample), _limit(sample), _answer(sample)
    if failure is None and limit is not None and not answer:
        failure = limit
    if failure is not None:
        # Messages of errors differ from sample to sample; each stands in the study's files.
        shown = _ERROR if failure.startswith(_ERROR) else printable_line(failure, limit=100)
        records.left_out[f"{shown}: no answer and no score"] += 1
        records.fail(model, key, failure)
        return
    records.answers[model][key] = answer and _with_thoughts(answer, sample)
    if limit is not None:
        # The answer is the model's, cut short; the score is of what it had not finished.
        records.left_out[f"{printable_line(limit, limit=100)}: no score"] += 1
        records.scores.setdefault(model, {})[key] = RecordedScores({}, None, limit)
        return
    if answer is None:
        records.left_out["no answer: counts as a failed one"] += 1
    _add_scores(sample, key, model, records)


def _failure(sample: Object) -> str | None:
    """Return why a sample's outcome is not the model's answer to the item; None if it is."""
    if sample.get("invalidation"):
        return _reason("invalidated", as_object(sample["invalidation"]).get("reason"))
    if sample.get("error"):
        error = sample["error"]
        return _reason(_ERROR, as_object(error).get("message") or error)
    return None


def _limit(sample: Object) -> str | None:
    """Return the limit that stopped a sample, if any."""
    limit = sample.get("limit")
    return _reason("stopped by a limit", as_object(limit).get("type") or limit) if limit else None


def _reason(kind: str, words: object) -> str:
    return f"{kind}: {words}" if isinstance(words, str) and words.strip() else kind


def _target(target: object) -> str | list[str] | None:
    """Return the target as text; several acceptable targets as texts."""
    if isinstance(target, list) and all(isinstance(text, str) for text in target):
        return target or None
    return _text(target) or None


def _add_scores(sample: Object, key: str, model: str, records: Records) -> None:
    values: dict[str, float | str] = {}
    explanations = []
    for name, score in _scores(sample).items():
        value = score.get("value") if isinstance(score, dict) else score
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, part_value in parts:
            is_word = isinstance(part_value, str) and part_value.strip()
            kept = part_value if is_word else as_number(part_value)
            if kept is None:
                records.left_out[f"'{printable_line(name)}' is no number: unscored"] += 1
            else:
                values[f"{name}_{part}" if part else name] = kept
        if isinstance(score, dict) and isinstance(score.get("explanation"), str):
            explanations.append(score["explanation"])
    records.scores.setdefault(model, {})[key] = RecordedScores(
        values, "\n".join(explanations) or None, None if values else "the log holds no score"
    )


def _scores(sample: Object) -> Object:
    """Return the scores by scorer; the oldest logs have one without its name."""
    if "scores" not in sample and sample.get("score") is not None:
        return {"score": sample["score"]}
    return as_object(sample.get("scores"))


def score_of(value: object) -> float | None:
    """Convert a score to a number as Inspect does (value_to_float); return None if it is not one."""
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


def _question(sample: Object, records: Records) -> tuple[str, Chat]:
    """Return the input, or the last question of a chat and the turns before it."""
    content = sample.get("input", "")
    if not isinstance(content, list):
        return _text(content, sample), ()
    turns = [turn | {"content": _text(turn.get("content"), sample)} for turn in as_rows(content)]
    return read_chat(turns, records, otherwise=user_text(turns))


def _answer(sample: Object) -> str | None:
    """Return the text of the output; None without output."""
    choices = as_rows(as_object(sample.get("output")).get("choices"))
    if not choices:
        return as_text(as_object(sample.get("output")).get("completion")) or None
    return _text(as_object(choices[0].get("message")).get("content"), sample)


def _with_thoughts(answer: str, sample: Object) -> str:
    """Return the answer behind the reasoning parts of the output, if there are any to read."""
    choices = as_rows(as_object(sample.get("output")).get("choices"))
    content = as_object(choices[0].get("message")).get("content") if choices else None
    parts = as_rows(content) if isinstance(content, list) else []
    reasoning = [
        _text(part.get("reasoning"), sample)
        for part in parts
        if part.get("type") == "reasoning" and not part.get("redacted")
    ]
    thoughts = "\n\n".join(filter(None, reasoning))
    return mark_thoughts(thoughts, answer) if thoughts else answer


def _text(content: object, sample: Object | None = None) -> str:
    """Return plain content, or the text parts of a list, without reasoning and tool calls.

    A long text is stored among the sample's attachments.
    """
    if isinstance(content, list):
        return "\n".join(filter(None, (_part(part, sample) for part in content)))
    text = content if isinstance(content, str) else ""
    if sample is not None and text.startswith("attachment://"):
        attachments = as_object(sample.get("attachments"))
        return as_text(attachments.get(text.removeprefix("attachment://"))) or text
    return text


def _part(part: object, sample: Object | None) -> str:
    if isinstance(part, dict):
        return _text(part.get("text"), sample) if part.get("type") == "text" else ""
    return _text(part, sample)
