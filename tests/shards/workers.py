"""What PyTorch's DataLoader does with worker processes, without PyTorch: a fake worker info, batches in turn."""

import pickle
import sys
import types
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple


class Info(NamedTuple):
    id: int
    num_workers: int


class FakeLoading(types.ModuleType):
    """Stands for torch.utils.data where PyTorch is not installed."""

    def __init__(self) -> None:
        super().__init__("torch.utils.data")
        self.info: Info | None = None
        self.IterableDataset = type("IterableDataset", (), {"register": classmethod(lambda cls, kind: None)})

    def get_worker_info(self) -> Info | None:
        return self.info


def in_workers(data, workers: int, monkeypatch) -> Iterator:
    """Batches of an epoch as DataLoader(data, batch_size=None, num_workers=workers) hands them out.

    Each worker has its own copy of the data set; the next batch is asked of the next worker that has not ended.
    """
    fake = FakeLoading()
    copies = {w: iter(pickle.loads(pickle.dumps(data))) for w in range(workers)}
    ended = object()
    while copies:
        for worker, one in list(copies.items()):
            fake.info = Info(worker, workers)
            monkeypatch.setitem(sys.modules, "torch.utils.data", fake)
            batch = next(one, ended)
            monkeypatch.delitem(sys.modules, "torch.utils.data")
            if batch is ended:
                del copies[worker]
            else:
                yield batch


def rows_of(batches) -> list[int]:
    return list(chain.from_iterable(batch["rows"].tolist() for batch in batches))
