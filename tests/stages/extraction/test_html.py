"""extract_html: one page for each reason, what it keeps and leaves out, and which columns say so."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from stages.extraction._columns import EVIDENCE_TYPE, ITEMS
from stages.extraction._media_type import media_type_of
from stages.extraction.html import ExtractHtml, Reason

ENGINES = ["best", "trafilatura", "resiliparse", "justext", "union"]
STORY = [
    "The old bridge over the river was closed for repairs last Tuesday, so that everybody who lives on the "
    "other side had to walk home along the bank, and it was raining all the way from the mill to the church, "
    "as it does there.",
    "Nobody in the village could say how long it would take, but the baker told us that the same thing had "
    "happened when he was a boy, and that it was a whole summer before the carts could cross again with the "
    "hay.",
    "We have asked the council for a ferry, and they have promised that there will be one before the end of "
    "the month, which is what they said about the lamps in the square, and those did come in the end, a year "
    "later.",
]
NAVIGATION = "<nav><ul><li><a href='/'>Home</a></li><li><a href='/shop'>Our shop</a></li></ul></nav>"
FOOTER = "<footer><a href='/terms'>Terms</a> <a href='/privacy'>Privacy</a> All rights reserved 2031</footer>"


def page(*paragraphs: str, title: str = "The bridge", extra: str = "") -> bytes:
    body = "".join(f"<p>{p}</p>" for p in paragraphs)
    head = f"<html><head><meta charset=utf-8><title>{title}</title></head>"
    article = f"<article><h1>{title}</h1>{body}{extra}</article>"
    return f"<!DOCTYPE html>{head}<body>{NAVIGATION}{article}{FOOTER}</body></html>".encode()


def run(contents, media_type="text/html", charset=None, text=None, http_status=None, also=None, **params):
    columns = {
        "content": pa.array(contents, pa.large_binary()),
        "media_type": pa.array([media_type] * len(contents), pa.string()),
        "charset": pa.array([charset] * len(contents), pa.string()),
    }
    if text is not None:
        columns["text"] = pa.array(text, pa.large_string())
    if http_status is not None:
        columns["http_status"] = pa.array([http_status] * len(contents), pa.int32())
    for name, values in (also or {}).items():
        columns[name] = pa.array(values, pa.string())
    stage = ExtractHtml(**params)
    assert not stage.problems()
    marks = stage.annotate(pa.record_batch(columns), stage.open({}))
    assert set(marks.columns) == set(stage.writes().names)
    assert all(marks.columns[f.name].type == f.type for f in stage.writes())
    assert marks.evidence.type == EVIDENCE_TYPE
    assert marks.evidence.is_valid().equals(marks.reject.is_valid())
    return marks


def text_of(content, **params):
    return run([content], **params).columns["text"][0].as_py()


@pytest.mark.parametrize("engine", ENGINES)
def test_main_text_without_what_stands_around_it(engine):
    marks = run([page(*STORY)], engine=engine)
    text = marks.columns["text"][0].as_py()
    assert [line for line in text.split("\n") if line in STORY] == STORY  # all three, in order, a line each
    assert "Our shop" not in text
    assert "rights reserved" not in text
    assert marks.columns["title"].to_pylist() == ["The bridge"]
    assert marks.reject.to_pylist() == [None]


@pytest.mark.parametrize(
    ("content", "params", "reason"),
    [
        (page(*STORY), {"http_status": 404}, Reason.HTTP_STATUS_NOT_KEPT),
        (page(*STORY), {"media_type": "application/json"}, Reason.MEDIA_TYPE_NOT_KEPT),
        (b"%PDF-1.7 ...", {}, Reason.MEDIA_TYPE_NOT_KEPT),
        (b"\x00\x01\x02\x03", {"media_type": None}, Reason.MEDIA_TYPE_NOT_KEPT),
        (page(*STORY), {"max_bytes": 100}, Reason.PAGE_TOO_LARGE),
        (page(*STORY), {"max_tags": 5}, Reason.PAGE_TOO_MANY_TAGS),
        (page(*STORY), {"max_depth": 1}, Reason.PAGE_TOO_DEEP),
        (b"<p a b c>" + page(*STORY), {"max_attributes": 2}, Reason.PAGE_TOO_MANY_ATTRIBUTES),
        (b"<html><head><title>x</title></head><body></body></html>", {}, Reason.NO_CONTENT),
        (page(*STORY), {"min_chars": 100_000}, Reason.NO_CONTENT),
    ],
)
def test_each_reason(content, params, reason):
    assert run([content], **params).reject.to_pylist() == [reason]


def test_evidence_holds_what_was_measured():
    content = page(*STORY)
    assert run([content], max_tags=5).evidence[0].as_py() == {
        "bytes": len(content), "tags": content.count(b"<"), "depth": 2, "attributes": 1, "chars": None,
        "media_type": "text/html", "http_status": None,
    }  # fmt: skip
    assert run([b"%PDF-1.7"], http_status=200).evidence[0].as_py()["media_type"] == "application/pdf"
    assert run([content], http_status=503).evidence[0].as_py()["http_status"] == 503
    assert run([b"<html><p></p>"]).evidence[0].as_py()["chars"] == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        None,
        b"<html>",
        b"<!-- only -->",
        b"<!doctype html>",
        b"<?xml version='1.0'?>",
        b"\xef\xbb\xbf",
    ],
)
def test_pages_with_nothing_in_them(engine, content):
    assert run([content], engine=engine).reject.to_pylist() == [Reason.NO_CONTENT]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_empty_batch(engine):
    assert len(run([], engine=engine).columns["text"]) == 0


def test_rows_that_have_text_already_pass_as_they_are():
    marks = run(
        [None, page(*STORY), None], text=["  from a WET file\r\n", None, None], media_type="text/plain"
    )
    assert marks.columns["text"][0].as_py() == "  from a WET file\r\n"
    assert marks.reject.to_pylist() == [None, None, Reason.NO_CONTENT]
    both = run([page(*STORY)], text=["older"])
    assert "The old bridge" in both.columns["text"][0].as_py()  # a page that is there is read


def test_plain_text_is_decoded_not_extracted():
    content = "Grüße <b>\r\naus\x00 Köln\n".encode("latin1")
    marks = run([content], media_type="text/plain", charset="iso-8859-1")
    assert marks.columns["text"].to_pylist() == ["Grüße <b>\naus Köln"]
    assert marks.columns["title"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("content", "served", "kind"),
    [
        (b"<html>", "text/html", "text/html"),
        (b"x", "Text/HTML; charset=utf-8", "text/html"),
        (b"\n <!doctype HTML>", None, "text/html"),
        (b"Dear reader, 1 < 2", "", "text/plain"),
        (b"\x00\x00", None, "application/octet-stream"),
        (b"\x89PNG\r\n", "text/html", "image/png"),
        (b"\x1f\x8b\x08", "text/html", "application/gzip"),
        (b"", None, "text/plain"),
    ],
)
def test_media_types(content, served, kind):
    assert media_type_of(content, served) == kind


@pytest.mark.parametrize("engine", ENGINES)
def test_scripts_without_spaces_and_legacy_charsets(engine):
    text = "古い橋は修理のため通行止めだったので、私たちは雨の中を川沿いに歩いて家まで帰りました。" * 6
    content = (
        f"<html><head><title>橋</title></head><body><article><p>{text}</p><p>{text}</p></article>".encode(
            "cp932"
        )
    )
    marks = run([content], charset="shift_jis", engine=engine)
    if engine != "justext":  # it counts words between blanks, so it finds no text here
        assert text in marks.columns["text"][0].as_py()
    assert marks.columns["title"].to_pylist() == ["橋"]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_control_character_or_surrogate_comes_out(engine):
    dirty = page(
        *[p.replace("river", "river\x00s\x0b &#xD800;&#1;&#x0001F &#11;&#34;&#xFFFF; x") for p in STORY]
    )
    text = text_of(dirty, engine=engine)
    assert "The old bridge over the river" in text.encode("utf-8").decode()
    assert '"' in text  # a good reference beside the bad ones
    assert not set(text) & {chr(i) for i in range(32) if chr(i) not in "\n\t"}
    assert text == text.strip()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_xml_declaration_does_not_stop_a_page(engine):
    content = b'<?xml version="1.0" encoding="UTF-8"?>\n' + page(*STORY)
    assert STORY[2] in text_of(content, media_type="application/xhtml+xml", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_tables_can_be_left_out(engine):
    cells = [
        f"In the {n} year the bridge had to be closed for more than {n} weeks." for n in ("first", "last")
    ]
    rows = "".join(f"<tr><td>{cell}</td></tr>" for cell in cells)
    content = page(*STORY, extra=f"<table>{rows}</table>")
    assert "year the bridge had to be" in text_of(content, engine=engine)
    assert "year the bridge had to be" not in text_of(content, engine=engine, include_tables=False)


def test_links_can_be_kept():
    content = page(*[p.replace("river", "<a href='https://example.org/river'>river</a>") for p in STORY])
    for engine in ("trafilatura", "resiliparse"):
        assert "example.org/river" not in text_of(content, engine=engine)
        assert "example.org/river" in text_of(content, engine=engine, include_links=True)


def test_justext_takes_its_stop_words_from_the_language():
    german = (
        "Die alte Brücke über den Fluss war wegen einer Reparatur gesperrt, und so mussten alle, die auf der "
        "anderen Seite wohnen, am Ufer entlang nach Hause gehen, und es hat den ganzen Weg bis zu der Kirche "
        "geregnet."
    )
    content = page(german, german + " Niemand wusste, wie lange das dauern würde.")
    assert german in text_of(content, engine="justext", language="German")
    assert run([content], engine="justext", language="Swahili").reject.to_pylist() == [Reason.NO_CONTENT]


@pytest.mark.parametrize(
    ("params", "extractors"),
    [
        ({"engine": "trafilatura"}, ["trafilatura"]),
        ({"engine": "resiliparse"}, ["resiliparse"]),
        ({"engine": "justext"}, ["justext"]),
        ({"engine": "best"}, ["blocks", "trafilatura", "resiliparse"]),
        ({"engine": "union"}, ["resiliparse", "trafilatura", "resiliparse+trafilatura"]),
    ],
)
def test_the_extractor_is_named(params, extractors):
    marks = run([page(*STORY), None, b"%PDF-1.7"], text=[None, "ready", None], **params)
    name, ready, none = marks.columns["extractor"].to_pylist()
    assert name in extractors
    assert (ready, none) == (None, None)
    assert ("extraction_doubt" in marks.columns) == (params["engine"] == "best")
    plain = run([b"just text"], media_type="text/plain", **params)
    assert plain.columns["extractor"].to_pylist() == ["plain"]


def test_doubt_is_a_share():
    doubts = run([page(*STORY), b"<p>x</p>", None], engine="best").columns["extraction_doubt"].to_pylist()
    assert all(doubt is None or 0 <= doubt <= 1 for doubt in doubts)
    assert doubts[0] is not None


@pytest.mark.parametrize(
    ("engine", "cheap"), [("trafilatura", "resiliparse"), ("resiliparse", "trafilatura")]
)
def test_a_union_holds_what_either_finds(engine, cheap):
    content = page(*STORY, extra="<table><tr><td>In the end it was a summer.</td></tr></table>")
    union = text_of(content, engine="union", engines=[engine, cheap])
    assert all(line in union.split("\n") for line in text_of(content, engine=engine).split("\n"))
    assert all(story in union for story in STORY)


HEAD = """<html lang="en-GB"><head><title>The bridge</title><meta name=author content="Ann Lee">
<meta property="article:published_time" content="2014-03-12T10:00:00Z">
<meta name=description content="About a bridge."><link rel=canonical href="https://example.org/bridge"></head>"""
WITH_HEAD = (HEAD + "<body><article>" + "".join(f"<p>{p}</p>" for p in STORY) + "</article>").encode()


def test_metadata_columns():
    marks = run([WITH_HEAD, page(*STORY)], metadata=True)
    found = {name: column.to_pylist() for name, column in marks.columns.items()}
    assert found["title"] == ["The bridge", "The bridge"]
    assert found["author"] == ["Ann Lee", None]
    assert found["published"] == found["date"] == ["2014-03-12", None]
    assert found["lang_hint"] == ["en-GB", None]
    assert found["description"] == ["About a bridge.", None]
    assert found["canonical_url"] == ["https://example.org/bridge", None]


def test_metadata_that_is_not_asked_for_is_not_written():
    bare = {"text", "title", "extractor"}
    assert set(run([WITH_HEAD], engine="resiliparse", metadata=False).columns) == bare
    assert set(run([WITH_HEAD], engine="resiliparse", metadata=["author"]).columns) == bare | {"author"}
    assert set(ExtractHtml(metadata=True).items()) == set(ITEMS)
    undated = run([WITH_HEAD], dates=None)
    assert undated.columns["published"].to_pylist() == [None]


def test_what_the_row_knows_is_not_overwritten():
    known = {"title": ["Known", None], "date": ["2020-01-01T00:00:00Z", None], "author": ["Bo", None]}
    marks = run([WITH_HEAD, WITH_HEAD], also=known)
    assert marks.columns["title"].to_pylist() == ["Known", "The bridge"]
    assert marks.columns["date"].to_pylist() == ["2020-01-01T00:00:00Z", "2014-03-12"]
    assert marks.columns["published"].to_pylist() == ["2014-03-12"] * 2  # the page's own, beside the crawl's
    assert marks.columns["author"].to_pylist() == ["Bo", "Ann Lee"]


def test_metadata_of_a_page_without_text_is_kept_for_the_report():
    marks = run([HEAD.encode()])
    assert marks.reject.to_pylist() == [Reason.NO_CONTENT]
    assert marks.columns["title"].to_pylist() == ["The bridge"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"engine": "resiliparse", "favour": "fast"}, "only trafilatura has 'fast'"),
        ({"engine": "union", "favour": "fast"}, "only trafilatura has 'fast'"),
        ({"favour": "recall"}, "best decides by itself"),
        ({"engine": "justext", "format": "markdown"}, "justext has no markdown"),
        ({"format": "markdown"}, "best has no markdown"),
        ({"engine": "union", "format": "markdown"}, "union has no markdown"),
        ({"engine": "union", "engines": ["trafilatura"]}, "two or more different"),
        ({"engine": "union", "engines": ["best", "best"]}, "two or more different"),
        ({"engine": "union", "engines": ["best", "justext"], "include_links": True}, "justext has neither"),
        ({"engines": ["trafilatura", "resiliparse"]}, "write engine: union"),
        ({"language": "German"}, "only justext has stop words"),
        ({"engine": "justext", "language": "Klingon"}, "no stop words for 'Klingon'"),
        ({"engine": "justext", "include_links": True}, "justext has neither"),
    ],
)
def test_problems(params, message):
    assert message in " ".join(ExtractHtml(**params).problems())


def test_no_problems_and_no_typos():
    assert not ExtractHtml().problems()
    for engine in ENGINES:
        assert not ExtractHtml(engine=engine).problems()
        assert len(ExtractHtml(engine=engine, metadata=True).writes().names) == len(
            set(ExtractHtml(engine=engine, metadata=True).writes().names)
        )
    with pytest.raises(ValidationError):
        ExtractHtml(engine="readability")
    with pytest.raises(ValidationError):
        ExtractHtml(favor="recall")


def test_content_goes_no_further():
    assert set(ExtractHtml().drops()) == {"content", "charset"}
    assert ExtractHtml().checkpoint
    assert ExtractHtml().summarize == {"extractor": "values"}
