"""The comparison counts what a person would, and the command says what is wrong with what it is given."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from stages.tokenization._compare import ALL, Score, compare, open_subject, table_of
from stages.tokenization._compare_page import draw_bars, render_page
from stages.tokenization._trainers import Settings, train

ENGLISH = ["the cat sat on the mat", "a dog, two dogs"]
CHINESE = ["老守灯人那天晚上爬上灯塔"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    texts = pa.array(ENGLISH * 20, pa.large_string())
    found = {}
    for model in ("byte_bpe", "unigram", "wordpiece"):
        size = 280 if model == "byte_bpe" else 300
        data = train(
            lambda: iter([texts]), Settings(model=model, vocab_size=size, prefix_space=model == "unigram")
        )
        found[model] = folder / f"{model}{'.model' if model == 'unigram' else '.json'}"
        found[model].write_bytes(data)
    return found


def scored(files, model, **groups):
    return {s.group: s for s in compare([open_subject(model, files[model])], groups)}


def test_counts(files):
    scores = scored(files, "byte_bpe", en=ENGLISH, zh=CHINESE)
    assert list(scores) == ["en", "zh", ALL]
    english, chinese = scores["en"], scores["zh"]
    assert (english.documents, english.bytes, english.words) == (2, 37, 10)
    assert (chinese.bytes, chinese.words, chinese.tokens) == (
        36,
        12,
        36,
    )  # a token a byte, a word a character
    assert english.tokens_per_word < chinese.tokens_per_word == 3.0
    assert chinese.bytes_per_token == 1.0
    assert english.broken == chinese.broken == english.unknown == 0
    assert scores[ALL].tokens == english.tokens + chinese.tokens
    assert english.vocabulary == 276  # all that so little text gives
    assert 0 < english.used <= english.tokens


def test_what_is_not_in_the_vocabulary(files):
    assert scored(files, "unigram", zh=CHINESE)["zh"].byte_tokens == 36
    unknown = scored(files, "wordpiece", zh=CHINESE)["zh"]
    assert unknown.unknown == unknown.tokens == 12
    assert unknown.broken == 1
    assert scored(files, "wordpiece", en=["a dog ,two dogs"])["en"].broken == 1  # "a dog, two"


def test_no_tokens_no_words():
    empty = Score("t", "g", 0, 0, 0, 0, 0, 0, 0, 0, 1, 0.0)
    assert (empty.bytes_per_token, empty.tokens_per_word) == (0.0, 0.0)
    assert table_of([empty]).splitlines()[1].endswith("-")
    assert "<svg" in draw_bars([empty], lambda s: s.bytes_per_token, "t")


def test_names_are_escaped_on_the_page():
    page = render_page([Score("<b>", "<script>", 1, 4, 1, 2, 0, 0, 0, 2, 9, 0.1)])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<rect") == 2


def invoke(*arguments):
    return CliRunner().invoke(app, ["tokenizers", "compare", *map(str, arguments)])


def test_the_command(files, tmp_path):
    table = pa.table({"body": [*ENGLISH, *CHINESE, None, ""], "lang": ["en", "en", "zh", "zh", "zh"]})
    pq.write_table(table, tmp_path / "texts.parquet")
    given = [
        tmp_path / "texts.parquet",
        "--tokenizer",
        f"ours={files['byte_bpe']}",
        "--tokenizer",
        files["unigram"],
    ]
    given += ["--text", "body", "--by", "lang", "--html", tmp_path / "page.html"]
    result = invoke(*given)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["en", "ours", "2"],
        ["en", "unigram", "2"],
        ["zh", "ours", "1"],
        ["zh", "unigram", "1"],
        ["(all)", "ours", "3"],
        ["(all)", "unigram", "3"],
    ]
    assert "ours" in (tmp_path / "page.html").read_text("utf-8")
    found = json.loads(invoke(*given, "--json", "--documents", 1).stdout)
    assert [each["documents"] for each in found] == [1, 1, 2, 1, 1, 2]


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("texts.csv", [], "unknown kind of file; give one of .parquet, .arrow, .jsonl, .json"),
        ("texts.parquet", ["--text", "words"], "has no column 'words', but text"),
        ("texts.parquet", [], "No such file or directory"),
        ("empty.parquet", [], "no text in column 'text'; name another with --text"),
        ("broken.parquet", [], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, options, error):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "texts.parquet")
    pq.write_table(pa.table({"text": [""]}), tmp_path / "empty.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    result = invoke(tmp_path / name, "--tokenizer", tmp_path / "none.json", *options)
    assert result.exit_code != 0
    assert error in result.output.replace("\n", " ")
