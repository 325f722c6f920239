"""Rows of token shards for a trainer: mapped into memory, in one seeded order however many ranks share them.

    data = TokenShards("out/shards", seq_len=1024, batch=8, seed=17, rank=rank, world_size=world)
    for batch in data:          # one epoch, from where it stands
        step(batch)             # input_ids, attention_mask, position_ids, labels, rows
        save(data.state_dict()) # what load_state_dict needs to go on with the next batch

Needs numpy and pyarrow; arrays turn into tensors with `torch.from_numpy`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shards.format import MANIFEST, NO_LOSS, Manifest, ShardError, ShardFile
from shards.order import shuffled

STATE_VERSION = 1


def position_ids(seq_lengths: np.ndarray) -> np.ndarray:
    """Position of each token in its own document.

    >>> position_ids(np.array([3, 2])).tolist()
    [0, 1, 2, 0, 1]
    """
    lengths = np.asarray(seq_lengths, np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) - np.repeat(ends - lengths, lengths)


def cu_seqlens(seq_lengths: np.ndarray) -> np.ndarray:
    """Bounds of the documents in a row, as variable-length attention kernels want them: int32, from 0.

    Raises:
        OverflowError: they end beyond what int32 holds.

    >>> cu_seqlens(np.array([3, 2])).tolist()
    [0, 3, 5]
    """
    bounds = np.zeros(len(seq_lengths) + 1, np.int64)
    np.cumsum(seq_lengths, dtype=np.int64, out=bounds[1:])
    if bounds[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"cu_seqlens end at {bounds[-1]}, beyond int32; take fewer rows at once")
    return bounds.astype(np.int32)


def row_starts(rows: np.ndarray | list[int]) -> np.ndarray:
    """First row of each shard in the whole, then the number of rows; int64, as corpora pass 2**31."""
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(rows, dtype=np.int64, out=starts[1:])
    return starts


def locate(starts: np.ndarray, row: int) -> tuple[int, int]:
    """Which shard holds a row, and as which of its rows.

    >>> locate(row_starts([2, 0, 3]), 2)
    (2, 0)
    """
    shard = int(np.searchsorted(starts, row, side="right")) - 1
    return shard, int(row - starts[shard])


class _Shard:
    """One mapped Arrow stream: views of its columns, batch by batch."""

    def __init__(self, folder: Path, shard: ShardFile) -> None:
        path = folder / shard.file
        try:
            source = pa.memory_map(str(path))
            if source.size() != shard.bytes:
                raise ShardError(
                    f"{path}: has {source.size()} bytes, not {shard.bytes}; it is cut off or was altered"
                )
            with pa.ipc.open_stream(source) as reader:
                self.batches = list(reader)
        except (pa.ArrowInvalid, OSError) as error:
            raise ShardError(f"{path}: cannot be read ({error}); run shards.verify on the folder") from error
        self.starts = row_starts([batch.num_rows for batch in self.batches])
        if int(self.starts[-1]) != shard.rows:
            raise ShardError(f"{path}: has {int(self.starts[-1])} rows, but {MANIFEST} says {shard.rows}")
        names = [name for name in ("input_ids", "seq_lengths", "labels") if shard.rows]
        self.views: list[dict[str, tuple[np.ndarray, np.ndarray]]] = [
            {
                name: (batch.column(name).values.to_numpy(), batch.column(name).offsets.to_numpy())
                for name in names
                if name in batch.schema.names
            }
            for batch in self.batches
        ]

    def row(self, index: int) -> dict[str, np.ndarray]:
        batch, i = locate(self.starts, index)
        return {
            name: values[offsets[i] : offsets[i + 1]] for name, (values, offsets) in self.views[batch].items()
        }

    def pieces(self, index: int) -> list[dict[str, Any]]:
        batch, i = locate(self.starts, index)
        found: list[dict[str, Any]] = self.batches[batch].column("pieces")[i].as_py()
        return found


class TokenShards:
    """A folder of token shards: `data[i]` is row i as stored, iteration is one epoch in the seeded order.

    At each step the ranks together take the next `batch * world_size` rows of the order, each its own run of
    `batch`; so the rows of a step do not depend on how many ranks share it when `batch * world_size` is the
    same, and the order of all rows never does. The last step of an epoch shares what is left as evenly as it
    goes (a rank may get an empty batch), or is left out with `drop_last`; all ranks take equally many steps.

    Args:
        path: the folder that write_token_shards wrote.
        seq_len: pad batches to it; refused when rows may be longer. None: pad to the batch's longest row.
        batch: rows a rank gets at each step.
        seed: chooses the order, together with the epoch.
        rank: which of the ranks this is.
        world_size: how many ranks share the data.
        epoch: where to begin.
        shuffle: False = rows in stored order.
        drop_last: leave out the last step of an epoch when it is not full.
        tokenizer_sha256: hash of the trainer's tokenizer file; refused when another made the ids.

    Raises:
        ShardError: no whole set of shards, another format version, another tokenizer, rows too long.
        ValueError: an argument cannot be meant.
    """

    def __init__(
        self,
        path: str | Path,
        seq_len: int | None = None,
        batch: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        epoch: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        tokenizer_sha256: str | None = None,
    ) -> None:
        if batch < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"batch {batch}, rank {rank} of {world_size}: batch must be 1 or more, rank below world_size"
            )
        self.folder, self.manifest = Path(path), Manifest.load(Path(path))
        _refuse(self.folder, self.manifest, seq_len, tokenizer_sha256)
        self.seq_len, self.batch, self.seed, self.shuffle = seq_len, batch, seed, shuffle
        self.rank, self.world_size, self.drop_last = rank, world_size, drop_last
        self.epoch, self.position = (
            epoch,
            0,
        )  # position: rows of this epoch that all ranks together have taken
        self._starts = row_starts([shard.rows for shard in self.manifest.shards])
        self._shards: dict[int, _Shard] = {}

    def __len__(self) -> int:
        return self.manifest.rows

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": {}}  # maps are opened again in the process that gets this

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        """Row as stored: input_ids, seq_lengths and labels, if there are any; read-only views of the map."""
        shard, index = self._locate(row)
        return shard.row(index)

    def pieces(self, row: int) -> list[dict[str, Any]]:
        """Where each sequence of a row came from: id, start and end in code points of its text, tokens."""
        shard, index = self._locate(row)
        return shard.pieces(index)

    def _locate(self, row: int) -> tuple[_Shard, int]:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        shard, index = locate(self._starts, row % len(self))
        if shard not in self._shards:
            self._shards[shard] = _Shard(self.folder, self.manifest.shards[shard])
        return self._shards[shard], index

    def order(self, positions: np.ndarray, epoch: int | None = None) -> np.ndarray:
        """Rows at these positions of an epoch's order, as int64."""
        if not self.shuffle:
            return np.asarray(positions, np.int64)
        return shuffled(positions, len(self), self.seed, self.epoch if epoch is None else epoch)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """The rest of this epoch, batch by batch; afterwards `epoch` stands one higher."""
        epoch, step = self.epoch, self.batch * self.world_size
        last = len(self) - len(self) % step if self.drop_last else len(self)
        if self.position >= last:
            self.epoch, self.position = epoch + 1, 0
            return
        while self.epoch == epoch:
            start = self.position
            taken = min(step, last - start)
            low, high = (start + (self.rank + i) * taken // self.world_size for i in (0, 1))
            # the state moves on before the batch is handed out: saved now, it continues with the next one
            self.position = start + taken
            if self.position >= last:
                self.epoch, self.position = epoch + 1, 0
            yield self.collate(self.order(np.arange(low, high), epoch))

    def collate(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """These rows as one batch, padded on the right.

        Returns:
            input_ids, position_ids (from 0 in each document), labels (-100 on padding; input_ids where the
            shards have none; not shifted): int64, shape (rows, length). attention_mask: bool, likewise, False
            on padding by position, never by id. rows: int64, which rows they are.
        """
        found = [self[int(row)] for row in rows]
        length = self.seq_len or max((len(row["input_ids"]) for row in found), default=0)
        tokenizer = self.manifest.tokenizer
        pad = next((i for i in (tokenizer.pad_id, tokenizer.eos_id) if i is not None), 0)
        shape = (len(found), length)
        ids, labels = np.full(shape, pad, np.int64), np.full(shape, NO_LOSS, np.int64)
        positions, mask = np.zeros(shape, np.int64), np.zeros(shape, bool)
        for i, row in enumerate(found):
            n = len(row["input_ids"])
            ids[i, :n] = row["input_ids"]
            labels[i, :n] = row.get("labels", row["input_ids"])
            positions[i, :n] = position_ids(row["seq_lengths"])
            mask[i, :n] = True
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": positions,
            "labels": labels,
            "rows": np.asarray(rows, np.int64),
        }

    def state_dict(self) -> dict[str, Any]:
        """Where it stands: a loader with this state goes on after the last batch handed out."""
        return {
            "version": STATE_VERSION,
            "data": self.manifest.data_digest(),
            "seed": self.seed,
            "shuffle": self.shuffle,
            "epoch": self.epoch,
            "position": self.position,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, with as many ranks as you like.

        Raises:
            ShardError: the state is of other data, or of another order.
        """
        mine = self.state_dict()
        for key in ("version", "data", "seed", "shuffle"):
            if state.get(key) != mine[key]:
                raise ShardError(
                    f"state: {key} is {state.get(key)!r}, but this loader's is {mine[key]!r}; "
                    "resume with the shards and the seed it was saved with"
                )
        self.epoch, self.position = int(state["epoch"]), int(state["position"])


def _refuse(folder: Path, manifest: Manifest, seq_len: int | None, tokenizer_sha256: str | None) -> None:
    """Raise ShardError for data that this trainer cannot mean."""
    made_by = manifest.tokenizer.sha256
    if tokenizer_sha256 is not None and tokenizer_sha256 != made_by:
        raise ShardError(
            f"{folder}: its ids were made by tokenizer {made_by}, but the trainer's is {tokenizer_sha256}; "
            "tokenize the documents again with the trainer's tokenizer"
        )
    if seq_len is not None and (manifest.seq_len is None or manifest.seq_len > seq_len):
        have = "of any length" if manifest.seq_len is None else f"of up to {manifest.seq_len} tokens"
        raise ShardError(
            f"{folder}: has rows {have}, but seq_len is {seq_len}; write the shards with seq_len {seq_len}"
        )
