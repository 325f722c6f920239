"""Ids are given once, are unique in their partition, and do not depend on batches."""

import pyarrow as pa

from pipeline.identity import Identity
from pipeline.schema import ORIGIN, TEXT, id_hashes

WRITTEN = pa.schema([ORIGIN, TEXT])


def batch(keys):
    origin = pa.array([{"file": "d/f.txt", "key": k, "offset": 0} for k in keys], ORIGIN.type)
    return pa.RecordBatch.from_arrays([origin, pa.array(["x"] * len(keys), TEXT.type)], schema=WRITTEN)


def ids(*batches):
    identity = Identity("src")
    return [i for keys in batches for i in identity.complete(batch(keys), WRITTEN)["id"].to_pylist()]


def test_ids_and_hashes():
    made = Identity("src").complete(batch(["a", "b"]), WRITTEN)
    assert made["id"].to_pylist() == ["src/d/f.txt#a", "src/d/f.txt#b"]
    assert made["id_hash"].equals(id_hashes(["src/d/f.txt#a", "src/d/f.txt#b"]))
    assert made["source"].to_pylist() == ["src", "src"]
    assert made.schema.names == ["id", "id_hash", "source", "origin", "text"]


def test_repeated_keys_are_numbered_in_order_whatever_the_batches():
    wanted = ["src/d/f.txt#" + k for k in ("a", "a~2", "b", "a~3", "b~2")]
    assert ids(["a", "a", "b", "a", "b"]) == wanted
    assert ids(["a"], ["a", "b"], ["a"], ["b"]) == wanted
    assert ids(["a", "a"], [], ["b", "a", "b"]) == wanted


def test_children():
    made = Identity("src").complete(batch(["a", "b", "c"]), WRITTEN)
    rows, new, parents = Identity.children(made, pa.array([0, 1, 1, 1], pa.int64()))
    assert rows["id"].to_pylist() == [
        "src/d/f.txt#a", "src/d/f.txt#b#1", "src/d/f.txt#b#2", "src/d/f.txt#b#3",
    ]  # fmt: skip
    assert new.to_pylist() == rows["id"].to_pylist()[1:]
    assert parents.to_pylist() == ["src/d/f.txt#b"] * 3
    assert rows["id_hash"].equals(id_hashes(rows["id"].to_pylist()))
