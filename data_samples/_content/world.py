"""The made-up web: which page stands where, and what expected.json says of it."""

from collections.abc import Iterable
from datetime import date, timedelta

from .articles import HERE, Article, Library, words_of
from .grammar import Draw
from .pages import BOILERPLATE, render
from .warc import Page

SITE_A, SITE_B = "web/site-a.warc.gz", "web/site-b.warc.gz"
FORUM, WORLD, PLAIN = "web/forum.warc.gz", "web/world.warc.gz", "web/plain.warc.gz"
LINKED, LIBRARY, BOOKS = "docs/linked.jsonl.zst", "docs/library.jsonl.gz", "docs/books.parquet"
WITH_BOILERPLATE = ("modern", "soup", "reference")  # layouts whose furniture can be told apart
CODINGS = ("", "", "gzip", "", "chunked", "gzip+chunked")
ABOUT = dict(line.split(": ", 1) for line in (HERE / "about.txt").read_text("utf-8").splitlines())


class World:
    """Collects pages, documents and expectations; `expected` is what expected.json will hold."""

    def __init__(self) -> None:
        self.library = Library()
        self.pages: dict[str, list[Page]] = {f: [] for f in (SITE_A, SITE_B, FORUM, WORLD, PLAIN)}
        self.rows: dict[str, list[dict[str, object]]] = {LINKED: [], LIBRARY: [], BOOKS: []}
        self.files: dict[str, bytes] = {}
        self.documents: dict[str, dict[str, object]] = {}
        self.expected: dict[str, dict[str, object]] = {k: {"_about": v} for k, v in ABOUT.items()}

    def expect(self, key: str, field: str, *values: object) -> None:
        """Adds values to a list of expected.json."""
        self.expected[key].setdefault(field, []).extend(values)  # type: ignore[attr-defined]

    def say(self, url: str, file: str, kind: str, article: Article | None = None, **more: object) -> str:
        """Writes down that a document exists; a URL stands for one document."""
        if url in self.documents:
            raise ValueError(f"{url} is used twice")
        known: dict[str, object] = {"file": file, "kind": kind}
        if article:
            lines = article.lines
            known |= {"lang": article.lang, "words": len(words_of(article.text))}
            known |= {"first": lines[0][:60], "last": lines[-1][-60:]}
        self.documents[url] = {**known, **more}
        return url

    def page(self, file: str, url: str, article: Article, layout: str, *, kind: str = "article",
             charset: str = "utf-8", declared: str = "header") -> str:  # fmt: skip
        """A page around an article. `declared`: where the charset is told: header, meta, both or neither."""
        number = len(self.pages[file])
        body = render(article, layout, url.split("/")[2], charset, meta=declared in ("meta", "both"))
        media = "application/xhtml+xml" if layout == "xhtml" else "text/html"
        header = f"{media}; charset={charset}" if declared in ("header", "both") else media
        notes = {"fetchTimeMs": str(20 + number * 7 % 400)} if number % 5 == 0 else {}
        coding = CODINGS[number % len(CODINGS)]
        self.add(file, Page(url, body, header, coding=coding, notes=notes))
        if layout in WITH_BOILERPLATE and kind == "article":
            self.expect("boilerplate", "urls", url)
        return self.say(url, file, kind, article, layout=layout)

    def add(self, file: str, page: Page) -> None:
        """Puts a page into an archive, with a date that its place decides."""
        when = f"{day(len(self.pages[file]))}T12:00:{len(self.pages[file]) % 60:02}Z"
        self.pages[file].append(page._replace(date=when))

    def row(self, file: str, url: str, article: Article, *, score: float | None = None,
            text: str | None = None, kind: str = "article") -> str:  # fmt: skip
        """A row of a JSONL or Parquet file."""
        number = len(self.rows[file])
        row: dict[str, object] = {"id": f"{file.split('/')[1].split('.')[0]}-{number:03}"}
        if file == BOOKS:
            row["title"] = article.title
        row |= {"text": article.text if text is None else text, "url": url, "date": day(number)}
        row |= {"score": score, "license": ("CC0-1.0", "CC-BY-4.0", "all-rights-reserved")[number % 3]}
        self.rows[file].append(row)
        self.score(url, score)
        return self.say(url, file, kind, article, score=score)

    def score(self, url: str, score: float | None) -> None:
        """Sorts a document by its link score."""
        side = "missing" if score is None else "at_least_3" if score >= 3 else "below_3"
        self.expect("scores", side, url)

    def clean(self, urls: Iterable[str]) -> None:
        """These must survive."""
        self.expect("clean", "urls", *urls)

    def finished(self) -> dict[str, object]:
        """The whole of expected.json."""
        self.expected["boilerplate"]["strings"] = list(BOILERPLATE)
        about = (
            "What is planted in data_samples/, by document URL (WARC-Target-URI, or `url` of a row). Made by "
            "assemble.py together with the data; tests/test_data_samples.py proves its claims."
        )
        counts = {f: record_counts(p) for f, p in self.pages.items()} | {
            f: len(r) for f, r in self.rows.items()
        }
        return {"_about": about, "counts": counts, **self.expected, "documents": self.documents}


def day(number: int) -> str:
    """A date in spring 2026 that a number decides."""
    return (date(2026, 3, 1) + timedelta(days=Draw(f"day/{number}").below(80))).isoformat()


def record_counts(pages: list[Page]) -> dict[str, int]:
    """How many records of each type an archive has."""
    answers = sum(p.kind == "response" for p in pages)
    return {
        "warcinfo": 1,
        "request": answers,
        "response": answers,
        "conversion": len(pages) - answers,
        "metadata": sum(bool(p.notes) for p in pages),
    }
