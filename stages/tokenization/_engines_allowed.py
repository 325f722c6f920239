"""Which fast engines may encode with a tokenizer.json: those tried on its very form, and no others.

The engines do not refuse by themselves all that they cannot do: they ignore dropout, prefixes or word suffixes
without a word. So whatever is not on these lists is encoded by the reference.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from shards.tokenizer import CL100K_WORDS, O200K_WORDS
from stages.tokenization._ranks import byte_letters

BOTH = ("fastokens", "gigatoken")  # in order of preference
# The exact expression of a Split -> engines that cut the same words.
PATTERNS: Mapping[str, tuple[str, ...]] = {
    CL100K_WORDS: BOTH,  # Llama 3 has the same
    CL100K_WORDS.replace(r"\p{N}{1,3}", r"\p{N}"): BOTH,  # Qwen 2
    # fastokens takes "'ſ" for a contraction here, which the reference does not
    O200K_WORDS: ("gigatoken",),
}


class Form(NamedTuple):
    """What may encode with a tokenizer, and how."""

    engines: tuple[str, ...] = ()
    why_not: str = ""  # if there is no engine
    nfc: bool = False  # only documents that NFC leaves as they are
    without: tuple[str, ...] = ()  # only documents that contain none of these strings
    # "" for byte-level BPE; "prefix" or "plain": pieces, with or without a space before the text
    spaces: str = ""


def form_of(data: Mapping[str, Any]) -> Form:
    """The engines for a parsed tokenizer.json, or the first reason that there is none."""
    model = data["model"]
    if model.get("byte_fallback"):
        return _form_of_pieces(data)
    reason = _odd_model(model) or _odd_added(data.get("added_tokens") or [])
    if reason:
        return Form(why_not=reason)
    normalizer = data.get("normalizer")
    nfc = _kind(normalizer) == "NFC"
    if normalizer is not None and not nfc:
        return Form(why_not=f"its normalizer is {_kind(normalizer)}")
    engines = _engines_for(data.get("pre_tokenizer"))
    if not engines:
        return Form(why_not="its pre-tokenizer is not one of those that fast engines were tried on")
    if any(not token["special"] for token in data.get("added_tokens") or []):
        engines = tuple(name for name in engines if name == "fastokens")
        if not engines:
            return Form(why_not="it has added tokens that are not special, and a pattern of o200k's form")
    return Form(engines, "", nfc)


def _form_of_pieces(data: Mapping[str, Any]) -> Form:
    """Llama 2's and Mistral's form: BPE over whole texts with a letter for spaces, and bytes for what it lacks."""
    model = data["model"]
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        if model.get(name):
            return Form(why_not=f"its model has {name}")
    whole = model.get("type", "BPE") == "BPE" and all(
        f"<0x{byte:02X}>" in model["vocab"] for byte in range(256)
    )
    if not whole or not model.get("unk_token") or not model.get("fuse_unk"):
        return Form(why_not="its model is not BPE with all bytes, unk_token and fuse_unk")
    if any(not token["special"] for token in data.get("added_tokens") or []):
        return Form(why_not="it has added tokens that are not special")
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prefix = {"type": "Prepend", "prepend": "▁"}
    normalizer = data.get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    if data.get("pre_tokenizer") is not None or steps not in ([spaces], [prefix, spaces]):
        return Form(why_not="it does more to spaces than to replace them")
    without = tuple(data.get("user_defined", ()))
    return Form(("gigatoken",), without=without, spaces="prefix" if prefix in steps else "plain")


def _kind(part: Any) -> str:
    """The type of a normalizer or pre-tokenizer; a sequence of one is that one."""
    if not isinstance(part, dict):
        return "none"
    if part.get("type") == "Sequence":
        parts = part.get("normalizers") or part.get("pretokenizers") or []
        return _kind(parts[0]) if len(parts) == 1 else "a sequence"
    return str(part.get("type"))


def _odd_model(model: Mapping[str, Any]) -> str:
    """What of the model is beyond plain byte-level BPE, or ''."""
    if model.get("type", "BPE") != "BPE" or "merges" not in model:
        return f"its model is {model.get('type')}, not BPE"
    for name in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            return f"its model has {name}"
    missing = [letter for letter in byte_letters() if letter not in model["vocab"]]
    if missing:
        return f"its vocabulary lacks {len(missing)} of the 256 bytes"
    return ""


def _odd_added(added: list[Mapping[str, Any]]) -> str:
    """The first added token that takes more or less of the text than its own content, or ''."""
    for token in added:
        flags = [name for name in ("lstrip", "rstrip", "single_word") if token.get(name)]
        if flags and not token["special"]:
            return f"its added token {token['content']!r} is {flags[0]}"
    return ""


def _engines_for(pre: Any) -> tuple[str, ...]:
    """Engines that cut words as this pre-tokenizer does."""
    parts = [pre]
    if isinstance(pre, dict) and pre.get("type") == "Sequence":
        parts = pre["pretokenizers"]
    *first, last = parts
    if not isinstance(last, dict) or last.get("type") != "ByteLevel" or last.get("add_prefix_space", True):
        return ()
    if last.get("use_regex", True):  # GPT-2's own words
        digits = {"type": "Digits", "individual_digits": True}
        return BOTH if not first else ("fastokens",) if first == [digits] else ()
    if len(first) != 1 or first[0].get("type") != "Split":
        return ()
    split = first[0]
    if split.get("behavior") != "Isolated" or split.get("invert"):
        return ()
    return PATTERNS.get(split["pattern"].get("Regex", ""), ())
