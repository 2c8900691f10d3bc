"""Records of several files as one: what must agree between files, and what a later one adds."""

from collections.abc import Sequence

from harness.core.errors import HarnessError
from harness.core.sanitize import printable_line
from harness.interop.importing.records import (
    UNKNOWN_BASELINE,
    RecordedPreference,
    RecordedScores,
    Records,
)
from harness.types import Order

_OTHER_CRITERIA = "criteria that differ between files"
_OTHER_TURNS = "turns before a question that differ between files"
NOT_JUDGED = "neither scored nor compared in any file"


def merge_records(parts: Sequence[Records]) -> Records:
    """Merge all records into one.

    Raises:
        HarnessError: an id has two questions, or a model has two answers, scores or verdicts where
            one is possible.
    """
    merged = Records(", ".join(dict.fromkeys(part.source for part in parts)))
    _name_baseline(parts)
    # Questions and answers come before the verdicts on them, and those before quoted texts.
    for part in sorted(parts, key=lambda part: (part.quoted, not part.texts_only)):
        _merge_items(part, merged)
        _merge_answers(part, merged)
        _merge_scores(part, merged)
        _merge_preferences(part, merged)
        for model, failures in part.failures.items():
            merged.failures.setdefault(model, {}).update(failures)
        merged.scales |= part.scales
        merged.judges |= part.judges
        merged.left_out += part.left_out
        merged.notes += part.notes
    _keep_judged(parts, merged)
    return merged


def _name_baseline(parts: Sequence[Records]) -> None:
    """Name a baseline that verdicts do not name after the one model that has answers only."""
    compared = {model for part in parts for pair in part.preferences for model in pair}
    answered = {model for part in parts if part.texts_only for model in part.answers}
    others = answered - compared
    if UNKNOWN_BASELINE in compared and len(others) == 1:
        for part in parts:
            part.rename(UNKNOWN_BASELINE, next(iter(others)))


def _merge_items(part: Records, merged: Records) -> None:
    for key, item in part.items.items():
        known = merged.items.setdefault(key, item)
        if known.identity != item.identity and not part.quoted:
            raise HarnessError(
                f"{part.source}: item '{key}' is another question there than in the files "
                "before it. Import only files of the same task."
            )
        if known.reference is None and item.reference is not None:
            known = known._replace(reference=item.reference)
        if known.history != item.history and not part.quoted:
            merged.left_out[_OTHER_TURNS] += bool(known.history)
            known = known._replace(history=())
        if known.criteria != item.criteria and not part.quoted:
            merged.left_out[_OTHER_CRITERIA] += bool(known.criteria)
            known = known._replace(criteria=())
        merged.items[key] = known


def _merge_answers(part: Records, merged: Records) -> None:
    for model, answers in part.answers.items():
        merged_answers = merged.answers.setdefault(model, {})
        for key, text in answers.items():
            if merged_answers.setdefault(key, text) != text and not part.quoted:
                raise HarnessError(
                    f"{part.source}: '{printable_line(model)}' gives another answer to item '{key}' "
                    "there. Give the models of different files different names, as MODEL=FILE."
                )


def _merge_scores(part: Records, merged: Records) -> None:
    for model, scores in part.scores.items():
        merged_scores = merged.scores.setdefault(model, {})
        for key, new in scores.items():
            old = merged_scores.get(key, new)
            differing = [n for n, value in new.values.items() if old.values.get(n, value) != value]
            if differing:
                raise HarnessError(
                    f"{part.source}: '{printable_line(model)}' has another "
                    f"'{printable_line(differing[0])}' on item '{key}' there. Give the models of "
                    "different files different names, as MODEL=FILE."
                )
            words = "\n".join(dict.fromkeys(filter(None, [old.rationale, new.rationale])))
            merged_scores[key] = RecordedScores(
                {**old.values, **new.values},
                words or None,
                old.reason or new.reason,
                old.met or new.met,
            )


def _merge_preferences(part: Records, merged: Records) -> None:
    baselines = {baseline for baseline, _ in merged.preferences}
    for (baseline, candidate), judged in part.preferences.items():
        if baselines and baseline not in baselines:
            raise HarnessError(
                f"{part.source}: compares with '{printable_line(baseline)}', and the files before it "
                f"with '{printable_line(min(baselines))}'. Import one baseline at a time."
            )
        known = merged.preferences.setdefault((baseline, candidate), {})
        for key, by_order in judged.items():
            _merge_orders(known.setdefault(key, {}), by_order, f"{part.source}: item '{key}'")


def _merge_orders(
    known: dict[Order, RecordedPreference], new: dict[Order, RecordedPreference], where: str
) -> None:
    for order, preference in new.items():
        if known.setdefault(order, preference).winner != preference.winner:
            raise HarnessError(
                f"{where} has another verdict there than in the files before it. Import the files of "
                "one judge at a time."
            )


def _keep_judged(parts: Sequence[Records], merged: Records) -> None:
    """Leave out the items and models of a whole benchmark that no verdict covers, if there are any."""
    judged = {key for scores in merged.scores.values() for key in scores}
    judged |= {key for verdicts in merged.preferences.values() for key in verdicts}
    if not judged:
        return
    texts = [part for part in parts if part.texts_only]
    unjudged = {key for part in texts for key in part.items} - judged
    for key in unjudged:
        del merged.items[key]
    merged.left_out[NOT_JUDGED] += len(unjudged)
    compared = {*merged.scores, *(model for pair in merged.preferences for model in pair)}
    for model in {model for part in texts for model in part.answers} - compared:
        del merged.answers[model]
        merged.left_out[f"no verdict on '{printable_line(model)}' in any file"] += 1
