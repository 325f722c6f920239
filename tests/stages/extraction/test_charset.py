"""Charsets: each place that can declare one, who wins, labels as browsers read them, and bytes that lie."""

import gzip
import json

import pytest

from stages.extraction._charset import codec_of, declared_codec, decode_page
from tests.support.data import real_data

RUSSIAN = "Старый мост закрыли на ремонт, и мы пошли домой вдоль реки. "
JAPANESE = "古い橋は修理のため通行止めだった。私たちは歩いて帰った。"
KOREAN = "오래된 다리는 수리 때문에 막혀 있었다."
CHINESE = "旧桥因维修而关闭，我们沿着河走回家。"
META = '<html><head><meta charset="{}"></head><p>{}'


@pytest.mark.parametrize(
    ("content", "header", "codec"),
    [
        (b"\xef\xbb\xbf" + "Grüße".encode(), "iso-8859-1", "utf-8"),  # byte order mark over header
        (b"\xff\xfe" + "Grüße".encode("utf-16-le"), "utf-8", "utf-16-le"),
        (b"\xfe\xff" + "Grüße".encode("utf-16-be"), None, "utf-16-be"),
        (META.format("koi8-r", RUSSIAN).encode("cp1251"), "windows-1251", "cp1251"),  # header over meta
        (META.format("koi8-r", RUSSIAN).encode("koi8-r"), None, "koi8-r"),
        (META.format("koi8-r", RUSSIAN).encode("koi8-r"), "no-such-label", "koi8-r"),
        (
            f'<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">{RUSSIAN}'.encode(
                "cp1251"
            ),
            None,
            "cp1251",
        ),
        (f"<META content='text/html; CHARSET = Windows-1251' >{RUSSIAN}".encode("cp1251"), None, "cp1251"),
        (f'<?xml version="1.0" encoding="Shift_JIS"?><html>{JAPANESE}'.encode("cp932"), None, "cp932"),
        (("<!-- " + "x" * 3000 + " -->" + META.format("euc-kr", KOREAN)).encode("cp949"), None, "cp949"),
        (META.format("utf-16", "Grüße").encode(), None, "utf-8"),  # nobody writes an ASCII meta tag in UTF-16
        ("Grüße".encode(), None, "utf-8"),  # nothing declared
        (b"plain ascii", None, "utf-8"),
        (JAPANESE.encode("iso2022_jp"), "iso-2022-jp", "iso2022_jp"),  # seven bits, so also valid UTF-8
    ],
)
def test_where_the_charset_comes_from(content, header, codec):
    decoded = decode_page(content, header)
    assert decoded.codec == codec
    assert any(word in decoded.text for word in ("Grüße", RUSSIAN, JAPANESE, KOREAN, "plain ascii"))


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("latin1", "cp1252", "“curly” – dash"),  # only in the Windows set
        ("ISO-8859-1", "cp1252", "“curly”"),
        ("us-ascii", "cp1252", "café"),
        ("gb2312", "gb18030", "朱镕基"),  # 镕 is not in GB 2312
        ("shift_jis", "cp932", "①髙"),
        ("euc-kr", "cp949", "똠방각하"),
        ("big5", "big5hkscs", "香港啲人"),
        ("iso-8859-9", "cp1254", "Iğdır “x”"),
        ("tis-620", "cp874", "สะพาน…"),
    ],
)
def test_labels_mean_what_browsers_take_them_for(label, codec, text):
    assert codec_of(label) == codec
    assert decode_page(text.encode(codec), label).text == text


@pytest.mark.parametrize("label", [None, "", "klingon", "utf-7", "\x00"])
def test_unknown_labels_are_no_labels(label):
    assert codec_of(label) is None


def test_utf8_that_is_mislabelled_is_still_utf8():
    assert decode_page("Grüße aus Köln".encode(), "iso-8859-1").text == "Grüße aus Köln"
    assert decode_page(META.format("gb2312", CHINESE).encode()).text.endswith(CHINESE)


def test_a_short_double_byte_page_that_happens_to_be_utf8_keeps_its_label():
    content = next(
        bytes([a, b]) for a in range(0xC2, 0xE0) for b in range(0xA1, 0xC0) if bytes([a, b]).decode("gb18030")
    )
    assert content.decode("utf-8")  # valid as both
    assert decode_page(content, "gbk").codec == "gb18030"


def test_declared_utf8_with_a_few_broken_bytes_stays_utf8():
    content = (RUSSIAN * 3).encode() + b"\xff\xfe end"
    decoded = decode_page(content, "utf-8")
    assert decoded.codec == "utf-8"
    assert decoded.text.startswith(RUSSIAN)
    assert "�" in decoded.text


def test_declared_utf8_that_is_all_wrong_is_guessed():
    decoded = decode_page((RUSSIAN * 5).encode("cp1251"), "utf-8")
    assert decoded.text == RUSSIAN * 5


@pytest.mark.parametrize(
    ("content", "codec"),
    [
        (b'<!-- <meta charset="koi8-r"> --><meta charset="cp1251">', "cp1251"),
        (b"<!--><meta charset=koi8-r>", "koi8-r"),  # an empty comment
        (b"<!-- <meta charset=koi8-r>", None),  # one that never ends
        (b"<meta charset=klingon><meta charset=koi8-r>", "koi8-r"),
        (b"<p title='<meta charset=koi8-r>'><meta charset=cp1251>", "cp1251"),
        (b"<meta content='text/html; charset=koi8-r'>", None),  # without http-equiv it is any content
        (b"<meta http-equiv=refresh content='1; charset=koi8-r'>", None),
        (b"<meta http-equiv='CONTENT-type' content='text/html; charset = \"koi8-r\"'>", "koi8-r"),
        (b"<meta charset='koi8-r", None),
        (b"<meta charset=koi8-r", None),
        (b"<metacharset=koi8-r>", None),
        (b"<meta x charset=koi8-r charset=cp1251/>", "koi8-r"),
        (b"<!doctype html><?pi ><meta charset=koi8-r>", "koi8-r"),
        (b"x" * 20_000 + b"<meta charset=koi8-r>", None),
    ],
)
def test_declarations_in_markup(content, codec):
    assert declared_codec(content, None) == codec


def test_a_quoted_label_in_the_header_counts():
    assert declared_codec(b"", '"windows-1251"') == "cp1251"


ALBANIAN = "Të gjithë njerëzit lindin të lirë dhe të barabartë në dinjitet dhe në të drejta, për çdo gjë. "
LITHUANIAN = (
    "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis, jiems suteiktas protas ir sąžinė, šių. "
)
POLISH = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw, jeśli też źle. "
UKRAINIAN = "Всі люди народжуються вільними і рівними у своїй гідності та правах, її є ґрунт. "
AFRIKAANS = "Alle menslike wesens word vry, met gelyke waardigheid en regte, gebore; die sê van môre. "


@pytest.mark.parametrize(
    ("text", "codec", "lang"),
    [
        (ALBANIAN, "cp1252", None),
        (LITHUANIAN, "cp1257", None),
        (UKRAINIAN, "koi8-u", None),
        (AFRIKAANS, "cp1252", None),
        (KOREAN, "cp949", None),
        (JAPANESE, "iso2022_jp", None),
        (POLISH, "cp1250", "pl"),
        (POLISH, "iso8859-2", "pl-PL"),
        (POLISH, "iso8859-2", None),
        (RUSSIAN, "cp1251", "en"),  # a label that says nothing
        (RUSSIAN, "cp866", "ru"),
        (CHINESE, "gb18030", "de"),
        (KOREAN, "cp949", "fr"),
    ],
)
def test_undeclared_pages_by_alphabet_and_language(text, codec, lang):
    content = (f"<html lang='{lang}'>" if lang else "<html>").encode() + (text * 5).encode(codec)
    assert decode_page(content).text.endswith(text * 5)


def test_undeclared_legacy_pages_are_guessed():
    assert decode_page((RUSSIAN * 5).encode("koi8-r")).text == RUSSIAN * 5
    assert decode_page((JAPANESE * 5).encode("cp932")).text == JAPANESE * 5


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"\xff", bytes(range(256)), b"<meta charset=", b"\xef\xbb\xbf"]
)
def test_no_bytes_make_it_fail(content):
    for label in (None, "utf-8", "utf-16", "shift_jis", "iso-2022-jp", "gb18030"):
        decode_page(content, label).text.encode("utf-8")  # and no lone surrogate comes out


def test_the_head_is_searched_in_linear_time():
    assert decode_page(b"<meta " * 2_000_000).codec == "utf-8"


@pytest.mark.real_data
def test_shift_jis_books_declared_and_not():
    books = [path.read_bytes() for path in sorted(real_data("enc/aozora_sjis").glob("*.txt"))]
    assert books
    for book in books:
        gold = book.decode("cp932")
        assert decode_page(book, "Shift_JIS").text == gold
        assert decode_page(book).text == gold  # by its bytes alone


@pytest.mark.real_data
def test_real_pages_decode_with_next_to_no_replacement():
    with gzip.open(real_data("html/readability.jsonl.gz"), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        if row.get("html"):
            assert decode_page(row["html"].encode()).text.strip("\ufeff") == row["html"].strip("\ufeff"), row[
                "id"
            ]
