"""Which engine is chosen, what is said of it, and that a difference is never written."""

import json
import pickle
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import PipelineError
from pipeline.quarantine import isolate
from pipeline.schema import TEXT
from stages.tokenization import _gate
from stages.tokenization._engines import EngineFailed, engine_version
from stages.tokenization._gate import EngineDiffers, choose, first_difference
from stages.tokenization._reference import reference_from_json
from stages.tokenization._tokenizers import open_tokenizer
from stages.tokenization.tokenize import Tokenize
from tests.shards.make import documents, texts
from tests.stages.tokenization.kinds import tokenizer_text
from tests.support.data import real_data

ENGINES = ["reference", "fastokens", "gigatoken"]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "tokenizer.json").write_text(tokenizer_text("gpt2"), encoding="utf-8")
    return tmp_path / "tokenizer.json"


@pytest.fixture(autouse=True)
def _no_memory():
    _gate._verdicts.cache_clear()
    yield
    _gate._verdicts.cache_clear()


class Swapped:
    """An engine that gives the reference's tokens, but for one text, of as many bytes in all."""

    def __init__(self, text, only=None):
        self._reference, self._only = reference_from_json(text), only

    def encode(self, texts):
        encoded = self._reference.encode(texts.to_pylist())
        ids = encoded.ids.copy()
        for i, text in enumerate(texts.to_pylist()):
            if self._only is None or text == self._only:
                part = ids[encoded.offsets[i] : encoded.offsets[i + 1]]
                part[:] = part[::-1]
        return ids, encoded.offsets


def use(monkeypatch, name, only=None):
    monkeypatch.setattr(_gate, "open_engine", lambda _, data: Swapped(json.dumps(data), only))
    monkeypatch.setattr(_gate, "engine_version", lambda _: "9.9")
    monkeypatch.setattr("stages.tokenization.tokenize.engine_version", lambda _: "9.9")
    assert name in ENGINES


def test_the_output_is_the_same_whatever_the_engine(path):
    batch = documents([*texts(60), None, "", "日本語 <|endoftext|> naïve e\u0301", "x" * 3000])
    marks = {}
    for engine in ENGINES:
        if engine != "reference" and engine_version(engine) is None:
            continue
        stage = Tokenize(tokenizer=str(path), engine=engine, check=1.0, min_tokens=3, max_tokens=900)
        resource = stage.open({})
        assert resource.choice.name == engine
        assert pickle.loads(pickle.dumps(resource)).choice.name == engine
        marks[engine] = stage.annotate(batch, resource)
    first = marks.pop("reference")
    if not marks:
        pytest.skip("no fast engine is installed: pip install fastokens gigatoken awkward")
    for other in marks.values():
        assert other.reject.equals(first.reject)
        assert other.evidence.equals(first.evidence)
        assert {k: v.equals(first.columns[k]) for k, v in other.columns.items()} == dict.fromkeys(
            first.columns, True
        )


def test_auto_takes_the_first_that_passes(path):
    pytest.importorskip("fastokens", reason="an optional engine")
    assert Tokenize(tokenizer=str(path)).open({}).choice.name == "fastokens"
    (line,) = Tokenize(tokenizer=str(path)).describe()
    assert line.startswith("engine: fastokens (fastokens ")
    assert "gave the tokens of the reference for every probe" in line


def test_an_engine_that_is_missing(path, monkeypatch):
    monkeypatch.setattr(_gate, "engine_version", lambda _: None)
    monkeypatch.setattr("stages.tokenization.tokenize.engine_version", lambda _: None)
    stage = Tokenize(tokenizer=str(path))
    assert stage.describe() == (
        "engine: reference (fastokens is not installed (pip install fastokens); "
        "gigatoken is not installed (pip install gigatoken))",
    )
    assert stage.problems() == []
    wanted = Tokenize(tokenizer=str(path), engine="gigatoken")
    assert wanted.problems() == [
        "engine 'gigatoken' is not installed; pip install gigatoken, or write engine: auto"
    ]
    with pytest.raises(
        ValueError, match=r"engine 'gigatoken': gigatoken is not installed.*write engine: auto"
    ):
        wanted.open({})
    assert "is not installed" in wanted.describe()[0]


def test_an_engine_that_fails_the_probe(path, monkeypatch):
    use(monkeypatch, "fastokens")
    choice = open_tokenizer(path).choice
    assert choice.fast is None
    assert "fastokens gives other tokens than the reference for the probe" in choice.why
    assert "gigatoken gives other tokens" in choice.why
    with pytest.raises(ValueError, match="fastokens gives other tokens"):
        open_tokenizer(path, engine="fastokens")


def test_an_engine_that_does_not_load_or_panics(path, monkeypatch):
    def refuse(name, data):
        raise EngineFailed("panic: no")

    use(monkeypatch, "fastokens")
    monkeypatch.setattr(_gate, "open_engine", refuse)
    assert "fastokens does not take the tokenizer (panic: no)" in open_tokenizer(path).choice.why
    broken = type("Broken", (), {"encode": lambda self, texts: refuse("", {})})
    monkeypatch.setattr(_gate, "open_engine", lambda name, data: broken())
    assert "fastokens failed on the probe (panic: no)" in open_tokenizer(path).choice.why


def test_a_verdict_is_kept_for_the_process(path, monkeypatch):
    pytest.importorskip("fastokens", reason="an optional engine")
    open_tokenizer(path)
    monkeypatch.setattr(_gate, "probe_texts", lambda data: pytest.fail("probed twice"))
    assert open_tokenizer(path).choice.name == "fastokens"


def test_forms_and_kinds_without_an_engine(tmp_path):
    for kind, why in (("unigram", "its model is Unigram, not BPE"), ("wordpiece", "WordPiece")):
        (tmp_path / f"{kind}.json").write_text(tokenizer_text(kind), encoding="utf-8")
        choice = open_tokenizer(tmp_path / f"{kind}.json").choice
        assert choice.name == "reference"
        assert why in choice.why
    (tmp_path / "o200k.json").write_text(tokenizer_text("o200k"), encoding="utf-8")
    with pytest.raises(ValueError, match="fastokens is not known to be right for a tokenizer of this form"):
        open_tokenizer(tmp_path / "o200k.json", engine="fastokens")


def test_without_a_file_nothing_is_said():
    assert Tokenize().describe() == ("engine: auto, settled when the tokenizer is there",)
    assert (
        Tokenize(tokenizer="no/such.json", engine="reference").describe()[0].startswith("engine: reference")
    )


def test_a_difference_in_the_sample_stops_the_run(path, monkeypatch):
    found = [*texts(20), "the cat sat on a mat", *texts(20, seed=3)]
    use(monkeypatch, "fastokens", only=found[20])
    batch = documents(found)
    stage = Tokenize(tokenizer=str(path), check=1.0)
    resource = stage.open({})
    assert resource.choice.name == "fastokens"  # the probe does not have this text
    message = r"document 'web/f#20': the engine fastokens gives other tokens.*write engine: reference"
    with pytest.raises(EngineDiffers, match=message) as caught:
        stage.annotate(batch, resource)
    assert isinstance(caught.value, PipelineError)  # which is never set aside with a row
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)

    class Unwatched:
        def alone(self, batch):
            return False

        def watching(self, batch):
            return memoryview(b"")  # any context manager

    with pytest.raises(EngineDiffers):
        list(isolate(batch, lambda part, start: stage.annotate(part, resource), Unwatched()))
    quiet = Tokenize(tokenizer=str(path), check=None)
    right = Tokenize(tokenizer=str(path), engine="reference").open({})
    got, expected = (quiet.annotate(batch, r).columns["input_ids"] for r in (resource, right))
    assert not got.equals(expected)  # without the sample the fault would have been written


def test_the_sample_does_not_depend_on_batches(path, monkeypatch):
    pytest.importorskip("fastokens", reason="an optional engine")
    stage = Tokenize(tokenizer=str(path), check=0.2)
    resource = stage.open({})
    batch = documents(texts(200))
    seen = []
    monkeypatch.setattr(resource, "check", lambda texts, ids, *_: seen.append(ids.to_pylist()))
    stage.annotate(batch, resource)
    whole = list(chain.from_iterable(seen))
    seen.clear()
    for i in range(0, 200, 7):
        stage.annotate(batch.slice(i, 7), resource)
    assert list(chain.from_iterable(seen)) == whole
    assert 20 < len(whole) < 60


def test_first_difference_sees_ids_ends_and_lengths():
    reference = reference_from_json(tokenizer_text("gpt2"))
    one = reference.encode(["a b", "the cat", ""])
    assert first_difference(one, one) is None
    for field in ("ids", "ends"):
        changed = getattr(one, field).copy()
        changed[-1] += 1
        assert first_difference(one, one._replace(**{field: changed})) == 1
    assert first_difference(one, reference.encode(["a b", "the", "cat"])) == 1
    assert first_difference(one, reference.encode(["a b", "the cat", "x"])) == 2


@pytest.mark.real_data
def test_a_rank_file_has_a_fast_engine():
    pytest.importorskip("fastokens", reason="an optional engine")
    tokenizer = open_tokenizer(real_data("tok/openai_tiktoken/cl100k_base.tiktoken"))
    assert tokenizer.choice.name in ("fastokens", "gigatoken")
    found = ["tiktoken is great!", "お誕生日おめでとう", "<|endoftext|>", " " * 200, "a\u180e'ſ"]
    encoded = tokenizer.encode(pa.array(found, TEXT.type))
    assert first_difference(encoded, tokenizer.reference.encode(found)) is None


@pytest.mark.real_data
def test_a_unigram_model_is_for_sentencepiece():
    path = real_data("tok/sentencepiece/test_model.model")
    tokenizer = open_tokenizer(path)
    assert tokenizer.choice == choose("auto", tokenizer.reference, tokenizer.info)
    assert "right here: it is no BPE model" in tokenizer.choice.why
    assert isinstance(tokenizer.encode(pa.array(["a"], TEXT.type)).ids, np.ndarray)
    with pytest.raises(ValueError, match="engine 'fastokens'"):
        open_tokenizer(path, engine="fastokens")
