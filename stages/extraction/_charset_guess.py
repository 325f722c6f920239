"""The charset of a page that declares none and is not UTF-8: a statistical guess, and where it is overruled.

uchardet (in resiliparse) is right for most languages with a charset of their own. It is overruled where it
names a charset that next to no page is in, and where the page's `lang` says that another is meant.
"""

import re

from resiliparse.parse.encoding import detect_encoding

FALLBACK = "cp1252"
# Python's codecs are strict where browsers read the larger set of Windows.
WIDER = {
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-11": "cp874",
    "iso8859-9": "cp1254",
}
# Hardly a page is in one of these; they are what uchardet calls text that is in Windows-1252.
_RARE = frozenset(
    {"iso8859-3", "iso8859-4", "iso8859-10", "iso8859-13", "iso8859-14", "iso8859-16", "cp1258"}
)
_LANG = re.compile(rb"<html[^>]{0,500}?\slang\s*=\s*[\"']?\s*([a-z]{2,3})\b", re.IGNORECASE)
_WEST, _CENTRAL, _CYRILLIC = ("cp1252",), ("iso8859-2", "cp1250"), ("cp1251", "koi8-u", "iso8859-5", "cp866")
# ISO-8859-2 first: where Windows-1250 is meant, some letter or quotation mark is a control character in it.
_LATIN = _RARE | {"cp1252", "cp1250", "cp1254", "cp1257", "iso8859-2", "iso8859-15"}


def _each(languages: str, codecs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(languages.split(), codecs)


# Not English: it is what templates say over text in any language.
BY_LANGUAGE: dict[str, tuple[str, ...]] = {
    **_each("de fr es pt it nl sv da no nb nn fi is ca gl eu af sq ga fo lb oc", _WEST),
    **_each("cs pl hu hr sk sl ro bs hsb dsb", _CENTRAL),
    **_each("ru bg be uk mk", _CYRILLIC),
    "sr": _CYRILLIC + _CENTRAL,
    "el": ("cp1253", "iso8859-7"),
    "tr": ("cp1254",),
    "az": ("cp1254", "cp1251"),
    "he": ("cp1255", "iso8859-8"),
    "iw": ("cp1255", "iso8859-8"),
    "ar": ("cp1256", "iso8859-6"),
    "fa": ("cp1256",),
    "ur": ("cp1256",),
    "et": ("cp1257", "iso8859-13", "cp1252"),
    "lv": ("cp1257", "iso8859-13"),
    "lt": ("cp1257", "iso8859-13"),
    "vi": ("cp1258",),
    "th": ("cp874",),
    "ja": ("cp932", "euc_jp", "iso2022_jp"),
    "ko": ("cp949",),
    "zh": ("gb18030", "big5hkscs"),
}
_KANA = re.compile("[\u3041-\u30ff\uff66-\uff9d]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
MIN_KANA_SHARE = 0.1  # of what is not ASCII; Japanese prose has half
MIN_HANGUL_SHARE = 0.9
_BALTIC = (frozenset("ąčęėįšųūž"), frozenset("āčēģīķļņšūž"))
MIN_BALTIC_LETTERS = 5  # Albanian in Windows-1252 reads as two of the Lithuanian letters


def guess_codec(content: bytes) -> str:
    """The Python codec of bytes that are not UTF-8 and say nothing of their charset.

    >>> guess_codec("Das Mädchen läuft über die Brücke".encode("cp1252"))
    'cp1252'
    """
    found = detect_encoding(content)
    codec = WIDER.get(found, found) if found else FALLBACK
    if codec == "koi8-r":
        codec = "koi8-u"  # the same but for Ukrainian letters in the place of lines for boxes
    tag = _LANG.search(content, 0, 4096)
    usual = BY_LANGUAGE.get(tag.group(1).decode("ascii").lower(), ()) if tag else ()
    # the label of a Western language is believed only among Latin alphabets, as such labels lie most
    if codec not in usual and (usual != _WEST or codec in _LATIN):
        fitting = next((name for name in usual if _fits(content, name)), None)
        if fitting:
            return fitting
    if codec in _RARE and codec not in usual:
        codec = "cp1257" if _is_baltic(content) else FALLBACK
    if codec == "cp932" and not _has_share(content, codec, _KANA, MIN_KANA_SHARE):
        codec = FALLBACK  # half of all accented letters begin a character of Shift_JIS with any letter after
    if codec in ("cp1252", "iso8859-1", "utf-8") and _has_share(content, "euc_kr", _HANGUL, MIN_HANGUL_SHARE):
        return "cp949"
    # it says utf-8 when it has no idea
    return FALLBACK if codec == "utf-8" else codec


def is_iso2022_jp(content: bytes) -> bool:
    """Whether seven-bit bytes are ISO-2022-JP: they escape to a set of kanji, and nothing is wrong."""
    return (b"\x1b$B" in content or b"\x1b$@" in content) and _fits(content, "iso2022_jp")


def _is_baltic(content: bytes) -> bool:
    """Whether all letters beyond ASCII are of one Baltic alphabet, and several of them occur."""
    if not _fits(content, "cp1257"):
        return False
    letters = {c.lower() for c in content.decode("cp1257") if not c.isascii() and c.isalpha()}
    return len(letters) >= MIN_BALTIC_LETTERS and any(letters <= alphabet for alphabet in _BALTIC)


def _fits(content: bytes, codec: str) -> bool:
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        return False
    # in single-byte sets that assign everything, letters of another set turn up as C1 controls
    return not any("\x80" <= c <= "\x9f" for c in set(text))


def _has_share(content: bytes, codec: str, kind: re.Pattern[str], share: float) -> bool:
    """Whether bytes are text in a codec, with at least this share of its non-ASCII characters of a kind."""
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        return False
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    return beyond > 0 and len(kind.findall(text)) >= share * beyond
