"""The index: every item is in it or is named as left out, and it is the same however the items arrive."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.schema import BENCHMARK, ITEM, ITEM_PARTS
from pipeline.stage import ShardInfo
from stages.decontamination._index import BenchmarkIndex, TextKind, make_set, read_index
from stages.decontamination._kernels import find, in_bitmap
from stages.decontamination._matches import find_matches, hash_text
from stages.decontamination.build_index import BuildNgramIndex
from tests.stages.decontamination.indexes import build_items, item

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
ANSWER = "kappa lambda mu nu xi omicron pi rho sigma"


def meta_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "meta.json").read_text())


def texts_of(index: BenchmarkIndex, number: int) -> set[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Kind, words and which are of an output, of an item's texts."""
    found = set()
    for text in index.item_texts[
        index.item_text_starts[number] : index.item_text_starts[number + 1]
    ].tolist():
        own = slice(index.text_starts[text], index.text_starts[text + 1])
        assert number in index.text_items[index.text_item_starts[text] : index.text_item_starts[text + 1]]
        words = tuple(index.words[own].tolist())
        found.add((TextKind(index.text_kinds[text]).name, words, tuple(index.outputs[own].tolist())))
    return found


def test_what_is_written_can_be_read(tmp_path):
    """A round trip keeps every text, what it is of, and every item (T30)."""
    items = [
        item(question=LONG, choice=["left", "right"], solution="so be it", answer="right"),
        item(question="Who is it?", answer="Ann", passage=ANSWER),
        item(answer=ANSWER),
        item(question="Why so?"),
    ]
    index = read_index(build_items(tmp_path, items))

    def expected(*texts: tuple[str, str, str]) -> set[tuple[str, tuple[int, ...], tuple[int, ...]]]:
        found = set()
        for kind, inputs, outputs in texts:
            sides = [tuple(hash_text(t, index).tolist()) for t in (inputs, outputs)]
            found.add((kind, sides[0] + sides[1], (0,) * len(sides[0]) + (1,) * len(sides[1])))
        return found

    tail = " ".join(LONG.split()[-7:])
    assert texts_of(index, 0) == expected(
        ("ITEM", LONG, "so be it"),
        ("OUTPUT", tail, "right"),
        ("CHOICES", f"{tail} A left B right", ""),
        ("CHOICES", f"{tail} left right", ""),
        ("ANSWER", "", "so be it"),
        ("ANSWER", "", "right"),
        ("CHOICE", "left", ""),
        ("CHOICE", "right", ""),
    )
    assert texts_of(index, 1) == expected(
        ("ITEM", "who is it", "Ann"),
        ("SHORT", "who is it", ""),
        ("PASSAGE", ANSWER, ""),
        ("ANSWER", "", "Ann"),
    )
    assert texts_of(index, 2) == expected(("ITEM", "", ANSWER), ("ANSWER", "", ANSWER))
    assert texts_of(index, 3) == expected(("ITEM", "why so", ""))
    assert index.items.to_pylist() == [
        {"benchmark": "gsm8k", "id": str(k), "question": question, "answer": answer, "findable": able}
        for k, (question, answer, able) in enumerate(
            [(LONG, "right", True), ("Who is it?", "Ann", True), ("", ANSWER, True), ("Why so?", "", False)]
        )
    ]
    assert (index.seed_words, index.min_short_words, index.tokens) == (8, 3, "words")


def test_meta_says_what_is_in_it_and_what_cannot_be_found(tmp_path):
    names = [f"id-{k}" for k in range(30)]
    items = [item(question=LONG), item("other", question="Who is it?")]
    items += [item("other", name, question="No!", answer="yes") for name in names]
    meta = meta_of(build_items(tmp_path, items))
    assert meta["items"] == 32
    assert meta["not_findable"] == 30
    assert meta["benchmarks"] == {
        "gsm8k": {"items": 1, "not_findable": 0, "not_findable_ids": []},
        "other": {"items": 31, "not_findable": 30, "not_findable_ids": names[:20]},
    }
    assert (meta["seeds"], meta["short_questions"], meta["boilerplate_seeds"]) == (7, 1, 0)
    assert (meta["format"], meta["seed_words"], meta["max_texts"], meta["rare_words"]) == (3, 8, 20, None)


def batches_of(items: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(items), pa.schema([BENCHMARK, ITEM, ITEM_PARTS]))


def build(folder: Path, partitions: Sequence[Sequence[pa.RecordBatch]], **params: Any) -> Path:
    """Write every partition into its folder, bring the files together under the engine's names, commit."""
    sink, out, shards = BuildNgramIndex(**params), folder / "index", []
    out.mkdir(parents=True)
    for number, batches in enumerate(partitions):
        own = folder / str(number)
        own.mkdir()
        info = sink.write(iter(batches), own, None)
        assert sorted(p.name for p in own.iterdir()) == sorted(info.files)
        for name in info.files:
            (own / name).rename(out / f"{number:05d}-{name}")
        shards.append(info._replace(files=[f"{number:05d}-{name}" for name in info.files]))
    sink.commit(shards, out, None)
    return out


def test_partitions_and_batches_do_not_matter(tmp_path):
    items = [
        item(
            "b",
            str(k),
            question=f"{LONG} and then item {k % 7} of many",
            answer=str(k % 3),
            choice=["1", "2"],
        )
        for k in range(20)
    ]
    items += [item("b", "short", question="Who is it?", passage=ANSWER), item("b", "none")]
    one = build(tmp_path / "a", [[batches_of(items)]], rare_words=5)
    cuts = [
        [batches_of(items[:3]), batches_of([])],
        [],
        [batches_of(items[:20]).slice(3)],
        [batches_of(items[20:])],
    ]
    many = build(tmp_path / "b", cuts, rare_words=5)
    files = sorted(p.name for p in one.iterdir() if "-" not in p.name)
    assert "rare_idf.npy" in files
    for name in files:
        assert (one / name).read_bytes() == (many / name).read_bytes(), name


def test_a_question_asked_with_another_answer_is_found(tmp_path):
    """T34: question only, and question with `A:` before the answer."""
    index = read_index(build_items(tmp_path, [item(question=LONG + "?", answer="42")]))
    texts = [f"Q: {LONG}? A: 42", f"{LONG}?", f"{LONG}, so they say."]
    found = find_matches(pa.array(texts, pa.large_string()), index)
    assert (found.row.tolist(), found.words.tolist()) == ([0, 1, 2], [14, 14, 14])


def test_columns_may_be_empty(tmp_path):
    rows = [
        {"benchmark": "b", "item": "1", "item_parts": None},
        {"benchmark": "b", "item": "2", "item_parts": []},
        {"benchmark": "b", "item": "3", "item_parts": [{"part": "question", "text": None}]},
        {"benchmark": "b", "item": "4", "item_parts": [{"part": "question", "text": LONG}]},
    ]
    meta = meta_of(build(tmp_path, [[batches_of(rows)]]))
    assert (meta["items"], meta["not_findable"]) == (4, 3)


def test_passages_can_be_left_out(tmp_path):
    items = [item(question=LONG, passage=ANSWER)]
    kinds = [
        set(read_index(build_items(tmp_path / str(p), items, passages=p)).text_kinds.tolist())
        for p in (True, False)
    ]
    assert [TextKind.PASSAGE in own for own in kinds] == [True, False]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"benchmark": "b", "item": "1", "item_parts": []}], "none of 1 items can be found"),
        ([{"benchmark": None, "item": "1", "item_parts": []}], "1 items have no benchmark"),
        ([{"benchmark": "b", "item": None, "item_parts": []}], "1 items have no item"),
        (
            [{"benchmark": "b", "item": "1", "item_parts": []}] * 2,
            "1 ids stand for several items, the first of them '1'",
        ),
    ],
)
def test_items_that_make_no_index(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        build(tmp_path, [[batches_of(rows)]])


def test_a_sink_without_items_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="there are no items; read some with read_benchmark"):
        BuildNgramIndex().commit([ShardInfo()], tmp_path, None)


def test_problems():
    assert not BuildNgramIndex().problems()
    assert "min_short_words is 8" in BuildNgramIndex(min_short_words=8).problems()[0]


def test_a_folder_that_is_no_index_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no index of benchmark items; give a build_ngram_index node"):
        read_index(tmp_path)
    (tmp_path / "meta.json").write_text('{"format": 2}')
    with pytest.raises(ValueError, match="has format 2, but this version reads 3; rebuild it"):
        read_index(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 70_000])
def test_sets_find_all_their_members_and_nothing_else(size):
    rng = np.random.default_rng(size)
    values = np.unique(rng.integers(0, 2**64, size, dtype=np.uint64))
    made = make_set(values)
    assert made.bitmap.size * 64 >= 16 * values.size
    for i in range(0, values.size, 97):
        assert in_bitmap(values[i], made)
        assert find(values[i], made) == i
    others = rng.integers(0, 2**64, 300, dtype=np.uint64)
    assert all(find(v, made) == -1 for v in others)
    assert sum(int(in_bitmap(v, made)) for v in others) < 60
