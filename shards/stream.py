"""Rows in an order that any number of ranks and worker processes share: steps, workers, state.

A step takes the next `batch * world_size` positions of the order, each rank its own run of `batch`. With k worker
processes, worker w makes every k-th step, which is how PyTorch's DataLoader asks for them: what it hands out is
the same sequence for every k.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from shards.format import ShardError
from shards.gather import ARRAYS, Block

STATE_VERSION = 1
BLOCK_TOKENS = 1 << 18  # made at once: 6 MB for ids, labels and positions; 2**16 is a third slower
PLAN_ROWS = 1 << 12  # found in the order at once
COLUMNS = ("input_ids", "attention_mask", "position_ids", "labels", "rows")
MORE_COLUMNS = ("document_ids", "epoch", "state")
DTYPES = ("int64", "int32")

Batch = dict[str, Any]


class Step(NamedTuple):
    """What a rank takes of the order, and where all ranks together stand afterwards."""

    low: int
    high: int
    end: int


def worker_of() -> tuple[int, int]:
    """Which of how many worker processes this is; (0, 1) outside of PyTorch's DataLoader."""
    loading = sys.modules.get("torch.utils.data")
    info = loading.get_worker_info() if loading is not None else None
    return (0, 1) if info is None else (int(info.id), int(info.num_workers))


class Stream(ABC):
    """An order of rows, shared by ranks and workers, that can be left and taken up at every step.

    `epoch` and `position` say where it stands; position counts the rows that all ranks together have taken.
    """

    def __init__(
        self,
        *,
        batch: int,
        rank: int,
        world_size: int,
        epoch: int,
        drop_last: bool,
        columns: Sequence[str],
        dtype: str,
        known: Collection[str] = (*COLUMNS, *MORE_COLUMNS),
    ) -> None:
        if batch < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"batch {batch}, rank {rank} of {world_size}: batch must be 1 or more, rank below world_size"
            )
        if unknown := [name for name in columns if name not in known]:
            raise ValueError(f"columns: {unknown[0]!r} is not one; choose from {', '.join(known)}")
        if dtype not in DTYPES:
            raise ValueError(f"dtype {dtype!r}: is not one for batches; choose from {', '.join(DTYPES)}")
        self.batch, self.rank, self.world_size = batch, rank, world_size
        self.epoch, self.position, self.drop_last = epoch, 0, drop_last
        self.columns, self.dtype = tuple(columns), dtype
        _show_to_torch(type(self))

    @property
    @abstractmethod
    def total(self) -> int | None:
        """Rows of an epoch; None: it has no end."""

    @abstractmethod
    def _find(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        """Which row is at each of these positions of an epoch's order; one entry (of any shape) for each."""

    @abstractmethod
    def _fetch(self, found: np.ndarray) -> Block:
        """The arrays of the rows that _find found."""

    @abstractmethod
    def _widths(self) -> tuple[int | None, bool]:
        """Tokens of the longest row (None: not known) and whether each batch is cut to its own longest."""

    @abstractmethod
    def _identity(self) -> dict[str, Any]:
        """What must be equal for a state to mean the same rows."""

    def steps(self) -> int | None:
        """How many batches a rank gets in an epoch; None: it has no end."""
        if self.total is None:
            return None
        step = self.batch * self.world_size
        return self.total // step if self.drop_last else -(-self.total // step)

    def ranges(self, start: int = 0) -> Iterator[Step]:
        """The steps of this rank from a position to the end of an epoch."""
        last = self._last(start)
        while last is None or start < last:
            plan = self._plan(start, last, 1, PLAN_ROWS)
            yield from plan
            start = plan[-1].end

    def at(self, positions: np.ndarray, epoch: int) -> Batch:
        """What stands at these positions of an epoch's order, as one batch."""
        found = self._fetch(self._find(positions, epoch)).arrays
        return {name: found[name] for name in self.columns if name in found}

    def set_epoch(self, epoch: int) -> None:
        """Stand at the beginning of an epoch."""
        self.epoch, self.position = epoch, 0

    def __iter__(self) -> Iterator[Batch]:
        """The rest of this epoch, batch by batch; afterwards `epoch` stands one higher."""
        worker, workers = worker_of()
        epoch, size, start = self.epoch, 1, self.position
        last = self._last(start)
        start += worker * self.batch * self.world_size
        while self.epoch == epoch and (last is None or start < last):
            plan = self._plan(start, last, workers, size)
            for step, batch in zip(plan, self._batches(plan, epoch, last), strict=True):
                # the state moves on before the batch is handed out: saved now, it continues with the next
                self.epoch, self.position = (epoch, step.end) if step.end != last else (epoch + 1, 0)
                stands = (self.epoch, self.position)
                yield batch
                if stands != (self.epoch, self.position):  # moved by load_state_dict or another iterator
                    start, last = self.position, self._last(self.position)
                    break
            else:
                start = plan[-1].end + (workers - 1) * self.batch * self.world_size
                size *= 2  # the first batch comes at once, later ones in blocks
        if self.epoch == epoch:  # also where another worker had the last step
            self.set_epoch(epoch + 1)

    def _last(self, start: int) -> int | None:
        """Where the steps from a position end."""
        if self.total is None or not self.drop_last:
            return self.total
        step = self.batch * self.world_size
        return start + max(0, self.total - start) // step * step

    def _plan(self, start: int, last: int | None, workers: int, size: int) -> list[Step]:
        """The next steps of this worker, at most `size` and at most PLAN_ROWS rows."""
        step, size = self.batch * self.world_size, max(1, min(size, PLAN_ROWS // self.batch))
        plan: list[Step] = []
        while len(plan) < size and (last is None or start < last):
            taken = step if last is None else min(step, last - start)
            low, high = (start + (self.rank + i) * taken // self.world_size for i in (0, 1))
            plan.append(Step(low, high, start + taken))
            start += workers * step
        return plan

    def _batches(self, plan: list[Step], epoch: int, last: int | None) -> Iterator[Batch]:
        """The batches of these steps, made a block at a time and cut apart: no two share an element."""
        found = self._find(np.concatenate([np.arange(step.low, step.high) for step in plan]), epoch)
        width, cut = self._widths()
        size = max(1, BLOCK_TOKENS // (self.batch * width)) if width else 1
        at = 0
        for first in range(0, len(plan), size):
            steps = plan[first : first + size]
            counts = [step.high - step.low for step in steps]
            block = self._fetch(found[at : at + sum(counts)])
            at += sum(counts)
            start = 0
            for step, count in zip(steps, counts, strict=True):
                batch = _part(block, slice(start, start + count), cut)
                start += count
                batch["epoch"] = epoch
                if "state" in self.columns:
                    ended = step.end == last
                    batch["state"] = {"epoch": epoch + ended, "position": 0 if ended else step.end}
                yield {name: batch[name] for name in self.columns}

    def state_dict(self, after: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Where it stands: a loader with this state goes on after the last batch handed out.

        Args:
            after: a batch's `state` (one of `columns`), to go on after that batch: where worker processes
                make batches, this object does not see which of them were handed out.
        """
        at = {"epoch": self.epoch, "position": self.position} if after is None else dict(after)
        place = {name: int(at[name]) for name in ("epoch", "position")}
        return {"version": STATE_VERSION, **self._identity(), **place}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, with as many ranks, workers and rows a batch as you like.

        Raises:
            ShardError: the state is of other data, or of another order.
        """
        for key, mine in {"version": STATE_VERSION, **self._identity()}.items():
            if state.get(key) != mine:
                raise ShardError(
                    f"state: {key} is {state.get(key)!r}, but this loader's is {mine!r}; "
                    "resume with the shards and the seed it was saved with"
                )
        self.epoch, self.position = int(state["epoch"]), int(state["position"])


def _part(block: Block, rows: slice, cut: bool) -> Batch:
    """Some rows of a block; cut to the longest of them if asked, and then contiguous, as tensors must be."""
    part = {name: array[rows] for name, array in block.arrays.items()}
    width = int(block.lengths[rows].max(initial=0)) if cut else 0
    for name in ARRAYS if cut else ():
        if name in part and part[name].shape[1] != width:
            part[name] = np.ascontiguousarray(part[name][:, :width])
    return part


def _show_to_torch(kind: type) -> None:
    """Make DataLoader see an iterable data set, where PyTorch is loaded; it is never imported here."""
    loading = sys.modules.get("torch.utils.data")
    if loading is not None and not issubclass(kind, loading.IterableDataset):
        loading.IterableDataset.register(kind)
