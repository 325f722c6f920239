"""Other loaders over the same tokens: rows of equal length, shuffled, batches of int64. benchmarks/loader.py calls it.

    /path/to/peer/python benchmarks/peers/loaders.py prepare FOLDER     # from tokens.npy, written by the caller
    /path/to/peer/python benchmarks/peers/loaders.py read PEER FOLDER BATCH ROUNDS

Each reads the whole data set ROUNDS times in one process, without workers, and prints the CPU seconds of each
round, the seconds to be ready, and what a batch holds. A peer that is not installed says so.
"""

import json
import os
import resource
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np

os.environ["TOKENIZERS_PARALLELISM"] = "false"


def prepare(folder: Path) -> None:
    rows = np.load(folder / "tokens.npy", mmap_mode="r")
    done = {}
    for name, write in (("mds", write_mds), ("megatron", write_megatron)):
        try:
            write(folder, rows)
            done[name] = True
        except ImportError as error:
            done[name] = f"not installed: {error}"
    print(json.dumps(done))


def write_mds(folder: Path, rows: np.ndarray) -> None:
    from streaming import MDSWriter

    with MDSWriter(out=str(folder / "mds"), columns={"tokens": f"ndarray:uint16:{rows.shape[1]}"}) as writer:
        for row in rows:
            writer.write({"tokens": np.asarray(row)})


def write_megatron(folder: Path, rows: np.ndarray) -> None:
    import torch
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder

    (folder / "megatron").mkdir()
    builder = IndexedDatasetBuilder(str(folder / "megatron" / "data.bin"), dtype=np.uint16)
    flat = rows.reshape(-1)
    for start in range(0, len(flat), 700):
        part = np.asarray(flat[start : start + 700])
        builder.add_document(torch.from_numpy(part.astype(np.int32)), [len(part)])
    builder.finalize(str(folder / "megatron" / "data.idx"))


def mds(folder: Path, batch: int):
    """StreamingDataset, shuffled as its default does, through DataLoader without workers."""
    import torch
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)
    data = StreamingDataset(local=str(folder / "mds"), shuffle=True, batch_size=batch)

    def collate(samples):
        return {"input_ids": torch.from_numpy(np.stack([s["tokens"] for s in samples]).astype(np.int64))}

    return lambda: DataLoader(data, batch_size=batch, collate_fn=collate)


def megatron(folder: Path, batch: int):
    """GPTDataset: tokens, labels, loss mask and position ids of each sample; its indexes are built at the start."""
    import torch
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
    from megatron.core.datasets.indexed_dataset import IndexedDataset
    from megatron.core.datasets.utils import Split
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)

    class Tokenizer:
        eod, pad, vocab_size, unique_identifiers = 0, 0, 50_000, {"class": "none"}

    length = int(json.loads((folder / "shape.json").read_text())[1])
    config = GPTDatasetConfig(
        random_seed=1,
        sequence_length=length,
        blend=([str(folder / "megatron" / "data")], None),
        split="100,0,0",
        path_to_cache=str(folder / "megatron_cache"),
        tokenizer=Tokenizer(),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
        mid_level_dataset_surplus=0.005,
    )
    low = IndexedDataset(str(folder / "megatron" / "data"))
    documents = np.arange(len(low.document_indices) - 1, dtype=np.int32)
    data = GPTDataset(low, str(folder / "megatron" / "data"), documents, None, Split.train, config)
    return lambda: DataLoader(data, batch_size=batch)


def hf_datasets(folder: Path, batch: int):
    """load_from_disk of our own folder, rows of each batch taken in a shuffled order, as int64."""
    import datasets

    data = datasets.load_from_disk(str(folder / "shards")).select_columns(["input_ids"]).with_format("numpy")
    order = np.random.default_rng(0).permutation(len(data))

    def batches():
        for start in range(0, len(data), batch):
            yield {"input_ids": np.stack(data[order[start : start + batch]]["input_ids"]).astype(np.int64)}

    return batches


def memmap(folder: Path, batch: int):
    """As nanoGPT does it: random windows of one flat memory map, x and y as int64; no epochs, no boundaries."""
    rows, length = json.loads((folder / "shape.json").read_text())
    flat = np.load(folder / "tokens.npy", mmap_mode="r").reshape(-1)
    rng = np.random.default_rng(0)

    def batches():
        for _ in range(rows // batch):
            starts = rng.integers(0, len(flat) - length - 1, batch)
            x = np.stack([flat[i : i + length].astype(np.int64) for i in starts])
            y = np.stack([flat[i + 1 : i + 1 + length].astype(np.int64) for i in starts])
            yield {"input_ids": x, "labels": y}

    return batches


PEERS = {"mds": mds, "megatron": megatron, "datasets": hf_datasets, "memmap": memmap}
PACKAGES = {
    "mds": "mosaicml-streaming",
    "megatron": "megatron-core",
    "datasets": "datasets",
    "memmap": "numpy",
}


def read(peer: str, folder: Path, batch: int, rounds: int) -> None:
    try:
        version = metadata.version(PACKAGES[peer])
        start = time.perf_counter()
        batches = PEERS[peer](folder, batch)
    except ImportError as error:
        print(json.dumps({"not_installed": str(error)}))
        return
    ready = time.perf_counter() - start
    seconds, tokens, columns = [], 0, []
    for _ in range(rounds):
        cpu, tokens = time.process_time(), 0
        for made in batches():
            ids = made["input_ids"] if "input_ids" in made else made["tokens"]
            tokens += ids.shape[0] * ids.shape[1]
            columns = sorted(made)
        seconds.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result = {"cpu_seconds": seconds, "tokens": tokens, "ready_s": round(ready, 3), "columns": columns}
    print(json.dumps({**result, "peak_mb": peak, "version": f"{PACKAGES[peer]} {version}"}))


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]))
    else:
        read(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
