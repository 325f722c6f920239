"""Traps that others fell into with whole runs: silent losses, mixed-up rows, keys that miss what changed."""

import ast
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import fingerprint
from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from pipeline.graph import Node
from stages.registry import STAGES
from stages.safety import pii
from stages.tokenization.tokenize import Tokenize
from stages.tokenization.train_tokenizer import train_bpe

ROOT = Path(__file__).resolve().parents[2]


def go(tmp_path, nodes, **lines):
    """A run of our own stages over JSON lines; its result."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in lines.items():
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    config = {
        "version": 1,
        "run": {"output": str(tmp_path / "out"), "max_error_ratio": 1, "batch_rows": 4},
        "nodes": {"docs": {"stage": "read_jsonl", "params": {"paths": str(folder)}}, **nodes},
    }
    return run(parse(json.dumps(config), "trap.yaml"), registry=STAGES, executor=LocalExecutor())


OUT = {"stage": "write_jsonl", "params": {"compression": "none", "columns": ["id", "text"]}}


def written(result, sink="out"):
    files = sorted(Path(result.sink(sink)).glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def books(result, node):
    return next(n for n in result.report["nodes"] if n["node"] == node)["sources"]["docs"]


def docs(*texts):
    return "".join(json.dumps({"text": t}) + "\n" for t in texts)


# --- T17: a line that cannot be read is counted, and does not end its file ------------------------------


def test_a_broken_line_in_the_middle(tmp_path):
    good = [f"line {k}" for k in range(20)]
    text = docs(*good[:9]) + '{"text": "cut off\n' + docs(*good[9:])
    result = go(tmp_path, {"out": {**OUT, "inputs": ["docs"]}}, a=text, b=docs("another file"))
    assert [row["text"] for row in written(result)] == [*good, "another file"]
    assert sum(books(result, "docs")["failed"].values()) == 1


# --- T37, T67: a stage that fails on a row neither changes nor passes it --------------------------------


def test_a_failing_judge_loses_one_row_and_says_so(tmp_path, monkeypatch):
    find = pii.find_pii

    def fragile(text, *args):
        if "BOOM" in text:
            raise RuntimeError("no verdict")
        return find(text, *args)

    monkeypatch.setattr(pii, "find_pii", fragile)
    texts = ["mail a@b.io", "BOOM c@d.io", "clean", "mail e@f.io", "clean too"]
    nodes = {"scrub": {"stage": "scrub_pii", "inputs": ["docs"]}, "out": {**OUT, "inputs": ["scrub"]}}
    result = go(tmp_path, nodes, a=docs(*texts))
    assert [row["text"] for row in written(result)] == [
        "mail <EMAIL_ADDRESS>",
        "clean",
        "mail <EMAIL_ADDRESS>",
        "clean too",
    ]
    account = books(result, "scrub")
    assert sum(account["failed"].values()) == 1
    assert account["in"] == account["passed"] + sum(account["failed"].values()) + sum(
        account.get("rejected", {}).values()
    )


# --- T38: edits after a filter land on their own rows ---------------------------------------------------


def test_edits_after_a_filter_stay_with_their_documents(tmp_path):
    texts = [f"{'keep' if k % 3 else 'drop'} {k} of u{k}@host{k}.org" for k in range(20)]
    nodes = {
        "some": {
            "stage": "filter_column",
            "inputs": ["docs"],
            "params": {"column": "text", "type": "large_string", "matches": "^keep"},
        },
        "scrub": {"stage": "scrub_pii", "inputs": ["some"]},
        "out": {**OUT, "inputs": ["scrub"]},
    }
    result = go(tmp_path, nodes, a=docs(*texts))
    expected = {f"docs/a.jsonl#{k + 1}": f"keep {k} of <EMAIL_ADDRESS>" for k in range(20) if k % 3}
    assert {row["id"]: row["text"] for row in written(result)} == expected


# --- T48: whatever decides the output is in the key, and the place of the output is not ----------------


def test_a_key_follows_everything_that_matters(tmp_path, monkeypatch):
    file = tmp_path / "tokenizer.json"

    def key(**params):
        node = Node("tok", "tokenize", "t", Tokenize(tokenizer=str(file), **params))
        return fingerprint.node_fingerprint(node), fingerprint.node_fingerprint(
            replace(node, annotate_only=True)
        )

    file.write_text(train_bpe(iter([["one two"]]), 300, ["<|endoftext|>"], 1), "utf-8")
    first = key()
    assert key() == first
    assert len({*first, *key(add_eos=False), *key(max_tokens=5)}) == 6
    file.write_text(train_bpe(iter([["three four"]]), 300, ["<|endoftext|>"], 1), "utf-8")
    assert not {*key()} & {*first}, "the tokenizer's bytes are not in the key"
    file.write_text(train_bpe(iter([["one two"]]), 300, ["<|endoftext|>"], 1), "utf-8")
    assert key() == first
    monkeypatch.setattr(Tokenize, "version", Tokenize.version + 1)
    assert not {*key()} & {*first}
    monkeypatch.undo()
    monkeypatch.setattr(fingerprint, "version", lambda name: "another release")
    assert not {*key()} & {*first}


# --- T70: nothing depends on the interpreter's hash seed, a clock or chance -----------------------------

FORBIDDEN = {"random", "time", "uuid", "secrets"}
MEASURING = {
    "stages/tokenization/_compare.py"
}  # what `corpusmill tokenizers compare` prints; no stage asks it


@pytest.mark.parametrize("file", sorted(str(p.relative_to(ROOT)) for p in (ROOT / "stages").rglob("*.py")))
def test_no_stage_asks_for_a_hash_seed_a_clock_or_chance(file):
    for part in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            assert part.func.id != "hash", f"{file} line {part.lineno}: hash() differs between processes"
        if isinstance(part, ast.Import | ast.ImportFrom):
            modules = {a.name for a in part.names} if isinstance(part, ast.Import) else {part.module}
            allowed = {"time"} if file in MEASURING else set()
            assert not modules & FORBIDDEN - allowed, f"{file} line {part.lineno}"
        if isinstance(part, ast.Attribute):
            assert part.attr not in ("urandom", "now", "utcnow", "today", "default_rng"), (
                f"{file} line {part.lineno}"
            )


def test_nobody_calls_hash():
    for file in (p for folder in ("pipeline", "shards") for p in (ROOT / folder).rglob("*.py")):
        calls = [n for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Call)]
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "hash"], file


RUN = """
import sys
from pathlib import Path
from pipeline.api import parse, run
from pipeline.executors.local import LocalExecutor
from stages.registry import STAGES
run(parse(Path(sys.argv[1]).read_text(), "seed.yaml"), registry=STAGES, executor=LocalExecutor())
"""


def test_the_hash_seed_of_the_process_does_not_matter(tmp_path):
    (tmp_path / "in").mkdir()
    texts = [
        f"{'abc'[k % 3]} story of {k // 2} damn lamps, told by u{k % 5}@host.org in the evening"
        for k in range(40)
    ]
    (tmp_path / "in/a.jsonl").write_text(docs(*texts), "utf-8")
    made = []
    for seed in ("1", "2"):
        out = tmp_path / f"out{seed}"
        nodes = {
            "docs": {"stage": "read_jsonl", "params": {"paths": str(tmp_path / "in")}},
            "signals": {"stage": "text_signals", "inputs": ["docs"]},
            "scrub": {"stage": "scrub_pii", "inputs": ["signals"]},
            "unique": {"stage": "minhash_dedup", "inputs": ["scrub"]},
            "tokenizer": {"stage": "train_tokenizer", "inputs": ["unique"], "params": {"vocab_size": 300}},
            "tokens": {"stage": "tokenize", "inputs": ["unique"], "side": {"tokenizer": "tokenizer"}},
            "out": {"stage": "write_token_shards", "inputs": ["tokens"], "side": {"tokenizer": "tokenizer"}},
            "why": {"stage": "write_jsonl", "inputs": ["unique.rejected"]},
        }
        config = tmp_path / f"{seed}.json"
        config.write_text(json.dumps({"version": 1, "run": {"output": str(out)}, "nodes": nodes}))
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", RUN, str(config)], check=True, env=environment, cwd=ROOT, timeout=250
        )
        files = {
            str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in out.rglob("*")
            if p.suffix in (".arrow", ".zst") or p.name == "tokenizer.json"
        }
        made.append(files)
    assert made[0] == made[1] != {}
    assert any(name.endswith("tokenizer.json") for name in made[0])
