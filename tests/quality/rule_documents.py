"""The documents on which our rules and a peer's are compared: real English text, and the same text spoilt.

Needs the standard library alone, since the peer runs in an environment of its own. Everything is cut and spoilt
by fixed rules, so that both sides see the same bytes; `digest` proves it.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

PIECE_BYTES = 2600
PROSE = ("nltk_gutenberg", "nltk_state_union", "nltk_inaugural")
PAGES = ("aeb_dev", "readability")
PIECES_OF_EACH, RFC_PIECES = 110, 130
SPOILT = 14  # of each of four kinds of text, by each spoiler


def cut(text: str) -> list[str]:
    """Pieces of PIECE_BYTES and a bit, cut at line ends; the rest of a text is left out."""
    pieces, current, size = [], [], 0
    for line in text.splitlines(keepends=True):
        current.append(line)
        size += len(line.encode())
        if size >= PIECE_BYTES:
            pieces.append("".join(current))
            current, size = [], 0
    return pieces


def read_rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        return [json.loads(row) for row in rows]


def spread(pieces: list[str], count: int) -> list[str]:
    """`count` pieces, evenly from the whole list."""
    return [pieces[k * len(pieces) // count] for k in range(min(count, len(pieces)))]


def is_english(text: str) -> bool:
    """Hardly a character beyond ASCII: quotes and dashes of English, not another script."""
    return sum(char > "\x7f" for char in text) <= 0.1 * len(text)


def load_sound(data: Path) -> dict[str, list[str]]:
    """Documents as they are, by kind."""
    kinds = {}
    for name in PROSE:
        pieces = [
            piece for row in read_rows(data / "text" / f"{name}.jsonl.gz") for piece in cut(row["text"])
        ]
        kinds[name] = spread(pieces, PIECES_OF_EACH)
    rfcs = [
        piece for row in read_rows(data / "text" / "rust_rfcs_sample.jsonl.gz") for piece in cut(row["text"])
    ]
    kinds["rust_rfcs"] = spread(rfcs, RFC_PIECES)
    for name in PAGES:
        kinds[name] = [row["gold_text"][:20_000] for row in read_rows(data / "html" / f"{name}.jsonl.gz")]
    return {kind: [text for text in texts if is_english(text)] for kind, texts in kinds.items()}


def lines_of(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def rewrapped(text: str, width: int) -> str:
    out, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            out.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*out, line])


def each_line(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "\n".join(change(line) if line.strip() else line for line in text.split("\n"))


def between(line: str, every: int) -> Callable[[str], str]:
    """A line put in after every so many."""

    def spoil(text: str) -> str:
        lines = text.split("\n")
        return "\n".join(x for k, old in enumerate(lines) for x in ([old, line] if k % every == 2 else [old]))

    return spoil


def every_word(every: int, change: Callable[[str], str]) -> Callable[[str], str]:
    """Every so many-th word changed, line by line."""

    def spoil(text: str) -> str:
        count, out = 0, []
        for line in text.split("\n"):
            words = line.split(" ")
            for k, word in enumerate(words):
                if word:
                    count += 1
                    words[k] = change(word) if count % every == 0 else word
            out.append(" ".join(words))
        return "\n".join(out)

    return spoil


STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt."

SPOILERS: dict[str, Callable[[str], str]] = {
    "unwrapped": lambda text: "\n\n".join(" ".join(block.split()) for block in text.split("\n\n")),
    "lines_twice": lambda text: "\n".join(line for line in lines_of(text) for _ in range(2)),
    "third_of_lines_again": lambda text: "\n".join(lines_of(text) + lines_of(text)[:: 3]),
    "one_line_again": lambda text: text + "\n" + max(lines_of(text) or [""], key=len),
    "paragraph_again": lambda text: "\n\n".join([text.strip(), *text.strip().split("\n\n")[-1:] * 2]),
    "bullets": each_line(lambda line: "- " + line.lstrip()),
    "dots_as_bullets": each_line(lambda line: "\u2022 " + line.lstrip()),
    "stars_as_bullets": each_line(lambda line: "* " + line.lstrip()),
    "hashes": every_word(7, lambda word: "#" + word),
    "ellipses": every_word(7, lambda word: word + "..."),
    "trailing_ellipses": each_line(lambda line: line.rstrip(" .,;") + " ..."),
    "short_lines": lambda text: rewrapped(text, 22),
    "word_a_line": lambda text: "\n".join(text.split()),
    "numbers": every_word(3, lambda word: str(1000 + len(word) * 37)),
    "dashes": every_word(2, lambda word: word + " --"),
    "short_words": every_word(1, lambda word: word[:2]),
    "long_words": every_word(1, lambda word: word + "internationalisation"),
    "few_words": lambda text: " ".join(text.split()[:42]) + ".",
    "about_fifty_words": lambda text: " ".join(text.split()[:53]) + ".",
    "no_stop_words": lambda text: "\n".join(
        " ".join(w for w in line.split(" ") if w.strip(".,;:!?\"'").lower() not in STOP_WORDS)
        for line in text.split("\n")
    ),
    "capital_stop_words": every_word(1, lambda word: word.upper() if word.lower() in STOP_WORDS else word),
    "phrase": between("the same old song and dance once more", 4),
    "pair": every_word(3, lambda word: "spam ham"),
    "lorem": between(LOREM, 20),
    "lorem_as_title": lambda text: "Lorem Ipsum\n" + text,
    "javascript": between("Please enable JavaScript in your browser to see this page.", 6),
    "policy": between("We use cookies to make this page better for you. Read our Privacy Policy.", 6),
    "code": between("if (x) { return y; }", 20),
    "code_in_prose": between("A set is written as {one, two, three} in this book.", 20),
    "no_marks": lambda text: "".join(char for char in text if char not in ".!?\"'"),
    "one_mark_at_line_end": each_line(lambda line: line.rstrip(" .,;") + "."),
    "citations": every_word(9, lambda word: word + "[12]"),
    "citations_at_end": each_line(lambda line: line.rstrip(" .,;") + ". [citation needed]"),
    "long_word": between("A word " + "x" * 1200 + " in a line of its own.", 20),
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "line_separators": lambda text: text.replace("\n", "\u2028"),
    "form_feeds": lambda text: text.replace(". ", ".\f"),
    "blank_lines": lambda text: text.replace("\n", "\n\n\n"),
}  # fmt: skip
EDGES = [
    "",
    " \n ",
    "One.",
    "A line without a mark",
    "{",
    "x" * 3000,
    "word " * 60,
    ".\n" * 80,
    "a. b. c. d. e. f.",
]


def documents(data: Path) -> Iterator[tuple[str, str]]:
    """(kind, text) of every document, in a fixed order; `data` is the folder that has text/ and html/."""
    sound = load_sound(data)
    for kind, texts in sound.items():
        for text in texts:
            yield kind, text
    for name, spoil in SPOILERS.items():
        for kind in ("nltk_gutenberg", "nltk_state_union", "rust_rfcs", "readability"):
            for text in spread(sound[kind], SPOILT):
                yield name, spoil(text[:6000])
    for text in EDGES:
        yield "edge", text


def digest(found: list[tuple[str, str]]) -> str:
    """SHA-256 of all texts and kinds."""
    return hashlib.sha256("\0".join(f"{kind}\1{text}" for kind, text in found).encode()).hexdigest()
