"""The band keys and shingle sets of a corpus on disk, for finding what a later corpus has in common with it.

    keys.u64     band keys, ascending           docs.u32     the document of each, in the same order
    sets.u64     shingle sets, one after another   ends.u64  where each document's set ends
    ids.arrow    one column, `id`               meta.json    format, how keys and sets were made, counts, digest

All but the last are mapped, so that workers share what is read. Parts, one a partition, have the same files.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import xxhash

FORMAT = 1
META = "meta.json"
ARRAYS = {"keys.u64": np.uint64, "docs.u32": np.uint32, "sets.u64": np.uint64, "ends.u64": np.uint64}
IDS = "ids.arrow"
ID_SCHEMA = pa.schema([("id", pa.large_string())])
ID_ROWS = 1 << 16  # to a record batch of ids, however the documents came
MERGE_KEYS = 1 << 22  # band keys that merging holds at once, about
MOST_DOCUMENTS = 2**32 - 1


class MinhashIndex(NamedTuple):
    """An index as it lies on disk, mapped."""

    keys: np.ndarray
    docs: np.ndarray
    sets: np.ndarray
    ends: np.ndarray
    ids: pa.ChunkedArray
    meta: dict[str, Any]


def part_files() -> list[str]:
    """The files of a part."""
    return [*ARRAYS, IDS]


def write_part(out: Path, batches: Iterator[tuple[np.ndarray, np.ndarray, pa.Array, pa.Array]]) -> int:
    """Write one partition's part; only its band keys and ids are held in memory.

    Args:
        out: an empty folder.
        batches: band keys (rows, bands), their row in the batch, ids and shingle sets of all the batch's rows.

    Returns:
        how many documents it has.
    """
    keys: list[np.ndarray] = []
    docs: list[np.ndarray] = []
    ids: list[pa.Array] = []
    count = size = 0
    with (out / "sets.u64").open("wb") as sets, (out / "ends.u64").open("wb") as ends:
        for band_keys, rows, names, members in batches:
            keys.append(band_keys.reshape(-1))
            docs.append(np.repeat(count + rows, band_keys.shape[1]).astype(np.uint32))
            offsets = members.offsets.to_numpy()
            sets.write(np.ascontiguousarray(members.values.to_numpy()[offsets[0] : offsets[-1]]).data)
            ends.write(np.ascontiguousarray(offsets[1:] - offsets[0] + size).astype(np.uint64).data)
            ids.append(names.cast(pa.large_string()))
            count += len(names)
            size += int(offsets[-1] - offsets[0])
    with pa.ipc.new_file(str(out / IDS), ID_SCHEMA) as file:
        file.write_table(pa.table({"id": _joined(ids)}), max_chunksize=ID_ROWS)
    flat = np.concatenate([np.empty(0, np.uint64), *keys])
    order = np.argsort(flat, kind="stable")
    flat[order].tofile(out / "keys.u64")
    np.concatenate([np.empty(0, np.uint32), *docs])[order].tofile(out / "docs.u32")
    return count


def _joined(ids: list[pa.Array]) -> pa.Array:
    return pa.concat_arrays([pa.array([], pa.large_string()), *ids])


def merge_parts(parts: Sequence[Mapping[str, Path]], out: Path, meta: Mapping[str, Any]) -> None:
    """Make one index of parts, whose files are removed on the way; memory does not grow with the corpus.

    Args:
        parts: file name -> where it lies, for each partition.
        out: the folder of the index.
        meta: how keys and sets were made.

    Raises:
        ValueError: there are more documents than an index can number.
    """
    counts = [part["ends.u64"].stat().st_size // 8 for part in parts]
    if sum(counts) > MOST_DOCUMENTS:
        raise ValueError(
            f"an index holds at most {MOST_DOCUMENTS} documents, these are {sum(counts)}; build several"
        )
    starts = np.cumsum([0, *counts])
    digest = xxhash.xxh3_128()
    _merge_keys(parts, starts, out, digest)
    size = 0
    with (out / "sets.u64").open("wb") as sets, (out / "ends.u64").open("wb") as ends:
        for part in parts:
            with part["sets.u64"].open("rb") as mine:
                while data := mine.read(1 << 20):
                    digest.update(data)
                    sets.write(data)
            moved = _mapped(part["ends.u64"], np.uint64) + np.uint64(size)
            digest.update(moved.data)
            ends.write(moved.data)
            size += part["sets.u64"].stat().st_size // 8
    with pa.ipc.new_file(str(out / IDS), ID_SCHEMA) as ids:
        for part in parts:
            with pa.memory_map(str(part[IDS])) as source, pa.ipc.open_file(source) as reader:
                for i in range(reader.num_record_batches):
                    batch = reader.get_batch(i)
                    digest.update("\0".join([*batch["id"].to_pylist(), ""]).encode())
                    ids.write_batch(batch)
    for part in parts:
        for path in part.values():
            path.unlink()
    whole = {"format": FORMAT, **meta, "documents": sum(counts), "digest": digest.hexdigest()}
    text = orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (out / META).write_bytes(text + b"\n")


def _merge_keys(parts: Sequence[Mapping[str, Path]], starts: np.ndarray, out: Path, digest: Any) -> None:
    keys = [_mapped(part["keys.u64"], np.uint64) for part in parts]
    docs = [_mapped(part["docs.u32"], np.uint32) for part in parts]
    steps = max(1, sum(map(len, keys)) // MERGE_KEYS)
    bounds = [i * 2**64 // steps for i in range(1, steps)]
    places = [[0, *np.searchsorted(k, np.array(bounds, np.uint64)).tolist(), len(k)] for k in keys]
    with (out / "keys.u64").open("wb") as all_keys, (out / "docs.u32").open("wb") as all_docs:
        for step in range(steps):
            some = [
                (k[p[step] : p[step + 1]], i, p) for i, (k, p) in enumerate(zip(keys, places, strict=True))
            ]
            mine = np.concatenate([np.empty(0, np.uint64), *(k for k, _, _ in some)])
            whose = np.concatenate(
                [
                    np.empty(0, np.uint32),
                    *(docs[i][p[step] : p[step + 1]] + np.uint32(starts[i]) for _, i, p in some),
                ]
            )
            order = np.lexsort((whose, mine))
            digest.update(mine[order].data)
            all_keys.write(mine[order].data)
            all_docs.write(whose[order].data)


def _mapped(path: Path, kind: Any) -> np.ndarray:
    return np.memmap(path, kind, "r") if path.stat().st_size else np.empty(0, kind)


def read_meta(folder: Path) -> dict[str, Any]:
    """What an index says of itself.

    Raises:
        ValueError: the folder holds none, or one of another format.
    """
    if not (folder / META).is_file():
        raise ValueError(f"index: {folder} holds no MinHash index; give the output of build_minhash_index")
    meta: dict[str, Any] = orjson.loads((folder / META).read_bytes())
    if meta.get("format") != FORMAT or "rows_per_band" not in meta:
        raise ValueError(
            f"index: {folder} has format {meta.get('format')}, but this version reads MinHash indexes of format "
            f"{FORMAT}; build it again"
        )
    return meta


def open_index(folder: Path) -> MinhashIndex:
    """Map an index.

    Raises:
        ValueError: the folder holds none, or one of another format.
    """
    meta = read_meta(folder)
    keys, docs, sets, ends = (_mapped(folder / name, kind) for name, kind in ARRAYS.items())
    with pa.memory_map(str(folder / IDS)) as source, pa.ipc.open_file(source) as reader:
        ids = reader.read_all()["id"]
    return MinhashIndex(keys, docs, sets, ends, ids, meta)
