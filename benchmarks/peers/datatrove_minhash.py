"""What datatrove's four MinHash stages cost a document: run by benchmarks/minhash_whole.py with a Python that has it.

    python benchmarks/peers/datatrove_minhash.py CORPUS WORK DOCUMENTS WORDS

Reads the first DOCUMENTS rows of CORPUS/part-00.parquet, one task a stage, 14 bands of 8 over 5-word shingles. WORDS is
`default` (its spaCy tokenizer) or `split` (str.split). Prints JSON: CPU seconds of each stage, ids of
the documents left.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer


class SplitTokenizer(WordTokenizer):
    """Words between white space."""

    def word_tokenize(self, text: str) -> list[str]:  # noqa: D102
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:  # noqa: D102
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:  # noqa: D102
        return [(0, len(text))]


def main(corpus: Path, work: Path, documents: int, words: str) -> None:
    """Run the stages in turn."""
    source = work / "in"
    source.mkdir(parents=True)
    table = pq.read_table(corpus / "part-00.parquet").slice(0, documents)
    pq.write_table(table, source / "part.parquet", compression="zstd", row_group_size=2000)
    config = MinhashConfig(
        hash_config=HashConfig(hash_fc="xxhash", precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5
    )
    signature = MinhashDedupSignature(output_folder=str(work / "signatures"), config=config)
    if words == "split":
        signature.word_tokenizer = SplitTokenizer()
    stages = {
        "signatures": [ParquetReader(str(source)), signature],
        "buckets": [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)],
        "cluster": [MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config)],
        "filter": [
            ParquetReader(str(source)),
            MinhashDedupFilter(str(work / "remove")),
            ParquetWriter(str(work / "out"), compression="zstd"),
        ],
    }
    if words == "default":
        signature.word_tokenizer.word_tokenize("warm up")  # its model loads once
    cost = {}
    for name, steps in stages.items():
        tasks = 14 if name == "buckets" else 1
        before = time.process_time()
        executor = LocalPipelineExecutor(
            pipeline=steps, tasks=tasks, workers=1, logging_dir=str(work / "logs" / name)
        )
        executor.run()
        cost[name] = time.process_time() - before
    kept = [i for f in (work / "out").rglob("*.parquet") for i in pq.read_table(f)["id"].to_pylist()]
    print(
        json.dumps(
            {"cpu_s": cost, "documents": table.num_rows, "kept": kept, "version": version("datatrove")}
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
