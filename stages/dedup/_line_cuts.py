"""What a document loses: losses on their way to its verdict, the text without them, and the evidence."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.dedup._line_edit_kernels import cover_pieces, gather_spans, mark_items, sum_rows, write_left
from stages.dedup._line_kernels import mix_numbers
from stages.dedup._line_tile_kernels import trim_spans
from stages.dedup._line_units import Items, Pieces
from stages.dedup._policy import group_starts

EXCERPT = 100  # characters of the first thing removed
EVIDENCE_TYPE = pa.struct(
    [
        ("survivor", pa.string()),  # the document in which the first thing removed stays
        ("cluster_size", pa.int64()),  # documents that have it
        ("removed_lines", pa.int64()),  # or paragraphs, or sentences
        ("removed_chars", pa.int64()),
        ("removed_fraction", pa.float64()),  # of the characters
        ("first_removed", pa.string()),
    ]
)
_LOSSES = pa.schema(
    [
        ("key", pa.uint64()),
        ("row", pa.int32()),
        ("role", pa.uint8()),  # 0: keeps what others lose, and says its id; 1: loses
        ("id", pa.string()),
        ("codes", pa.large_list(pa.int32())),
        ("documents", pa.int64()),
    ]
)


def losses_of(ids: pa.Array, verdicts: pa.Table, keeper: int) -> pa.Table:
    """Rows of round 1: for each document its losses under the key of the first one's keeper, and keepers' ids.

    Args:
        ids: of the batch.
        verdicts: round 0: `row`, `code`, `keeper`, `documents`; any columns if it has no rows.
        keeper: the code of rows that say that the document is a keeper.
    """
    if not verdicts.num_rows:
        return _LOSSES.empty_table()
    rows, codes, keepers, documents = (
        verdicts[name].to_numpy() for name in ("row", "code", "keeper", "documents")
    )
    own = codes == keeper
    named, at = np.unique(rows[own], return_index=True)
    refs = keepers[own][at]
    rows, codes, keepers, documents = rows[~own], codes[~own], keepers[~own], documents[~own]
    order = np.lexsort((-documents, codes.view(np.uint32), rows))  # u before ~u; of a repeat the largest
    rows, codes, keepers, documents = rows[order], codes[order], keepers[order], documents[order]
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (rows[1:] != rows[:-1]) | (codes[1:] != codes[:-1])
    rows, codes, keepers, documents = rows[fresh], codes[fresh], keepers[fresh], documents[fresh]
    losers, starts = np.unique(rows, return_index=True)
    offsets = np.concatenate([np.zeros(len(named), np.int64), starts, [len(rows)]])
    return pa.table(
        {
            "key": mix_numbers(np.concatenate([refs, keepers[starts]])),
            "row": np.concatenate([named, losers]).astype(np.int32),
            "role": np.concatenate([np.zeros(len(named), np.uint8), np.ones(len(losers), np.uint8)]),
            "id": pa.concat_arrays([ids.take(pa.array(named)), pa.repeat(pa.scalar(""), len(losers))]),
            "codes": pa.LargeListArray.from_arrays(offsets, pa.array(codes)),
            "documents": np.concatenate([np.zeros(len(named), np.int64), documents[starts]]),
        },
        schema=_LOSSES,
    )


def name_keepers(bucket: pa.Table, named: bool) -> pa.Table:
    """Each loser's row with the id of its key's first, who keeps; null if that is not known or not wanted."""
    starts = group_starts(bucket["key"])
    roles = bucket["role"].to_numpy()
    losers = np.flatnonzero(roles == 1)
    first = np.repeat(starts[:-1], np.diff(starts))[losers]
    unknown = (roles[first] != 0) | (not named)
    return pa.table(
        {
            "doc": bucket["doc"].take(pa.array(losers)),
            "codes": bucket["codes"].take(pa.array(losers)),
            "survivor": bucket["id"].take(pa.array(first, mask=unknown)),
            "documents": bucket["documents"].take(pa.array(losers)),
        }
    )


class Cuts(NamedTuple):
    """What goes of each row."""

    pieces: Pieces
    gone: np.ndarray  # bool, of the pieces
    removed: np.ndarray  # int64, pieces
    removed_chars: np.ndarray  # int64
    chars: np.ndarray  # int64, before
    starts: np.ndarray  # int64: of the first item removed, where there is one, the bytes
    ends: np.ndarray
    elsewhere: np.ndarray  # bool: that item is kept by another document
    survivors: pa.Array  # string: by it; null where not `elsewhere`
    documents: np.ndarray  # int64: that have it

    @property
    def removed_fraction(self) -> np.ndarray:
        """Of the characters; 0 of none."""
        return np.divide(self.removed_chars, self.chars, out=np.zeros(len(self.chars)), where=self.chars > 0)  # type: ignore[no-any-return]

    def left(self, texts: pa.Array, kept: np.ndarray) -> pa.Array:
        """The texts of `kept` rows without what goes, the others as they are, large_string; null where they are."""
        edited = kept & (self.removed > 0)
        if not edited.any():
            return texts
        p = self.pieces
        data, offsets = write_left(p.data, p.offsets, p.bounds, p.firsts, self.gone, edited)
        valid = pa.py_buffer(np.packbits(np.asarray(texts.is_valid()), bitorder="little"))
        return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(data), valid)

    def evidence(self, ids: pa.Array, kept: np.ndarray, keeps: bool) -> pa.Array:
        """A struct for each row that loses something.

        Args:
            ids: of the rows.
            kept: rows that are not rejected: they keep the first of what they repeat by themselves.
            keeps: whether anything is kept.
        """
        own = pc.if_else(pa.array(kept & keeps), ids, pa.scalar(None, pa.string()))
        data, offsets = gather_spans(self.pieces.data, self.starts, self.ends, 4 * EXCERPT)
        texts = pa.LargeStringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(data))
        values = [
            pc.if_else(pa.array(self.elsewhere), self.survivors, own),
            pa.array(self.documents),
            pa.array(self.removed),
            pa.array(self.removed_chars),
            pa.array(self.removed_fraction),
            pc.utf8_slice_codeunits(texts, 0, EXCERPT).cast(pa.string()),
        ]
        return pa.StructArray.from_arrays(
            values, fields=list(EVIDENCE_TYPE), mask=pa.array(self.removed == 0)
        )


def cut_texts(pieces: Pieces, items: Items, verdicts: pa.Table, least: int, keeps: bool) -> Cuts:
    """What goes of each row, by the verdicts and by what it repeats itself.

    Args:
        pieces: of the texts.
        items: that were compared.
        verdicts: round 1: `row`, `codes`, `survivor`, `documents`; any columns if it has no rows.
        least: copies in a row from which they are repeats without a verdict; 0: never.
        keeps: whether the first of those stays.
    """
    rows = len(pieces.firsts) - 1
    place, offsets, codes = _codes_of(rows, verdicts)
    gone = mark_items(items.heads, items.counts, items.firsts, offsets, codes, least, keeps)
    whole = items.begins is items.lasts
    pieces_gone = gone if whole else cover_pieces(gone, items.begins, items.lasts, pieces.keys)
    sums, first = sum_rows(gone, items.firsts, pieces_gone, pieces.chars, pieces.firsts)
    some = first >= 0
    spans = np.zeros((2, rows), np.int64)
    lo, hi = items.begins[first[some]], items.lasts[first[some]]
    spans[:, some] = trim_spans(pieces.data, pieces.bounds[lo], pieces.bounds[hi + 1])
    told = np.flatnonzero(place >= 0)
    elsewhere, documents = np.zeros(rows, bool), np.ones(rows, np.int64)
    survivors = pa.nulls(rows, pa.string())
    if len(told):
        # codes of a row ascend from its smallest u, so that one is the first removed, or it comes after a copy
        smallest = codes[offsets[told]]
        elsewhere[told] = (smallest >= 0) & (first[told] == items.firsts[told] + smallest)
        asked = pa.array(place, pa.int64(), mask=~elsewhere)
        survivors = verdicts["survivor"].combine_chunks().take(asked)
        counted = verdicts["documents"].to_numpy()
        documents[told] = np.where(elsewhere[told], counted[place[told]], 1)
    return Cuts(
        pieces,
        pieces_gone,
        sums[:, 0],
        sums[:, 1],
        sums[:, 2],
        spans[0],
        spans[1],
        elsewhere,
        survivors,
        documents,
    )


def _codes_of(rows: int, verdicts: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row its verdict's place or -1, and the offsets of its codes, and these."""
    place = np.full(rows, -1, np.int64)
    if not verdicts.num_rows:
        return place, np.zeros(rows + 1, np.int64), np.zeros(0, np.int32)
    lists = verdicts["codes"].combine_chunks()
    at, first = np.unique(verdicts["row"].to_numpy(), return_index=True)
    place[at] = first
    lists = lists.take(pa.array(first))
    sizes = np.zeros(rows, np.int64)
    sizes[at] = lists.value_lengths().to_numpy()
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return place, offsets, lists.flatten().to_numpy().astype(np.int32)
