"""Annotators as judges: each returns the labels given to the answers that were shown."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from harness.human.labels import HumanLabels
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome, PreferenceRequest
from harness.types.judgements import NOT_ASKED
from harness.types.samples import same_text

OTHER_ANSWERS = "people judged other answers than these"


class AnnotatorJudge:
    """One annotator's labels behind the `Judge` protocol."""

    def __init__(self, name: str, people: HumanLabels) -> None:
        self._people = people
        self._label_of = {
            label.sample_id: label for label in people.labels if label.annotator == name
        }
        self._card = JudgeCard(
            name=name,
            nature=f"a person, in {people.source}",
            fingerprint=hashlib.sha256(f"{people.fingerprint} {name}".encode()).hexdigest(),
            replayed=True,
            people=True,
        )

    @property
    def card(self) -> JudgeCard:
        """Return the annotator's card; its fingerprint covers the labels of all annotators."""
        return self._card

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        """Yield one outcome for each request; `NOT_ASKED` where this annotator was not shown it."""
        for i, request in enumerate(requests):
            match request:
                case PreferenceRequest():
                    yield i, self._preference(request)
                case GradeRequest():
                    yield i, self._grade(request)

    def _preference(self, request: PreferenceRequest) -> Outcome:
        label = self._label_of.get(request.sample.id)
        order = (label.order if label else None) or "baseline_first"
        if request.order != order:
            return Outcome(reason=NOT_ASKED)
        if same_text(request.first, request.second):
            return Outcome(reason=NOT_ASKED)  # identical answers are scored as a tie elsewhere
        swapped = order == "candidate_first"
        baseline_text, candidate_text = (
            (request.second, request.first) if swapped else (request.first, request.second)
        )
        texts = {request.baseline: baseline_text, request.candidate: candidate_text}
        if self._people.models not in (None, (request.baseline, request.candidate)):
            return Outcome(reason=OTHER_ANSWERS)
        if not self._matches_labelled_answers(request.sample.id, texts):
            return Outcome(reason=OTHER_ANSWERS)
        if label is None or not label.asked_winner:
            return Outcome(reason=NOT_ASKED)
        if label.winner is None:
            return Outcome(reason="cannot judge")
        if label.winner == "tie":
            return Outcome(winner="tie")
        return Outcome(winner="first" if (label.winner == "candidate") == swapped else "second")

    def _grade(self, request: GradeRequest) -> Outcome:
        label = self._label_of.get(request.sample.id)
        scores = label.scores.get(request.model) if label else None
        if not scores:
            return Outcome(reason=NOT_ASKED)
        if not self._matches_labelled_answers(request.sample.id, {request.model: request.answer}):
            return Outcome(reason=OTHER_ANSWERS)
        return Outcome(values=dict(scores))

    def _matches_labelled_answers(self, sample_id: str, texts: Mapping[str, str]) -> bool:
        if self._people.answers is None:
            return True
        labelled_answers = self._people.answers.get(sample_id, {})
        return all(labelled_answers.get(model) == text for model, text in texts.items())


def people_card(title: str, people: HumanLabels) -> JudgeCard:
    """Return the card of all annotators as one judge; the annotators are its members."""
    n = len(people.annotators)
    excluded_names = [status.name for status in people.annotator_status if not status.counted]
    excluded = (
        f"; excluded by the rule for annotators: {', '.join(excluded_names)}"
        if excluded_names
        else ""
    )
    return JudgeCard(
        name=title,
        nature=f"{n} {'person' if n == 1 else 'people'}, {people.source}: {people.sampling}{excluded}",
        fingerprint=people.fingerprint,
        replayed=True,
        people=True,
        members=tuple(AnnotatorJudge(name, people).card for name in people.annotators),
    )
