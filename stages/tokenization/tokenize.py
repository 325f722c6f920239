"""Turn text into token ids, with the place in the text where each token ends."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.schema import ID, ID_HASH, INPUT_IDS, TEXT, TOKEN_COUNT, TOKEN_ENDS, TOKENIZER, hash_fractions
from pipeline.stage import MapStage, Marks
from shards.format import TokenizerInfo
from shards.tokenizer import tokenizer_info
from stages.tokenization._ends import select
from stages.tokenization._engines import engine_version
from stages.tokenization._tokenizers import FileTokenizer, open_tokenizer, tokenizer_file

SAMPLE = "tokenize/check"  # what makes the sample that is checked independent of others


class Reason(StrEnum):
    """Too short or too long, in tokens."""

    TOO_FEW_TOKENS = "too_few_tokens"
    TOO_MANY_TOKENS = "too_many_tokens"


def length_reasons(counts: np.ndarray, min_tokens: int | None, max_tokens: int | None) -> pa.Array:
    """The reason to reject each text, or null; thresholds are inclusive, None = off."""
    reject = np.full(len(counts), None, object)
    if max_tokens is not None:
        reject[counts > max_tokens] = Reason.TOO_MANY_TOKENS.value
    if min_tokens is not None:
        reject[counts < min_tokens] = Reason.TOO_FEW_TOKENS.value
    return pa.array(reject, pa.string())


def missing_specials(info: TokenizerInfo, add_bos: bool, add_eos: bool) -> list[str]:
    """What `add_bos` and `add_eos` ask for and the tokenizer does not have, one sentence each."""
    wanted = (("bos", add_bos, info.bos_id, "begins"), ("eos", add_eos, info.eos_id, "ends"))
    return [
        f"add_{what} is true, but the tokenizer does not say which token {verb} a document; "
        f"set {what}_token to one of its tokens, or add_{what}: false"
        for what, asked, token_id, verb in wanted
        if asked and token_id is None
    ]


class Tokenize(MapStage[FileTokenizer]):
    """Encode each document; strings such as `<|endoftext|>` in it stay text."""

    reasons = Reason
    sides: ClassVar[Mapping[str, str]] = {"tokenizer": "folder of train_tokenizer"}
    libraries: ClassVar[Sequence[str]] = ("tokenizers", "sentencepiece", "fastokens", "gigatoken")
    summarize: ClassVar[Mapping[str, Literal["sum", "values"]]] = {"token_count": "sum"}

    tokenizer: str | None = Field(
        None,
        description="path of a tokenizer.json, SentencePiece .model or known .tiktoken file, or a name in "
        "`corpusmill models`; null: the side input `tokenizer`",
    )
    add_bos: bool = Field(False, description="put the token that begins a document before each")
    add_eos: bool = Field(True, description="put the token that ends a document after each")
    bos_token: str | None = Field(
        None, description="the token that begins a document; null: the usual names are tried"
    )
    eos_token: str | None = Field(
        None, description="the token that ends a document; null: the usual names are tried"
    )
    engine: Literal["auto", "reference", "fastokens", "gigatoken"] = Field(
        "auto",
        description="what encodes; the output is the same: auto takes a fast engine where it is known and shown to "
        "give the tokens of the reference (`tokenizers`, `sentencepiece`), else the reference",
    )
    check: float | None = Field(
        0.0002,
        gt=0.0,
        le=1.0,
        description="share of the documents, by hash of id, that the reference encodes again when a fast engine "
        "is used; a difference stops the run; null: none",
    )
    min_tokens: int | None = Field(
        None, ge=1, description="tokens, special ones included; null turns the rule off"
    )
    max_tokens: int | None = Field(
        None, ge=1, description="tokens, special ones included; null turns the rule off"
    )

    def reads(self) -> pa.Schema:
        """The text, null counting as empty, and what chooses and names the documents that are checked."""
        return pa.schema([ID, ID_HASH, TEXT])

    def writes(self) -> pa.Schema:
        """Ids, where they end in the text, their number, and whose ids they are."""
        return pa.schema([INPUT_IDS, TOKEN_ENDS, TOKEN_COUNT, TOKENIZER])

    def needs_side(self) -> Sequence[str]:
        """A tokenizer from another node, unless the param names one."""
        return () if self.tokenizer is not None else ("tokenizer",)

    def resources(self) -> Sequence[Path]:
        """The tokenizer's file."""
        return () if self.tokenizer is None else (tokenizer_file(self.tokenizer, {}),)

    def problems(self) -> Sequence[str]:
        """Thresholds that cross, a file that is no tokenizer, special tokens that it does not have."""
        found: list[str] = []
        if self.min_tokens is not None and self.max_tokens is not None and self.min_tokens > self.max_tokens:
            found.append(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}; swap them")
        if self.engine not in ("auto", "reference") and engine_version(self.engine) is None:
            found.append(
                f"engine {self.engine!r} is not installed; pip install {self.engine}, or write engine: auto"
            )
        path = None if self.tokenizer is None else tokenizer_file(self.tokenizer, {})
        if path is None or not path.is_file():  # a missing file is reported by who asks resources()
            return found
        try:
            info = tokenizer_info(path, bos_token=self.bos_token, eos_token=self.eos_token)
        except ValueError as error:
            return [*found, str(error)]
        return [*found, *missing_specials(info, self.add_bos, self.add_eos)]

    def describe(self) -> Sequence[str]:
        """The engine that will encode, and why it."""
        path = None if self.tokenizer is None else tokenizer_file(self.tokenizer, {})
        if path is None or not path.is_file():
            return (f"engine: {self.engine}, settled when the tokenizer is there",)
        try:
            choice = open_tokenizer(path, self.bos_token, self.eos_token, self.engine).choice
        except ValueError as error:
            return (f"engine: {error}",)
        return (f"engine: {choice.name} ({choice.why})",)

    def open(self, side: Mapping[str, Path]) -> FileTokenizer:
        """Load the tokenizer.

        Raises:
            ValueError: it lacks a special token that the params ask for, or does not go with the engine.
        """
        path = tokenizer_file(self.tokenizer, side)
        tokenizer = open_tokenizer(path, self.bos_token, self.eos_token, self.engine)
        missing = missing_specials(tokenizer.info, self.add_bos, self.add_eos)
        if missing:
            raise ValueError(f"{path}: {'; '.join(missing)}")
        return tokenizer

    def annotate(self, batch: pa.RecordBatch, resource: FileTokenizer) -> Marks:
        """Ids and counts of each row; rows of too few or too many tokens are rejected.

        Raises:
            EngineDiffers: a fast engine and the reference give different tokens for a document of the sample.
        """
        text = batch.column("text")
        if text.null_count:
            text = pc.fill_null(text, "")
        info = resource.info
        bos, eos = info.bos_id if self.add_bos else None, info.eos_id if self.add_eos else None
        encoded = resource.encode(text, bos, eos)
        if self.check is not None and resource.choice.fast is not None:
            rows = np.flatnonzero(hash_fractions(batch.column("id_hash"), SAMPLE) < self.check)
            if len(rows):
                at = pa.array(rows)
                resource.check(text.take(at), batch.column("id").take(at), select(encoded, rows), (bos, eos))
        counts = np.diff(encoded.offsets)
        rows = batch.num_rows
        codes = pa.array(np.zeros(rows, np.int32))
        columns = {
            "input_ids": pa.LargeListArray.from_arrays(encoded.offsets, encoded.ids),
            "token_ends": pa.LargeListArray.from_arrays(encoded.offsets, encoded.ends),
            "token_count": pa.array(counts.astype(np.int32)),
            "tokenizer": pa.DictionaryArray.from_arrays(codes, pa.array([info.sha256], pa.string())),
        }
        reject = length_reasons(counts, self.min_tokens, self.max_tokens)
        if reject.null_count == rows:
            return Marks(columns)
        evidence = pa.StructArray.from_arrays(
            [columns["token_count"]], names=["token_count"], mask=pc.is_null(reject)
        )
        return Marks(columns, reject, evidence)
