"""Labels by URL: own classes before the known ones, known sources and their neighbours, problems."""

import json

import pyarrow as pa
import pytest

from pipeline.schema import URL
from stages.filters._known_sources import KNOWN_SOURCES
from stages.filters.tag_url import TagUrl


def labels(params, *urls):
    stage = TagUrl.model_validate_json(json.dumps(params))
    assert stage.problems() == []
    batch = pa.RecordBatch.from_arrays([pa.array(urls, pa.string())], schema=pa.schema([URL]))
    marks = stage.annotate(batch, stage.open({}))
    assert marks.reject is None
    assert marks.columns["url_class"].type == pa.string()
    return marks.columns["url_class"].to_pylist()


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("https://www-example-com.translate.goog/page?hl=de", "machine_translated"),
        ("https://translate.google.co.uk/translate?u=x", "machine_translated"),
        ("http://translate.googleusercontent.com/translate_c?u=x", "machine_translated"),
        ("https://fanyi.baidu.com/x", "machine_translated"),
        ("https://archive.org/stream/oldbook00auth/oldbook00auth_djvu.txt", "scanned"),
        ("https://chroniclingamerica.loc.gov/lccn/sn83045462/1910-01-01/ed-1/seq-1/ocr/", "scanned"),
        ("https://gallica.bnf.fr/ark:/12148/bpt6k5401234.texteBrut", "scanned"),
        ("https://example.org/volume-3/page_0012_ocr.txt", "scanned"),
        ("https://archive.org/details/oldbook00auth", None),
        ("https://blog.example.com/why-translate.google.com-is-wrong", None),
        ("https://example.com/translate.goog", None),
        ("https://nottranslate.goog.example/", None),
        ("https://example.org/ocr-software-tested.html", None),
        ("", None),
        (None, None),
    ],
)
def test_known_sources(url, label):
    assert labels({}, url) == [label]


def test_every_known_pattern_and_domain_is_valid():
    classes = [{"label": k, "domains": v.domains, "patterns": v.patterns} for k, v in KNOWN_SOURCES.items()]
    stage = TagUrl.model_validate_json(json.dumps({"classes": classes}))
    assert stage.problems() == []


def test_own_classes_come_first_and_in_order(tmp_path):
    (tmp_path / "wikis.txt").write_text("wiki.example # all of it\n")
    params = {
        "classes": [
            {"label": "wiki", "domain_files": [str(tmp_path / "wikis.txt")]},
            {"label": "dated", "patterns": [r"/\d{4}/"]},
            {"label": "goog", "domains": ["translate.goog"]},
        ]
    }
    urls = (
        "http://en.WIKI.example:80/1999/",
        "http://a.example/1999/",
        "http://x.translate.goog/",
        "http://a.example/",
    )
    assert labels(params, *urls) == ["wiki", "dated", "goog", None]
    assert labels(params | {"known": []}, "https://fanyi.baidu.com/") == [None]
    assert TagUrl.model_validate_json(json.dumps(params)).resources() == [tmp_path / "wikis.txt"]


def test_a_range_in_a_pattern_is_a_range():
    """Trap T29: `[$-_]` means every character from $ to _, < and > too; a literal hyphen stands last."""
    wide, exact = (
        {"known": [], "classes": [{"label": "x", "patterns": [p]}]}
        for p in ("^http://[$-_a-z]+$", "^http://[a-z._-]+$")
    )
    assert labels(wide, "http://a.b<bad>") == ["x"]
    assert labels(exact, "http://a.b<bad>", "http://a.b_c-d") == [None, "x"]


def test_empty_batch_and_hostile_urls():
    assert labels({}) == []
    assert labels({}, "https://translate.google." + "com." * 100_000 + "/", "http://" + "a" * 500_000) == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"classes": [{"label": "x"}]}, "'x' has no domains"),
        ({"classes": [{"label": "x", "domains": ["http://a.b/"]}]}, "is not a domain"),
        ({"classes": [{"label": "x", "patterns": ["(?=a)"]}]}, "no RE2 pattern"),
        ({"known": []}, "no class is given"),
    ],
)
def test_problems(params, said):
    assert said in TagUrl.model_validate_json(json.dumps(params)).problems()[0]
