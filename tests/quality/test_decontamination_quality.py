"""Does decontaminate find what is planted, tell input from output, and leave clean documents alone?

Items of nine published benchmarks are planted in real documents, in every form that a copy takes
(`planted_leaks.py`). A change of form must hide nothing. What changes words is measured and pinned. Then real corpora that
hold no benchmark are searched, and every hit is listed by name in the floors with a judgement; and rephrased items of
Yang et al. 2023, which no definition on words is made for.

    python -m tests.quality.test_decontamination_quality            # prints scores beside floors
    python -m tests.quality.test_decontamination_quality --update   # raises floors; refuses to lower one
    python -m tests.quality.test_decontamination_quality --all      # every item in every form: 8 minutes
"""

import gzip
import hashlib
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from stages.decontamination._index import read_index
from stages.decontamination._matches import find_matches
from stages.decontamination.decontaminate import Decontaminate, Resource
from tests.quality.planted_forms import CHANGES, FORMATS
from tests.quality.planted_leaks import (
    FEW_WORDS,
    SETS,
    TEXTS,
    Item,
    Leak,
    Planter,
    build_index,
    read_hosts,
    read_items,
    rendered,
)
from tests.support.data import real_data

FLOORS = Path(__file__).parent / "floors_decontamination.json"
DEFAULT = ("ngram_13", "short")  # of the stage
DEFINITIONS = [
    {"kind": "ngram", "n": 13},
    {"kind": "ngram", "n": 8},
    {"kind": "coverage"},
    {"kind": "longest_span"},
    {"kind": "rare_ngrams"},
    {"kind": "short"},
]
SEED, BATCH = 5, 200
CLASSES = ("input_and_output", "input_only", "output_only")
# Corpora that hold no benchmark: files of the data folder, and the fields with text, at any depth. (BFCL and MT-bench
# are benchmarks themselves, and MT-bench does hold an item of GSM8K: below.)
CLEAN = {
    "text/*.jsonl.gz": ("text",),
    "neardup/peps_revisions_dev.jsonl.gz": ("text",),
    "neardup/scancode_licenses_dev.jsonl.gz": ("text",),
    "html/[ar]*.jsonl.gz": ("gold_text",),
    "mgt/*.jsonl.gz": ("text",),
    "spam/*.jsonl.gz": ("text",),
    "sft/fastchat/*.json": ("value",),
    "sft/llamafactory/[gi]*.json": ("value", "instruction", "input", "output"),
    "sft/self_instruct/*.jsonl": ("instruction", "input", "output"),
    "sft/sgd/dialogues*.json.gz": ("utterance",),
    "sft/taskmaster4/data*.json.gz": ("text",),
}
WRITTEN = ("text", "html")  # books, speeches, laws, pages
JUDGEMENTS = ("quotation", "same question", "wrong")
REPHRASED = {"humaneval": "humaneval_python.jsonl", "gsm8k": "rephrase_gsm8k.jsonl"}

Found = list[dict[str, Any]]
Scores = dict[str, Any]


class Bench(NamedTuple):
    """Items, the stage, and what it searches with."""

    items: Sequence[Item]  # that can be found
    missing: Mapping[str, int]  # items that cannot be found, by benchmark
    stage: Decontaminate
    resource: Resource


def open_bench(data: Path, folder: Path) -> Bench:
    rows, items = read_items(data / "bench")
    index = read_index(build_index(rows, folder / "index", rare_words=5))
    able = {
        (benchmark, name): found
        for benchmark, name, found in zip(
            *(index.items[c].to_pylist() for c in ("benchmark", "id", "findable")), strict=True
        )
    }
    missing = Counter(item.benchmark for item in items if not able[item.benchmark, item.name])
    stage = Decontaminate.model_validate_json(json.dumps({"action": "mark", "definitions": DEFINITIONS}))
    findable = [item for item in items if able[item.benchmark, item.name]]
    return Bench(findable, dict(missing), stage, stage.open({"index": folder / "index"}))


def search(bench: Bench, texts: Iterable[str]) -> Iterator[Found]:
    """What each text holds."""
    held = list(texts)
    for at in range(0, len(held), BATCH):
        batch = pa.record_batch({"text": pa.array(held[at : at + BATCH], pa.large_string())})
        marks = bench.stage.annotate(batch, bench.resource)
        yield from (found or [] for found in marks.columns["contamination"].to_pylist())


def matched(bench: Bench, leaks: Sequence[Leak]) -> Iterator[bool]:
    """Whether each leak has any run of words in common with its item, before any definition is asked."""
    index = bench.resource.items
    names = zip(*(index.items[c].to_pylist() for c in ("benchmark", "id")), strict=True)
    numbers = {name: k for k, name in enumerate(names)}
    for at in range(0, len(leaks), BATCH):
        batch = leaks[at : at + BATCH]
        found = find_matches(pa.array([leak.text for leak in batch], pa.large_string()), index)
        bounds = np.searchsorted(found.row, np.arange(len(batch) + 1))
        for k, leak in enumerate(batch):
            item = numbers[leak.item.benchmark, leak.item.name]
            texts = index.item_texts[index.item_text_starts[item] : index.item_text_starts[item + 1]]
            yield bool(np.isin(found.text[bounds[k] : bounds[k + 1]], texts).any())


def own(found: Found, item: Item) -> Found:
    return [leak for leak in found if (leak["benchmark"], leak["item"]) == (item.benchmark, item.name)]


def score_planted(bench: Bench, data: Path) -> Scores:
    """Recall by kind and definition, and of the items found by default the share with the class expected."""
    leaks = list(Planter(read_hosts(data / "text"), SEED).leaks(bench.items))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    hits = zip(search(bench, (leak.text for leak in leaks)), matched(bench, leaks), strict=True)
    for leak, (found, match) in zip(leaks, hits, strict=True):
        counts[leak.kind]["match"] += match
        _count(counts[leak.kind], leak, own(found, leak.item))
    recall = {
        kind: {d: round(c[d] / c["planted"], 4) for d in sorted({*c} - {"planted", "class"})}
        for kind, c in counts.items()
    }
    classes = {kind: round(c["class"] / c["default"], 4) for kind, c in counts.items() if c["default"]}
    planted = {kind: c["planted"] for kind, c in counts.items()}
    return {"planted": planted, "recall": recall, "classes": classes}


def _count(counts: Counter[str], leak: Leak, found: Found) -> None:
    counts["planted"] += 1
    counts.update({leak["definition"] for leak in found})
    by_default = [other["class"] for other in found if other["definition"] in DEFAULT]
    if by_default:
        counts["default"] += 1
        counts["class"] += min(by_default, key=CLASSES.index) == leak.expected


def by_default(bench: Bench) -> Bench:
    """The same with the definitions that the stage has by itself."""
    return bench._replace(stage=Decontaminate.model_validate_json('{"action": "mark"}'))


def score_all_items(bench: Bench, leaks: Iterable[Leak]) -> tuple[list[str], list[str]]:
    """What the default definitions do not find, and what they find with another class than expected."""
    held = list(leaks)
    missed, wrong = [], []
    for leak, found in zip(held, search(by_default(bench), (leak.text for leak in held)), strict=True):
        classes = [CLASSES.index(hit["class"]) for hit in own(found, leak.item)]
        name = f"{leak.kind}: {leak.item.benchmark} {leak.item.name}"
        if not classes:
            missed.append(name)
        elif leak.item.outputs and CLASSES[min(classes)] != leak.expected:
            wrong.append(name)
    return missed, wrong


def score_rephrased(bench: Bench, data: Path) -> Scores:
    """Recall by definition: row k of a file is item k of its benchmark, in other words."""
    scores: Scores = {}
    items = {(item.benchmark, item.name): item for item in bench.items}
    for benchmark, name in REPHRASED.items():
        lines = (data / "decontam_rephrased" / name).read_text("utf-8").splitlines()
        texts = [json.loads(line)["text"] for line in lines]
        counts: Counter[str] = Counter()
        for k, found in enumerate(search(bench, texts)):
            item = items[benchmark, f"HumanEval/{k}" if benchmark == "humaneval" else str(k)]
            hits = {leak["definition"] for leak in own(found, item)}
            counts.update(hits)
            counts["default"] += bool(hits & set(DEFAULT))
            counts["any item"] += any(leak["definition"] in DEFAULT for leak in found)
        scores[benchmark] = {"texts": len(texts)} | {
            d: round(c / len(texts), 4) for d, c in sorted(counts.items())
        }
    return scores


def clean_documents(data: Path, folders: Sequence[str] = WRITTEN) -> Iterator[tuple[str, str]]:
    """Names and texts of documents that hold no benchmark; revisions of one document share its name."""
    for pattern, fields in CLEAN.items():
        files = sorted(data.glob(pattern))
        assert files, f"{data / pattern}: no such file"
        for file in files if pattern.split("/")[0] in folders else ():
            stem = f"{file.relative_to(data).parent}/{file.name.split('.')[0]}"
            for k, row in enumerate(_read_rows(file)):
                text = "\n\n".join(_texts_in(row, fields))
                if text:
                    yield f"{stem}#{row.get('pep', row.get('id', k))}", text


def _read_rows(file: Path) -> list[dict[str, Any]]:
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [json.loads(line) for line in raw.splitlines()] if ".jsonl" in file.name else json.loads(raw)


def _texts_in(value: Any, fields: Sequence[str]) -> Iterator[str]:
    """Strings of the fields of a record, in reading order."""
    if isinstance(value, list):
        for each in value:
            yield from _texts_in(each, fields)
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, str):
                if key in fields:
                    yield each
            else:
                yield from _texts_in(each, fields)


def score_clean(bench: Bench, data: Path) -> Scores:
    """Every hit in clean documents, as [document, benchmark, item, definition, class, score]; the best of a name."""
    names, texts = zip(*clean_documents(data, [*{pattern.split("/")[0] for pattern in CLEAN}]), strict=True)
    best: dict[tuple[str, ...], float] = {}
    for name, found in zip(names, search(bench, texts), strict=True):
        for leak in found:
            hit = (name, leak["benchmark"], leak["item"], leak["definition"], leak["class"])
            best[hit] = max(best.get(hit, 0.0), round(leak["score"], 2))
    documents = Counter(name.split("/")[0] for name in names)
    megabytes = round(sum(len(text.encode()) for text in texts) / 1e6, 1)
    hits = [[*hit, score] for hit, score in sorted(best.items())]
    return {"documents": dict(documents), "megabytes": megabytes, "hits": hits}


def digest_of(data: Path) -> str:
    """One digest of all files that are read."""
    files = [data / "text" / f"{name}.jsonl.gz" for name in TEXTS]
    files += [data / "decontam_rephrased" / name for name in REPHRASED.values()]
    for params in SETS.values():
        path = data / "bench" / params["paths"]
        files += (
            sorted(p for p in path.rglob("*") if p.suffix in (".csv", ".json")) if path.is_dir() else [path]
        )
    for pattern in CLEAN:
        files += sorted(data.glob(pattern))
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def score_all(data: Path, folder: Path) -> Scores:
    bench = open_bench(data, folder)
    return {
        "not_findable": bench.missing,
        **score_planted(bench, data),
        "rephrased": score_rephrased(bench, data),
        "clean": score_clean(bench, data),
        "wrong_classes": score_all_items(
            bench, Planter(read_hosts(data / "text"), SEED).each_once(bench.items)
        )[1],
    }


# --- tests --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> Path:
    folder = real_data("bench/gsm8k/test.jsonl").parents[2]
    assert digest_of(folder) == floors()["data"], (
        f"{folder}: other data than the floors were measured on; use --update"
    )
    return folder


@pytest.fixture(scope="module")
def bench(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return open_bench(data, tmp_path_factory.mktemp("decontamination"))


@pytest.fixture(scope="module")
def planted(bench: Bench, data: Path) -> Scores:
    return score_planted(bench, data)


def floors() -> Scores:
    return dict(json.loads(FLOORS.read_text("utf-8")))


def test_what_cannot_be_found_is_pinned(bench: Bench) -> None:
    assert bench.missing == floors()["not_findable"]


@pytest.mark.parametrize("kind", FORMATS)
def test_no_change_of_form_hides_words(planted: Scores, kind: str) -> None:
    """The search itself, whatever definitions make of what it finds."""
    assert planted["recall"][kind]["match"] == 1.0


@pytest.mark.parametrize("kind", FORMATS)
def test_no_change_of_form_hides_an_item(planted: Scores, kind: str) -> None:
    """Every item that the index calls findable is found, whatever was done to its letters, signs and spaces."""
    assert planted["recall"][kind]["default"] == 1.0
    assert planted["planted"][kind] >= 20


def test_every_item_is_found(bench: Bench, data: Path) -> None:
    """All items, not a sample, each in one of the forms; classes that are wrong are pinned by name."""
    missed, wrong = score_all_items(bench, Planter(read_hosts(data / "text"), SEED).each_once(bench.items))
    assert not missed
    assert set(wrong) <= set(floors()["wrong_classes"])


def test_recall_does_not_fall(planted: Scores) -> None:
    for kind, floor in floors()["recall"].items():
        for definition, least in floor.items():
            assert planted["recall"][kind].get(definition, 0.0) >= least, (kind, definition)
    assert planted["planted"] == floors()["planted"]


def test_classes_do_not_fall(planted: Scores) -> None:
    for kind, least in floors()["classes"].items():
        assert planted["classes"][kind] >= least, kind


def test_rephrased_items(bench: Bench, data: Path) -> None:
    """What is said in other words is mostly not found, and the floors say how little."""
    scores = score_rephrased(bench, data)
    for benchmark, floor in floors()["rephrased"].items():
        for name, least in floor.items():
            assert scores[benchmark][name] >= least, (benchmark, name)


def test_every_hit_in_clean_documents_is_known(bench: Bench, data: Path) -> None:
    """Each was looked at; `judged` says which are quotations that item and document share, and which are wrong."""
    known = floors()["clean"]
    assert score_clean(bench, data) == {key: known[key] for key in ("documents", "megabytes", "hits")}
    assert {(hit[0], f"{hit[1]}#{hit[2]}") for hit in known["hits"]} == {
        (document, item) for document, items in known["judged"].items() for item in items
    }
    assert all(text.startswith(JUDGEMENTS) for items in known["judged"].values() for text in items.values())


def test_a_leak_that_nobody_planted(bench: Bench, data: Path) -> None:
    """A question of MT-bench takes a sentence from one of GSM8K; a loop in an answer is one of MBPP's by chance."""
    lines = (data / "sft/fastchat/mt_bench/question.jsonl").read_text("utf-8").splitlines()
    found = search(by_default(bench), ["\n".join(json.loads(line)["turns"]) for line in lines])
    leaks = [(leak["benchmark"], leak["item"], leak["class"]) for each in found for leak in each]
    assert leaks == [("gsm8k", "326", "input_only"), ("mbpp", "1", "output_only")]


def test_a_question_planted_a_thousand_times_is_found_each_time(bench: Bench, data: Path) -> None:
    """T35: what is copied most is what is most worth finding."""
    planter = Planter(read_hosts(data / "text")[:20], SEED)
    item = next(item for item in bench.items if item.benchmark == "gsm8k")
    texts = [planter.plant(CHANGES[FORMATS[k % 8]](rendered(item)), FEW_WORDS) for k in range(1000)]
    found = [own(found, item) for found in search(by_default(bench), texts)]
    assert all(any(leak["definition"] == "ngram_13" for leak in each) for each in found)


def main(arguments: Sequence[str]) -> None:
    """Print scores; with --update write them, unless one falls."""
    data = real_data("bench/gsm8k/test.jsonl").parents[2]
    if "--all" in arguments:
        _print_all(data)
        return
    with tempfile.TemporaryDirectory() as folder:
        scores = score_all(data, Path(folder))
    old = floors() if FLOORS.exists() else {}
    fallen = [
        f"{kind} {definition}: {scores['recall'].get(kind, {}).get(definition, 0.0)} < {least}"
        for kind, floor in old.get("recall", {}).items()
        for definition, least in floor.items()
        if scores["recall"].get(kind, {}).get(definition, 0.0) < least
    ]
    fallen += [
        f"class of {kind}: {scores['classes'].get(kind, 0.0)} < {least}"
        for kind, least in old.get("classes", {}).items()
        if scores["classes"].get(kind, 0.0) < least
    ]
    for kind, recall in scores["recall"].items():
        print(f"{kind:22}", scores["classes"].get(kind), recall)
    print(json.dumps({key: scores[key] for key in ("not_findable", "rephrased", "clean")}, indent=1))
    if "--update" not in arguments:
        return
    if fallen:
        sys.exit("not updated, these fell:\n" + "\n".join(fallen))
    judged = old.get("clean", {}).get("judged", {})
    hits = {(hit[0], f"{hit[1]}#{hit[2]}") for hit in scores["clean"]["hits"]}
    scores["clean"]["judged"] = {
        document: {
            item: judged.get(document, {}).get(item, "not judged")
            for d, item in sorted(hits)
            if d == document
        }
        for document in sorted({d for d, _ in hits})
    }
    FLOORS.write_text(
        json.dumps({"data": digest_of(data), **scores}, indent=1, sort_keys=True) + "\n", "utf-8"
    )


def _print_all(data: Path) -> None:
    """Every item in every form."""
    with tempfile.TemporaryDirectory() as folder:
        bench, planter = open_bench(data, Path(folder)), Planter(read_hosts(data / "text"), SEED)
        for kind in CHANGES:
            missed, wrong = score_all_items(bench, planter.each_once(bench.items, [kind]))
            print(
                f"{kind:20}", f"missed {len(missed)} {missed[:5]}, class {len(wrong)} {wrong[:5]}", flush=True
            )


if __name__ == "__main__":
    main(sys.argv[1:])
