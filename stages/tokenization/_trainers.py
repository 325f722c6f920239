"""Training of tokenizers: byte-level BPE and WordPiece by `tokenizers`, BPE and unigram by SentencePiece.

Each is a function of the texts and the settings: the same texts give the same bytes. SentencePiece is told to
normalize nothing and to fall back to bytes, as for Llama's and Mistral's models, so that decoding gives back the text.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import sentencepiece
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from shards.tokenizer import CL100K_WORDS, GPT2_WORDS

Model = Literal["byte_bpe", "bpe", "unigram", "wordpiece"]
Words = Literal["gpt2", "llama3"]
Digits = Literal["words", "single", "triple"]
Normalize = Literal["none", "nfc", "nfkc"]

UNKNOWN = "[UNK]"
WORDPIECE_SPECIALS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
SENTENCEPIECE_SPECIALS = ("<unk>", "<s>", "</s>")  # ids 0, 1, 2
LINE_BYTES = 1 << 16  # SentencePiece leaves out longer ones, so they are cut before
# GPT-2's, or Llama 3's (cl100k's with digits in threes), as tokenizer.json files spell them.
PATTERNS: Mapping[Words, str] = {"gpt2": GPT2_WORDS, "llama3": CL100K_WORDS}


class Settings(NamedTuple):
    """What shapes a vocabulary."""

    model: Model = "byte_bpe"
    vocab_size: int = 32_000
    special_tokens: Sequence[str] = ("<|endoftext|>",)
    min_frequency: int = 2
    words: Words = "gpt2"
    digits: Digits = "words"
    normalize: Normalize = "none"
    lowercase: bool = False
    prefix_space: bool = False
    space_runs: bool = True


Texts = Callable[[], Iterator[pa.Array]]  # each call gives all texts again: large_string arrays without null


def train(texts: Texts, settings: Settings) -> bytes:
    """The tokenizer's file: tokenizer.json, or SentencePiece's tokenizer.model.

    Args:
        texts: what to learn from.
        settings: what shapes the vocabulary.

    Raises:
        ValueError: the texts do not fill the vocabulary, or have more characters than it has room for.
    """
    if settings.model == "byte_bpe":
        return _train_byte_bpe(texts, settings).encode()
    if settings.model == "wordpiece":
        return _train_wordpiece(texts, settings).encode()
    return _train_sentencepiece(texts, settings)


def _train_byte_bpe(texts: Texts, settings: Settings) -> str:
    """tokenizer.json; merges are chosen by count and then by the pair itself, so the order of texts does not matter."""
    tokenizer = Tokenizer(models.BPE())
    normalizer = _normalizer(settings)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = _byte_words(settings)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=list(settings.special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((batch.to_pylist() for batch in texts()), trainer)
    return str(tokenizer.to_str(pretty=True))


def _byte_words(settings: Settings) -> pre_tokenizers.PreTokenizer:
    """How texts are cut before merging."""
    plain = settings.words == "gpt2"
    if plain and settings.digits == "words":
        return pre_tokenizers.ByteLevel(add_prefix_space=settings.prefix_space)
    steps: list[pre_tokenizers.PreTokenizer] = []
    if settings.digits == "single":
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    elif settings.digits == "triple" and plain:
        steps.append(pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"))
    if plain:
        return pre_tokenizers.Sequence(
            [*steps, pre_tokenizers.ByteLevel(add_prefix_space=settings.prefix_space)]
        )
    split = pre_tokenizers.Split(Regex(PATTERNS[settings.words]), "isolated")
    return pre_tokenizers.Sequence(
        [*steps, split, pre_tokenizers.ByteLevel(add_prefix_space=settings.prefix_space, use_regex=False)]
    )


def _normalizer(settings: Settings) -> normalizers.Normalizer | None:
    steps: list[normalizers.Normalizer] = []
    if settings.normalize != "none":
        steps.append(normalizers.NFC() if settings.normalize == "nfc" else normalizers.NFKC())
    if settings.lowercase:
        steps.append(normalizers.Lowercase())
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else normalizers.Sequence(steps)


def _train_wordpiece(texts: Texts, settings: Settings) -> str:
    """tokenizer.json in the form of BERT (Devlin et al. 2019, arXiv:1810.04805).

    The trainer numbers the letters that continue a word as it meets them, in an order that differs from run to run,
    and breaks ties by these numbers. So they are found first, and given as tokens in order.
    """
    specials = [*WORDPIECE_SPECIALS, *(t for t in settings.special_tokens if t not in WORDPIECE_SPECIALS)]
    letters = json.loads(_run_wordpiece(texts, settings, specials, 0).to_str())["model"]["vocab"]
    inside = sorted(token for token in letters if token.startswith("##") and token not in specials)
    tokenizer = _run_wordpiece(texts, settings, [*specials, *inside], settings.vocab_size)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] in specials]
    tokenizer = Tokenizer.from_str(json.dumps(data, ensure_ascii=False))
    first, last = (data["model"]["vocab"][name] for name in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", last), ("[CLS]", first))
    return str(tokenizer.to_str(pretty=True))


def _run_wordpiece(texts: Texts, settings: Settings, specials: Sequence[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=settings.lowercase, strip_accents=False)
    words: pre_tokenizers.PreTokenizer = pre_tokenizers.BertPreTokenizer()
    if settings.digits == "single":
        words = pre_tokenizers.Sequence([words, pre_tokenizers.Digits(individual_digits=True)])
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=list(specials),
        show_progress=False,
    )
    tokenizer.train_from_iterator((batch.to_pylist() for batch in texts()), trainer)
    return tokenizer


def _train_sentencepiece(texts: Texts, settings: Settings) -> bytes:
    """tokenizer.model, one thread: sums of floats do not depend on how many share them."""
    model = io.BytesIO()
    controls = [t for t in settings.special_tokens if t not in SENTENCEPIECE_SPECIALS]
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines_of(texts()),
            model_writer=model,
            model_type=settings.model,
            vocab_size=settings.vocab_size,
            control_symbols=controls,
            character_coverage=1.0 - 5e-5,  # rarer characters are bytes
            byte_fallback=True,
            split_digits=settings.digits == "single",
            normalization_rule_name="nfkc" if settings.normalize == "nfkc" else "identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=settings.prefix_space,
            allow_whitespace_only_pieces=settings.space_runs,
            max_sentence_length=LINE_BYTES,
            shuffle_input_sentence=False,
            hard_vocab_limit=False,  # too little text makes a smaller vocabulary, as with the others
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(_explained(str(error), settings)) from error
    return model.getvalue()


def _explained(error: str, settings: Settings) -> str:
    """SentencePiece's complaint, with what to write instead."""
    what = error.splitlines()[-1].strip() if error.strip() else "no message"
    return (
        f"train_tokenizer: SentencePiece cannot train a vocabulary of {settings.vocab_size} on this sample ({what}); "
        "give another vocab_size, or more text"
    )


def lines_of(texts: Iterable[pa.Array]) -> Iterator[str]:
    """Lines that are not empty, none longer than LINE_BYTES bytes of UTF-8."""
    for batch in texts:
        for line in pc.list_flatten(pc.split_pattern(batch, "\n")).to_pylist():
            if not line:
                continue
            step = LINE_BYTES // 4  # a character has four bytes at most
            for start in range(0, len(line), step):
                yield line[start : start + step]
