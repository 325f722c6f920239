"""How fast do texts become token ids, and shards? Prints JSON; all times are CPU time on one thread.

    python -m benchmarks.tokenization --data FOLDER [--mb 30] [--tokenizer tokenizer.json] [--engine auto]
                                      [--peer-python PYTHON]

FOLDER holds Parquet files or .jsonl.gz files with `text`. Without --tokenizer a BPE of 32,000 entries with Llama 3's
words is trained on the texts (not timed). In turn, several rounds: the fast engine alone (Arrow column in, ids and
offsets out), the stage `tokenize` (specials and ends; with and without the sample that the reference checks), the
stage and the sink `write_token_shards`; each with an engine whose caches are empty ("cold") and once more over the
same texts ("warm"). `tokenizers` and datatrove's block, which writes ids as well, encode every k-th document: they
take a hundred times as long.
"""

import argparse
import gzip
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pyarrow as pa
import pyarrow.parquet as pq
import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from pipeline.schema import ID, ID_HASH, TEXT, hash_fractions, id_hashes
from shards.tokenizer import CL100K_WORDS
from stages.sinks.token_shards import WriteTokenShards
from stages.tokenization._engines import open_engine
from stages.tokenization.tokenize import SAMPLE, Tokenize

BATCH_ROWS = 1000
PEER_BYTES = 2_000_000
EOS = "<|endoftext|>"
PEER_SCRIPT = Path(__file__).with_name("peers") / "datatrove_tokenize.py"


def load_texts(folder: Path, size: int) -> list[str]:
    """Texts of up to 20,000 characters from all files in turn, `size` bytes in all."""
    sources: list[Iterator[str]] = [_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    sources += [_jsonl(path) for path in sorted(folder.glob("*.jsonl.gz"))]
    found, total = [], 0
    while sources and total < size:
        for source in list(sources):
            text = next(source, None)
            if text is None:
                sources.remove(source)
                continue
            for start in range(0, min(len(text), 200_000), 20_000):
                found.append(text[start : start + 20_000])
                total += len(found[-1].encode())
    if not found:
        raise SystemExit(f"--data {folder}: holds no Parquet and no .jsonl.gz file; give a folder that does")
    return found


def _parquet(path: Path) -> Iterator[str]:
    for batch in pq.ParquetFile(path).iter_batches(1000, columns=["text"]):
        yield from (text for text in batch.column(0).to_pylist() if text)


def _jsonl(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def train(texts: list[str], vocab_size: int) -> str:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CL100K_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts[:: max(1, len(texts) // 4000)], trainer)
    return made.to_str()


def make_batches(texts: list[str]) -> list[pa.RecordBatch]:
    ids = [f"bench/f#{i}" for i in range(len(texts))]
    schema = pa.schema([ID, ID_HASH, TEXT])
    return pa.table([pa.array(ids), id_hashes(ids), pa.array(texts, TEXT.type)], schema=schema).to_batches(
        max_chunksize=BATCH_ROWS
    )


def cpu(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


class Ours:
    """The engine, the stage and the sink over the same batches."""

    def __init__(self, path: Path, engine: str, texts: list[str], out: Path) -> None:
        self.batches, self.out = make_batches(texts), out
        self.stage = Tokenize(tokenizer=str(path), engine=engine)
        self.sink = WriteTokenShards(tokenizer=str(path))
        self.resource, self.target = self.stage.open({}), self.sink.open({})
        self.data = self.resource.reference.source()
        checked = [hash_fractions(b["id_hash"], SAMPLE) < self.stage.check for b in self.batches]
        texts_of = [b["text"].filter(pa.array(rows)) for b, rows in zip(self.batches, checked, strict=True)]
        self.checked = sum(len(text.encode()) for part in texts_of for text in part.to_pylist())
        self.times: dict[str, list[float]] = {}
        self.tokens = 0

    def round(self) -> None:
        """Each thing cold, then warm."""
        fast = self.resource.choice.fast
        if fast is not None:
            engine = open_engine(fast.name, self.data)
            self._twice("engine", lambda: self._each(lambda b: engine.encode(b["text"])))
        unchecked, first = self.stage.model_copy(update={"check": None}), self.stage.open({})
        self._twice("tokenize unchecked", lambda: self._each(lambda b: unchecked.annotate(b, first)))
        second = self.stage.open({})
        self._twice("tokenize", lambda: self._each(lambda b: self.stage.annotate(b, second)))
        third = self.stage.open({})
        self._twice("to shard", lambda: self._shard(third))

    def _twice(self, name: str, call: Callable[[], object]) -> None:
        for state in ("cold", "warm"):
            self.times.setdefault(f"{name} {state}", []).append(cpu(call))

    def _each(self, call: Callable[[pa.RecordBatch], object]) -> None:
        for batch in self.batches:
            call(batch)

    def _shard(self, resource: object) -> None:
        def done() -> Iterator[pa.RecordBatch]:
            self.tokens = 0
            for batch in self.batches:
                marks = self.stage.annotate(batch, resource)
                self.tokens += len(marks.columns["input_ids"].values)
                columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | dict(marks.columns)
                yield pa.record_batch(columns)

        with tempfile.TemporaryDirectory(dir=self.out) as folder:
            self.sink.write(done(), Path(folder), self.target)


def peer_seconds(python: str, texts: list[str], path: Path, folder: Path) -> dict[str, object]:
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    command = [python, str(PEER_SCRIPT), str(folder / "texts.json"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mb", type=float, default=30)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", help="an interpreter that has datatrove and tokenizers")
    return parser.parse_args()


def main() -> None:
    options = options_of()
    texts = load_texts(options.data, int(options.mb * 1e6))
    size = sum(len(text.encode()) for text in texts)
    few = texts[:: max(1, size // PEER_BYTES)]
    few_size = sum(len(text.encode()) for text in few)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        path = options.tokenizer or work / "tokenizer.json"
        if options.tokenizer is None:
            path.write_text(train(texts, 32_000), encoding="utf-8")
        ours = Ours(path, options.engine, texts, work)
        library = tokenizers.Tokenizer.from_str(json.dumps(ours.data))
        library.encode_special_tokens = True
        library_s, peers = [], []
        for _ in range(options.rounds):
            ours.round()
            library_s.append(cpu(lambda: library.encode_batch_fast(few, add_special_tokens=False)))
            if options.peer_python:
                peers.append(peer_seconds(options.peer_python, few, path, work))
        print(json.dumps(report(ours, size, few_size, library_s, peers, len(texts)), indent=2))


def report(ours: Ours, size: int, few_size: int, library_s: list, peers: list, documents: int) -> dict:
    best = {name: min(times) for name, times in ours.times.items()}
    rates = {name: round(size / 1e6 / seconds, 1) for name, seconds in best.items()}
    rates["tokenizers"] = round(few_size / 1e6 / min(library_s), 2)
    ratios: dict[str, float] = {}
    for state in ("cold", "warm"):
        shard = best[f"to shard {state}"]
        if f"engine {state}" in best:
            for what in ("tokenize unchecked", "tokenize", "to shard"):
                ratios[f"{what} / engine, {state}"] = round(
                    best[f"engine {state}"] / best[f"{what} {state}"], 3
                )
        ratios[f"to shard / tokenizers, {state}"] = round(size / 1e6 / shard / rates["tokenizers"], 1)
    if peers:
        rates["datatrove"] = round(few_size / 1e6 / min(peer["seconds"] for peer in peers), 2)
        for state in ("cold", "warm"):
            ratios[f"to shard / datatrove, {state}"] = round(
                size / 1e6 / best[f"to shard {state}"] / rates["datatrove"], 1
            )
    names = ("tokenizers", "fastokens", "gigatoken", "pyarrow", "numpy")
    return {
        "engine": ours.resource.choice.name,
        "documents": documents,
        "mb": round(size / 1e6, 2),
        "tokens": ours.tokens,
        "checked_share_of_bytes": round(ours.checked / size, 5),
        "mb_per_cpu_second": rates,
        "ratios": ratios,
        "ns_per_token": {name: round(s / ours.tokens * 1e9, 2) for name, s in best.items()},
        "median_over_best": {n: round(statistics.median(t) / min(t), 2) for n, t in ours.times.items()},
        "versions": {name: metadata.version(name) for name in names if _installed(name)}
        | (peers[0]["versions"] if peers else {}),
        "machine": f"{platform.machine()}, python {platform.python_version()}",
    }


def _installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    main()
