"""Exact proportions at every prefix, epochs counted, nothing twice unless asked. Splits: test_stream.py."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.format import ShardError
from shards.loader import TokenShards
from shards.mixture import Mixture
from shards.schedule import PERIOD, Schedule, shares
from tests.shards.plain import make_rows, plain_shards, write_plain


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    at = tmp_path_factory.mktemp("mixture")
    return [plain_shards(at / str(i), (count, 3), seed=i) for i, count in enumerate((37, 9, 17))]


def parts(folders, **params):
    return [TokenShards(folder, seed=i, **params) for i, folder in enumerate(folders)]


def keys(batches):
    return [
        pair
        for batch in batches
        for pair in zip(batch["component"].tolist(), batch["rows"].tolist(), strict=True)
    ]


weights_of = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@settings(deadline=None)
@given(weights_of, st.integers(0, 3))
def test_every_prefix_has_its_proportions(weights, seed):  # T50
    schedule = Schedule(weights, seed)
    n = 2 * schedule.period + 5
    components, ordinals = schedule.at(np.arange(n))
    total, counts = sum(weights), [0] * len(weights)
    for place in range(n):
        assert ordinals[place] == counts[components[place]]
        assert schedule.place_of(int(components[place]), int(ordinals[place])) == place
        assert schedule.given(place) == counts
        counts[components[place]] += 1
        for count, weight in zip(counts, weights, strict=True):
            exact = Fraction(weight * (place + 1), total)
            assert math.floor(exact) <= count <= math.ceil(exact)


def test_any_place_is_computed_without_those_before():
    schedule = Schedule([0.7, 0.2, 0.1])
    far = 10**15
    components, ordinals = schedule.at(np.arange(far, far + 10))
    assert np.bincount(components).tolist() == [7, 2, 1]
    assert ordinals[components == 0].tolist() == list(range(7 * 10**14, 7 * 10**14 + 7))


def test_shares():
    assert shares([1, 1]) == [Fraction(1, 2)] * 2
    assert shares([0.1, 0.2]) == [Fraction(1, 3), Fraction(2, 3)]  # decimals mean what they say
    assert shares([Fraction(1, 3), Fraction(2, 3)]) == [Fraction(1, 3), Fraction(2, 3)]
    rounded = shares([math.pi, math.e, 1e-9])
    assert sum(rounded) == 1
    for share, weight in zip(rounded, (math.pi, math.e), strict=False):
        assert abs(float(share) - weight / (math.pi + math.e)) < 2 / PERIOD
    assert rounded[2] >= Fraction(1, PERIOD + 1)  # small, never nothing


@pytest.mark.parametrize("weights", [[], [1, 0], [1, -1], [float("nan")], [1, float("inf")]])
def test_weights_that_are_refused(weights):
    with pytest.raises(ValueError, match="weights: "):
        shares(weights)


def test_rows_of_components_come_in_their_own_order(folders):
    mixture = Mixture(parts(folders), [5, 2, 3], seed=4, batch=3)
    found = keys(mixture)
    for c, one in enumerate(parts(folders)):
        mine = [row for part, row in found if part == c]
        assert mine == one.order(np.arange(len(mine))).tolist()


def test_no_row_twice_unless_asked(folders):  # T50
    mixture = Mixture(parts(folders), [5, 2, 3], batch=4)
    found = keys(mixture)
    assert len(found) == len(mixture) == len(set(found))
    given_to = mixture.schedule.given(len(mixture) + 1)
    assert any(count > len(one) for count, one in zip(given_to, parts(folders), strict=True))
    twice = keys(Mixture(parts(folders), [5, 2, 3], batch=4, max_epochs=2))
    assert len(twice) > len(found)
    assert max(twice.count(key) for key in set(twice)) == 2
    assert twice[: len(found)] == found


def test_rows_beyond_the_cap_are_refused(folders):
    cap = len(Mixture(parts(folders), [1, 1, 1]))
    assert 36 <= cap <= 38  # 12 rows of the second, three components in turn, up to its 13th
    assert len(Mixture(parts(folders), [1, 1, 1], rows=cap)) == cap
    with pytest.raises(ValueError, match=r"rows 99: component 1 has been read 1 times after 3\d rows"):
        Mixture(parts(folders), [1, 1, 1], rows=99)
    assert len(Mixture(parts(folders), [1, 1, 1], rows=99, max_epochs=None)) == 99


def test_epochs_of_components_are_counted_and_have_their_own_order(folders):
    mixture = Mixture(
        parts(folders), [1, 8, 1], rows=200, max_epochs=None, columns=("rows", "component", "component_epoch")
    )
    seen = {}
    for batch in mixture:
        if batch["component"][0] == 1:
            seen.setdefault(int(batch["component_epoch"][0]), []).append(int(batch["rows"][0]))
    assert sorted(seen) == list(range(14))
    whole = [seen[e] for e in range(13)]
    assert all(sorted(epoch) == list(range(12)) for epoch in whole)
    assert len({tuple(epoch) for epoch in whole}) == 13
    mixture.load_state_dict({**mixture.state_dict(), "epoch": 0, "position": 100})
    assert mixture.read() == pytest.approx([10 / 40, 80 / 12, 10 / 20])


def test_the_next_epoch_goes_on_in_the_components(folders):
    mixture = Mixture(parts(folders)[:2], [3, 1], rows=8)
    first, second = keys(mixture), keys(mixture)
    assert not set(first) & set(second)
    one = TokenShards(folders[0], seed=0)
    assert [r for c, r in first + second if c == 0] == one.order(np.arange(12)).tolist()


def test_without_end(folders):
    mixture = Mixture(parts(folders), [1, 1, 1], max_epochs=None, batch=50)
    batches = iter(mixture)
    assert len(keys(next(batches) for _ in range(10))) == 500
    assert mixture.steps() is None
    assert mixture.state_dict()["position"] == 500
    with pytest.raises(TypeError, match="has no end; give it rows or max_epochs"):
        len(mixture)


def test_batches_hold_the_rows(folders):
    mixture = Mixture(parts(folders), [2, 1, 1], batch=5, seq_len=30)
    for batch in mixture:
        for i, (c, row) in enumerate(keys([batch])):
            single = TokenShards(folders[c], seq_len=30).collate([row])
            for name in ("input_ids", "labels", "position_ids", "attention_mask"):
                assert np.array_equal(batch[name][i], single[name][0])


def test_labels_of_one_component_only(tmp_path):
    with_labels = write_plain(tmp_path / "a", [make_rows(9)], labels=True)
    without = write_plain(tmp_path / "b", [make_rows(9, 1)])
    both = [TokenShards(with_labels), TokenShards(without)]
    batch = next(iter(Mixture(both, [1, 1], batch=18)))
    for i, (c, row) in enumerate(keys([batch])):
        single = both[c].collate([row])
        n = single["labels"].shape[1]
        assert np.array_equal(batch["labels"][i, :n], single["labels"][0])


def test_what_cannot_be_mixed(folders, tmp_path):
    other = write_plain(tmp_path / "a", [make_rows(3)], tokenizer='{"x": 1}')
    with pytest.raises(ShardError, match="tokenize both with one tokenizer"):
        Mixture([TokenShards(folders[0]), TokenShards(other)], [1, 1])
    empty = write_plain(tmp_path / "b", [[]])
    with pytest.raises(ShardError, match="has no rows; leave it out of the mixture"):
        Mixture([TokenShards(empty)], [1])
    with pytest.raises(ShardError, match="rows of up to 24 tokens, but seq_len is 8"):
        Mixture(parts(folders), [1, 1, 1], seq_len=8)
    with pytest.raises(ValueError, match="weights: has 2 for 3 components"):
        Mixture(parts(folders), [1, 1])


def test_states_of_other_mixtures_are_refused(folders):
    state = Mixture(parts(folders), [2, 1, 1]).state_dict()
    for other, name in [
        (Mixture(parts(folders), [1, 1, 1]), "shares"),
        (Mixture(parts(folders), [2, 1, 1], seed=1), "seed"),
        (Mixture(parts(folders, epoch=1), [2, 1, 1]), "data"),
        (Mixture(parts(folders), [2, 1, 1], rows=5), "rows"),
    ]:
        with pytest.raises(ShardError, match=f"state: {name} is"):
            other.load_state_dict(state)
