"""Exports read back: by readers written here from the published layouts, and by the real packages where they are."""

import gzip
import json
import struct
import tarfile
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from pipeline.schema import LABELS
from shards.format import TokenizerInfo
from stages.sinks import fairseq, megatron
from stages.sinks._tokens import Mismatch
from stages.sinks.fairseq import WriteFairseq, id_map
from stages.sinks.mds import WriteMds, check_size
from stages.sinks.megatron import WriteMegatron, megatron_dtype
from stages.sinks.memmap import WriteMemmap
from stages.sinks.plain_text import WritePlainText, lines_of
from stages.sinks.webdataset import WriteWebdataset
from tests.shards.make import documents, run_sink, texts, tokenized, tokenizer_folder

SINKS = {
    "megatron": WriteMegatron(),
    "megatron parts": WriteMegatron(merge=False),
    "memmap": WriteMemmap(),
    "memmap parts": WriteMemmap(merge=False, extension=".npy"),
    "fairseq": WriteFairseq(),
    "mds": WriteMds(size_limit=2048),
    "mds zstd": WriteMds(compression="zstd"),
    "webdataset": WriteWebdataset(size_limit=8192),
}


@pytest.fixture(scope="module")
def tok(tmp_path_factory):
    return tokenizer_folder(tmp_path_factory.mktemp("tok") / "tok")


def corpus(tok, **params):
    return tokenized(documents(texts(40)), tok, **params)


def export(stage, tmp_path, tok, partitions, name="out"):
    run_sink(stage, partitions, tmp_path / name, stage.open({"tokenizer": tok}))
    return tmp_path / name


def ids_of(batch):
    """Ids of documents that have some."""
    return [ids for ids in batch["input_ids"].to_pylist() if ids]


# --- readers, from the published layouts --------------------------------------------------------------


def read_megatron(prefix: Path):
    data = prefix.with_name(f"{prefix.name}.idx").read_bytes()
    assert data[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, bounds = struct.unpack_from("<QBQQ", data, 9)
    assert version == 1
    dtype = {4: np.dtype("<i4"), 8: np.dtype("<u2")}[code]
    at = 9 + 8 + 1 + 8 + 8
    lengths = np.frombuffer(data, "<i4", sequences, at)
    pointers = np.frombuffer(data, "<i8", sequences, at + 4 * sequences)
    index = np.frombuffer(data, "<i8", bounds, at + 12 * sequences)
    assert len(data) == at + 12 * sequences + 8 * bounds
    assert index.tolist() == list(range(sequences + 1))
    raw = prefix.with_name(f"{prefix.name}.bin").read_bytes()
    assert len(raw) == int(lengths.sum()) * dtype.itemsize  # T44: index and data agree
    return [np.frombuffer(raw, dtype, n, p).tolist() for n, p in zip(lengths, pointers, strict=True)]


def read_fairseq(folder: Path):
    data = (folder / "train.idx").read_bytes()
    assert data[:9] == b"MMIDIDX\x00\x00"
    version, code, count = struct.unpack_from("<QBQ", data, 9)
    assert version == 1
    dtype = {4: np.dtype("<i4"), 8: np.dtype("<u2")}[code]
    lengths = np.frombuffer(data, "<i4", count, 26)
    pointers = np.frombuffer(data, "<i8", count, 26 + 4 * count)
    raw = (folder / "train.bin").read_bytes()
    return [np.frombuffer(raw, dtype, n, p).tolist() for n, p in zip(lengths, pointers, strict=True)]


def read_memmap(folder: Path):
    found = []
    for table in sorted(folder.glob("*.csv.gz")):
        raw = next(
            p for p in folder.glob(f"{table.name.removesuffix('.csv.gz')}.*") if p.suffix in (".bin", ".npy")
        )
        ids = np.memmap(raw, np.uint16, "r") if raw.stat().st_size else np.zeros(0, np.uint16)
        lines = gzip.decompress(table.read_bytes()).decode().splitlines()
        found += [
            (line.split(",", 2)[2], ids[int(line.split(",")[0]) : int(line.split(",")[1])].tolist())
            for line in lines
        ]
    return found


def read_mds(folder: Path):
    index = json.loads((folder / "index.json").read_text())
    assert index["version"] == 2
    found = []
    for shard in index["shards"]:
        file = shard["zip_data"] or shard["raw_data"]
        raw = (folder / file["basename"]).read_bytes()
        assert len(raw) == file["bytes"]
        if shard["zip_data"]:
            raw = zstandard.ZstdDecompressor().decompress(raw)
        assert len(raw) == shard["raw_data"]["bytes"]
        (samples,) = struct.unpack_from("<I", raw)
        assert samples == shard["samples"]
        offsets = np.frombuffer(raw, "<u4", samples + 1, 4).tolist()
        names = json.loads(raw[4 * (samples + 2) : offsets[0]])["column_names"]
        assert names == ["id", "tokens"]
        assert offsets[-1] == len(raw)
        for start, end in pairwise(offsets):
            of_id, of_tokens = struct.unpack_from("<II", raw, start)
            assert start + 8 + of_id + of_tokens == end
            tokens = raw[start + 8 + of_id : end]
            width = 1 << (tokens[0] & 3)
            assert tokens[0] >> 2 == 1
            values = np.frombuffer(tokens[1 + width :], np.uint16).tolist()
            assert int.from_bytes(tokens[1 : 1 + width], "little") == len(values)
            found.append((raw[start + 8 : start + 8 + of_id].decode(), values))
    return found


def read_tars(folder: Path):
    found = []
    for file in sorted(folder.glob("*.tar")):
        with tarfile.open(file) as tar:
            members = {m.name: tar.extractfile(m).read() for m in tar}
            for member in tar:
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
        for name in [n for n in members if n.endswith(".json")]:
            told = json.loads(members[name])
            ids = np.load(BytesIO(members[name.replace(".json", ".npy")])).tolist()
            assert told["tokens"] == len(ids)
            found.append((told["id"], ids))
    return found


def read_any(name, folder):
    if name.startswith("megatron"):
        return [ids for idx in sorted(folder.glob("*.idx")) for ids in read_megatron(idx.with_suffix(""))]
    pairs = {"memmap": read_memmap, "mds": read_mds, "webdataset": read_tars}
    if name == "fairseq":
        return read_fairseq(folder)
    return [ids for _, ids in pairs[name.split()[0]](folder) if ids]


# --- what holds for all -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SINKS)
def test_ids_come_back_in_order(tmp_path, tok, name):
    batch = corpus(tok)
    folder = export(
        SINKS[name], tmp_path, tok, [[batch.slice(0, 7), batch.slice(7, 8)], [], [batch.slice(15)]]
    )
    expected = ids_of(batch)
    if name == "fairseq":
        info = SINKS[name].open({"tokenizer": tok}).info
        expected = [id_map(info)[ids].tolist() for ids in expected]
    assert read_any(name, folder) == expected
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["documents"] == 40
    assert manifest["tokenizer"]["vocab_size"] == SINKS[name].open({"tokenizer": tok}).info.vocab_size
    assert (folder / "tokenizer.json").read_bytes() == (tok / "tokenizer.json").read_bytes()
    listed = {file["file"] for file in manifest["files"]} | {"manifest.json", "tokenizer.json"}
    assert {p.name for p in folder.iterdir()} == listed


@pytest.mark.parametrize("name", SINKS)
def test_batches_do_not_matter(tmp_path, tok, name):
    batch = corpus(tok)
    one = export(SINKS[name], tmp_path, tok, [[batch]], "one")
    two = export(SINKS[name], tmp_path, tok, [[batch.slice(k, 1) for k in range(40)]], "two")
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in two.iterdir()}


@pytest.mark.parametrize("name", SINKS)
def test_nothing_to_write(tmp_path, tok, name):
    for count, partitions in enumerate([[], [[]], [[corpus(tok, add_eos=False).slice(0, 1)]]]):
        folder = export(SINKS[name], tmp_path, tok, partitions, f"out{count}")
        assert read_any(name, folder) == []


@pytest.mark.parametrize("name", SINKS)
def test_a_second_commit_changes_nothing(tmp_path, tok, name):
    stage, batch = SINKS[name], corpus(tok)
    resource = stage.open({"tokenizer": tok})
    infos = run_sink(stage, [[batch.slice(0, 9)], [batch.slice(9)]], tmp_path / "out", resource)
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    stage.commit(infos, tmp_path / "out", resource)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("name", [n for n in SINKS if n.startswith(("megatron", "fairseq"))])
def test_labels_are_refused_unless_dropped(tmp_path, tok, name):
    batch = corpus(tok)
    labels = pa.array(batch["input_ids"].to_pylist(), LABELS.type)
    learnt = batch.append_column(LABELS, labels)
    with pytest.raises(
        Mismatch, match=r"labels, which .* files cannot hold; write_token_shards can, or set labels: drop"
    ):
        export(SINKS[name], tmp_path, tok, [[learnt]])
    dropping = SINKS[name].model_copy(update={"labels": "drop"})
    plain = read_any(name, export(SINKS[name], tmp_path, tok, [[batch]], "plain"))
    assert read_any(name, export(dropping, tmp_path, tok, [[learnt]], "dropped")) == plain


def labelled(batch):
    """A batch with labels, the first token of each document not learnt; and the labels."""
    labels = [[-100, *ids[1:]] if ids else ids for ids in batch["input_ids"].to_pylist()]
    return batch.append_column(LABELS, pa.array(labels, LABELS.type)), labels


@pytest.mark.parametrize("name", ["mds", "webdataset"])
def test_labels_can_be_dropped(tmp_path, tok, name):
    batch = corpus(tok)
    dropping = SINKS[name].model_copy(update={"labels": "drop"})
    plain = read_any(name, export(SINKS[name], tmp_path, tok, [[batch]], "plain"))
    assert read_any(name, export(dropping, tmp_path, tok, [[labelled(batch)[0]]], "dropped")) == plain


def test_labels_are_a_column_of_mds(tmp_path, tok):
    batch, labels = labelled(corpus(tok))
    folder = export(WriteMds(), tmp_path, tok, [[batch]])
    (entry,) = json.loads((folder / "index.json").read_text())["shards"]
    assert entry["column_names"] == ["id", "labels", "tokens"]
    assert entry["column_encodings"] == ["str", "ndarray:int32", "ndarray:uint16"]
    raw = (folder / entry["raw_data"]["basename"]).read_bytes()
    offsets = np.frombuffer(raw, "<u4", entry["samples"] + 1, 4).tolist()
    found = []
    for start in offsets[:-1]:
        of_id, of_labels, of_tokens = struct.unpack_from("<III", raw, start)
        at = start + 12 + of_id
        parts = raw[at : at + of_labels], raw[at + of_labels : at + of_labels + of_tokens]
        values = [
            np.frombuffer(part[1 + (1 << (part[0] & 3)) :], dtype).tolist()
            for part, dtype in zip(parts, ("<i4", "<u2"), strict=True)
        ]
        found.append(tuple(values))
    assert found == [pair for pair in zip(labels, batch["input_ids"].to_pylist(), strict=True) if pair[1]]


@pytest.mark.parametrize("name", SINKS)
def test_the_report_says_what_is_there(tmp_path, tok, name):
    batch, stage = corpus(tok), SINKS[name]
    folder = export(stage, tmp_path, tok, [[batch.slice(0, 9)], [batch.slice(9)]])
    (table,) = stage.summary([], folder)
    told = dict(zip(table.columns, table.rows[0], strict=True))
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert told["documents"] == batch.num_rows
    assert told["files"] == len(files)
    assert told["bytes"] == sum((folder / file["file"]).stat().st_size for file in files)
    assert told.get("tokens") == (None if name == "webdataset" else sum(map(len, ids_of(batch))))


@pytest.mark.parametrize("name", SINKS)
def test_another_tokenizers_ids_are_refused(tmp_path, tok, name):
    stage = SINKS[name]
    opened = stage.open({"tokenizer": tok})
    other = opened._replace(info=TokenizerInfo("0" * 64, "tokenizers", 400))
    with pytest.raises(Mismatch, match="rows come from tokenizer"):
        run_sink(stage, [[corpus(tok)]], tmp_path / "out", other)


# --- each for itself ----------------------------------------------------------------------------------


def test_shards_keep_their_limit(tmp_path, tok):
    """T55: what was asked for still holds in the second file."""
    batch = corpus(tok)
    mds = export(WriteMds(size_limit=1024), tmp_path, tok, [[batch]], "mds")
    index = json.loads((mds / "index.json").read_text())["shards"]
    assert len(index) > 3
    config = {k: v for k, v in index[0].items() if k not in ("samples", "raw_data", "zip_data")}
    assert all({k: entry[k] for k in config} == config for entry in index)
    assert all(file.stat().st_size <= 1024 for file in mds.glob("*.mds"))
    tars = export(WriteWebdataset(size_limit=10_240), tmp_path, tok, [[batch]], "tars")
    assert len(list(tars.glob("*.tar"))) > 3
    assert all(file.stat().st_size <= 10_240 for file in tars.glob("*.tar"))
    parts = [[batch.slice(0, 20)], [batch.slice(20)]]
    names: list[str] = []
    for file in export(WriteWebdataset(), tmp_path, tok, parts, "parts").glob("*.tar"):
        with tarfile.open(file) as tar:
            names += tar.getnames()
    assert len(names) == len(set(names)) == 80


def test_a_document_beyond_what_mds_can_hold():
    with pytest.raises(OverflowError, match="shards hold less than 4 GiB"):
        check_size(1 << 32)


@pytest.mark.parametrize("index_bytes", [megatron.index_bytes, fairseq.index_bytes])
def test_pointers_beyond_int32(index_bytes):
    """T45: 1.5 GB documents by their lengths alone."""
    lengths = np.array([2**30, 2**29, 2**30, 5], np.int64)
    data = index_bytes(lengths, np.dtype(np.uint16))
    head = 34 if index_bytes is megatron.index_bytes else 26
    pointers = np.frombuffer(data, "<i8", 4, head + 16).tolist()
    assert pointers == [0, 2**31, 2**31 + 2**30, 2**32 + 2**30]
    with pytest.raises(OverflowError, match=r"take less than 2\*\*31"):
        index_bytes(np.array([2**31]), np.dtype(np.uint16))


def test_types_at_their_limits():
    assert [str(megatron_dtype(size)) for size in (65499, 65500, 70000)] == ["uint16", "int32", "int32"]
    assert [str(fairseq.fairseq_dtype(size)) for size in (65532, 65533)] == ["uint16", "int32"]


def test_megatron_names_partitions(tmp_path, tok):
    batch = corpus(tok)
    stage = WriteMegatron(merge=False, prefix="web")
    folder = export(stage, tmp_path, tok, [[batch.slice(0, 20)], [batch.slice(20)]])
    assert sorted(p.name for p in folder.glob("web*")) == [
        "web-00000.bin",
        "web-00000.idx",
        "web-00001.bin",
        "web-00001.idx",
    ]


def test_memmap_says_what_is_learnt(tmp_path, tok):
    batch = corpus(tok)
    ids = batch["input_ids"].to_pylist()
    labels = pa.array([[-100, *i[1:]] if i else i for i in ids], LABELS.type)
    folder = export(WriteMemmap(), tmp_path, tok, [[batch.append_column(LABELS, labels)]])
    mask = np.memmap(folder / "train-mask.bin", bool, "r")
    assert mask.tolist() == [k > 0 for i in ids for k in range(len(i))]
    half = [[batch.append_column(LABELS, labels).slice(0, 20)], [batch.slice(20)]]
    with pytest.raises(Mismatch, match="with and without labels"):
        export(WriteMemmap(), tmp_path, tok, half, "half")


def test_memmap_holds_no_tokens(tmp_path, tok):
    """P6: what stays of a batch are its documents' names and lengths."""
    stage = WriteMemmap()
    opened = stage.open({"tokenizer": tok})
    start, most = pa.total_allocated_bytes(), 0

    def batches():
        nonlocal most
        for k in range(20):
            ids = pa.array([[7] * 50_000], pa.large_list(pa.uint32()))
            sha = pa.array([opened.info.sha256]).dictionary_encode()
            yield pa.record_batch({"id": [f"web/{k}"], "input_ids": ids, "tokenizer": sha})
            most = max(most, pa.total_allocated_bytes() - start)

    stage.write(batches(), tmp_path, opened)
    assert (tmp_path / "ids.bin").stat().st_size == 20 * 50_000 * 2
    assert most < 5 * 50_000 * 4


def test_memmap_tells_documents_apart(tmp_path, tok):
    batch = corpus(tok)
    folder = export(WriteMemmap(), tmp_path, tok, [[batch]])
    pairs = zip(batch["id"].to_pylist(), batch["input_ids"].to_pylist(), strict=True)
    assert read_memmap(folder) == [pair for pair in pairs if pair[1]]


def test_plain_text(tmp_path, tok):
    batch = documents(["one\ntwo  ", None, "", "three\u2028four", "five"])
    stage = WritePlainText(compression="gz")
    folder = export(stage, tmp_path, tok, [[batch.slice(0, 3)], [batch.slice(3)]])
    lines = [
        line
        for f in sorted(folder.glob("*.gz"))
        for line in gzip.decompress(f.read_bytes()).decode().splitlines()
    ]
    assert lines == ["one two", "three four", "five"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["documents"], manifest["lines"]) == (5, 3)
    assert (folder / "tokenizer.json").is_file()
    assert lines_of(batch["text"], "line").to_pylist() == ["one", "two", "three", "four", "five"]
    run_sink(WritePlainText(), [[batch.slice(1, 2)]], tmp_path / "none", None)
    assert [p.name for p in (tmp_path / "none").iterdir()] == ["manifest.json"]


# --- the real packages --------------------------------------------------------------------------------


def test_megatron_core_reads_it(tmp_path, tok):
    module = pytest.importorskip(
        "megatron.core.datasets.indexed_dataset", reason="needs megatron-core", exc_type=ImportError
    )
    batch = corpus(tok)
    folder = export(WriteMegatron(), tmp_path, tok, [[batch]])
    data = module.IndexedDataset(str(folder / "text_document"))
    assert [ids.tolist() for ids in data] == ids_of(batch)


@pytest.mark.parametrize("name", ["mds", "mds zstd"])
def test_mosaicml_streaming_reads_it(tmp_path, tok, name):
    streaming = pytest.importorskip(
        "streaming.base.format", reason="needs mosaicml-streaming", exc_type=ImportError
    )
    batch, labels = labelled(corpus(tok))
    folder = export(SINKS[name], tmp_path, tok, [[batch]])
    found = []
    for entry in json.loads((folder / "index.json").read_text())["shards"]:
        reader = streaming.reader_from_json(str(folder), None, entry)
        if entry["zip_data"]:
            raw = zstandard.ZstdDecompressor().decompress(
                (folder / entry["zip_data"]["basename"]).read_bytes()
            )
            (folder / entry["raw_data"]["basename"]).write_bytes(raw)
        found += [
            (reader[k]["id"], reader[k]["tokens"].tolist(), reader[k]["labels"].tolist())
            for k in range(len(reader))
        ]
    rows = zip(batch["id"].to_pylist(), batch["input_ids"].to_pylist(), labels, strict=True)
    assert found == [row for row in rows if row[1]]


@pytest.mark.filterwarnings(  # the package leaves its files open
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_webdataset_reads_it(tmp_path, tok):
    wds = pytest.importorskip("webdataset", reason="needs webdataset", exc_type=ImportError)
    batch, labels = labelled(corpus(tok))
    folder = export(WriteWebdataset(), tmp_path, tok, [[batch]])
    data = wds.WebDataset([str(f) for f in sorted(folder.glob("*.tar"))], shardshuffle=False).decode()
    assert [(s["json"]["id"], s["npy"].tolist(), s["labels.npy"].tolist()) for s in data] == list(
        zip(batch["id"].to_pylist(), batch["input_ids"].to_pylist(), labels, strict=True)
    )
