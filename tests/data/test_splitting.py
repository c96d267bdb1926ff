"""Stratified splits: sizes, reproducibility and rare classes."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.data.label_statistics import stratified_split


@given(
    arrays.arrays(
        "int64", st.tuples(st.integers(2, 40), st.integers(1, 6)), elements=st.integers(0, 1)
    ),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_every_example_is_in_one_part_of_the_size_asked_for(counts, share, seed):
    first, second = stratified_split(counts, share, seed)
    assert sorted([*first, *second]) == list(range(len(counts)))
    assert len(second) == min(max(1, round(share * len(counts))), len(counts) - 1)
    again = stratified_split(counts, share, seed)
    np.testing.assert_array_equal(again[1], second)


@pytest.mark.parametrize("seed", range(10))
def test_a_rare_class_is_in_both_parts(seed):
    """A random fifth of the examples would lack the rare class in a third of the splits."""
    rng = np.random.default_rng(seed)
    counts = np.ones((50, 3), int)
    counts[:, 1] = rng.random(50) < 0.5
    counts[:, 2] = 0
    counts[rng.choice(50, 5, replace=False), 2] = 7
    first, second = stratified_split(counts, 0.2, seed)
    assert (counts[second, 2] > 0).sum() == 1 and (counts[first, 2] > 0).sum() == 4
    assert abs((counts[second, 1] > 0).mean() - (counts[:, 1] > 0).mean()) < 0.11


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("count", [2, 3])
def test_a_class_of_few_examples_is_in_both_parts(share, count):
    counts = np.ones((20, 2), int)
    counts[count:, 1] = 0
    parts = stratified_split(counts, share)
    assert all(counts[part, 1].any() for part in parts)


def test_a_single_example_is_in_both_parts():
    assert [part.tolist() for part in stratified_split(np.ones((1, 2)), 0.2)] == [[0], [0]]


@pytest.mark.parametrize(("count", "share"), [(0, 0.2), (3, 0.0), (3, 1.0)])
def test_wrong_arguments(count, share):
    with pytest.raises(ValueError, match="Received: "):
        stratified_split(np.ones((count, 2)), share)
