"""An index of a few items, built as the engine builds it, and what the stage says about texts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from stages.decontamination.build_index import BuildNgramIndex
from stages.decontamination.decontaminate import CONTAMINATED_NGRAMS, EVIDENCE_TYPE, Decontaminate


def items_batch(items: Sequence[Mapping[str, Any]], source: str = "gsm8k") -> pa.RecordBatch:
    """Items as read_jsonl yields them: `text` is the text, the rest is metadata."""
    rest = [{k: v for k, v in item.items() if k not in ("id", "text")} for item in items]
    names = [str(item.get("id", i)) for i, item in enumerate(items)]
    return pa.record_batch(
        {
            "id": pa.array([f"{source}/{name}" for name in names], pa.string()),
            "source": pa.array([source] * len(items), pa.string()).dictionary_encode(),
            "text": pa.array([item.get("text") for item in items], pa.large_string()),
            "metadata": pa.array(
                [json.dumps(r, ensure_ascii=False) if r else None for r in rest], pa.string()
            ),
        }
    )


def build(folder: Path, partitions: Sequence[Sequence[pa.RecordBatch]], **params: Any) -> Path:
    """Write every partition into its folder, bring the files together under the engine's names, commit."""
    sink = BuildNgramIndex(**params)
    out = folder / "index"
    out.mkdir(parents=True)
    shards = []
    for number, batches in enumerate(partitions):
        own = folder / str(number)
        own.mkdir()
        info = sink.write(iter(batches), own, None)
        assert sorted(p.name for p in own.iterdir()) == sorted(info.files)
        for name in info.files:
            (own / name).rename(out / f"{number:05d}-{name}")
        meta = json.loads(json.dumps(info.meta))
        shards.append(info._replace(files=[f"{number:05d}-{name}" for name in info.files], meta=meta))
    sink.commit(shards, out, None)
    return out


def index_of(folder: Path, *texts: str, **params: Any) -> Path:
    return build(folder, [[items_batch([{"text": text} for text in texts])]], **params)


def annotate(stage: Decontaminate, index: Path, texts: Sequence[str | None]) -> list[dict[str, Any]]:
    """For each text: reason, evidence, hits and text out; checks what every result must keep to."""
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    marks = stage.annotate(batch, stage.open({"index": index}))
    assert set(marks.columns) == set(stage.writes().names)
    for field in stage.writes():
        assert marks.columns[field.name].type == field.type
        assert len(marks.columns[field.name]) == len(texts)
    assert marks.evidence.type == EVIDENCE_TYPE
    out = marks.columns.get("text", batch["text"]).to_pylist()
    hits = marks.columns[CONTAMINATED_NGRAMS.name].to_pylist()
    rows = zip(marks.reject.to_pylist(), marks.evidence.to_pylist(), hits, out, texts, strict=True)
    found = []
    for reason, evidence, count, text, before in rows:
        assert reason is None or (reason in set(stage.reasons) and evidence is not None)
        assert evidence is not None or text == before
        if evidence is not None:
            assert evidence["matched"] == before[evidence["start"] : evidence["end"]][:500]
            assert evidence["ngrams"] == count
        found.append({"reason": reason, "evidence": evidence, "hits": count, "text": text})
    return found


def reasons(index: Path, texts: Sequence[str | None], **params: Any) -> list[str | None]:
    return [each["reason"] for each in annotate(Decontaminate(**params), index, texts)]
