"""Train a byte-level BPE tokenizer on a sample of the documents; its folder is another node's side input."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import orjson
import pyarrow as pa
from pydantic import Field
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.schema import ID_HASH, TEXT
from pipeline.stage import ShardInfo, Sink
from stages.kernels.sample import cutoff_of, publish, sample_partition, sampled_texts, write_sample

SAMPLE = "sample.arrow"
TOKENIZER_FILE = "tokenizer.json"


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
        salt = f"{self.seed}/train_tokenizer"
        kept, rows = sample_partition(batches, self.sample_fraction, salt, self.max_bytes)
        if not kept.num_rows:
            return ShardInfo(rows=rows)
        write_sample(out / SAMPLE, kept)
        return ShardInfo((SAMPLE,), rows, {"sampled_documents": kept.num_rows})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Train, write tokenizer.json and then manifest.json, and remove the samples."""
        files = [out / name for shard in shards for name in shard.files]
        if not (out / "manifest.json").exists():  # a second commit after a kill may find the samples gone
            cutoff = cutoff_of(files, self.max_bytes)
            texts = (texts.to_pylist() for texts in sampled_texts(files, cutoff.fraction))
            text = train_bpe(texts, self.vocab_size, self.special_tokens, self.min_frequency)
            publish(out / TOKENIZER_FILE, text.encode())
            facts = {
                "documents": cutoff.documents,
                "bytes": cutoff.bytes,
                "file": TOKENIZER_FILE,
                "rows": sum(shard.rows for shard in shards),
                "vocab_size": Tokenizer.from_str(text).get_vocab_size(),
            }
            publish(
                out / "manifest.json", orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
            )
        for file in files:
            file.unlink(missing_ok=True)
