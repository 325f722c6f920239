"""T45, T52: more rows, tokens and bytes than 32 bits count, in a sparse shard and a simulated index."""

import numpy as np
import pyarrow as pa

from shards.format import Manifest, ShardFile, TokenizerInfo, row_schema, write_folder
from shards.loader import TokenShards

ROW = 1 << 20  # tokens: a record batch holds one such row


class Sparse:
    """A file that leaves holes instead of writing zeros."""

    def __init__(self, path):
        self.file, self.closed = path.open("wb"), False

    def write(self, data):
        data = memoryview(data)
        if len(data) > 4096 and not np.frombuffer(data[: len(data) // 8 * 8], np.int64).any():
            self.file.seek(len(data), 1)
        else:
            self.file.write(data)
        return len(data)

    def tell(self):
        return self.file.tell()

    def flush(self):
        self.file.flush()

    def close(self):
        if not self.closed:
            self.file.truncate(self.file.tell())
            self.file.close()
        self.closed = True


def batch_of(ids, schema):
    piece = {"id": "d", "start": 0, "end": ROW, "tokens": ROW}
    offsets = pa.array([0, ROW], pa.int32())
    columns = [
        pa.ListArray.from_arrays(offsets, pa.array(ids)),
        pa.array([[ROW // 2, ROW // 2]], schema.field(1).type),
        pa.array([[piece]], schema.field("pieces").type),
    ]
    return pa.record_batch(columns, schema=schema)


def manifest_of(shards, seq_len):
    return Manifest(
        dtype="uint32",
        seq_len=seq_len,
        packing="concat",
        labels=False,
        rows=sum(s.rows for s in shards),
        tokens=sum(s.tokens for s in shards),
        documents=1,
        tokenizer=TokenizerInfo("ab", "tokenizers", 100_000, eos_id=0),
        shards=shards,
    )


def test_a_shard_beyond_4_gib(tmp_path):
    schema, count = row_schema("uint32", labels=False), 1100
    path, zeros = tmp_path / "a.arrow", np.zeros(ROW, np.uint32)
    with pa.PythonFile(Sparse(path), "w") as file, pa.ipc.new_stream(file, schema) as writer:
        zero_batch = batch_of(zeros, schema)
        for _ in range(count - 1):
            writer.write_batch(zero_batch)
        writer.write_batch(batch_of(np.arange(ROW, dtype=np.uint32) % 99_991, schema))
    assert path.stat().st_size > 2**32
    shard = ShardFile("a.arrow", count, count * ROW, path.stat().st_size, "00" * 32)
    write_folder(tmp_path, manifest_of((shard,), ROW))
    loader = TokenShards(tmp_path, batch=2, shuffle=False)
    assert np.array_equal(loader[count - 1]["input_ids"], np.arange(ROW) % 99_991)
    assert not loader[count - 2]["input_ids"].any()
    batch = loader.collate([count - 1, 3])
    assert np.array_equal(batch["input_ids"][0], np.arange(ROW) % 99_991)
    assert not batch["input_ids"][1].any()
    assert batch["position_ids"][0, ROW // 2 - 1 : ROW // 2 + 1].tolist() == [ROW // 2 - 1, 0]
    many = loader.collate([count - 1, *range(5)])  # more rows of one shard than are taken one by one
    assert np.array_equal(many["labels"][0], np.arange(ROW) % 99_991)


def test_an_index_beyond_2_31_rows_and_tokens(tmp_path):
    each, count = 2**31 + 3, 1200
    shards = tuple(ShardFile(f"{i}.arrow", each, each * 2048, 2**43, f"{i:064x}") for i in range(count))
    write_folder(tmp_path, manifest_of(shards, 2048))
    loader = TokenShards(tmp_path, batch=4, seed=3, rank=1, world_size=2)
    assert len(loader) == count * each > 2**41
    loader.load_state_dict({**loader.state_dict(), "position": len(loader) - 13})
    steps = list(loader.ranges(loader.position))
    assert [(step.low, step.high) for step in steps] == [
        (len(loader) - 9, len(loader) - 5),
        (len(loader) - 3, len(loader)),
    ]
    rows = loader.order(np.arange(steps[0].low, steps[0].high))
    assert len(set(rows.tolist())) == 4
    assert rows.max() > 2**32
    found = []
    loader.store.shard = lambda number: found.append(number) or number
    for _, _, local in loader.store.groups(np.array([each - 1, each, len(loader) - 1, 700 * each + 5])):
        found.append(local.tolist())
    assert found == [0, 1, 700, count - 1, [each - 1], [0], [5], [each - 1]]
    assert loader.manifest.tokens > 2**52
