"""Train a classifier inside a pipeline: documents like these against the rest; its folder is a side input.

Reference data against web pages, as GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix A) and DataComp-LM (Li et
al. 2024, arXiv:2406.11794) did: two sources as inputs, `positive: [books]`, and `classify_text` on what comes
later.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID_HASH, SOURCE, TEXT, hash_fractions
from pipeline.stage import ShardInfo, Sink, Summary
from stages.kernels.manifest import facts_table
from stages.signals.classify import CARD_SUFFIX, MODEL_FILE
from stages.signals.train_classifier import Settings, train_classifier, write_model

POSITIVE, NEGATIVE = "positive", "negative"
SAMPLE = "sample.arrow"
SAMPLE_SCHEMA = pa.schema([("fraction", pa.float64()), ("positive", pa.bool_()), TEXT])


def lowest(sample: pa.Table, most: int) -> pa.Table:
    """Of each label the `most` rows with the lowest fractions, in order of fraction."""
    order = np.argsort(sample["fraction"].to_numpy(), kind="stable")
    positive = sample["positive"].to_numpy()[order]
    rank = np.where(positive, np.cumsum(positive), np.cumsum(~positive))
    return sample.take(pa.array(order[rank <= most]))


class TrainQualityClassifier(Sink[None]):
    """A fastText classifier of documents like some of its inputs; model, card and measurements in one folder."""

    libraries: ClassVar[Sequence[str]] = ("fasttext-community", "pyarrow")

    label_column: str = Field(
        "source", min_length=1, description="column that tells the two kinds apart, string"
    )
    positive: list[str] = Field(
        min_length=1,
        description="its values that are positive, such as names of sources; all others are negative",
    )
    max_documents: int = Field(
        200_000,
        ge=2,
        description="documents of either kind to take, by hash of id; a worker holds up to 4 times as many",
    )
    max_chars: int | None = Field(
        5000, ge=1, description="code points read from the start of a text; null = all"
    )
    lowercase: bool = Field(False, description="lower-case the texts; classify_text must do so too")
    epochs: int = Field(5, ge=1, description="times that each text is seen")
    dim: int = Field(64, ge=1, description="width of the hidden layer")
    word_ngrams: int = Field(2, ge=1, description="longest run of words that is a feature")
    lr: float = Field(0.5, gt=0, description="learning rate")
    min_count: int = Field(2, ge=1, description="how often a word must occur")
    bucket: int = Field(200_000, ge=1, description="n-gram buckets; dim * 4 bytes each in the file")
    valid_fraction: float = Field(0.1, ge=0, le=0.5, description="share of either kind held out to measure")
    quantize: bool = Field(False, description="compress the model, about sixfold")
    seed: int = Field(0, ge=0, description="another seed, another sample and start")

    def reads(self) -> pa.Schema:
        column = SOURCE if self.label_column == SOURCE.name else pa.field(self.label_column, pa.string())
        return pa.schema([ID_HASH, TEXT, column])

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """Keep this partition's part of the sample."""
        kept, rows = SAMPLE_SCHEMA.empty_table(), 0
        for batch in batches:
            rows += batch.num_rows
            kept = pa.concat_tables([kept, self._labelled(batch)])
            if kept.num_rows > 4 * self.max_documents:
                kept = lowest(kept, self.max_documents)
        kept = lowest(kept, self.max_documents)
        if not kept.num_rows:
            return ShardInfo(rows=rows)
        with pa.OSFile(str(out / SAMPLE), "wb") as file, pa.ipc.new_file(file, SAMPLE_SCHEMA) as writer:
            writer.write_table(kept)
        return ShardInfo((SAMPLE,), rows, {"sampled_documents": kept.num_rows})

    def _labelled(self, batch: pa.RecordBatch) -> pa.Table:
        """Rows that have a label and a text, with SAMPLE_SCHEMA."""
        values = batch[self.label_column].cast(pa.string())
        text = batch["text"].cast(TEXT.type)
        if self.max_chars is not None:
            text = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(text), 0, self.max_chars)
        fractions = pa.array(hash_fractions(batch["id_hash"], f"{self.seed}/train_quality_classifier"))
        is_positive = pc.is_in(values, pa.array(self.positive, pa.string()))
        table = pa.table([fractions, is_positive, text], schema=SAMPLE_SCHEMA)
        has_text = pc.fill_null(pc.greater(pc.binary_length(text), 0), False)
        return table.filter(pc.and_(pc.is_valid(values), has_text))

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """Train, write the model with its card and then manifest.json, and remove the samples.

        Raises:
            ValueError: no document of one of the two kinds.
        """
        files = [out / name for shard in shards for name in shard.files]
        if not (out / "manifest.json").exists():  # a second commit after a kill may find the samples gone
            self._train([_read(file) for file in files], sum(shard.rows for shard in shards), out)
        for file in files:
            file.unlink(missing_ok=True)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """How well it tells what was held out apart."""
        facts = orjson.loads((out / "manifest.json").read_bytes())
        rows = [
            [part, *(facts[part].get(kind, 0) for kind in (POSITIVE, NEGATIVE))]
            for part in ("trained_on", "held_out")
        ]
        return [
            facts_table(out / "manifest.json", "held-out documents", {"area under the ROC curve": "roc_auc"}),
            Summary("documents", ["part", POSITIVE, NEGATIVE], rows),
        ]

    def _train(self, samples: Sequence[pa.Table], rows: int, out: Path) -> None:
        sample = lowest(pa.concat_tables([SAMPLE_SCHEMA.empty_table(), *samples]), self.max_documents)
        count = int(pc.sum(sample["positive"]).as_py() or 0)
        if not 0 < count < sample.num_rows:
            raise ValueError(
                f"train_quality_classifier: {count} documents with a text are positive ({self.label_column} in "
                f"{self.positive}) and {sample.num_rows - count} are not; both kinds are needed"
            )
        names = (POSITIVE if flag else NEGATIVE for flag in sample["positive"].to_pylist())
        settings = Settings(
            epochs=self.epochs, dim=self.dim, word_ngrams=self.word_ngrams, lr=self.lr, min_count=self.min_count,
            bucket=self.bucket, seed=self.seed, valid_fraction=self.valid_fraction, quantize=self.quantize,
            lowercase=self.lowercase, max_chars=self.max_chars,
        )  # fmt: skip
        trained = train_classifier(zip(names, sample["text"].to_pylist(), strict=True), settings, POSITIVE)
        write_model(trained, out / MODEL_FILE)
        metrics: Any = trained.card["metrics"]
        facts = {
            "rows": rows,
            "files": [MODEL_FILE, MODEL_FILE + CARD_SUFFIX],
            "trained_on": trained.card["trained_on"],
            "held_out": trained.card["held_out"],
            "roc_auc": metrics["roc_auc"],
            "warnings": trained.card["warnings"],
        }
        temporary = out / ".manifest.json.tmp"
        temporary.write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        temporary.replace(out / "manifest.json")


def _read(file: Path) -> pa.Table:
    with pa.ipc.open_file(pa.BufferReader(file.read_bytes())) as reader:
        return reader.read_all()
