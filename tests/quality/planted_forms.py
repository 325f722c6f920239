"""What becomes of a text that is copied: the same words in other letters, signs and spaces."""

import html
import re
import unicodedata
from collections.abc import Callable, Mapping

FORMATS = [
    "verbatim",
    "upper",
    "title",
    "repunctuated",
    "unpunctuated",
    "wrapped",
    "tabs_nbsp",
    "doubled_blanks",
    "dashes_quotes",
    "full_width",
    "nfd",
    "entities_named",
    "entities_decimal",
    "entities_hex",
    "digits_arabic",
    "digits_devanagari",
    "digits_full_width",
    "other_quotes",
    "mathematical",
    "ligatures",
    "soft_hyphens",
    "zero_width",
    "markdown_table",
    "html_table",
    "tsv",
    "long_document",
]


def _translated(text: str, zero: int) -> str:
    return text.translate({ord("0") + k: zero + k for k in range(10)})


def _repunctuated(text: str) -> str:
    signs = {".": "!", ",": ";", ":": " -", ";": ",", '"': "*", "(": "[", ")": "]"}
    return text.translate({ord(sign): other for sign, other in signs.items()}).replace("? ", "?! ")


def _unpunctuated(text: str) -> str:
    return re.sub(r"[.,;:!?\"()\[\]]+(?=\s|$)|(?<!\S)[\"(\[]+", "", text)


def _full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)


def _wrapped(text: str) -> str:
    words = text.split(" ")
    return "\n> ".join(" ".join(words[k : k + 7]) for k in range(0, len(words), 7))


def _hexed(text: str) -> str:
    return "".join(f"&#x{ord(c):x};" if k % 5 == 0 and c.isalnum() else c for k, c in enumerate(text))


def _mathematical(text: str) -> str:
    bold = {ord(first) + k: zero + k for first, zero in (("A", 0x1D400), ("a", 0x1D41A)) for k in range(26)}
    return text.translate(bold)


def _soft_hyphens(text: str) -> str:
    return re.sub(r"([a-z]{3})(?=[a-z]{3})", "\\1\u00ad", text)


def _html_table(text: str) -> str:
    cells = "".join(f'<td class="c">{html.escape(line)}</td>' for line in text.split("\n"))
    return f"<table><tr>{cells}</tr></table>"


CHANGES: Mapping[str, Callable[[str], str]] = {
    "verbatim": str,
    "long_document": str,
    "upper": lambda t: t.upper() if len(t.upper()) == len(t) else t,
    "title": str.title,
    "repunctuated": _repunctuated,
    "unpunctuated": _unpunctuated,
    "wrapped": _wrapped,
    "tabs_nbsp": lambda t: t.replace(" ", "\u00a0").replace("\n", "\t\n"),
    "doubled_blanks": lambda t: t.replace(" ", "   "),
    "dashes_quotes": lambda t: t.replace("-", "\u2014").replace("'", "\u2019").replace('"', "\u201c"),
    "full_width": _full_width,
    "nfd": lambda t: unicodedata.normalize("NFD", t),
    "entities_named": lambda t: html.escape(t).replace(" ", "&nbsp;"),
    "entities_decimal": lambda t: "".join(
        f"&#{ord(c)};" if not c.isalnum() and c not in " \n" else c for c in t
    ),
    "entities_hex": _hexed,
    "digits_arabic": lambda t: _translated(t, 0x0660),
    "digits_devanagari": lambda t: _translated(t, 0x0966),
    "digits_full_width": lambda t: _translated(t, 0xFF10),
    "other_quotes": lambda t: t.translate({ord('"'): "\u00ab", ord("'"): "\u02bc"}),
    "mathematical": _mathematical,
    "ligatures": lambda t: t.replace("ffi", "\ufb03").replace("fi", "\ufb01").replace("fl", "\ufb02"),
    "soft_hyphens": _soft_hyphens,
    "zero_width": lambda t: re.sub(r"([a-z]{2})(?=[a-z])", "\\1\u200b", t.replace(" ", " \u200b")),
    "html_table": _html_table,
    "markdown_table": lambda t: "| " + t.replace("\n", " | ") + " |",
    "tsv": lambda t: t.replace("\n", "\t"),
}
