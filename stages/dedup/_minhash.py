"""What finding near-duplicates and indexing them have in common: params, signatures, band keys, shingle sets.

Sources: Broder 1997, "On the resemblance and containment of documents"; bands as in Leskovec, Rajaraman,
Ullman, Mining of Massive Datasets, section 3.4; 14 x 8 over 5-word shingles: FineWeb (Penedo et al. 2024).
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline.schema import MESSAGES, TEXT
from stages.dedup._minhash_kernels import fold_bands, shingle_rows, sign_rows
from stages.kernels.buffers import text_buffers
from stages.kernels.dialogue import dialogue_texts
from stages.kernels.words import Alphabet, char_alphabet, word_alphabet

Scheme = Literal["affine", "datasketch", "datasketch_legacy"]
BANDS, ROWS_PER_BAND = 14, 8
MERSENNE = (1 << 61) - 1
LEAST_RECALL = 0.5  # below this chance at the threshold, a setting cannot find what it promises
LEAST_CHARS = (
    20  # shorter character shingles are shared by unrelated long documents (NeMo Curator warns likewise)
)


class Permutations(NamedTuple):
    """What a signature's positions are computed with; the kernel takes those that are there."""

    factors: np.ndarray  # uint32, odd
    shifts: np.ndarray  # uint32
    wide_factors: np.ndarray  # uint64
    wide_shifts: np.ndarray  # uint64
    finish: bool  # whether hashes go through MurmurHash3's finalizer first


def permutations(count: int, seed: int, scheme: Scheme = "affine") -> Permutations:
    """The permutations of a scheme, from a seed.

    `affine` draws odd factors and shifts of x -> factor * x + shift mod 2^32 (splitmix64). `datasketch` computes the
    same with the numbers that datasketch 2 draws for its default scheme; `datasketch_legacy` what datasketch 1
    did, with its 64-bit overflow. Equal hashes of shingles then have datasketch's signatures.

    >>> permutations(1, seed=1).factors.tolist()
    [2433363437]
    """
    none32, none64 = np.empty(0, np.uint32), np.empty(0, np.uint64)
    if scheme == "affine":
        drawn = np.array(_drawn(2 * count, seed), np.uint32)
        return Permutations(drawn[::2] | np.uint32(1), drawn[1::2].copy(), none64, none64, False)
    generator = np.random.RandomState(seed)  # its stream is frozen, and part of what datasketch promises
    if scheme == "datasketch":
        factors = generator.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
        shifts = generator.randint(0, 1 << 32, count, dtype=np.uint32)
        return Permutations(factors, shifts, none64, none64, True)
    pairs = [
        (generator.randint(1, MERSENNE, dtype=np.uint64), generator.randint(0, MERSENNE, dtype=np.uint64))
        for _ in range(count)
    ]
    wide = np.array(pairs, np.uint64).T.copy()
    return Permutations(none32, none32, wide[0], wide[1], False)


def _drawn(count: int, seed: int) -> list[int]:
    """32-bit numbers from a counter (splitmix64)."""
    drawn = []
    for i in range(count):
        z = (seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        drawn.append((z ^ (z >> 31)) >> 32)
    return drawn


def sign_texts(
    texts: pa.Array, alphabet: Alphabet, n: int, num_perm: int, seed: int, scheme: Scheme = "affine"
) -> tuple[np.ndarray, np.ndarray]:
    """MinHash signatures of the shingle sets of texts.

    A text of 1 to n-1 words has one shingle, all of it; a text without words has none, and its signature
    means nothing. What is permuted is the upper half of a shingle's 64-bit hash.

    Returns:
        signatures uint32, shape (rows, num_perm); shingles of each row, repeats included, int64.
    """
    chosen = permutations(num_perm, seed, scheme)
    return sign_rows(*text_buffers(texts), *alphabet, n, *chosen)  # type: ignore[no-any-return]


def shingle_sets(texts: pa.Array, alphabet: Alphabet, n: int) -> pa.Array:
    """The distinct shingle hashes of each text, ascending, as large_list<uint64>."""
    hashes, offsets = shingle_rows(*text_buffers(texts), *alphabet, n)
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(hashes, pa.uint64()))


def candidate_chance(similarity: float, bands: int, rows_per_band: int) -> float:
    """The chance that two documents of this Jaccard similarity share a band: 1 - (1 - s^r)^b.

    >>> round(candidate_chance(0.8, bands=14, rows_per_band=8), 3)
    0.924
    """
    return float(1 - (1 - similarity**rows_per_band) ** bands)


def choose_bands(num_perm: int, threshold: float, recall: float) -> tuple[int, int] | None:
    """The bands and rows of at most num_perm MinHashes that make the fewest candidates and still find enough.

    The more rows a band has, the rarer are candidates that verification must refuse, so the most rows are taken
    with which a pair at the threshold is found with a chance of `recall`.

    >>> choose_bands(128, threshold=0.8, recall=0.9), choose_bands(4, threshold=0.2, recall=0.99)
    ((16, 8), None)
    """
    for rows in range(num_perm, 0, -1):
        if candidate_chance(threshold, num_perm // rows, rows) >= recall:
            return num_perm // rows, rows
    return None


class MinhashParams(BaseModel):
    """What documents are compared by, and how candidates are found."""

    on: Literal["text", "messages"] = Field(
        "text", description="what is compared: the text, or the contents of a dialogue's turns"
    )
    unit: Literal["word", "char"] = Field(
        "word", description="what a shingle is a run of; `word` takes Han, Kana, Thai by character"
    )
    n: int = Field(5, ge=1, le=1000, description="units to a shingle")
    bands: int | None = Field(
        None, ge=1, le=1000, description="band keys a document; equal keys make candidates; see num_perm"
    )
    rows_per_band: int | None = Field(
        None, ge=1, le=100, description="MinHashes to a band key; give it together with bands"
    )
    num_perm: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="MinHashes a document, from which bands and rows_per_band are derived by threshold and "
        "min_recall; null: bands x rows_per_band, or 14 x 8 if they are null too",
    )
    threshold: float = Field(
        0.75, gt=0, le=1, description="least exact similarity to a survivor that rejects a document"
    )
    min_recall: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="with num_perm: the least chance that a pair at the threshold becomes a candidate",
    )
    scheme: Scheme = Field(
        "affine",
        description="how MinHashes are drawn: our own, or with datasketch's numbers (2, or 1: legacy)",
    )
    seed: int = Field(1, ge=0, le=2**32 - 1, description="of the permutations")

    def shape(self) -> tuple[int, int]:
        """Bands and rows a band."""
        if self.bands is not None and self.rows_per_band is not None:
            return self.bands, self.rows_per_band
        if self.num_perm is None:
            return BANDS, ROWS_PER_BAND
        return choose_bands(self.num_perm, self.threshold, self.min_recall) or (self.num_perm, 1)

    def column(self) -> pa.Field:
        """What is compared."""
        return MESSAGES if self.on == "messages" else TEXT

    def texts(self, batch: pa.RecordBatch) -> pa.Array:
        """The texts of a batch that are compared."""
        return dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]

    def alphabet(self) -> Alphabet:
        """How they are cut in words."""
        return word_alphabet(signs=True) if self.unit == "word" else char_alphabet(signs=True)

    def band_keys(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Band keys uint64, shape (rows with words, bands), and those rows."""
        bands, rows_per_band = self.shape()
        signatures, counts = sign_texts(
            texts, self.alphabet(), self.n, bands * rows_per_band, self.seed, self.scheme
        )
        rows = np.flatnonzero(counts)
        if len(rows) < len(counts):  # most batches have words in all rows, and their signatures need no copy
            signatures = signatures[rows]
        return fold_bands(signatures, bands), rows

    def sets(self, texts: pa.Array) -> pa.Array:
        """The shingle sets that decide."""
        return shingle_sets(texts, self.alphabet(), self.n)


def bad_params(params: MinhashParams) -> list[str]:
    """Settings that cannot find what they promise, or find what is not there."""
    if (params.bands is None) != (params.rows_per_band is None):
        return ["give bands and rows_per_band together, or num_perm alone, from which both are derived"]
    bands, rows = params.shape()
    found = []
    if params.num_perm is not None and params.bands is not None and params.num_perm != bands * rows:
        found.append(
            f"num_perm is {params.num_perm}, but bands x rows_per_band is {bands * rows}; leave one out"
        )
    elif params.num_perm is not None and params.bands is None:
        if choose_bands(params.num_perm, params.threshold, params.min_recall) is None:
            found.append(
                f"no bands of {params.num_perm} MinHashes find a pair at threshold {params.threshold:g} with a "
                f"chance of {params.min_recall:g}; raise num_perm, or lower min_recall"
            )
    elif (chance := candidate_chance(params.threshold, bands, rows)) < LEAST_RECALL:
        found.append(
            f"bands: {bands} bands of {rows} rows find only {chance:.1%} of the pairs "
            f"at threshold {params.threshold:g}; use more bands or fewer rows_per_band (are they swapped?)"
        )
    if params.unit == "char" and params.n < LEAST_CHARS:
        found.append(
            f"n is {params.n} characters, which unrelated long documents share; use at least "
            f"{LEAST_CHARS}, or unit: word"
        )
    return found


def s_curve(params: MinhashParams) -> Sequence[str]:
    """The chances of a pair to become a candidate, as lines of a plan."""
    bands, rows = params.shape()
    at = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    curve = "  ".join(f"{s:g}: {candidate_chance(s, bands, rows):.1%}" for s in at)
    return [
        f"{bands * rows} MinHashes in {bands} bands of {rows}; a pair of this "
        f"Jaccard similarity becomes a candidate with a chance of  {curve}"
    ]


def identity_of(params: MinhashParams) -> dict[str, Any]:
    """What must be the same for band keys and shingle sets of two runs to be comparable."""
    bands, rows = params.shape()
    return {
        "on": params.on,
        "unit": params.unit,
        "n": params.n,
        "bands": bands,
        "rows_per_band": rows,
        "scheme": params.scheme,
        "seed": params.seed,
    }
