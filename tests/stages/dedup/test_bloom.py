"""Bloom filters: what they promise they keep, or they are refused; overlaps by definition; order makes no difference."""

import itertools
import json
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stage import ShardInfo
from stages.dedup._bloom import (
    PROBES,
    GramRules,
    Size,
    _strangers,
    false_positive_rate,
    filter_size,
    gram_hashes,
    measure_filter,
    read_filter,
)
from stages.dedup._bloom_kernels import add_hashes, count_held, merge_filters
from stages.dedup.bloom import BloomDedup, probe_column
from stages.dedup.build_bloom import BuildBloomFilter, _Partition
from stages.dedup.ngram import NgramDedup
from tests.stages.dedup.documents import batch_of, docs, verdicts
from tests.stages.kernels.test_words import oracle, oracle_hash, oracle_shingles
from tests.support.exchange import NO_VERDICTS, run_global

PLAIN = GramRules("word", 5, "document")


def shingles(text, n):
    hashes = [oracle_hash(word) for word, _, _ in oracle(text, signs=True)]
    return set(oracle_shingles(hashes, n)) if hashes else set()


def words(count, seed, vocabulary):
    rng = random.Random(seed)
    return [f"w{rng.randrange(vocabulary)}" for _ in range(count)]


def texts_batch(texts):
    return pa.record_batch({"text": pa.array(texts, pa.large_string())})


def build(folder, partitions, **params):
    """Partitions of texts through the sink as the engine would; each a list of batches of texts."""
    sink = BuildBloomFilter(**{"expected_ngrams": 20_000, "n": 5, **params})
    out = folder / "filter"
    out.mkdir(parents=True)
    shards = []
    for number, batches in enumerate(partitions):
        own = folder / str(number)
        own.mkdir()
        info = sink.write((texts_batch(texts) for texts in batches), own, None)
        assert sorted(p.name for p in own.iterdir()) == sorted(info.files)
        files = [(own / name).rename(out / f"{number:05d}-{name}").name for name in info.files]
        shards.append(ShardInfo(files, info.rows, json.loads(json.dumps(dict(info.meta)))))
    sink.commit(shards, out, None)
    return out


def filter_of(folder, *texts, **params):
    return build(folder, [[list(texts)]], **params)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def prose(count, seed, vocabulary=50_000):
    return " ".join(words(count, seed, vocabulary))


# --- kernels --------------------------------------------------------------------------------------------


def splitmix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def places(h, size):
    """The bits of a hash, by definition."""
    block = (h >> 32) * size.blocks >> 32
    g = splitmix(h ^ 0xA0761D6478BD642F)
    found = [g >> 9 * i & 511 for i in range(min(size.bits, 7))]
    g = splitmix(g)
    found += [g >> 9 * i & 511 for i in range(size.bits - 7)]
    return {block * 512 + place for place in found}


def as_sets(words):
    return set(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist())


@pytest.mark.parametrize("bits", [1, 6, 7, 8, 14])
def test_adding_by_definition(bits):
    size = Size(16, bits)
    hashes = _strangers(60)
    words, twice = np.zeros(size.blocks * 8, np.uint64), np.zeros(size.blocks * 8, np.uint64)
    add_hashes(words, twice, size.blocks, bits, hashes)
    each = [places(int(h), size) for h in hashes]
    assert as_sets(words) == set.union(*each)
    assert as_sets(twice) == {p for p in set.union(*each) if sum(p in e for e in each) > 1}
    assert count_held(words, size.blocks, bits, hashes) == 60
    others = _strangers(5000)[1000:]
    expected = sum(places(int(h), size) <= as_sets(words) for h in others)
    assert count_held(words, size.blocks, bits, others) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 40), unique=True), max_size=8), st.randoms())
def test_merging_is_adding_in_any_order(documents, rng):
    size = Size(2, 3)
    pool = _strangers(41)

    def made(some):
        words, twice = np.zeros(16, np.uint64), np.zeros(16, np.uint64)
        for document in some:
            add_hashes(words, twice, size.blocks, size.bits, pool[document])
        return words, twice

    expected = made(documents)
    shuffled = rng.sample(documents, len(documents))
    cut = rng.randint(0, len(documents))
    left, right = made(shuffled[:cut]), made(shuffled[cut:])
    merge_filters(*left, *right)
    for part, whole in zip(left, expected, strict=True):
        assert np.array_equal(part, whole)


# --- sizes and rates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.3, 0.05, 0.01, 1e-3, 1e-4])
def test_a_filter_of_the_expected_size_keeps_its_promise(rate):
    count = 300_000
    size = filter_size(count, rate)
    words = np.zeros(size.blocks * 8, np.uint64)
    rng = np.random.default_rng(0)
    add_hashes(
        words, np.zeros(0, np.uint64), size.blocks, size.bits, rng.integers(0, 2**64, count, np.uint64)
    )
    measured = measure_filter(words, size)
    predicted = false_positive_rate(count / size.blocks, size.bits)
    assert measured.rate <= rate
    assert measured.rate == pytest.approx(predicted, rel=0.05)
    error = 4 * (measured.rate / PROBES) ** 0.5
    assert abs(measured.probed_rate - measured.rate) < error
    assert measured.distinct == pytest.approx(count, rel=0.02)


def test_sizes_grow_as_they_should():
    sizes = [filter_size(10**9, rate) for rate in (0.1, 0.01, 0.001, 1e-8)]
    assert [s.bytes for s in sizes] == sorted(s.bytes for s in sizes)
    assert 9 < sizes[1].bytes * 8 / 10**9 < 11.5  # a classic one would take 9.6
    assert filter_size(1, 0.01).bytes == 65_536
    assert all(1 <= s.bits <= 14 for s in sizes)


def test_an_undersized_filter_is_refused_with_what_to_write(tmp_path):
    """T19."""
    texts = [prose(500, seed) for seed in range(300)]
    with pytest.raises(ValueError, match=r"above the promised 0\.01; write expected_ngrams: ") as refused:
        build(tmp_path / "a", [[texts[:100]], [texts[100:]]], expected_ngrams=1000)
    assert "the filter for 1,000 n-grams got about 14" in str(refused.value)
    assert not (tmp_path / "a/filter/manifest.json").exists()
    wanted = int(str(refused.value).partition("write expected_ngrams: ")[2].split()[0])
    assert 300 * 496 < wanted < 300 * 496 * 1.3
    build(tmp_path / "b", [[texts]], expected_ngrams=wanted)


def test_a_full_filter_names_what_came(tmp_path):
    texts = [prose(4000, seed) for seed in range(200)]
    with pytest.raises(ValueError, match=r"99.\d% of its bits|100.0% of its bits") as refused:
        build(tmp_path, [[texts]], expected_ngrams=1, false_positive_rate=1e-6)
    assert 200 * 3996 <= int(str(refused.value).partition("expected_ngrams: ")[2].split()[0]) < 2 * 200 * 3996


# --- building -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("room", [None, 4096])
def test_partitions_order_and_batches_do_not_matter(tmp_path, monkeypatch, repeated, room):
    """T15: equal bytes, whether partitions keep hashes or, where these take more room, filters."""
    texts = [prose(60, seed % 30, 400) for seed in range(60)]
    if room:  # partitions turn to filters early, and sort in often
        monkeypatch.setattr("stages.dedup.build_bloom._PENDING", 100)
        monkeypatch.setattr(Size, "bytes", property(lambda self: room))
        monkeypatch.setattr("stages.dedup._bloom.map_words", lambda path, size: np.fromfile(path, "<u8"))
    shuffled = random.Random(1).sample(texts, 60)
    ways = {
        "one": [[texts]],
        "batches": [[texts[:7], [], texts[7:40], texts[40:]]],
        "partitions": [[texts[:10]], [], [[None, "", "..."]], [texts[10:35]], [texts[35:]]],
        "shuffled": [[shuffled[:30]], [shuffled[30:]]],
    }
    made = {name: contents(build(tmp_path / name, way, repeated=repeated)) for name, way in ways.items()}
    cards = {name: json.loads(files.pop("manifest.json")) for name, files in made.items()}
    assert cards["partitions"].pop("rows") == cards["one"].pop("rows") + 3
    for name in ways:
        assert made[name] == made["one"], name
    assert set(made["one"]) == ({"filter.u64", "repeated.u64"} if repeated else {"filter.u64"})
    (
        cards["one"].pop("inserted_ngrams"),
        cards["shuffled"].pop("inserted_ngrams"),
        cards["shuffled"].pop("rows"),
    )
    assert cards["shuffled"] == cards["one"]


def test_a_partition_keeps_hashes_until_a_filter_is_smaller(tmp_path):
    size = Size(1024, 3)
    for count, names in ((8192, ["hashes.u64"]), (8193, ["bits.u64"])):
        part = _Partition(tmp_path, size, repeated=False)
        part.add(_strangers(count))
        assert part.close() == names
    assert (tmp_path / "hashes.u64").stat().st_size == 8192 * 8
    assert (tmp_path / "bits.u64").stat().st_size == size.bytes == 65_536


def test_the_card(tmp_path):
    text = prose(300, 1)
    card = json.loads((filter_of(tmp_path, text, text, prose(100, 2), None) / "manifest.json").read_text())
    assert card["inserted_ngrams"] == 296 * 2 + 96
    assert card["distinct_ngrams_estimate"] == pytest.approx(296 + 96, abs=5)
    assert card["rows"] == 4
    assert (card["unit"], card["n"], card["scope"], card["repeated"]) == ("word", 5, "document", False)
    assert card["bits"] == 8 * (tmp_path / "filter/filter.u64").stat().st_size
    assert card["false_positive_rate"] < card["promised_false_positive_rate"] == 0.01
    assert card["probes"] == PROBES


def test_a_second_commit_after_a_kill_changes_nothing(tmp_path):
    sink = BuildBloomFilter(expected_ngrams=100)
    info = sink.write(iter([texts_batch(["one two three"])]), tmp_path, None)
    (tmp_path / "filter.u64").write_bytes(b"half")  # what a commit that was killed left
    sink.commit([info], tmp_path, None)
    before = contents(tmp_path)
    assert set(before) == {"filter.u64", "manifest.json"}
    sink.commit([info], tmp_path, None)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("texts", [[], [None, "", " .,! "]])
def test_a_filter_of_nothing_is_refused(tmp_path, texts):
    with pytest.raises(ValueError, match="no n-gram came, so the filter would find nothing"):
        filter_of(tmp_path, *texts)


def test_a_folder_that_is_no_filter_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no Bloom filter; give a build_bloom_filter node"):
        read_filter(tmp_path)
    folder = filter_of(tmp_path, "a b c")
    (folder / "filter.u64").write_bytes(b"short")
    with pytest.raises(ValueError, match="has 5 bytes, not 65536; rebuild it"):
        read_filter(folder)
    (folder / "manifest.json").write_text('{"format": 0, "blocks": 1}')
    with pytest.raises(ValueError, match="has format 0, but this version reads 1"):
        read_filter(folder)


def test_the_plan_says_what_it_takes():
    (line,) = BuildBloomFilter(expected_ngrams=10**9).describe()
    assert line.startswith("a filter of 1,2")
    assert "1,000,000,000 different n-grams at a false positive rate of 0.01" in line


# --- n-grams ----------------------------------------------------------------------------------------------

TEXTS = [
    "a b c d e f",
    "a b c\nd e f g\n\nh",
    "one",
    "",
    None,
    "...",
    "橋は三本ある",
    "x " * 30,
    "A, b; C? d!",
]


@pytest.mark.parametrize("n", [1, 3, 13, None])
def test_ngrams_are_those_of_minhash(n):
    hashes, offsets = gram_hashes(
        pa.array(TEXTS, pa.large_string()), GramRules("word", n, "document"), distinct=True
    )
    for i, text in enumerate(TEXTS):
        expected = shingles(text or "", n or 10**6)
        assert hashes[offsets[i] : offsets[i + 1]].tolist() == sorted(expected)


def test_paragraphs_have_their_own():
    rules = GramRules("word", 3, "paragraph")
    hashes, offsets = gram_hashes(pa.array(TEXTS, pa.large_string()), rules, distinct=False)
    for i, text in enumerate(TEXTS):
        expected = [h for line in (text or "").split("\n") for h in shingles(line, 3)]
        assert sorted(set(hashes[offsets[i] : offsets[i + 1]].tolist())) == sorted(set(expected))
    assert np.diff(offsets).tolist() == [4, 4, 1, 0, 0, 0, 4, 28, 2]


# --- another corpus ---------------------------------------------------------------------------------------


def judge(folder, texts, **params):
    stage = BloomDedup(**params)
    batch = texts_batch(texts)
    marks = stage.annotate(batch, stage.open({"filter": folder}))
    assert set(marks.columns) == set(stage.writes().names)
    for field in stage.writes():
        assert marks.columns[field.name].type == field.type
        marks.columns[field.name].validate(full=True)
    return marks


def test_what_is_in_the_other_corpus_falls(tmp_path):
    known = prose(300, 1)
    half = " ".join(known.split()[:150]) + " " + prose(150, 2)
    folder = filter_of(tmp_path, known, "Click here")
    texts = [
        known,
        known.upper().replace(" ", ", "),
        half,
        prose(300, 3),
        "click, HERE!",
        "click",
        "",
        None,
        "...",
    ]
    marks = judge(folder, texts)
    fallen = "in_other_corpus"
    assert marks.reject.to_pylist() == [fallen, fallen, None, None, fallen, None, None, None, None]
    overlap = marks.columns["bloom_overlap"].to_pylist()
    assert overlap[:2] == [1, 1]
    assert overlap[2] == pytest.approx(146 / 296, abs=0.02)
    assert overlap[3] < 0.03
    assert overlap[4:] == [1, 0, None, None, None]
    evidence = marks.evidence.to_pylist()
    assert evidence[0]["overlap"] == 1.0
    assert evidence[0]["ngrams"] == 296
    assert 0 < evidence[0]["false_positive_rate"] < 0.01
    assert [e is None for e in evidence] == [r is None for r in marks.reject.to_pylist()]


def test_the_share_is_that_of_all_ngrams(tmp_path):
    """Against sets of n-grams; what is more is false positives."""
    known = [prose(80, seed, 300) for seed in range(30)]
    folder = filter_of(tmp_path, *known, n=2, false_positive_rate=1e-6)
    held = set.union(*(set(shingles(text, 2)) for text in known))
    texts = [prose(60, seed, 300) for seed in range(100, 140)]
    found = probe_column(pa.array(texts, pa.large_string()), read_filter(folder))
    for text, ngrams, count in zip(texts, found.ngrams, found.held, strict=True):
        tokens = text.split()
        runs = [" ".join(tokens[i : i + 2]) for i in range(len(tokens) - 1)]
        assert ngrams == len(runs)
        assert count == sum(set(shingles(run, 2)) <= held for run in runs)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_marking_rejects_nothing(tmp_path, threshold):
    folder = filter_of(tmp_path, "one two three four five six")
    marks = judge(folder, ["one two three four five six", "other"], action="mark", threshold=threshold)
    assert marks.reject.to_pylist() == [None, None]
    assert marks.evidence.to_pylist()[0]["overlap"] == 1.0


def test_cutting_keeps_lines_and_their_ends(tmp_path):
    menu, footer = "Home | News | Contact", "All rights reserved"
    folder = filter_of(tmp_path, f"{menu}\nsomething else entirely\n{footer}", scope="paragraph", n=3)
    texts = {
        f"{menu}\nOwn text, Größe 橋\n{footer}": "Own text, Größe 橋\n",
        f"Own\n{menu}\r\nMore\r\n\n": "Own\nMore\r\n\n",
        f"Own\n\n{footer.upper()}!\n\nMore": "Own\n\n\nMore",
        "Own": "Own",
        f"{menu}\n{footer}\n": "",
        f"{menu} and what else there is to say of it": f"{menu} and what else there is to say of it",
        "": "",
        None: None,
        "\n\n": "\n\n",
    }
    marks = judge(folder, list(texts), action="cut")
    assert marks.columns["text"].to_pylist() == list(texts.values())
    assert marks.reject.to_pylist() == [None] * 4 + ["nothing_left"] + [None] * 4
    removed = [e and (e["removed_paragraphs"], e["removed_bytes"]) for e in marks.evidence.to_pylist()]
    assert removed[:5] == [(2, 41), (1, 23), (1, 21), None, (2, 42)]
    assert removed[5:] == [None] * 4


def test_every_option_still_finds_an_obvious_duplicate(tmp_path):
    """T16."""
    text = "The very same words, ten of them, here and there."
    for k, (unit, n, scope) in enumerate(
        itertools.product(("word", "char"), (1, 13, None), ("document", "paragraph"))
    ):
        folder = filter_of(tmp_path / str(k), text, unit=unit, n=n, scope=scope)
        for threshold in (0.1, 1.0):
            marks = judge(folder, [text, "Nothing like it whatsoever, said she"], threshold=threshold)
            assert marks.reject.to_pylist()[0] == "in_other_corpus"
        if scope == "paragraph":
            assert judge(folder, [text], action="cut").reject.to_pylist() == ["nothing_left"]
        said = verdicts(NgramDedup(unit=unit, n=n, scope=scope), docs(text, text))
        assert set(said) == {"web/00001"}


def test_dialogues(tmp_path):
    turns = [
        {"role": "user", "content": "one two three four five six"},
        {"role": "assistant", "content": "seven"},
    ]
    sink = BuildBloomFilter(expected_ngrams=100, on="messages")
    batch = pa.record_batch({"messages": pa.array([turns, None, []])})
    info = sink.write(iter([batch]), tmp_path, None)
    sink.commit([info], tmp_path, None)
    stage = BloomDedup(on="messages")
    assert stage.annotate(batch, stage.open({"filter": tmp_path})).reject.to_pylist() == [
        "in_other_corpus",
        None,
        None,
    ]
    assert "half a dialogue" in BloomDedup(on="messages", action="cut").problems()[0]
    assert not BloomDedup(action="cut").problems()


def test_cutting_needs_ngrams_of_paragraphs(tmp_path):
    with pytest.raises(ValueError, match="run from line to line; build it with scope: paragraph"):
        BloomDedup(action="cut").open({"filter": filter_of(tmp_path, "a b c")})


def test_batches_without_rows_and_slices(tmp_path):
    folder = filter_of(tmp_path, "a b c")
    assert judge(folder, []).reject.to_pylist() == []
    stage = BloomDedup()
    batch = texts_batch(["x", None, "a b c", "y"]).slice(1, 2)
    assert stage.annotate(batch, stage.open({"filter": folder})).reject.to_pylist() == [
        None,
        "in_other_corpus",
    ]


def test_a_huge_document(tmp_path):
    huge = prose(200_000, 5, 10**6)
    folder = filter_of(tmp_path, huge, expected_ngrams=300_000)
    assert judge(folder, [huge, "small", huge + " end"]).reject.to_pylist() == [
        "in_other_corpus",
        None,
        "in_other_corpus",
    ]


# --- the same corpus ---------------------------------------------------------------------------------------


def overlap_oracle(documents, n, threshold):
    """Rejections by definition: {name: overlap with sources}. Documents in order of the survivor policy."""
    grams = {f"{source}/{key}": set(shingles(text or "", n)) for source, key, text in documents}
    names = sorted(name for name in grams if grams[name])

    def shared(name, among):
        earlier = set().union(*(grams[a] for a in among if a < name))
        return len(grams[name] & earlier) / len(grams[name])

    sources = [name for name in names if shared(name, names) < threshold]
    overlaps = {name: shared(name, sources) for name in names if name not in sources}
    return {name: overlap for name, overlap in overlaps.items() if overlap >= threshold}


def families(seed, size):
    rng = random.Random(seed)
    texts = []
    while len(texts) < size:
        base = words(rng.randrange(2, 50), rng.randrange(10**6), vocabulary=rng.choice([5, 60, 5000]))
        for _ in range(rng.randrange(1, 5)):
            copy = list(base)
            for _ in range(rng.randrange(4)):
                copy[rng.randrange(len(copy))] = f"e{rng.randrange(50)}"
            if texts and rng.random() < 0.3:
                copy += (rng.choice(texts) or "").split()[:20]
            texts.append(" ".join(copy))
    texts[3:5] = ["", None]
    rng.shuffle(texts)
    return texts[:size]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.3, 0.8, 1.0])
def test_agrees_with_sets_however_it_is_cut(seed, threshold):
    documents = docs(*families(seed, 70))
    expected = overlap_oracle(documents, 3, threshold)
    stage = NgramDedup(n=3, threshold=threshold)
    for partitions in (1, 3):
        said = verdicts(stage, documents, partitions, shuffle_seed=seed)
        assert {name: e["similarity"] for name, e in said.items()} == pytest.approx(expected)
        for evidence in said.values():
            assert evidence["survivor"] not in said
            assert 0 < evidence["survivor_share"] <= evidence["similarity"]
            assert evidence["survivors"] >= 1
    assert expected


@pytest.mark.parametrize("limit", [2, 3, 10])
def test_keys_in_pieces_reject_no_more_and_only_to_survivors(limit):
    documents = docs(*families(9, 60), *["the same words in each of these"] * 15)
    whole = verdicts(NgramDedup(n=3), documents)
    said = verdicts(NgramDedup(n=3), documents, max_group_rows=limit, shuffle_seed=limit)
    assert set(said) <= set(whole)
    assert {e["survivor"] for e in said.values()}.isdisjoint(said)
    assert len(said) >= 14


def test_a_unique_corpus_loses_nothing():
    """T18: no document repeats another, so none falls, although each repeats itself."""
    texts = [f"{prose(60, seed, 10**9)} " * 2 for seed in range(60)]
    assert verdicts(NgramDedup(), docs(*texts)) == {}


def test_a_page_of_pieces_falls_to_their_union():
    a, b, c = (prose(40, seed) for seed in range(3))
    said = verdicts(NgramDedup(n=3), docs(a, b, c, f"{a} {b} {c}"))
    assert set(said) == {"web/00003"}
    evidence = said["web/00003"]
    assert evidence["similarity"] == pytest.approx(114 / 118)
    assert (evidence["survivors"], evidence["survivor"], evidence["ngrams"]) == (3, "web/00000", 118)


def test_the_survivor_policy():
    long, short = prose(100, 1), " ".join(prose(100, 1).split()[:90])
    assert set(verdicts(NgramDedup(prefer="longest"), docs(short, long))) == {"web/00000"}
    both = [("web", "0", long), ("books", "9", long)]
    assert set(verdicts(NgramDedup(source_priority=["books"]), both)) == {"web/0"}


def test_short_and_empty_documents():
    """T2, T3."""
    assert set(verdicts(NgramDedup(), docs("cat", "dog", "cat", "", "", None, None))) == {"web/00002"}
    assert len(verdicts(NgramDedup(), docs(*["Click here"] * 100), partitions=7)) == 99


@pytest.mark.parametrize("rate", [0.5, 0.01])
def test_a_filter_changes_nothing_but_what_is_exchanged(tmp_path, rate):
    texts = [*families(4, 60), *(prose(50, seed, 10**9) for seed in range(200))]
    folder = build(
        tmp_path,
        [[texts[:100]], [texts[100:]]],
        n=3,
        repeated=True,
        false_positive_rate=rate,
        expected_ngrams=40_000,
    )
    stage = NgramDedup(n=3)
    opened = stage.open({"filter": folder})
    batch = batch_of(docs(*texts))
    (without,), (with_filter,) = run_global(stage, [batch]), run_global(stage, [batch], opened)
    assert with_filter.reject.equals(without.reject)
    assert with_filter.evidence.equals(without.evidence)
    everything, some = (stage.emit(batch, resource, 0, NO_VERDICTS) for resource in (None, opened))
    assert some.schema == everything.schema
    assert some.num_rows < 0.4 * everything.num_rows
    assert without.reject.null_count < len(texts)


def test_a_filter_that_does_not_fit_is_refused(tmp_path):
    folder = filter_of(tmp_path / "a", "a b c")
    with pytest.raises(ValueError, match=r"n=5.*n=13.*make them equal"):
        NgramDedup().open({"filter": folder})
    with pytest.raises(ValueError, match="does not know what is repeated; build it with repeated: true"):
        NgramDedup(n=5).open({"filter": folder})
    assert NgramDedup().open({}) is None


def test_global_batches_without_rows():
    empty = batch_of([])
    marks = run_global(NgramDedup(), [empty, batch_of(docs("a b", "a b")), empty])
    assert [m.reject.to_pylist() for m in marks] == [[], [None, "repeated_ngrams"], []]
    for round in (0, 1):
        tables = [NgramDedup().emit(b, None, round, NO_VERDICTS) for b in (empty, batch_of(docs("a b")))]
        assert tables[0].schema == tables[1].schema
        assert (
            NgramDedup()
            .reduce(tables[0].append_column("doc", tables[0]["row"].cast(pa.uint64())), round)
            .num_rows
            == 0
        )
