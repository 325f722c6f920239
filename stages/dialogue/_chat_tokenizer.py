"""Renderings to tokens: special tokens where the template wrote them, plain text where somebody typed them.

A rendering without such strings is encoded whole, as `apply_chat_template` does. One with them is cut at the
special tokens that are markup, and the stretches between are encoded as plain text. Both ways give the same
ids
(the tokenizer itself cuts there first) unless a tokenizer treats the very start of a text in its own way, as
Metaspace with `prepend_scheme: first` does: then each stretch of a *quoting* dialogue gets that start.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from stages.dialogue._render import Rendering

EOS_TOKENS = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<eos>", "[EOS]")
BOS_TOKENS = ("<s>", "<|begin_of_text|>", "<bos>", "[BOS]")
NO_LOSS = -100  # what PyTorch's cross entropy ignores


class ChatTokenizer(NamedTuple):
    """A tokenizer.json, opened twice: once to read special tokens in a text, once to leave them alone."""

    whole: Any  # tokenizers.Tokenizer
    plain: Any
    specials: Mapping[str, int]
    pattern: re.Pattern[str] | None  # matches any special token's string, longest first
    sha256: str


class Tokens(NamedTuple):
    """A rendering in tokens; arrays of one length."""

    ids: np.ndarray  # uint32
    starts: np.ndarray  # int64, code points of the rendering; no token begins before the one before it ends
    ends: (
        np.ndarray
    )  # int64, never falling; a token that is part of a character ends where the character ends


def load_chat_tokenizer(path: Path) -> ChatTokenizer:
    """Load a tokenizer.json. What it would add around a text is switched off: the template writes all of it.

    Raises:
        ValueError: the file is no tokenizer.json.
    """
    content = path.read_bytes()
    if content.lstrip()[:1] != b"{":
        raise ValueError(
            f"tokenizer: {path} is no tokenizer.json; this stage reads no .model or .tiktoken file"
        )
    try:
        config = json.loads(content)
        config.update(post_processor=None, truncation=None, padding=None)  # the first also trims spans
        text = json.dumps(config)
        whole, plain = Tokenizer.from_str(text), Tokenizer.from_str(text)
    except Exception as error:
        raise ValueError(
            f"tokenizer: {path} is no tokenizer.json ({error}); give one that `tokenizers` saved"
        ) from error
    plain.encode_special_tokens = True
    added = whole.get_added_tokens_decoder()
    specials = {token.content: token_id for token_id, token in added.items() if token.special}
    names = sorted(specials, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, names))) if names else None
    return ChatTokenizer(whole, plain, specials, pattern, hashlib.sha256(content).hexdigest())


def first_known(names: Sequence[str], tokenizer: ChatTokenizer) -> str | None:
    """The first of the names that is a special token."""
    return next((name for name in names if name in tokenizer.specials), None)


def encode_rendering(rendering: Rendering, tokenizer: ChatTokenizer) -> Tokens:
    """Tokens of a rendering; nothing is added before or after it."""
    if not rendering.quoted or tokenizer.pattern is None:
        return _tokens([_encoded(tokenizer.whole, rendering.text, 0)])
    parts, at = [], 0
    for match in tokenizer.pattern.finditer(rendering.text):
        if match.start() in rendering.quoted:
            continue
        parts.append(_encoded(tokenizer.plain, rendering.text[at : match.start()], at))
        parts.append(([tokenizer.specials[match[0]]], np.array([match.span()], np.int64)))
        at = match.end()
    parts.append(_encoded(tokenizer.plain, rendering.text[at:], at))
    return _tokens(parts)


def _encoded(tokenizer: Any, text: str, at: int) -> tuple[list[int], np.ndarray]:
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return encoding.ids, np.array(encoding.offsets, np.int64).reshape(-1, 2) + at


def _tokens(parts: Sequence[tuple[list[int], np.ndarray]]) -> Tokens:
    ids = np.concatenate([np.array(ids, np.uint32) for ids, _ in parts])
    offsets = np.concatenate([offsets for _, offsets in parts])
    ends = np.maximum.accumulate(offsets[:, 1]) if len(ids) else offsets[:, 1]
    before = np.concatenate([[0], ends[:-1]]) if len(ids) else ends
    # White space that a tokenizer leaves out of its spans belongs to the token after it.
    return Tokens(ids, np.minimum(offsets[:, 0], before), ends)


def loss_mask(tokens: Tokens, spans: Sequence[tuple[int, int]], specials: Mapping[str, int]) -> np.ndarray:
    """Which tokens carry the loss: those that share a character with a span, and the terminator of its turn.

    Templates that close their generation block before the turn's terminator would teach a model never to stop
    (axolotl #3756), so a special token that directly follows a span is taken in, unless the span ends in one.
    A token is masked by its position, never by its id: EOS may be the padding token too.
    """
    mask = np.zeros(len(tokens.ids), bool)
    special_ids = np.array(sorted(specials.values()), np.uint32)
    for start, end in spans:
        first = int(np.searchsorted(tokens.ends, start, "right"))
        last = first + int(np.searchsorted(tokens.starts[first:], end, "left"))
        mask[first:last] = True
        if first < last < len(mask) and tokens.starts[last] == end:
            inside, after = np.isin(tokens.ids[last - 1 : last + 1], special_ids)
            mask[last] = after and not inside
    return mask
