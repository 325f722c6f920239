"""The canonical columns of a document: name, Arrow type, meaning, and who writes each.

A document is one Arrow row. The engine adds IDENTITY to what a source yields; stages add signals as
further typed columns, declared in `writes()`. `large_*` types stand wherever a column of one batch can
pass 2 GiB. Columns that two families share are defined here, so that neither imports the other.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import xxhash

# --- identity, added by the engine to every row a source yields ------------------------------------
ID = pa.field("id", pa.string(), nullable=False)  # "<source>/<file>#<key>", then "#k" for pieces
ID_HASH = pa.field("id_hash", pa.binary(16), nullable=False)  # xxh3-128 of id, big-endian: joins, sampling
SOURCE = pa.field("source", pa.dictionary(pa.int32(), pa.string()), nullable=False)  # the source node's name

# --- what sources write ---------------------------------------------------------------------------
ORIGIN_TYPE = pa.struct([("file", pa.string()), ("key", pa.string()), ("offset", pa.int64())])
ORIGIN = pa.field(
    "origin", ORIGIN_TYPE, nullable=False
)  # file relative to the source; record key; byte offset
TEXT = pa.field("text", pa.large_string())  # the document; null until extraction gives it one
URL = pa.field("url", pa.string())
DATE = pa.field("date", pa.string())  # ISO 8601 where the source knows it
METADATA = pa.field("metadata", pa.string())  # JSON object: whatever else the source said
CONTENT = pa.field("content", pa.large_binary())  # a raw page, until extraction drops it
MEDIA_TYPE = pa.field("media_type", pa.string())  # as served, lower case, no parameters: "text/html"
CHARSET = pa.field("charset", pa.string())  # as the HTTP header said, lower case, or null

MESSAGE_TYPE = pa.struct(
    [
        ("role", pa.string()),  # system | user | assistant | tool
        ("content", pa.large_string()),
        ("tool_calls", pa.string()),  # JSON list, or null
        ("weight", pa.float32()),  # 0 = no loss on this turn; null = the template's default
    ]
)
MESSAGES = pa.field("messages", pa.large_list(MESSAGE_TYPE))  # a dialogue, in order

# --- verdicts, added by the engine to rejected rows -----------------------------------------------
REJECTED_BY = pa.field("rejected_by", pa.string())  # "<node>.<reason>"
EVIDENCE = pa.field("evidence", pa.large_string())  # JSON object: measured values, spans, the survivor's id

# --- signals that several families read -----------------------------------------------------------
TITLE = pa.field("title", pa.large_string())  # extraction
LANG = pa.field("lang", pa.string())  # language identification: "en", or null when undecided
LANG_SCORE = pa.field("lang_score", pa.float32())  # 0..1
WORD_COUNT = pa.field("word_count", pa.int32())  # text_signals
CHAR_COUNT = pa.field("char_count", pa.int64())  # text_signals: Unicode code points
TOKEN_COUNT = pa.field("token_count", pa.int32())  # tokenize

# --- benchmark items, and where documents have them ------------------------------------------------
BENCHMARK = pa.field("benchmark", pa.string())  # "gsm8k"
ITEM = pa.field("item", pa.string())  # the item's id within its benchmark
ITEM_PART_TYPE = pa.struct(
    [
        ("part", pa.string()),  # passage | question | choice | solution | answer
        ("text", pa.large_string()),
    ]
)
ITEM_PARTS = pa.field("item_parts", pa.list_(ITEM_PART_TYPE))  # in the order they are read; choices in theirs
LEAK_TYPE = pa.struct(
    [
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("definition", pa.string()),  # name of the definition by which the item was found
        ("class", pa.string()),  # input_and_output | input_only | output_only
        ("part", pa.string()),  # input | output | joint: what the matched stretch is of
        ("score", pa.float64()),  # the definition's own: words, or a fraction of 0 to 1
        ("start", pa.int64()),  # of the longest matched stretch in the text, code points
        ("end", pa.int64()),
        ("matched", pa.string()),  # that stretch, cut to 500 characters
        ("decides", pa.bool_()),  # does this definition, with this class, decide about the document?
    ]
)
CONTAMINATION = pa.field("contamination", pa.list_(LEAK_TYPE))  # one for each item and definition; null: none

# --- what tokenization writes and the shard sink reads --------------------------------------------
INPUT_IDS = pa.field("input_ids", pa.large_list(pa.uint32()))  # special tokens included
TOKEN_ENDS = pa.field("token_ends", pa.large_list(pa.uint32()))  # end of each token in `text`, code points
LABELS = pa.field("labels", pa.large_list(pa.int64()))  # -100 = no loss; dialogues only
TOKENIZER = pa.field("tokenizer", pa.dictionary(pa.int32(), pa.string()))  # sha256 of the tokenizer's file
CHAT_TEMPLATE = pa.field("chat_template", pa.dictionary(pa.int32(), pa.string()))  # sha256 of the template

IDENTITY = (ID, ID_HASH, SOURCE)


def id_hashes(ids: Iterable[str]) -> pa.Array:
    """128-bit hashes of document ids, as `binary(16)`.

    >>> id_hashes(["web/a.warc#1"])[0].as_py().hex()
    '4a9a8dc8ac5bf2c2d4b03757a36c96f1'
    """
    digest = xxhash.xxh3_128_digest
    return pa.array([digest(i.encode()) for i in ids], pa.binary(16))


def hash_fractions(id_hash: pa.Array, salt: str) -> np.ndarray:
    """A number in [0, 1) for each row that depends on its id and `salt` alone: sampling without an RNG.

    Args:
        id_hash: the ID_HASH column.
        salt: what makes two samples independent, such as f"{seed}/{purpose}".

    Returns:
        float64, one for each row; null ids are not allowed.
    """
    width = 16
    data = np.frombuffer(id_hash.buffers()[1], np.uint8)
    start = id_hash.offset * width
    words = data[start : start + len(id_hash) * width].view(np.uint64).reshape(-1, 2)
    mixed = words[:, 0] ^ (words[:, 1] * np.uint64(0x9E3779B97F4A7C15))
    mixed = mixed ^ np.uint64(xxhash.xxh3_64_intdigest(salt.encode()))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    fractions: np.ndarray = (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return fractions
