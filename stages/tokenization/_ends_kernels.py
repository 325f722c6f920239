"""The loops over tokens of _ends.py."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def lay_out_documents(
    ids, offsets, sizes, text_bytes, bos, eos, start, out_ids, out_ends, out_offsets, wrong
):
    """Copy documents to out[start:], specials around them; marks in `wrong` those whose tokens miss the text's length.

    bos and eos are -1 for none; the last of `sizes` stands for every id beyond them.
    """
    at = start
    beyond = np.uint32(len(sizes) - 1)
    for doc in range(len(offsets) - 1):
        if bos >= 0:
            out_ids[at] = bos
            out_ends[at] = 0
            at += 1
        total = np.uint64(0)  # bytes << 32 | code points
        count = offsets[doc + 1] - offsets[doc]
        # slices, and numbers without sign to find items in them, spare a question a token: is it before the start?
        theirs, ours, ends = ids[offsets[doc] :], out_ids[at:], out_ends[at:]
        for k in range(np.uint64(count)):
            token = theirs[k]
            total += sizes[min(token, beyond)]
            ours[k] = token
            ends[k] = np.uint32(total)
        at += count
        wrong[doc] = (total >> np.uint64(32)) != text_bytes[doc]
        if eos >= 0:
            out_ids[at] = eos
            out_ends[at] = np.uint32(total)
            at += 1
        out_offsets[doc + 1] = at
    return at


@njit(cache=True, nogil=True)
def lay_out_pieces(
    ids, offsets, sizes, text_chars, prefix, late, bos, eos, start, out_ids, out_ends, out_offsets, wrong
):
    """As lay_out_documents, of SentencePiece's tokens: sizes are code points, or 1 << 32 | the byte that a token is.

    prefix is 1 if a space that the text does not have stands before it. A byte that does not end its character ends
    where the character ends, or, if `late`, where it begins.
    """
    at = start
    beyond = np.uint32(len(sizes) - 1)
    for doc in range(len(offsets) - 1):
        if bos >= 0:
            out_ids[at] = bos
            out_ends[at] = 0
            at += 1
        chars = -prefix
        due = 0  # bytes that the character still lacks
        odd = False
        for k in range(offsets[doc], offsets[doc + 1]):
            token = ids[k]
            size = np.int64(sizes[min(token, beyond)])
            kind = size >> 32
            if kind == 0:
                chars += size
            elif kind > 1:
                odd = True
            else:
                byte = size & 0xFF
                if byte >= 0xC0:
                    due = 1 if byte < 0xE0 else (2 if byte < 0xF0 else 3)
                elif byte >= 0x80:
                    due -= 1
                if late:
                    chars += due == 0
                else:
                    chars += byte < 0x80 or byte >= 0xC0
            out_ids[at] = token
            # the library lets the space before the text end with its first character, SentencePiece where it begins
            out_ends[at] = max(chars, 0 if late else prefix)
            at += 1
        empty = offsets[doc + 1] == offsets[doc]
        chars = 0 if empty else chars
        wrong[doc] = odd or due != 0 or chars != text_chars[doc]
        if eos >= 0:
            out_ids[at] = eos
            out_ends[at] = max(chars, 0)
            at += 1
        out_offsets[doc + 1] = at
    return at
