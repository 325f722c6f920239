"""What the contract test needs to know of each stage: params to try, and a small world for them to work in.

Params are what a config would hold; "{root}" in them is the folder of the world. The first of a stage's are the
least that it accepts; the others turn on what the first leaves off, so that every way through it is walked.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.models import fetch
from pipeline.schema import (
    BENCHMARK,
    CHARSET,
    CONTAMINATION,
    CONTENT,
    DATE,
    ITEM_PARTS,
    MEDIA_TYPE,
    MESSAGES,
    METADATA,
    ORIGIN,
    SOURCE,
    TEXT,
    URL,
    id_hashes,
)
from pipeline.schema import ITEM as ITEM_ID
from pipeline.stage import ShardInfo
from stages.decontamination.build_index import BuildNgramIndex
from stages.decontamination.build_vectors import BuildItemVectors
from stages.decontamination.count_hits import CountNgramHits
from stages.dedup.build_bloom import BuildBloomFilter
from stages.dedup.build_minhash_index import BuildMinhashIndex
from stages.dedup.train_clusters import TrainClusters
from stages.mixing.plan_mixture import PlanMixture
from stages.signals._embed_models import HashingEmbedder
from stages.signals._machine_reference import load_tables
from stages.signals.embed import embed_texts
from stages.signals.machine_text import machine_text_signals
from stages.signals.text import text_signals
from stages.signals.train_language_model import TrainLanguageModel
from stages.signals.train_quality_classifier import TrainQualityClassifier
from stages.tokenization.tokenize import Tokenize
from stages.tokenization.train_tokenizer import TrainTokenizer
from tests.stages.sources.support import members, page

CASES: dict[str, list[dict[str, Any]]] = {
    "read_warc": [{"paths": "{root}/warc"}, {"paths": "{root}/warc", "media_types": None, "batch_rows": 2}],
    "read_jsonl": [{"paths": "{root}/jsonl"}, {"paths": ["{root}/jsonl/*.gz", "{root}/jsonl/a.jsonl"], "id": "n", "batch_rows": 2}],
    "read_parquet": [{"paths": "{root}/parquet"}, {"paths": "{root}/parquet", "text": None, "batch_rows": 2}],
    "read_html": [{"paths": "{root}/html"}, {"paths": "{root}/html", "files_per_split": 1, "batch_rows": 1}],
    "read_text": [{"paths": "{root}/text"}, {"paths": "{root}/text", "errors": "replace", "max_record_bytes": 8}],
    "read_arrow": [{"paths": "{root}/arrow"}, {"paths": "{root}/arrow", "id": "n", "batch_rows": 2}],
    "read_benchmark": [
        {"paths": "{root}/benchmark/quiz.jsonl"},
        {"paths": ["{root}/benchmark/*.csv"], "benchmark": "mmlu", "batch_rows": 2},
    ],
    "read_lm_eval": [{"tasks": ["lamps"], "include_path": "{root}/lm_eval"}],
    "extract_html": [
        {},
        {"engine": "resiliparse", "include_links": True, "statuses": None, "format": "markdown", "metadata": True},
        {"engine": "justext", "min_chars": 20, "metadata": False},
        {"engine": "union", "engines": ["resiliparse", "trafilatura"], "dates": "htmldate", "metadata": ["date"]},
        {"engine": "trafilatura", "favour": "fast", "dates": None},
    ],
    "chunk_long_documents": [{}, {"max_chars": 100}],
    "repair_text": [{}, {"unescape_html": True, "collapse_spaces": True, "max_blank_lines": 0}],
    "convert_chinese": [{"to": "simplified"}, {"to": "traditional", "region": "taiwan", "phrases": True}],
    "identify_language": [{}, {"keep": ["en", "zh"], "max_chars": 50}],
    "identify_paragraph_languages": [{}, {"cut_other_than": ["en"], "max_other_fraction": 0.2, "min_letters": 5}],
    "classify_text": [
        {"label": "positive"},
        {"min_score": 0.4, "max_score": 0.9, "label_column": "kind", "max_chars": 60},
        {"pareto_alpha": 9.0, "column": "fluency", "seed": 3},
    ],
    "train_quality_classifier": [
        {"positive": ["web"], "dim": 4, "bucket": 99, "min_count": 1},
        {"positive": ["web"], "dim": 4, "bucket": 99, "min_count": 1, "max_documents": 4, "valid_fraction": 0.0},
    ],
    "perplexity": [{}, {"cuts": [20.0, 90.0], "min_perplexity": 5.0, "max_perplexity": 100.0}],
    "train_language_model": [
        {"min_count": 1},
        {"min_count": 1, "order": 2, "prune": 0, "held_out": 0.5, "max_bytes": 900, "arpa": True},
    ],
    "text_signals": [{}, {"stop_words": ["und", "der"]}],
    "machine_text_signals": [{}, {"max_bytes": 1000}],
    "mark_machine_text": [{}, {"thresholds": {"ocr_noise": 0.9}, "max_words_per_disclosure": None}],
    "embed_text": [{}, {"model": "lid176", "column": "vector", "max_chars": 40}],
    "gopher_rules": [{}, {"min_words": 1, "max_words": 20, "min_stop_words": None}],
    "gopher_repetition": [{}, {"max_duplicate_line_fraction": None}],
    "fineweb_rules": [{}, {"max_duplicate_line_chars": None, "min_terminal_lines": 0.5}],
    "c4_rules": [
        {},
        {"require_terminal_mark": False, "min_sentences": 1, "min_words_per_line": 1, "keep_blank_lines": True},
        {"page_rules_read": "all_lines", "remove_citations": False, "min_sentences": None},
    ],
    "refinedweb_rules": [{}, {"max_flagged_word_fraction": None, "on_phrase": "cut"}],
    "boilerplate_rules": [{}, {"placeholder_phrases": ["lamp"], "policy_phrases": ["buy now"]}],
    "filter_length": [{"min_words": 10}, {"max_chars": 30, "min_tokens": 3}],
    "filter_column": [
        {"column": "word_count", "type": "int32", "min": 10},
        {"column": "source", "type": "dictionary", "one_of": ["web"]},
        {"column": "text", "type": "large_string", "matches": "lamp", "missing": "reject"},
    ],
    "filter_url": [
        {"blocked_domains": ["bad.example"]},
        {"blocked_words": ["sex"], "blocked_patterns": ["[0-9]{6}"], "missing": "reject"},
        {"allowed_domain_files": ["{root}/domains.txt"], "blocked_substrings": ["casino"]},
        {"soft_words": ["page", "example"], "max_soft_words": 0},
    ],
    "tag_url": [{}, {"known": [], "classes": [{"label": "listed", "domain_files": ["{root}/domains.txt"]}]}],
    "filter_metadata": [
        {"where": [{"field": "score", "op": ">=", "value": 2}]},
        {"where": [{"field": "system", "op": "exists", "value": False}], "missing": "keep"},
    ],
    "exact_dedup": [
        {},
        {"on": "normalized", "source_priority": ["books"]},
        {"on": "content"},
        {"on": "messages"},
        {"on": "columns", "columns": ["url", "messages", "date"], "prefer": "longest"},
    ],
    "url_dedup": [
        {},
        {"prefer": "newest", "fragments": "drop", "more_ignored_params": ["ref"]},
        {"prefer": "longest", "quality": "mean_word_length"},
    ],
    "minhash_dedup": [
        {},
        {"prefer": "first", "n": 3, "seed": 7},
        {"unit": "char", "n": 20},
        {"quality": "mean_word_length", "prefer": "newest", "measure": "containment"},
        {"num_perm": 64, "threshold": 0.6, "scheme": "datasketch_legacy"},
    ],
    "build_minhash_index": [{}, {"unit": "char", "n": 20, "scheme": "datasketch"}],
    "minhash_against": [{}, {"threshold": 0.9, "measure": "containment", "max_candidates": 1}],
    "build_bloom_filter": [
        {"expected_ngrams": 20000},
        {"expected_ngrams": 5000, "unit": "char", "n": None, "scope": "paragraph", "repeated": True},
        {"expected_ngrams": 500, "on": "messages"},
    ],
    "bloom_dedup": [{}, {"action": "cut", "threshold": 0.5}, {"action": "mark"}, {"on": "messages"}],
    "ngram_dedup": [
        {},
        {"n": 2, "threshold": 0.3, "prefer": "longest"},
        {"unit": "char", "scope": "paragraph", "on": "messages"},
    ],
    "line_dedup": [
        {},
        {"unit": "sentences", "keep": "none", "min_chars": 1, "prefer": "longest", "max_removed_fraction": 0.2},
        {"unit": "paragraph", "scope": "domain", "normalize": "words", "min_documents": 2, "prefer": "newest"},
        {"scope": "document", "normalize": "ccnet", "min_count": 3, "min_left_chars": 20},
        {"quality": "mean_word_length", "source_priority": ["web"], "min_chars": 1, "span": 1, "unit": "sentences"},
    ],
    "substring_dedup": [
        {"k": 20},
        {"unit": "byte", "k": 40, "keep": "none", "max_removed_fraction": 0.5, "prefer": "longest"},
        {"unit": "word", "k": 12, "action": "mark", "quality": "mean_word_length", "source_priority": ["books"]},
        {"k": 10, "min_left_chars": 300},
    ],
    "train_clusters": [{}, {"clusters": 3, "max_documents": 4, "iterations": 1}],
    "semantic_dedup": [{}, {"threshold": 0.9, "prefer": "longest", "prefer_outliers": True}],
    "build_ngram_index": [{}, {"seed_words": 5, "tokens": "code", "max_texts": 1, "passages": False, "rare_words": 4}],
    "count_ngram_hits": [{}, {"on": "messages"}],
    "decontaminate": [
        {},
        {"action": "cut", "window_chars": 5, "min_piece_chars": 10, "max_pieces": 2},
        {
            "action": "mark",
            "definitions": [
                {"kind": "ngram", "n": 8, "min_hits": 2, "max_documents": 10},
                {"kind": "coverage"},
                {"kind": "longest_span", "skip_words": 2},
                {"kind": "rare_ngrams"},
                {"kind": "short"},
            ],
            "decide": ["coverage_8"],
        },
        {"on": "messages", "classes": ["input_only"], "only_mark_sources": ["web"]},
        {"protect": [{"benchmark": "riddles", "sources": ["books"], "domains": ["bad.example"]}]},
    ],
    "write_benchmark_lists": [
        {},
        {"definitions": ["ngram_13"], "classes": ["output_only"], "examples": 1, "min_documents": 2},
    ],
    "build_item_vectors": [{}],
    "find_similar_items": [{}, {"threshold": 0.3, "action": "reject"}],
    "scrub_pii": [
        {},
        {"action": "reject", "entities": ["EMAIL_ADDRESS", "US_SSN", "IBAN_CODE"]},
        {"action": "mark"},
        {"column": "messages", "replacement": "[{entity}]"},
    ],
    "bad_words": [
        {"words": "{root}/words.txt"},
        {"words": ["{root}/words.txt"], "column": "messages", "max_ratio": 0.5, "max_count": None},
    ],
    "parse_dialogue": [{}, {"format": "sharegpt"}],
    "check_dialogue": [{}, {"allow_any_order": True, "max_turns": 2, "max_chars": 40, "min_turns": None}],
    "tokenize_dialogue": [
        {},
        {"loss": "last_assistant", "max_tokens": 40, "overflow": "truncate_turns"},
        {"loss": "all", "template": "zephyr", "tokenizer": "{root}/tokenizer/tokenizer.json"},
    ],
    "plan_mixture": [
        {},
        {
            "unit": "documents",
            "temperature": 2.0,
            "budget": 5,
            "max_epochs": 2.5,
            "scarce": "shrink",
            "phases": [{"name": "warmup", "share": 0.2}, {"name": "main", "share": 0.8}],
            "seed": 3,
        },
    ],
    "mix_documents": [{}],
    "order_documents": [{}, {"by": [{"column": "token_count", "ratio": 1.25, "descending": True}, "shuffle"], "seed": 2}],
    "tokenize": [{}, {"add_bos": True, "bos_token": "<s>", "min_tokens": 4, "max_tokens": 200}],
    "train_tokenizer": [{"vocab_size": 300}, {"vocab_size": 280, "sample_fraction": 0.6, "max_bytes": 900},
        {"model": "unigram", "vocab_size": 400, "digits": "single"}, {"model": "wordpiece", "vocab_size": 400}],
    "write_token_shards": [{}, {"packing": "none", "seq_len": None}, {"seq_len": 7}, {"packing": "best_fit", "seq_len": 60, "packing_window": 100}],
    "write_megatron": [{}, {"merge": False, "prefix": "web", "labels": "drop"}],
    "write_memmap": [{}, {"merge": False, "extension": ".npy"}],
    "write_mds": [{}, {"size_limit": 1024, "compression": "zstd"}],
    "write_webdataset": [{}, {"size_limit": 8192}],
    "write_fairseq": [{}],
    "write_plain_text": [{}, {"unit": "line", "compression": "gz"}],
    "write_jsonl": [{}, {"compression": "gz", "columns": ["text", "id"]}, {"compression": "none"}],
    "write_parquet": [{}, {"columns": ["id"], "row_group_rows": 3, "compression": "none"}],
    "write_arrow": [{}, {"columns": ["text", "source", "origin"]}],
}  # fmt: skip

SIDES: dict[str, dict[str, str]] = {
    "tokenize": {"tokenizer": "tokenizer"},
    "tokenize_dialogue": {"tokenizer": "tokenizer"},
    "write_token_shards": {"tokenizer": "tokenizer"},
    "write_megatron": {"tokenizer": "tokenizer"},
    "write_memmap": {"tokenizer": "tokenizer"},
    "write_mds": {"tokenizer": "tokenizer"},
    "write_webdataset": {"tokenizer": "tokenizer"},
    "write_fairseq": {"tokenizer": "tokenizer"},
    "write_plain_text": {"tokenizer": "tokenizer"},
    "count_ngram_hits": {"index": "index"},
    "decontaminate": {"index": "index", "counts": "counts"},
    "write_benchmark_lists": {"index": "index"},
    "find_similar_items": {"vectors": "vectors"},
    "classify_text": {"model": "quality"},
    "perplexity": {"model": "language"},
    "minhash_against": {"index": "minhashes"},
    "bloom_dedup": {"filter": "bloom"},
    "semantic_dedup": {"clusters": "clusters"},
    "mix_documents": {"mixture": "mixture"},
}

LAMP = (
    "When the old keeper climbed up to his lamp that evening, a storm had already covered most of our northern "
    "coast with snow. Nobody could see ships, and fishermen who have sailed there all their lives waited "
    "inside, drinking tea and telling stories. By morning everything was quiet again; gulls returned first, "
    "then two small boats."
)
ITEM = (
    "Which of the seven rivers of the northern province carries the most water to the sea in spring, and why?"
)
LEAK = {
    "benchmark": "riddles",
    "item": "2",
    "definition": "ngram_13",
    "class": "input_only",
    "part": "input",
    "score": 18.0,
    "start": 19,
    "end": 19 + len(ITEM) - 1,
    "matched": ITEM[:-1],
    "decides": True,
}
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"

TEXTS = [
    LAMP,
    LAMP,
    LAMP.replace("two small", "three small"),
    None,
    "",
    "word",
    "老守灯人那天晚上爬上灯塔的时候，暴风雪已经盖住了北方的海岸。",
    "عندما صعد الحارس العجوز إلى مصباحه في ذلك المساء، كانت العاصفة قد غطت الساحل.",
    "Write to ann.lee@mail.example.com or call +49 30 901820 from 203.0.113.77; card 4111 1111 1111 1111.",
    "Buy now!\n" * 30,
    f"A page of riddles. {ITEM} Send us your answer until the end of the month, on a card.",
    "What a damn mess, said he. Damn it all, and the swamp with it!",
    "\n\n".join(f"Paragraph {k} says little. {FAMILY} It goes on a bit, e\u0301 too." for k in range(8)),
    "Das ist schÃ¶n\x07 und gut;  &amp; der Rest  \n\n\n\n\nbleibt.",
]  # fmt: skip
ROWS = len(TEXTS)


def html(text: str) -> bytes:
    return f"<html><head><title>T</title></head><body><article><p>{text}</p></article></body></html>".encode()


def dialogue(*contents: str | None, roles: tuple[str, ...] = ("user", "assistant")) -> list[dict[str, Any]]:
    return [
        {"role": roles[k % len(roles)], "content": c, "tool_calls": None, "weight": None}
        for k, c in enumerate(contents)
    ]


DIALOGUES: list[Any] = [
    dialogue("Who keeps the lamp?", "The old keeper does."),
    dialogue("Who keeps the lamp?", "The old keeper does."),
    dialogue("You are terse.", "Hi", "Hello.", roles=("system", "user", "assistant")),
    None,
    [],
    dialogue("alone"),
    dialogue("你好", "您好，有什么可以帮您？", "没有", "再见"),
    dialogue("أهلا", ""),
    dialogue("Mail ann.lee@mail.example.com", "No <|im_end|> mail."),
    dialogue("damn", "damn " * 30, "more", "damn " * 30),
    dialogue("one", "two", roles=("assistant", "user")),
    dialogue("first", "second", roles=("user",)),
    [
        *dialogue("Weather?"),
        {"role": "assistant", "content": None, "tool_calls": '[{"name": "sky"}]', "weight": None},
        {"role": "tool", "content": "rain", "tool_calls": None, "weight": None},
        {"role": "assistant", "content": "It rains.", "tool_calls": None, "weight": 1.0},
    ],
    [*dialogue("Hi"), {"role": "assistant", "content": "Hello", "tool_calls": None, "weight": 0.0}],
]
RECORDS: list[Any] = [
    {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "score": 1},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "score": 2},
    {"instruction": "Add", "input": "1 1", "output": "2", "system": "Be brief", "score": 3.5},
    None,
    {},
    {"score": "3"},
    {"conversations": "none"},
    *({"messages": d, "score": k} for k, d in enumerate(DIALOGUES[7:])),
]  # fmt: skip


def identity(rows: int) -> dict[str, pa.Array]:
    """The columns that the engine gives every document; two sources."""
    ids = [f"{'web' if k % 2 else 'books'}/file#{k}" for k in range(rows)]
    sources = pa.DictionaryArray.from_arrays(
        pa.array([k % 2 for k in range(rows)], pa.int32()), ["books", "web"]
    )
    return {
        "id": pa.array(ids),
        "id_hash": id_hashes(ids),
        "source": sources.cast(SOURCE.type),
        "origin": pa.array([{"file": "file", "key": str(k), "offset": k} for k in range(rows)], ORIGIN.type),
    }


def documents() -> dict[str, pa.Array]:
    """Every canonical column that some stage reads, but those of tokens."""
    pages = [None if t is None else html(t) for t in TEXTS]
    pages[4:7] = [b"", b"%PDF-1.7 no page", "Nur Text, höchst einfach.".encode("cp1252")]
    types = ["text/html"] * ROWS
    types[3], types[6] = None, "text/plain"
    urls = [f"http://site{k}.example/path/{k}" for k in range(ROWS)]
    urls[2:6] = ["https://WWW.Bad.example:8080/x", None, "", "http://me@a.example/sex-1234567"]
    urls[6] = "http://münchen.example/onlinecasinos"
    urls[1] = "https://www.site0.example:443/path/./0/?utm_source=x"  # the first one, otherwise written
    text = pa.array(TEXTS, TEXT.type)
    return {
        **identity(ROWS),
        "text": text,
        "url": pa.array(urls, URL.type),
        "date": pa.array([None, "2024-05-01"] * (ROWS // 2), DATE.type),
        "metadata": pa.array([r if r is None else json.dumps(r) for r in RECORDS], METADATA.type),
        "content": pa.array(pages, CONTENT.type),
        "media_type": pa.array(types, MEDIA_TYPE.type),
        "charset": pa.array([None] * 6 + ["windows-1252"] + [None] * (ROWS - 7), CHARSET.type),
        "http_status": pa.array([200] * (ROWS - 1) + [404], pa.int32()),
        "messages": pa.array(DIALOGUES, MESSAGES.type),
        **text_signals(text),
        **machine_text_signals(text, load_tables()),
        "embedding": embed_texts(text, HashingEmbedder(32), None),
        **items_of(TEXTS),
        "contamination": pa.array([[LEAK] if t and ITEM in t else None for t in TEXTS], CONTAMINATION.type),
    }


def items_of(texts: list[str | None]) -> dict[str, pa.Array]:
    """Benchmark items whose questions are some texts."""
    parts = [[{"part": "question", "text": t}, {"part": "answer", "text": "the northern one"}] for t in texts]
    return {
        "benchmark": pa.array(["riddles"] * len(texts), BENCHMARK.type),
        "item": pa.array([str(k) for k in range(len(texts))], ITEM_ID.type),
        "item_parts": pa.array([None, [], *parts[2:]][: len(texts)], ITEM_PARTS.type),
    }


def hostile() -> dict[str, str]:
    """Texts that break what was only tried on articles."""
    return {
        "empty": "",
        "blank": " ",
        "nul": "\x00",
        "lone marks": "\u0301\u0323\u20dd" * 40,
        "1 MB without spaces": ("qwertyuiopasdfghjklzxcvbnm0" * 40_000)[: 1 << 20],
        "right to left": "\u202eשלום\u202c \u061cمرحبا " * 50,
        "joined emoji": FAMILY * 500,
        "100k newlines": "\n" * 100_000,
        "100k blanks": " \t" * 50_000 + "x",
        "100k full stops": "." * 100_000,
        "digits and dots": "1.2" * 30_000,
        "at signs": "a@" * 30_000,
        "beyond the BMP": "\U0010fffd\U0001d573\u200b\ufeff\u2028" * 100,
        "brackets": "<{[(" * 3_000,
    }


def hostile_documents() -> pa.RecordBatch:
    """One row a hostile text, which stands in every column that text can come in."""
    texts = list(hostile().values())
    rows = len(texts)
    text = pa.array(texts, TEXT.type)
    records = [
        json.dumps(
            {"conversations": [{"from": "human", "value": t}, {"from": "gpt", "value": t}], "score": 3}
        )
        for t in texts
    ]
    columns = {
        **identity(rows),
        "text": text,
        "url": pa.array(texts, URL.type),
        "date": pa.nulls(rows, DATE.type),
        "metadata": pa.array(records, METADATA.type),
        "content": pa.array([t.encode() for t in texts], CONTENT.type),
        "media_type": pa.array(["text/html"] * rows, MEDIA_TYPE.type),
        "charset": pa.nulls(rows, CHARSET.type),
        "http_status": pa.array([200] * rows, pa.int32()),
        "messages": pa.array([dialogue(t, t) for t in texts], MESSAGES.type),
        **text_signals(text),
        **machine_text_signals(text, load_tables()),
        "embedding": embed_texts(text, HashingEmbedder(32), None),
        **items_of(list(texts)),
        "contamination": pa.array([[LEAK | {"matched": t}] for t in texts], CONTAMINATION.type),
        "token_count": pa.array([len(t) for t in texts], pa.int32()),
    }
    return pa.RecordBatch.from_pydict(columns)


class World:
    """A folder with whatever stages need: models, lists, side inputs, source files; and one batch of documents."""

    def __init__(self, root: Path) -> None:
        self.root = root
        fetch("lid176")
        (root / "words.txt").write_text("# terms\ndamn\nmess\n雪\n", "utf-8")
        (root / "domains.txt").write_text("example # all of it\n", "utf-8")
        columns = documents()
        plain = pa.RecordBatch.from_pydict(columns)
        specials = ["<|endoftext|>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
        self.commit(TrainTokenizer(vocab_size=400, special_tokens=specials), "tokenizer", plain)
        items = pa.RecordBatch.from_pydict({**identity(3), **items_of([None, None, ITEM])})
        self.commit(BuildNgramIndex(rare_words=5), "index", items)
        count = CountNgramHits()
        self.commit(count, "counts", plain, count.open({"index": root / "index"}))
        self.commit(BuildItemVectors(), "vectors", plain)
        quality = TrainQualityClassifier(positive=["web"], dim=4, bucket=99, min_count=1)
        self.commit(quality, "quality", plain)
        self.commit(TrainLanguageModel(min_count=1), "language", plain)
        self.commit(BuildMinhashIndex(), "minhashes", plain)
        lines = BuildBloomFilter(expected_ngrams=5000, n=5, scope="paragraph")
        self.commit(lines, "bloom", plain.slice(0, 2))
        self.commit(TrainClusters(), "clusters", plain)
        self.commit(PlanMixture(unit="documents", budget=ROWS // 2, scarce="shrink"), "mixture", plain)
        tokenize = Tokenize()
        marks = tokenize.annotate(plain, tokenize.open({"tokenizer": root / "tokenizer"}))
        missing = pa.array([None if k == 3 else k for k in range(ROWS)])  # a row without tokens at all
        tokens = {
            name: column.take(missing) if name in ("input_ids", "token_ends") else column
            for name, column in marks.columns.items()
        }
        self.batch = pa.RecordBatch.from_pydict({**columns, **tokens})
        write_sources(root)

    def commit(self, sink: Any, name: str, batch: pa.RecordBatch, resource: Any = None) -> None:
        """One partition through a sink, as the engine would."""
        out = self.root / name
        out.mkdir()
        info = sink.write(iter([batch]), out, resource)
        files = [(out / file).rename(out / f"00000-{file}").name for file in info.files]
        sink.commit([ShardInfo(files, info.rows, info.meta)], out, resource)

    def params(self, given: dict[str, Any]) -> str:
        """Params as JSON text, which is how a config's are validated."""
        return json.dumps(given).replace("{root}", str(self.root))

    def side(self, name: str) -> dict[str, Path]:
        """Folders of a stage's side inputs."""
        return {side: self.root / folder for side, folder in SIDES.get(name, {}).items()}


LM_EVAL_TASK = """
task: lamps
dataset_path: json
dataset_kwargs:
  data_files: {{test: {root}/benchmark/quiz.jsonl}}
output_type: generate_until
test_split: test
doc_to_text: question
doc_to_target: answer
"""


def write_sources(root: Path) -> None:
    """A folder for each source: two files of documents, one of them with a fault, and one without a byte."""
    table = pa.table({"text": ["one", "two", None, "four"], "n": [1, 2, 3, 4], "more": ["a", None, "c", "d"]})
    lines = (
        b'{"text": "one", "n": 1}\n{"text": "two", "n": 2, "more": "\xc3\xa9"}\n{"text": "three", "n": 3}\n'
    )
    files = {
        "warc/a.warc.gz": members(page("one"), page("two"), page("three")),
        "warc/b.warc": page("four") + page("five")[:-200],
        "jsonl/a.jsonl": lines,
        "jsonl/b.jsonl.gz": gzip.compress(lines + b"{broken\n" + lines, mtime=0),
        "html/a.html": html("one"),
        "html/b.htm.gz": gzip.compress(html("two"), mtime=0)[:-9],
        "html/c.xhtml": html("three"),
        "text/a.txt": b"one\r\ntwo\n",
        "text/b.md": b"\xff\xfe broken",
        "text/c.txt": "drei, ü".encode(),
        "parquet/b.parquet": b"PAR1 but not really",
        "arrow/b.arrow": b"ARROW1 but not really",
        "warc/empty.warc": b"",
        "jsonl/empty.jsonl": b"",
        "html/empty.html": b"",
        "text/empty.txt": b"",
        "parquet/empty.parquet": b"",
        "arrow/empty.arrow": b"",
        "benchmark/quiz.jsonl": (
            b'{"id": "a", "question": "Which lamp?", "choices": ["red", "blue"], "answer": "B"}\n'
            b'{"id": "b", "question": "Why?", "choices": ["it rained", "it snowed"], "answer": "A"}\n'
        ),
        "benchmark/law_test.csv": (
            b"Which lamp?,red,green,blue,grey,C\nWhy?,rain,snow,wind,fog,A\nWho?,Ada,Bob,Cem,Dan,D\n"
        ),
        "benchmark/empty.jsonl": b"",
    }
    files["lm_eval/lamps.yaml"] = LM_EVAL_TASK.format(root=root).encode()
    for name, data in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)
    pq.write_table(table, root / "parquet/a.parquet", row_group_size=3)
    with pa.ipc.new_file(str(root / "arrow/a.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
