"""Small labelled texts for classifiers: prose about the sea against advertising."""

import random

GOOD = [
    "harbour",
    "gull",
    "tide",
    "mast",
    "rope",
    "storm",
    "keeper",
    "lamp",
    "winter",
    "letter",
    "fishermen",
    "quiet",
    "morning",
    "evidence",
    "river",
]
POOR = [
    "buy",
    "cheap",
    "discount",
    "click",
    "now",
    "offer",
    "shipping",
    "casino",
    "bonus",
    "free",
    "win",
    "prize",
    "deal",
    "subscribe",
    "limited",
]
SHARED = [
    "the",
    "a",
    "of",
    "and",
    "to",
    "in",
    "that",
    "it",
    "was",
    "for",
    "on",
    "with",
    "as",
    "his",
    "they",
    "at",
    "be",
    "this",
    "from",
]


def sentence(rng, words):
    chosen = rng.choices(words, k=rng.randint(4, 9)) + rng.choices(SHARED, k=rng.randint(4, 12))
    rng.shuffle(chosen)
    return " ".join(chosen)


def pairs(count=400, seed=1):
    """(label, text), a third of them `good`."""
    rng = random.Random(seed)
    return [
        ("good", sentence(rng, GOOD)) if number % 3 == 0 else ("poor", sentence(rng, POOR))
        for number in range(count)
    ]
