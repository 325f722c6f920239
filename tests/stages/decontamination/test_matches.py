"""Matches of an index, against every maximal common run found by comparing words in plain Python."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages.decontamination._alphabet import benchmark_alphabet
from stages.decontamination._index import BenchmarkIndex, TextKind, read_index
from stages.decontamination._matches import (
    Matches,
    find_matches,
    hash_text,
    locate_words,
    rare_matches,
    seed_counts_of,
)
from stages.decontamination.count_hits import CountNgramHits, read_counts
from stages.kernels.words import hash_words
from tests.stages.decontamination.indexes import build_items, item


def texts_of(index: BenchmarkIndex) -> list[list[int]]:
    return [index.words[a:b].tolist() for a, b in zip(index.text_starts, index.text_starts[1:], strict=False)]


def words_of(text: str | None) -> tuple[list[int], list[int], list[int]]:
    words = hash_words(pa.array([text], pa.large_string()), benchmark_alphabet("words"), located=True)
    return words.hashes.tolist(), words.starts.tolist(), words.ends.tolist()


def oracle(documents: list[str | None], index: BenchmarkIndex) -> list[tuple[int, ...]]:
    """Every left- and right-maximal common run with a seed in it, and every short text, whole."""
    seeds = set(index.seeds.values.tolist())
    from stages.decontamination._kernels import hash_runs

    found = []
    for row, text in enumerate(documents):
        words, starts, ends = words_of(text)
        for number, own in enumerate(texts_of(index)):
            kind = index.text_kinds[number]
            if kind == TextKind.SHORT:
                for i in range(len(words) - len(own) + 1):
                    if words[i : i + len(own)] == own:
                        found.append((row, starts[i], ends[i + len(own) - 1], i, len(own), number, 0))
                continue
            if kind in (TextKind.ANSWER, TextKind.CHOICE):
                continue
            for i in range(len(words)):
                for p in range(len(own)):
                    if words[i] != own[p] or (i and p and words[i - 1] == own[p - 1]):
                        continue
                    size = 0
                    while i + size < len(words) and p + size < len(own) and words[i + size] == own[p + size]:
                        size += 1
                    runs = np.arange(max(size - index.seed_words + 1, 0)) + index.text_starts[number] + p
                    if set(hash_runs(index.words, runs, index.seed_words).tolist()) & seeds:
                        found.append((row, starts[i], ends[i + size - 1], i, size, number, p))
    return sorted(found, key=lambda m: (m[0], m[1], m[5], m[6]))


def rows_of(matches: Matches) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in matches), strict=True))


def random_text(rng: random.Random, words: int, alphabet: str) -> str:
    return " ".join(rng.choice(alphabet) for _ in range(words))


@pytest.mark.parametrize("seed", range(8))
def test_matches_equal_comparing_every_word(tmp_path, seed):
    rng = random.Random(seed)
    alphabet = "abcdefgh橋é"[: rng.choice([2, 4, 10])]
    items = [
        item(
            question=random_text(rng, rng.randint(0, 14), alphabet),
            answer=[random_text(rng, rng.randint(0, 9), alphabet) for _ in range(rng.randint(0, 3))],
            choice=[random_text(rng, rng.randint(1, 4), alphabet) for _ in range(rng.choice([0, 0, 3]))],
            passage=random_text(rng, rng.choice([0, 0, 20]), alphabet),
        )
        for _ in range(25)
    ]
    folder = build_items(tmp_path, items, seed_words=4, min_short_words=2, max_texts=rng.choice([2, 50]))
    index = read_index(folder)
    copies = [rng.choice(items)["item_parts"] for _ in range(20)]
    documents: list[str | None] = [random_text(rng, rng.randint(0, 40), alphabet) for _ in range(20)]
    documents += [" ".join(part["text"] for part in parts) for parts in copies]
    documents += [None, "", "a " * 50]
    found = find_matches(pa.array(documents, pa.large_string()), index)
    assert rows_of(found) == oracle(documents, index)
    assert len(found.row)


QUESTION = (
    "A baker sells forty loaves each morning and ten fewer each afternoon; how many does she sell a day?"
)
SOLUTION = (
    "In the afternoon she sells thirty, so forty and thirty make seventy loaves that she sells in a day."
)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> BenchmarkIndex:
    items = [
        item(question=QUESTION, solution=SOLUTION, answer="70"),
        item(question="Who baked it?", answer="Ann"),
        item(question="哪一条河流在春天把最多的水带到海里", answer="北河"),
    ]
    return read_index(build_items(tmp_path_factory.mktemp("index"), items))


def found_in(text: str | None, index: BenchmarkIndex) -> list[str]:
    matches = find_matches(pa.array([text], pa.large_string()), index)
    raw = (text or "").encode()
    return [raw[a:b].decode() for a, b in zip(matches.start.tolist(), matches.end.tolist(), strict=True)]


@pytest.mark.parametrize(
    "copy",
    [
        QUESTION,
        QUESTION.upper(),
        QUESTION.replace(" ", "\n\t "),
        QUESTION.replace(" ", "\u00a0"),
        QUESTION.replace(" ", " | "),
        QUESTION.replace("a", "ａ").replace("e", "e\u0301"),
        QUESTION.replace(";", "&#59;").replace("m", "&#109;"),
        QUESTION.replace(";", " &mdash; ").replace(" ", "&nbsp;"),
    ],
)
def test_a_copy_is_one_match_with_its_bytes(index, copy):
    assert found_in(f"Before it. {copy} After it &amp; more.", index) == [copy.rstrip("?")]


def test_what_shares_less_than_a_seed_is_none(index):
    assert found_in(" ".join(QUESTION.split()[:7]), index) == []
    assert found_in(" ".join(QUESTION.split()[:8]), index) == [" ".join(QUESTION.split()[:8])]
    assert found_in(None, index) == found_in("", index) == []


def test_short_questions_and_han(index):
    assert found_in("So, who BAKED it? Nobody.", index) == ["who BAKED it"]
    assert found_in("请问：哪一条河流在春天，把最多的水带到海里？", index) == [
        "哪一条河流在春天，把最多的水带到海里"
    ]


def test_question_and_answer_in_a_row_are_one_match(index):
    (match,) = found_in(f"{QUESTION}\n{SOLUTION}", index)
    assert match.startswith("A baker")
    assert match.endswith("in a day")


def test_batches_are_independent(index):
    rng = random.Random(5)
    documents = [
        None,
        QUESTION,
        "",
        "so " * 9,
        SOLUTION + " x " + QUESTION,
        "a&amp;b " + QUESTION,
        "Who baked it?",
    ]
    rng.shuffle(documents)
    column = pa.array(documents, pa.large_string())
    whole = rows_of(find_matches(column, index))
    alone = []
    for row in range(len(documents)):
        alone += [(row, *match[1:]) for match in rows_of(find_matches(column.slice(row, 1), index))]
    assert whole == alone
    assert rows_of(find_matches(column.cast(pa.string()), index)) == whole
    assert rows_of(find_matches(pa.array([], pa.large_string()), index)) == []


def test_a_million_equal_words_cost_no_quadratic_time(tmp_path):
    """A pattern that repeats itself is no seed, so neither it nor a flood of it is compared with anything."""
    items = [item(question="go " * 2000), item(question="to and fro " * 500), item(question=QUESTION)]
    index = read_index(build_items(tmp_path, items))
    assert index.meta["not_findable"] == 2
    assert found_in("go " * 1_000_000 + QUESTION, index) == [QUESTION.rstrip("?")]
    assert found_in("to and fro " * 300_000, index) == []


def test_boilerplate_is_no_evidence_but_part_of_a_match(tmp_path):
    head = "The following paragraphs describe a set of three objects arranged in a fixed order"
    items = [
        item(question=f"{head}. The {k} owl is left of the {k} crow and right of the {k} jay.")
        for k in range(9)
    ]
    index = read_index(build_items(tmp_path, items, max_texts=8))
    assert index.meta["boilerplate_seeds"] == len(head.split()) - 7 + 1
    assert index.meta["not_findable"] == 0
    assert found_in(f"{head} on a shelf.", index) == []
    text = items[4]["item_parts"][0]["text"].rstrip(".")
    assert text in found_in(f"{text}.", index)


def test_texts_are_stored_once(tmp_path):
    items = [item(question=f"Number {k}?", passage=QUESTION, answer="yes") for k in range(30)]
    index = read_index(build_items(tmp_path, items))
    (match,) = rows_of(find_matches(pa.array([QUESTION], pa.large_string()), index))
    text = match[5]
    assert index.text_kinds[text] == TextKind.PASSAGE
    assert index.text_items[index.text_item_starts[text] : index.text_item_starts[text + 1]].tolist() == list(
        range(30)
    )


def test_words_of_a_text_with_entities_have_places_as_given(index):
    words, starts, ends = locate_words(b"caf&eacute; x", index)
    assert words.tolist() == hash_text("cafe X", index).tolist()
    assert (starts.tolist(), ends.tolist()) == ([0, 12], [11, 13])
    assert locate_words(b"", index)[0].tolist() == []


def count(folder: Path, index_folder: Path, partitions: list[list[list[str | None]]]) -> Path:
    """As the engine does."""
    sink = CountNgramHits()
    resource = sink.open({"index": index_folder})
    out, shards = folder / "counts", []
    out.mkdir(parents=True)
    for number, batches in enumerate(partitions):
        own = folder / str(number)
        own.mkdir()
        tables = [pa.record_batch({"text": pa.array(texts, pa.large_string())}) for texts in batches]
        info = sink.write(iter(tables), own, resource)
        for name in info.files:
            (own / name).rename(out / f"{number:05d}-{name}")
        shards.append(info._replace(files=[f"{number:05d}-{name}" for name in info.files]))
    sink.commit(shards, out, resource)
    return out


def test_documents_are_counted_once_for_a_seed(tmp_path):
    folder = build_items(tmp_path / "index", [item(question=QUESTION), item(question=SOLUTION)])
    index = read_index(folder)
    texts = [QUESTION, f"{QUESTION} {QUESTION}", None, SOLUTION, "nothing of it", QUESTION.upper()]
    whole = count(tmp_path / "a", folder, [[texts]])
    cut = count(tmp_path / "b", folder, [[texts[:1], texts[1:3]], [], [texts[3:]]])
    for name in ("counts.npy", "meta.json"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes()
    counts = read_counts(whole, index)
    matches = find_matches(pa.array([QUESTION, SOLUTION], pa.large_string()), index)
    assert seed_counts_of(matches, index, counts).tolist() == [3, 1]
    assert set(counts.tolist()) == {1, 3}


def test_counts_of_another_index_are_refused(tmp_path):
    one = build_items(tmp_path / "one", [item(question=QUESTION)])
    other = build_items(tmp_path / "other", [item(question=SOLUTION)])
    counts = count(tmp_path / "c", one, [[[QUESTION]]])
    with pytest.raises(ValueError, match="counted with another index"):
        read_counts(counts, read_index(other))
    with pytest.raises(ValueError, match="give a count_ngram_hits node"):
        read_counts(tmp_path, read_index(one))


def test_rare_grams(tmp_path):
    items = [
        item(question=f"The {word} owl sat left of the crow that came by") for word in ("red", "blue", "grey")
    ]
    index = read_index(build_items(tmp_path, items, rare_words=4, rare_max_texts=1))
    found = rare_matches(pa.array(["the BLUE owl sat left of the crow", None], pa.large_string()), index)
    raw = "the BLUE owl sat left of the crow"
    assert [raw[a:b] for a, b in zip(found.start, found.end, strict=True)] == [
        "the BLUE owl sat",
        "BLUE owl sat left",
    ]
    text = int(found.text[0])
    assert set(found.text.tolist()) == {text}
    assert index.rare is not None
    idf = np.log1p(3)
    assert index.rare.idf[found.gram].tolist() == pytest.approx([idf, idf])
    assert index.rare.sums[text] == pytest.approx(2 * idf)
    assert found.text_first.tolist() == [0, 1]
    with pytest.raises(ValueError, match="rare_words: 5"):
        rare_matches(pa.array(["x"]), index._replace(rare=None))


def test_an_index_of_code_reads_operators_and_case(tmp_path):
    """Other spacing and lines are the same code; another operator, name or case is not."""
    code = "def mean_of(values):\n    return sum(values) / len(values) if values else 0.0\n"
    index = read_index(build_items(tmp_path, [item(question="Write a mean.", solution=code)], tokens="code"))
    assert found_in("x = 1\n" + code.replace("    ", "\t").replace(" / ", "/"), index)
    assert found_in(code.replace("values", "Values"), index) == []
    head, tail = found_in(code.replace("/", "*"), index)
    assert head == "def mean_of(values):\n    return sum(values)"
    assert tail == "len(values) if values else 0.0"


MARKUP = "Press Edit &amp; Find &gt; Replace, then <b>Format</b> &gt; Font &amp; Size to \ufb01nd it. Which &quot;tab&quot; opens?"


@pytest.mark.parametrize(
    "copy",
    [
        MARKUP,
        'Press Edit & Find > Replace, then Format > Font & Size to find it. Which "tab" opens?',
        "<tr><td>Press Edit &#38; Find</td><td>Replace,</td><td>then Format Font Size to <i>find</i> it.</td>"
        "<td>Which tab opens?</td></tr>",
    ],
)
def test_markup_in_items_and_in_documents_is_read_alike(tmp_path, copy):
    index = read_index(build_items(tmp_path / "index", [item(question=MARKUP, answer="Size")]))
    found = find_matches(pa.array([f"é {copy} and more"], pa.large_string()), index)
    assert found.words.max() == 14
    k = int(found.words.argmax())
    raw = f"é {copy}".encode()[found.start[k] : found.end[k]].decode()
    assert raw.startswith("Press")
    assert raw.endswith("opens")
