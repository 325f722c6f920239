"""How many pages in legacy charsets are read right, to the last character, and is it as many as before?

The Universal Declaration of Human Rights in the charsets that its languages have been written in on the web, three
cuts of each (4, 24 and 30 paragraphs), in the page around it: with a meta tag, with the HTTP header, with only
the right `lang`, with a wrong `lang="en"`, and with nothing. What the charset lacks is written as a reference.
Then Shift_JIS books without a label, and the cases of html5lib for declarations.

    python -m tests.quality.test_charset_quality            # prints shares beside floors, and what is read wrong
    python -m tests.quality.test_charset_quality --update   # raises floors; refuses to lower one
"""

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stages.extraction._charset import codec_of, declared_codec, decode_page
from tests.support.data import real_data

FLOORS = Path(__file__).with_name("floors_charset.json")
DATA = {
    "udhr": "lang/udhr2.zip",
    "tests1": "html/html5lib/encoding/tests1.dat",
    "tests2": "html/html5lib/encoding/tests2.dat",
    "yahoo": "html/html5lib/encoding/test-yahoo-jp.dat",
}
WEST = ("cp1252", "iso8859-15")
CENTRAL = ("cp1250", "iso8859-2")
CYRILLIC = ("cp1251", "koi8-r", "iso8859-5", "cp866")
# file in udhr2.zip -> (lang as pages write it, codecs)
LANGUAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "deu": ("de", WEST), "fra": ("fr", WEST), "spa": ("es", WEST), "por_PT": ("pt", WEST), "por_BR": ("pt-BR", WEST),
    "ita": ("it", WEST), "nld": ("nl", WEST), "swe": ("sv", WEST), "dan": ("da", WEST), "nob": ("nb", WEST),
    "nno": ("nn", WEST), "fin": ("fi", WEST), "isl": ("is", WEST), "cat": ("ca", WEST), "glg": ("gl", WEST),
    "eus": ("eu", WEST), "afr": ("af", WEST), "als": ("sq", WEST), "gle": ("ga", WEST), "fao": ("fo", WEST),
    "ltz": ("lb", WEST), "ces": ("cs", CENTRAL), "pol": ("pl", CENTRAL), "hun": ("hu", CENTRAL), "hrv": ("hr", CENTRAL),
    "slk": ("sk", CENTRAL), "slv": ("sl", CENTRAL), "ron_1953": ("ro", CENTRAL), "bos_latn": ("bs", CENTRAL),
    "srp_latn": ("sr", CENTRAL), "hsb": ("hsb", CENTRAL), "rus": ("ru", CYRILLIC), "bul": ("bg", CYRILLIC),
    "bel": ("be", CYRILLIC), "srp_cyrl": ("sr", CYRILLIC), "mkd": ("mk", CYRILLIC), "ukr": ("uk", ("cp1251", "koi8-u")),
    "ell_monotonic": ("el", ("cp1253", "iso8859-7")), "tur": ("tr", ("cp1254",)), "heb": ("he", ("cp1255",)),
    "arb": ("ar", ("cp1256",)), "pes_1": ("fa", ("cp1256",)), "lit": ("lt", ("cp1257",)), "tha": ("th", ("cp874",)),
    "jpn": ("ja", ("cp932", "euc_jp", "iso2022_jp")), "cmn_hans": ("zh", ("gb18030",)),
    "cmn_hant": ("zh-TW", ("big5hkscs",)), "kor": ("ko", ("cp949",)),
}  # fmt: skip
# Python's names that browsers do not know
LABELS = {"cp932": "shift_jis", "cp949": "euc-kr", "big5hkscs": "big5", "iso2022_jp": "iso-2022-jp", "cp874": "windows-874"}  # fmt: skip
CUTS = ((6, 10), (6, 30), (30, 60))
WAYS = ("meta", "header", "lang", "wrong_lang", "nothing")


class Case(NamedTuple):
    name: str
    content: bytes
    header: str | None
    text: str


def cases(archive: Path, way: str) -> Iterator[Case]:
    """Pages with a known text; those that are ASCII say nothing and are left out."""
    with zipfile.ZipFile(archive) as files:
        for name, (lang, codecs) in LANGUAGES.items():
            lines = files.read(f"udhr2/{name}.txt").decode().replace("\r\n", "\n").split("\n")
            lines = [line for line in lines if line.strip()]
            for codec in codecs:
                label = LABELS.get(codec, codec)
                said = {"lang": f" lang={lang}", "wrong_lang": " lang=en"}.get(way, "")
                meta = f'<meta charset="{label}">' if way == "meta" else ""
                for begin, end in CUTS:
                    body = "".join(f"<p>{line}</p>\n" for line in lines[begin:end])
                    page = f"<!DOCTYPE html><html{said}><head>{meta}<title>{lines[8]}</title></head><body>\n{body}"
                    content = page.encode(codec, "xmlcharrefreplace")
                    if not content.isascii() or codec == "iso2022_jp":
                        header = label if way == "header" else None
                        yield Case(f"{name} {codec} {end - begin}", content, header, content.decode(codec))


def share_right(archive: Path, way: str) -> tuple[float, list[str]]:
    """The share of pages that are read right, and the names of those that are not."""
    all_cases = list(cases(archive, way))
    wrong = [case.name for case in all_cases if decode_page(case.content, case.header).text != case.text]
    return round(1 - len(wrong) / len(all_cases), 4), wrong


def prescan_cases(data: bytes) -> Iterator[tuple[bytes, str | None]]:
    for case in data.split(b"#data\n")[1:]:
        content, encoding = case.rsplit(b"\n#encoding\n", 1)
        yield content, codec_of(encoding.decode().strip())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def archive():
    path = real_data(DATA["udhr"])
    assert digest(path) == json.loads(FLOORS.read_text())["data"]["udhr"], (
        f"{path}: other data than the floors were measured on; run with --update"
    )
    return path


@pytest.mark.real_data
@pytest.mark.parametrize("way", WAYS)
def test_as_many_pages_are_read_right_as_before(way, archive):
    share, wrong = share_right(archive, way)
    assert share >= json.loads(FLOORS.read_text())["floors"][way], wrong


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["tests1", "tests2", "yahoo"])
def test_declarations_are_found_where_html5lib_finds_them(name):
    path = real_data(DATA[name])
    assert digest(path) == json.loads(FLOORS.read_text())["data"][name]
    for content, codec in prescan_cases(path.read_bytes()):
        if not content.startswith(b"\xef\xbb\xbf"):  # a byte order mark comes before any declaration
            assert (declared_codec(content, None) or "cp1252") == codec, content[:200]
        else:
            assert decode_page(content).codec == codec


def main(update: bool) -> None:
    data = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    old = json.loads(FLOORS.read_text())["floors"] if FLOORS.exists() else {}
    new = {}
    for way in WAYS:
        new[way], wrong = share_right(data / DATA["udhr"], way)
        print(way, new[way], "floor", old.get(way), *wrong, sep="\n    " if wrong else " ")
        if update and new[way] < old.get(way, 0):
            sys.exit(f"{way} is worse than its floor: lower a floor by hand, and say why")
    if update:
        digests = {name: digest(data / path) for name, path in DATA.items()}
        FLOORS.write_text(json.dumps({"data": digests, "floors": new}, indent=2) + "\n")


if __name__ == "__main__":
    main("--update" in sys.argv)
