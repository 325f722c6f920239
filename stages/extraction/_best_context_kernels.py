"""A second look at each block, knowing how likely its neighbours and containers are main text.

Main text is one stretch of few containers; a first model that judges blocks one by one does not know where it
lies. These are the numbers that tell a second model.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.extraction._best_scan import Scan

OUT_LOG_ODDS = -6.0  # of what is out whatever it looks like
SURE = 0.7
SURE_SIZE = 60.0  # letters
FADE = 0.85  # a block this many places away counts FADE ** places
FAR = 50.0
REACH = (-3, -2, -1, 1, 2, 3)
CONTEXT = [
    "odds",
    *(f"odds{at:+d}" for at in REACH),
    *[
        "mean_parent",
        "mean_grand",
        "share_parent",
        "share_grand",
        "share_great",
        "mean_alike",
        "before",
        "after",
    ],
    *["near_share", "near_mean", "to_sure", "between_sure", "kept", "kept_share", "sure_mean"],
]
_N = len(CONTEXT)


@njit(cache=True, nogil=True)
def _faded(values):
    """Sum of all values, each faded by its distance, for each place; two passes."""
    n = values.size
    out = np.zeros(n)
    carry = 0.0
    for b in range(n):
        carry = carry * FADE + values[b]
        out[b] = carry
    carry = 0.0
    for b in range(n - 1, -1, -1):
        out[b] += carry
        carry = (carry + values[b]) * FADE
    return out


@njit(cache=True, nogil=True)
def _means(parent, node_of, group, weight, kept):
    """(likely share of each element's text, likely letters of it, likely share of text in elements alike)."""
    m = parent.size
    likely, size = np.zeros(m), np.zeros(m)
    alike, alike_size = np.zeros(m), np.zeros(m)
    for b in range(node_of.size):
        node = node_of[b]
        likely[node] += kept[b]
        size[node] += weight[b]
        alike[group[node]] += kept[b]
        alike_size[group[node]] += weight[b]
    for node in range(m - 1, 0, -1):
        likely[parent[node]] += likely[node]
        size[parent[node]] += size[node]
    return likely / np.maximum(size, 1e-9), likely, alike / np.maximum(alike_size, 1e-9)


@njit(cache=True, nogil=True)
def _to_sure(sure):
    """Blocks to the nearest that is sure, at most FAR; and 0 outside of, 1 at the ends of, 2 between all of them."""
    n = sure.size
    far = np.full(n, FAR)
    between = np.zeros(n)
    last = -1
    for b in range(n):
        if sure[b]:
            last = b
        if last >= 0:
            far[b] = min(FAR, b - last)
            between[b] += 1
    last = -1
    for b in range(n - 1, -1, -1):
        if sure[b]:
            last = b
        if last >= 0:
            far[b] = min(far[b], last - b)
            between[b] += 1
    return far, between


@njit(cache=True, nogil=True)
def _context(log_odds, sizes, node_of, parent, group):
    n = log_odds.size
    rows = np.zeros((n, _N), np.float32)
    odds = 1.0 / (1.0 + np.exp(-log_odds))
    weight = sizes.astype(np.float64) + 1e-3
    kept = odds * weight
    total = max(kept.sum(), 1.0)
    all_weight = weight.sum()
    mean, likely, alike = _means(parent, node_of, group, weight, kept)
    near, near_weight = _faded(kept), _faded(weight)
    far, between = _to_sure((odds > SURE) & (weight > SURE_SIZE))
    sure_kept = 0.0
    sure_size = 1e-9
    for b in range(n):
        if odds[b] > 0.5:
            sure_kept += kept[b]
            sure_size += weight[b]
    before = 0.0
    for b in range(n):
        row = rows[b]
        row[0] = log_odds[b]
        for k in range(len(REACH)):
            other = b + REACH[k]
            row[1 + k] = log_odds[other] if 0 <= other < n else -4.0
        above = parent[node_of[b]]
        grand = parent[above]
        row[7] = mean[above]
        row[8] = mean[grand]
        row[9] = likely[above] / total
        row[10] = likely[grand] / total
        row[11] = likely[parent[grand]] / total
        row[12] = alike[group[node_of[b]]]
        row[13] = before / total
        row[14] = (total - before - kept[b]) / total
        row[15] = near[b] / total
        row[16] = near[b] / near_weight[b]
        row[17] = far[b]
        row[18] = between[b]
        row[19] = np.log1p(total)
        row[20] = total / all_weight
        row[21] = sure_kept / sure_size
        before += kept[b]
    return rows


def context_features(
    log_odds: np.ndarray, sizes: np.ndarray, out: np.ndarray, scan: Scan, group: np.ndarray
) -> np.ndarray:
    """float32 [blocks, CONTEXT], from the first model's log odds.

    Args:
        log_odds: float64 [blocks].
        sizes: float32 [blocks], letters.
        out: uint8 [blocks], nonzero where a block is out whatever it looks like.
        scan: the page.
        group: int32 [nodes], equal for elements that look alike.
    """
    return np.asarray(
        _context(np.where(out > 0, OUT_LOG_ODDS, log_odds), sizes, scan.node, scan.parent, group)
    )
