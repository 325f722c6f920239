"""configs/sft.yaml on data_samples: every planted fault is found, the rest is trained on, with the right mask."""

import json
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from shards.verify import verify
from tests.e2e.conftest import read_jsonl
from tests.support.data import SAMPLES

pytestmark = pytest.mark.dask
SOURCES = {
    "dialogues/sharegpt.jsonl": "sharegpt",
    "dialogues/messages.jsonl": "openai",
    "dialogues/alpaca.jsonl": "alpaca",
}
KEPT_FAULTS = {"pii"}  # scrubbed, not rejected


@pytest.fixture(scope="module")
def rows(sft):
    folder = Path(sft.result.sink("shards"))
    found = []
    for file in sorted(folder.glob("*.arrow")):
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                found += batch.to_pylist()
    return found


def key(identifier):
    source, _, rest = identifier.partition("/")
    return source, rest.partition("#")[2]


def test_every_fault_is_rejected_and_nothing_else(sft, expected):
    lost = {key(r["id"]): r["rejected_by"] for r in read_jsonl(sft.result.sink("why"))}
    planted = defaultdict(set)
    for fault in expected["dialogues"]["faults"]:
        planted[SOURCES[fault["file"]], fault["id"]].add(fault["fault"])
    must_go = {k for k, faults in planted.items() if faults - KEPT_FAULTS}
    copies = {k for k in planted if "exact_duplicate" in planted[k]}
    originals = {
        (SOURCES[f["file"]], f["same_as"])
        for f in expected["dialogues"]["faults"]
        if f["fault"] == "exact_duplicate"
    }
    missing = must_go - set(lost) - copies
    assert missing == set()
    assert set(lost) - must_go <= originals  # of two equal dialogues either may be the one that stays
    assert sum(k in lost for k in copies | originals) == len(copies)


def test_personal_data_is_gone_from_what_is_trained(sft, expected, rows):
    folder = Path(sft.result.sink("shards"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "\n".join(tokenizer.decode(row["input_ids"], skip_special_tokens=False) for row in rows)
    values = [v for f in expected["dialogues"]["faults"] if f["fault"] == "pii" for v in f["values"].values()]
    assert values
    for value in values:
        assert value not in text
    assert "<EMAIL_ADDRESS>" in text


def test_shards_have_the_pretraining_format(sft, rows):
    folder = Path(sft.result.sink("shards"))
    assert verify(str(folder)) == []
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest["chat_template_sha256"]) == 64
    for row in rows:
        assert len(row["labels"]) == len(row["input_ids"]) == sum(row["seq_lengths"])


def test_only_the_assistants_words_and_terminators_are_trained(sft, rows):
    tokenizer = Tokenizer.from_file(str(Path(sft.result.sink("shards")) / "tokenizer.json"))
    end = tokenizer.token_to_id("<|im_end|>")
    spoken = [m["value"] for m in _turns("gpt")]
    asked = [m["value"] for m in _turns("human")]
    trained = ""
    for row in rows:
        ids = [i for i, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
        assert ids
        assert all(label in (-100, i) for i, label in zip(row["input_ids"], row["labels"], strict=True))
        trained += tokenizer.decode(ids, skip_special_tokens=False)
    assert trained.count("<|im_end|>") >= sft.total("tokens", "kept")
    assert end is not None
    assert sum(s in trained for s in spoken) > 30
    assert sum(a in trained for a in asked if len(a) > 40) == 0
    assert "<|im_start|>" not in trained


def _turns(who):
    for line in (SAMPLES / "dialogues" / "sharegpt.jsonl").read_text("utf-8").splitlines():
        yield from (t for t in json.loads(line).get("conversations") or [] if t.get("from") == who)
