"""How fast do documents become shards, and shards become batches? Prints JSON.

    python benchmarks/token_shards.py [--mb 4] [--tokenizer tokenizer.json]

Baseline of the first: `tokenizers.encode_batch` on the same texts in the same process, before and after.
Without --tokenizer a BPE of 8,000 entries is trained on the texts first (not timed).
"""

import argparse
import json
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import tokenizers

from pipeline.schema import ID, ID_HASH, TEXT, id_hashes
from shards.loader import TokenShards
from shards.verify import verify
from stages.sinks.token_shards import WriteTokenShards
from stages.tokenization.tokenize import Tokenize
from stages.tokenization.train_tokenizer import train_bpe

BATCH_ROWS = 256
SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ther",
    "an",
    "ing",
    "pre",
    "st",
    "ou",
    "re",
    "con",
    "é",
    "日",
    "本",
    "ze",
    "gra",
]


def make_texts(size: int) -> list[str]:
    """Texts of about 3 KB with a long-tailed vocabulary; the same in every run."""
    rng = np.random.default_rng(7)
    words = ["".join(rng.choice(SYLLABLES, rng.integers(1, 5))) for _ in range(20_000)]
    found, total = [], 0
    while total < size:
        picked = np.minimum(rng.zipf(1.3, 450) - 1, len(words) - 1)
        found.append(" ".join(words[i] for i in picked))
        total += len(found[-1].encode())
    return found


def make_batches(texts: list[str]) -> list[pa.RecordBatch]:
    schema = pa.schema([ID, ID_HASH, TEXT])
    ids = [f"bench/f#{i}" for i in range(len(texts))]
    table = pa.table([pa.array(ids), id_hashes(ids), pa.array(texts, TEXT.type)], schema=schema)
    return table.to_batches(max_chunksize=BATCH_ROWS)


def timed(call: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def to_shards(batches: list[pa.RecordBatch], folder: Path, out: Path) -> dict[str, float]:
    """Seconds for tokenizing and for writing, one after the other as a unit of work does them."""
    stage, sink = Tokenize(), WriteTokenShards(seq_len=1024)
    tokenizer, opened = stage.open({"tokenizer": folder}), sink.open({"tokenizer": folder})
    encode_s = 0.0
    done = []
    for batch in batches:
        seconds, marks = timed(lambda batch=batch: stage.annotate(batch, tokenizer))
        encode_s += seconds
        columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | dict(marks.columns)  # type: ignore[attr-defined]
        done.append(pa.record_batch(columns))
    write_s, info = timed(lambda: sink.write(iter(done), out, opened))
    sink.commit([info], out, opened)  # type: ignore[list-item]
    return {"tokenize_s": encode_s, "write_s": write_s}


def read_tokens(out: Path, **kwargs: int) -> int:
    return sum(int(batch["attention_mask"].sum()) for batch in TokenShards(out, seq_len=1024, **kwargs))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=float, default=4.0, help="MB of text")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json")
    options = parser.parse_args()
    texts = make_texts(int(options.mb * 1e6))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        folder, out = work / "tok", work / "out"
        folder.mkdir()
        out.mkdir()
        source = (
            options.tokenizer.read_text()
            if options.tokenizer
            else train_bpe(iter([texts]), 8000, ["<|endoftext|>"], 2)
        )
        (folder / "tokenizer.json").write_text(source)
        raw = tokenizers.Tokenizer.from_str(source)
        batches = make_batches(texts)

        def baseline() -> None:
            for batch in batches:
                raw.encode_batch(batch.column("text").to_pylist(), add_special_tokens=False)

        raw.encode_batch(texts[:50])
        before, _ = timed(baseline)
        stages = to_shards(batches, folder, out)
        after, _ = timed(baseline)
        raw_s = (before + after) / 2
        verify_s, problems = timed(lambda: verify(out))
        assert problems == []
        shuffled_s, tokens = timed(lambda: read_tokens(out, batch=8, seed=1))
        assert isinstance(tokens, int)
        ours = stages["tokenize_s"] + stages["write_s"]
        result = {
            "text_mb": round(megabytes, 2),
            "tokens": tokens,
            "encode_batch_mb_s": round(megabytes / raw_s, 2),
            "tokenize_mb_s": round(megabytes / stages["tokenize_s"], 2),
            "write_token_shards_mb_s": round(megabytes / stages["write_s"], 1),
            "text_to_shards_mb_s": round(megabytes / ours, 2),
            "text_to_shards_cost_over_encode_batch": round(ours / raw_s, 3),
            "verify_mtokens_s": round(tokens / verify_s / 1e6, 1),
            "loader_mtokens_s": round(tokens / shuffled_s / 1e6, 1),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "versions": {
                "tokenizers": tokenizers.__version__,
                "pyarrow": pa.__version__,
                "numpy": np.__version__,
            },
            "machine": f"{platform.machine()}, python {platform.python_version()}",
        }
        print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
