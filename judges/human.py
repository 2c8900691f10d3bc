"""Annotators as judges: each gives back what they said, of the answers that they saw."""

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
        self._said = {label.sample_id: label for label in people.labels if label.annotator == name}
        self._card = JudgeCard(
            name=name,
            nature=f"a person, in {people.source}",
            fingerprint=hashlib.sha256(f"{people.fingerprint} {name}".encode()).hexdigest(),
            replayed=True,
            people=True,
        )

    @property
    def card(self) -> JudgeCard:
        """Names the annotator; everybody's labels are part of its fingerprint."""
        return self._card

    def judge(self, requests: Iterable[JudgeRequest | None]) -> Iterator[tuple[int, Outcome]]:
        """One outcome for each request; `NOT_ASKED` where this annotator was not shown it."""
        for i, request in enumerate(r for r in requests if r is not None):
            match request:
                case PreferenceRequest():
                    yield i, self._preference(request)
                case GradeRequest():
                    yield i, self._grade(request)

    def _preference(self, request: PreferenceRequest) -> Outcome:
        label = self._said.get(request.sample.id)
        order = (label.order if label else None) or "baseline_first"
        if request.order != order:
            return Outcome(reason=NOT_ASKED)
        if same_text(request.first, request.second):
            return Outcome(reason=NOT_ASKED)  # a tie, when it is scored
        swapped = order == "candidate_first"
        old, new = (request.second, request.first) if swapped else (request.first, request.second)
        texts = {request.baseline: old, request.candidate: new}
        if self._people.models not in (None, (request.baseline, request.candidate)):
            return Outcome(reason=OTHER_ANSWERS)
        if not self._is_what_they_saw(request.sample.id, texts):
            return Outcome(reason=OTHER_ANSWERS)
        if label is None or not label.asked_winner:
            return Outcome(reason=NOT_ASKED)
        if label.winner is None:
            return Outcome(reason="cannot judge")
        if label.winner == "tie":
            return Outcome(winner="tie")
        return Outcome(winner="first" if (label.winner == "candidate") == swapped else "second")

    def _grade(self, request: GradeRequest) -> Outcome:
        label = self._said.get(request.sample.id)
        given = label.scores.get(request.model) if label else None
        if not given:
            return Outcome(reason=NOT_ASKED)
        if not self._is_what_they_saw(request.sample.id, {request.model: request.answer}):
            return Outcome(reason=OTHER_ANSWERS)
        return Outcome(values=dict(given))

    def _is_what_they_saw(self, sample_id: str, texts: Mapping[str, str]) -> bool:
        if self._people.answers is None:
            return True
        seen = self._people.answers.get(sample_id, {})
        return all(seen.get(model) == text for model, text in texts.items())


def people_card(title: str, people: HumanLabels) -> JudgeCard:
    """All annotators as one judge: their names are its members."""
    n = len(people.annotators)
    out = [each.name for each in people.annotator_status if not each.counted]
    excluded = f"; excluded by the rule for annotators: {', '.join(out)}" if out else ""
    return JudgeCard(
        name=title,
        nature=f"{n} {'person' if n == 1 else 'people'}, {people.source}: {people.sampling}{excluded}",
        fingerprint=people.fingerprint,
        replayed=True,
        people=True,
        members=tuple(AnnotatorJudge(name, people).card for name in people.annotators),
    )
