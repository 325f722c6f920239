"""Dialogues to token ids and labels: a chat template, and a loss on what the assistant says.

The template's `{% generation %}` blocks say what that is; a template without them is refused, not guessed
at. `text` becomes the rendering that the ids encode, so that token positions lead back to it.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jinja2
import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import (
    CHAT_TEMPLATE,
    INPUT_IDS,
    LABELS,
    MESSAGES,
    TEXT,
    TOKEN_COUNT,
    TOKEN_ENDS,
    TOKENIZER,
)
from pipeline.stage import MapStage, Marks
from stages.dialogue._chat_tokenizer import (
    BOS_TOKENS,
    EOS_TOKENS,
    NO_LOSS,
    ChatTokenizer,
    Tokens,
    encode_rendering,
    first_known,
    load_chat_tokenizer,
    loss_mask,
)
from stages.dialogue._render import Rendering, compile_template, render, template_names, template_path

TOKENIZER_FILE = "tokenizer.json"
EVIDENCE_TYPE = pa.struct([("tokens", pa.int64()), ("message", pa.string())])
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_PROBE = [
    {"role": "user", "content": "a", "tool_calls": None},
    {"role": "assistant", "content": "b", "tool_calls": None},
]


class Reason(StrEnum):
    """Why a dialogue goes."""

    NOT_RENDERABLE = "not_renderable"
    UNMATCHED_TURNS = "unmatched_turns"
    NO_TRAINABLE_TOKENS = "no_trainable_tokens"
    TOO_MANY_TOKENS = "too_many_tokens"


class Chat(NamedTuple):
    """What turns dialogues into tokens."""

    tokenizer: ChatTokenizer
    template: jinja2.Template
    template_sha256: str
    variables: Mapping[str, object]  # what templates read beside the dialogue


class Sequenced(NamedTuple):
    """One dialogue's outcome: tokens and labels, or why there are none."""

    text: str
    tokens: Tokens
    labels: np.ndarray  # int64
    reason: Reason | None = None
    message: str | None = None


_NOTHING = Tokens(np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64))


def template_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages as templates expect them: content a string, tool calls parsed and only where there are any."""
    shaped = []
    for message in messages:
        calls = json.loads(message["tool_calls"]) if message.get("tool_calls") else None
        shaped.append(
            {
                "role": message["role"],
                "content": message["content"] or "",
                **({"tool_calls": calls} if calls else {}),
            }
        )
    return shaped


def record_tools(metadata: str | None) -> list[object] | None:
    """The functions that a record offers, from its `tools` (a list, or JSON of one); none and [] are None.

    Templates print a preamble for an empty list (trl #5380), so there must not be one.
    """
    record = json.loads(metadata) if metadata else None
    tools = record.get("tools") if isinstance(record, dict) else None
    if isinstance(tools, str) and tools.strip():
        tools = json.loads(tools)
    return tools if isinstance(tools, list) and tools else None


def trained_spans(
    spans: Sequence[tuple[int, int]], messages: Sequence[Mapping[str, Any]], last_only: bool
) -> list[tuple[int, int]] | None:
    """The spans that carry the loss: not those of turns with weight 0, or only the last turn's.

    Returns:
        None if turns matter and the template did not write one span a turn: they cannot be told apart.
    """
    weights = [message.get("weight") for message in messages if message["role"] == "assistant"]
    if not last_only and all(weight is None or weight > 0 for weight in weights):
        return list(spans)
    if len(spans) != len(weights):
        return None
    chosen = [span for span, weight in zip(spans, weights, strict=True) if weight is None or weight > 0]
    return ([span for span in chosen if span == spans[-1]] if last_only else chosen) if spans else []


def sequence_dialogue(
    messages: Sequence[Mapping[str, Any]], tools: list[object] | None, chat: Chat, loss: str
) -> Sequenced:
    """Render one dialogue once and encode it, with a label for each token.

    Args:
        messages: as schema.MESSAGE_TYPE has them.
        tools: functions that the dialogue may call, or None.
        chat: tokenizer and template.
        loss: `assistant`, `last_assistant` or `all` (all but turns with weight 0).
    """
    variables = {**chat.variables, "messages": template_messages(messages), "tools": tools}
    try:
        rendering = render(chat.template, variables, chat.tokenizer.pattern)
    except jinja2.TemplateError as error:
        return Sequenced("", _NOTHING, np.zeros(0, np.int64), Reason.NOT_RENDERABLE, str(error)[:200])
    tokens = encode_rendering(rendering, chat.tokenizer)
    ids = tokens.ids.astype(np.int64)
    spans = trained_spans(rendering.spans, messages, loss == "last_assistant")
    if spans is None:
        counts = f"{len(rendering.spans)} generation blocks for {_answers(messages)} assistant messages"
        labels = np.full(len(ids), NO_LOSS)
        return Sequenced(rendering.text, tokens, labels, Reason.UNMATCHED_TURNS, counts)
    mask = loss_mask(tokens, spans, chat.tokenizer.specials)
    if loss == "all":
        silent = [span for span in rendering.spans if span not in spans]
        mask = ~loss_mask(tokens, silent, chat.tokenizer.specials)
    reason = None if mask.any() else Reason.NO_TRAINABLE_TOKENS
    return Sequenced(rendering.text, tokens, np.where(mask, ids, NO_LOSS), reason)


def _answers(messages: Sequence[Mapping[str, Any]]) -> int:
    return sum(1 for message in messages if message["role"] == "assistant")


def fit_dialogue(
    messages: Sequence[Mapping[str, Any]],
    tools: list[object] | None,
    chat: Chat,
    loss: str,
    max_tokens: int | None,
    truncate: bool,
) -> Sequenced:
    """A dialogue in at most `max_tokens` tokens: whole, or its longest beginning that ends with an answer.

    A shorter dialogue is rendered anew, not cut: templates treat the last turn in their own ways. A beginning
    with no loss in it is of no use, so what then remains is `too_many_tokens`.
    """
    whole = sequence_dialogue(messages, tools, chat, loss)
    if max_tokens is None or len(whole.tokens.ids) <= max_tokens or whole.reason is Reason.UNMATCHED_TURNS:
        return whole
    if truncate:
        answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        for last in reversed(answers[:-1]):
            shorter = sequence_dialogue(messages[: last + 1], tools, chat, loss)
            if len(shorter.tokens.ids) <= max_tokens and shorter.reason is None:
                return shorter
    return whole._replace(reason=Reason.TOO_MANY_TOKENS)


def unknown_terminator(chat: Chat) -> str | None:
    """What ends an assistant's turn, if that is not one special token of the tokenizer; else None."""
    try:
        variables = {**chat.variables, "messages": _PROBE, "tools": None}
        rendering: Rendering = render(chat.template, variables, chat.tokenizer.pattern)
    except jinja2.TemplateError:
        return None  # a template that wants more than two messages: nothing to say
    if not rendering.spans:
        return None
    start, end = rendering.spans[-1]
    tokens = encode_rendering(rendering, chat.tokenizer)
    trained = tokens.ids[loss_mask(tokens, [(start, end)], chat.tokenizer.specials)]
    special = len(trained) and int(trained[-1]) in set(chat.tokenizer.specials.values())
    return None if special else rendering.text[start:end].removeprefix(" ").removeprefix("b")


class TokenizeDialogue(MapStage[Chat]):
    """Render dialogues with a chat template into ids and labels; -100 where there is no loss."""

    reasons = Reason
    sides = {"tokenizer": "folder with a tokenizer.json, such as train_tokenizer writes"}
    libraries = ("tokenizers", "jinja2")
    summarize = {"token_count": "sum"}

    template: str = Field(
        "chatml",
        description="chatml, llama3, mistral, zephyr, vicuna, alpaca, or a .jinja file with generation tags",
    )
    tokenizer: str | None = Field(
        None, description="path of a tokenizer.json; null: the side input `tokenizer`, such as a trained one"
    )
    loss: Literal["assistant", "last_assistant", "all"] = Field(
        "assistant", description="which turns carry the loss; turns with weight 0 never do"
    )
    max_tokens: int | None = Field(None, ge=1, description="most tokens a dialogue may have; null = off")
    overflow: Literal["reject", "truncate_turns"] = Field(
        "reject",
        description="reject what is too long, or keep its beginning up to the last answer that fits",
    )
    bos_token: str | None = Field(
        None,
        description="what the template gets as bos_token; null: the first usual name that the tokenizer has",
    )
    eos_token: str | None = Field(
        None,
        description="what the template gets as eos_token; null: the first usual name that the tokenizer has",
    )
    allow_plain_markers: bool = Field(
        False,
        description="accept that the end of a turn is written in ordinary tokens, not one special token",
    )
    date: str = Field(
        "2025-01-01",
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="the day that templates print as today's; fixed, so that a run can be repeated",
    )

    def reads(self) -> pa.Schema:
        return pa.schema([MESSAGES])

    def writes(self) -> pa.Schema:
        return pa.schema([TEXT, INPUT_IDS, TOKEN_ENDS, LABELS, TOKEN_COUNT, TOKENIZER, CHAT_TEMPLATE])

    def needs_side(self) -> Sequence[str]:
        return () if self.tokenizer is not None else ("tokenizer",)

    def resources(self) -> Sequence[Path]:
        return [
            template_path(self.template),
            *([] if self.tokenizer is None else [model_path(self.tokenizer)]),
        ]

    def problems(self) -> Sequence[str]:
        path = template_path(self.template)
        if not path.is_file():
            if path.suffix:
                return []  # a missing file is reported for what it is
            return [f"template: {self.template!r} is none of {', '.join(template_names())}, and no file"]
        source = path.read_text(encoding="utf-8")
        try:
            compile_template(source, self.date)
        except (jinja2.TemplateSyntaxError, ValueError) as error:
            return [f"template: {self.template!r} cannot be read ({error}); correct it"]
        if not _GENERATION.search(source):
            return [
                f"template: {self.template!r} has no generation block to say what the assistant writes; "
                "put {% generation %} and {% endgeneration %} around its content and the end of its turn"
            ]
        if self.tokenizer is None or not model_path(self.tokenizer).is_file():
            return []
        try:
            self.open({})
        except ValueError as error:
            return [str(error)]
        return []

    def open(self, side: Mapping[str, Path]) -> Chat:
        path = side["tokenizer"] / TOKENIZER_FILE if self.tokenizer is None else model_path(self.tokenizer)
        tokenizer = load_chat_tokenizer(path)
        source = template_path(self.template).read_bytes()
        variables = {
            "bos_token": self.bos_token or first_known(BOS_TOKENS, tokenizer) or "",
            "eos_token": self.eos_token or first_known(EOS_TOKENS, tokenizer) or "",
            "add_generation_prompt": False,
        }
        template = compile_template(source.decode(), self.date)
        chat = Chat(tokenizer, template, hashlib.sha256(source).hexdigest(), variables)
        found = None if self.allow_plain_markers else unknown_terminator(chat)
        if found is not None:
            raise ValueError(
                f"template: {self.template!r} ends the assistant's turn with {found!r}, no special token of "
                f"{path}; take a template and tokenizer that fit, set eos_token, or allow_plain_markers: true"
            )
        return chat

    def annotate(self, batch: pa.RecordBatch, resource: Chat) -> Marks:
        metadata = (
            batch["metadata"].to_pylist() if "metadata" in batch.schema.names else [None] * batch.num_rows
        )
        truncate = self.overflow == "truncate_turns"
        rows = [
            fit_dialogue(messages or [], record_tools(about), resource, self.loss, self.max_tokens, truncate)
            for messages, about in zip(batch["messages"].to_pylist(), metadata, strict=True)
        ]
        reject = pa.array([row.reason and row.reason.value for row in rows], pa.string())
        shown = [row.reason and {"tokens": len(row.tokens.ids), "message": row.message} for row in rows]
        return Marks(_columns(rows, resource), reject, pa.array(shown, EVIDENCE_TYPE))


def _columns(rows: Sequence[Sequenced], chat: Chat) -> dict[str, pa.Array]:
    lengths = np.array([len(row.tokens.ids) for row in rows], np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())

    def lists(parts: list[np.ndarray], dtype: type) -> pa.Array:
        values = np.concatenate([np.zeros(0, dtype), *(part.astype(dtype) for part in parts)])
        return pa.LargeListArray.from_arrays(offsets, pa.array(values))

    def constant(value: str) -> pa.Array:
        return pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(len(rows), np.int32)), pa.array([value], pa.string())
        )

    return {
        "text": pa.array([row.text for row in rows], TEXT.type),
        "input_ids": lists([row.tokens.ids for row in rows], np.uint32),
        "token_ends": lists([row.tokens.ends for row in rows], np.uint32),
        "labels": lists([row.labels for row in rows], np.int64),
        "token_count": pa.array(lengths.astype(np.int32)),
        "tokenizer": constant(chat.tokenizer.sha256),
        "chat_template": constant(chat.template_sha256),
    }
