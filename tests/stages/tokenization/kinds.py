"""Small tokenizers of every kind, trained here, and texts that engines stumble over."""

import io
import json
from functools import cache

import sentencepiece
import tokenizers
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers

from shards.tokenizer import CL100K_WORDS, O200K_WORDS
from stages.tokenization._gate_probe import PIECES, SENTENCES
from tests.support.data import SAMPLES

SPECIAL = ["<|endoftext|>", "<s>", "</s>"]


@cache
def corpus() -> tuple[str, ...]:
    """Sentences in a dozen languages, and code."""
    files = [SAMPLES / "_content" / name for name in ("languages.txt", "english.txt")]
    return (*SENTENCES, *(line for file in files for line in file.read_text("utf-8").split("\n")))


def split(pattern: str):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def byte_level(pre, normalizer=None, vocab_size: int = 900) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre
    if normalizer is not None:
        made.normalizer = normalizer
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(corpus(), trainer)
    return made


def with_added() -> tokenizers.Tokenizer:
    made = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    made.add_tokens([AddedToken("the", normalized=False), AddedToken("    ", normalized=False), "été 中"])
    made.add_special_tokens(["<|im_start|>"])
    return made


def ignoring_merges() -> tokenizers.Tokenizer:
    data = json.loads(byte_level(split(CL100K_WORDS)).to_str())
    data["model"]["ignore_merges"] = True
    return tokenizers.Tokenizer.from_str(json.dumps(data))


def unigram() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=1500, special_tokens=["<unk>", *SPECIAL], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(corpus(), trainer)
    return made


def wordpiece() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *SPECIAL]
    made.train_from_iterator(
        corpus(), trainers.WordPieceTrainer(vocab_size=900, special_tokens=names, show_progress=False)
    )
    return made


def metaspace_bytes() -> tokenizers.Tokenizer:
    """BPE over metaspaces, bytes for what the vocabulary lacks."""
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ["<unk>", *SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=names, limit_alphabet=150, show_progress=False
    )
    made.train_from_iterator(corpus(), trainer)
    return made


def spaces_replaced(prefix: bool) -> tokenizers.Tokenizer:
    """Llama 2's and Mistral's tokenizer.json (prefix) or Gemma's: no pre-tokenizer, a normalizer for spaces."""
    data = json.loads(tokenizer_text("metaspace_bytes"))
    steps = [normalizers.Prepend("▁")] * prefix + [normalizers.Replace(" ", "▁")]
    made = tokenizers.Tokenizer.from_str(json.dumps({**data, "pre_tokenizer": None}))
    made.normalizer = normalizers.Sequence(steps)
    return made


@cache
def sentencepiece_model(prefix: bool, user_defined: tuple[str, ...] = ()) -> bytes:
    """A BPE model that normalizes nothing and falls back to bytes."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        model_type="bpe",
        vocab_size=1500,
        byte_fallback=True,
        character_coverage=0.99,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        add_dummy_prefix=prefix,
        control_symbols=["<|endoftext|>"],
        user_defined_symbols=list(user_defined),
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
KINDS = {  # name -> how to make it, and the engines that may encode with it
    "gpt2": (lambda: byte_level(GPT2), ("fastokens", "gigatoken")),
    "llama3": (lambda: byte_level(split(CL100K_WORDS)), ("fastokens", "gigatoken")),
    "llama3_ignore_merges": (ignoring_merges, ("fastokens", "gigatoken")),
    "qwen_nfc": (
        lambda: byte_level(split(CL100K_WORDS.replace("{1,3}", "")), normalizers.NFC()),
        ("fastokens", "gigatoken"),
    ),
    "o200k": (lambda: byte_level(split(O200K_WORDS)), ("gigatoken",)),
    "digits": (
        lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), GPT2])),
        ("fastokens",),
    ),
    "added": (with_added, ("fastokens",)),
    "prefix_space": (lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)), ()),
    "lower_nfkc": (
        lambda: byte_level(GPT2, normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
        (),
    ),
    "own_pattern": (lambda: byte_level(split(r"\p{L}+|\p{N}{1,2}|[^\s\p{L}\p{N}]+|\s+")), ()),
    "metaspace_bytes": (metaspace_bytes, ()),
    "prepend_bytes": (lambda: spaces_replaced(prefix=True), ("gigatoken",)),
    "replace_bytes": (lambda: spaces_replaced(prefix=False), ("gigatoken",)),
    "unigram": (unigram, ()),
    "wordpiece": (wordpiece, ()),
}
FAST = [(kind, engine) for kind, (_, engines) in KINDS.items() for engine in engines]


@cache
def tokenizer_text(kind: str) -> str:
    """The tokenizer.json of a kind."""
    return KINDS[kind][0]().to_str()


def odd_texts():
    """A hypothesis strategy: any characters, mixed with pieces that engines have got wrong."""
    piece = st.one_of(
        st.sampled_from([*PIECES, *SPECIAL, "the", "    ", "été 中", "été", *SENTENCES]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    )
    return st.lists(piece, max_size=30).map("".join)
