"""Compiled canonical form of URLs, byte by byte; what it comes to is said in _urls.py."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

UNRESERVED, RESERVED = 1, 2  # how a byte is written: as it is, encoded or not; as it is, or encoded if it was
ABSENT, MADE, ODD_HOST = 0, 1, 2  # what became of a row
MERGE_SCHEMES, STRIP_WWW, STRIP_SLASH, COLLAPSE, SORT, DROP_EMPTY, DECODE = 1, 2, 4, 8, 16, 32, 64
_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8)


@njit(inline="always")
def _lower(byte):
    return byte + 32 if 65 <= byte <= 90 else byte


@njit(inline="always")
def _hex_value(byte):
    low = _lower(byte)
    return byte - 48 if 48 <= byte <= 57 else low - 87 if 97 <= low <= 102 else -1


@njit(inline="always")
def _is_slash(byte):
    return byte == 47 or byte == 92


@njit(cache=True, nogil=True)
def _equal(data, start, end, text):
    """Is data[start:end] this text, case of ASCII apart? `text` is in lower case."""
    if end - start != len(text):
        return False
    for i in range(len(text)):  # noqa: SIM110 - numba knows no all()
        if _lower(data[start + i]) != text[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _listed(data, start, end, names, ends, prefixes):
    """Is data[start:end] one of some names, or does it begin with one that is a prefix?"""
    first = 0
    for k in range(ends.size):
        size = ends[k] - first
        fits = end - start >= size if prefixes[k] else end - start == size
        if fits and _equal(data, start, start + size, names[first : ends[k]]):
            return True
        first = ends[k]
    return False


@njit(cache=True, nogil=True)
def _encode(data, start, end, classes, decode, out):
    """Write data[start:end] with one spelling for each byte; returns the bytes written."""
    at = 0
    i = start
    while i < end:
        byte = np.int64(data[i])
        raw = True
        if byte == 37:
            high = _hex_value(data[i + 1]) if i + 2 < end else -1
            low = _hex_value(data[i + 2]) if i + 2 < end else -1
            if high >= 0 and low >= 0:
                byte = high * 16 + low
                raw = False
                i += 2
        i += 1
        kind = classes[byte]
        if (kind == UNRESERVED and (raw or decode)) or (kind == RESERVED and raw):
            out[at] = byte
            at += 1
        else:
            out[at], out[at + 1], out[at + 2] = 37, _HEX[byte >> 4], _HEX[byte & 15]
            at += 3
    return at


@njit(cache=True, nogil=True)
def _tidy(data, start, end, out):
    """Copy without tabs and line breaks, and without blanks and control characters at the ends, as browsers do."""
    while start < end and data[start] <= 32:
        start += 1
    while start < end and data[end - 1] <= 32:
        end -= 1
    at = 0
    for i in range(start, end):
        if data[i] != 9 and data[i] != 10 and data[i] != 13:
            out[at] = data[i]
            at += 1
    return at


@njit(cache=True, nogil=True)
def find_host(url, size):
    """End of the scheme (0: none), start and end of the host, end of host and port; -1 for all where no host is."""
    scheme = 0
    while scheme < size and (
        url[scheme] in (43, 45, 46) or 48 <= url[scheme] <= 57 or 97 <= _lower(url[scheme]) <= 122
    ):
        scheme += 1
    at, bare = 0, False
    if (
        scheme > 0
        and scheme + 2 < size
        and url[scheme] == 58
        and _is_slash(url[scheme + 1])
        and _is_slash(url[scheme + 2])
    ):
        at = scheme + 3
    else:
        scheme = 0
        bare = size < 2 or not (_is_slash(url[0]) and _is_slash(url[1]))
        at = 0 if bare else 2
    if not bare and (scheme == 0 or _is_web(url, scheme)):
        while at < size and _is_slash(url[at]):
            at += 1
    stop = at
    while stop < size and not _is_slash(url[stop]) and url[stop] != 63 and url[stop] != 35:
        stop += 1
    first = at
    for i in range(at, stop):
        if url[i] == 64:
            first = i + 1
    last = first
    if first < stop and url[first] == 91:
        while last < stop and url[last] != 93:
            last += 1
        last += 1  # beyond the end where no bracket closes
    else:
        while last < stop and url[last] != 58:
            last += 1
    if last > stop or (last < stop and url[last] != 58):
        return -1, -1, -1, -1
    dotted = False
    for i in range(first, last):
        dotted |= url[i] == 46
    if first == last or (bare and (first != at or not dotted or stop == size or not _is_slash(url[stop]))):
        return -1, -1, -1, -1
    return scheme, first, last, stop


@njit(cache=True, nogil=True)
def _is_web(url, scheme):
    return _equal(url, 0, scheme, b"http") or _equal(url, 0, scheme, b"https")


@njit(cache=True, nogil=True)
def _write_host(url, scheme, first, last, stop, classes, flags, out):
    """Scheme if it counts, host, port if it is no default; bytes written, or -ABSENT or -ODD_HOST."""
    for i in range(first, last):
        if url[i] >= 128 or url[i] == 37:
            return -ODD_HOST
        if classes[url[i]] == 0:
            return -ABSENT
    port = np.int64(0)
    for i in range(last + 1, stop):
        if not 48 <= url[i] <= 57 or port > 65535:
            return -ABSENT
        port = port * 10 + url[i] - 48
    at = 0
    if scheme and not (flags & MERGE_SCHEMES and _is_web(url, scheme)):
        for i in range(scheme):
            out[at] = _lower(url[i])
            at += 1
        out[at], out[at + 1], out[at + 2] = 58, 47, 47
        at += 3
    while last > first and url[last - 1] == 46:
        last -= 1
    dot = last - 1  # the last one: `www.com` is all there is of that host
    while dot > first and url[dot] != 46:
        dot -= 1
    while flags & STRIP_WWW and dot >= first + 4 and _equal(url, first, first + 4, b"www."):
        first += 4
    if first == last:
        return -ABSENT
    for i in range(first, last):
        out[at] = _lower(url[i])
        at += 1
    merged = scheme == 0 or (flags & MERGE_SCHEMES and _is_web(url, scheme))
    is_default = (
        port == 0
        or (port == 80 and (merged or _equal(url, 0, scheme, b"http")))
        or (port == 443 and (merged or _equal(url, 0, scheme, b"https")))
        or (port == 21 and _equal(url, 0, scheme, b"ftp"))
    )
    return at if is_default else _write_number(port, out, at)


@njit(cache=True, nogil=True)
def _write_number(number, out, at):
    out[at] = 58
    at += 1
    scale = 1
    while scale * 10 <= number:
        scale *= 10
    while scale:
        out[at] = 48 + number // scale % 10
        at += 1
        scale //= 10
    return at


@njit(cache=True, nogil=True)
def _write_path(path, size, ignored, pages, flags, out, at):
    """Write a path (percent signs done) without dot segments, ignored `;name=`, default pages; returns the end."""
    base = at
    names, ends, prefixes = ignored
    page_names, page_ends, page_prefixes = pages
    slash = True
    start = 1
    while start <= size:
        end = start
        while end < size and path[end] != 47:
            end += 1
        mark = at  # where this segment's slash stands
        out[at] = 47
        at += 1
        i = start
        while i < end:
            if path[i] == 59:
                stop = i + 1
                while stop < end and path[stop] != 59:
                    stop += 1
                equals = i + 1
                while equals < stop and path[equals] != 61:
                    equals += 1
                if _listed(path, i + 1, equals, names, ends, prefixes):
                    i = stop
                    continue
            out[at] = path[i]
            at += 1
            i += 1
        size_out = at - mark - 1
        slash = size_out == 0
        if size_out == 1 and out[mark + 1] == 46:
            at, slash = mark, True
        elif size_out == 2 and out[mark + 1] == 46 and out[mark + 2] == 46:
            at, slash = mark, True
            while at > base:
                at -= 1
                if out[at] == 47:
                    break
        elif size_out == 0 and (flags & COLLAPSE or end == size):
            at = mark
        start = end + 1
    while at > base:
        mark = at - 1
        while out[mark] != 47:
            mark -= 1
        strip = flags & STRIP_SLASH
        if strip and mark + 1 == at:
            at = mark  # one more slash at the end, where they are not collapsed
        elif (strip or not slash) and _listed(out, mark + 1, at, page_names, page_ends, page_prefixes):
            at, slash = mark, True
        else:
            break
    if slash and not flags & STRIP_SLASH:
        out[at] = 47
        at += 1
    return at


@njit(cache=True, nogil=True)
def _before(data, starts, middles, a, b):
    """Does the name of piece a come strictly before that of piece b?"""
    first, second = middles[a] - starts[a], middles[b] - starts[b]
    for i in range(min(first, second)):
        x, y = data[starts[a] + i], data[starts[b] + i]
        if x != y:
            return x < y
    return first < second


@njit(cache=True, nogil=True)
def _sort_pieces(data, starts, middles, count):
    """The order of pieces by name; of equal names, as they came (a merge sort: no query is slow)."""
    order, other = np.arange(count), np.empty(count, np.int64)
    width = 1
    while width < count:
        for low in range(0, count, 2 * width):
            middle, high = min(low + width, count), min(low + 2 * width, count)
            i, j = low, middle
            for k in range(low, high):
                if j < high and (i >= middle or _before(data, starts, middles, order[j], order[i])):
                    other[k] = order[j]
                    j += 1
                else:
                    other[k] = order[i]
                    i += 1
        order, other = other, order
        width *= 2
    return order


@njit(cache=True, nogil=True)
def _write_query(query, size, ignored, flags, out, at):
    """Write the parameters that count (percent signs done), by name; returns the end."""
    room = 1
    for i in range(size):
        room += query[i] == 38
    starts, middles, ends = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    count = 0
    start = 0
    while start < size:
        end = start
        while end < size and query[end] != 38:
            end += 1
        while end - start >= 4 and _equal(query, start, start + 4, b"amp;"):
            start += 4  # `&amp;`, copied from a page's source
        middle = start
        while middle < end and query[middle] != 61:
            middle += 1
        empty = start == end or (middle + 1 == end and flags & DROP_EMPTY)
        if not empty and not _listed(query, start, middle, ignored[0], ignored[1], ignored[2]):
            starts[count], middles[count], ends[count] = start, middle, end
            count += 1
        start = end + 1
    order = _sort_pieces(query, starts, middles, count) if flags & SORT else np.arange(count)
    for k in range(count):
        out[at] = 38 if k else 63
        at += 1
        for i in range(starts[order[k]], ends[order[k]]):
            out[at] = query[i]
            at += 1
    return at


@njit(cache=True, nogil=True)
def _write_url(url, size, classes, ignored, pages, routes, flags, scratch, out):
    """The canonical form of one tidied URL; bytes written, or -ABSENT or -ODD_HOST."""
    scheme, first, last, stop = find_host(url, size)
    if first < 0:
        return -ABSENT
    at = _write_host(url, scheme, first, last, stop, classes, flags, out)
    if at <= 0:
        return at
    path_end = stop
    while path_end < size and url[path_end] != 63 and url[path_end] != 35:
        if url[path_end] == 92:
            url[path_end] = 47
        path_end += 1
    query_end = path_end
    while query_end < size and url[query_end] != 35:
        query_end += 1
    decode = flags & DECODE != 0
    used = _encode(url, stop, path_end, classes, decode, scratch)
    if used == 0:
        scratch[0] = 47
        used = 1
    at = _write_path(scratch, used, ignored, pages, flags, out, at)
    if query_end > path_end + 1:
        used = _encode(url, path_end + 1, query_end, classes, decode, scratch)
        at = _write_query(scratch, used, ignored, flags, out, at)
    if query_end + 1 < size:
        is_route = query_end + 2 < size and (url[query_end + 1] == 33 or url[query_end + 1] == 47)
        if routes == 2 or (routes == 1 and is_route):
            out[at] = 35
            at += 1 + _encode(url, query_end + 1, size, classes, decode, out[at + 1 :])
    return at


@njit(cache=True, nogil=True)
def canonical_column(data, offsets, classes, ignored, pages, routes, flags):
    """Canonical URLs of a column.

    Returns:
        bytes, offsets (rows + 1), and ABSENT, MADE or ODD_HOST for each row.
    """
    rows = offsets.size - 1
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    url, scratch = np.empty(longest + 2, np.uint8), np.empty(3 * longest + 8, np.uint8)
    out = np.empty(3 * (offsets[rows] - offsets[0]) + 8 * rows + 16, np.uint8)
    found, status = np.zeros(rows + 1, np.int64), np.zeros(rows, np.uint8)
    at = 0
    for row in range(rows):
        size = _tidy(data, offsets[row], offsets[row + 1], url)
        written = _write_url(url, size, classes, ignored, pages, routes, flags, scratch, out[at:])
        if written > 0:
            at += written
            status[row] = MADE
        elif written == -ODD_HOST:
            status[row] = ODD_HOST
        found[row + 1] = at
    return out[:at].copy(), found, status
