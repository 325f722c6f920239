"""What attention needs to know about packed rows: bounds, masks, positions, shifted targets.

A batch of TokenShards holds position_ids, which are 0 wherever a document begins, and attention_mask, which is
False on padding; all of this follows from the two. No function here changes a batch: what is returned is new memory.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from shards.format import NO_LOSS


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


class Flat(NamedTuple):
    """A batch without padding, one row of all its tokens: what variable-length attention kernels take."""

    arrays: dict[str, np.ndarray]  # each of shape (1, tokens)
    cu_seqlens: np.ndarray  # int32, bounds of the documents, from 0 to the number of tokens
    max_seqlen: int


def document_starts(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where documents begin: bool, shape (rows, length); never on padding.

    Raises:
        KeyError: the batch lacks position_ids or attention_mask; name them in `columns`.
    """
    starts: np.ndarray = (_need(batch, "position_ids") == 0) & _need(batch, "attention_mask")
    return starts


def batch_cu_seqlens(batch: Mapping[str, np.ndarray]) -> tuple[np.ndarray, int]:
    """Bounds of the documents in all rows of a batch, padding left out, and the length of the longest.

    Returns:
        int32 bounds from 0 to the number of tokens that are not padding; no document spans two rows.
    """
    starts = document_starts(batch)[_need(batch, "attention_mask")]
    lengths = np.diff(np.append(np.flatnonzero(starts), len(starts)))
    return cu_seqlens(lengths), int(lengths.max(initial=0))


def flatten(batch: Mapping[str, np.ndarray]) -> Flat:
    """A batch as one row without padding: for flash-attention's varlen functions and the like.

    Labels at the beginning of a document are -100: with labels shifted by one, they would be learnt from the
    last token of the document before.
    """
    bounds, longest = batch_cu_seqlens(batch)
    mask = _need(batch, "attention_mask")
    arrays = {
        name: array[mask][None]
        for name, array in batch.items()
        if getattr(array, "shape", None) == mask.shape
    }
    if "labels" in arrays:
        arrays["labels"][0, bounds[:-1]] = NO_LOSS
    return Flat(arrays, bounds, longest)


def document_ids(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which document of its row each token is of, from 0; -1 on padding. int32, shape (rows, length).

    As a tensor it is all that FlexAttention's mask_mod needs: `(q >= k) & (ids[b, q] == ids[b, k])`.
    """
    numbers = np.cumsum(document_starts(batch), axis=1, dtype=np.int32) - 1
    numbers[~_need(batch, "attention_mask")] = -1
    return numbers


def block_diagonal_mask(batch: Mapping[str, np.ndarray], causal: bool = True) -> np.ndarray:
    """Who may attend to whom: within one document, and backwards only if causal.

    Padding attends to itself alone, so that no row of a softmax is empty.

    Returns:
        bool, shape (rows, 1, length, length), as scaled_dot_product_attention takes it; length**2 bytes a row.
    """
    ids = document_ids(batch)
    length = ids.shape[1]
    mask = (ids[:, :, None] == ids[:, None, :]) & (ids >= 0)[:, :, None]
    if causal:
        mask &= np.tri(length, dtype=bool)
    mask |= np.eye(length, dtype=bool)
    return np.expand_dims(mask, 1)


def shifted(batch: Mapping[str, np.ndarray], across_documents: bool = False) -> dict[str, np.ndarray]:
    """Inputs and the token that follows each, for trainers that do not shift labels themselves.

    Args:
        batch: with input_ids and labels, both unshifted.
        across_documents: False: the last token of a document has nothing to learn. True: as packed rows are
            trained without masks, it learns the first token of the next document.

    Returns:
        the arrays of the batch with length - 1 columns, and `targets`: -100 where nothing is to be learnt.
    """
    targets = _need(batch, "labels")[:, 1:].copy()
    if not across_documents:
        targets[document_starts(batch)[:, 1:]] = NO_LOSS
    shape = batch["labels"].shape
    arrays = {
        name: array[:, :-1].copy() for name, array in batch.items() if getattr(array, "shape", None) == shape
    }
    return {**arrays, "targets": targets}


def _need(batch: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in batch:
        raise KeyError(f"the batch has no {name}; name it in `columns` of TokenShards")
    return batch[name]
