"""Whose stop words a page needs: the list that covers most of its words, unless the page's label will do.

A list's hits are divided by the logarithm of its size: lists run from 10 words to 13,222, and the long ones
hold foreign words (the Marathi list 331 in Latin letters; by plain hits, English pages were Marathi). On the
Universal Declaration of Human Rights in the 75 languages that have a list, all 75 are found, with no label,
with the right one and with a wrong one (73 by plain hits); the formula was chosen on these texts.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from stages.extraction._justext import languages, stop_words

MAX_WORDS = 2000  # of a page, counted from its top
MIN_PARAGRAPH_WORDS = 8  # what is shorter is often navigation, in the language of the site's software
# Templates say `lang="en"` over text in other languages; a label is believed if its list covers this share of
# what the best list covers. Close relatives (Bosnian and Croatian) reach .9, unrelated languages .4.
MIN_SHARE_OF_BEST = 0.75
SMALL_LIST = 200  # added to a list's size, so that a list of ten words gains nothing by it
DEFAULT = "English"

# ISO 639 codes as pages write them, for the lists whose language pages name.
_CODES = """
af:Afrikaans sq:Albanian ar:Arabic an:Aragonese hy:Armenian rup:Aromanian ast:Asturian az:Azerbaijani
eu:Basque be:Belarusian bn:Bengali bpy:Bishnupriya_Manipuri bs:Bosnian br:Breton bg:Bulgarian ca:Catalan
ceb:Cebuano cv:Chuvash hr:Croatian cs:Czech da:Danish nl:Dutch en:English eo:Esperanto et:Estonian
fi:Finnish fr:French gl:Galician ka:Georgian de:German el:Greek gu:Gujarati ht:Haitian he:Hebrew
iw:Hebrew hi:Hindi hu:Hungarian is:Icelandic io:Ido ig:Igbo id:Indonesian ga:Irish it:Italian
jv:Javanese kn:Kannada kk:Kazakh ko:Korean ku:Kurdish ky:Kyrgyz la:Latin lv:Latvian lt:Lithuanian
lmo:Lombard nds:Low_Saxon lb:Luxembourgish mk:Macedonian ms:Malay ml:Malayalam mt:Maltese mr:Marathi
nap:Neapolitan ne:Nepali new:Newar nb:Norwegian_Bokmal no:Norwegian_Bokmal nn:Norwegian_Nynorsk
oc:Occitan fa:Persian pms:Piedmontese pl:Polish pt:Portuguese qu:Quechua ro:Romanian ru:Russian
sgs:Samogitian sr:Serbian sh:Serbo_Croatian scn:Sicilian sk:Slovak sl:Slovenian es:Spanish su:Sundanese
sw:Swahili sv:Swedish tl:Tagalog ta:Tamil te:Telugu tr:Turkish tk:Turkmen uk:Ukrainian ur:Urdu uz:Uzbek
vi:Vietnamese vo:Volapuk wa:Walloon war:Waray_Waray cy:Welsh fy:West_Frisian pnb:Western_Panjabi
yo:Yoruba
"""
BY_CODE = dict(pair.split(":") for pair in _CODES.split())


class StopLists(NamedTuple):
    """Lists by language, and for each word the languages that have it."""

    by_language: Mapping[str, frozenset[str]]
    by_word: Mapping[str, Sequence[str]]

    def choose(self, hint: str | None, paragraphs: Sequence[str]) -> frozenset[str]:
        """The list for a page, given what it says of itself and the texts of its paragraphs."""
        return self.by_language[choose_language(self, hint, paragraphs)]


def load_stop_lists(language: str = "auto") -> StopLists:
    """One language's list, or with `auto` all of them."""
    if language != "auto":
        return StopLists({language: stop_words(language)}, {})
    lists = {name: stop_words(name) for name in sorted(languages())}
    by_word: dict[str, list[str]] = {}
    for name, words in lists.items():
        for word in words:
            by_word.setdefault(word, []).append(name)
    return StopLists(lists, by_word)


def choose_language(lists: StopLists, hint: str | None, paragraphs: Sequence[str]) -> str:
    """English name of the language whose list suits a page.

    Args:
        lists: from load_stop_lists(); with a single list there is no choice.
        hint: a language tag such as "pt-BR", or None.
        paragraphs: texts of the page's paragraphs, in order.

    >>> lists = load_stop_lists()
    >>> choose_language(lists, "en", ["Die Brücke ist seit dem Morgen gesperrt und wir sind im Regen"])
    'German'
    """
    if len(lists.by_language) == 1:
        return next(iter(lists.by_language))
    named = BY_CODE.get((hint or "").lower().partition("-")[0])
    hits: Counter[str] = Counter()
    for word, count in Counter(_words(paragraphs)).items():
        for language in lists.by_word.get(word, ()):
            hits[language] += count
    if not hits:
        return named or DEFAULT
    scores = {
        name: count / math.log(SMALL_LIST + len(lists.by_language[name])) for name, count in hits.items()
    }
    # a tie goes to the first in the alphabet, whatever came first on the page
    best = min(scores, key=lambda name: (-scores[name], name))
    return named if named and scores.get(named, 0.0) >= MIN_SHARE_OF_BEST * scores[best] else best


def _words(paragraphs: Sequence[str]) -> Iterator[str]:
    """The first MAX_WORDS words as jusText cuts them, in lower case, of long paragraphs if there are any."""
    split = [paragraph.lower().split() for paragraph in paragraphs]
    long = [words for words in split if len(words) >= MIN_PARAGRAPH_WORDS]
    count = 0
    for words in long or split:
        yield from words[: MAX_WORDS - count]
        count += len(words)
        if count >= MAX_WORDS:
            return


def chooser(lists: StopLists, hint: str | None) -> "partial[frozenset[str]]":
    """`choose` for one page, as extract_justext() wants it."""
    return partial(lists.choose, hint)
