"""Several folders of token shards as one stream, mixed by weight, with the same promises as one folder.

data = Mixture(
    [TokenShards("web", seed=1), TokenShards("code", seed=2)], weights=[0.7, 0.3], seq_len=1024, batch=8,
    rank=rank, world_size=world,
)
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from shards.format import ShardError
from shards.gather import Block, Groups, gather
from shards.loader import TokenShards
from shards.schedule import Schedule
from shards.stream import COLUMNS, MORE_COLUMNS, Stream

MIXTURE_COLUMNS = ("component", "component_epoch")


class Mixture(Stream):
    """Rows of several data sets; after any n rows, a component of weight w has given floor(n*w) or ceil(n*w).

    Each component goes through its own rows in its own seeded order, one epoch of it after the other. An epoch of
    the mixture is `total` rows, and the next one goes on in the components where they stand, so that rows not
    yet read come before any is read again.

    Args:
        components: data sets; their seed, shuffle and epoch (where to begin) are used, their batch, rank,
            world_size, columns and dtype are not.
        weights: share of each in the *rows*, not in tokens or documents. Weights with up to five decimals are
            kept exactly; `shares` says what is used.
        seed: decides which component comes first where several could.
        seq_len: pad batches to it; None: to the longest row.
        batch: rows a rank gets at each step.
        rank: which of the ranks this is.
        world_size: how many ranks share the data.
        epoch: where to begin.
        rows: rows of an epoch; None: as many as max_epochs allows.
        max_epochs: how often any component may be read in an epoch of the mixture (1: no row comes twice);
            None: without bound, and with rows None the mixture has no end.
        drop_last: leave out the last step of an epoch when it is not full.
        columns: as for TokenShards; also component (int64, which one a row is from; `rows` counts in it) and
            component_epoch (int64, how often that one was read before).
        dtype: of ids, positions and labels.

    Raises:
        ShardError: the components come from different tokenizers, or one has no rows.
        ValueError: an argument cannot be meant, or `rows` would need more than max_epochs.
    """

    def __init__(
        self,
        components: Sequence[TokenShards],
        weights: Sequence[float | int | Fraction],
        *,
        seed: int = 0,
        seq_len: int | None = None,
        batch: int = 1,
        rank: int = 0,
        world_size: int = 1,
        epoch: int = 0,
        rows: int | None = None,
        max_epochs: int | None = 1,
        drop_last: bool = False,
        columns: Sequence[str] = (*COLUMNS, "component"),
        dtype: str = "int64",
    ) -> None:
        super().__init__(
            batch=batch,
            rank=rank,
            world_size=world_size,
            epoch=epoch,
            drop_last=drop_last,
            columns=columns,
            dtype=dtype,
            known=(*COLUMNS, *MORE_COLUMNS, *MIXTURE_COLUMNS),
        )
        if len(components) != len(weights):
            raise ValueError(
                f"weights: has {len(weights)} for {len(components)} components; give one for each"
            )
        _refuse(components, seq_len)
        self.components, self.seed, self.seq_len = tuple(components), seed, seq_len
        self._begun = [one.epoch for one in components]
        self.schedule = Schedule(weights, seed)
        self._total = self._rows_of_epoch(rows, max_epochs)

    def _rows_of_epoch(self, rows: int | None, max_epochs: int | None) -> int | None:
        if max_epochs is None:
            return rows
        sizes = [len(one) * max_epochs for one in self.components]
        ends = [self.schedule.place_of(c, size) for c, size in enumerate(sizes)]
        first = min(range(len(ends)), key=ends.__getitem__)
        if rows is not None and rows > ends[first]:
            raise ValueError(
                f"rows {rows}: component {first} has been read {max_epochs} times after {ends[first]} rows; "
                "ask for fewer, lower its weight, or raise max_epochs"
            )
        return ends[first] if rows is None else rows

    def __len__(self) -> int:
        if self._total is None:
            raise TypeError("this mixture has no end; give it rows or max_epochs")
        return self._total

    @property
    def total(self) -> int | None:
        """Rows of an epoch; None: it has no end."""
        return self._total

    @property
    def shares(self) -> list[Fraction]:
        """The share of each component in the rows, as it is used."""
        return self.schedule.shares

    def read(self) -> list[float]:
        """How often each component has been read up to here: 1.5 is once and a half."""
        place = self.position + (self._total or 0) * self.epoch
        given = self.schedule.given(place)
        return [count / len(one) for count, one in zip(given, self.components, strict=True)]

    def order(self, positions: np.ndarray, epoch: int | None = None) -> np.ndarray:
        """Component, row in it and epoch of it at these positions of an epoch: int64, shape (positions, 3)."""
        start = (self.epoch if epoch is None else epoch) * (self._total or 0)
        which, ordinals = self.schedule.at(np.asarray(positions, np.int64) + start)
        found = np.empty((len(which), 3), np.int64)
        found[:, 0] = which
        for c, one in enumerate(self.components):
            mine = np.flatnonzero(which == c)
            epochs, places = np.divmod(ordinals[mine], len(one))
            found[mine, 2] = epochs
            for passed in np.unique(epochs).tolist():
                now = epochs == passed
                found[mine[now], 1] = one.order(places[now], self._begun[c] + passed)
        return found

    def _find(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        return self.order(positions, epoch)

    def _fetch(self, found: np.ndarray) -> Block:
        groups: list[Any] = []
        for c, one in enumerate(self.components):
            mine = np.flatnonzero(found[:, 0] == c)
            for shard, which, local in one.store.groups(found[mine, 1]):
                groups.append((shard, mine[which], local))
        made: Groups = groups
        pad = self.components[0].pad_id
        block = gather(made, len(found), self._widths()[0], self.columns, self.dtype, pad)
        for name, column in (("component", 0), ("rows", 1), ("component_epoch", 2)):
            if name in self.columns:
                block.arrays[name] = found[:, column].copy()
        return block

    def _widths(self) -> tuple[int | None, bool]:
        if self.seq_len is not None:
            return self.seq_len, False
        widths = [one._widths()[0] for one in self.components]
        known = [width for width in widths if width is not None]
        return (max(known) if len(known) == len(widths) else None), True

    def _identity(self) -> dict[str, Any]:
        return {
            "data": [
                one._identity() | {"begun": begun}
                for one, begun in zip(self.components, self._begun, strict=True)
            ],
            "seed": self.seed,
            "shares": [str(share) for share in self.shares],
            "rows": self._total,
        }


def _refuse(components: Sequence[TokenShards], seq_len: int | None) -> None:
    """Raise ShardError for data sets that cannot be mixed, or are too long for this trainer."""
    made_by = {one.manifest.tokenizer.sha256: one.folder.name for one in components}
    if len(made_by) > 1:
        (a, first), (b, second) = list(made_by.items())[:2]
        raise ShardError(
            f"{second}: its ids were made by tokenizer {b}, but those of {first} by {a}; "
            "tokenize both with one tokenizer"
        )
    for one in components:
        if not len(one):
            raise ShardError(f"{one.folder.name}: has no rows; leave it out of the mixture")
        one.refuse_longer(seq_len)
