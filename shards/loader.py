"""Rows of token shards for a trainer: mapped into memory, in one seeded order however many ranks share them.

    data = TokenShards("out/shards", seq_len=1024, batch=8, seed=17, rank=rank, world_size=world)
    for batch in data:          # one epoch, from where it stands
        step(batch)             # input_ids, attention_mask, position_ids, labels, rows
        save(data.state_dict()) # what load_state_dict needs to go on with the next batch

Needs numpy and pyarrow; arrays turn into tensors with `torch.from_numpy`. With PyTorch's DataLoader, and worker
processes: shards.pytorch. Several data sets by weight: shards.mixture. Masks and bounds: shards.collate.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shards.cache import folder_of
from shards.collate import cu_seqlens, position_ids
from shards.format import Manifest, ShardError
from shards.gather import Block, gather
from shards.index import locate, row_starts
from shards.mapped import OPEN_SHARDS, Rows
from shards.order import shuffled
from shards.stream import COLUMNS, Batch, Stream

__all__ = ["TokenShards", "cu_seqlens", "locate", "position_ids", "row_starts"]


class TokenShards(Stream):
    """A folder of token shards: `data[i]` is row i as stored, iteration is one epoch in the seeded order.

    At each step the ranks together take the next `batch * world_size` rows of the order, each its own run of
    `batch`; so the rows of a step do not depend on how many ranks share it when `batch * world_size` is the
    same, and the order of all rows never does. The last step of an epoch shares what is left as evenly as it
    goes (a rank may get an empty batch), or is left out with `drop_last`; all ranks take equally many steps.

    Args:
        path: the folder that write_token_shards wrote, or its URL (s3://, gs://, memory://, ...; needs fsspec).
        seq_len: pad batches to it; refused when rows may be longer. None: pad to the batch's longest row.
        batch: rows a rank gets at each step.
        seed: chooses the order, together with the epoch.
        rank: which of the ranks this is.
        world_size: how many ranks share the data.
        epoch: where to begin.
        shuffle: False = rows in stored order.
        drop_last: leave out the last step of an epoch when it is not full.
        tokenizer_sha256: hash of the trainer's tokenizer file; refused when another made the ids.
        chat_template_sha256: hash of the trainer's chat template; refused when another rendered the dialogues.
        vocab_size: entries of the model's embedding; refused when ids may lie beyond it.
        columns: what a batch holds, of input_ids, attention_mask, position_ids, labels, rows, document_ids (int32,
            which document of its row a token is of), epoch (a number) and state (for state_dict). What is left
            out costs nothing.
        dtype: of ids, positions and labels: int64 or int32.
        cache: folder for shards fetched from a URL; None: $CORPUSMILL_SHARD_CACHE or ~/.cache/corpusmill/shards.
        cache_bytes: how large the fetched shards may grow before the least recently used leave; None: no bound.
        storage_options: for fsspec.
        open_shards: how many shards stay mapped.

    Raises:
        ShardError: no whole set of shards, another format version, or not for this trainer.
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
        *,
        chat_template_sha256: str | None = None,
        vocab_size: int | None = None,
        columns: Sequence[str] = COLUMNS,
        dtype: str = "int64",
        cache: str | Path | None = None,
        cache_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        open_shards: int = OPEN_SHARDS,
    ) -> None:
        super().__init__(
            batch=batch,
            rank=rank,
            world_size=world_size,
            epoch=epoch,
            drop_last=drop_last,
            columns=columns,
            dtype=dtype,
        )
        self.folder = folder_of(path, cache, cache_bytes, storage_options)
        self.manifest = self.folder.manifest
        self.refuse_longer(seq_len)
        _refuse_ids(self.folder.name, self.manifest, vocab_size)
        _refuse_makers(self.folder.name, self.manifest, tokenizer_sha256, chat_template_sha256)
        self.seq_len, self.seed, self.shuffle = seq_len, seed, shuffle
        self.store = Rows(self.manifest, self.folder.open, open_shards)

    def __len__(self) -> int:
        return self.manifest.rows

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        """Row as stored: input_ids, seq_lengths and labels, if there are any; read-only views of the map."""
        shard, local = self.store.find(self._checked(row))
        return shard.row(local)

    def pieces(self, row: int) -> list[dict[str, Any]]:
        """Where each sequence of a row came from: id, start and end in code points of its text, tokens."""
        shard, local = self.store.find(self._checked(row))
        return shard.pieces(local)

    def _checked(self, row: int) -> int:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return row % len(self)

    def refuse_longer(self, seq_len: int | None) -> None:
        """Raise ShardError where rows may be longer than a trainer's seq_len; None: it takes any."""
        longest = self.manifest.seq_len
        if seq_len is not None and (longest is None or longest > seq_len):
            have = "of any length" if longest is None else f"of up to {longest} tokens"
            raise ShardError(
                f"{self.folder.name}: has rows {have}, but seq_len is {seq_len}; "
                f"write the shards with seq_len {seq_len}"
            )

    @property
    def total(self) -> int:
        """Rows of an epoch."""
        return len(self)

    @property
    def pad_id(self) -> int:
        """What padding is filled with: pad_id, else eos_id, else 0. Masks go by position, never by id."""
        tokenizer = self.manifest.tokenizer
        return next((i for i in (tokenizer.pad_id, tokenizer.eos_id) if i is not None), 0)

    def order(self, positions: np.ndarray, epoch: int | None = None) -> np.ndarray:
        """Rows at these positions of an epoch's order, as int64."""
        if not self.shuffle:
            return np.asarray(positions, np.int64)
        return shuffled(positions, len(self), self.seed, self.epoch if epoch is None else epoch)

    def collate(self, rows: np.ndarray | Sequence[int]) -> Batch:
        """These rows as one batch, padded on the right.

        Returns:
            those of `columns` that are arrays. input_ids, position_ids (from 0 in each document), labels (-100
            on padding; a copy of input_ids where the shards have none; not shifted): of `dtype`, shape (rows,
            length). attention_mask: bool, likewise, False on padding by position, never by id. document_ids:
            int32, likewise, -1 on padding. rows: int64, which rows they are.
        """
        found = self._gather(np.array([self._checked(int(row)) for row in rows], np.int64), self.seq_len)
        return {name: found.arrays[name] for name in self.columns if name in found.arrays}

    def _gather(self, rows: np.ndarray, width: int | None) -> Block:
        block = gather(self.store.groups(rows), len(rows), width, self.columns, self.dtype, self.pad_id)
        if "rows" in self.columns:
            block.arrays["rows"] = rows
        return block

    def _find(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        return self.order(positions, epoch)

    def _fetch(self, found: np.ndarray) -> Block:
        return self._gather(found, self._widths()[0])

    def _widths(self) -> tuple[int | None, bool]:
        if self.seq_len is not None:
            return self.seq_len, False
        # rows of whole documents are of any length: a block as wide as the longest would be mostly padding
        return (None if self.manifest.packing == "none" else self.manifest.seq_len), True

    def _identity(self) -> dict[str, Any]:
        return {"data": self.manifest.data_digest(), "seed": self.seed, "shuffle": self.shuffle}


def _refuse_ids(where: str, manifest: Manifest, vocab_size: int | None) -> None:
    """Raise ShardError for ids that the model has no place for."""
    size = manifest.tokenizer.vocab_size
    if vocab_size is not None and size > vocab_size:
        raise ShardError(
            f"{where}: has ids up to {size - 1} (the tokenizer's {size} entries, added tokens included), but the "
            f"model's vocab_size is {vocab_size}; enlarge the embedding to {size} or more"
        )


def _refuse_makers(where: str, manifest: Manifest, tokenizer: str | None, template: str | None) -> None:
    """Raise ShardError for ids that another tokenizer made, or dialogues that another template rendered."""
    made_by = manifest.tokenizer.sha256
    if tokenizer is not None and tokenizer != made_by:
        raise ShardError(
            f"{where}: its ids were made by tokenizer {made_by}, but the trainer's is {tokenizer}; "
            "tokenize the documents again with the trainer's tokenizer"
        )
    rendered_by = manifest.chat_template_sha256
    if template is not None and template != rendered_by:
        raise ShardError(
            f"{where}: its dialogues were rendered by chat template {rendered_by}, but the trainer's is "
            f"{template}; render and tokenize them again with the trainer's template"
        )
