"""Traps that others fell into with single documents: state, spans, lines, sizes. README.md has the table."""

import mmap
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers
import xxhash

from pipeline.registry import load_class
from pipeline.schema import MESSAGES, TEXT, id_hashes
from pipeline.stage import Damage
from stages.dedup.exact import content_keys
from stages.dialogue.tokenize import TokenizeDialogue
from stages.extraction.html import ExtractHtml
from stages.normalization.chunk import ChunkLongDocuments
from stages.registry import STAGES
from stages.safety.bad_words import BadWords
from stages.safety.pii import ScrubPii
from stages.signals.text import count_signals
from stages.tokenization.tokenize import Tokenize
from stages.tokenization.train_tokenizer import train_bpe
from tests.stages.dialogue.conftest import train

SAMPLES = Path(__file__).resolve().parents[2] / "data_samples"


def text_batch(*texts):
    return batch_of(pa.array(texts, TEXT.type))


def batch_of(text):
    names = [f"trap/{k}" for k in range(len(text))]
    return pa.record_batch({"id": names, "id_hash": id_hashes(names), "text": text})


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A small vocabulary with merges of letters."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    words = ["the cat sat on the mat and qwerty uiop asdf ghjkl zxcv bnm ababab"] * 4
    path.write_text(train_bpe(iter([words]), 300, ["<|endoftext|>"], 1), "utf-8")
    return path


# --- T26: hashes are of bytes, and the same in every release --------------------------------------------


def test_hashes_are_pinned_to_their_bytes():
    assert xxhash.xxh3_64_intdigest(b"") == 0x2D06800538D394C2  # the specification's test vectors
    assert xxhash.xxh3_128_hexdigest(b"") == "99aa06d3014798d86001c324468d497f"
    assert id_hashes(["web/ключ#1"])[0].as_py().hex() == xxhash.xxh3_128_hexdigest("web/ключ#1".encode())
    assert id_hashes(["web/a.warc#1"])[0].as_py().hex() == "4a9a8dc8ac5bf2c2d4b03757a36c96f1"
    keys, _ = content_keys(pa.array(["ключ"], pa.large_string()))
    assert keys[0].as_py() == xxhash.xxh3_128_digest("ключ".encode())


# --- T28: a page is extracted alike however often and after whatever it comes ----------------------------


def test_boilerplate_is_not_learnt_away():
    """An extractor that deduplicates across calls drops the shared paragraph from the fourth page on."""
    shared = "The harbour office is open on weekdays from nine to five, and on market days until late. " * 3
    pages = [
        f"<html><body><article><p>{shared}</p><p>Page {k} of many.</p></article></body></html>"
        for k in range(8)
    ]
    stage = ExtractHtml()
    columns = {
        "content": pa.array([p.encode() for p in (*pages, pages[0])], pa.large_binary()),
        "media_type": ["text/html"] * 9,
        "charset": pa.nulls(9, pa.string()),
    }
    texts = stage.annotate(pa.record_batch(columns), stage.open({})).columns["text"].to_pylist()
    assert all(shared.strip() in text for text in texts)
    assert texts[8] == texts[0]


# --- T29: an assortment ------------------------------------------------------------------------------------


def test_only_a_newline_ends_a_line():
    """str.splitlines also splits at vertical tabs, form feeds and U+2028, and so miscounts lines."""
    counts = count_signals(
        pa.array(["one\u2028two\x0bthree\x85four", "a\n\n\n\nb", "a\r\nb"], pa.large_string())
    )
    assert counts["lines"].tolist() == [1, 2, 2]
    assert counts["paragraphs"].tolist() == [1, 2, 1]


def test_stop_words_count_once_and_in_any_case():
    texts = ["the the the the", "The AND", "nothing here"]
    assert count_signals(pa.array(texts, pa.large_string()))["stop_words"].tolist() == [1, 2, 0]


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
def test_the_last_batch_of_a_file_is_read(tmp_path, rows):
    table = pa.table({"text": [f"document {k}" for k in range(7)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    lines = "\n".join(f'{{"text": "document {k}"}}' for k in range(7))  # no line break at the end
    (tmp_path / "a.jsonl").write_text(lines, "utf-8")
    for name in ("read_parquet", "read_arrow", "read_jsonl"):
        suffix = name.removeprefix("read_")
        source = load_class(STAGES[name].target)(paths=str(tmp_path / f"a.{suffix}"), batch_rows=rows)
        found = [b for split in source.split() for b in source.read(split, None)]
        assert not any(isinstance(b, Damage) for b in found)
        assert [t for b in found for t in b["text"].to_pylist()] == table["text"].to_pylist()


# --- T39 to T41: personal data goes by span, once, and nothing else goes ---------------------------------


@pytest.fixture(scope="session")
def scrub():
    stage = ScrubPii()
    judges = stage.open({})
    return lambda *texts: stage.annotate(text_batch(*texts), judges).columns["text"].to_pylist()


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("ann@lee.org", "<EMAIL_ADDRESS>"),  # both ends of the text
        ("ann@lee.org, bob@lee.org ;  x", "<EMAIL_ADDRESS>, <EMAIL_ADDRESS> ;  x"),
        ("( ann@lee.org )\n", "( <EMAIL_ADDRESS> )\n"),
        ("ANN@LEE.ORG\tann@lee.org", "<EMAIL_ADDRESS>\t<EMAIL_ADDRESS>"),
        ("joann@lee.org is not ann@lee.org", "<EMAIL_ADDRESS> is not <EMAIL_ADDRESS>"),
        ("from 81.2.69.160", "from <IP_ADDRESS>"),
    ],
)
def test_spans_are_exact_and_scrubbing_again_changes_nothing(scrub, text, scrubbed):
    assert scrub(text) == [scrubbed]
    assert scrub(scrubbed) == [scrubbed]


@pytest.mark.parametrize(
    "text",
    [
        "import types/node@18.0.1 from npm",
        "snmp OID 1.3.6.1.4.1.311.2.1 is not an address",
        "the release v2.1.3.4 of the driver",
        "no-reply <EMAIL_ADDRESS> and <IP_ADDRESS>",
    ],
)
def test_what_only_looks_like_it_stays(scrub, text):
    assert scrub(text) == [text]


# --- T43: word lists ------------------------------------------------------------------------------------


def test_identity_terms_and_innocent_words_are_not_bad_words(tmp_path):
    texts = [
        "I am a gay man, and my sister is a lesbian; we are proud of it.",
        "Muslim, Jewish and Black families live in this street, disabled people too.",
        "She is a trans woman from Scunthorpe, and passes her classic assassin novel to Dick.",
        "The glurps were counted, and no damned one of them was crapulous.",
    ]
    sample = BadWords(words=SAMPLES / "lists" / "bad_words.txt")
    marks = sample.annotate(text_batch(*texts), sample.open({}))
    assert marks.reject.to_pylist() == [None, None, None, "too_many_bad_words"]
    assert marks.evidence[3]["terms"].as_py() == ["damned"]
    words = tmp_path / "words.txt"
    words.write_text("cunt\nass\nsex\ngay\n", "utf-8")  # a list that does name people is seen in the evidence
    named = BadWords(words=words)
    marks = named.annotate(text_batch(*texts, "Essex grass"), named.open({}))
    assert marks.columns["bad_word_count"].to_pylist() == [1, 0, 0, 0, 0]
    assert marks.evidence[0]["terms"].as_py() == ["gay"]


# --- T65: what a dialogue lacks is its own fault --------------------------------------------------------


def test_a_tool_call_that_the_template_cannot_print_is_a_reason(tmp_path):
    """Not an error of the row, and not an empty call that would be trained on."""
    stage = TokenizeDialogue(tokenizer=str(train(tmp_path / "tokenizer.json")))
    asked = {"role": "user", "content": "Weather?", "tool_calls": None, "weight": None}
    called = {"role": "assistant", "content": None, "tool_calls": '[{"name": "sky"}]', "weight": None}
    batch = pa.record_batch({"messages": pa.array([[asked, called]], MESSAGES.type)})
    assert stage.annotate(batch, stage.open({})).reject.to_pylist() == ["not_renderable"]


# --- T52: columns beyond 2 GiB --------------------------------------------------------------------------

BEYOND = 2**31 + 7  # where the rows begin in a column's bytes; what stands before is never touched


def far_away(texts):
    """The same texts as a column whose offsets no int32 can hold; sparse memory."""
    plain = pa.array(texts, pa.large_string())
    data = b"".join((t or "").encode() for t in texts)
    memory = mmap.mmap(-1, BEYOND + len(data) + 64)
    memory[BEYOND : BEYOND + len(data)] = data
    lengths = [len((t or "").encode()) for t in texts]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64) + BEYOND
    buffers = [plain.buffers()[0], pa.py_buffer(offsets), pa.py_buffer(memory)]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers, plain.null_count)


TEXTS = [
    "The lamp is lit; ann@lee.org saw it.",
    None,
    "",
    "雪が降る。 damn",
    "one two three " * 9,
    "end\n\n\n\n",
]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("text_signals", {}),
        ("identify_language", {}),
        ("repair_text", {}),
        ("scrub_pii", {}),
        ("bad_words", {"words": SAMPLES / "lists" / "bad_words.txt"}),
        ("filter_column", {"column": "text", "type": "large_string", "matches": "lamp"}),
        ("tokenize", {}),
    ],
)
def test_a_column_beyond_two_gigabytes(name, params, tokenizer):
    stage = load_class(STAGES[name].target)(**params)
    resource = stage.open({"tokenizer": tokenizer.parent})
    near, far = text_batch(*TEXTS), batch_of(far_away(TEXTS))
    assert far.equals(near)
    expected, found = stage.annotate(near, resource), stage.annotate(far, resource)
    for column, values in expected.columns.items():
        assert found.columns[column].to_pylist() == values.to_pylist()
    assert (found.reject or pa.nulls(6)).to_pylist() == (expected.reject or pa.nulls(6)).to_pylist()


def test_long_columns_have_64_bit_offsets():
    """What can pass 2 GiB in one batch is large_* wherever a stage writes it."""
    long = {"text", "content", "title", "input_ids", "token_ends", "labels", "messages"}
    for name, ref in STAGES.items():
        cls = load_class(ref.target)
        try:
            written = cls().writes()
        except ValueError:  # has params that must be given
            continue
        small = {
            f.name: str(f.type) for f in written if f.name in long and not str(f.type).startswith("large")
        }
        assert not small, name


# --- T53: long texts without spaces ----------------------------------------------------------------------


def decoded(path, lists):
    return [tokenizers.Tokenizer.from_file(str(path)).decode(ids) for ids in lists.to_pylist()]


def test_ten_megabytes_without_a_space(tokenizer):
    """In pieces, as the recipe has it: nothing lost, and no piece so long that a tokenizer slows down on it."""
    rng = random.Random(53)
    text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=10 << 20))
    chunk = ChunkLongDocuments()
    pieces = chunk.expand(text_batch(text, "short"), None).columns["text"]
    assert max(map(len, pieces.to_pylist())) <= chunk.max_chars
    stage = Tokenize(tokenizer=str(tokenizer), add_eos=False)
    resource = stage.open({})
    back = []
    for start in range(0, len(pieces), 8):
        batch = batch_of(pieces.slice(start, 8))
        back += decoded(tokenizer, stage.annotate(batch, resource).columns["input_ids"])
    assert "".join(back) == text + "short"


@pytest.mark.timeout(120)
def test_ten_megabytes_without_a_space_in_one_text(tokenizer):
    """Quadratic merging would take hours, and so end at the limit above."""
    text = "ab" * (5 << 20)
    stage = Tokenize(tokenizer=str(tokenizer), add_eos=False)
    columns = stage.annotate(text_batch(text), stage.open({})).columns
    assert columns["token_ends"][0].values[-1].as_py() == len(text)
    size = len(columns["input_ids"][0].values)
    assert size == columns["token_count"][0].as_py()
    assert size < len(text) / 2  # merged, not spelt
