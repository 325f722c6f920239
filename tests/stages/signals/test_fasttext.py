"""The compiled reader of fastText models beside the fastText library, and files that are no such models."""

import gzip
import json
import random
import struct
import threading

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from pipeline.models import fetch
from stages.kernels import fasttext as ours
from stages.kernels.fasttext import NO_LABEL, huffman_tree, load_fasttext
from tests.support.data import real_data

WORDS = {
    "tea": ["kettle", "leaf", "cup", "brew", "steep", "warm", "tin", "porcelain", "naïve", "café"],
    "sea": ["harbour", "gull", "tide", "mast", "rope", "storm", "Brücke", "größer", "œuvre", "señal"],
    "юг": ["старый", "мост", "дождь", "река", "берег", "поезд", "хлеб", "окно", "чайник", "ветер"],
    "東": [
        "古い",
        "橋",
        "は修理の",
        "ため",
        "通行止め",
        "川沿い",
        "に歩いて",
        "雨の中",
        "漢字",
        "🙂👩\u200d🚀",
    ],
    "ไทย": ["สะพานเก่า", "ปิดซ่อม", "เรา", "จึงเดิน", "กลับบ้าน", "เลียบ", "แม่น้ำ", "ท่ามกลาง", "สายฝน", "ฝน"],
}
UNSEEN = ["", "x", "qqq zzz", "ß", "a" * 300, "tea " * 400, "</s> kettle", "kettle </s> gull gull gull"]


def sentences(seed, count):
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        label = rng.choices(list(WORDS), weights=range(1, 6))[0]
        words = rng.choices(WORDS[label], k=rng.randint(1, 12))
        words += rng.choices(WORDS[rng.choice(list(WORDS))], k=rng.randint(0, 4))
        rows.append((label, " ".join(words)))
    return rows


def train(folder, rows=None, quantize=None, **settings):
    """A model trained on 400 sentences, saved; the library's handle and the file's path."""
    source, path = folder / "train.txt", folder / "model.bin"
    rows = rows or sentences(1, 400)
    source.write_text("".join(f"__label__{label} {text}\n" for label, text in rows), encoding="utf-8")
    common = {"thread": 1, "verbose": 0, "dim": 11, "epoch": 6, "bucket": 5000, "lr": 0.4}
    model = fasttext.train_supervised(str(source), **{**common, **settings})
    if quantize is not None:
        model.quantize(str(source), thread=1, verbose=0, **quantize)
    model.save_model(str(path))
    return fasttext.load_model(str(path)), path


def test_texts():
    unseen = [text for text in UNSEEN if text.strip() and text != "</s> kettle"]
    mixed = [text.replace(" ", "\t", 1) + " \u00a0zz\r" for _, text in sentences(3, 40)]
    return [text for _, text in sentences(2, 200)] + unseen + mixed


test_texts.__test__ = False


def assert_equal(library, path, texts, decode_bytes=ours.DECODE_BYTES):
    """Equal best labels and scores, and equal probabilities of every label."""
    mine = load_fasttext(path, decode_bytes)
    assert mine.labels == library.get_labels()
    labels, scores = library.predict(texts, k=1)
    found = mine.predict(pa.array(texts, pa.large_string()))
    got = [mine.labels[number] for number in found.labels]
    np.testing.assert_allclose(found.scores, [float(s[0]) for s in scores], atol=2e-5)
    assert got == [label[0] for label in labels]
    everything, values = library.predict(texts, k=-1)
    for number, label in enumerate(mine.labels):
        target = mine.predict(pa.array(texts, pa.large_string()), number).targets
        theirs = [
            dict(zip(names, list(v), strict=True)).get(label, 0)
            for names, v in zip(everything, values, strict=True)
        ]
        np.testing.assert_allclose(target, theirs, atol=2e-5)


@pytest.mark.parametrize("loss", ["softmax", "hs", "ns", "ova"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"wordNgrams": 2},
        {"wordNgrams": 3, "minn": 2, "maxn": 5},
        {"minn": 2, "maxn": 5},
        {"minn": 1, "maxn": 1},
    ],
    ids=["words", "bigrams", "everything", "subwords", "characters"],
)
def test_every_loss_and_feature(loss, settings, tmp_path):
    library, path = train(tmp_path, loss=loss, **settings)
    assert_equal(library, path, test_texts())


@pytest.mark.parametrize(
    "quantize",
    [
        {},
        {"qnorm": True},
        {"qnorm": True, "qout": True},
        {"cutoff": 300, "retrain": True, "qnorm": True},
        {"dsub": 3},
    ],
    ids=["plain", "norms", "output", "pruned", "uneven"],
)
@pytest.mark.parametrize("loss", ["softmax", "hs"])
@pytest.mark.parametrize("decode_bytes", [0, 1 << 20])
def test_quantized_models(quantize, loss, decode_bytes, tmp_path):
    rows = sentences(1, 400)
    if quantize.get("qout"):  # 256 centroids need as many labels
        rows = [
            (f"{label}{number % 60}", f"{text} n{number % 60}")
            for number, (label, text) in enumerate(rows * 2)
        ]
    library, path = train(tmp_path, rows, quantize, loss=loss, wordNgrams=2, minn=2, maxn=4)
    assert_equal(library, path, test_texts(), decode_bytes)


def test_a_model_with_one_label_and_one_of_many(tmp_path):
    library, path = train(tmp_path, [("only", "tea")] * 20, loss="hs", minCount=1)
    assert_equal(library, path, ["tea", "sea"])
    many = [(f"l{number % 90}", f"w{number % 90} v{number % 7}") for number in range(900)]
    library, path = train(tmp_path, many, loss="hs", minn=2, maxn=3)
    assert_equal(library, path, [f"w{number} v{number % 5}" for number in range(90)])


def test_labels_with_another_prefix_are_no_words(tmp_path):
    rows = sentences(1, 200)
    (tmp_path / "t.txt").write_text("".join(f"#{label} {text}\n" for label, text in rows), encoding="utf-8")
    settings = {"thread": 1, "verbose": 0, "dim": 5, "label": "#", "minn": 2, "maxn": 3, "bucket": 999}
    fasttext.train_supervised(str(tmp_path / "t.txt"), **settings).save_model(str(tmp_path / "m.bin"))
    texts = ["#tea kettle", "kettle", "__label__other kettle", "#unknown kettle"]
    assert_equal(fasttext.load_model(str(tmp_path / "m.bin")), tmp_path / "m.bin", texts)


@pytest.mark.real_data
def test_lid176_on_languages_of_the_world():
    path = fetch("lid176")
    texts = []
    with gzip.open(real_data("lang/pud_dev.jsonl.gz"), "rt", encoding="utf-8") as file:
        texts += [json.loads(line)["text"] for line in file]
    for name in ("aozora_ja_pd_sample", "eltec_deu_sample", "poetry_zh_sample", "rust_rfcs_sample"):
        with gzip.open(real_data(f"text/{name}.jsonl.gz"), "rt", encoding="utf-8") as file:
            for line, _ in zip(file, range(40), strict=False):
                text = json.loads(line)["text"].replace("\n", " ")[:20_000]
                texts += [text[k : k + 997] for k in range(0, len(text), 997)]
    texts = [text for text in texts if text.strip()]
    library = fasttext.load_model(str(path))
    labels, scores = library.predict(texts)
    found = load_fasttext(path).predict(pa.array(texts))
    mine = load_fasttext(path)
    assert len(texts) > 3500
    assert [mine.labels[number] for number in found.labels] == [label[0] for label in labels]
    np.testing.assert_allclose(found.scores, [float(s[0]) for s in scores], atol=1e-5)


def test_nothing_to_read(tmp_path):
    _, path = train(tmp_path, minn=2, maxn=3)
    model = load_fasttext(path)
    found = model.predict(pa.array([None, "", " \t\n\0", "kettle"], pa.large_string()), 0)
    assert found.labels[:3].tolist() == [NO_LABEL] * 3
    assert np.isnan(found.scores[:3]).all()
    assert np.isnan(found.targets[:3]).all()
    assert found.labels[3] >= 0
    assert len(model.predict(pa.array([], pa.string())).labels) == 0


def test_a_newline_is_a_space(tmp_path):
    library, path = train(tmp_path, wordNgrams=2)
    found = load_fasttext(path).predict(pa.array(["kettle\nleaf\n\ngull\n"]))
    assert found.scores[0] == pytest.approx(library.predict("kettle leaf gull")[1][0], abs=1e-5)


def test_results_do_not_depend_on_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "CACHE_BYTES", 0)  # 64 slots: words push each other out
    _, path = train(tmp_path, minn=2, maxn=5)
    texts = pa.array(test_texts() * 2)
    model = load_fasttext(path)
    first, again = model.predict(texts), model.predict(texts)
    alone = [load_fasttext(path).predict(texts.slice(row, 1)).scores[0] for row in range(0, len(texts), 23)]
    assert first.scores.tobytes() == again.scores.tobytes()
    assert first.scores[::23].tolist() == alone
    monkeypatch.setattr(ours, "CACHE_BYTES", 8 << 20)
    assert load_fasttext(path).predict(texts).scores.tobytes() == first.scores.tobytes()


def test_threads_do_not_meet(tmp_path):
    _, path = train(tmp_path, minn=2, maxn=5)
    model, texts = load_fasttext(path), pa.array(test_texts() * 20)
    wanted, results = model.predict(texts).scores.tobytes(), []
    threads = [threading.Thread(target=lambda: results.append(model.predict(texts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.scores.tobytes() for r in results] == [wanted] * 4


def test_one_word_of_a_megabyte(tmp_path):
    library, path = train(tmp_path, minn=2, maxn=3)
    assert_equal(library, path, ["ab" * 500_000, "橋" * 300_000])


def test_the_tree_is_that_of_the_counts():
    counts = [40, 22, 9, 9, 5, 1]
    parents, left, right = huffman_tree(np.array(counts))
    depth = [0] * len(counts)
    for leaf in range(len(counts)):
        node = leaf
        while parents[node] >= 0:
            assert node in (left[parents[node]], right[parents[node]])
            node, depth[leaf] = parents[node], depth[leaf] + 1
        assert node == 2 * len(counts) - 2
    assert sum(2.0**-d for d in depth) == 1
    # the least that any code costs, by hand: 1+5=6, 6+9=15, 9+15=24, 22+24=46, 40+46=86; together 177
    assert sum(c * d for c, d in zip(counts, depth, strict=True)) == 177


def test_files_that_are_no_models(tmp_path):
    _, path = train(tmp_path, minn=2, maxn=3)
    good = path.read_bytes()
    bad = tmp_path / "bad.bin"

    def refuse(data, message):
        bad.write_bytes(data)
        with pytest.raises(ValueError, match=message) as error:
            load_fasttext(bad)
        assert str(bad) in str(error.value)

    refuse(b"", "the file is empty")
    refuse(b"not a model at all, but long enough", "starts with")
    refuse(good[:4] + struct.pack("<i", 13) + good[8:], "format version 13")
    refuse(good[:6], "ends within the header")
    for size in (70, 90, 400, len(good) // 2, len(good) - 1):
        refuse(good[:size], "it ends within")
    refuse(good[:8] + struct.pack("<i", 12) + good[12:], "the dictionary needs")  # dim
    refuse(good[:36] + struct.pack("<i", 2) + good[40:], "word vectors")
    refuse(good[:32] + struct.pack("<i", 9) + good[36:], "impossible settings")
    refuse(good[:40] + struct.pack("<i", 0) + good[44:], "no bucket")
    refuse(good[:64] + struct.pack("<i", 1 << 30) + good[68:], "dictionary")


def test_damage_anywhere_is_refused_or_harmless(tmp_path):
    _, path = train(tmp_path, None, {"cutoff": 300, "qnorm": True}, minn=2, maxn=3, dim=4)
    good, bad = path.read_bytes(), tmp_path / "bad.ftz"
    rng, refused = random.Random(5), 0
    for _ in range(120):
        data = bytearray(good)
        at = rng.randrange(8, min(len(data), 3000))
        data[at : at + 4] = rng.randbytes(4)
        bad.write_bytes(data)
        try:
            model = load_fasttext(bad)
        except ValueError as error:
            refused += "bad.ftz" in str(error)
            continue
        assert len(model.labels) >= 1
    assert refused >= 5


def test_word_vectors_are_refused(tmp_path):
    (tmp_path / "t.txt").write_text("tea kettle leaf cup\n" * 50)
    vectors = fasttext.train_unsupervised(
        str(tmp_path / "t.txt"), dim=3, epoch=1, thread=1, minCount=1, bucket=50
    )
    vectors.save_model(str(tmp_path / "v.bin"))
    with pytest.raises(ValueError, match="word vectors"):
        load_fasttext(tmp_path / "v.bin")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_fasttext(tmp_path / "absent.bin")
