"""Characters that readers do not see: which of them may go, and where.

Never offered: the joiners U+200C and U+200D (they spell words in Persian and Indic scripts and hold emoji
together), no-break spaces (French and units need them) and U+2060. See docs/normalization.md.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

InvisibleKind = Literal["soft_hyphen", "zero_width_space", "bidi_controls", "variation_selectors", "tags"]

# First and last code points of each kind.
RANGES: dict[InvisibleKind, tuple[tuple[int, int], ...]] = {
    "soft_hyphen": ((0xAD, 0xAD),),
    "zero_width_space": ((0x200B, 0x200B),),
    "bidi_controls": ((0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069)),
    "variation_selectors": ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)),
    "tags": ((0xE0000, 0xE007F),),
}


class Rule(NamedTuple):
    """How one kind is found, and taken out where it may go."""

    found: re.Pattern[str]  # any character of the kind; searching it is fast
    pattern: re.Pattern[str]
    replacement: str


def _found(kind: InvisibleKind) -> str:
    return "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in RANGES[kind]) + "]"


_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"  # Wales, Texas
_WHERE: dict[InvisibleKind, tuple[str, str]] = {
    # Between two letters, where it shows nothing. A capital À-Þ before it is more likely the first half of
    # mojibake (Ã and U+00AD are í) that could not be undone, and stays for a later repair.
    "soft_hyphen": ("\xad(?<=[^\\W\\d_]\xad)(?<![\xc0-\xde]\xad)(?=[^\\W\\d_])", ""),
    # Invisible ASCII, a way to hide words in a text; seen only within the flag of a region.
    "tags": (f"({_FLAG})|[\U000e0000-\U000e007f]", r"\1"),
}


def _rule(kind: InvisibleKind) -> Rule:
    everywhere = (_found(kind), "")
    pattern, replacement = _WHERE.get(kind, everywhere)
    return Rule(re.compile(_found(kind)), re.compile(pattern), replacement)


_RULES = {kind: _rule(kind) for kind in RANGES}


def remove_invisible(text: str, kinds: Sequence[InvisibleKind]) -> str:
    r"""The text without invisible characters of these kinds.

    >>> remove_invisible("Do\xadnau\u200b", ["soft_hyphen"]) == "Donau\u200b"
    True
    """
    for kind in () if text.isascii() else kinds:
        found, pattern, replacement = _RULES[kind]
        if found.search(text):
            text = pattern.sub(replacement, text)
    return text


def suspect_class(kinds: Sequence[InvisibleKind]) -> str:
    """The inside of an RE2 class with all characters of these kinds; may be empty."""
    return "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for kind in kinds for first, last in RANGES[kind])
