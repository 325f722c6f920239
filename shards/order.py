"""A seeded order of n rows that needs no memory: the row at any position is computed.

A balanced Feistel network permutes the numbers of 2k bits, the smallest such range that holds n, and a result
outside [0, n) is put in again until it falls inside (cycle walking), which is a permutation of [0, n).
Source: Black, Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002.
"""

import hashlib

import numpy as np

ROUNDS = 6
_MIXES = (  # splitmix64
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST = np.uint64(31)


def round_keys(seed: int, epoch: int) -> np.ndarray:
    """One key a round, from the seed and the epoch alone.

    Returns:
        uint64, shape (ROUNDS,).
    """
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=8 * ROUNDS).digest()
    return np.frombuffer(digest, "<u8")


def shuffled(positions: np.ndarray, rows: int, seed: int, epoch: int) -> np.ndarray:
    """The row at each position of the epoch's order.

    Args:
        positions: integers in [0, rows).
        rows: length of the order, up to 2**62.
        seed: chooses the order, together with `epoch`.
        epoch: every epoch has its own order.

    Returns:
        int64, as many as positions; over all positions each row comes exactly once.

    >>> sorted(shuffled(np.arange(5), 5, seed=1, epoch=0).tolist())
    [0, 1, 2, 3, 4]
    """
    half = np.uint64(max(1, ((max(rows, 2) - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    keys = round_keys(seed, epoch)
    result = np.asarray(positions).astype(np.uint64)
    outside = np.arange(len(result))
    while len(outside):
        result[outside] = _permute(result[outside], half, mask, keys)
        outside = outside[result[outside] >= np.uint64(rows)]
    return result.astype(np.int64)


def _permute(values: np.ndarray, half: np.uint64, mask: np.uint64, keys: np.ndarray) -> np.ndarray:
    left, right = values >> half, values & mask
    mixed, shifted = np.empty_like(left), np.empty_like(left)
    for key in keys:  # in place: half of the time was new memory
        np.bitwise_xor(right, key, out=mixed)
        for shift, factor in _MIXES:
            np.right_shift(mixed, shift, out=shifted)
            mixed ^= shifted
            mixed *= factor
        np.right_shift(mixed, _LAST, out=shifted)
        mixed ^= shifted
        mixed &= mask
        left ^= mixed
        left, right = right, left
    return (left << half) | right
