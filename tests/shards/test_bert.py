"""Pairs and masks: 15 %, 80/10/10, never a special token, and the same from (seed, epoch, row) alone."""

import json

import numpy as np
import pytest

from shards.bert import BERT_COLUMNS, BertCollator, draws, word_continuations
from shards.loader import TokenShards
from tests.shards.plain import VOCAB, make_rows, plain_shards, write_plain

CLS, SEP, MASK, PAD, STOP = 1, 2, 4, 0, 77


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = plain_shards(tmp_path_factory.mktemp("bert") / "out", (150, 50), packing="none", seq_len=24)
    return TokenShards(folder, batch=50, seed=1, columns=BERT_COLUMNS)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert") / "long"
    write_plain(folder, [make_rows(200, 3, longest=200, full=True)], seq_len=200, packing="none")
    return TokenShards(folder, batch=200, columns=BERT_COLUMNS)


def bert(data, length=30, **params):
    return BertCollator(data, length, CLS, SEP, MASK, pad_id=PAD, **params)


def unmasked(batch):
    return np.where(batch["labels"] == -100, batch["input_ids"], batch["labels"])


def segments(batch, i):
    ids = unmasked(batch)[i][batch["attention_mask"][i]].tolist()
    types = batch["token_type_ids"][i][batch["attention_mask"][i]].tolist()
    assert ids[0] == CLS
    assert ids[-1] == SEP
    assert types == sorted(types)
    a = ids[1 : types.index(1)] if 1 in types else ids[1:]
    assert a[-1] == SEP
    return a[:-1], (ids[types.index(1) : -1] if 1 in types else None)


def test_one_segment(data):
    collate = bert(data)
    for batch in data:
        made = collate(batch)
        for i, row in enumerate(made["rows"]):
            assert segments(made, i) == (data[int(row)]["input_ids"].tolist(), None)
        assert not made["token_type_ids"].any()
        assert (made["input_ids"][~made["attention_mask"]] == PAD).all()


def test_long_rows_lose_their_end(long):
    made = bert(long, length=50)(next(iter(long)))
    for i, row in enumerate(made["rows"]):
        assert segments(made, i)[0] == long[int(row)]["input_ids"][:48].tolist()


def test_pairs_go_together(data):
    for batch in data:
        made = bert(data, pairs="split")(batch)
        assert "next_sentence_label" not in made
        for i, row in enumerate(made["rows"]):
            a, b = segments(made, i)
            assert a
            assert a + (b or []) == data[int(row)]["input_ids"].tolist()


def test_next_sentences(data, long):
    batch = next(iter(long))
    made = bert(long, length=500, pairs="nsp")(batch)
    strange = made["next_sentence_label"]
    assert 70 < strange.sum() < 130  # half of 200, 4 sigma
    for i, row in enumerate(made["rows"]):
        a, b = segments(made, i)
        ids = long[int(row)]["input_ids"].tolist()
        assert a == ids[: len(a)]
        if not strange[i]:
            assert a + b == ids
            continue
        tails = [tuple(long[r]["input_ids"][-len(b) :].tolist()) for r in range(len(long)) if r != row]
        assert tuple(b) in tails
    short = bert(data, length=9, pairs="nsp")
    for batch in data:
        made = short(batch)
        for i in range(len(made["rows"])):
            a, b = segments(made, i)
            assert len(a) >= 1
            assert len(a) + len(b) <= 6
            assert min(len(a), len(b)) <= 3 or len(a) == len(b) == 3


def test_sentences_are_not_cut(tmp_path):
    rows = [[[STOP if t % 9 == 5 else 1000 + t for t in range(30)]] for _ in range(20)]
    data = TokenShards(
        write_plain(tmp_path / "out", [rows], seq_len=30, packing="none"), batch=20, columns=BERT_COLUMNS
    )
    made = bert(data, length=40, pairs="split", sentence_end_ids=[STOP])(next(iter(data)))
    firsts = [segments(made, i)[0] for i in range(20)]
    assert all(a[-1] == STOP for a in firsts)
    assert {len(a) for a in firsts} == {6, 15, 24}


def test_shares_of_masks(long):
    special = [5, 6, 7]
    made = bert(long, length=202, special_ids=special)(next(iter(long)))
    chosen = made["labels"] != -100
    total = int(made["attention_mask"].sum()) - 2 * len(long)
    assert abs(chosen.sum() / total - 0.15) < 0.01
    before, after = unmasked(made)[chosen], made["input_ids"][chosen]
    assert abs((after == MASK).mean() - 0.8) < 0.03
    assert abs((after == before).mean() - 0.1) < 0.02
    swapped = after[(after != MASK) & (after != before)]
    assert not np.isin(swapped, [CLS, SEP, MASK, PAD, *special]).any()
    assert not np.isin(before, [CLS, SEP, MASK, PAD, *special]).any()
    assert len(np.unique(swapped)) > 0.98 * len(swapped)  # all over the vocabulary
    assert (made["labels"][~made["attention_mask"]] == -100).all()


def test_masks_follow_from_seed_epoch_and_row_alone(data):
    collate = bert(data, pairs="nsp")
    data.set_epoch(0)
    by_row = {}
    for batch in data:
        made = collate(batch)
        for i, row in enumerate(made["rows"].tolist()):
            by_row[row] = {name: made[name][i] for name in made}
    assert data.epoch == 1
    alone = TokenShards(data.folder.name, batch=3, seed=99, columns=BERT_COLUMNS, shuffle=False)
    for batch in alone:
        made = bert(alone, pairs="nsp")(batch)
        for i, row in enumerate(made["rows"].tolist()):
            assert all(np.array_equal(made[name][i], by_row[row][name]) for name in made)
    batch = next(iter(TokenShards(data.folder.name, batch=9, columns=BERT_COLUMNS)))
    labels = [bert(data, seed=s)({**batch, "epoch": e})["labels"].tobytes() for s in (0, 1) for e in (0, 1)]
    assert len(set(labels)) == 4
    data.set_epoch(0)


def test_whole_words(long):
    continues = np.arange(VOCAB) % 3 > 0  # words of any length
    made = bert(long, length=202, whole_words=continues)(next(iter(long)))
    ids, chosen = unmasked(made), made["labels"] != -100
    inside = continues[ids[:, 2:-1]] & made["attention_mask"][:, 3:]
    assert inside.any()
    assert np.array_equal(chosen[:, 2:-1][inside], chosen[:, 1:-2][inside])
    assert abs(chosen.sum() / (200 * 200) - 0.15) < 0.02


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["[CLS]", "play", "##ing", "a"], [False, False, True, False]),
        (["<s>", "Ġthe", "re", "Ġa"], [False, False, True, False]),
        (["<s>", "▁the", "re", "▁a"], [False, False, True, False]),
    ],
)
def test_word_continuations(tmp_path, tokens, expected):
    for vocab in ({t: i for i, t in enumerate(tokens)}, [[t, 0.0] for t in tokens]):
        added = [{"id": 0, "content": tokens[0]}]
        (tmp_path / "tokenizer.json").write_text(
            json.dumps({"model": {"vocab": vocab}, "added_tokens": added})
        )
        assert word_continuations(tmp_path / "tokenizer.json").tolist() == expected
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))
    with pytest.raises(ValueError, match="marks no words"):
        word_continuations(tmp_path / "tokenizer.json")


def test_what_is_refused(data):
    with pytest.raises(ValueError, match="pairs none, split or nsp"):
        bert(data, pairs="both")
    with pytest.raises(ValueError, match="length must be 5 or more"):
        bert(data, length=4)
    with pytest.raises(ValueError, match="id 60000: the tokenizer has 60000 entries"):
        bert(data, special_ids=[VOCAB])
    with pytest.raises(ValueError, match="whole_words: has 3 entries for a vocabulary of 60000"):
        bert(data, whole_words=np.zeros(3, bool))


def test_draws_are_even():
    found = draws(7, np.arange(1000)[:, None], np.arange(100))
    assert abs(found.mean() - 0.5) < 0.005
    assert np.histogram(found, 10, (0, 1))[0].min() > 9_500
    assert abs(np.corrcoef(found[:-1].ravel(), found[1:].ravel())[0, 1]) < 0.015
