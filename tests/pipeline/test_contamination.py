"""What the report and the lineage say of benchmark items: equal however a run is cut, and equal to a slow count."""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipeline import leakreport, leaktrace
from pipeline.api import open_run
from pipeline.books import Books
from pipeline.cli import app
from pipeline.contamination import (
    CLASSES,
    EXCERPT,
    UNKNOWN,
    class_rank,
    count_leaks,
    looks_for_items,
    merge_leaks,
    new_leaks,
)
from pipeline.leakreport import contamination
from pipeline.leaktext import contamination_text
from pipeline.leaktrace import tell, told
from pipeline.render import render_html
from pipeline.schema import CONTAMINATION, id_hashes
from pipeline.trace import stories, trace, trace_data
from tests.pipeline.test_render import HOSTILE, Page
from tests.support.leaks import Leaky, leaks_in, leaks_run
from tests.support.toy import Measure

WORDS = ["alder", "birch", "cedar", "damson", "elder", "fir", "gorse", "hazel", "ivy", "juniper"]
DEFINITIONS = ("ngram_13", "ngram_8", "short")
ITEMS = [
    *(f"gsm8k|{i}|What does hen {i} lay?|{i}" for i in range(30)),
    *(f"mmlu/law|q {i}|Who judges {i}?|A judge" for i in range(10)),
    "-mmlu/law|too short|Why?|So",
    *(f"數學|題{i}|幾何 {i}|{i}" for i in range(5)),
]


def plant(numbers):
    benchmark, item = numbers.choice(
        [("gsm8k", str(numbers.randrange(30))), ("mmlu/law", f"q {numbers.randrange(9)}"), ("數學", "題3")]
    )
    kind = numbers.choice(["both", "in", "in", "out"])
    weak = numbers.choice(["", "", "~"])
    says = " ".join(numbers.choices(WORDS, k=numbers.randrange(1, 120)))
    return f"<{benchmark}:{item}:{numbers.choice(DEFINITIONS)}:{kind}{weak} {says}>"


def corpus(seed, count):
    """Texts of which a third have items, one to four of them; none has an item twice by one definition."""
    numbers = random.Random(seed)
    made = []
    for _ in range(count):
        plants = {}
        for _ in range(numbers.randrange(1, 5) if numbers.random() < 0.35 else 0):
            text = plant(numbers)
            plants[text.split(" ", 2)[0]] = text
        words = [" ".join(numbers.choices(WORDS, k=5)) for _ in range(len(plants) + 1)]
        made.append(
            " ".join(
                x for pair in itertools.zip_longest(words, plants.values(), fillvalue="") for x in pair
            ).strip()
        )
    return made


TEXTS = {"lines": corpus(1, 70), "more": corpus(2, 50)}


# --- a slow count -----------------------------------------------------------------------------------


def gravest(classes):
    return min(classes, key=class_rank)


def by_class(groups):
    """Things with the classes of their leaks, as counts of their gravest."""
    return dict(Counter(gravest(classes) for classes in groups.values()))


def grouped(leaks, key):
    found = {}
    for leak in leaks:
        found.setdefault(key(leak), []).append(leak["class"])
    return found


def item(leak):
    return leak["benchmark"], leak["item"]


def oracle(rows):
    """rows: (source, id, leaks). Counts of documents and items in all the ways that the section shows."""
    leaks = [{**leak, "doc": name, "source": source} for source, name, found in rows for leak in found]
    names = sorted({leak["definition"] for leak in leaks})
    sets = {n: {x["doc"] for x in leaks if x["definition"] == n} for n in names}
    item_sets = {n: {item(x) for x in leaks if x["definition"] == n} for n in names}
    documents = Counter(i for i, _ in {(item(x), x["doc"]) for x in leaks})
    return {
        "found": Counter(s for s, _ in {(x["source"], x["doc"]) for x in leaks}),
        "decided": Counter(s for s, _ in {(x["source"], x["doc"]) for x in leaks if x["decides"]}),
        "all": by_class(grouped(leaks, lambda x: x["doc"])),
        "items": by_class(grouped(leaks, item)),
        "definitions": {
            n: (
                by_class(grouped([x for x in leaks if x["definition"] == n], lambda x: x["doc"])),
                by_class(grouped([x for x in leaks if x["definition"] == n], item)),
                len({x["doc"] for x in leaks if x["definition"] == n and x["decides"]}),
                len(sets[n] - set().union(*(sets[o] for o in names if o != n))),
                len(item_sets[n] - set().union(*(item_sets[o] for o in names if o != n))),
            )
            for n in names
        },
        "agreement": {
            (a, b): [(len(s[a] - s[b]), len(s[b] - s[a]), len(s[a] & s[b])) for s in (sets, item_sets)]
            for a, b in itertools.combinations(names, 2)
        },
        "benchmarks": {
            b: (
                by_class(grouped([x for x in leaks if x["benchmark"] == b], lambda x: x["doc"])),
                by_class(grouped([x for x in leaks if x["benchmark"] == b], item)),
            )
            for b in sorted({x["benchmark"] for x in leaks})
        },
        "top": sorted(((-count, *i) for i, count in documents.items())),
        "passages": {i: passage([x for x in leaks if item(x) == i]) for i in documents},
    }


def passage(leaks):
    """Of the document with the lowest hash, the longest stretch."""
    hashes = dict(
        zip([x["doc"] for x in leaks], id_hashes([x["doc"] for x in leaks]).to_pylist(), strict=True)
    )
    first = min(leaks, key=lambda x: hashes[x["doc"]])["doc"]
    longest = max((x for x in leaks if x["doc"] == first), key=lambda x: x["end"] - x["start"])
    return (first, longest["matched"][:EXCERPT])


def split_counts(row):
    return (
        {n: c["documents"] for n, c in row["classes"].items() if c["documents"]},
        {n: c["items"] for n, c in row["classes"].items() if c["items"]},
    )


def seen(section):
    """A section in the oracle's words."""
    return {
        "found": {r["source"]: r["found"] for r in section["sources"] if r["found"]},
        "decided": {r["source"]: r["decided"] for r in section["sources"] if r["decided"]},
        "all": section["documents"]["classes"],
        "items": section["items"]["classes"],
        "definitions": {
            r["definition"]: (*split_counts(r), r["decided"], r["alone"]["documents"], r["alone"]["items"])
            for r in section["definitions"]
        },
        "agreement": {
            (r["a"], r["b"]): [
                tuple(r[w][k] for k in ("only_a", "only_b", "both")) for w in ("documents", "items")
            ]
            for r in section["agreement"]
        },
        "benchmarks": {r["benchmark"]: split_counts(r) for r in section["benchmarks"]},
        "top": [(-i["documents"], i["benchmark"], i["item"]) for i in section["top"]],
        "passages": {
            (i["benchmark"], i["item"]): (i["passage"]["id"], i["passage"]["passage"]) for i in section["top"]
        },
    }


# --- sums -------------------------------------------------------------------------------------------


def batch_of(rows):
    ids = [name for _, name, _ in rows]
    batch = pa.RecordBatch.from_pydict({"id": pa.array(ids, pa.string()), "id_hash": id_hashes(ids)})
    return batch, pa.array([found or None for _, _, found in rows], CONTAMINATION.type)


def counted(rows, size):
    """One unit: the rows of each source in batches."""
    made = new_leaks()
    for source in sorted({row[0] for row in rows}):
        mine = [row for row in rows if row[0] == source]
        for at in range(0, len(mine), size):
            count_leaks(made, source, *batch_of(mine[at : at + size]), 2)
    return made


def section_of(rows, leaks):
    sizes = Counter(source for source, _, _ in rows)
    accounts = {s: {"in": n, "rejected": {}, "edited": 0} for s, n in sorted(sizes.items())}
    return contamination(Leaky(), accounts, leaks)


def rows_of(seed):
    return [(s, f"{s}/{k}", leaks_in(t)) for s in ("a", "b") for k, t in enumerate(corpus(f"{seed}{s}", 40))]


@pytest.mark.parametrize("seed", range(6))
def test_any_partitioning_and_order_says_the_same(monkeypatch, seed):
    monkeypatch.setattr(leakreport, "TOP", 1000)
    rows = rows_of(seed)
    expected = oracle(rows)
    assert len(expected["passages"]) > 5
    whole = section_of(rows, counted(rows, 7))
    assert seen(whole) == expected
    numbers = random.Random(seed)
    units = [[] for _ in range(numbers.randrange(2, 9))]
    for row in rows:
        numbers.choice(units).append(row)
    parts = [json.loads(json.dumps(counted(unit, numbers.randrange(1, 20)))) for unit in units]
    while len(parts) > 1:  # a tree of any shape
        numbers.shuffle(parts)
        one, two = parts.pop(), parts.pop()
        merge_leaks(one, two)
        parts.append(one)
    assert json.dumps(section_of(rows, parts[0])) == json.dumps(whole)


def test_a_slice_counts_as_a_copy_of_it():
    rows = rows_of(3)
    batch, leaks = batch_of(rows)
    one, two = new_leaks(), new_leaks()
    count_leaks(one, "a", batch.slice(11, 30), leaks.slice(11, 30), 1)
    count_leaks(two, "a", *batch_of(rows[11:41]), 1)
    assert one == two
    assert one["items"]


@pytest.mark.parametrize("leaks", [[], [None, None], [[], None]])
def test_nothing_found_counts_nothing(leaks):
    made = new_leaks()
    batch, _ = batch_of([("a", str(i), []) for i in range(len(leaks))])
    count_leaks(made, "a", batch, pa.array(leaks, CONTAMINATION.type), 1)
    assert made == new_leaks()


def test_names_that_a_stage_leaves_out_are_called_unknown():
    made = new_leaks()
    batch, _ = batch_of([("a", "x", [])])
    leaks = [
        [
            {"benchmark": None, "item": None, "class": None, "definition": "d"},
            {"benchmark": "b", "item": "1", "class": "odd", "definition": "d"},
        ]
    ]
    count_leaks(made, "a", batch, pa.array(leaks, CONTAMINATION.type), 1)
    assert made["items"][UNKNOWN][UNKNOWN]["found"] == {"d": {UNKNOWN: 1}}
    assert made["documents"]["all"] == {"odd": 1}
    assert made["sources"] == {"a": {"found": 1, "decided": 0}}
    assert section_of([("a", "x", [])], made)["items"]["classes"] == {"odd": 1, UNKNOWN: 1}


def test_no_passages_without_samples():
    made = new_leaks()
    count_leaks(made, "a", *batch_of(rows_of(1)), 0)
    assert made["passages"] == {}
    assert {item["passage"] for item in section_of(rows_of(1), made)["top"]} == {None}


def test_books_of_an_earlier_release_have_no_leaks():
    books = Books(1)
    books.merge({"nodes": {}, "samples": {}})
    assert books.data["leaks"] == {}


def test_only_stages_that_write_the_column_look_for_items():
    assert looks_for_items(Leaky())
    assert not looks_for_items(Measure())
    assert contamination(Measure(), {}, None) is None


# --- a whole run ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return leaks_run(tmp_path_factory.mktemp("leaks"), TEXTS, ITEMS, files=3)


@pytest.fixture(scope="module")
def section(result):
    return result.report["contamination"]["clean"]


def documents(files=3):
    """(source, id, leaks) of the run's documents."""
    for source, texts in TEXTS.items():
        per = -(-len(texts) // files)
        for k, text in enumerate(texts):
            yield source, f"{source}/{k // per}.txt#{k % per}", leaks_in(text)


def test_the_section_is_what_a_slow_count_says(section):
    expected = oracle(list(documents()))
    top = expected["top"][: leakreport.TOP]
    expected["top"], expected["passages"] = top, {i[1:]: expected["passages"][i[1:]] for i in top}
    assert seen(section) == expected
    assert len(top) == leakreport.TOP


def test_sources_add_up_and_say_what_became_of_their_documents(result, section):
    node = next(n for n in result.report["nodes"] if n["node"] == "clean")
    for row in section["sources"]:
        assert row["seen"] == len(TEXTS[row["source"]])
        assert row["removed"] == row["decided"] == node["sources"][row["source"]]["rejected"]["contaminated"]
        assert row["share"] == round(row["found"] / row["seen"], 6)
        assert row["cut"] == 0
    totals = section["documents"]
    for name in ("seen", "found", "decided", "removed", "cut"):
        assert totals[name] == sum(row[name] for row in section["sources"])
    shares = [row["share"] for row in section["sources"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < totals["decided"] < totals["found"] < totals["seen"]
    reasons = result.report["contaminated"]
    assert reasons["clean"]["contaminated"]["documents"] == totals["removed"]


def test_items_stand_with_their_own_texts_and_benchmarks_with_their_sizes(section):
    assert {r["benchmark"]: r["of"] for r in section["benchmarks"]} == {
        "gsm8k": 30,
        "mmlu/law": 11,
        "數學": 5,
    }
    for item in section["top"]:
        (line,) = [i for i in ITEMS if i.lstrip("-").split("|")[:2] == [item["benchmark"], item["item"]]]
        assert [item["question"], item["answer"]] == line.split("|")[2:]


def test_how_a_run_is_cut_changes_nothing(tmp_path, result, section):
    for files, settings in ((1, ""), (3, "batch_rows: 2"), (3, "batch_rows: 1000")):
        other = leaks_run(tmp_path / f"{files}{settings[12:]}", TEXTS, ITEMS, files=files, settings=settings)
        found = other.report["contamination"]["clean"]
        if files == 3:
            assert json.dumps(found) == json.dumps(section)
        else:  # other files, other ids: other passages
            assert json.dumps(without_passages(found)) == json.dumps(without_passages(section))


def without_passages(section):
    return {**section, "top": [{k: v for k, v in item.items() if k != "passage"} for item in section["top"]]}


def test_a_second_run_reads_the_same_from_what_is_stored(tmp_path):
    first, again = (leaks_run(tmp_path, TEXTS, ITEMS) for _ in range(2))
    assert again.executed == 0
    assert json.dumps(again.report, sort_keys=True) == json.dumps(first.report, sort_keys=True)


def test_none_found_is_said_so(tmp_path):
    result = leaks_run(tmp_path, {"lines": ["one", "two"], "more": ["three"]}, ITEMS)
    found = result.report["contamination"]["clean"]
    assert found["documents"] == {"seen": 3, "found": 0, "decided": 0, "removed": 0, "cut": 0, "classes": {}}
    assert (found["items"], found["top"], found["agreement"]) == ({"found": 0, "classes": {}}, [], [])
    assert contamination_text(result.report) == ""
    page = Page(Path(result.folder, "report.html").read_text("utf-8"))
    assert "clean looked through 3 documents None of them has an item of a benchmark." in page.text


@pytest.mark.parametrize("action", ["cut", "mark"])
def test_documents_that_stay_are_counted_as_found(tmp_path, action):
    result = leaks_run(tmp_path, TEXTS, ITEMS, action=action)
    found = result.report["contamination"]["clean"]["documents"]
    assert found["removed"] == 0 < found["decided"]
    assert found["cut"] == (found["decided"] if action == "cut" else 0)


def test_verdicts_that_are_overruled_are_found_but_not_removed(tmp_path):
    result = leaks_run(tmp_path, TEXTS, ITEMS, node="annotate_only: true")
    found = result.report["contamination"]["clean"]["documents"]
    assert found["removed"] == 0 < found["decided"]
    assert result.report["contaminated"]["clean"]["contaminated"]["documents"] == found["decided"]


TWO = """
  other_items: {stage: read_lines, params: {folder: FOLDER}}
  other: {stage: list_items, inputs: [other_items]}
  twice: {stage: leaky, inputs: [lines], side: {index: other}}
  twice_out: {stage: write_rows, inputs: [twice]}
"""


def test_several_nodes_each_have_their_section(tmp_path):
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "o.txt").write_text("gsm8k|1|Another text|none\n", "utf-8")
    result = leaks_run(tmp_path, TEXTS, ITEMS, extra=TWO.replace("FOLDER", str(folder)))
    sections = result.report["contamination"]
    assert list(sections) == ["clean", "twice"]
    assert [row["source"] for row in sections["twice"]["sources"]] == ["lines"]
    assert {r["benchmark"]: r["of"] for r in sections["twice"]["benchmarks"]}["gsm8k"] == 1
    texts = {i["item"]: i["question"] for i in sections["twice"]["top"] if i["benchmark"] == "gsm8k"}
    assert {item: text for item, text in texts.items() if text} == (
        {"1": "Another text"} if "1" in texts else {}
    )


# --- the page and the text --------------------------------------------------------------------------


def test_the_page_shows_the_section(result, section):
    page = Page(Path(result.folder, "report.html").read_text("utf-8"))
    assert (page.wrong, page.open) == ([], [])
    totals = section["documents"]
    assert f"{section['items']['found']} benchmark items stand in {totals['found']} documents" in page.text
    for row in section["definitions"]:
        assert f"{row['definition']} {row['documents']} / {row['items']}" in page.text
    for row in section["agreement"]:
        counts = [f"{row['documents'][k]} / {row['items'][k]}" for k in ("only_a", "only_b", "both")]
        assert f"{row['a']} {row['b']} {' '.join(counts)}" in page.text
    for item in section["top"]:
        assert " ".join(item["passage"]["passage"].split()) in page.text
        assert f"the item {item['question']} answer {item['answer']}" in page.text


def test_hostile_items_stay_text(result):
    report = json.loads(json.dumps(result.report))
    timings = json.loads(Path(result.folder, "timings.json").read_text("utf-8"))
    found = report["contamination"]["clean"]
    found["top"][0] |= {
        "item": HOSTILE,
        "question": HOSTILE,
        "answer": None,
        "benchmark": f"{HOSTILE}\x1b[2J",
    }
    found["top"][0]["passage"] |= {"id": HOSTILE, "passage": f"{HOSTILE} {{{{ 7 * 7 }}}}"}
    found["benchmarks"][0]["benchmark"] = HOSTILE
    found["definitions"][0]["definition"] = HOSTILE
    html = render_html(report, timings)
    page = Page(html)
    assert (page.wrong, page.open) == ([], [])
    assert "<script" not in html
    assert not [tag for tag, _ in page.elements if tag in ("script", "img")]
    assert "{{ 7 * 7 }}" in page.text
    assert "\x1b" not in contamination_text(report)


def test_the_text_shows_the_section(result, section):
    lines = contamination_text(result.report).split("\n")
    totals = section["documents"]
    assert lines[0] == (
        f"clean: {section['items']['found']} benchmark items in {totals['found']} of 120 documents; "
        f"{totals['decided']} had what decides, {totals['removed']} removed"
    )
    cells = [line.split() for line in lines]
    for row in section["definitions"]:
        assert [row["definition"], str(row["documents"]), str(row["items"])] in [c[:3] for c in cells]
    for row in section["agreement"]:
        counts = [str(row["documents"][k]) for k in ("only_a", "only_b", "both")]
        assert [f"{row['a']},", row["b"], *counts] in cells
    first = section["top"][0]
    assert (
        f"    {first['documents']}  {first['benchmark']} {first['item']}, {first['class'].replace('_', ' ')}"
        in lines
    )


def test_the_command_prints_it(result):
    said = CliRunner().invoke(app, ["report", result.folder])
    assert said.exit_code == 0
    assert contamination_text(result.report) in said.output


# --- the story of a document ------------------------------------------------------------------------

QUESTION = "Natalia sold clips to 48 of her friends in April, and then half as many in May."
STORY = {
    "lines": [
        f"Before it stands this: {'so ' * 60}<gsm8k:7:ngram_13:both {QUESTION}> and <gsm8k:8:short:in~ few>, after it that",
        "weak <zoo:9:ngram_8:out~ it is not in the index>",
        "clean words",
        " ".join(f"<zoo:{100 + i}:ngram_8:in {'la ' * i}>" for i in range(30)),
    ],
    "more": [f"long <gsm8k:7:ngram_13:in {'la ' * 300}> end"],
}


@pytest.fixture(scope="module")
def story_run(tmp_path_factory):
    items = [f"gsm8k|7|{QUESTION} How many in all?|72", "gsm8k|8|Few?|9"]
    return open_run(leaks_run(tmp_path_factory.mktemp("story"), STORY, items).folder)


def test_a_document_is_told_with_its_items(story_run):
    lines = trace(story_run, "lines/0.txt#0")
    at = lines.index("  found    clean")
    found = leaks_in(STORY["lines"][0])
    assert [line.strip() for line in lines[at + 1 : at + 6]] == [
        "items: gsm8k 2",
        f"gsm8k 7, characters {found[0]['start']}-{found[0]['end']}",
        f"ngram_13: input_and_output, input, score {found[0]['score']:.4g}",
        f"gsm8k 8, characters {found[1]['start']}-{found[1]['end']}",
        f"short: input_only, input, score {found[1]['score']:.4g}, does not decide",
    ]
    assert lines[at + 6].split() == ["rejected", "clean", "clean.contaminated"]
    beside = lines.index("at clean, the document beside the item (white space is not compared):")
    assert [p.strip() for p in lines[beside + 1].split("|")] == [
        f"the document, characters {found[0]['start']}-{found[0]['end']}",
        "gsm8k 7",
    ]
    shown = lines[beside + 3 : lines.index("", beside)]
    left, right = (
        " ".join(" ".join(line[part] for line in shown).split()) for part in (slice(48), slice(51, None))
    )
    assert f"] {QUESTION[:70]}" in left
    assert "How many in all? 72+}" in right


def test_the_passage_stands_in_its_context(story_run):
    (story,) = stories(story_run, "lines/0.txt#0")
    (event,) = [e for e in story.events if e.event == "found"]
    text, (leak, _) = STORY["lines"][0], leaks_in(STORY["lines"][0])
    item = event.evidence["items"][0]
    assert item["before"] == text[leak["start"] - leaktrace.CONTEXT : leak["start"]]
    assert item["matched"] == text[leak["start"] : leak["end"]]
    assert item["after"] == text[leak["end"] :][: leaktrace.CONTEXT]
    assert (item["question"], item["answer"]) == (f"{QUESTION} How many in all?", "72")
    assert trace_data(story_run, "lines/0.txt#0")["documents"][0]["events"][1]["evidence"]["items"][0] == item


def test_a_document_that_stays_is_told_as_well(story_run):
    lines = trace(story_run, "lines/0.txt#1")
    assert "  found    clean" in lines
    assert "at clean, zoo 9: weak <zoo:9:ngram_8:out~ it is not in the index>" in lines  # no text of the item
    assert not [line for line in lines if line.startswith("  rejected")]
    assert not [line for line in trace(story_run, "lines/0.txt#2") if "found" in line]


def test_of_many_items_the_longest_are_told(story_run):
    (story,) = stories(story_run, "lines/0.txt#3")
    said = next(e.evidence for e in story.events if e.event == "found")
    assert said["benchmarks"] == {"zoo": 30}
    assert [item["item"] for item in said["items"]] == [str(129 - i) for i in range(leaktrace.LISTED)]
    assert f"            and {30 - leaktrace.LISTED} more" in trace(story_run, "lines/0.txt#3")


def test_a_long_passage_says_that_it_is_cut(story_run):
    lines = " ".join(trace(story_run, "more/0.txt#0"))
    assert "la..." in lines


def test_what_decides_is_told_first():
    leaks = leaks_in("<b:1:d:in~ very much longer than it> <b:2:d:in so>")
    assert [item["item"] for item in tell(None, leaks)["items"]] == ["2", "1"]
    assert tell("another text", leaks)["items"][0]["before"] == ""


def test_nulls_and_empty_lists_have_nothing_told():
    leaks = pa.array([None, [], leaks_in("<b:1:d:in x>")], CONTAMINATION.type)
    said = told(None, leaks).to_pylist()
    assert said[:2] == [None, None]
    assert json.loads(said[2])["benchmarks"] == {"b": 1}
    assert CLASSES[0] == "input_and_output"
