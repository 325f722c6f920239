"""Rows of mapped shards as the arrays of one batch: whole-batch numpy, no loop over tokens or documents."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from shards.format import NO_LOSS, ShardError
from shards.mapped import FEW, Mapped

ARRAYS = ("input_ids", "attention_mask", "position_ids", "labels", "document_ids")

Groups = Sequence[tuple[Mapped, np.ndarray, np.ndarray]]


class Block(NamedTuple):
    """Rows as rectangles of one width, and how much of each row is not padding."""

    arrays: dict[str, np.ndarray]
    lengths: np.ndarray  # int64


def gather(
    groups: Groups, count: int, width: int | None, columns: Collection[str], dtype: str, pad: int
) -> Block:
    """Rows side by side, padded on the right.

    Args:
        groups: which shards have them, as mapped.Rows.groups finds them.
        count: how many rows.
        width: length of every row; None: of the longest.
        columns: which of ARRAYS to make.
        dtype: of ids, positions and labels.
        pad: id of padding.
    """
    starts, lengths = _places(groups, count, "input_ids")
    if width is None:
        width = int(lengths.max(initial=0))
    arrays: dict[str, np.ndarray] = {}
    if "input_ids" in columns:
        arrays["input_ids"] = _take(groups, "input_ids", starts, lengths, width, dtype, pad)
    if "attention_mask" in columns:
        arrays["attention_mask"] = np.ones((count, width), bool)
        _fill(arrays["attention_mask"], lengths, False)
    if "labels" in columns:
        arrays["labels"] = _labels(groups, arrays.get("input_ids"), lengths, width, dtype)
    if "position_ids" in columns or "document_ids" in columns:
        arrays |= _documents(groups, lengths, width, columns, dtype)
    return Block(arrays, lengths)


def _places(groups: Groups, count: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Start and length of each row in its shard; of its ids where the shard has no such column."""
    starts, lengths = np.empty(count, np.int64), np.empty(count, np.int64)
    for shard, which, local in groups:
        column = name if name in shard.offsets else "input_ids"
        if len(which) > FEW:
            starts[which], lengths[which] = shard.places(local, column)
            continue
        for i, row in zip(which.tolist(), local.tolist(), strict=True):
            start, end = shard.place(row, column)
            starts[i], lengths[i] = start, end - start
    return starts, lengths


def _take(
    groups: Groups, name: str, starts: np.ndarray, lengths: np.ndarray, width: int, dtype: str, fill: int
) -> np.ndarray:
    """Values of a column, row by row; `fill` behind the end of a row."""
    out = np.empty((len(starts), width), dtype)
    for shard, which, _ in groups:
        source = shard.ids if name == "input_ids" or name not in shard.offsets else shard.numbers
        left = which
        if len(which) > FEW and len(source) >= width > 0:
            left = _take_windows(source, which, starts, out)
        for i in left.tolist():
            start, length = int(starts[i]), int(lengths[i])
            out[i, :length] = source[start : start + length]
    _fill(out, lengths, fill)
    return out


def _take_windows(source: np.ndarray, which: np.ndarray, starts: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Copy `width` values from each start, what follows a short row included; returns the rows left to do.

    Those are the rows too near the end of the file for it.
    """
    width, size = out.shape[1], source.itemsize
    windows: np.ndarray = np.ndarray(
        (len(source) - width + 1, width), source.dtype, source.data, 0, (size, size)
    )
    at = starts[which]
    inside = at < len(windows)
    if inside.all():
        if len(which) == len(out):  # all rows, in order
            out[...] = windows[at]
        else:
            out[which] = windows[at]
        return which[:0]
    out[which[inside]] = windows[at[inside]]
    return np.asarray(which[~inside])


def _fill(out: np.ndarray, lengths: np.ndarray, value: int) -> None:
    """Put a value behind the end of each row."""
    width = out.shape[1]
    short = np.flatnonzero(lengths < width)
    if len(short) > 16 and 8 * len(short) > len(out):
        np.copyto(out, value, where=np.arange(width) >= lengths[:, None])
        return
    for i in short.tolist():
        out[i, lengths[i] :] = value


def _labels(
    groups: Groups, ids: np.ndarray | None, lengths: np.ndarray, width: int, dtype: str
) -> np.ndarray:
    """The stored labels, else the ids: never memory that anything else sees, so a trainer may write on it."""
    if ids is not None and not any("labels" in shard.offsets for shard, _, _ in groups):
        labels = ids.copy()
        _fill(labels, lengths, NO_LOSS)
        return labels
    starts, stored = _places(groups, len(lengths), "labels")
    if not np.array_equal(stored, lengths):
        raise ShardError(f"{groups[0][0].path}: labels are not as long as input_ids; run shards.verify")
    return _take(groups, "labels", starts, lengths, width, dtype, NO_LOSS)


def _documents(
    groups: Groups, lengths: np.ndarray, width: int, columns: Collection[str], dtype: str
) -> dict[str, np.ndarray]:
    """position_ids (0 on padding) and document_ids (number of the document in its row, -1 on padding)."""
    sizes, owners = _sequences(groups, lengths, width)
    ends = np.cumsum(sizes, dtype=np.int64)
    total = len(lengths) * width
    if (int(ends[-1]) if len(ends) else 0) != total:
        raise ShardError(
            f"{groups[0][0].path}, or a shard beside it: seq_lengths do not add up; run shards.verify"
        )
    inner = np.int32 if total < 1 << 31 else np.int64
    shape, found = (len(lengths), width), {}
    if "position_ids" in columns:
        begins = np.repeat((ends - sizes).astype(inner), sizes)
        positions = np.subtract(np.arange(total, dtype=inner), begins, out=begins).astype(dtype, copy=False)
        found["position_ids"] = positions.reshape(shape)
        _fill(found["position_ids"], lengths, 0)
    if "document_ids" in columns:
        first = np.searchsorted(owners, np.arange(len(lengths)))
        numbers = (np.arange(len(sizes)) - first[owners]).astype(np.int32)
        found["document_ids"] = np.repeat(numbers, sizes).reshape(shape)
        _fill(found["document_ids"], lengths, -1)
    return found


def _sequences(groups: Groups, lengths: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the documents of all rows, in their order, with the padding of a row as its last one.

    Returns:
        sizes and owners: int64, how long each is and which row it is in.
    """
    sizes, counts = [], []
    for shard, which, local in groups:
        if len(which) > FEW:
            start, count = shard.places(local, "seq_lengths")
            at = np.arange(int(count.sum())) + np.repeat(start - np.cumsum(count) + count, count)
            sizes.append(shard.numbers[at])
            counts.append(count)
            continue
        ends = [shard.place(row, "seq_lengths") for row in local.tolist()]
        sizes += [shard.numbers[start:end] for start, end in ends]
        counts.append(np.array([end - start for start, end in ends]))
    short = np.flatnonzero(lengths < width)
    counts.append(np.ones(len(short), np.int64))
    owners = np.repeat(np.concatenate([*(which for _, which, _ in groups), short]), np.concatenate(counts))
    order = np.argsort(owners, kind="stable")
    return np.concatenate([*sizes, width - lengths[short]])[order].astype(np.int64), owners[order]
