"""Labels of several runs, limited to those of one: its items and its models.

Labels of other items and models are counted and named, and not used.
"""

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from harness.human.label_rows import Label
from harness.types import Winner

N_NAMED = 5
_TURNED: dict[Winner, Winner] = {"baseline": "candidate", "candidate": "baseline", "tie": "tie"}


class LeftOut(NamedTuple):
    """The number of labels that a run cannot use, with their items and models."""

    n_items: int = 0
    n_models: int = 0
    items: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Describe them in a clause; empty where there are none."""
        parts = [
            f"{n:,} of other {what} ({_named(names)})"
            for n, what, names in (
                (self.n_items, "items", self.items),
                (self.n_models, "models", self.models),
            )
            if n
        ]
        return f"labels not used: {' and '.join(parts)}" if parts else ""

    def plus(self, other: "LeftOut") -> "LeftOut":
        """Return these and others together."""
        return LeftOut(
            self.n_items + other.n_items,
            self.n_models + other.n_models,
            tuple(dict.fromkeys((*self.items, *other.items))),
            tuple(dict.fromkeys((*self.models, *other.models))),
        )


def fit_labels(
    labels: Iterable[Label], models: Sequence[str], item_ids: Container[str] | None
) -> tuple[tuple[Label, ...], LeftOut]:
    """Return the labels on a run's items and models, and what is left out of them.

    `models` are the run's, baseline first and candidate last; without item ids all items count. The
    winner of a pair that the file names is turned to the run's baseline and candidate.
    """
    fitting: dict[tuple[str, str], Label] = {}
    items, foreign = list[str](), list[tuple[str, ...]]()
    for label in labels:
        if item_ids is not None and label.sample_id not in item_ids:
            items.append(label.sample_id)
            continue
        kept, others = _fit_models(label, models)
        foreign += others
        if kept is not None:
            key = kept.sample_id, kept.annotator
            fitting[key] = kept if key not in fitting else _merge(fitting[key], kept)
    left_out = LeftOut(
        len(items),
        len(foreign),
        tuple(dict.fromkeys(items)),
        tuple(dict.fromkeys(name for names in foreign for name in names)),
    )
    return tuple(fitting.values()), left_out


def _fit_models(label: Label, models: Sequence[str]) -> tuple[Label | None, list[tuple[str, ...]]]:
    """Return what a label says of these models, and the models of each of its other judgements."""
    foreign: list[tuple[str, ...]] = [(model,) for model in label.scores if model not in models]
    if foreign:
        label = label._replace(scores={m: s for m, s in label.scores.items() if m in models})
    pair = models[0], models[-1]
    if label.compared is not None and set(label.compared) != set(pair):
        foreign.append(tuple(name for name in label.compared if name not in pair))
        label = label._replace(winner=None, asked_winner=False, unsafe=False, compared=None)
    elif label.compared is not None and label.compared != pair:
        winner = None if label.winner is None else _TURNED[label.winner]
        label = label._replace(winner=winner, compared=pair)
    kept = label if label.asked_winner or label.scores or not foreign else None
    return kept, foreign


def _merge(first: Label, second: Label) -> Label:
    """Join an annotator's winner and scores of one item, which stand in different rows."""
    winner = second if second.asked_winner else first
    return winner._replace(
        scores={**first.scores, **second.scores},
        lines={**first.lines, **second.lines},
        statements={**first.statements, **second.statements},
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return f"{', '.join(names[:N_NAMED])}{more}"
