"""What stands between the blocks of a page: tags, attributes, comments, character references; compiled."""

# mypy: disable-error-code="assignment, no-untyped-def"
# numba infers types, and unifies int and int64; mypy cannot know

import numpy as np
from numba import njit

from stages.extraction._best_tags import BOUNDARY, HIDDEN_BIT, MAX_REFERENCE

MAX_CLASS_BYTES = 1000  # of one attribute; a utility-class style sheet writes some hundred
# Browsers read &#128; to &#159; as windows-1252.
_WINDOWS = np.array([ord(bytes([k]).decode("cp1252", "ignore") or chr(k)) for k in range(128, 160)], np.int64)
_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)


@njit(cache=True, nogil=True)
def is_blank(c):
    return c == 32 or 9 <= c <= 13


@njit(cache=True, nogil=True)
def is_letter(c):
    return 97 <= c <= 122 or 65 <= c <= 90


@njit(cache=True, nogil=True)
def is_plain(c):
    """A byte of text that is neither a blank nor a control, and begins no reference, tag or no-break space."""
    return c > 38 and c != 60 and c != 0xC2 and c != 127


@njit(cache=True, nogil=True)
def tag_code(data, i, hashes, codes):
    """(code of the element whose name starts at i, index after the name)."""
    n = data.size
    value = _BASIS
    while i < n and not is_blank(data[i]) and data[i] != 62 and data[i] != 47:
        c = data[i]
        if 65 <= c <= 90:
            c |= 32
        value = (value ^ np.uint64(c)) * _PRIME
        i += 1
    slot = value % np.uint64(hashes.size)
    while hashes[slot]:
        if hashes[slot] == value:
            return codes[slot], i
        slot = (slot + np.uint64(1)) % np.uint64(hashes.size)
    return 0, i


@njit(cache=True, nogil=True)
def _class_words(data, i, stop, steps, ends):
    """Word bits in data[i:stop], and a hash of it."""
    state = steps[0, BOUNDARY]
    found = np.int64(0)
    value = _BASIS
    lower = False
    boundary = True
    for k in range(i, min(stop, i + MAX_CLASS_BYTES)):
        c = data[k]
        if 97 <= c <= 122:
            state = steps[state, c - 97]
            lower = True
            boundary = False
        elif 65 <= c <= 90:
            if lower and not boundary:
                state = steps[state, BOUNDARY]
                found |= ends[state]
            state = steps[state, c - 65]
            lower = False
            boundary = False
        elif not boundary:
            state = steps[state, BOUNDARY]
            boundary = True
        found |= ends[state]
        if not 48 <= c <= 57:  # numbers tell elements apart that look alike
            value = (value ^ np.uint64(c)) * _PRIME
    if not boundary:
        found |= ends[steps[state, BOUNDARY]]
    return found, value


@njit(cache=True, nogil=True)
def _hides(data, i, stop):
    """Whether a style attribute has display:none or visibility:hidden, blanks and case aside."""
    for k in range(i + 7, stop - 3):
        if data[k] != 58:  # :
            continue
        j = k + 1
        while j < stop and is_blank(data[j]):
            j += 1
        b = k - 1
        while b > i and is_blank(data[b]):
            b -= 1
        if j + 3 >= stop or (data[b] | 32) != 121:  # displaY, visibilitY
            continue
        first, second = data[j] | 32, data[j + 1] | 32
        if first == 110 and second == 111 and (data[b - 1] | 32) == 97:  # displAy: NOne
            return True
        if first == 104 and second == 105 and (data[b - 1] | 32) == 116:  # visibiliTy: HIdden
            return True
    return False


@njit(cache=True, nogil=True)
def read_attributes(data, i, steps, ends):
    """(index after the tag, bits, hash of the class): reads class, id, role, itemprop, style and hidden."""
    n = data.size
    found = np.int64(0)
    look = np.uint64(0)
    while i < n:
        while i < n and (is_blank(data[i]) or data[i] == 47):
            i += 1
        if i >= n or data[i] == 62:
            return i + 1, found, look
        name = i
        while (
            i < n
            and not is_blank(data[i])
            and data[i] != 61
            and data[i] != 62
            and (data[i] != 47 or i == name)
        ):
            i += 1
        name_end = i
        while i < n and is_blank(data[i]):
            i += 1
        start = stop = i
        if i < n and data[i] == 61:
            i += 1
            while i < n and is_blank(data[i]):
                i += 1
            if i < n and (data[i] == 34 or data[i] == 39):
                quote = data[i]
                i += 1
                start = i
                while i < n and data[i] != quote:
                    i += 1
                stop = i
                i += 1
            else:
                start = i
                while i < n and not is_blank(data[i]) and data[i] != 62:
                    i += 1
                stop = i
        size = name_end - name
        first = data[name] | 32
        if (size == 5 and first == 99 and (data[name + 1] | 32) == 108) or (
            size == 2 and first == 105 and (data[name + 1] | 32) == 100
        ):  # class, id
            words, value = _class_words(data, start, stop, steps, ends)
            found |= words
            if size == 5:
                look = value
        elif (size == 4 and first == 114 and (data[name + 1] | 32) == 111) or (
            size == 8 and first == 105 and (data[name + 5] | 32) == 114
        ):  # role, itemprop
            words, value = _class_words(data, start, stop, steps, ends)
            found |= words
        elif size == 5 and first == 115 and (data[name + 2] | 32) == 121:  # style
            if stop > start and _hides(data, start, stop):
                found |= HIDDEN_BIT
        elif size == 6 and first == 104 and (data[name + 5] | 32) == 110:  # hidden
            found |= HIDDEN_BIT
        elif size == 11 and (data[name + 5] | 32) == 104 and stop - start == 4 and (data[start] | 32) == 116:
            found |= HIDDEN_BIT  # aria-hidden="true"
    return n, found, look


@njit(cache=True, nogil=True)
def raw_end(data, i, code, hashes, codes):
    """Index of the `</name` that ends raw text, else the end of the page."""
    n = data.size
    while i + 2 < n:
        if data[i] == 60 and data[i + 1] == 47:
            found, _ = tag_code(data, i + 2, hashes, codes)
            if found == code:
                return i
        i += 1
    return n


@njit(cache=True, nogil=True)
def markup_end(data, i):
    """Index after the comment, doctype, CDATA or processing instruction whose `<!` or `<?` ends at i."""
    n = data.size
    if i + 1 < n and data[i - 1] == 33 and data[i] == 45 and data[i + 1] == 45:
        i += 2
        if i < n and data[i] == 62:
            return i + 1
        while i + 2 < n:
            if data[i] == 45 and data[i + 1] == 45 and data[i + 2] == 62:
                return i + 3
            i += 1
        return n
    while i < n and data[i] != 62:
        i += 1
    return i + 1


@njit(cache=True, nogil=True)
def _put_code_point(out, o, point):
    """Write one code point as UTF-8; controls, surrogates and what is beyond Unicode become nothing."""
    if point < 32 and point != 9 and point != 10 and point != 13:
        return o
    if point < 0x80:
        out[o] = point
        return o + 1
    if point < 0x800:
        out[o] = 0xC0 | (point >> 6)
        out[o + 1] = 0x80 | (point & 63)
        return o + 2
    if 0xD800 <= point < 0xE000 or point > 0x10FFFF:
        return o
    if point < 0x10000:
        out[o] = 0xE0 | (point >> 12)
        out[o + 1] = 0x80 | ((point >> 6) & 63)
        out[o + 2] = 0x80 | (point & 63)
        return o + 3
    out[o] = 0xF0 | (point >> 18)
    out[o + 1] = 0x80 | ((point >> 12) & 63)
    out[o + 2] = 0x80 | ((point >> 6) & 63)
    out[o + 3] = 0x80 | (point & 63)
    return o + 4


@njit(cache=True, nogil=True)
def read_reference(data, i, out, o, hashes, numbers, texts):
    """(index after the reference at i, which is an `&`; o after its text). What is none is an `&`."""
    n = data.size
    j = i + 1
    if j < n and data[j] == 35:  # &#
        j += 1
        base = 10
        if j < n and (data[j] | 32) == 120:
            base = 16
            j += 1
        first = j
        point = 0
        while j < n and j < first + 9:
            c = data[j]
            if 48 <= c <= 57:
                digit = c - 48
            elif base == 16 and 97 <= (c | 32) <= 102:
                digit = (c | 32) - 87
            else:
                break
            point = point * base + digit
            j += 1
        if j > first:
            if j < n and data[j] == 59:
                j += 1
            return j, _put_code_point(out, o, _WINDOWS[point - 128] if 128 <= point < 160 else point)
    value = _BASIS
    best = 0
    best_end = i + 1
    while j < n and j <= i + MAX_REFERENCE and (is_letter(data[j]) or 48 <= data[j] <= 57):
        value = (value ^ np.uint64(data[j])) * _PRIME
        j += 1
    if j < n and data[j] == 59 and j > i + 1:
        slot = value % np.uint64(hashes.size)
        while hashes[slot]:
            if hashes[slot] == value:
                best = numbers[slot]
                best_end = j + 1
                break
            slot = (slot + np.uint64(1)) % np.uint64(hashes.size)
    if best == 0:
        out[o] = 38
        return i + 1, o + 1
    for k in range(texts[best, 0]):
        out[o] = texts[best, 1 + k]
        o += 1
    return best_end, o


@njit(cache=True, nogil=True)
def read_text(data, i, out, o, hashes, numbers, texts):
    """(index after, o after, whether it is a blank) of one character that is_plain() says no to."""
    n = data.size
    c = data[i]
    if c == 38:
        i, after = read_reference(data, i, out, o, hashes, numbers, texts)
        one = after == o + 1 and is_blank(out[o])
        return i, after, one or (after == o + 2 and out[o] == 0xC2 and out[o + 1] == 0xA0)
    i += 1
    if is_blank(c) or (c == 0xC2 and i < n and data[i] == 0xA0):
        out[o] = c
        return i if c < 128 else i + 1, o + 1, True
    if c < 32 or c == 127:
        return i, o, False
    out[o] = c
    return i, o + 1, False
