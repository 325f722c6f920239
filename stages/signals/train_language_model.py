"""Train an n-gram language model on a sample of the documents; its folder is the side input of `perplexity`.

Wenzek et al. 2020 (CCNet, arXiv:1911.00359, section 3.3) score web pages by a model of Wikipedia and keep the third
that reads most like it. Which documents are the model, is which inputs this node has.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field

from pipeline.schema import ID_HASH, TEXT
from pipeline.stage import ShardInfo, Sink, Summary
from stages.kernels.manifest import facts_table
from stages.kernels.sample import (
    Cutoff,
    cutoff_of,
    publish,
    sample_partition,
    sampled_texts,
    write_sample,
)
from stages.signals._lm_arpa import arpa_parts
from stages.signals._lm_model import LanguageModel, build_model, save_model, score

SAMPLE = "sample.arrow"
ARPA_FILE = "model.arpa"
MIN_HELD_OUT = 3  # documents; thirds of fewer say nothing


def terciles(model: LanguageModel, texts: Iterable[pa.Array]) -> tuple[tuple[float, float] | None, int]:
    """Perplexities below which a third and two thirds of the texts lie; how many texts have one."""
    found = np.concatenate([np.zeros(0), *(score(model, part).perplexity for part in texts)])
    found = found[np.isfinite(found)]
    if len(found) < MIN_HELD_OUT:
        return None, len(found)
    low, high = np.quantile(found, [1 / 3, 2 / 3]).tolist()
    return (low, high), len(found)


class TrainLanguageModel(Sink[None]):
    """An interpolated modified Kneser-Ney model of words, with the cuts that make `perplexity_bucket`."""

    version: ClassVar[int] = 3

    order: int = Field(
        3, ge=2, le=6, description="words to the longest n-gram; 5 in CCNet, and dearer to hold"
    )
    min_count: int = Field(2, ge=1, description="how often a word must occur; rarer ones become <unk>")
    max_words: int = Field(1_000_000, ge=1, description="words in the vocabulary; the most frequent are kept")
    prune: int = Field(
        1, ge=0, description="n-grams of 3 and more words that occur no more often are left out"
    )
    sample_fraction: float = Field(
        1.0, gt=0.0, le=1.0, description="share of the documents to train on, by hash of id"
    )
    max_bytes: int = Field(
        50_000_000,
        ge=1,
        description="stop taking texts at so many bytes; training takes 10 times `order` bytes of memory for each",
    )
    held_out: float = Field(
        0.1, gt=0.0, le=0.5, description="share of the sampled bytes kept for the cuts of the buckets"
    )
    arpa: bool = Field(False, description="also write model.arpa, which kenlm and others read")
    seed: int = Field(0, description="another seed, another sample")

    def reads(self) -> pa.Schema:
        return pa.schema([ID_HASH, TEXT])

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """Keep this partition's part of the sample."""
        salt = f"{self.seed}/train_language_model"
        kept, rows = sample_partition(batches, self.sample_fraction, salt, self.max_bytes)
        if not kept.num_rows:
            return ShardInfo(rows=rows)
        write_sample(out / SAMPLE, kept)
        return ShardInfo((SAMPLE,), rows, {"sampled_documents": kept.num_rows})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Train, write the model and then manifest.json, and remove the samples.

        Raises:
            ValueError: no word occurs often enough.
        """
        files = [out / name for shard in shards for name in shard.files]
        if not (out / "manifest.json").exists():  # a second commit after a kill may find the samples gone
            self._train(files, sum(shard.rows for shard in shards), out)
        for file in files:
            file.unlink(missing_ok=True)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """What it was trained on, and what it holds."""
        names = {"words": "words", "order": "order", "documents": "documents", "bytes of text": "bytes"}
        return [facts_table(out / "manifest.json", "trained", names)]

    def _train(self, files: Sequence[Path], rows: int, out: Path) -> None:
        taken = cutoff_of(files, self.max_bytes)
        trained = self._without_held_out(files, taken)
        built = build_model(
            list(sampled_texts(files, trained.fraction)),
            self.order,
            self.min_count,
            self.max_words,
            self.prune,
        )
        texts = sampled_texts(files, taken.fraction, above=trained.fraction)
        cuts, scored = terciles(built.model, texts)
        facts = {
            "documents": trained.documents,
            "bytes": trained.bytes,
            "held_out": scored,
            "ngrams": [len(n.probs) for n in built.orders],
            "words": len(built.model.words),
        }
        save_model(built.model._replace(cuts=cuts), out, facts)
        if self.arpa:
            with (out / ARPA_FILE).open("w", encoding="utf-8") as file:
                file.writelines(arpa_parts(built))
        manifest = facts | {"rows": rows, "cuts": cuts, "order": self.order}
        text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        publish(out / "manifest.json", text)

    def _without_held_out(self, files: Sequence[Path], taken: Cutoff) -> Cutoff:
        """Where training stops, so that the rest of what was taken is held out; all if that leaves nothing."""
        trained = cutoff_of(files, int(taken.bytes * (1 - self.held_out)))
        return trained if trained.documents else taken
