"""BERT-style batches: segment pairs, next-sentence labels and masked tokens, the same whoever makes them.

All choices follow from (seed, epoch, row): neither the batch a row is in, nor the rank or worker that makes it,
changes them, and every epoch masks anew.

    data = TokenShards("out/shards", batch=32, seed=17, columns=BERT_COLUMNS)   # packing none: a document a row
    bert = BertCollator(data, length=512, cls_id=2, sep_id=3, mask_id=4, pairs="nsp")
    for batch in data:
        step(bert(batch))   # or ResumableLoader(data, num_workers=4, transform=bert)

Source: Devlin et al., BERT (2018), section 3.1 and appendix A.2; whole words as in its later release.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shards.format import NO_LOSS
from shards.loader import TokenShards
from shards.order import round_keys

BERT_COLUMNS = ("input_ids", "attention_mask", "rows", "epoch")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # splitmix64
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def draws(key: int, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each pair of row and place, from a key; float64, broadcast shape.

    >>> bool((draws(1, np.array([5]), np.arange(3)) == draws(1, np.array([4, 5])[1:], np.arange(3))).all())
    True
    """
    with np.errstate(over="ignore"):
        mixed = _mix(np.asarray(rows, np.uint64) * _GOLDEN + np.uint64(key))
        mixed = _mix(mixed + np.asarray(places, np.uint64) * _GOLDEN)
    found: np.ndarray = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return found


def _mix(values: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = (values ^ (values >> np.uint64(30))) * _FACTORS[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _FACTORS[1]
    mixed ^= mixed >> np.uint64(31)
    return mixed


def word_continuations(tokenizer_json: str | Path) -> np.ndarray:
    """Which ids go on with the word of the token before, from a tokenizer.json; bool, one for each id.

    WordPiece marks them (`##ing`); byte-level BPE and SentencePiece models mark the tokens that begin a word
    (`Ġthe`, `▁the`) instead. Added tokens begin words.

    Raises:
        ValueError: the vocabulary has none of the three marks.
    """
    data = json.loads(Path(tokenizer_json).read_bytes())
    vocab: Any = data["model"]["vocab"]
    pairs = list(vocab.items()) if isinstance(vocab, dict) else [(p[0], i) for i, p in enumerate(vocab)]
    added = {token["id"] for token in data.get("added_tokens") or []}
    found = np.zeros(max([*(i for _, i in pairs), *added], default=-1) + 1, bool)
    marked = [mark for mark in ("##", "Ġ", "▁") if any(name.startswith(mark) for name, _ in pairs)]
    if not marked:
        raise ValueError(f"{tokenizer_json}: marks no words (##, Ġ or ▁); leave whole_words out")
    for name, i in pairs:
        found[i] = i not in added and name.startswith(marked[0]) == (marked[0] == "##")
    return found


class BertCollator:
    """Turns batches of a TokenShards into BERT's: `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`, masked.

    Args:
        data: where the rows come from, and B of a pair that does not belong together.
        length: of every row of a batch; longer segments lose their ends, the longer one first.
        cls_id: begins a row.
        sep_id: ends a segment.
        mask_id: stands for a masked token.
        pad_id: fills a row up; None: as data.
        pairs: none: a row is one segment. split: a row is split into A and B. nsp: so it is, and in half of the
            rows B is replaced by the second part of another row, chosen from all (one that goes on with the same
            long document is possible).
        sentence_end_ids: split behind one of these tokens, where a row has one; none: anywhere.
        mask_probability: of a token (or word) to be learnt.
        whole_words: which ids go on with a word (word_continuations); None: tokens are masked one by one.
        special_ids: never masked, never put in for another; cls, sep, mask and pad are always among them.
        seed: chooses, together with epoch and row.

    Raises:
        ValueError: an argument cannot be meant.
    """

    def __init__(
        self,
        data: TokenShards,
        length: int,
        cls_id: int,
        sep_id: int,
        mask_id: int,
        *,
        pad_id: int | None = None,
        pairs: Literal["none", "split", "nsp"] = "none",
        sentence_end_ids: Collection[int] = (),
        mask_probability: float = 0.15,
        whole_words: np.ndarray | None = None,
        special_ids: Collection[int] = (),
        seed: int = 0,
    ) -> None:
        if length < 5 or not 0 <= mask_probability <= 1 or pairs not in ("none", "split", "nsp"):
            raise ValueError(
                f"length {length}, mask_probability {mask_probability}, pairs {pairs!r}: length must be 5 or more, "
                "mask_probability from 0 to 1, pairs none, split or nsp"
            )
        self.data, self.length, self.pairs, self.seed = data, length, pairs, seed
        self.cls_id, self.sep_id, self.mask_id = cls_id, sep_id, mask_id
        self.pad_id = data.pad_id if pad_id is None else pad_id
        self.mask_probability = mask_probability
        size = data.manifest.tokenizer.vocab_size
        self.special = _table(size, {cls_id, sep_id, mask_id, self.pad_id, *special_ids})
        self.ends = _table(size, set(sentence_end_ids))
        self.continues = np.zeros(size, bool) if whole_words is None else whole_words
        if len(self.continues) < size:
            raise ValueError(f"whole_words: has {len(self.continues)} entries for a vocabulary of {size}")

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """One batch; needs input_ids, attention_mask, rows and epoch among its columns.

        Returns:
            input_ids, labels (-100 where nothing was masked), token_type_ids: int64, shape (rows, length);
            attention_mask: bool, likewise; rows; with pairs nsp next_sentence_label: int64, 1 = B is not what
            followed A (as in transformers); `state` where the batch has it.
        """
        keys = [int(k >> np.uint64(1)) for k in round_keys(self.seed, int(batch["epoch"]))]
        rows = np.asarray(batch["rows"])
        ids = np.full((len(rows), self.length), self.pad_id, np.int64)
        types, lengths = np.zeros_like(ids), np.zeros(len(rows), np.int64)
        strange = np.zeros(len(rows), np.int64)
        for i in range(len(rows)):
            stored = np.asarray(batch["input_ids"][i])[np.asarray(batch["attention_mask"][i])]
            a, b, strange[i] = self._segments(stored, int(rows[i]), keys)
            segments = [a] if b is None else [a, b]
            made = [np.append(segment, self.sep_id) for segment in segments]
            whole = np.concatenate([[self.cls_id], *made])
            lengths[i] = len(whole)
            ids[i, : len(whole)] = whole
            types[i, len(a) + 2 : len(whole)] = b is not None
        found: dict[str, Any] = dict(zip(("input_ids", "labels"), self._mask(ids, rows, keys), strict=True))
        found |= {
            "token_type_ids": types,
            "attention_mask": np.arange(self.length) < lengths[:, None],
            "rows": rows.copy(),
        }
        if self.pairs == "nsp":
            found["next_sentence_label"] = strange
        return found | ({"state": batch["state"]} if "state" in batch else {})

    def _segments(
        self, ids: np.ndarray, row: int, keys: list[int]
    ) -> tuple[np.ndarray, np.ndarray | None, int]:
        """A, B (None: there is only A) and whether B comes from elsewhere."""
        if self.pairs == "none":
            return ids[: self.length - 2], None, 0
        at, swap, other = draws(keys[0], np.array([row]), np.arange(3)).tolist()
        a, b = self._split(ids, at)
        strange = 0
        if self.pairs == "nsp" and len(self.data) > 1 and (swap < 0.5 or not len(b)):
            elsewhere = (row + 1 + int(other * (len(self.data) - 1))) % len(self.data)
            first, second = self._split(np.asarray(self.data[elsewhere]["input_ids"]), at)
            b, strange = second if len(second) else first, 1
        most = self.length - 3
        cut = max(most - min(len(b), most // 2), min(len(a), most // 2))
        a = a[:cut]
        return a, b[: most - len(a)], strange

    def _split(self, ids: np.ndarray, at: float) -> tuple[np.ndarray, np.ndarray]:
        """Two parts, cut behind a sentence if there is one inside; a single token has no second part."""
        places = np.flatnonzero(self.ends[ids[:-1]]) + 1
        if not len(places):
            places = np.arange(1, len(ids))
        cut = int(places[int(at * len(places))]) if len(places) else len(ids)
        return ids[:cut], ids[cut:]

    def _mask(self, ids: np.ndarray, rows: np.ndarray, keys: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Masked ids and labels: of what is chosen 80 % become mask_id, 10 % any other id, 10 % stay."""
        places, column = np.arange(self.length), rows[:, None]
        special = self.special[ids]
        begins = ~self.continues[ids] | special
        begins[:, 1:] |= special[:, :-1]
        word = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
        chosen = (draws(keys[1], column, word) < self.mask_probability) & ~special
        how, which = draws(keys[2], column, places), draws(keys[3], column, places)
        plain = np.flatnonzero(~self.special)
        masked = np.where(chosen & (how < 0.8), self.mask_id, ids)
        if len(plain):
            swapped = plain[(which * len(plain)).astype(np.int64)]
            masked = np.where(chosen & (how >= 0.8) & (how < 0.9), swapped, masked)
        return masked, np.where(chosen, ids, NO_LOSS)


def _table(size: int, ids: Collection[int]) -> np.ndarray:
    """Which of `size` ids are among these.

    Raises:
        ValueError: one is not an id of the tokenizer.
    """
    found = np.zeros(size, bool)
    for i in ids:
        if not 0 <= i < size:
            raise ValueError(f"id {i}: the tokenizer has {size} entries; give ids of its tokens")
        found[i] = True
    return found
