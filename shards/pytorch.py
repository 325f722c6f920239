"""Token shards with PyTorch: worker processes with an exact state, map-style data sets, document masks.

`DataLoader(data, batch_size=None, num_workers=k)` works as it is: in each worker, a TokenShards or a Mixture makes
the batches that are that worker's. What it cannot know is which batches were handed out, and that an epoch has
ended; ResumableLoader does.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from shards.stream import Batch, Stream

try:
    from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler
except ImportError:  # so that the module can be looked at without PyTorch; using it says what is missing
    DataLoader, Dataset, IterableDataset, Sampler = None, object, object, object


def _need_torch() -> None:
    if DataLoader is None:
        raise ImportError("shards.pytorch needs torch; install it (pip install torch)")


class _Source(IterableDataset):  # type: ignore[misc]
    """One epoch of a stream, in a worker: its batches, with the state after each."""

    def __init__(self, stream: Stream, transform: Callable[[Batch], Batch] | None) -> None:
        self.stream, self.transform = stream, transform

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.stream:
            state = batch["state"]
            yield batch if self.transform is None else {**self.transform(batch), "state": state}


class ResumableLoader:
    """Batches as tensors, made in worker processes, with the state of what was handed out.

        loader = ResumableLoader(TokenShards(...), num_workers=4, pin_memory=True)
        for epoch in range(3):
            for batch in loader:    # one epoch, from where it stands
                step(batch)
        loader.state_dict()         # goes on after the last batch handed out, however many were made ahead

    The state is that of the data set it was given: it may be loaded by a plain TokenShards or Mixture, with any
    number of workers and ranks.

    Args:
        stream: the rows; it stands where the loader stands.
        num_workers: worker processes; 0: batches are made here.
        transform: what each batch goes through where it is made, such as a BertCollator.
        options: for DataLoader: pin_memory, prefetch_factor, multiprocessing_context, ...
    """

    def __init__(
        self,
        stream: Stream,
        num_workers: int = 0,
        transform: Callable[[Batch], Batch] | None = None,
        **options: Any,
    ) -> None:
        _need_torch()
        if taken := {"batch_size", "sampler", "batch_sampler", "shuffle", "drop_last"} & set(options):
            raise ValueError(f"{min(taken)}: give it to {type(stream).__name__}, which makes the batches")
        if options.get("persistent_workers"):
            raise ValueError(
                "persistent_workers: workers begin anew where the state says; leave it out (starting them "
                "costs a few milliseconds an epoch)"
            )
        self.stream, self.num_workers, self.transform, self.options = stream, num_workers, transform, options

    def __iter__(self) -> Iterator[Batch]:
        stream, epoch = self.stream, self.stream.epoch
        source = copy.copy(stream)  # stands where the workers stand; `stream` where the trainer does
        source.columns = tuple({**dict.fromkeys(stream.columns), "state": None})
        loader = DataLoader(
            _Source(source, self.transform), batch_size=None, num_workers=self.num_workers, **self.options
        )
        for batch in loader:
            state = batch["state"]
            if "state" not in stream.columns:
                del batch["state"]
            stream.epoch, stream.position = int(state["epoch"]), int(state["position"])
            yield batch
        if stream.epoch == epoch:  # nothing was left of it
            stream.set_epoch(epoch + 1)

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        steps = self.stream.steps()
        if steps is None:
            raise TypeError("this mixture has no end; give it rows or max_epochs")
        return steps

    def state_dict(self) -> dict[str, Any]:
        """Goes on after the last batch handed out."""
        return self.stream.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As TokenShards.load_state_dict; the next iteration begins there."""
        self.stream.load_state_dict(state)


class PositionDataset(Dataset):  # type: ignore[misc]
    """A map-style data set of single rows *in the order of the stream*: item i is what comes i-th.

    Read it in sequence and the order is the seeded one, epoch after epoch; a sampler that shuffles would shuffle
    once more. For trainers that make batches themselves, such as the Hugging Face Trainer.

    Args:
        stream: the rows and their order; seq_len must be given where rows differ in length, as batches need one.
        epochs: how many epochs follow each other. A mixture without end is refused.
    """

    def __init__(self, stream: Stream, epochs: int = 1) -> None:
        _need_torch()
        if stream.total is None:
            raise ValueError("this mixture has no end; give it rows or max_epochs")
        self.stream, self.rows, self.epochs = stream, stream.total, epochs

    def __len__(self) -> int:
        return self.rows * self.epochs

    def __getitem__(self, item: int) -> Batch:
        """One row: arrays without the dimension of the batch."""
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[int]) -> list[Batch]:
        """Several rows, made together; DataLoader calls this for a batch."""
        places = np.asarray(items, np.int64)
        if len(places) and not (places.min() >= 0 and places.max() < len(self)):
            raise IndexError(f"item {places.max()} of {len(self)}")
        epochs, positions = np.divmod(places, max(self.rows, 1))
        found: list[Batch] = [{}] * len(places)
        for epoch in np.unique(epochs).tolist():
            mine = np.flatnonzero(epochs == epoch)
            batch = self.stream.at(positions[mine], self.stream.epoch + epoch)
            for i, item in enumerate(mine.tolist()):
                found[item] = {name: array[i] for name, array in batch.items()}
        return found


class PositionSampler(Sampler):  # type: ignore[misc]
    """Batches of items of a PositionDataset for one rank: the same steps that iterating the stream makes.

        DataLoader(PositionDataset(data), batch_sampler=PositionSampler(data), num_workers=4)

    Args:
        stream: its batch, rank, world_size and drop_last are used; begins at its position.
        epochs: as of the data set.
    """

    def __init__(self, stream: Stream, epochs: int = 1) -> None:
        _need_torch()
        self.stream, self.epochs = stream, epochs

    def __len__(self) -> int:
        """Batches that are left."""
        whole = self.stream.steps() or 0
        return sum(1 for _ in self.stream.ranges(self.stream.position)) + whole * (self.epochs - 1)

    def __iter__(self) -> Iterator[list[int]]:
        start = self.stream.position
        for epoch in range(self.epochs):
            base = epoch * (self.stream.total or 0)
            for low, high, _ in self.stream.ranges(start):
                yield list(range(base + low, base + high))
            start = 0


def document_mask(document_ids: Any, causal: bool = True) -> Callable[..., Any]:
    """A mask_mod for torch.nn.attention.flex_attention.create_block_mask: attention within one document.

    Args:
        document_ids: int32, shape (rows, length), of shards.collate.document_ids or the column of that name.
        causal: a token sees only those before it.
    """

    def within(b: Any, _: Any, q: Any, k: Any) -> Any:
        same = document_ids[b, q] == document_ids[b, k]
        return same & (q >= k) if causal else same

    return within
