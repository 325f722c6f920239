"""Train a tokenizer on a sample of the documents; its folder is another node's side input."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID_HASH, SOURCE, TEXT
from pipeline.stage import ShardInfo, Sink, Summary
from shards.tokenizer import FILE_NAMES, tokenizer_info
from stages.kernels.manifest import facts_table
from stages.kernels.sample import Cutoff, PartitionSample, cutoff_of, publish, sampled_texts, write_sample
from stages.tokenization._trainers import (
    SENTENCEPIECE_SPECIALS,
    WORDPIECE_SPECIALS,
    Digits,
    Model,
    Normalize,
    Settings,
    Words,
    train,
)

MANIFEST = "manifest.json"
ALL = ""  # the one sample where sources have no weights
_KINDS: Mapping[Model, str] = {"bpe": "sentencepiece", "unigram": "sentencepiece"}
# Params that shape a vocabulary in one way or another, and the models that know them.
_KNOWN: Mapping[str, Sequence[Model]] = {
    "words": ("byte_bpe",),
    "normalize": ("byte_bpe", "bpe", "unigram"),
    "lowercase": ("byte_bpe", "wordpiece"),
    "prefix_space": ("byte_bpe", "bpe", "unigram"),
    "space_runs": ("bpe", "unigram"),
    "min_frequency": ("byte_bpe", "wordpiece"),
}


def shares_of(weights: Mapping[str, float], max_bytes: int) -> dict[str, int]:
    """Bytes of each source; one sample of all without weights.

    >>> shares_of({"web": 3, "books": 1, "spam": 0}, 100), shares_of({}, 100)
    ({'web': 75, 'books': 25}, {'': 100})
    """
    if not weights:
        return {ALL: max_bytes}
    whole = sum(weights.values())
    return {name: max(1, int(max_bytes * weight / whole)) for name, weight in weights.items() if weight}


def rows_of(batch: pa.RecordBatch, source: str) -> pa.RecordBatch:
    """A source's rows; all of them for ALL."""
    return batch if source == ALL else batch.filter(pc.equal(batch["source"].cast(pa.string()), source))


def train_bpe(
    texts: Iterator[list[str]], vocab_size: int, special_tokens: Sequence[str], min_frequency: int
) -> str:
    """tokenizer.json of a byte-level BPE with GPT-2's words, outside of a run."""
    settings = Settings("byte_bpe", vocab_size, special_tokens, min_frequency)
    return train(lambda: (pa.array(batch, pa.large_string()) for batch in texts), settings).decode()


class TrainTokenizer(Sink[None]):
    """A tokenizer, trained once all partitions have given their sample: byte-level BPE, BPE, unigram or WordPiece."""

    libraries: ClassVar[Sequence[str]] = ("tokenizers", "sentencepiece")

    model: Model = Field(
        "byte_bpe",
        description="byte_bpe (GPT-2, Llama 3) and wordpiece (BERT) make tokenizer.json; bpe (Llama 2, Mistral) and "
        "unigram (T5) SentencePiece's tokenizer.model with bytes for rare characters",
    )
    vocab_size: int = Field(
        32_000, ge=257, description="entries, bytes and special tokens included; too little text gives fewer"
    )
    special_tokens: list[str] = Field(
        ["<|endoftext|>"],
        description="special tokens, which get the first ids after the model's own; the usual names of EOS are "
        "found later",
    )
    words: Words = Field(
        "gpt2",
        description="byte_bpe: how text is cut before merging, as GPT-2 does or as Llama 3 (digits in threes)",
    )
    digits: Digits = Field(
        "words",
        description="digits stay in their words; single: each is a token; triple: runs of three at most",
    )
    normalize: Normalize = Field(
        "none", description="Unicode form that the tokenizer makes of a text; decoding gives that form back"
    )
    lowercase: bool = Field(False, description="byte_bpe and wordpiece: the tokenizer lower-cases texts")
    prefix_space: bool | None = Field(
        None,
        description="put a space before a text, so that its first word is like others; null: bpe and unigram do",
    )
    space_runs: bool = Field(
        True, description="bpe and unigram: runs of spaces may be tokens, as code wants them"
    )
    weights: dict[str, float] = Field(
        {},
        description="share of the sample's bytes by source (others are not taken), whatever there is of each; "
        "none: as documents come",
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
        """The text, the hash that chooses the sample, and the source where sources have weights."""
        return pa.schema([ID_HASH, TEXT, *([SOURCE] if self.weights else [])])

    def problems(self) -> Sequence[str]:
        """A vocabulary without room, special tokens that stand twice, params that the model does not know."""
        found = []
        own = {"byte_bpe": 256, "wordpiece": len(WORDPIECE_SPECIALS)}.get(self.model, 259)
        least = own + len(set(self.special_tokens) - {*WORDPIECE_SPECIALS, *SENTENCEPIECE_SPECIALS})
        if self.vocab_size < least:
            found.append(
                f"vocab_size {self.vocab_size} has no room for {own} bytes and {least - own} special "
                f"tokens; give at least {least}"
            )
        if len(set(self.special_tokens)) < len(self.special_tokens):
            found.append(f"special_tokens {self.special_tokens} names a token twice; name each once")
        found += [
            f"{name} is set, but model {self.model} does not know it; leave it out, or take "
            f"{' or '.join(models)}"
            for name, models in _KNOWN.items()
            if self.model not in models and name in self.model_fields_set
        ]
        if self.digits == "triple" and self.model != "byte_bpe":
            found.append(f"digits triple goes with model byte_bpe, not {self.model}; give single or words")
        if self.normalize == "nfc" and self.model != "byte_bpe":
            found.append(f"normalize nfc goes with model byte_bpe, not {self.model}; give nfkc or none")
        if self.weights and (min(self.weights.values()) < 0 or not any(self.weights.values())):
            found.append(f"weights {self.weights}: give 0 or more to each source, and more than 0 to one")
        return found

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """Keep this partition's part of each source's sample."""
        salt = f"{self.seed}/train_tokenizer"
        limits = shares_of(self.weights, self.max_bytes)
        samples = {name: PartitionSample(self.sample_fraction, salt, limit) for name, limit in limits.items()}
        rows = 0
        for batch in batches:
            rows += batch.num_rows
            for name, sample in samples.items():
                sample.add(rows_of(batch, name))
        files: dict[str, str] = {}
        for number, (name, sample) in enumerate(samples.items()):
            kept = sample.table()
            if kept.num_rows:
                files[name] = f"sample-{number}.arrow"
                write_sample(out / files[name], kept)
        return ShardInfo(tuple(files.values()), rows, {"sources": list(files)})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Train, write the tokenizer and then manifest.json, and remove the samples.

        Raises:
            ValueError: a source with a weight has no text, or the sample does not do for the model.
        """
        files = [out / name for shard in shards for name in shard.files]
        if not (out / MANIFEST).exists():  # a second commit after a kill may find the samples gone
            self._train(self._parts(shards, out), sum(shard.rows for shard in shards), out)
        for file in files:
            file.unlink(missing_ok=True)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """What it was trained on, by source where sources have weights."""
        names = {"vocabulary": "vocab_size", "documents": "documents", "bytes of text": "bytes"}
        tables = [facts_table(out / MANIFEST, "trained", names)]
        sources = orjson.loads((out / MANIFEST).read_bytes()).get("sources", {})
        if sources:
            rows = [[name, part["documents"], part["bytes"]] for name, part in sources.items()]
            tables.append(Summary("sample", ["source", "documents", "bytes of text"], rows, "bytes of text"))
        return tables

    def _parts(self, shards: Sequence[ShardInfo], out: Path) -> dict[str, list[Path]]:
        """Files of each source's sample."""
        parts: dict[str, list[Path]] = {name: [] for name in shares_of(self.weights, self.max_bytes)}
        for shard in shards:
            sources: Any = shard.meta.get("sources", [])
            for name, file in zip(sources, shard.files, strict=True):
                parts[name].append(out / file)
        return parts

    def _train(self, parts: Mapping[str, Sequence[Path]], rows: int, out: Path) -> None:
        cuts = {
            name: cutoff_of(parts[name], limit)
            for name, limit in shares_of(self.weights, self.max_bytes).items()
        }
        self._check(cuts)

        def texts() -> Iterator[pa.Array]:
            for name, cut in cuts.items():
                yield from sampled_texts(parts[name], cut.fraction)

        file = out / FILE_NAMES[_KINDS.get(self.model, "tokenizers")]
        publish(file, train(texts, self._settings()))
        facts = {
            "documents": sum(cut.documents for cut in cuts.values()),
            "bytes": sum(cut.bytes for cut in cuts.values()),
            "file": file.name,
            "rows": rows,
            "vocab_size": tokenizer_info(file).vocab_size,
        }
        if self.weights:
            facts["sources"] = {
                name: {"documents": cut.documents, "bytes": cut.bytes} for name, cut in cuts.items()
            }
        publish(out / MANIFEST, orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))

    def _check(self, cuts: Mapping[str, Cutoff]) -> None:
        empty = [name for name, cut in cuts.items() if not cut.documents]
        if self.weights and empty:
            raise ValueError(
                f"train_tokenizer: source '{empty[0]}' has a weight, but no text in the sample; give it weight 0, "
                "the name of a source node, or a larger sample_fraction"
            )
        if self.model in _KINDS and len(empty) == len(cuts):
            raise ValueError(f"train_tokenizer: the sample has no text, and model {self.model} needs some")

    def _settings(self) -> Settings:
        prefix = self.model in _KINDS if self.prefix_space is None else self.prefix_space
        return Settings(
            self.model,
            self.vocab_size,
            self.special_tokens,
            self.min_frequency,
            self.words,
            self.digits,
            self.normalize,
            self.lowercase,
            prefix,
            self.space_runs,
        )
