"""Small real shards: a tokenizer trained here, documents encoded by `tokenize`, rows written by the sink."""

import shutil
from functools import cache
from pathlib import Path

import pyarrow as pa

from pipeline.schema import ID, ID_HASH, TEXT, id_hashes
from pipeline.stage import ShardInfo, Sink
from stages.sinks.token_shards import WriteTokenShards
from stages.tokenization.tokenize import Tokenize
from stages.tokenization.train_tokenizer import train_bpe

PHRASE = "the cat sat on a mat and saw 日本語 text, naïve café 🙂 numbers 12345 and\nlines\n"
WORDS = PHRASE.split(" ")


@cache
def tokenizer_json(vocab_size: int = 400) -> str:
    return train_bpe(iter([[" ".join(WORDS)] * 5]), vocab_size, ["<|endoftext|>"], 1)


def tokenizer_folder(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    return folder


def texts(count: int, seed: int = 0) -> list[str]:
    """Documents of 0 to 40 words, all different."""
    found = []
    for i in range(count):
        n = (i * 7919 + seed * 31) % 41
        found.append(
            " ".join([WORDS[(i + j * (i % 5 + 1)) % len(WORDS)] for j in range(n)] + ([f"#{i}"] if n else []))
        )
    return found


def documents(found: list[str | None], prefix: str = "web/f#") -> pa.RecordBatch:
    ids = [f"{prefix}{i}" for i in range(len(found))]
    columns = [pa.array(ids, ID.type), id_hashes(ids), pa.array(found, TEXT.type)]
    return pa.record_batch(columns, schema=pa.schema([ID, ID_HASH, TEXT]))


def tokenized(batch: pa.RecordBatch, folder: Path, /, **params) -> pa.RecordBatch:
    stage = Tokenize(**params)
    marks = stage.annotate(batch, stage.open({"tokenizer": folder}))
    for name, column in marks.columns.items():
        batch = batch.append_column(name, column)
    return batch


def run_sink(stage: Sink, partitions: list[list[pa.RecordBatch]], out: Path, resource) -> list[ShardInfo]:
    """What the engine does: a folder for each partition, files moved together, then commit."""
    out.mkdir()
    infos = []
    for i, batches in enumerate(partitions):
        folder = out.parent / f"{out.name}.part{i}"
        folder.mkdir()
        info = stage.write(iter(batches), folder, resource)
        assert sorted(p.name for p in folder.iterdir()) == sorted(info.files)
        names = [f"{i:05d}-{name}" for name in info.files]
        for old, new in zip(info.files, names, strict=True):
            (folder / old).rename(out / new)
        shutil.rmtree(folder)
        infos.append(info._replace(files=names))
    stage.commit(infos, out, resource)
    return infos


def write_shards(tmp: Path, partitions: list[list[pa.RecordBatch]], name: str = "out", **params) -> Path:
    stage = WriteTokenShards(**params)
    run_sink(stage, partitions, tmp / name, stage.open({"tokenizer": tokenizer_folder(tmp / "tok")}))
    return tmp / name


def small_shards(tmp: Path, parts: int = 3, each: int = 30, **params) -> Path:
    folder = tokenizer_folder(tmp / "tok")
    batches = [[tokenized(documents(texts(each, seed=p), f"web/{p}#"), folder)] for p in range(parts)]
    return write_shards(tmp, batches, **{"seq_len": 32, **params})
