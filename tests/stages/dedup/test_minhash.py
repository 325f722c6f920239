"""Near-duplicates: nothing falls without a verified survivor, and what falls depends on the documents alone."""

import random

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup._judge_kernels import judge_groups
from stages.dedup._minhash import candidate_chance, choose_bands, permutations, shingle_sets, sign_texts
from stages.dedup._minhash_kernels import fold_bands
from stages.dedup.minhash import MinhashDedup
from stages.kernels.words import word_alphabet
from tests.stages.dedup.documents import batch_of, docs, lost, verdicts
from tests.stages.dedup.oracle import contained, in_order, judge, shingles, similarity
from tests.stages.kernels.test_words import oracle, oracle_hash, oracle_shingles
from tests.support.exchange import NO_VERDICTS, run_global

SURE = {"bands": 60, "rows_per_band": 2}  # finds practically every pair worth a look


def words(count: int, seed: int, vocabulary: int = 5000) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(vocabulary)}" for _ in range(count)]


def prose(count: int, seed: int = 0) -> str:
    return " ".join(words(count, seed))


# --- short documents (T1-T4) ---------------------------------------------------------------------------


def test_short_texts_fall_to_equal_ones_only():
    said = verdicts(MinhashDedup(), docs("cat", "dog", "cat"))
    assert said == {
        "web/00002": {"survivor": "web/00000", "similarity": 1.0, "cluster_size": 2, "group_size": 2}
    }


def test_a_hundred_short_copies_become_one():
    assert len(lost(MinhashDedup(), docs(*["Click here"] * 100), partitions=5)) == 99


@pytest.mark.parametrize("text", ["", " ", "\n\t", "!!! ...", "—", None])
def test_texts_without_words_are_nobodys_duplicates(text):
    assert lost(MinhashDedup(), docs(text, text, "real words", text)) == set()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_every_short_length_works(count):
    text = " ".join("abcdef"[:count])
    assert lost(MinhashDedup(), docs(text, text + " other", text)) == {"web/00002"}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (
            "Ann sold 48 clips in May and half as many in June.",
            "Ann sold 75 clips in May and half as many in June.",
        ),
        ("What is 5+3 if all else is the same?", "What is 5-3 if all else is the same?"),
        ("What is 5 + 3 if all else is the same?", "What is 5 * 3 if all else is the same?"),
        ("It costs $5 and no more.", "It costs €5 and no more."),
        ("ガギグ", "カキク"),
        ("мой дом", "мои дом"),
        ("हिन्दी", "हिनदी"),
        ("ไม้", "ไม"),
        ("I am 😀", "I am 😡"),
    ],
)
def test_different_content_stays(a, b):
    assert lost(MinhashDedup(), docs(a, b)) == set()


def test_case_spacing_and_punctuation_do_not_count():
    assert lost(MinhashDedup(), docs("To be, or not to be!", "TO BE -- or not\nto be")) == {"web/00000"}


# --- longer documents -----------------------------------------------------------------------------------


def test_an_edited_copy_falls_with_its_similarity():
    base = words(300, 1)
    edited = [*base[:150], "new", *base[151:]]
    said = verdicts(MinhashDedup(), docs(" ".join(base), " ".join(edited), prose(300, 2)))
    expected = similarity(shingles(" ".join(base)), shingles(" ".join(edited)))
    (name, evidence), *more = said.items()
    assert not more
    assert name == "web/00001"  # one character shorter than the original
    assert evidence["survivor"] == "web/00000"
    assert evidence["similarity"] == expected > 0.9


@pytest.mark.parametrize(
    "script",
    [
        "橋本川山水火木金土日月人口目耳手足力車馬",
        "ก ข ค ง จ ช ด ต น บ".replace(" ", ""),
        "あいうえおかきくけこさしすせそ",
    ],
)
def test_scripts_without_spaces_are_shingled_by_character(script):
    rng = random.Random(4)
    base = "".join(rng.choice(script) for _ in range(200))
    other = "".join(rng.choice(script) for _ in range(200))
    assert lost(MinhashDedup(**SURE), docs(base, base[:100] + "字" + base[101:], other)) == {"web/00001"}


def test_char_shingles():
    base = prose(120, 5)
    stage = MinhashDedup(unit="char", n=24, **SURE)
    assert lost(stage, docs(base, base.replace("w1", "v1", 1), prose(120, 6))) == {"web/00001"}
    assert lost(stage, docs("now here", "nowhere")) == set()


def test_the_longest_or_the_first_stays():
    base = words(200, 7)
    same = docs(" ".join(base[:-1]), " ".join(base))
    assert lost(MinhashDedup(), same) == {"web/00000"}
    assert lost(MinhashDedup(prefer="first"), same) == {"web/00001"}


def test_a_preferred_source_stays_though_shorter():
    base = words(200, 8)
    pair = [("web", "0", " ".join(base)), ("wiki", "9", " ".join(base[:-2]))]
    assert lost(MinhashDedup(source_priority=["wiki"]), pair) == {"web/0"}
    assert lost(MinhashDedup(), pair) == {"wiki/9"}


def test_unrelated_long_documents_stay():
    assert lost(MinhashDedup(), docs(*(prose(2000, seed) for seed in range(12)))) == set()


def test_a_huge_document():
    huge = prose(400_000, 9)
    assert lost(MinhashDedup(), docs(huge, "small", huge + " end")) == {"web/00000"}


def test_dialogues_are_compared_by_their_turns():
    turns = [{"role": "user", "content": prose(60, 12)}, {"role": "assistant", "content": prose(60, 13)}]
    other = [turns[0], {"role": "assistant", "content": prose(60, 14)}]
    rows = pa.array([turns, [*turns, {"role": "user", "content": "Thanks"}], other, None, [], None])
    batch = batch_of(docs(*[""] * 6)).append_column("messages", rows)
    stage = MinhashDedup(on="messages")
    assert stage.reads().names == ["id", "source", "messages"]
    (marks,) = run_global(stage, [batch])
    assert marks.reject.to_pylist() == ["near_duplicate", None, None, None, None, None]


# --- no transitive closure, a survivor for everyone (T9-T11) -----------------------------------------------


def chain(length: int, step: int = 12, width: int = 200) -> list[str]:
    """Windows over one long text: neighbours are alike, the ends have nothing in common."""
    base = words(width + step * length, 10, vocabulary=10**6)
    return [" ".join(base[i * step : i * step + width]) for i in range(length)]


def test_a_chain_does_not_collapse():
    texts = chain(100)
    sets = [shingles(t) for t in texts]
    assert 0.75 < similarity(sets[0], sets[1]) < 0.9
    documents = docs(*texts)
    said = verdicts(MinhashDedup(**SURE), documents)
    survivors = {f"web/{i:05d}" for i in range(100)} - set(said)
    assert similarity(sets[0], sets[2]) > 0.75 > similarity(sets[0], sets[3])
    assert 100 / 5 <= len(survivors) <= 60  # each stands for two neighbours on both sides at most
    for name, evidence in said.items():
        assert evidence["survivor"] in survivors
        a, b = (sets[int(x.split("/")[1])] for x in (name, evidence["survivor"]))
        assert evidence["similarity"] == similarity(a, b) >= 0.75


@pytest.mark.parametrize("limit", [2, 3, 10])
def test_a_group_in_parts_rejects_no_more_and_only_to_survivors(limit):
    texts = [*chain(25), *["same words in each of these " * 3] * 20]
    documents = docs(*texts)
    whole = lost(MinhashDedup(**SURE), documents)
    said = verdicts(MinhashDedup(**SURE), documents, max_group_rows=limit, shuffle_seed=limit)
    sets = {f"web/{i:05d}": shingles(t) for i, t in enumerate(texts)}
    for name, evidence in said.items():
        assert evidence["survivor"] not in said
        assert evidence["similarity"] == similarity(sets[name], sets[evidence["survivor"]]) >= 0.75
    assert {n for n in said if int(n[4:]) >= 25} == {
        n for n in whole if int(n[4:]) >= 25
    }  # equal ones all fall


def corpus(seed: int, size: int) -> list[str]:
    """Texts in families of edited copies."""
    rng = random.Random(seed)
    texts: list[str] = []
    while len(texts) < size:
        base = words(rng.randrange(3, 80), rng.randrange(10**6), vocabulary=rng.choice([5, 50, 5000]))
        for _ in range(rng.randrange(1, 6)):
            copy = list(base)
            for _ in range(rng.randrange(4)):
                copy[rng.randrange(len(copy))] = f"e{rng.randrange(100)}"
            texts.append(" ".join(copy))
    rng.shuffle(texts)
    return texts[:size]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("longest", [True, False])
def test_agrees_with_every_pair_compared(seed, longest):
    documents = docs(*corpus(seed, 120))
    ordered = in_order(documents, longest)
    names = [f"{d[0]}/{d[1]}" for d in ordered]
    judged = judge([shingles(d[2]) for d in ordered], 0.6)
    expected = {names[i]: (names[j], s) for i, (j, s) in enumerate(judged) if j >= 0}
    stage = MinhashDedup(bands=150, rows_per_band=1, threshold=0.6, prefer="longest" if longest else "first")
    said = verdicts(stage, documents, partitions=3, shuffle_seed=seed)
    assert {n: (e["survivor"], e["similarity"]) for n, e in said.items()} == expected
    assert expected


@pytest.mark.parametrize("partitions", [1, 2, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_whatever_the_partitions_and_the_order(partitions, seed):
    documents = docs(*corpus(99, 80))
    expected = verdicts(MinhashDedup(), documents, partitions=1)
    shuffled = random.Random(seed).sample(documents, len(documents))
    assert verdicts(MinhashDedup(), shuffled, partitions, shuffle_seed=seed) == expected


# --- the verifying kernel ---------------------------------------------------------------------------------


def judge_sets(
    sets: list[frozenset[int]], threshold: float, containment: bool = False
) -> list[tuple[int, float]]:
    flat = np.array([x for s in sets for x in sorted(s)], np.uint64)
    offsets = np.cumsum([0, *(len(s) for s in sets)]).astype(np.int64)
    found = judge_groups(np.array([0, len(sets)]), flat, offsets, threshold, containment)
    return list(zip(*(part.tolist() for part in found), strict=True))


def members(bits: int) -> frozenset[int]:
    return frozenset(i for i in range(13) if bits >> i & 1)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(1, 2**13 - 1).map(members), max_size=60),
    st.sampled_from([0.1, 0.3, 0.5, 0.6, 2 / 3, 0.75, 0.8, 1.0]),
    st.booleans(),
)
def test_groups_are_judged_as_by_definition(sets, threshold, containment):
    expected = judge(sets, threshold, contained if containment else similarity)
    assert judge_sets(sets, threshold, containment) == expected


def test_big_groups_of_different_sets_are_judged_as_by_definition():
    rng = random.Random(3)
    shared = set(range(40))
    sets = [frozenset(shared | {rng.randrange(100, 160) for _ in range(20)}) for _ in range(300)]
    for threshold in (0.6, 0.7, 0.75, 0.9):
        assert judge_sets(sets, threshold) == judge(sets, threshold)
        assert judge_sets(sets, threshold, True) == judge(sets, threshold, contained)
    assert any(j >= 0 for j, _ in judge_sets(sets, 0.75))


def test_many_copies_and_a_big_group_take_linear_work():
    """A hundred thousand equal sets, and thousands with half in common: quadratic work would take an hour."""
    one = np.arange(200, dtype=np.uint64)
    count = 100_000
    survivor, alike = judge_groups(
        np.array([0, count]), np.tile(one, count), np.arange(count + 1, dtype=np.int64) * 200, 0.75, False
    )
    assert (survivor[1:] == 0).all()
    assert (alike[1:] == 1.0).all()
    rng = np.random.default_rng(0)
    own = rng.integers(1000, 2**63, (20_000, 200), dtype=np.uint64)
    sets = np.sort(np.concatenate([np.tile(one, (20_000, 1)), own], axis=1), axis=1)
    survivor, _ = judge_groups(
        np.array([0, 20_000]), sets.reshape(-1), np.arange(20_001, dtype=np.int64) * 400, 0.75, False
    )
    assert (survivor == -1).all()


# --- signatures (T5) ----------------------------------------------------------------------------------------


def test_golden_signature():
    """Other machines and releases must find the same duplicates."""
    texts = pa.array(
        ["It was the best of times, it was the worst of times", "昔々ある所に", ""], pa.large_string()
    )
    signatures, counts = sign_texts(texts, word_alphabet(signs=True), 5, 4, seed=1)
    assert counts.tolist() == [8, 2, 0]
    assert signatures[:2].tolist() == GOLDEN_SIGNATURES
    assert [f"{k:016x}" for k in fold_bands(signatures, 2)[0].tolist()] == GOLDEN_KEYS


GOLDEN_SIGNATURES = [
    [548705543, 303229060, 41607309, 564034998],
    [502283278, 1214336457, 1091975614, 3073402876],
]
GOLDEN_KEYS = ["c99b5622de14af6c", "a5e99777fdb30031"]


@pytest.mark.parametrize("text", [prose(30, 30), "two words", "橋は三本ある。 And the rest: 5+3.", "a " * 50])
def test_signatures_by_definition(text):
    factors, shifts, *_ = permutations(6, seed=3)
    hashes = [oracle_hash(word) for word, _, _ in oracle(text, signs=True)]
    values = [h >> 32 for h in oracle_shingles(hashes, 5)]
    expected = [
        min((a * x + b) % 2**32 for x in values)
        for a, b in zip(factors.tolist(), shifts.tolist(), strict=True)
    ]
    found, _ = sign_texts(pa.array([text], pa.large_string()), word_alphabet(signs=True), 5, 6, seed=3)
    assert found[0].tolist() == expected


def test_the_estimate_is_unbiased():
    """Mean error within three standard errors, and no more spread than sqrt(J (1 - J) / k) for independent hashes."""
    rng = random.Random(11)
    k, errors, spread = 112, [], []
    texts, truth = [], []
    for i in range(600):
        base = words(150, i)
        copy = list(base)
        for _ in range(rng.randrange(1, 25)):
            copy[rng.randrange(150)] = f"x{rng.randrange(10**6)}"
        texts += [" ".join(base), " ".join(copy)]
        truth.append(similarity(shingles(texts[-2]), shingles(texts[-1])))
    signatures, _ = sign_texts(pa.array(texts, pa.large_string()), word_alphabet(signs=True), 5, k, seed=1)
    estimates = (signatures[::2] == signatures[1::2]).mean(axis=1)
    errors = estimates - np.array(truth)
    spread = np.array(truth) * (1 - np.array(truth)) / k
    assert abs(errors.mean()) < 3 * np.sqrt(spread.mean() / len(truth))
    assert np.sqrt((errors**2).mean()) < 1.15 * np.sqrt(spread.mean())
    assert min(truth) < 0.4 < 0.9 < max(truth)


def test_candidates_follow_the_s_curve():
    pairs = 400
    for edits, bands, rows in ((4, 14, 8), (8, 14, 8), (8, 20, 4)):
        texts, truth = [], []
        for i in range(pairs):
            base = words(200, 1000 + i, vocabulary=10**6)
            copy = [*base]
            for place in range(edits):
                copy[place * (200 // edits) + 5] = f"y{i}"
            texts += [" ".join(base), " ".join(copy)]
            truth.append(similarity(shingles(texts[-2]), shingles(texts[-1])))
        signatures, _ = sign_texts(
            pa.array(texts, pa.large_string()), word_alphabet(signs=True), 5, bands * rows, seed=5
        )
        keys = fold_bands(signatures, bands)
        found = (keys[::2] == keys[1::2]).any(axis=1).mean()
        expected = np.mean([candidate_chance(s, bands, rows) for s in truth])
        assert abs(found - expected) < 4 * np.sqrt(max(expected * (1 - expected), 0.01) / pairs)


def test_bands_never_share_a_key():
    keys = fold_bands(np.zeros((1, 112), np.uint32), 14)
    assert len(set(keys[0].tolist())) == 14


def test_permutations_are_bijections_and_follow_the_seed():
    factors, shifts, *_ = permutations(112, seed=1)
    assert (factors % 2 == 1).all()
    assert len(set(zip(factors.tolist(), shifts.tolist(), strict=True))) == 112
    assert permutations(112, seed=2)[0].tolist() != factors.tolist()
    assert permutations(5, seed=1)[0].tolist() == factors[:5].tolist()


@pytest.mark.parametrize(("scheme", "theirs"), [("datasketch", "affine32"), ("datasketch_legacy", "legacy")])
@pytest.mark.parametrize("seed", [1, 42])
def test_signatures_are_datasketchs(scheme, theirs, seed):
    """For the same hashes of shingles: the upper halves of ours."""
    texts = pa.array([prose(80, 3), "two words", prose(7, 4)], pa.large_string())
    alphabet = word_alphabet(signs=True)
    signatures, _ = sign_texts(texts, alphabet, 5, 64, seed, scheme)
    for row, members in enumerate(shingle_sets(texts, alphabet, 5).to_pylist()):
        sketch = MinHash(num_perm=64, seed=seed, scheme=theirs, hashfunc=lambda value: value)
        sketch.update_batch([value >> 32 for value in members])
        assert signatures[row].tolist() == sketch.hashvalues.tolist()


@pytest.mark.parametrize("scheme", ["affine", "datasketch", "datasketch_legacy"])
def test_every_scheme_estimates_without_bias(scheme):
    left, right = words(400, 1, 10**6), words(400, 2, 10**6)
    texts = [" ".join(left), " ".join(left[:300] + right[:100])]
    exact = similarity(shingles(texts[0]), shingles(texts[1]))
    column = pa.array(texts, pa.large_string())
    signatures, _ = sign_texts(column, word_alphabet(signs=True), 5, 4000, 7, scheme)
    assert abs((signatures[0] == signatures[1]).mean() - exact) < 0.03


# --- phases -------------------------------------------------------------------------------------------------


def test_round_0_sends_small_rows_for_documents_with_words_only():
    table = MinhashDedup().emit(batch_of(docs("a b c", "", None, "d")), None, 0, NO_VERDICTS)
    assert table.schema == pa.schema([("key", pa.uint64()), ("row", pa.int32())])
    assert sorted(table["row"].to_pylist()) == [0] * 14 + [3] * 14


def test_round_1_sends_documents_of_a_group_only():
    said = pa.table({"row": pa.array([1], pa.int64()), "group": pa.array([5], pa.uint64())})
    table = MinhashDedup().emit(batch_of(docs("a", "b c", "d")), None, 1, said)
    assert table["id"].to_pylist() == ["web/00001"]
    assert table["rank"].to_pylist() == [-3]
    assert len(table["shingles"][0]) == 1
    nothing = MinhashDedup().emit(batch_of(docs("a")), None, 1, NO_VERDICTS)
    assert nothing.schema == table.schema
    assert nothing.num_rows == 0


def test_batches_without_rows():
    marks = run_global(MinhashDedup(), [batch_of([]), batch_of(docs("a b", "a b")), batch_of([])])
    assert [m.reject.to_pylist() for m in marks] == [[], [None, "near_duplicate"], []]
    assert len(shingle_sets(pa.array([], pa.large_string()), word_alphabet(), 5)) == 0


# --- params -------------------------------------------------------------------------------------------------


def test_the_plan_shows_the_s_curve():
    lines = "\n".join(MinhashDedup().describe())
    assert "112 MinHashes in 14 bands of 8" in lines
    assert "0.5: 5.3%" in lines
    assert "0.75: 77.2%" in lines
    assert "0.95: 100.0%" in lines


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"bands": 8, "rows_per_band": 14},
            "8 bands of 14 rows find only 13.4% of the pairs at threshold 0.75",
        ),
        ({"bands": 20, "rows_per_band": 100}, "find only 0.0% .*are they swapped"),
        ({"threshold": 0.65}, "find only 36.5% of the pairs at threshold 0.65"),
        ({"unit": "char"}, "n is 5 characters, which unrelated long documents share; use at least 20"),
        ({"source_priority": ["a", "a"]}, "names 'a' twice"),
    ],
)
def test_settings_that_cannot_work_are_refused(params, message):
    (problem,) = MinhashDedup(**params).problems()
    with pytest.raises(ValueError, match=message):
        raise ValueError(problem)


def test_bands_are_derived_from_the_threshold():
    stage = MinhashDedup(num_perm=128, threshold=0.8)
    assert stage.shape() == (16, 8)
    assert candidate_chance(0.8, 16, 8) >= 0.9 > candidate_chance(0.8, 14, 9)
    assert choose_bands(256, 0.5, 0.95) is not None
    (problem,) = MinhashDedup(num_perm=4, threshold=0.3, min_recall=0.99).problems()
    assert (
        "no bands of 4 MinHashes find a pair at threshold 0.3 with a chance of 0.99; raise num_perm"
        in problem
    )
    (problem,) = MinhashDedup(bands=9).problems()
    assert "give bands and rows_per_band together" in problem
    (problem,) = MinhashDedup(bands=20, rows_per_band=5, num_perm=99).problems()
    assert "num_perm is 99, but bands x rows_per_band is 100" in problem


def test_containment_takes_a_part_of_a_longer_document():
    whole = words(300, 77)
    documents = docs(" ".join(whole), " ".join(whole[:220]), prose(220, 78))
    assert not lost(MinhashDedup(bands=60, rows_per_band=3), documents)
    said = verdicts(MinhashDedup(bands=60, rows_per_band=3, measure="containment"), documents)
    assert {n: e["similarity"] for n, e in said.items()} == {"web/00001": 1.0}


def test_quality_comes_before_length():
    texts = [prose(100, 5), prose(100, 5) + " more", prose(100, 5)]
    batch = batch_of(docs(*texts)).append_column("score", pa.array([0.5, None, 0.9], pa.float32()))
    (marks,) = run_global(MinhashDedup(quality="score"), [batch])
    assert [e and e["survivor"] for e in marks.evidence.to_pylist()] == ["web/00002", "web/00002", None]


@pytest.mark.parametrize(
    "params", [{}, {"unit": "char", "n": 24}, {"bands": 20, "rows_per_band": 5, "threshold": 0.6}]
)
def test_settings_that_work(params):
    assert not MinhashDedup(**params).problems()


@pytest.mark.parametrize(
    "params",
    [
        {"n": 1},
        {"n": 9, "threshold": 0.8},
        {"prefer": "first"},
        {"seed": 99},
        {"source_priority": ["wiki"]},
        {"unit": "char", "n": 20},
        {"bands": 50, "rows_per_band": 4, "threshold": 0.5},
        {"threshold": 1.0},
        {"measure": "containment"},
        {"num_perm": 200, "threshold": 0.7},
        {"scheme": "datasketch"},
        {"scheme": "datasketch_legacy"},
        {"prefer": "shortest"},
    ],
)
def test_every_option_still_finds_an_obvious_duplicate(params):
    text = prose(100, 20)
    stage = MinhashDedup(**params)
    assert not stage.problems()
    assert len(lost(stage, docs(text, text, prose(100, 21)))) == 1
