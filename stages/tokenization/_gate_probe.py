"""The texts that a fast engine must encode as the reference does before it is trusted with a tokenizer."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import xxhash

from stages.tokenization._ranks import byte_letters

HAN_HANGUL = ((0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0x17000, 0x18CFF))  # each 16th will do
SPACES = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2009\u200b\u2028\u2029\u202f\u205f\u2060"
    "\u3000\ufeff\x00"
)
SENTENCES = (
    "The quick brown fox doesn't jump; it's we'll THEY'RE 1,234.56 (approx.) e.g. x_y-z@mail.com http://a.b/c?d=e#f",
    "Être né à Noël, ça coûte 12 € – « déjà vu » ; l'œuvre d'un garçon naïf.",
    "Größe und Maße: Straßenbahn, Übermut, 3,5 km/h; „Guten Tag“, sagte sie.",
    "El niño comió ñoquis. ¿Cuándo? ¡Mañana! Año 2024, 1.º y 2.ª",
    "Все люди рождаются свободными и равными. Ёжик съел 5 яблок, ъ и ь.",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι· ΣΊΣΥΦΟΣ σίσυφος.",
    "كلُّ الناسِ أحرارٌ، ومتساوون في ٢٠٢٤؛ لا إلهَ؟",
    "כָּל בְּנֵי הָאָדָם נוֹלְדוּ בְּנֵי חוֹרִין — שלום, 5 ש״ח.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में १२३ क्षत्रिय ज़िन्दगी।",
    "সমস্ত মানুষ স্বাধীনভাবে জন্ম নেয়। எல்லா மனிதர்களும் சுதந்திரமாக",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน ๑๒๓ ກຂຄ ခဂဃ ខគឃ",
    "人人生而自由，在尊严和权利上一律平等。共12345個字、「引號」…",
    "すべての人間は、生まれながらにして自由であり、１２３ｶﾞｷﾞ。ヴァイオリン",
    "모든 인간은 태어날 때부터 자유로우며 각각 3개.",
    "İstanbul ısı IŞIK i̇ ǅ ﬀ ẞ ß K Å ſ 'ſ a'ſ ’s ‘re don’t",
    "e\u0301 a\u0300\u0301 q\u0323\u0307 \u1112\u1161\u11ab \u0958 \u212b",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 🏳️\u200d🌈 👍🏽 🇫🇷🇩🇪 ①²½Ⅷ٣",
    "def f(x: int) -> str:\n\treturn f'{x!r}\\n'  # ok\n\n\nif __name__ == '__main__':\r\n    print(f(1) + \"a\")\n",
    '<div class="a">&nbsp;</div>\n<!-- x -->\n{"a": [1, 2.5e-3, null]}\n$$\\frac{a}{b}$$ | --- | === ### ```',
    "\ufffd\ufffd Ã© â€™ ▁Ġ ##ing [UNK] [CLS] <s></s> <unk> <|endoftext|> <0x0A> [INST]",
)
UNITS = (*" \n\ta1'.=é中🙂\u0301\u3000", "\r\n", " \n", "\n ", "ab")
PIECES = (
    *SPACES, *"  aAbsStTdDmMlLvVrReE''\n\n\r..,!?-_/<|>019é中🙂٣Ⅷ²ªǅİß\u200d\ufe0f",
    "'s", "'S", "'ſ", "'LL", "'re", " \n", "\r\n", "  ", "e\u0301", "日本", "word",
)  # fmt: skip
PLANES = (
    range(0x20000),
    range(0x20000, 0x31350, 16),
    range(0xE0000, 0xE01F0),
)  # the rest is empty or private


def probe_texts(data: Mapping[str, Any]) -> list[str]:
    """A few hundred kilobytes: characters of every class, spaces, contractions, runs, special strings, its own words.

    Args:
        data: the parsed tokenizer.json, for the last two.
    """
    special = [token["content"] for token in data.get("added_tokens") or []][:200]
    texts = [*_characters(), *_contractions(), *_runs(), *_mixtures(), *SENTENCES, "\n".join(SENTENCES)]
    around = ("{}", " {} ", "a{}b", "{0}{0}", "\n{}'s", "Hello {} world.")
    texts += [form.format(token) for token in special for form in around if "{" not in token]
    texts += ["".join(own) for own in _groups(list(_words(data)), 50)]
    return texts


def _groups(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _characters() -> Iterator[str]:
    """Every assigned character, of Han and Hangul each 16th, by itself, after a letter and after an apostrophe."""

    def wanted(point: int) -> bool:
        if any(first <= point <= last for first, last in HAN_HANGUL) and point % 16:
            return False
        return unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")

    characters = [chr(point) for plane in PLANES for point in plane if wanted(point)]
    for group in _groups(characters, 400):
        yield "".join(group)
        yield " ".join(group)
        yield "a" + "'a".join(group)


def _contractions() -> Iterator[str]:
    letters = "sStTdDmMlLvVrReEſKx"
    found = [f"I'{a}{b}" for a, b in product(letters, ["", *letters])]
    yield " ".join(found)
    yield "".join(found)


def _runs() -> Iterator[str]:
    for unit in UNITS:
        yield "x".join(unit * n for n in (*range(1, 40), 63, 64, 65, 127, 128, 129, 255, 256, 257))
        yield unit * 3000 + "y"
    yield "".join(f"{a}{b}{a}{a}x{b} y" for a, b in product(SPACES, SPACES))


def _mixtures() -> Iterator[str]:
    """Short texts of what engines have stumbled over, in an order that is always the same."""
    for k in range(1500):
        numbers = [xxhash.xxh3_64_intdigest(f"{k}/{i}".encode()) for i in range(1 + k % 39)]
        yield "".join(PIECES[number % len(PIECES)] for number in numbers)


def _words(data: Mapping[str, Any]) -> Iterator[str]:
    """Up to 20,000 entries of the vocabulary that are whole characters."""
    vocab: Sequence[str] = list(data["model"]["vocab"])
    some = vocab[:: len(vocab) // 20_000 + 1]
    if data["model"].get("byte_fallback"):
        yield from (piece.replace("▁", " ") for piece in some)
        return
    byte_of = {letter: byte for byte, letter in enumerate(byte_letters())}
    for token in some:
        spelled = [byte_of.get(letter, -1) for letter in token]
        if -1 not in spelled:
            text = bytes(spelled).decode("utf-8", "replace")
            if "\ufffd" not in text:
                yield text
