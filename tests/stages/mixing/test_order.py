"""Places sort as values do: every kind of number, nulls last, alike within steps."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.schema import hash_fractions, id_hashes
from stages.mixing.order import Key, OrderDocuments, places_of


def key(**given):
    return Key.model_validate_json(json.dumps({"column": "n"} | given))


def sorts(values, **given):
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return np.argsort(places_of(column, key(**given)), kind="stable").tolist()


NUMBERS = st.one_of(st.none(), st.integers(-(2**62), 2**62))
FLOATS = st.one_of(st.none(), st.floats())


def expected(values, descending=False):
    missing = [v is None or (isinstance(v, float) and math.isnan(v)) for v in values]
    sign = -1 if descending else 1
    return sorted(range(len(values)), key=lambda i: (missing[i], 0 if missing[i] else sign * values[i], i))


@given(st.lists(NUMBERS), st.booleans())
def test_whole_numbers(values, descending):
    assert sorts(pa.array(values, pa.int64()), descending=descending) == expected(values, descending)


@given(st.lists(FLOATS), st.booleans())
def test_fractions(values, descending):
    assert sorts(pa.array(values, pa.float64()), descending=descending) == expected(values, descending)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint32(), pa.float32(), pa.bool_()])
def test_other_types(kind):
    assert sorts(pa.array([1, 0, None, 1], pa.int8()).cast(kind)) == [1, 0, 3, 2]


def test_steps_leave_values_alike():
    lengths = pa.array([130, 5, 99, 100, 250, None])
    places = places_of(lengths, key(step=100)).tolist()
    assert places[0] == places[3]
    assert places[1] == places[2]
    assert sorts(lengths, step=100) == [1, 2, 0, 3, 4, 5]
    factors = places_of(pa.array([4.0, 7.9, 8.1, 0.0, -3.0]), key(ratio=2))
    assert factors[0] == factors[1] < factors[2]
    assert factors[3] == factors[4] < factors[0]


def batch(rows):
    ids = [f"web/{k}" for k in range(rows)]
    return pa.record_batch(
        {"id_hash": id_hashes(ids), "n": pa.array(range(rows)), "phase": pa.array([0, 1] * (rows // 2))}
    )


def test_keys_count_in_turn():
    stage = OrderDocuments.model_validate_json('{"by": ["phase", {"column": "n", "descending": true}]}')
    placed = stage.place(batch(6), None)
    order = np.lexsort([c.to_numpy() for c in reversed(placed.columns)]).tolist()
    assert order == [4, 2, 0, 5, 3, 1]
    assert stage.reads().names == ["id_hash", "phase", "n"]


def test_shuffle_is_by_id_and_seed():
    one, other = (OrderDocuments(seed=seed).place(batch(50), None)["0"].to_numpy() for seed in (0, 1))
    assert np.argsort(one).tolist() != np.argsort(other).tolist()
    fractions = hash_fractions(batch(50)["id_hash"], "0/order")
    assert np.argsort(one).tolist() == np.argsort(fractions).tolist()


def test_a_column_of_words_is_refused():
    with pytest.raises(ValueError, match="column 'n' is string; order by a column of numbers"):
        places_of(pa.array(["a"]), key())


@pytest.mark.parametrize(
    ("by", "problem"),
    [
        (
            ["shuffle", "n"],
            "by: shuffle leaves no two documents alike, so what follows it does nothing; put it last",
        ),
        (["n", {"column": "n"}], "by: 'n' is there twice"),
        ([{"column": "n", "step": 2, "ratio": 2}], "by: n: step and ratio are both given; give one"),
    ],
)
def test_params_that_cannot_be_meant(by, problem):
    assert OrderDocuments.model_validate_json(json.dumps({"by": by})).problems() == [problem]
