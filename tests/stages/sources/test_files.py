"""Listing, naming and grouping of files; HTML and text folders."""

import gzip
import shutil

import fsspec
import pytest

from pipeline.errors import DataError
from stages.sources.html import ReadHtml
from stages.sources.jsonl import ReadJsonl
from stages.sources.text import ReadText
from stages.sources.warc import ReadWarc
from tests.stages.sources.support import run


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"<p>{name}</p>")


def names(stage):
    rows, damages = run(stage)
    assert damages == []
    return [r["origin"]["file"] for r in rows]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("", ["a/x.html", "a/y.htm", "b/c/z.html.gz"]),
        ("a/*.html", ["x.html"]),
        ("**/*.html", ["a/x.html"]),
        ("*/x.html", ["a/x.html"]),
        ("a/x.html", ["x.html"]),
        (["a/*.html", "b/c"], ["a/x.html", "b/c/z.html.gz"]),
        (["a/*.html", "a/x.html", "a"], ["x.html", "y.htm"]),
    ],
)
def test_names_are_relative_to_the_fixed_folder(tmp_path, paths, expected):
    make(tmp_path / "one", "a/x.html", "a/y.htm", "a/other.bin")
    (tmp_path / "one/b/c").mkdir(parents=True)
    (tmp_path / "one/b/c/z.html.gz").write_bytes(gzip.compress(b"<p>z"))
    shutil.copytree(tmp_path / "one", tmp_path / "far/away")
    for root in ("one", "far/away"):
        base = tmp_path / root
        where = [f"{base}/{p}" for p in paths] if isinstance(paths, list) else f"{base}/{paths}"
        assert names(ReadHtml(paths=where)) == expected


def test_a_name_with_brackets_is_itself(tmp_path):
    make(tmp_path, "a[1].html", "a1.html")
    assert names(ReadHtml(paths=f"{tmp_path}/a[1].html")) == ["a[1].html"]


def test_relative_paths(tmp_path, monkeypatch):
    make(tmp_path, "d/x.html")
    monkeypatch.chdir(tmp_path)
    assert names(ReadHtml(paths="d/*.html")) == ["x.html"]


def test_memory_filesystem_with_two_folders():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/files-test/a/x.txt", b"one")
    fs.pipe_file("/files-test/b/y.txt", b"two")
    try:
        stage = ReadText(paths=["memory://files-test/a/*.txt", "memory://files-test/b"])
        rows, _ = run(stage)
        assert [(r["origin"]["file"], r["text"]) for r in rows] == [("a/x.txt", "one"), ("b/y.txt", "two")]
        assert all(u.startswith("memory://") for s in stage.split() for u in stage.files(s))
    finally:
        fs.rm("/files-test", recursive=True)


def test_problems_name_what_is_wrong(tmp_path):
    missing = ReadWarc(paths=f"{tmp_path}/x/*.warc.gz").problems()
    assert len(missing) == 1
    assert missing[0].startswith(
        f"paths: nothing matches '{tmp_path}/x/*.warc.gz'; give a file, a folder with *.warc"
    )
    assert len(ReadWarc(paths=[f"{tmp_path}/no.warc", f"{tmp_path}/neither"]).problems()) == 2
    assert "empty list" in ReadWarc(paths=[]).problems()[0]
    assert "cannot list 'nosuch://x'" in ReadJsonl(paths="nosuch://x").problems()[0]
    assert any(
        "mixes file and memory" in p for p in ReadJsonl(paths=["memory://x", str(tmp_path)]).problems()
    )
    assert "charset: 'klingon' is unknown" in ReadText(paths=str(tmp_path), charset="klingon").problems()[-1]


def test_a_file_that_went_away_is_a_clear_error(tmp_path):
    stage = ReadJsonl(paths=f"{tmp_path}/*.jsonl")
    with pytest.raises(DataError, match="cannot be opened"):
        list(stage.read(f"{tmp_path}/gone.jsonl", None))


def test_html_columns(tmp_path):
    (tmp_path / "a.html").write_bytes(b"<p>\xff")
    (tmp_path / "b.xhtml").write_bytes(b"")
    rows, damages = run(ReadHtml(paths=str(tmp_path)))
    assert damages == []
    assert [(r["content"], r["media_type"], r["url"], r["charset"], r["text"]) for r in rows] == [
        (b"<p>\xff", "text/html", None, None, None),
        (b"", "application/xhtml+xml", None, None, None),
    ]


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "big.html").write_bytes(b"x" * 101)
    (tmp_path / "cut.html.gz").write_bytes(gzip.compress(b"hello")[:-3])
    (tmp_path / "ok.html").write_bytes(b"x" * 100)
    rows, damages = run(ReadHtml(paths=str(tmp_path), max_record_bytes=100))
    assert [r["origin"]["file"] for r in rows] == ["ok.html"]
    assert [(d.file, d.reason) for d in damages] == [
        ("big.html", "record_too_large"),
        ("cut.html.gz", "truncated_gzip"),
    ]


def test_groups_are_stable_when_a_file_comes(tmp_path):
    make(tmp_path, *(f"{i:04d}.html" for i in range(400)))
    stage = ReadHtml(paths=str(tmp_path), files_per_split=20)
    before = {split: tuple(stage.files(split)) for split in stage.split()}
    assert 5 < len(before) < 60
    assert sorted(f for files in before.values() for f in files) == [
        f"{tmp_path}/{i:04d}.html" for i in range(400)
    ]
    assert all(len(files) <= 80 for files in before.values())
    make(tmp_path, "0200b.html")
    after = {split: tuple(stage.files(split)) for split in stage.split()}
    assert len(set(after.items()) - set(before.items())) <= 2
    with pytest.raises(DataError, match="changed while the run"):
        stage.files("nothing .. nowhere")


def test_text_charset_and_errors(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe\r\nx\0")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    rows, damages = run(ReadText(paths=str(tmp_path)))
    assert [r["text"] for r in rows] == ["Grüße\r\nx\0"]
    assert [(d.file, d.reason, d.offset) for d in damages] == [("b.txt", "bad_charset", 3)]
    rows, damages = run(ReadText(paths=str(tmp_path), errors="replace"))
    assert (damages, rows[1]["text"]) == ([], "caf\ufffd")
    rows, damages = run(ReadText(paths=f"{tmp_path}/b.txt", charset="latin-1"))
    assert (damages, rows[0]["text"]) == ([], "café")


def test_a_groups_label_changes_when_any_of_its_files_is_renamed(tmp_path):
    """Ids hold file names: work on a group may not be reused under other names (P3)."""
    for name in ("a.html", "b.html", "c.html"):
        (tmp_path / name).write_text("<p>x</p>")
    source = ReadHtml(paths=str(tmp_path))
    (split,) = source.split()
    before = source.label(split)
    assert before == source.label(split)
    (tmp_path / "b.html").rename(tmp_path / "bb.html")
    assert source.split() == [split]
    assert source.label(split) != before


def test_a_label_does_not_say_where_the_data_lies(tmp_path):
    for folder in ("one", "two/deep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.jsonl").write_text('{"text": "x"}\n')
    sources = [ReadJsonl(paths=f"{tmp_path}/{folder}/*.jsonl") for folder in ("one", "two/deep")]
    assert [s.label(s.split()[0]) for s in sources] == ["x.jsonl", "x.jsonl"]
