"""Connected components of links between documents: in memory, or by stars where memory is too small for them.

A link says that two documents belong together; a component's name is the smallest reference in it. Links that fit
into memory are merged by `components`. Beyond that they go through the exchange in rounds, in which every
document sees only its own neighbours: large star and small star in turn, until nothing changes (Kiveris, Lattanzi,
Mirrokni, Rastogi, Vassilvitskii, "Connected Components in MapReduce and Beyond", SoCC 2014; O(log^2 n) rounds).
Both ways give the same groups.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

LINKS = pa.schema([("doc", pa.uint64()), ("group", pa.uint64())])
PAIRS = pa.schema([("key", pa.uint64()), ("doc", pa.uint64())])  # a document as `mixed` key, and a neighbour
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_INVERSES = (0x96DE1B173F119089, 0x319642B2D24D8EC3)  # of the factors, modulo 2^64


class Stars(NamedTuple):
    """What one step made of some documents' neighbourhoods."""

    pairs: pa.Table  # PAIRS, keyed as the next step wants them
    links: int  # that came in, each counted once
    digest: int  # of the same, the sum of a hash of each modulo 2^64


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Uniform keys from document references: a bijection (splitmix64's finisher)."""
    h = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(_FACTORS[0])
    h = (h ^ (h >> np.uint64(27))) * np.uint64(_FACTORS[1])
    mixed_numbers: np.ndarray = h ^ (h >> np.uint64(31))
    return mixed_numbers


def unmixed(keys: np.ndarray) -> np.ndarray:
    """The references that `mixed` made keys of.

    >>> unmixed(mixed(np.array([0, 5, 2**64 - 1], np.uint64))).tolist() == [0, 5, 2**64 - 1]
    True
    """
    h = (keys ^ (keys >> np.uint64(31)) ^ (keys >> np.uint64(62))) * np.uint64(_INVERSES[1])
    h = (h ^ (h >> np.uint64(27)) ^ (h >> np.uint64(54))) * np.uint64(_INVERSES[0])
    numbers: np.ndarray = h ^ (h >> np.uint64(30)) ^ (h >> np.uint64(60))
    return numbers


def find_roots(nodes: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The smallest member of each node's component, for links between nodes numbered from 0.

    >>> find_roots(5, np.array([4, 3]), np.array([3, 1])).tolist()
    [0, 1, 2, 1, 1]
    """
    root = np.arange(nodes, dtype=left.dtype)
    while len(left):
        a, b = root[left], root[right]
        low = np.minimum(a, b)
        np.maximum(a, b, out=a)
        np.minimum.at(root, a, low)  # the larger root goes under the smaller
        del a, b, low
        while not np.array_equal(above := root[root], root):
            root = above
        apart = root[left] != root[right]
        left, right = left[apart], right[apart]
    return root


def components(links: pa.Table) -> pa.Table:
    """The smallest member of each document's component.

    Applied to its own result and further links it gives what it gives to all links at once.

    Args:
        links: LINKS; those of a document with itself are passed over.

    Returns:
        LINKS, one row for each document that is linked with another, ascending.
    """
    left, right = (np.asarray(links[name].to_numpy(), np.uint64) for name in ("doc", "group"))
    apart = left != right
    left, right = left[apart], right[apart]
    docs = np.concatenate([left, right])
    docs.sort()  # np.unique() goes through a hash table: ten times the time, and more memory
    new = np.ones(docs.size, bool)
    new[1:] = docs[1:] != docs[:-1]
    docs = docs[new]
    small = np.int32 if docs.size < 1 << 31 else np.int64
    left, right = (np.searchsorted(docs, side).astype(small) for side in (left, right))
    roots = find_roots(docs.size, left, right)
    return pa.table({"doc": docs, "group": docs[roots]}, schema=LINKS)


def spread(left: np.ndarray, right: np.ndarray) -> pa.Table:
    """PAIRS that show each link to both its ends; a document's link to itself is left out."""
    real = left != right
    left, right = left[real], right[real]
    both = np.concatenate([left, right])
    return pa.table({"key": mixed(both), "doc": np.concatenate([right, left])}, schema=PAIRS)


def _neighbours(bucket: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sorted PAIRS, each once: node, neighbour, smallest neighbour of the node, and where a node's rows begin."""
    keys, other = (np.asarray(bucket[name].to_numpy(), np.uint64) for name in ("key", "doc"))
    new = np.ones(keys.size, bool)
    new[1:] = (keys[1:] != keys[:-1]) | (other[1:] != other[:-1])
    keys, other = keys[new], other[new]
    begins = np.ones(keys.size, bool)
    begins[1:] = keys[1:] != keys[:-1]
    smallest = other[begins][np.cumsum(begins) - 1]
    return unmixed(keys), other, smallest, begins


def large_star(bucket: pa.Table) -> Stars:
    """Every node links its larger neighbours to the smallest of its neighbours and itself.

    Args:
        bucket: PAIRS of whole neighbourhoods, sorted; further pieces of one are headed by its first row.
    """
    node, other, smallest, _ = _neighbours(bucket)
    once = other < node
    with np.errstate(over="ignore"):
        digest = int(np.sum(mixed(mixed(node[once]) + other[once]), dtype=np.uint64))
    least = np.minimum(node, smallest)
    larger = other > node
    top = other[larger]  # >= the node >= the least, so it is the larger end
    pairs = pa.table({"key": mixed(top), "doc": least[larger]}, schema=PAIRS)
    return Stars(pairs, int(once.sum()), digest)


def small_star(bucket: pa.Table) -> Stars:
    """Every node links its smaller neighbours and itself to the smallest of them.

    Args:
        bucket: PAIRS in which each link is shown to its larger end only.
    """
    node, other, smallest, begins = _neighbours(bucket)
    rest = other != smallest
    ends = np.concatenate([other[rest], node[begins]])
    return Stars(spread(ends, np.concatenate([smallest[rest], smallest[begins]])), 0, 0)


def read_groups(bucket: pa.Table) -> pa.Table:
    """LINKS of each node to the smallest of its component, once stars change nothing any more."""
    node, _, smallest, begins = _neighbours(bucket)
    docs = node[begins]
    return pa.table({"doc": docs, "group": np.minimum(docs, smallest[begins])}, schema=LINKS)


def distinct(groups: pa.Table) -> pa.Table:
    """Each document once: the pieces of a neighbourhood that was too large for one group say the same."""
    docs, first = np.unique(groups["doc"].to_numpy(), return_index=True)
    return pa.table({"doc": docs, "group": groups["group"].to_numpy()[first]}, schema=LINKS)
