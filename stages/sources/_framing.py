"""Web archive records out of a stream of bytes, with every stretch that is not a record named.

A record is trusted when its Content-Length leads to where the next one starts. Where it does not, the length
is wrong, and reading goes on at the next place that looks like a record's head: after a line break, or at
the start of a gzip member. WARC 1.0 and 1.1 (ISO 28500) and ARC (Internet Archive, 1996) are framed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from pipeline.stage import Damage
from stages.sources._streams import Fault
from stages.sources._window import Window

HEAD_STEP = 4 << 10
MAX_HEAD = 256 << 10  # no crawler writes more; without it, a file of anything else would be read whole
HEAD_END = re.compile(rb"\n\r?\n")
NEWLINES = re.compile(rb"[\r\n]*")
OVERLAP = 16 << 10  # kept while searching, so that a head across two pieces is found
WARC_START = re.compile(rb"WARC/\d+\.\d+\r?\n")
WARC_NEXT = re.compile(rb"\n(WARC/\d+\.\d+\r?\n[A-Za-z-]+:)")
# URL, IP address, date (some crawlers wrote "null"), then type and length, in version 2 with more between
ARC_LINE = rb"[a-z][a-z0-9+.\-]{1,20}:[^\n]{0,8000} [0-9a-fA-F.:]{3,45} (?:\d{8,20}|null|-) [^\n]{1,400}\r?\n"
ARC_START = re.compile(ARC_LINE)
ARC_NEXT = re.compile(rb"\n(" + ARC_LINE + rb")")
FILEDESC = b"filedesc://"


class Head(NamedTuple):
    """What stands before a record's content."""

    kind: str  # response, request, warcinfo ...
    key: str  # the record's own id, or ""
    length: int | None  # bytes of content as declared, None where it declares none that can be
    declared: str  # the length as written
    fields: Mapping[str, str]  # names in lower case


class Record(NamedTuple):
    """One whole record."""

    head: Head
    content: bytes
    offset: int  # of the record in the stored file; where members are compressed, of its member


class Format(NamedTuple):
    """How one kind of archive marks its records."""

    name: str
    start: re.Pattern[bytes]  # what stands where a record begins
    next: re.Pattern[bytes]  # group 1: a record's beginning within other bytes
    probe: int  # bytes that `start` must see
    parse: Callable[[Window], Head | None]


def parse_warc_head(window: Window) -> Head | None:
    """Read a record's head and stand at its content; None when there is no whole head here."""
    size = HEAD_STEP
    while True:
        whole = window.need(size)
        end = HEAD_END.search(window.buf, window.at, window.at + size)
        if end is not None:
            break
        if not whole or size >= MAX_HEAD:
            return None
        size *= 4
    lines = window.buf[window.at : end.start()].decode("utf-8", "replace").split("\n")
    fields: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and name:  # a folded value
            fields[name] += " " + line.strip()
            continue
        left, _, value = line.partition(":")
        name = left.strip().lower()
        fields.setdefault(name, value.strip())
    window.at = end.end()
    key = fields.get("warc-record-id", "").strip("<>").removeprefix("urn:uuid:")
    declared = fields.get("content-length", "")
    return Head(fields.get("warc-type", "").lower(), key, parse_length(declared), declared, fields)


def parse_length(text: str) -> int | None:
    """A declared length, or None.

    >>> parse_length("12"), parse_length("-1"), parse_length("abc"), parse_length("")
    (12, None, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def parse_arc_head(window: Window) -> Head | None:
    """Read an ARC record's one line and stand at its content; None when there is no such line here."""
    window.need(10_000)
    end = window.buf.find(b"\n", window.at, window.at + 10_000)
    if end < 0:
        return None
    line = window.buf[window.at : end].decode("utf-8", "replace").rstrip("\r")
    # URL IP date type length; version 2 puts five more fields before the length. A URL may hold blanks.
    parts = line.rsplit(" ", 4)
    if len(parts) < 5:
        return None
    wide = line.rsplit(" ", 9)
    if len(wide) == 10 and re.fullmatch(r"\d{14}", wide[2]):
        parts = [*wide[:4], wide[9]]
    url, ip, date, media_type, declared = parts
    fields = {
        "warc-target-uri": url,
        "warc-ip-address": ip,
        "warc-date": arc_date(date),
        "content-type": media_type,
    }
    window.at = end + 1
    kind = "warcinfo" if url.startswith("filedesc://") else "response"
    return Head(kind, "", parse_length(declared), declared, fields)


def arc_date(text: str) -> str:
    """An ARC date in ISO 8601; what is no such date stays as it is.

    >>> arc_date("20080430204825")
    '2008-04-30T20:48:25Z'
    """
    found = re.match(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", text)
    return "{}-{}-{}T{}:{}:{}Z".format(*found.groups()) if found else text


WARC = Format("WARC", WARC_START, WARC_NEXT, 64, parse_warc_head)
ARC = Format("ARC", ARC_START, ARC_NEXT, 10_000, parse_arc_head)


def accepts(data: bytes) -> bool:
    """Whether a compressed member's first bytes are those of a record."""
    return WARC_START.match(data) is not None or ARC_START.match(data) is not None


class Framer:
    """Reads one archive's records, from its start to its end.

    Attributes:
        wanted: kinds of record whose content is returned; others are passed over.
        limit: bytes of content beyond which a record is not held.
    """

    def __init__(self, window: Window, file: str, wanted: frozenset[str], limit: int) -> None:
        self.window = window
        self.file = file
        self.wanted = wanted
        self.limit = limit
        self.format = WARC
        self._any = False  # a record was seen
        self._aligned = False  # the record at hand starts a compressed member

    def read(self) -> Iterator[Record | Damage]:
        """Every wanted record, and Damage for each stretch that cannot be read."""
        window = self.window
        window.need(len(FILEDESC))
        if window.buf.startswith(FILEDESC):
            self.format = ARC
        while True:
            self._skip_newlines()
            if not window.need(1):
                if window.fault is None:
                    return
                yield self._fault_here(window.fault)
                continue
            found = self._one()
            if found is not None:
                yield found

    def _skip_newlines(self) -> None:
        window = self.window
        while window.need(1):
            window.at = NEWLINES.match(window.buf, window.at).end()  # type: ignore[union-attr]
            if window.at < len(window.buf):
                return

    def _fault_here(self, fault: Fault) -> Damage:
        """A fault where no record had begun, or where none could be read."""
        self.window.clear()
        return Damage(self.file, f"@{fault.offset}", fault.offset, fault.reason, fault.detail)

    def _one(self) -> Record | Damage | None:
        window = self.window
        window.need(self.format.probe)
        start = window.position
        offset = window.stored_offset(start)
        self._aligned = bool(window.member_starts(start - 1, start))
        begins = self.format.start.match(window.buf, window.at) is not None
        head = self.format.parse(window) if begins else None
        if head is None:
            return self._no_head(begins, offset)
        self._any = True
        if head.length is None:
            if self.format is ARC and head.kind == "warcinfo":  # its own description; crawlers left it open
                self._resync()
                return None
            return self._bad_length(head, offset, "is no length" if head.declared else "is missing")
        if head.length > self.limit:
            return self._too_large(head, offset)
        return self._content(head, head.length, offset)

    def _no_head(self, begins: bool, offset: int) -> Damage:
        window = self.window
        if window.fault is not None:
            return self._damage(
                None, window.fault.offset, window.fault.reason, window.fault.detail, clear=True
            )
        sample = bytes(window.buf[window.at : window.at + 40])
        if begins and window.ended and window.available() < MAX_HEAD:
            return self._damage(
                None, offset, "truncated_record", "the file ends within a record's head", end=True
            )
        window.at += 1  # or the search would find this very place again
        found = self._resync()
        if self._any or found:
            return self._damage(
                None, offset, "bad_record_head", f"no {self.format.name} record begins with {sample!r}"
            )
        return self._damage(
            None, offset, "not_a_warc", f"the file begins with {sample!r} and holds no record"
        )

    def _content(self, head: Head, length: int, offset: int) -> Record | Damage | None:
        window = self.window
        begin = window.position
        window.need(length + self.format.probe)
        inner = self._member_with_record(begin, begin + min(length, window.available()))
        if inner is not None:
            window.move(inner)
            return self._damage(
                head, offset, "bad_content_length", self._over(head, "runs into the next record")
            )
        if window.available() < length:
            return self._cut_short(head, offset)
        verdict = self._tail(begin, length, offset)
        if verdict == "fault":
            fault = window.fault
            reason, detail = (fault.reason, fault.detail) if fault else ("corrupt", "")
            return self._damage(head, offset, reason, detail, clear=True)
        if verdict == "bad":
            return self._bad_length(head, offset, "does not lead to the next record")
        index = window.index(begin)
        content = window.buf[index : index + length] if head.kind in self.wanted else b""
        window.move(begin + length)
        return Record(head, content, offset) if head.kind in self.wanted else None

    def _member_with_record(self, low: int, high: int) -> int | None:
        """A member start inside a record's content at which another record begins."""
        window = self.window
        for start in window.member_starts(low, high - 1):
            if self.format.start.match(window.buf, window.index(start)):
                return start
        return None

    def _tail(self, begin: int, length: int, offset: int) -> str:
        """What follows a content of `length` bytes at hand: "good", "bad" or "fault"."""
        window = self.window
        index = window.index(begin) + length
        tail = window.buf[index : index + self.format.probe]
        rest = tail.lstrip(b"\r\n")
        if not rest:
            broken = window.fault is not None and window.fault.offset == offset and not window.plain
            return "fault" if broken else "good"
        if self.format.start.match(rest):
            return "good"
        after = begin + length
        at_member = window.member_starts(after - 1, after + len(tail) - len(rest))
        return "good" if at_member else "bad"

    def _cut_short(self, head: Head, offset: int) -> Damage:
        """The data ends before the content does."""
        window = self.window
        if window.fault is not None:
            return self._damage(head, offset, window.fault.reason, window.fault.detail, clear=True)
        if self._resync():
            return self._damage(
                head, offset, "bad_content_length", self._over(head, "runs into the next record")
            )
        reason = "truncated_record" if window.plain else "bad_content_length"
        return self._damage(head, offset, reason, self._over(head, "runs over the end of the file"))

    def _bad_length(self, head: Head, offset: int, how: str) -> Damage:
        self._resync()
        return self._damage(head, offset, "bad_content_length", self._over(head, how))

    def _over(self, head: Head, how: str) -> str:
        return f"Content-Length {head.declared!r} of a {head.kind or 'nameless'} record {how}"

    def _too_large(self, head: Head, offset: int) -> Damage | None:
        """Pass over a record that is not to be held, unless its length is a lie."""
        window, length = self.window, head.length or 0
        begin = window.position
        if window.plain:
            tail = window.look(begin + length, self.format.probe)
            rest = tail.lstrip(b"\r\n")
            whole = window.look(begin + length - 1, 1) != b""
            if whole and (not rest or self.format.start.match(rest)):
                window.jump(begin + length)
                return self._oversize(head, offset)
            return (
                self._cut_short(head, offset) if not whole else self._bad_length(head, offset, "is too large")
            )
        if self._discard(begin, length):
            return self._oversize(head, offset)
        if window.fault is not None:
            return self._damage(head, offset, window.fault.reason, window.fault.detail, clear=True)
        return self._damage(head, offset, "bad_content_length", self._over(head, "is larger than the record"))

    def _oversize(self, head: Head, offset: int) -> Damage | None:
        if head.kind not in self.wanted:
            return None
        detail = f"{head.length} bytes of content, over the limit of {self.limit}"
        return self._damage(head, offset, "record_too_large", detail)

    def _discard(self, begin: int, length: int) -> bool:
        """Run over `length` bytes, keeping none; False, at a record or the end, if one comes first."""
        window = self.window
        left = length
        while left > 0:
            window.need(min(left, 1 << 20) + self.format.probe)
            inner = self._member_with_record(begin, window.position + min(left, window.available()))
            if inner is not None:
                window.move(inner)
                return False
            if not self._aligned:  # no member starts will tell: many records share one member
                inside = self.format.next.search(window.buf, window.at, window.at + left)
                if inside is not None:
                    window.at = inside.start(1)
                    return False
            step = min(left, window.available())
            if step == 0:
                return False
            window.at += step
            left -= step
        return True

    def _resync(self) -> bool:
        """Go to where the next record seems to begin; False at the end of the readable data."""
        window = self.window
        while True:
            here = window.position
            found = self.format.next.search(window.buf, max(window.at - 1, 0))
            starts = self._member_with_record(here - 1, here + window.available())
            if found is not None and (starts is None or window.index(starts) > found.start(1)):
                window.at = found.start(1)
                return True
            if starts is not None:
                window.move(starts)
                return True
            window.drop(OVERLAP)
            if not window.need(min(window.available(), OVERLAP) + 1):
                window.at = len(window.buf)
                return False

    def _damage(
        self,
        head: Head | None,
        offset: int,
        reason: str,
        detail: str,
        *,
        clear: bool = False,
        end: bool = False,
    ) -> Damage:
        """Name what was lost; `clear` goes on after the window's fault, `end` gives up what is at hand."""
        if clear:
            self.window.clear()
        if end:
            self.window.at = len(self.window.buf)
        key = head.key if head is not None and head.key else f"@{offset}"
        return Damage(self.file, key, offset, reason, detail)
