"""The n-gram model equals a slow Kneser-Ney written from the paper, and kenlm's scores on the same ARPA file."""

import gzip
import math
from collections import Counter, defaultdict

import kenlm
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.signals._lm_arpa import arpa_parts, read_arpa
from stages.signals._lm_estimate import discounts, estimate
from stages.signals._lm_kernels import BOS, EOS, FIRST_WORD, UNK, hash_ngrams
from stages.signals._lm_model import build_model, load_model, save_model, score

TEXT = """The keeper lit the lamp and the lamp lit the sea.
The sea was calm, the keeper was calm; the lamp was lit.
A boat came to the lamp. A boat came to the sea.
The boat saw the lamp and the keeper saw the boat."""


def column(*texts):
    return pa.array(texts, pa.large_string())


def tokens_of(lines):
    return np.array([t for line in lines for t in (BOS, *line, EOS)], np.int32)


class Slow:
    """Chen and Goodman's interpolated modified Kneser-Ney over tuples, one word at a time."""

    def __init__(self, lines, order, prune, vocabulary):
        self.vocabulary, self.order = vocabulary, order
        sentences = [(BOS, *line, EOS) for line in lines]
        self.counts = [
            Counter(s[i : i + n] for s in sentences for i in range(len(s) - n + 1))
            for n in range(1, order + 1)
        ]
        self.adjusted = []
        for n in range(1, order + 1):
            if n == order:
                adjusted = dict(self.counts[n - 1])
            else:
                left = defaultdict(set)
                for gram in self.counts[n]:
                    left[gram[1:]].add(gram[0])
                adjusted = {g: c if g[0] == BOS else len(left[g]) for g, c in self.counts[n - 1].items()}
            if n == 1:
                adjusted.pop((BOS,), None)
            self.adjusted.append(adjusted)
        self.off = [(0.0, *discounts(np.array(list(a.values())))) for a in self.adjusted]
        self.kept = [
            {g for g in a if n < 3 or self.counts[n - 1][g] > prune} for n, a in enumerate(self.adjusted, 1)
        ]

    def prob(self, word, context):
        """Interpolated probability of a word after a context that may be of any length."""
        n = len(context) + 1
        if n == 1:
            below, seen = 1 / (self.vocabulary - 1), self.adjusted[0]
        else:
            below = self.prob(word, context[1:])
            seen = self.adjusted[n - 1]
        following = {g: c for g, c in seen.items() if g[:-1] == context}
        if not following:
            return below
        total = sum(following.values())
        left = sum(self.off[n - 1][min(c, 3)] if g in self.kept[n - 1] else c for g, c in following.items())
        gram = (*context, word)
        own = 0.0
        if gram in self.kept[n - 1] and gram in following:
            own = following[gram] - self.off[n - 1][min(following[gram], 3)]
        return own / total + left / total * below


lines = st.lists(
    st.lists(st.integers(FIRST_WORD, FIRST_WORD + 4), min_size=1, max_size=8).map(tuple),
    min_size=1,
    max_size=12,
)


def look_up(models, gram):
    found = models[len(gram) - 1]
    own = hash_ngrams(np.array(gram, np.int32), len(gram), np.zeros(1, np.int64))[0][0]
    at = np.searchsorted(found.hashes, own)
    return found, int(at) if at < len(found.hashes) and found.hashes[at] == own else None


@settings(max_examples=60, deadline=None)
@given(lines, st.integers(2, 4), st.integers(0, 1))
@example([(FIRST_WORD, FIRST_WORD)], 4, 1)  # nothing is left of the order below
def test_every_ngram_has_the_probability_of_the_slow_one(corpus, order, prune):
    vocabulary = FIRST_WORD + 5
    models = estimate(tokens_of(corpus), order, prune, vocabulary)
    slow = Slow(corpus, order, prune, vocabulary)
    for n in range(order):
        expected = slow.kept[n] | ({(BOS,), (UNK,)} if n == 0 else set())
        assert len(models[n].hashes) == len(expected)
        for gram in expected - {(BOS,)}:
            found, at = look_up(models, gram)
            assert at is not None, gram
            assert 10 ** found.probs[at] == pytest.approx(slow.prob(gram[-1], gram[:-1]), rel=1e-9), gram


def predict(models, word, context):
    """Backed-off probability, as whoever reads an ARPA file takes it."""
    found, at = look_up(models, (*context, word))
    if at is not None:
        return 10 ** found.probs[at]
    if not context:
        return 0.0
    found, at = look_up(models, context)
    weight = 10 ** found.backoffs[at] if at is not None else 1.0
    return weight * predict(models, word, context[1:])


@settings(max_examples=40, deadline=None)
@given(lines, st.integers(2, 3), st.integers(0, 1))
def test_probabilities_after_any_context_sum_to_one(corpus, order, prune):
    # every word of the vocabulary must have been seen, as it is in a model that is built from texts
    corpus = [*corpus, tuple(range(FIRST_WORD, FIRST_WORD + 5))]
    models = estimate(tokens_of(corpus), order, prune, FIRST_WORD + 5)
    words = [UNK, EOS, *range(FIRST_WORD, FIRST_WORD + 5)]
    for context in [(), (BOS,), (FIRST_WORD,), (BOS, FIRST_WORD), (FIRST_WORD + 1, FIRST_WORD)][: 2 * order]:
        if len(context) < order:
            assert sum(predict(models, word, context) for word in words) == pytest.approx(1, rel=1e-9)


VOCABULARY = ["lamp", "sea", "boat", "keeper", "灯", "zebra"]
sentences = st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=9).map(" ".join), max_size=4).map(
    "\n".join
)


def slow_perplexity(built, text):
    """Words looked up one at a time, longest n-gram first, backoffs added as the format says."""
    numbers = {name: number for number, name in enumerate(built.spellings)}
    logs = []
    for line in text.split("\n"):
        if line.strip():
            tokens = [BOS, *(numbers.get(word, UNK) for word in line.split()), EOS]
            for i in range(1, len(tokens)):
                context = tuple(tokens[max(0, i - len(built.orders) + 1) : i])
                logs.append(math.log10(predict(built.orders, tokens[i], context)))
    return 10 ** (-sum(logs) / len(logs)) if logs else math.nan


@settings(max_examples=60, deadline=None)
@given(sentences, sentences, st.integers(2, 5), st.integers(0, 1))
def test_scores_are_those_of_a_slow_look_up(known, text, order, prune):
    built = build_model([column(known, "a lamp\nthe sea")], order, 1, 1000, prune)
    found = score(built.model, column(text)).perplexity[0]
    assert found == pytest.approx(slow_perplexity(built, text), rel=1e-5, nan_ok=True)


def test_a_model_of_which_all_longer_ngrams_are_pruned_has_a_lower_order(tmp_path):
    built = build_model([column("a lamp\nthe sea")], 5, 1, 1000, 1)
    path = tmp_path / "model.arpa"
    path.write_text("".join(arpa_parts(built)), "utf-8")
    assert built.model.order == kenlm.Model(str(path)).order == read_arpa(path).order == 2


def test_discounts_that_would_leave_nothing_are_not_taken():
    counts = np.array([1, 1, 2, 2, 3, 3, 3, 3])  # the discount of 2 would be 2 - 3 * 1/3 * 4/2 = 0
    assert discounts(counts) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize(("order", "prune"), [(2, 0), (3, 1), (5, 0)])
def test_kenlm_gives_the_same_scores(order, prune, tmp_path):
    built = build_model([column(TEXT)], order, 1, 1000, prune)
    path = tmp_path / "model.arpa"
    path.write_text("".join(arpa_parts(built)), "utf-8")
    theirs = kenlm.Model(str(path))
    for line in ("the keeper saw the sea", "a calm sea lit a boat", "lamp zebra boat", "the"):
        expected = 10 ** (-theirs.score(line, bos=True, eos=True) / (len(line.split()) + 1))
        assert score(built.model, column(line)).perplexity[0] == pytest.approx(expected, rel=1e-5)


def test_perplexity_is_over_words_and_line_ends():
    model = build_model([column(TEXT)], 3, 1, 1000, 0).model
    one, two, both = score(model, column("the lamp", "a boat", "The LAMP!\n\na boat\n")).perplexity
    assert both == pytest.approx(math.sqrt(one * two), rel=1e-6)


def test_unknown_words_and_texts_without_words():
    model = build_model([column(TEXT)], 3, 1, 1000, 0).model
    found = score(model, column("the zebra", "", None, "...\n"))
    assert found.unknown[0] == 0.5
    assert np.isnan(found.perplexity).tolist() == [False, True, True, True]


def test_an_order_of_texts_and_their_batches_makes_no_other_model():
    parts = TEXT.split("\n")
    first = build_model([column(*parts)], 3, 1, 1000, 1)
    second = build_model([column(*parts[:0:-1]), column(parts[0])], 3, 1, 1000, 1)
    assert "".join(arpa_parts(first)) == "".join(arpa_parts(second))


def test_a_stored_model_is_the_same(tmp_path):
    model = build_model([column(TEXT)], 3, 1, 1000, 0).model._replace(cuts=(2.0, 4.0))
    save_model(model, tmp_path, {"documents": 1})
    loaded = load_model(tmp_path)
    assert loaded.cuts == (2.0, 4.0)
    assert score(loaded, column(TEXT)).perplexity == score(model, column(TEXT)).perplexity
    with pytest.raises(ValueError, match="holds no language model"):
        load_model(tmp_path / "none")
    (tmp_path / "model.json").write_text('{"order": 3}')
    with pytest.raises(ValueError, match="has format None, but this version reads 2; train it again"):
        load_model(tmp_path)


@pytest.mark.parametrize("suffix", [".arpa", ".arpa.gz"])
def test_an_arpa_file_is_read_back(suffix, tmp_path):
    built = build_model([column(TEXT)], 3, 1, 1000, 0)
    path = tmp_path / f"model{suffix}"
    data = "".join(arpa_parts(built)).encode()
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    found, expected = (score(m, column(TEXT, "the zebra")) for m in (read_arpa(path), built.model))
    assert found.perplexity == pytest.approx(expected.perplexity, rel=1e-5)
    assert found.unknown.tolist() == expected.unknown.tolist()


# As SRILM may write one: no <unk>, "the sea" pruned though "by the sea" is there, punctuation, capitals, CR LF.
FOREIGN = """made elsewhere

\\data\\
ngram 1=9
ngram 2=3
ngram 3=2

\\1-grams:
-9\t,\t-3
-1.1\tthe\t-0.4
-0.8\t</s>
-99\t<s>\t-0.2
-8\t...
-1.3\tby\t-0.1
-1.5\tsea\t-0.3
-7\tSea\t-0.7
-1.7\tlamp

\\2-grams:
-0.2\tby the\t-0.05
-0.4\t<s> by
-0.5\tthe Sea\t-0.5

\\3-grams:
-0.1\tby the sea
-0.3\t<s> by the

\\end\\
whatever follows
"""


@pytest.mark.parametrize("block_bytes", [1, 50, 1 << 26])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_foreign_arpa_file_is_read_as_it_stands(block_bytes, line_end, tmp_path, monkeypatch):
    monkeypatch.setattr("stages.signals._lm_arpa.BLOCK_BYTES", block_bytes)
    path = tmp_path / "foreign.arpa"
    path.write_bytes(FOREIGN.replace("\n", line_end).encode())
    model = read_arpa(path)
    assert model.order == 3
    assert len(model.words) == 4  # the by sea lamp
    logs = {
        "by the sea": -0.4 - 0.3 - 0.1 + (-0.3 - 0.8),
        "the lamp": (-0.2 - 1.1) + (-0.4 - 1.7) - 0.8,
        "sea, Sea": (-0.2 - 1.5) + (-0.3 - 1.5) + (-0.3 - 0.8),
        "zebra": (-0.2 - 100) - 0.8,
    }
    found = score(model, column(*logs)).perplexity
    words = (4, 3, 3, 2)
    assert found == pytest.approx([10 ** (-log / n) for log, n in zip(logs.values(), words, strict=True)])


def test_kenlm_reads_the_foreign_file_alike(tmp_path):
    path = tmp_path / "foreign.arpa"
    # kenlm wants nothing around it, and reads few files in which an n-gram's end is not listed
    text = FOREIGN.removeprefix("made elsewhere\n\n").removesuffix("whatever follows\n")
    path.write_text(text.replace("the Sea", "the sea"), "utf-8")
    theirs, ours = kenlm.Model(str(path)), read_arpa(path)
    for line in ("by the sea", "the lamp", "sea sea", "lamp by the sea by the lamp"):
        expected = 10 ** (-theirs.score(line) / (len(line.split()) + 1))
        assert score(ours, column(line)).perplexity[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\end\\\nwhatever follows\n", "", "is it cut off"),
        ("ngram 2=3", "ngram 2=4", "3 2-grams where its head says 4"),
        ("ngram 3=2", "ngram 3=2\nngram 4=7", "0 4-grams where its head says 7"),
        ("-1.7\tlamp", "lamp\t-1.7", r"line 17: 'lamp\\t-1.7' is no n-gram with its probability"),
        ("-1.7\tlamp", "-1.7\tlamp\tx", "line 17: .* is no n-gram"),
        ("-1.7\tlamp", "-1.7 lamp", "line 17: .* is no n-gram"),
        ("-1.7\tlamp", "0.5\tlamp", "line 17: .* is no n-gram .*at most 0"),
        ("-1.7\tlamp", "-1.7\tthe lamp", "line 17: 2 words among the 1-grams"),
        ("-0.4\t<s> by", "-0.4\tby", "line 21: 1 words among the 2-grams"),
        ("<s> by the", "<s> the lamp", "line 26: the context of this 3-gram is not among the 2-grams"),
        ("\\2-grams:", "\\4-grams:", r"4-grams: comes where \\2-grams: should"),
        ("lamp", "l\udcffmp", "lines 1 to 29 are not all UTF-8"),
    ],
)
def test_what_is_wrong_with_an_arpa_file(old, new, message, tmp_path):
    path = tmp_path / "bad.arpa"
    path.write_bytes(FOREIGN.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"bad\.arpa: no ARPA language model that can be read: .*{message}"):
        read_arpa(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no .end"),
        (b"\x00\x01" * 99, "no .end"),
        (
            b"\\data\\\n\n\\1-grams:\n-1\t,\n-1\t\xe2\x96\x81;\n-1\tlamp\n\\end\\\n",
            "only 1 of its 3 entries are words",
        ),
    ],
)
def test_what_is_no_arpa_file(data, message, tmp_path):
    path = tmp_path / "bad.arpa"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_arpa(path)


def test_a_gzip_file_that_is_cut_off(tmp_path):
    path = tmp_path / "model.arpa.gz"
    path.write_bytes(gzip.compress(FOREIGN.encode() * 50)[:-40])
    with pytest.raises(ValueError, match="no ARPA language model that can be read"):
        read_arpa(path)


def test_words_of_scripts_without_spaces_and_spellings_that_collide(tmp_path):
    texts = column("灯塔 的 灯\nla\u00adm\u200cp lamp\n<s> </s> <unk>", "Σίσυφος ΣΊΣΥΦΟΣ")
    built = build_model([texts], 2, 1, 1000, 0)
    path = tmp_path / "model.arpa"
    path.write_text("".join(arpa_parts(built)), "utf-8")
    assert kenlm.Model(str(path)).order == 2
    assert score(built.model, column("灯塔")).unknown.tolist() == [0.0]
