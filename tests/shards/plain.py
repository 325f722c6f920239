"""Shards written here from lists of rows, without any stage: every shape of row, and as many shards as wanted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards.format import (
    PIECE_TYPE,
    Manifest,
    ShardFile,
    TokenizerInfo,
    file_sha256,
    row_schema,
    write_folder,
)

VOCAB = 60_000


def make_rows(count: int, seed: int = 0, longest: int = 24, full: bool = False) -> list[list[list[int]]]:
    """Rows as lists of documents as lists of ids; every row holds at least one id."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        left = longest if full else int(rng.integers(1, longest + 1))
        row = []
        while left:
            size = int(rng.integers(1, left + 1))
            row.append(rng.integers(0, VOCAB, size).tolist())
            left -= size
        found.append(row)
    return found


def write_shard(path: Path, rows: list, dtype: str, labels: bool, batch_rows: int) -> ShardFile:
    schema = row_schema(dtype, labels)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for start in range(0, len(rows), batch_rows):
            part = rows[start : start + batch_rows]
            lengths = [[len(document) for document in row] for row in part]
            ids = [[token for document in row for token in document] for row in part]
            pieces = [
                [{"id": f"d{n}", "start": 0, "end": n, "tokens": n} for n in row_lengths]
                for row_lengths in lengths
            ]
            columns = {"input_ids": ids, "seq_lengths": lengths, "pieces": pieces}
            # every second token is learnt, so that labels differ from ids
            columns["labels"] = [[t if i % 2 else -100 for i, t in enumerate(row)] for row in ids]
            assert schema.field("pieces").type.value_type == PIECE_TYPE
            writer.write_batch(
                pa.record_batch([pa.array(columns[f.name], f.type) for f in schema], schema=schema)
            )
    tokens = sum(len(document) for row in rows for document in row)
    return ShardFile(path.name, len(rows), tokens, path.stat().st_size, file_sha256(path))


def write_plain(
    folder: Path,
    shards: Sequence[list],
    *,
    seq_len: int | None = 24,
    packing: str = "concat",
    dtype: str = "uint16",
    labels: bool = False,
    batch_rows: int = 7,
    tokenizer: str = "{}",
    vocab_size: int = VOCAB,
    **more,
) -> Path:
    """A folder with one shard for each list of rows."""
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text(tokenizer)
    files = tuple(
        write_shard(folder / f"{i:06d}.arrow", rows, dtype, labels, batch_rows)
        for i, rows in enumerate(shards)
    )
    manifest = Manifest(
        dtype=dtype,
        seq_len=seq_len,
        packing=packing,
        labels=labels,
        rows=sum(file.rows for file in files),
        tokens=sum(file.tokens for file in files),
        documents=sum(len(row) for rows in shards for row in rows),
        tokenizer=TokenizerInfo(
            file_sha256(folder / "tokenizer.json"), "tokenizers", vocab_size, eos_id=3, file="tokenizer.json"
        ),
        shards=files,
        **more,
    )
    write_folder(folder, manifest)
    return folder


def plain_shards(folder: Path, counts: Sequence[int] = (13, 0, 21, 5), seed: int = 0, **more) -> Path:
    rows = [make_rows(count, seed=100 * seed + i) for i, count in enumerate(counts)]
    return write_plain(folder, rows, **more)
