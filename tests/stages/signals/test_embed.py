"""Embeddings of text: of length 1, of the text alone, and as weak as the docs say."""

import math
import sys
import types
from collections import Counter
from itertools import pairwise
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.models import fetch
from stages.kernels.words import hash_words, word_alphabet
from stages.signals import _embed_models
from stages.signals._embed_kernels import unit_rows
from stages.signals._embed_models import ModelName, model_folder, parse_name
from stages.signals.embed import EMBEDDING_TYPE, EmbedText

LONG = "The old keeper climbed up to his lamp that evening, and the lamp was lit. "
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def column(texts):
    return pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.large_string())})


def embedded(stage, texts):
    """Vectors or None, by text; every array is checked."""
    marks = stage.annotate(column(texts), stage.open({}))
    assert marks.reject is None
    assert marks.evidence is None
    (found,) = marks.columns.values()
    found.validate(full=True)
    assert found.type == EMBEDDING_TYPE == stage.writes().field(stage.column).type
    assert len(found) == len(texts)
    for vector in found.to_pylist():
        assert vector is None or abs(math.fsum(v * v for v in vector) - 1) < 1e-6
    return found.to_pylist()


def cosine(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


# --- hashing -------------------------------------------------------------------------------------------

MASK = (1 << 64) - 1


def mix(h):
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB & MASK
    return h ^ (h >> 31)


def oracle(text, dim):
    """Signed feature hashing with a Counter."""
    words = hash_words(pa.array([text]), word_alphabet(signs=True)).hashes.tolist()
    features = [mix(w ^ 0xA0761D6478BD642F) for w in words]
    features += [mix((a * 0xD6E8FEB86659FD93 + b) & MASK) for a, b in pairwise(words)]
    out = [0.0] * dim
    for feature, count in Counter(features).items():
        out[((feature >> 33) * dim) >> 31] += (1 + math.log(count)) * (-1 if feature & 1 else 1)
    norm = math.sqrt(math.fsum(v * v for v in out))
    return [v / norm for v in out] if norm else None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("abc  3.橋é\n")), max_size=6), st.sampled_from([8, 100, 256]))
def test_hashing_is_what_it_says(texts, dim):
    found = embedded(EmbedText(dim=dim), texts)
    for text, vector in zip(texts, found, strict=True):
        expected = oracle(text, dim)
        assert (vector is None) == (expected is None)
        assert vector is None or np.allclose(vector, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (None, False),
        ("", False),
        (" \n\u00a0", False),
        ("...", False),
        ("word", True),
        ("橋", True),
        (FAMILY, True),
        ("سلام", True),
        ("x " * 200_000, True),
        ("\x00", False),
    ],
)
def test_texts_with_and_without_an_embedding(text, has):
    assert [v is not None for v in embedded(EmbedText(), ["a b", text, None])] == [True, has, False]


def test_no_rows_and_slices():
    assert embedded(EmbedText(), []) == []
    stage = EmbedText()
    texts = [LONG, None, "two words", "", LONG * 40, "橋は川を渡る"]
    whole = embedded(stage, texts)
    batch = column([*texts, *texts]).slice(3, 7)
    part = stage.annotate(batch, stage.open({})).columns["embedding"].to_pylist()
    assert part == (whole * 2)[3:10]
    assert [embedded(stage, [t])[0] for t in texts] == whole


def test_case_and_punctuation_do_not_count_but_numbers_do():
    a, b, c = embedded(EmbedText(), ["Take 48 clips, now!", "take 48 CLIPS now", "Take 75 clips, now!"])
    assert a == b
    assert cosine(a, c) < 0.9


def test_order_counts_little_and_meaning_nothing():
    """The same sentences in another order are near; the same meaning in other words is as far as anything."""
    texts = [
        "The cat sat on the mat. Rain fell on the roof all night. Nobody came to the door.",
        "Nobody came to the door. The cat sat on the mat. Rain fell on the roof all night.",
        "A kitten rested upon a rug while drizzle drummed overhead until dawn; no visitor knocked.",
        "Interest rates were raised again, which pleased savers but few of those who build houses.",
    ]
    first, reordered, paraphrase, other = embedded(EmbedText(), texts)
    assert cosine(first, reordered) > 0.9
    assert cosine(first, paraphrase) < 0.3
    assert abs(cosine(first, other)) < 0.3


def test_max_chars_reads_the_head():
    head = embedded(EmbedText(max_chars=10), ["  橋 one two three", "橋 one two other"])
    assert head[0] == head[1] == embedded(EmbedText(), ["橋 one two "])[0]
    assert head[0] != embedded(EmbedText(), ["橋 one two three"])[0]


def test_the_column_survives_parquet_and_unions(tmp_path):
    stage = EmbedText(dim=8, column="vector")
    made = stage.annotate(column(["a b c", None]), stage.open({})).columns
    table = pa.table(dict(made))
    pq.write_table(table, tmp_path / "x.parquet")
    back = pq.read_table(tmp_path / "x.parquet")
    assert back.equals(table)
    none = stage.annotate(column([None, None]), stage.open({})).columns
    joined = pa.concat_tables([back, pa.table(dict(none))])
    assert joined["vector"].null_count == 3


# --- fastText ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    lines = [
        f"__label__{'ab'[i % 2]} {'red green' if i % 2 else 'blue sky'} number {i % 7}" for i in range(200)
    ]
    (folder / "train.txt").write_text("\n".join(lines) + "\n", "utf-8")
    model = fasttext.train_supervised(
        str(folder / "train.txt"),
        dim=12,
        epoch=3,
        wordNgrams=2,
        minn=2,
        maxn=4,
        bucket=500,
        thread=1,
        verbose=0,
    )
    model.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def test_fasttext_gives_the_sentence_vectors_of_the_library(classifier):
    texts = ["red green number 3", "blue sky unheard of", "unheard", "green\nred"]
    found = embedded(EmbedText(model=str(classifier)), [*texts, None, " "])
    assert found[4:] == [None, None]
    model = fasttext.load_model(str(classifier))
    for text, vector in zip(texts, found, strict=False):
        expected = model.get_sentence_vector(text.replace("\n", " "))
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


@pytest.fixture(scope="module", params=["skipgram-3-6", "cbow-0-0"])
def word_vectors(request, tmp_path_factory):
    kind, minn, maxn = request.param.split("-")
    folder = tmp_path_factory.mktemp("vectors")
    lines = [
        f"the keeper of lamp number {i % 7} climbs up and {'sees' if i % 2 else 'hears'} gulls"
        for i in range(200)
    ]
    (folder / "train.txt").write_text("\n".join(lines) + "\n", "utf-8")
    model = fasttext.train_unsupervised(
        str(folder / "train.txt"), model=kind, dim=9, epoch=3, minn=int(minn), maxn=int(maxn), minCount=1,
        bucket=300, thread=1, verbose=0,
    )  # fmt: skip
    model.save_model(str(folder / "vectors.bin"))
    return folder / "vectors.bin"


def test_word_vectors_give_the_sentence_vectors_of_the_library(word_vectors):
    texts = [
        "the keeper climbs",
        "gulls gulls\ngulls  lamp",
        "the unheard lamp-keeper",
        "of 3 é橋",
        "lamp " * 500,
    ]
    found = embedded(EmbedText(model=str(word_vectors)), [*texts, None])
    model = fasttext.load_model(str(word_vectors))
    for text, vector in zip(texts, found, strict=False):
        expected = model.get_sentence_vector(text.replace("\n", " "))
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)
    assert found[5] is None


def test_words_that_word_vectors_do_not_know(word_vectors):
    found = embedded(EmbedText(model=str(word_vectors)), ["zzz", " "])
    model = fasttext.load_model(str(word_vectors))
    assert (found[0] is None) == (not model.get_sentence_vector("zzz").any())
    assert found[1] is None


@pytest.mark.parametrize("size", [0, 3, 40, 90, 200, -1])
def test_word_vectors_that_end_too_early(word_vectors, tmp_path, size):
    """At the end of the file is the output matrix, which is not read: half the file ends within the input."""
    data = word_vectors.read_bytes()
    path = tmp_path / "cut.bin"
    path.write_bytes(data[: len(data) // 2 if size < 0 else size])
    with pytest.raises(ValueError, match=r"cut\.bin: no fastText"):
        EmbedText(model=str(path)).open({})


def test_a_model_of_the_catalogue():
    fetch("lid176")
    stage = EmbedText(model="lid176")
    assert [p.name for p in stage.resources()] == ["lid.176.ftz"]
    english, again, chinese = embedded(stage, ["The old keeper", "An old man climbs up", "老守灯人那天晚上"])
    assert cosine(english, again) > cosine(english, chinese)


def test_no_such_file():
    stage = EmbedText(model="no/such/model.bin")
    assert [str(p) for p in stage.resources()] == ["no/such/model.bin"]  # the engine says that it is missing
    with pytest.raises(OSError, match="no/such"):
        stage.open({})


# --- models of libraries -------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub cache with one model."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = tmp_path / "hub" / "models--org--small"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    folder = root / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.mark.parametrize("kind", ["model2vec", "sentence-transformers"])
def test_hub_names_mean_what_is_in_the_cache(hub, kind):
    for name in ("org/small", "org/small@main", f"org/small@{hub.name}", str(hub)):
        stage = EmbedText(model=f"{kind}:{name}")
        assert list(stage.problems()) == []
        assert [p.name for p in stage.resources()] == ["config.json"]
        assert model_folder(name) == hub


@pytest.mark.parametrize("kind", ["model2vec", "sentence-transformers"])
def test_what_is_not_here_is_refused_before_any_work(hub, kind):
    (problem,) = EmbedText(model=f"{kind}:org/other@v1").problems()
    assert "runs fetch no models from the hub, so run `hf download org/other` first" in problem
    assert "snapshots/v1" in problem
    (problem,) = EmbedText(model=f"{kind}:/no/such/folder/").problems()
    assert "no folder /no/such/folder/" in problem
    assert list(EmbedText(model=f"{kind}:org/other").resources()) == []


def test_where_the_hub_keeps_its_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert _embed_models.hub_cache() == tmp_path / "hub"
    monkeypatch.delenv("HF_HOME")
    assert _embed_models.hub_cache() == Path.home() / ".cache" / "huggingface" / "hub"


@pytest.mark.parametrize(
    ("kind", "package"), [("model2vec", "model2vec"), ("sentence-transformers", "sentence_transformers")]
)
def test_a_package_that_is_not_installed(hub, kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ValueError, match=rf"needs the package {package}; run pip install 'corpusmill\[{kind}\]'"
    ):
        EmbedText(model=f"{kind}:org/small").open({})


class Fake:
    """What both libraries' models look like from here: each text its length and its words."""

    def __init__(self, folder, **kwargs):
        self.folder, self.kwargs, self.calls = folder, kwargs, []

    @classmethod
    def from_pretrained(cls, folder):
        return cls(folder)

    def encode(self, texts, **kwargs):
        self.calls.append(kwargs)
        assert all(isinstance(t, str) and t.strip() for t in texts)
        return np.array([[len(t), len(t.split()), math.nan if "nan" in t else 1] for t in texts], np.float32)


@pytest.mark.parametrize("kind", ["model2vec", "sentence-transformers"])
def test_models_of_libraries(hub, kind, monkeypatch):
    """The call as the library has it; the library itself is an extra."""
    monkeypatch.setitem(sys.modules, "model2vec", types.SimpleNamespace(StaticModel=Fake))
    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Fake))
    stage = EmbedText(model=f"{kind}:org/small", max_chars=5)
    model = stage.open({}).model
    assert model.folder == str(hub)
    found = embedded(stage, ["two wo", None, " ", "nan", "abcde"])
    assert [v is not None for v in found] == [True, False, False, False, True]
    assert np.allclose(found[0], np.array([5, 2, 1]) / math.sqrt(30))
    if kind == "sentence-transformers":
        assert model.kwargs == {"device": "cpu", "local_files_only": True}


# --- params --------------------------------------------------------------------------------------------


def test_names():
    assert parse_name("hashing") == ModelName("hashing", "")
    assert parse_name("model2vec:./x") == ModelName("model2vec", "./x")
    assert parse_name("C:/x.bin") == ModelName("fasttext", "C:/x.bin")
    assert parse_name("./hashing").kind == "fasttext"


def test_params():
    assert list(EmbedText().resources()) == []
    assert "would replace the text" in EmbedText(column="text").problems()[0]
    with pytest.raises(ValidationError):
        EmbedText(dim=0)


def test_lengths_of_one():
    unit, known = unit_rows(np.array([[3.0, 4.0], [0, 0], [np.inf, 1], [np.nan, 1]]))
    assert known.tolist() == [True, False, False, False]
    assert np.allclose(unit, [[0.6, 0.8], [0, 0], [0, 0], [0, 0]])
