"""The index: every item is in it or is named as left out, and it is the same however the items arrive."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.stage import ShardInfo
from stages.decontamination._index import make_set, read_index
from stages.decontamination._kernels import find
from stages.decontamination.build_index import BuildNgramIndex, item_texts, look_up, with_whole
from tests.stages.decontamination.documents import build, index_of, items_batch, reasons
from tests.stages.kernels.test_words import oracle, oracle_hash, oracle_shingles

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
SHORT = "alpha beta gamma delta epsilon zeta eta theta iota"


def meta_of(folder):
    return json.loads((folder / "meta.json").read_text())


def test_what_is_written_can_be_read(tmp_path):
    """A round trip keeps every n-gram and the items it is of (T30)."""
    index = read_index(index_of(tmp_path, LONG, SHORT, LONG + " fifteen"))
    hashes = [oracle_hash(word) for word, _, _ in oracle(LONG + " fifteen")]
    grams = {h: {0, 2} for h in oracle_shingles(hashes[:14], 13)} | {oracle_shingles(hashes, 13)[2]: {2}}
    grams |= {oracle_shingles([oracle_hash(w) for w, _, _ in oracle(SHORT)], 13)[0]: {1}}
    assert {v: set(index.items_of(i).tolist()) for i, v in enumerate(index.grams.values.tolist())} == grams
    assert index.items == ["gsm8k/0", "gsm8k/1", "gsm8k/2"]
    assert index.benchmarks == ["gsm8k"] * 3
    assert index.lengths.tolist() == [9]
    assert (index.n, index.width) == (13, 8)


def test_meta_says_what_is_in_it_and_what_is_not(tmp_path):
    meta = meta_of(index_of(tmp_path, LONG, SHORT, "too short", ""))
    assert meta["items"] == 4
    assert meta["grams"] == 3
    assert meta["not_indexed"] == 2
    assert meta["not_indexed_ids"] == ["gsm8k/2", "gsm8k/3"]
    assert meta["items_with_field"] == {"text": 3}
    assert (meta["n"], meta["min_words"], meta["short_lengths"], meta["format"]) == (13, 8, [9], 2)


def test_short_items_can_be_left_out(tmp_path):
    meta = meta_of(index_of(tmp_path, LONG, SHORT, short_items="skip"))
    assert (meta["grams"], meta["not_indexed"], meta["short_lengths"]) == (2, 1, [])


def test_partitions_and_batches_do_not_matter(tmp_path):
    items = [{"id": i, "text": f"{LONG} and then item number {i % 7} of many"} for i in range(20)]
    items.append({"id": 20, "text": SHORT})
    one = build(tmp_path / "a", [[items_batch(items)]])
    cuts = [
        [items_batch(items[:3]), items_batch([])],
        [],
        [items_batch(items[3:20])],
        [items_batch(items[20:])],
    ]
    many = build(tmp_path / "b", cuts)
    assert meta_of(one) == meta_of(many)
    for name in ("grams", "gram_starts", "gram_items", "anchors", "grams_bitmap", "grams_directory"):
        assert np.array_equal(np.load(one / f"{name}.npy"), np.load(many / f"{name}.npy")), name
    assert (one / "items.arrow").read_bytes() == (many / "items.arrow").read_bytes()


def test_fields_alone_and_together(tmp_path):
    item = {"question": SHORT, "answer": "kappa lambda mu nu xi", "choices": {"text": ["no", "yes"]}}
    folder = build(tmp_path, [[items_batch([item])]], fields=["question", "answer", "choices.text"])
    across = "theta iota kappa lambda mu nu xi no yes"  # 9 words: fewer than an n-gram
    whole = f"{SHORT} kappa lambda mu nu xi no yes"
    assert reasons(folder, [f"See: {SHORT}.", across, whole, "kappa lambda mu nu xi"]) == [
        "contaminated",
        None,
        "contaminated",
        None,
    ]
    assert meta_of(folder)["items_with_field"] == {"question": 1, "answer": 1, "choices.text": 1}


def test_a_question_asked_with_another_answer_is_found(tmp_path):
    """T34: question only, and question with `A:` before the answer."""
    item = {"question": LONG + "?", "answer": "42"}
    folder = build(tmp_path, [[items_batch([item])]], fields=["question", "answer"])
    assert reasons(folder, [f"Q: {LONG}? A: 42", f"{LONG}?", f"{LONG}, so they say."]) == ["contaminated"] * 3


def test_the_text_column_and_metadata_can_be_mixed(tmp_path):
    assert item_texts(["text", "answer"], "q", '{"answer": "a"}') == ["q", "a"]
    assert item_texts(["text"], None, '{"text": "q"}') == ["q"]
    assert item_texts(["answer"], None, None) == [""]
    assert item_texts(["answer"], None, "[1, 2]") == [""]
    reads = BuildNgramIndex(fields=["question"]).reads().names
    assert "metadata" in reads
    assert "text" not in reads
    assert "metadata" not in BuildNgramIndex().reads().names


@pytest.mark.parametrize(
    ("record", "path", "text"),
    [
        ({"a": "x"}, "a", "x"),
        ({"a": {"b": "x"}}, "a.b", "x"),
        ({"a.b": "x"}, "a.b", "x"),
        ({"a": 5}, "a", "5"),
        ({"a": ["x", 5, None]}, "a", "x\n5\n"),
        ({"a": None}, "a", ""),
        ({"a": True}, "a", ""),
        ({"a": {"b": "x"}}, "a", ""),
        ({"a": "x"}, "a.b", ""),
        ({}, "a.b", ""),
    ],
)
def test_look_up(record, path, text):
    assert look_up(record, path) == text


def test_with_whole():
    assert with_whole([]) == []
    assert with_whole(["", "a"]) == ["a"]


def test_a_field_that_no_item_has_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"no item has a text in \['anwser'\]; name fields that exist"):
        build(tmp_path, [[items_batch([{"question": LONG}])]], fields=["question", "anwser"])


@pytest.mark.parametrize("texts", [[], ["too short"], [""]])
def test_an_index_of_nothing_is_an_error(tmp_path, texts):
    with pytest.raises(ValueError, match=r"no item has a text|has a text of 8 words in fields"):
        index_of(tmp_path, *texts)


def test_a_sink_without_partitions_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="none of 0 items has a text of 8 words"):
        BuildNgramIndex().commit([ShardInfo()], tmp_path, None)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fields": ["a", "a"]}, "fields names 'a' twice"),
        ({"n": 5}, "min_words is 8, above n = 5; lower it, or set short_items: skip"),
    ],
)
def test_problems(params, message):
    assert message in BuildNgramIndex(**params).problems()[0]


def test_no_problems():
    assert not BuildNgramIndex().problems()
    assert not BuildNgramIndex(n=5, short_items="skip").problems()


def test_a_folder_that_is_no_index_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no n-gram index; give a build_ngram_index node"):
        read_index(tmp_path)
    (tmp_path / "meta.json").write_text('{"format": 0}')
    with pytest.raises(ValueError, match="has format 0, but this version reads 2"):
        read_index(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 70_000])
def test_sets_find_all_their_members_and_nothing_else(size):
    rng = np.random.default_rng(size)
    values = np.unique(rng.integers(0, 2**64, size, dtype=np.uint64))
    made = make_set(values)
    assert made.bitmap.size * 64 >= 16 * values.size
    for i in range(0, values.size, 97):
        assert find(values[i], made) == i
    assert all(find(v, made) == -1 for v in rng.integers(0, 2**64, 300, dtype=np.uint64))


def test_items_are_brought_to_nfc(tmp_path):
    decomposed = "e\u0301cole " * 3 + LONG
    assert reasons(index_of(tmp_path, decomposed), ["École, école? ÉCOLE: " + LONG[:60]]) == ["contaminated"]


def test_a_batch_of_other_types_of_rows(tmp_path):
    batch = items_batch([{"text": None}, {"text": LONG}])
    folder = build(tmp_path, [[batch.slice(1), batch.slice(0, 1)]])
    assert isinstance(read_index(folder).benchmarks, list)
    assert meta_of(folder)["not_indexed"] == 1
    assert pa.ipc.open_file(str(folder / "items.arrow")).read_all()["id"].to_pylist() == [
        "gsm8k/1",
        "gsm8k/0",
    ]
