"""Evaluation items that a model may have seen while it trained.

An item's question is `exact` if it is a training question, word for word. Beside that, the share
of an item's n-grams that stand anywhere in the training texts is told for its question and its
reference. An item is `contaminated` if it is exact or one of the shares is at least 70 % (PaLM,
https://arxiv.org/abs/2204.02311, section 8), and `touched` if any n-gram was seen (GPT-3).

n is GPT-3's (https://arxiv.org/abs/2005.14165, appendix C): the 5th percentile of the items'
lengths in words, at least 8 and at most 13. An n-gram that more than ten items have is a template
and tells nothing of any of them; GPT-3 likewise ignores what more than ten documents have.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from harness.core.errors import HarnessError
from harness.data.text import NGram, ngrams, normalise_text, normalise_words
from harness.types import ContaminationResult, Message, Record, Sample, Task
from harness.types.training import Example, PreferencePair

N_SMALLEST, N_LARGEST = 8, 13


CONTAMINATED_SHARE = 0.7


MAX_ITEMS_PER_NGRAM = 10


Part = Literal["question", "reference"]


_Place = tuple[int, Part]


class TrainingText(NamedTuple):
    """What one training row says: what is asked in it and, apart from that, what is answered.

    `row` is how reports call it, such as its id.
    """

    row: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


class ItemOverlap(Record):
    """How much of one item stands in the training texts.

    A share is None where the item has no n-gram to look for. `row` is the training row with the
    same question, or else the one that shares most n-grams, `shared` of them.
    """

    sample_id: str
    exact: bool
    question_share: float | None
    reference_share: float | None
    row: str | None
    shared: int

    @property
    def share(self) -> float:
        """Return the larger share; 1 for an exact match, 0 where too few words can be compared."""
        return 1.0 if self.exact else max(self.question_share or 0.0, self.reference_share or 0.0)


class Contamination(Record):
    """What the items have in common with the training texts; counts are of items.

    `unchecked` items have no n-gram to look for: only exact matches are found among them.
    `worst` are the touched and exact ones with the largest shares.
    """

    n: int
    n_training_rows: int
    n_items: int
    exact: int
    contaminated: int
    touched: int
    unchecked: int
    worst: tuple[ItemOverlap, ...]


def find_contamination(
    training: Iterable[TrainingText], samples: Sequence[Sample], *, n_worst: int = 20
) -> Contamination:
    """Find the overlap of the training texts with the items, in time linear in both.

    Only what the items say is held in memory; the training texts are read once.
    """
    n = ngram_length(samples)
    index = _index(samples, n)
    same_question: dict[str, list[int]] = defaultdict(list)
    for item, sample in enumerate(samples):
        same_question[normalise_text(sample.input)].append(item)
    seen: set[NGram] = set()
    exact: dict[int, str] = {}
    best: dict[int, tuple[int, str]] = {}
    n_rows = 0
    for text in training:
        n_rows += 1
        for question in text.questions:
            for item in same_question.get(normalise_text(question), ()):
                exact.setdefault(item, text.row)
        found = _matching_ngrams(text, index, n)
        if not found:
            continue
        seen |= found
        shared = Counter(item for ngram in found for item in {i for i, _ in index[ngram]})
        for item, count in shared.items():
            if count > best.get(item, (0, ""))[0]:
                best[item] = (count, text.row)
    overlaps = _overlaps(samples, index, seen, exact, best)
    return _summary(overlaps, n=n, n_training_rows=n_rows, n_worst=n_worst)


def texts_of_examples(examples: Iterable[Example]) -> Iterator[TrainingText]:
    """Yield the texts that SFT reads, without system prompts."""
    for example in examples:
        yield _text(example.id, example.prompt, example.completion)


def texts_of_pairs(pairs: Iterable[PreferencePair]) -> Iterator[TrainingText]:
    """Yield the texts that DPO reads, without system prompts; both answers count."""
    for pair in pairs:
        yield _text(pair.sample_id, pair.prompt, pair.chosen, pair.rejected)


def texts_of_samples(samples: Iterable[Sample]) -> Iterator[TrainingText]:
    """Yield the texts that training reads or asks of samples; references count as answers."""
    for sample in samples:
        answers = (sample.reference,) if sample.reference else ()
        yield TrainingText(sample.id, (sample.input,), answers)


def ngram_length(samples: Sequence[Sample]) -> int:
    """Choose the number of words of an n-gram for these items."""
    lengths = sorted(len(normalise_words(sample.input)) for sample in samples)
    fifth = lengths[len(lengths) // 20] if lengths else 0
    return min(max(fifth, N_SMALLEST), N_LARGEST)


def _text(row: str, prompt: Sequence[Message], *answers: str) -> TrainingText:
    return TrainingText(
        row,
        tuple(m.content for m in prompt if m.role == "user"),
        (*(m.content for m in prompt if m.role == "assistant"), *answers),
    )


# --- looking up ------------------------------------------------------------------------------


def _index(samples: Sequence[Sample], n: int) -> dict[NGram, set[_Place]]:
    """Index the items in which each n-gram occurs, without those of templates."""
    index: dict[NGram, set[_Place]] = defaultdict(set)
    for item, sample in enumerate(samples):
        parts: tuple[tuple[Part, str], ...] = (
            ("question", sample.input),
            ("reference", sample.reference or ""),
        )
        for part, text in parts:
            for ngram in ngrams(normalise_words(text), n):
                index[ngram].add((item, part))
    return {
        ngram: places
        for ngram, places in index.items()
        if len({item for item, _ in places}) <= MAX_ITEMS_PER_NGRAM
    }


def _matching_ngrams(text: TrainingText, index: dict[NGram, set[_Place]], n: int) -> set[NGram]:
    found: set[NGram] = set()
    for part in (*text.questions, *text.answers):
        found |= index.keys() & ngrams(normalise_words(part), n)  # one pass in C: the hot line
    return found


# --- counting --------------------------------------------------------------------------------


def _overlaps(
    samples: Sequence[Sample],
    index: dict[NGram, set[_Place]],
    seen: set[NGram],
    exact: dict[int, str],
    best: dict[int, tuple[int, str]],
) -> list[ItemOverlap]:
    all_of: Counter[_Place] = Counter()
    seen_of: Counter[_Place] = Counter()
    for ngram, places in index.items():
        all_of.update(places)
        if ngram in seen:
            seen_of.update(places)

    def share(place: _Place) -> float | None:
        return seen_of[place] / all_of[place] if all_of[place] else None

    return [
        ItemOverlap(
            sample_id=sample.id,
            exact=item in exact,
            question_share=share((item, "question")),
            reference_share=share((item, "reference")),
            row=exact.get(item, best.get(item, (0, None))[1]),
            shared=best.get(item, (0, None))[0],
        )
        for item, sample in enumerate(samples)
    ]


def _summary(
    overlaps: list[ItemOverlap], *, n: int, n_training_rows: int, n_worst: int
) -> Contamination:
    touched = [overlap for overlap in overlaps if overlap.share > 0]
    touched.sort(key=lambda overlap: (-overlap.share, not overlap.exact, overlap.sample_id))
    return Contamination(
        n=n,
        n_training_rows=n_training_rows,
        n_items=len(overlaps),
        exact=sum(overlap.exact for overlap in overlaps),
        contaminated=sum(overlap.share >= CONTAMINATED_SHARE for overlap in overlaps),
        touched=len(touched),
        unchecked=sum(o.question_share is None and o.reference_share is None for o in overlaps),
        worst=tuple(touched[:n_worst]),
    )


N_LISTED = 3  # items that a message names


class HasTrainingTexts(Protocol):
    """A model whose training texts are known."""

    @property
    def training_texts(self) -> Sequence[TrainingText]:
        """Return all texts that it learnt since its base model; none for a base model."""


def find_contaminated_items(
    tasks: Iterable[Task], models: Mapping[str, HasTrainingTexts]
) -> list[ContaminationResult]:
    """Compare every set of items with the texts that each trained model learnt from, where known.

    What a base model read before, or a model behind an endpoint, nobody here knows.
    """
    return [
        _contamination_result(task, name, find_contamination(prepared.training_texts, task.samples))
        for task in tasks
        for name, prepared in models.items()
        if prepared.training_texts
    ]


def require_no_contamination(exposures: Sequence[ContaminationResult]) -> None:
    """Stop before scores that would tell what was remembered.

    Raises:
        HarnessError: items stand in a model's training data; names some of them.
    """
    found = [exposure for exposure in exposures if exposure.contaminated]
    if found:
        raise HarnessError(
            " ".join(_describe(found))
            + " A score on such items tells what was remembered. Take them out of the training data "
            "(`harness convert --split` keeps questions apart), or say --allow-contamination; the "
            "report will say so."
        )


def _describe(exposures: Iterable[ContaminationResult]) -> Iterator[str]:
    for e in exposures:
        yield (
            f"{e.contaminated} of {e.n_items} items of '{e.task}' stand in what '{e.model}' was "
            f"trained on, {e.exact} of them word for word ({', '.join(e.worst[:N_LISTED])})."
        )


def _contamination_result(task: Task, model: str, found: Contamination) -> ContaminationResult:
    return ContaminationResult(
        task=task.name,
        model=model,
        n_rows=found.n_training_rows,
        n_items=found.n_items,
        exact=found.exact,
        contaminated=found.contaminated,
        touched=found.touched,
        unchecked=found.unchecked,
        worst=tuple(
            f"item '{overlap.sample_id}' in row '{overlap.row}'" for overlap in found.worst
        ),
    )
