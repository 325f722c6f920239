"""Train a byte-level BPE tokenizer on a sample of the documents; its folder is another node's side input."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.schema import ID_HASH, TEXT, hash_fractions
from pipeline.stage import ShardInfo, Sink

SAMPLE = "sample.arrow"
TOKENIZER_FILE = "tokenizer.json"
SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("fraction", pa.float64()),  # the document's place in the order in which texts are taken
        pa.field("size", pa.int64()),  # bytes
        TEXT,
    ]
)
BATCH_TEXTS = 1000  # how many texts go to the trainer at once


def sample_rows(batch: pa.RecordBatch, fraction: float, salt: str) -> pa.Table:
    """The rows whose id falls into the sample, with SAMPLE_SCHEMA; null and empty texts are left out."""
    fractions = hash_fractions(batch.column("id_hash"), salt)
    text = batch.column("text").cast(pa.large_string())
    sizes = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
    keep = pa.array((fractions < fraction) & (sizes > 0))
    table = pa.table([pa.array(fractions), pa.array(sizes.astype(np.int64)), text], schema=SAMPLE_SCHEMA)
    return table.filter(keep)


def lowest(sample: pa.Table, max_bytes: int) -> pa.Table:
    """Rows in order of fraction, up to the one that brings their texts to `max_bytes` bytes."""
    order = np.argsort(sample["fraction"].to_numpy(), kind="stable")
    sizes = np.cumsum(sample["size"].to_numpy()[order])
    return sample.take(pa.array(order[: int(np.searchsorted(sizes, max_bytes)) + 1]))


def train_bpe(
    texts: Iterator[list[str]], vocab_size: int, special_tokens: Sequence[str], min_frequency: int
) -> str:
    """tokenizer.json of a byte-level BPE with GPT-2's word pattern.

    The same texts in any order give the same bytes: merges are chosen by count and then by the pair itself.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str(pretty=True))


class TrainTokenizer(Sink[None]):
    """A byte-level BPE tokenizer, trained once all partitions have given their sample."""

    libraries: ClassVar[Sequence[str]] = ("tokenizers",)

    vocab_size: int = Field(
        32_000, ge=257, description="entries, the 256 bytes and the special tokens included"
    )
    special_tokens: list[str] = Field(
        ["<|endoftext|>"],
        description="special tokens, which get the first ids; the usual names of EOS are found later",
    )
    sample_fraction: float = Field(
        1.0, gt=0.0, le=1.0, description="share of the documents to train on, by hash of id"
    )
    max_bytes: int = Field(
        200_000_000,
        ge=1,
        description="stop taking texts at so many bytes; a worker holds up to twice as many",
    )
    min_frequency: int = Field(2, ge=1, description="how often a pair must occur to be merged")
    seed: int = Field(0, description="another seed, another sample")

    def reads(self) -> pa.Schema:
        """The text, and the hash that chooses the sample."""
        return pa.schema([ID_HASH, TEXT])

    def problems(self) -> Sequence[str]:
        """A vocabulary that has no room, or special tokens that stand twice."""
        found = []
        least = 256 + len(self.special_tokens)
        if self.vocab_size < least:
            found.append(
                f"vocab_size {self.vocab_size} has no room for 256 bytes and {least - 256} special "
                f"tokens; give at least {least}"
            )
        if len(set(self.special_tokens)) < len(self.special_tokens):
            found.append(f"special_tokens {self.special_tokens} names a token twice; name each once")
        return found

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """Keep this partition's part of the sample."""
        kept, size, rows = SAMPLE_SCHEMA.empty_table(), 0, 0
        for batch in batches:
            rows += batch.num_rows
            found = sample_rows(batch, self.sample_fraction, f"{self.seed}/train_tokenizer")
            kept = pa.concat_tables([kept, found])
            size += int(found["size"].to_numpy().sum())
            if size > 2 * self.max_bytes:
                kept = lowest(kept, self.max_bytes)
                size = int(kept["size"].to_numpy().sum())
        kept = lowest(kept, self.max_bytes)
        if not kept.num_rows:
            return ShardInfo(rows=rows)
        with pa.OSFile(str(out / SAMPLE), "wb") as file, pa.ipc.new_file(file, SAMPLE_SCHEMA) as writer:
            writer.write_table(kept, max_chunksize=BATCH_TEXTS)
        return ShardInfo((SAMPLE,), rows, {"sampled_documents": kept.num_rows})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Train, write tokenizer.json and then manifest.json, and remove the samples."""
        files = [out / name for shard in shards for name in shard.files]
        if not (out / "manifest.json").exists():  # a second commit after a kill may find the samples gone
            cutoff, documents, size = _cutoff(files, self.max_bytes)
            text = train_bpe(_texts(files, cutoff), self.vocab_size, self.special_tokens, self.min_frequency)
            _publish(out / TOKENIZER_FILE, text.encode())
            facts = {
                "documents": documents,
                "bytes": size,
                "file": TOKENIZER_FILE,
                "rows": sum(shard.rows for shard in shards),
                "vocab_size": Tokenizer.from_str(text).get_vocab_size(),
            }
            _publish(
                out / "manifest.json", orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
            )
        for file in files:
            file.unlink(missing_ok=True)


def _cutoff(files: Sequence[Path], max_bytes: int) -> tuple[float, int, int]:
    """The fraction up to which texts are taken, and how many documents and bytes that makes."""
    parts = [_read(file, ["fraction", "size"]) for file in files]
    table = pa.concat_tables([SAMPLE_SCHEMA.empty_table().select(["fraction", "size"]), *parts])
    taken = lowest(table, max_bytes)
    if not taken.num_rows:
        return -1.0, 0, 0
    return taken["fraction"][-1].as_py(), taken.num_rows, int(taken["size"].to_numpy().sum())


def _texts(files: Sequence[Path], cutoff: float) -> Iterator[list[str]]:
    """Texts up to the cutoff, file by file, each in order of fraction."""
    for file in files:
        with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
            for i in range(reader.num_record_batches):
                batch = reader.get_batch(i)
                yield batch.column("text").filter(pc.less_equal(batch.column("fraction"), cutoff)).to_pylist()


def _read(file: Path, columns: list[str]) -> pa.Table:
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all().select(columns)


def _publish(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
