"""Articles drawn from the grammar: varied, long enough, and never close copies of one another."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .grammar import Draw, Grammar, Topic, read_grammar

HERE = Path(__file__).parent
MAX_SIMILARITY = 0.12  # of any two articles; the claim in expected.json is a looser 0.2
Sentences = tuple[tuple[str, ...], ...]  # paragraphs of sentences


class Article(NamedTuple):
    """A title and paragraphs, each a tuple of sentences."""

    title: str
    paragraphs: Sentences
    lang: str = "en"
    topic: str = ""

    @property
    def lines(self) -> list[str]:
        """Its paragraphs as strings."""
        glue = "" if self.lang in ("ja", "zh") else " "
        return [glue.join(p) for p in self.paragraphs]

    @property
    def text(self) -> str:
        """The main text, without the title."""
        return "\n\n".join(self.lines)

    def insert(self, sentence: str, draw: Draw) -> "Article":
        """The same with one more sentence, somewhere after the first paragraph's first."""
        at = draw.below(len(self.paragraphs))
        paragraph = list(self.paragraphs[at])
        paragraph.insert(draw.between(1, len(paragraph)), sentence)
        return self._replace(paragraphs=(*self.paragraphs[:at], tuple(paragraph), *self.paragraphs[at + 1 :]))


def words_of(text: str) -> list[str]:
    r"""Lower-case words, as `[\w'’-]+` finds them."""
    return re.findall(r"[\w'’-]+", text.lower())


def shingles(text: str, n: int = 5) -> frozenset[tuple[str, ...]]:
    """The set of word n-grams."""
    words = words_of(text)
    return frozenset(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Shared over all; 0 when both are empty."""
    return len(a & b) / (len(a | b) or 1)


def paragraphs_of(sentences: list[str], draw: Draw) -> Sentences:
    """Cuts a list of sentences into paragraphs of three to five."""
    paragraphs = []
    while sentences:
        size = draw.between(3, 5)
        size = len(sentences) if len(sentences) - size < 3 else size
        paragraphs.append(tuple(sentences[:size]))
        sentences = sentences[size:]
    return tuple(paragraphs)


class Library:
    """Hands out articles, each far from all that it gave before in the same topic."""

    def __init__(self) -> None:
        files = ("english.txt", "english_more.txt", "languages.txt")
        self.grammar: Grammar = read_grammar(*(HERE / f for f in files))
        self.english = [n for n in self.grammar.topics if n != "any" and "/" not in n]
        self.given: list[tuple[str, frozenset[tuple[str, ...]]]] = []

    def topics_of(self, lang: str) -> list[Topic]:
        """The topics in one language, "any" left out."""
        return [t for n, t in self.grammar.topics.items() if n.startswith(f"{lang}/")]

    def article(self, seed: str, topic: str, size: int) -> Article:
        """An English article of about `size` sentences (22 words each), a third of them of any topic."""
        return self._fresh(seed, lambda draw: self._english(draw, topic, size))

    def foreign(self, seed: str, lang: str, size: int) -> Article:
        """An article in another language, from all its topics."""
        return self._fresh(seed, lambda draw: self._foreign(draw, lang, size))

    def sentence(self, seed: str, topic: str) -> str:
        """One sentence of a topic."""
        draw = Draw(seed)
        return self.grammar.expand(draw.choice(self.grammar.topics[topic].sentences), draw)

    def everything(self, seed: str, rounds: int) -> list[Article]:
        """Chapters that use every English sentence once each, in another order and reading."""
        chapters = []
        templates = [s for n in (*self.english, "any") for s in self.grammar.topics[n].sentences]
        for i in range(rounds):
            draw = Draw(f"{seed}/{i}")
            read = [self.grammar.expand(t, draw) for t in draw.sample(templates, len(templates))]
            chapters.append(Article(f"Part {i + 1}", paragraphs_of(read, draw)))
        return chapters

    def _english(self, draw: Draw, topic: str, size: int) -> Article:
        own, common = self.grammar.topics[topic], self.grammar.topics["any"]
        mine = draw.sample(own.sentences, min(len(own.sentences), size * 2 // 3))
        rest = draw.sample(common.sentences, size - len(mine))
        for template in rest:  # never first: an article opens on its subject
            mine.insert(draw.between(2, len(mine)), template)
        read = [self.grammar.expand(t, draw) for t in mine]
        title = self.grammar.expand(draw.choice(own.titles), draw)
        return Article(title, paragraphs_of(read, draw), "en", topic)

    def _foreign(self, draw: Draw, lang: str, size: int) -> Article:
        topics = self.topics_of(lang)
        pool = [s for t in topics for s in t.sentences]
        read = [self.grammar.expand(t, draw) for t in draw.sample(pool, size)]
        title = self.grammar.expand(draw.choice(draw.choice(topics).titles), draw)
        return Article(title, paragraphs_of(read, draw), lang, topics[0].name)

    def _fresh(self, seed: str, make: Callable[[Draw], Article]) -> Article:
        for salt in range(60):
            article = make(Draw(f"{seed}/{salt}"))
            mine = shingles(article.text)
            near = (jaccard(mine, s) for lang, s in self.given if lang == article.lang)
            if max(near, default=0.0) <= MAX_SIMILARITY:
                self.given.append((article.lang, mine))
                return article
        raise ValueError(f"no article for {seed!r} is far enough from the others; write more sentences")
