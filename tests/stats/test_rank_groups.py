"""Ranks and letters, against networkx and by their definitions."""

import networkx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.rank_groups import group_letters, letter_name, rank_ranges, transitive_closure


@st.composite
def relations(draw: st.DrawFn) -> np.ndarray:
    """Draw which arms are better than which; the first ones are never worse."""
    n = draw(st.integers(1, 8))
    flags = draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    return transitive_closure(np.triu(np.array(flags).reshape(n, n), 1))


@given(relations())
def test_arms_share_a_letter_exactly_if_they_are_not_told_apart(better: np.ndarray) -> None:
    letters = [set(text) for text in group_letters(better)]
    for i, mine in enumerate(letters):
        for j, theirs in enumerate(letters):
            assert bool(mine & theirs) == (not better[i, j] and not better[j, i])


@given(relations())
def test_letters_are_the_largest_groups_that_networkx_finds(better: np.ndarray) -> None:
    graph = networkx.from_numpy_array(~(better | better.T))
    graph.remove_edges_from(networkx.selfloop_edges(graph))
    letters = group_letters(better)
    groups = {
        frozenset(i for i, text in enumerate(letters) if letter in text)
        for letter in "".join(letters)
    }
    assert groups == {frozenset(clique) for clique in networkx.find_cliques(graph)}


@given(relations())
def test_every_order_that_fits_has_each_arm_in_its_ranks(better: np.ndarray) -> None:
    graph = networkx.from_numpy_array(better, create_using=networkx.DiGraph)
    order = list(networkx.topological_sort(graph))
    for arm, (best, worst) in enumerate(rank_ranges(better)):
        assert best <= order.index(arm) + 1 <= worst


def test_what_follows_is_told_apart_too() -> None:
    chain = np.zeros((3, 3), dtype=np.bool)
    chain[0, 1] = chain[1, 2] = True
    assert rank_ranges(transitive_closure(chain)) == [(1, 1), (2, 2), (3, 3)]


def test_after_z_comes_a1() -> None:
    assert [letter_name(k) for k in (0, 25, 26)] == ["a", "z", "a1"]
