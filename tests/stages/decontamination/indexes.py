"""Small indexes of benchmark items, and the stage over lists of texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.schema import BENCHMARK, ITEM, ITEM_PARTS
from stages.decontamination._verdicts import EVIDENCE_TYPE
from stages.decontamination.build_index import BuildNgramIndex
from stages.decontamination.decontaminate import Decontaminate

_PARTS = ("passage", "question", "choice", "solution", "answer")


def item(benchmark: str = "gsm8k", name: str | None = None, **parts: str | Sequence[str]) -> dict[str, Any]:
    """An item; a part is a text or several: item(question="...", choice=["a", "b"], answer="b")."""
    own = []
    for part in _PARTS:
        texts = parts.get(part, [])
        own += [{"part": part, "text": text} for text in ([texts] if isinstance(texts, str) else texts)]
    return {"benchmark": benchmark, "item": name, "item_parts": own}


def build_items(folder: Path, items: Sequence[dict[str, Any]], **params: Any) -> Path:
    """An index of some items; those without a name are called by their number."""
    named = [{**own, "item": own["item"] or str(k)} for k, own in enumerate(items)]
    batch = pa.RecordBatch.from_pylist(named, pa.schema([BENCHMARK, ITEM, ITEM_PARTS]))
    stage = BuildNgramIndex(**params)
    folder.mkdir(parents=True, exist_ok=True)
    info = stage.write(iter([batch]), folder, None)
    stage.commit([info], folder, None)
    return folder


def annotate(
    stage: Decontaminate, index: Path, texts: Sequence[str | None], **columns: Any
) -> list[dict[str, Any]]:
    """For each text: reason, evidence, leaks, items and text out; checks what every result must keep to."""
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string()), **columns})
    marks = stage.annotate(batch, stage.open({"index": index}))
    assert set(marks.columns) == set(stage.writes().names)
    for field in stage.writes():
        assert marks.columns[field.name].type == field.type
        assert len(marks.columns[field.name]) == len(texts)
    assert marks.evidence.type == EVIDENCE_TYPE
    assert marks.reject.type == pa.string()
    out = marks.columns.get("text", batch["text"]).to_pylist()
    leaks = marks.columns["contamination"].to_pylist()
    items = marks.columns["contaminated_items"].to_pylist()
    rows = zip(marks.reject.to_pylist(), marks.evidence.to_pylist(), leaks, items, out, texts, strict=True)
    found = []
    for reason, evidence, own, count, text, before in rows:
        assert reason is None or (reason in set(stage.reasons) and evidence is not None)
        assert evidence is not None or text == before
        assert own is None or own
        deciding = {(leak["benchmark"], leak["item"]) for leak in own or [] if leak["decides"]}
        assert count == len(deciding)
        for leak in own or []:
            assert leak["matched"] == before[leak["start"] : leak["end"]][:500]
        found.append(
            {"reason": reason, "evidence": evidence, "leaks": own or [], "items": count, "text": text}
        )
    return found


def reasons(index: Path, texts: Sequence[str | None], **params: Any) -> list[str | None]:
    """The reason of each text."""
    return [each["reason"] for each in annotate(Decontaminate(**params), index, texts)]


def classes(index: Path, text: str, **params: Any) -> dict[str, str]:
    """The class of each leak of one text, by definition; the text must have no more than one item."""
    (found,) = annotate(Decontaminate(**params), index, [text])
    assert len({leak["item"] for leak in found["leaks"]}) <= 1
    return {leak["definition"]: leak["class"] for leak in found["leaks"]}
