"""Lists of clean and dirty items: true to a slow count, however the documents are cut, whatever items are called."""

import hashlib
import itertools
import json
import random
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.schema import CONTAMINATION, SOURCE, id_hashes
from pipeline.stage import ShardInfo
from stages.decontamination import _lists
from stages.decontamination._lists import CLASSES, file_stem, read_items, read_list
from stages.decontamination.write_lists import WriteBenchmarkLists
from tests.support.leaks import leaks_in, leaks_run, write_items

ODD = ["", " ", "a b", "1", "01", "größe", "題 3", "x" * 300, '"', "\\", "../../x", "\u202e", "\x00", "None"]
ITEMS = [
    *(("gsm8k", str(i), f"q{i}", f"a{i}", True) for i in range(12)),
    *(("mmlu/law", name, "q", "a", True) for name in ODD),
    ("gsm8k", "short", "Why?", "So", False),
    *(("數學", f"題{i}", "q", "a", i > 0) for i in range(3)),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return write_items(tmp_path_factory.mktemp("index"), ITEMS)


def documents(seed, count):
    """(id, source, leaks) of documents; each has an item once by a definition."""
    numbers = random.Random(seed)
    made = []
    for k in range(count):
        leaks = []
        for _ in range(numbers.choice([0, 0, 1, 2, 6])):
            benchmark, item = numbers.choice(ITEMS)[:2]
            for name in numbers.sample(["ngram_13", "ngram_8", "short"], numbers.randrange(1, 4)):
                if not [
                    x
                    for x in leaks
                    if (x["benchmark"], x["item"], x["definition"]) == (benchmark, item, name)
                ]:
                    leaks.append(leak(numbers, benchmark, item, name))
        made.append((f"{seed}/{k}", numbers.choice(["web", "books"]), leaks))
    return made


def leak(numbers, benchmark, item, definition):
    start = numbers.randrange(1000)
    end = start + numbers.randrange(1, 600)
    return {
        "benchmark": benchmark,
        "item": item,
        "definition": definition,
        "class": numbers.choice(CLASSES),
        "part": "input",
        "score": numbers.choice([float(numbers.randrange(8, 40)), 0.25, None]),
        "start": start,
        "end": end,
        "matched": f"{item} {start}",
        "decides": numbers.random() < 0.6,
    }


def batch_of(rows):
    ids = [row[0] for row in rows]
    sources = pa.array([row[1] for row in rows], pa.string()).dictionary_encode().cast(SOURCE.type)
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array(ids, pa.string()),
            "id_hash": id_hashes(ids),
            "source": sources,
            "contamination": pa.array([row[2] or None for row in rows], CONTAMINATION.type),
        }
    )


def write(folder, index, partitions, **params):
    """As the engine does: each partition (batches) into its own folder, then all files side by side, then commit."""
    sink = WriteBenchmarkLists(**params)
    items = sink.open({"index": index})
    out = folder / "out"
    out.mkdir(parents=True)
    shards = []
    for number, batches in enumerate(partitions):
        own = folder / str(number)
        own.mkdir()
        info = sink.write(iter(map(batch_of, batches)), own, items)
        assert sorted(p.name for p in own.iterdir()) == sorted(info.files)
        for name in info.files:
            (own / name).rename(out / f"{number:05d}-{name}")
        meta = json.loads(json.dumps(info.meta))
        shards.append(ShardInfo([f"{number:05d}-{name}" for name in info.files], info.rows, meta))
    sink.commit(shards, out, items)
    return out


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def summary(out):
    return json.loads((out / "summary.json").read_text("utf-8"))


# --- a slow count -----------------------------------------------------------------------------------


def oracle(rows, benchmark, *, definitions=None, classes=CLASSES[:2], examples=3, min_documents=1):
    """The lines of a benchmark's list."""
    found = defaultdict(list)
    for name, source, leaks in rows:
        for one in leaks:
            counts = one["class"] in classes and (
                one["definition"] in definitions if definitions else one["decides"]
            )
            found[one["benchmark"], one["item"]].append(
                {**one, "document": name, "source": source, "counts": counts}
            )
    lines = []
    for _, item, _, _, findable in (i for i in ITEMS if i[0] == benchmark):
        mine = found[benchmark, item]
        counted = [x for x in mine if x["counts"]]
        documents = len({x["document"] for x in counted})
        dirty = documents >= min_documents
        lines.append(
            {
                "id": item,
                "verdict": "dirty" if dirty else "clean" if mine or findable else "not_findable",
                "class": min((x["class"] for x in counted), key=CLASSES.index) if dirty else None,
                "documents": documents,
                "definitions": {
                    name: told([x for x in mine if x["definition"] == name])
                    for name in sorted({x["definition"] for x in mine})
                },
                "examples": shown(mine)[:examples],
            }
        )
    return lines


def told(leaks):
    classes = [x["class"] for x in leaks]
    return {
        "class": min(classes, key=CLASSES.index),
        "documents": len(leaks),
        "by_class": {name: classes.count(name) for name in sorted(set(classes))},
        "score": max((x["score"] for x in leaks if x["score"] is not None), default=None),
    }


def shown(leaks):
    """One leak a document: of those that count if there are, the gravest, the longest; by the hash of its id."""
    best = {}
    for x in leaks:
        key = (not x["counts"], CLASSES.index(x["class"]), x["start"] - x["end"], x["definition"], x["start"])
        if x["document"] not in best or key < best[x["document"]][0]:
            best[x["document"]] = (key, x)
    ids = list(best)
    hashes = dict(zip(ids, id_hashes(ids).to_pylist(), strict=True))
    ordered = sorted(ids, key=lambda name: (best[name][0][0], hashes[name]))
    names = ("document", "source", "class", "definition", "score", "start", "end")
    return [{**{n: best[i][1][n] for n in names}, "passage": best[i][1]["matched"]} for i in ordered]


BENCHMARKS = ("gsm8k", "mmlu/law", "數學")
PARAMS = [
    {},
    {"definitions": ["short", "ngram_8"], "classes": ["input_and_output"]},
    {"classes": list(CLASSES), "examples": 1, "min_documents": 3},
    {"definitions": ["none"], "examples": 0},
]


@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("seed", [1, 2])
def test_lists_are_what_a_slow_count_says(tmp_path, index, seed, params):
    rows = documents(seed, 40)
    out = write(tmp_path, index, [[rows[:20], rows[20:25]], [rows[25:]]], **params)
    for benchmark in BENCHMARKS:
        assert list(read_list(out, benchmark)) == oracle(rows, benchmark, **params)
    verdicts = {line["verdict"] for b in BENCHMARKS for line in read_list(out, b)}
    assert "clean" in verdicts
    assert ("dirty" in verdicts) is (params.get("definitions") != ["none"])


@pytest.mark.parametrize("room", [0, 30, 1 << 17])
def test_any_partitioning_and_order_gives_the_same_bytes(tmp_path, index, monkeypatch, room):
    rows = documents(7, 150)
    whole = digests(write(tmp_path / "whole", index, [[rows]]))
    monkeypatch.setattr(_lists, "_ROOM", room)
    for seed in range(3):
        numbers = random.Random(seed)
        partitions = [[[]] for _ in range(numbers.randrange(1, 7))]
        for row in numbers.sample(rows, len(rows)):
            batches = numbers.choice(partitions)
            if numbers.random() < 0.2:
                batches.append([])
            batches[-1].append(row)
        assert digests(write(tmp_path / str(seed), index, partitions)) == whole


def test_a_slice_of_a_batch_is_what_it_shows(tmp_path, index):
    rows = documents(3, 60)
    sink = WriteBenchmarkLists()
    tables = []
    for batch in (batch_of(rows).slice(17, 30), batch_of(rows[17:47])):
        folder = tmp_path / str(len(tables))
        folder.mkdir()
        sink.write(iter([batch]), folder, None)
        tables.append(digests(folder))
    assert tables[0] == tables[1]
    assert tables[0]


def test_documents_are_counted_with_and_without_items(tmp_path, index):
    rows = documents(4, 50)
    found = summary(write(tmp_path, index, [[rows[:20]], [rows[20:]], []]))
    assert (found["documents"], found["documents_with_items"]) == (50, sum(bool(r[2]) for r in rows))


@pytest.mark.parametrize("partitions", [[], [[]], [[[("a", "web", []), ("b", "web", [])]]]])
def test_no_leaks_at_all_leave_everything_clean(tmp_path, index, partitions):
    out = write(tmp_path, index, partitions)
    assert sorted(p.name for p in out.iterdir()) == sorted(
        [
            "manifest.json",
            "summary.json",
            "mmlu%2Flaw.jsonl",
            *(f"{b}{e}" for b in ("gsm8k", "數學") for e in ENDINGS),
            *LAW,
        ]
    )
    assert {line["verdict"] for line in read_list(out, "mmlu/law")} == {"clean"}
    assert [line["id"] for line in read_list(out, "gsm8k", "not_findable")] == ["short"]
    found = summary(out)["benchmarks"]
    assert [(b["items"], b["clean"], b["dirty"], b["not_findable"]) for b in found.values()] == [
        (13, 12, 0, 1),
        (14, 14, 0, 0),
        (3, 2, 0, 1),
    ]
    assert {b["dirty_share"] for b in found.values()} == {0.0}


ENDINGS = (".jsonl", ".clean_ids.txt", ".dirty_ids.txt")
LAW = ("mmlu%2Flaw.clean_ids.txt", "mmlu%2Flaw.dirty_ids.txt")


@pytest.mark.parametrize("params", PARAMS)
def test_the_summary_adds_up(tmp_path, index, params):
    rows = documents(5, 100)
    out = write(tmp_path, index, [[rows]], **params)
    found = summary(out)
    assert list(found["benchmarks"]) == sorted(BENCHMARKS)
    for benchmark, told_of in found["benchmarks"].items():
        lines = list(read_list(out, benchmark))
        dirty = [line for line in lines if line["verdict"] == "dirty"]
        assert told_of["items"] == len(lines) == told_of["clean"] + told_of["dirty"] + told_of["not_findable"]
        assert told_of["dirty"] == len(dirty) == sum(told_of["dirty_by_class"].values())
        assert told_of["dirty_share"] == round(len(dirty) / len(lines), 6)
        assert out / told_of["file"] == out / f"{file_stem(benchmark)}.jsonl"
        for name, alone in told_of["definitions"].items():
            without = {k: v for k, v in params.items() if k != "definitions"}
            expected = oracle(rows, benchmark, definitions=[name], **without)
            assert alone["dirty"] == sum(line["verdict"] == "dirty" for line in expected)
            assert alone["found"] == sum(name in line["definitions"] for line in lines)
            assert sum(alone["dirty_by_class"].values()) == alone["dirty"]


def test_id_lists_have_the_ids_in_order(tmp_path, index):
    rows = documents(6, 40)
    out = write(tmp_path, index, [[rows]])
    for benchmark, verdict in itertools.product(BENCHMARKS, ("clean", "dirty")):
        text = (out / f"{file_stem(benchmark)}.{verdict}_ids.txt").read_bytes().decode()
        assert text.split("\n")[:-1] == [line["id"] for line in read_list(out, benchmark, verdict)]


def test_an_id_with_a_line_break_has_no_place_in_a_list_of_lines(tmp_path):
    for k, name in enumerate(("a\nb", "a\r", "\n", "a\u2028b")):
        index = write_items(tmp_path / f"index{k}", [("b", name, "q", "a", True), ("c", "1", "q", "a", True)])
        out = write(tmp_path / str(k), index, [])
        assert sorted(p.name for p in out.iterdir()) == [
            "b.jsonl",
            "c.clean_ids.txt",
            "c.dirty_ids.txt",
            "c.jsonl",
            "manifest.json",
            "summary.json",
        ]
        assert [line["id"] for line in read_list(out, "b")] == [name]
        assert [b["id_lists"] for b in summary(out)["benchmarks"].values()] == [False, True]


def test_benchmarks_are_called_as_files_can_be():
    names = [
        "a",
        "A.b",
        "a/b",
        "a%2Fb",
        "..",
        ".",
        "...",
        "",
        "%",
        "c:d",
        "數學",
        "x" * 500,
        "x" * 501,
        "漢" * 200,
        "a\x00",
        "a b",
    ]
    stems = [file_stem(name) for name in names]
    assert len(set(stems)) == len(names)
    for stem in stems:
        assert 0 < len(f"{stem}.clean_ids.txt".encode()) <= 255
        assert not set(stem) & set('/\\:\x00 "<>|?*')
        assert stem.strip(".")
    assert stems[:3] == ["a", "A.b", "a%2Fb"]


def test_leaks_of_another_index_are_an_error(tmp_path, index):
    numbers = random.Random(1)
    other = ("d", "web", [leak(numbers, "other", "1", "short")])
    with pytest.raises(
        ValueError, match=r"items of 'other', none of which the index has; give the index that"
    ):
        write(tmp_path / "a", index, [[[other]]])
    strange = ("d", "web", [leak(numbers, "gsm8k", "999", "short")])
    with pytest.raises(ValueError, match=r"1 items of 'gsm8k' that the index lacks, such as '999'"):
        write(tmp_path / "b", index, [[[strange]]])
    mine = ("e", "web", [leak(numbers, "gsm8k", "1", "short")])
    assert summary(write(tmp_path / "c", index, [[[other, mine]]]))["other_benchmarks"] == {"other": 1}


def test_a_folder_that_is_no_index_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"no items\.arrow; give a build_ngram_index node"):
        WriteBenchmarkLists().open({"index": tmp_path})


def test_an_index_that_says_nothing_of_it_can_find_all_its_items(tmp_path):
    table = pa.table({"benchmark": ["b"], "id": ["1"]})
    with pa.ipc.new_file(str(tmp_path / "items.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert read_items(tmp_path)["findable"].to_pylist() == [True]


# --- in the engine ----------------------------------------------------------------------------------

TEXTS = {
    "lines": [
        "clean",
        "has <gsm8k:1:ngram_13:both it>",
        "weak <gsm8k:2:ngram_8:in~ it>",
        "<gsm8k:3:short:out it>",
    ],
    "more": ["also <gsm8k:1:ngram_8:in it>", "clean too", "<mmlu/law:x y:short:in it>"],
}
LINES = [*(f"gsm8k|{i}|What is {i}?|{i}" for i in range(5)), "-gsm8k|9|Why?|So", "mmlu/law|x y|Who?|He"]


@pytest.mark.parametrize("action", ["reject", "mark", "cut"])
@pytest.mark.parametrize("files", [1, 3])
def test_through_the_engine(tmp_path, files, action):
    out = Path(leaks_run(tmp_path, TEXTS, LINES, files=files, action=action).sink("lists"))
    assert [(line["id"], line["verdict"], line["documents"]) for line in read_list(out, "gsm8k")] == [
        ("0", "clean", 0),
        ("1", "dirty", 2),
        ("2", "clean", 0),  # found, but by what does not decide
        ("3", "clean", 0),  # its answer alone
        ("4", "clean", 0),
        ("9", "not_findable", 0),
    ]
    (dirty,) = read_list(out, "gsm8k", "dirty")
    assert dirty["class"] == "input_and_output"
    assert {e["source"] for e in dirty["examples"]} == {"lines", "more"}
    assert {e["passage"] for e in dirty["examples"]} == {
        "<gsm8k:1:ngram_13:both it>",
        "<gsm8k:1:ngram_8:in it>",
    }
    assert (out / "mmlu%2Flaw.dirty_ids.txt").read_text("utf-8") == "x y\n"
    assert summary(out)["documents"] == 7
    assert summary(out)["documents_with_items"] == sum(bool(leaks_in(t)) for ts in TEXTS.values() for t in ts)


def test_batches_do_not_show(tmp_path):
    runs = [leaks_run(tmp_path / str(n), TEXTS, LINES, settings=f"batch_rows: {n}") for n in (1, 100)]
    assert digests(Path(runs[0].sink("lists"))) == digests(Path(runs[1].sink("lists")))
