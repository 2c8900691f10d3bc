"""Contamination: evaluation items that occur in the training data of a model.

An item is `exact` if its question is a training question, word for word; of a conversation all of the user's turns
must be those with which a training chat begins. Besides, the share of its
n-grams that occur anywhere in the training texts is computed for its question and its reference. An
item is `contaminated` if it is exact or one of the shares is at least 70 % (PaLM,
https://arxiv.org/abs/2204.02311, section 8), and `touched` if any n-gram occurs (GPT-3).

n is GPT-3's (https://arxiv.org/abs/2005.14165, appendix C): the 5th percentile of the items'
lengths in words, at least 8 and at most 13. An n-gram that more than ten items have is a template
and is ignored; GPT-3 likewise ignores n-grams of more than ten documents.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from harness.core.errors import HarnessError
from harness.data.text import NGram, ngrams, normalise_text, normalise_words
from harness.types import ContaminationResult, Message, Record, Sample, Task
from harness.types.training import Example, LabelledAnswer, PreferencePair

MIN_NGRAM, MAX_NGRAM = 8, 13  # words
CONTAMINATED_SHARE = 0.7
MAX_ITEMS_PER_NGRAM = 10  # an n-gram of more items is a template
N_LISTED = 3  # items in an error message
Part = Literal["question", "reference"]
_Place = tuple[int, Part]  # a part of the item with this index


class TrainingText(NamedTuple):
    """The questions and answers of one training row; `row` is its name in reports, such as its id."""

    row: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


class HasTrainingTexts(Protocol):
    """A model with its training texts."""

    @property
    def training_texts(self) -> Sequence[TrainingText]:
        """Return all texts since the base model; empty for a base model."""


class ItemOverlap(Record):
    """The overlap of one item with the training texts.

    A share is None if the item has no n-gram to search for. `row` is the training row with the same
    question, or else the one that shares the most n-grams, `shared` of them.
    """

    sample_id: str
    exact: bool
    question_share: float | None
    reference_share: float | None
    row: str | None
    shared: int

    @property
    def share(self) -> float:
        """Return the larger share; 1 for an exact match, 0 if there are too few words to compare."""
        return 1.0 if self.exact else max(self.question_share or 0.0, self.reference_share or 0.0)


class Contamination(Record):
    """The overlap of a set of items with the training texts; counts are of items.

    `unchecked` items have no n-gram to search for: only exact matches are found among them.
    `worst` are the touched and exact items with the largest shares.
    """

    n: int
    n_training_rows: int
    n_items: int
    exact: int
    contaminated: int
    touched: int
    unchecked: int
    worst: tuple[ItemOverlap, ...]


def find_contaminated_items(
    tasks: Iterable[Task], models: Mapping[str, HasTrainingTexts]
) -> list[ContaminationResult]:
    """Compare the items of each task with the training texts of each model that has any.

    The data of base models, and of models behind an endpoint, are unknown here.
    """
    return [
        _contamination_result(task, name, find_contamination(model.training_texts, task.samples))
        for task in tasks
        for name, model in models.items()
        if model.training_texts
    ]


def require_no_contamination(results: Sequence[ContaminationResult]) -> None:
    """Stop before scores that would measure memory.

    Raises:
        HarnessError: items occur in the training data of a model; the message names some of them.
    """
    contaminated = [result for result in results if result.contaminated]
    if contaminated:
        raise HarnessError(
            " ".join(_describe(contaminated))
            + " A score on such items measures memory. Take them out of the training data "
            "(`harness convert --split` keeps questions apart), or give --allow-contamination; the "
            "report then states it."
        )


def find_contamination(
    training: Iterable[TrainingText], samples: Sequence[Sample], *, n_worst: int = 20
) -> Contamination:
    """Find the overlap of the training texts with the items, in time linear in both.

    Only the items are held in memory; the training texts are read once.
    """
    found = _find_overlaps(training, samples)
    return _summarise(found.overlaps, n=found.n, n_training_rows=found.n_rows, n_worst=n_worst)


def find_held_references(
    passages: Iterable[tuple[str, str]], samples: Sequence[Sample]
) -> dict[str, str]:
    """Find the items whose reference stands in passages, by the same rule as in training texts.

    Args:
        passages: The name and the text of each.
        samples: The items; a reference without an n-gram to search for is not found.

    Returns:
        By item the passage that shares the most n-grams with it.
    """
    texts = (TrainingText(name, (), (text,)) for name, text in passages)
    return {
        overlap.sample_id: overlap.row or ""
        for overlap in _find_overlaps(texts, samples).overlaps
        if (overlap.reference_share or 0.0) >= CONTAMINATED_SHARE
    }


class _Overlaps(NamedTuple):
    """The overlap of each item with texts, the words of an n-gram, and the number of texts."""

    overlaps: list[ItemOverlap]
    n: int
    n_rows: int


def _find_overlaps(training: Iterable[TrainingText], samples: Sequence[Sample]) -> _Overlaps:
    # Index the items by n-gram and by question.
    n = ngram_length(samples)
    index = _index_ngrams(samples, n)
    items_by_question: dict[str, list[int]] = defaultdict(list)
    n_turns = {len(sample.user_turns) for sample in samples}
    for item, sample in enumerate(samples):
        items_by_question[normalise_text(sample.user_text)].append(item)

    # Look up each training text. Items are given by their index.
    all_matches: set[NGram] = set()
    exact_rows: dict[int, str] = {}
    best_rows: dict[int, tuple[int, str]] = {}  # number of shared n-grams, row
    n_rows = 0
    for text in training:
        n_rows += 1
        for question in _all_questions(text, n_turns):
            for item in items_by_question.get(normalise_text(question), ()):
                exact_rows.setdefault(item, text.row)
        matches = _matching_ngrams(text, index, n)
        if not matches:
            continue
        all_matches |= matches
        shared = Counter(item for ngram in matches for item in {i for i, _ in index[ngram]})
        for item, count in shared.items():
            if count > best_rows.get(item, (0, ""))[0]:
                best_rows[item] = (count, text.row)
    overlaps = _overlaps(samples, index, all_matches, exact_rows, best_rows)
    return _Overlaps(overlaps, n, n_rows)


def texts_of_examples(examples: Iterable[Example]) -> Iterator[TrainingText]:
    """Yield the texts of SFT examples, without system prompts."""
    for example in examples:
        yield _training_text(example.id, example.prompt, example.completion)


def texts_of_pairs(pairs: Iterable[PreferencePair]) -> Iterator[TrainingText]:
    """Yield the texts of preference pairs, without system prompts; both answers count."""
    for pair in pairs:
        yield _training_text(pair.sample_id, pair.prompt, pair.chosen, pair.rejected)


def texts_of_labelled(answers: Iterable[LabelledAnswer]) -> Iterator[TrainingText]:
    """Yield the texts of labelled answers, without system prompts; answers labelled bad count too."""
    for answer in answers:
        yield _training_text(answer.sample_id, answer.prompt, answer.completion)


def texts_of_samples(samples: Iterable[Sample]) -> Iterator[TrainingText]:
    """Yield the texts of samples used in training; references count as answers."""
    for sample in samples:
        earlier = (turn.content for turn in sample.history if turn.role == "assistant")
        yield TrainingText(sample.id, sample.user_turns, (*earlier, *sample.acceptable_answers))


def ngram_length(samples: Sequence[Sample]) -> int:
    """Choose the number of words of an n-gram for these items."""
    lengths = sorted(len(normalise_words(sample.user_text)) for sample in samples)
    fifth_percentile = lengths[len(lengths) // 20] if lengths else 0
    return min(max(fifth_percentile, MIN_NGRAM), MAX_NGRAM)


def _all_questions(text: TrainingText, n_turns: Iterable[int]) -> Iterator[str]:
    """Yield each of the user's turns, and as one text the first `n_turns` of them."""
    yield from text.questions
    for n in n_turns:
        if 1 < n <= len(text.questions):
            yield "\n\n".join(text.questions[:n])


def _training_text(row: str, prompt: Sequence[Message], *answers: str) -> TrainingText:
    return TrainingText(
        row,
        tuple(m.content for m in prompt if m.role == "user"),
        (*(m.content for m in prompt if m.role == "assistant"), *answers),
    )


# --- n-grams ---------------------------------------------------------------------------------


def _index_ngrams(samples: Sequence[Sample], n: int) -> dict[NGram, set[_Place]]:
    """Map each n-gram to the places where it occurs, without n-grams of templates."""
    index: dict[NGram, set[_Place]] = defaultdict(set)
    for item, sample in enumerate(samples):
        parts: tuple[tuple[Part, str], ...] = (
            *(("question", text) for text in sample.user_turns),
            *(("question", t.content) for t in sample.history if t.role == "assistant"),
            *(("reference", text) for text in sample.acceptable_answers),
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
    matches: set[NGram] = set()
    for part in (*text.questions, *text.answers):
        matches |= index.keys() & ngrams(normalise_words(part), n)  # one pass in C: the hot line
    return matches


# --- results ---------------------------------------------------------------------------------


def _overlaps(
    samples: Sequence[Sample],
    index: dict[NGram, set[_Place]],
    matches: set[NGram],
    exact_rows: dict[int, str],
    best_rows: dict[int, tuple[int, str]],
) -> list[ItemOverlap]:
    # Count the n-grams of each question and reference, and those that match.
    n_ngrams: Counter[_Place] = Counter()
    n_matches: Counter[_Place] = Counter()
    for ngram, places in index.items():
        n_ngrams.update(places)
        if ngram in matches:
            n_matches.update(places)

    def share(place: _Place) -> float | None:
        return n_matches[place] / n_ngrams[place] if n_ngrams[place] else None

    return [
        ItemOverlap(
            sample_id=sample.id,
            exact=item in exact_rows,
            question_share=share((item, "question")),
            reference_share=share((item, "reference")),
            row=exact_rows.get(item, best_rows.get(item, (0, None))[1]),
            shared=best_rows.get(item, (0, None))[0],
        )
        for item, sample in enumerate(samples)
    ]


def _summarise(
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


def _contamination_result(
    task: Task, model: str, contamination: Contamination
) -> ContaminationResult:
    return ContaminationResult(
        task=task.name,
        model=model,
        n_rows=contamination.n_training_rows,
        n_items=contamination.n_items,
        exact=contamination.exact,
        contaminated=contamination.contaminated,
        touched=contamination.touched,
        unchecked=contamination.unchecked,
        worst=tuple(
            f"item '{overlap.sample_id}' in row '{overlap.row}'" for overlap in contamination.worst
        ),
    )


def _describe(results: Iterable[ContaminationResult]) -> Iterator[str]:
    for result in results:
        yield (
            f"{result.contaminated} of {result.n_items} items of '{result.task}' occur in the "
            f"training data of '{result.model}', {result.exact} of them word for word "
            f"({', '.join(result.worst[:N_LISTED])})."
        )
