"""What is hidden in the pages on purpose: personal data, bad words, copies."""

import re
from pathlib import Path
from typing import NamedTuple

from .articles import Article, Library, jaccard, shingles, words_of
from .grammar import Draw

HERE = Path(__file__).parent
BAD_WORDS = (
    *("zarkwit", "blorgfang", "snivvelgob", "moopdrizzler", "glurp", "blorgfangs", "moopdrizzlers"),
    *("crap", "damn", "damned"),
)
BLOCKED = ("casino-blorg.example", "cheap-pills.example", "adfarm.example")


class Plant(NamedTuple):
    """A sentence with a value in it."""

    sentence: str
    entity: str
    value: str


def lines_of(kind: str) -> list[str]:
    """The lines of one kind in planted.txt."""
    lines = (HERE / "planted.txt").read_text("utf-8").splitlines()
    return [line.split(": ", 1)[1] for line in lines if line.startswith(f"{kind}: ")]


def plants(kind: str) -> list[Plant]:
    """The sentences of one kind ("pii" or "keep") with their values filled in."""
    out = []
    for line in lines_of(kind):
        template, _, tail = line.partition(" | ")
        entity, _, value = tail.partition(": ")
        out.append(Plant(template % value, entity, value))
    return out


def with_plants(library: Library, kind: str) -> list[tuple[Article, list[Plant]]]:
    """Articles with one to three planted values each; every value stands in one article."""
    rest, out = plants(kind), []
    while rest:
        draw = Draw(f"{kind}/{len(out)}")
        taken, rest = rest[: 1 + len(out) % 3], rest[1 + len(out) % 3 :]
        article = library.article(f"{kind}/{len(out)}", draw.choice(library.english), 13)
        for plant in taken:
            article = article.insert(plant.sentence, draw)
        out.append((article, taken))
    return out


def count_bad_words(text: str) -> int:
    """How many whole words of the list a text has."""
    return sum(word in BAD_WORDS for word in re.findall(r"\w+", text.lower()))


def with_bad_words(library: Library) -> list[Article]:
    """Articles with one to three rude sentences; the third of each three has one bad word alone."""
    out = []
    for i in range(12):
        draw = Draw(f"bad/{i}")
        article = library.article(f"bad/{i}", draw.choice(library.english), 12)
        if i % 3 == 2:
            article = article.insert("The damned gate was stuck again, so we went round by the road.", draw)
        else:
            for template in draw.sample(lines_of("bad"), 2 + i % 3):
                article = article.insert(library.grammar.expand(template, draw), draw)
        out.append(article)
    return out


def with_innocent_words(library: Library) -> list[Article]:
    """Articles whose words only look bad, or name people."""
    out = []
    for i, sentence in enumerate(lines_of("fine")):
        draw = Draw(f"fine/{i}")
        out.append(library.article(f"fine/{i}", draw.choice(library.english), 12).insert(sentence, draw))
    return out


def edited(article: Article, library: Library, seed: str, replaced: int) -> tuple[Article, float]:
    """A near copy: some sentences replaced, a few words changed; and its exact 5-gram Jaccard."""
    draw = Draw(seed)
    sentences = [list(p) for p in article.paragraphs]
    places = [(i, j) for i, p in enumerate(sentences) for j in range(len(p))][1:]
    for i, j in draw.sample(places, replaced):
        sentences[i][j] = library.sentence(f"{seed}/{i}/{j}", "any")
    i, j = draw.choice(places)
    words = sentences[i][j].split()
    words[len(words) // 2] = "rather"
    sentences[i][j] = " ".join(words)
    copy = article._replace(paragraphs=tuple(tuple(p) for p in sentences))
    return copy, jaccard(shingles(article.text), shingles(copy.text))


def lookalike(article: Article, library: Library, seed: str, shared: int) -> tuple[Article, float]:
    """Another article with the same title and the same first paragraphs, but its own rest."""
    other = library.article(seed, article.topic, 18)
    paragraphs = (*article.paragraphs[:shared], *other.paragraphs[shared:])
    copy = other._replace(title=article.title, paragraphs=paragraphs)
    return copy, jaccard(shingles(article.text), shingles(copy.text))


def word_edits(a: Article, b: Article) -> float:
    """Share of positions at which a word of the longer differs, by a longest-common-subsequence count."""
    x, y = words_of(a.text), words_of(b.text)
    row = [0] * (len(y) + 1)
    for word in x:
        last = 0
        for j, other in enumerate(y):
            last, row[j + 1] = row[j + 1], (last + 1 if word == other else max(row[j + 1], row[j]))
    return 1 - row[-1] / max(len(x), len(y))
