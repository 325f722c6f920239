"""The order is a permutation, chosen by seed and epoch, and needs no memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.order import shuffled


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 1000, 65_537])
def test_every_row_once(rows):
    assert np.array_equal(np.sort(shuffled(np.arange(rows), rows, 3, 1)), np.arange(rows))


def test_seed_and_epoch_choose_the_order():
    orders = {tuple(shuffled(np.arange(50), 50, seed, epoch)) for seed in (0, 1, 2) for epoch in (0, 1, 2)}
    assert len(orders) == 9


def test_the_order_is_pinned():  # a saved position means the same rows in every version
    assert shuffled(np.arange(8), 8, seed=17, epoch=0).tolist() == [5, 6, 4, 3, 2, 0, 7, 1]


def test_no_trace_of_the_stored_order():
    rows = 10_000
    order = shuffled(np.arange(rows), rows, 5, 0)
    assert abs(np.corrcoef(np.arange(rows), order)[0, 1]) < 0.03  # 3 sigma
    assert np.mean(np.abs(np.diff(order)) == 1) < 0.002


@given(st.integers(1, 2**62), st.integers(0, 2**63), st.data())
def test_huge_corpora(rows, seed, data):
    positions = np.array(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=20, unique=True)))
    found = shuffled(positions, rows, seed, 0)
    assert len(set(found.tolist())) == len(positions)
    assert found.min() >= 0
    assert found.max() < rows
    assert [
        int(shuffled(positions[i : i + 1], rows, seed, 0)[0]) for i in range(len(positions))
    ] == found.tolist()


def test_nothing():
    assert shuffled(np.arange(0), 0, 1, 1).tolist() == []
