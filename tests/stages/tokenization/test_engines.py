"""Fast engines give the ids and ends of the reference on whatever text, and where they cannot, they are not used."""

import json
import os
import sys
import zipfile
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import TEXT
from stages.tokenization import _engines
from stages.tokenization._engines import EngineFailed, Gigatoken, guarded, open_engine
from stages.tokenization._engines_allowed import form_of
from stages.tokenization._engines_pieces import Piece, read_model, why_not
from stages.tokenization._gate import first_difference
from stages.tokenization._gate_probe import probe_texts
from stages.tokenization._tokenizers import open_tokenizer
from tests.stages.tokenization.kinds import (
    FAST,
    KINDS,
    corpus,
    odd_texts,
    sentencepiece_model,
    tokenizer_text,
)
from tests.support.data import SAMPLES, real_data


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A tokenizer of a kind with an engine, opened once."""
    folder, made = tmp_path_factory.mktemp("engines"), {}

    def get(kind, engine):
        if engine != "reference":
            pytest.importorskip(engine, reason="an optional engine")
        if (kind, engine) not in made:
            path = folder / f"{kind}.json"
            path.write_text(tokenizer_text(kind), encoding="utf-8")
            made[kind, engine] = open_tokenizer(path, engine=engine)
        return made[kind, engine]

    return get


def by_reference(tokenizer, texts):
    """Slow and independent: the library called for each text, as documented."""
    library = tokenizers.Tokenizer.from_str(tokenizer.path.read_text("utf-8"))
    library.encode_special_tokens = True
    ids, ends = [], []
    for text in texts:
        encoding = library.encode(text, add_special_tokens=False)
        ids.append(encoding.ids)
        ends.append([max(end for _, end in encoding.offsets[: k + 1]) for k in range(len(encoding.ids))])
    return ids, ends


def lists(encoded):
    bounds = encoded.offsets.tolist()
    return [[flat[a:b].tolist() for a, b in pairwise(bounds)] for flat in (encoded.ids, encoded.ends)]


def column(texts):
    return pa.array(texts, TEXT.type)


TEXTS = [
    *corpus()[:40],
    "",
    " ",
    "\n",
    "a<|endoftext|>b</s><s>",
    "the  été 中    the",
    "e\u0301 \u0958 q\u0307\u0323",
    "\x00\ufeff\ufffd",
]


@pytest.mark.parametrize(("kind", "engine"), [*FAST, *((kind, "reference") for kind in KINDS)])
def test_ids_and_ends_are_the_librarys(opened, kind, engine):
    tokenizer = opened(kind, engine)
    assert tokenizer.choice.name == engine
    assert lists(tokenizer.encode(column(TEXTS))) == list(by_reference(tokenizer, TEXTS))


@pytest.mark.parametrize(("kind", "engine"), FAST)
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(odd_texts(), max_size=8))
def test_odd_texts_are_encoded_as_by_the_reference(opened, kind, engine, texts):
    tokenizer = opened(kind, engine)
    assert first_difference(tokenizer.encode(column(texts)), tokenizer.reference.encode(texts)) is None


@pytest.mark.real_data
@pytest.mark.parametrize(("kind", "engine"), FAST)
def test_the_declaration_of_human_rights_in_its_languages(opened, kind, engine):
    tokenizer = opened(kind, engine)
    with zipfile.ZipFile(real_data("lang/udhr2.zip")) as archive:
        names = [name for name in sorted(archive.namelist()) if not name.endswith("/")][::3]
        texts = [archive.read(name).decode("utf-8", "replace")[:1500] for name in names]
    assert len(texts) > 50
    assert first_difference(tokenizer.encode(column(texts)), tokenizer.reference.encode(texts)) is None


@pytest.mark.parametrize(("kind", "engine"), FAST)
def test_special_tokens_are_put_around_and_never_read(opened, kind, engine):  # T54
    tokenizer = opened(kind, engine)
    texts = ["", "a<|endoftext|>b", "</s>", "日本", "<s>" * 50]
    encoded = tokenizer.encode(column(texts), bos=1, eos=0)
    ids, ends = lists(encoded)
    inner, inner_ends = lists(tokenizer.reference.encode(texts))
    assert ids == [[1, *tokens, 0] for tokens in inner]
    assert ends == [[0, *places, len(text)] for places, text in zip(inner_ends, texts, strict=True)]
    assert not {0, 1, 2} & {i for tokens in inner for i in tokens}


@pytest.mark.parametrize("engine", ["fastokens", "gigatoken"])
def test_columns_may_be_slices_and_have_no_rows(opened, engine):
    tokenizer = opened("gpt2", engine)
    whole = column(TEXTS)
    for part in (whole.slice(3, 0), whole.slice(5, 9), whole.slice(len(TEXTS) - 1), column([""]), column([])):
        assert first_difference(tokenizer.encode(part), tokenizer.reference.encode(part.to_pylist())) is None


def test_texts_that_nfc_changes_are_for_the_reference(opened, monkeypatch):
    tokenizer = opened("qwen_nfc", "fastokens")
    seen = []
    encode = tokenizer.reference.encode
    monkeypatch.setattr(tokenizer.reference, "encode", lambda texts: seen.extend(texts) or encode(texts))
    texts = ["plain", "caf\u00e9", "cafe\u0301", "\u0958", "각각", "ไทย", "q\u0307\u0323"]
    ids, ends = lists(tokenizer.encode(column(texts), eos=0))
    assert seen == ["cafe\u0301", "\u0958", "q\u0307\u0323"]
    assert [tokens[:-1] for tokens in ids] == by_reference(tokenizer, texts)[0]
    assert [places[-1] for places in ends] == [len(text) for text in texts]


MODELS = {"prefix": (True, ()), "plain": (False, ()), "user_defined": (True, ("[DOC]", "the cat"))}


@pytest.fixture(scope="module", params=MODELS)
def model(tmp_path_factory, request):
    """A SentencePiece model, opened with an engine."""
    pytest.importorskip("gigatoken", reason="an optional engine")
    path = tmp_path_factory.mktemp("model") / "tokenizer.model"
    path.write_bytes(sentencepiece_model(*MODELS[request.param]))
    return open_tokenizer(path, engine="gigatoken")


def test_sentencepiece_models_are_encoded_as_by_sentencepiece(model):
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model.path))
    texts = [
        *TEXTS,
        "[DOC]",
        "so the cat sat",
        "\u2028'",
        "½",
        "▁",
        "▁▁ ▁",
        *(" " * n + "a" for n in range(70)),
    ]
    encoded = model.encode(column(texts), bos=1, eos=2)
    ids, ends = lists(encoded)
    assert ids == [[1, *processor.encode(text), 2] for text in texts]
    spans = processor.encode(texts, return_type="offset_mapping")
    expected = [
        [0, *np.maximum.accumulate([0, *(end for _, end in s["offsets"])])[1:], len(t)]
        for s, t in zip(spans, texts, strict=True)
    ]
    assert ends == expected


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(odd_texts(), max_size=8))
def test_odd_texts_are_encoded_as_by_sentencepiece(model, texts):
    assert first_difference(model.encode(column(texts)), model.reference.encode(texts)) is None


def test_texts_with_user_defined_pieces_are_for_sentencepiece(tmp_path):
    pytest.importorskip("gigatoken", reason="an optional engine")
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(*MODELS["user_defined"]))
    fast = open_tokenizer(tmp_path / "tokenizer.model", engine="gigatoken").choice.fast
    assert fast.beyond(column(["a", "x[DOC]y", "", "the cat", "the  cat"])).tolist() == [
        False,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"trainer": {3: 1}}, "it is no BPE model"),
        ({"trainer": {35: 0}}, "it does not fall back to bytes"),
        ({"trainer": {24: 1}}, "its spaces end words"),
        ({"normalizer": {2: b"x"}}, "it normalizes"),
        ({"normalizer": {4: 1}}, "it trims spaces"),
        ({"normalizer": {5: 0}}, "it keeps spaces as they are"),
        ({"pieces": Piece("x", -1.0, 5)}, "it has unused pieces"),
        ({"pieces": Piece("▁▁", -5.0, 1)}, ""),
        ({"pieces": Piece("qqq", -5.0, 1)}, "pieces of it have the same score"),
    ],
)
def test_models_that_no_engine_may_have(tmp_path, change, why):
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(prefix=True))
    whole = read_model(tmp_path / "tokenizer.model")
    assert why_not(whole) == ""
    changed = {
        name: [*whole.pieces, value] if name == "pieces" else {**getattr(whole, name), **value}
        for name, value in change.items()
    }
    if change.get("pieces") == Piece("▁▁", -5.0, 1):  # alone of its kind, and the last
        changed["pieces"] = [p for p in whole.pieces if p.text.strip("▁") or len(p.text) < 2]
        changed["pieces"] += [Piece("▁▁", -1e9, 1), Piece("▁▁▁", -1e9, 1)]
    assert why_not(whole._replace(**changed)) == why


@pytest.mark.parametrize("engine", ["fastokens", "gigatoken"])
def test_ten_megabytes_without_a_space(opened, engine):  # T53: as a whole, as in one piece, and it ends
    tokenizer = opened("gpt2", engine)
    rng = np.random.default_rng(3)
    text = rng.integers(97, 123, 10_000_000, np.uint8).tobytes().decode()
    encoded = tokenizer.encode(column(["a", text, "b c"]))
    assert lists(tokenizer.encode(column(["b c"])))[0][0] == encoded.ids[encoded.offsets[2] :].tolist()
    tokens = encoded.ids[encoded.offsets[1] : encoded.offsets[2]]
    library = tokenizers.Tokenizer.from_file(str(tokenizer.path))
    words = np.array([library.id_to_token(i).encode() for i in range(library.get_vocab_size())], object)
    assert b"".join(words[tokens]).decode() == text
    assert int(encoded.ends[encoded.offsets[2] - 1]) == len(text)
    short = text[:300_000]  # the reference takes seconds for all of it
    assert first_difference(tokenizer.encode(column([short])), tokenizer.reference.encode([short])) is None


@pytest.mark.parametrize("engine", ["fastokens", "gigatoken"])
def test_added_tokens_above_65536(tmp_path, engine):  # T47
    pytest.importorskip(engine, reason="an optional engine")
    data = json.loads(tokenizer_text("gpt2"))
    data["model"]["vocab"] |= {f"filler{i}": i for i in range(len(data["model"]["vocab"]), 70_000)}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    library = tokenizers.Tokenizer.from_file(str(path))
    library.add_special_tokens(["<|late|>"])
    if engine == "fastokens":
        library.add_tokens(["zebra"])
    library.save(str(path))
    tokenizer = open_tokenizer(path, engine=engine)
    assert tokenizer.info.vocab_size == library.get_vocab_size() == 70_001 + (engine == "fastokens")
    texts = ["<|late|> zebras and a zebra"]
    encoded = tokenizer.encode(column(texts), eos=library.token_to_id("<|late|>"))
    assert int(encoded.ids[-1]) == 70_000
    assert (70_001 in encoded.ids) == (engine == "fastokens")
    ids, ends = by_reference(tokenizer, texts)
    assert lists(tokenizer.encode(column(texts))) == [ids, ends]


def test_memory_does_not_grow(opened, monkeypatch):
    tokenizer = opened("gpt2", "gigatoken")
    engine = tokenizer.choice.fast.engine
    monkeypatch.setattr(_engines, "RECYCLE_BYTES", 24 << 20)
    rng = np.random.default_rng(5)
    made, sizes = [], []
    for _ in range(24):
        letters = rng.integers(97, 123, 1_000_000, np.uint8)
        letters[rng.random(len(letters)) < 1 / 7] = 32
        engine.encode(column([letters.tobytes().decode()]))
        made.append(id(engine._tokenizer))
        sizes.append(_engines._resident_bytes())
    assert len(set(made)) > 1  # thrown away at least once, and then it still encodes the same
    assert max(sizes) - sizes[0] < 100 << 20
    assert first_difference(tokenizer.encode(column(TEXTS)), tokenizer.reference.encode(TEXTS)) is None


def test_a_budget_where_the_size_of_the_process_is_not_known(monkeypatch):
    monkeypatch.setattr(_engines, "_resident_bytes", lambda: None)
    budget = _engines._Budget()
    assert not budget.spent(_engines.BLIND_BYTES)
    assert budget.spent(1)


class PanicException(BaseException):
    """Named as the class that Rust's panics are, which no module exports."""


@pytest.mark.parametrize(
    "error", [PanicException("index out of bounds"), ValueError("no"), RuntimeError("borrowed")]
)
def test_what_the_engine_fails_on_is_for_the_reference(opened, monkeypatch, error):
    tokenizer = opened("gpt2", "fastokens")

    class Broken:
        def encode(self, texts):
            return guarded(self.fail)

        def fail(self):
            raise error

    choice = tokenizer.choice
    monkeypatch.setattr(tokenizer, "choice", choice._replace(fast=choice.fast._replace(engine=Broken())))
    encoded = tokenizer.encode(column(TEXTS))
    assert first_difference(encoded, tokenizer.reference.encode(TEXTS)) is None


def test_an_engine_without_a_package_that_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "awkward", None)
    monkeypatch.setitem(sys.modules, "fastokens._native", None)
    for name in ("fastokens", "gigatoken"):
        with pytest.raises(EngineFailed, match="ModuleNotFoundError"):
            open_engine(name, json.loads(tokenizer_text("gpt2")))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), type("Timeout", (Exception,), {})()])
def test_what_is_not_about_the_text_passes_through(error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        guarded(fail)


def test_a_text_whose_tokens_do_not_spell_it_is_for_the_reference(opened, monkeypatch):
    tokenizer = opened("gpt2", "fastokens")

    class Forgetful:
        def encode(self, texts):
            """Loses the last token of each text that has ten."""
            encoded = tokenizer.reference.encode([t[:5] if len(t) > 40 else t for t in texts.to_pylist()])
            return encoded.ids, encoded.offsets

    choice = tokenizer.choice
    monkeypatch.setattr(tokenizer, "choice", choice._replace(fast=choice.fast._replace(engine=Forgetful())))
    assert first_difference(tokenizer.encode(column(TEXTS)), tokenizer.reference.encode(TEXTS)) is None


def test_engines_take_one_thread(monkeypatch):
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    _engines._load("json")
    assert os.environ["RAYON_NUM_THREADS"] == "1"
    monkeypatch.setenv("RAYON_NUM_THREADS", "3")  # who sets it means it
    _engines._load("json")
    assert os.environ["RAYON_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": {"dropout": 0.1}}, "its model has dropout"),
        ({"model": {"unk_token": "<s>"}}, "its model has unk_token"),
        ({"model": {"end_of_word_suffix": "</w>"}}, "its model has end_of_word_suffix"),
        ({"model": {"continuing_subword_prefix": "##"}}, "its model has continuing_subword_prefix"),
        ({"model": {"byte_fallback": True}}, "its model is not BPE with all bytes"),
        ({"model": {"type": "WordPiece"}}, "its model is WordPiece, not BPE"),
        ({"normalizer": {"type": "Lowercase"}}, "its normalizer is Lowercase"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "NFC"}]}}, "is a sequence"),
        ({"pre_tokenizer": None}, "its pre-tokenizer is not one of those"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "its pre-tokenizer is not one of those"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}}, "its pre-tokenizer"),
    ],
)  # fmt: skip
def test_forms_that_no_engine_may_have(change, why):
    data = json.loads(tokenizer_text("gpt2"))
    assert form_of(data).engines == ("fastokens", "gigatoken")
    for part, values in change.items():
        data[part] = {**data["model"], **values} if part == "model" else values
    form = form_of(data)
    assert form.engines == ()
    assert why in form.why_not


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": {"dropout": 0.1}}, "its model has dropout"),
        ({"model": {"fuse_unk": False}}, "its model is not BPE with all bytes, unk_token and fuse_unk"),
        ({"model": {"unk_token": None}}, "its model is not BPE with all bytes, unk_token and fuse_unk"),
        ({"model": {"ignore_merges": True}}, "its model has ignore_merges"),
        ({"normalizer": None}, "it does more to spaces than to replace them"),
        ({"normalizer": {"type": "Prepend", "prepend": "▁"}}, "it does more to spaces than to replace them"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "it does more to spaces than to replace them"),
        (
            {"added_tokens": [{"content": "the", "special": False, "id": 300}]},
            "it has added tokens that are not special",
        ),
    ],
)
def test_forms_of_pieces_that_no_engine_may_have(change, why):
    data = json.loads(tokenizer_text("prepend_bytes"))
    assert form_of(data).engines == ("gigatoken",)
    for part, values in change.items():
        data[part] = {**data["model"], **values} if part == "model" else values
    assert form_of(data).why_not == why


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
def test_added_tokens_that_take_more_than_their_content(flag):
    data = json.loads(tokenizer_text("added"))
    data["added_tokens"][-2][flag] = True
    assert not data["added_tokens"][-2]["special"]
    assert flag in form_of(data).why_not


def test_a_pattern_must_be_the_very_one():
    data = json.loads(tokenizer_text("llama3"))
    first = data["pre_tokenizer"]["pretokenizers"][0]
    assert form_of(data).engines
    for changed in (
        {"behavior": "Removed"},
        {"invert": True},
        {"pattern": {"String": first["pattern"]["Regex"]}},
        {"pattern": {"Regex": first["pattern"]["Regex"] + "|x"}},
    ):
        data["pre_tokenizer"]["pretokenizers"][0] = {**first, **changed}
        assert form_of(data).engines == (), changed


def test_a_vocabulary_without_all_bytes_is_refused():
    data = json.loads(tokenizer_text("gpt2"))
    del data["model"]["vocab"]["Ā"]
    assert "lacks 1 of the 256 bytes" in form_of(data).why_not


def test_an_engine_that_does_not_take_the_tokenizer():
    pytest.importorskip("gigatoken", reason="an optional engine")
    data = json.loads(tokenizer_text("own_pattern"))
    with pytest.raises(EngineFailed):
        open_engine("gigatoken", data).encode(column(["a"]))
    assert Gigatoken(data)._tokenizer is None


def test_the_probe_has_what_it_should():
    text = "\n".join(probe_texts(json.loads(tokenizer_text("added"))))
    for part in (
        "\u180e",
        "I'ſ",
        "été 中",
        "<|im_start|>",
        "\U0001e900",
        "𠀀",
        "\U000e0100",
        "\r\n\r\n",
        " " * 257,
    ):
        assert part in text, part
    assert len(text.encode()) < 1_500_000


def test_all_of_the_samples(opened):
    tokenizer = opened("llama3", "fastokens")
    texts = pq.read_table(SAMPLES / "docs" / "books.parquet")["text"].to_pylist()
    assert first_difference(tokenizer.encode(column(texts)), tokenizer.reference.encode(texts)) is None
