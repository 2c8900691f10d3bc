"""Caveats of answers with passages: where nothing was found, a reference was handed over, or a judge is addressed."""

from collections.abc import Iterable, Iterator

from harness.data.contamination import N_LISTED, find_held_references
from harness.scoring.task_scores import TaskScores
from harness.types import Caveat
from judges.injection import suspect_injection


def passage_caveats(measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Report by task and model items without a passage, references in passages, and what is said to a judge there.

    A corpus is untrusted text, which judges of statements are shown as the model was.
    """
    for part in measured:
        samples = part.task.samples
        for model, responses in part.responses.items():
            given = [r.passages for r in responses.values() if r.passages is not None]
            if not given:
                continue
            n_empty = sum(not passages for passages in given)
            if n_empty:
                yield Caveat(
                    code="nothing_found",
                    text=f"'{model}': the search found no passage for {n_empty:,} of {len(given):,} items of "
                    f"'{part.task.name}', which it answered without one.",
                )
            texts = {p.id: p.text for passages in given for p in passages}
            held = find_held_references(texts.items(), samples)
            if held:
                listed = [f"item '{item}' in passage '{row}'" for item, row in held.items()]
                yield Caveat(
                    code="reference_in_passages",
                    text=f"The passages of '{model}' hold the reference of {len(held):,} of {len(samples):,} items of "
                    f"'{part.task.name}' ({', '.join(listed[:N_LISTED])}{', …' if len(held) > N_LISTED else ''}). "
                    "On these a comparison with the reference measures copying.",
                )
            odd = [
                name for name, text in texts.items() if suspect_injection(text).suspected_injection
            ]
            if odd:
                yield Caveat(
                    code="passages_address_a_judge",
                    text=f"{len(odd):,} of {len(texts):,} passages of '{model}' on '{part.task.name}' seem addressed to a "
                    f"model or a judge ({', '.join(odd[:N_LISTED])}{', …' if len(odd) > N_LISTED else ''}): read them.",
                )
