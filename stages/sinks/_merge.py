"""What exports of token ids share: flat files of ids, merged in partition order, and the manifest beside them."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.stage import ShardInfo
from shards.format import file_sha256
from shards.tokenizer import FILE_NAMES
from stages.sinks._packing import Docs
from stages.sinks._tokens import Mismatch, Opened

MANIFEST = "manifest.json"


def refuse_labels(docs: Docs, drop: bool, format_: str) -> None:
    """Raise Mismatch for labels that the format has no place for, unless they may be dropped."""
    if docs.labels is not None and not drop:
        raise Mismatch(
            f"rows have labels, which {format_} files cannot hold; write_token_shards can, or set labels: drop"
        )


def write_ids(batches: Iterable[Docs], path: Path, dtype: np.dtype) -> np.ndarray:
    """The ids of documents, one after the other, as plain numbers; returns each document's number of ids."""
    lengths = [np.zeros(0, np.int64)]
    with path.open("wb") as file:
        for docs in batches:
            docs.ids.astype(dtype).tofile(file)
            lengths.append(docs.lengths)
    return np.concatenate(lengths)


def merge_files(parts: Sequence[Path], target: Path) -> None:
    """All parts, in order, as one file that appears whole or not at all; the parts stay. One part is not copied."""
    temporary = target.with_name(f".{target.name}.tmp")
    if len(parts) == 1 and _linked(parts[0], target):
        return
    with temporary.open("wb") as file:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 22)
    temporary.replace(target)


def _linked(part: Path, target: Path) -> bool:
    """A second name for a file, where the filesystem has such."""
    target.unlink(missing_ok=True)
    try:
        os.link(part, target)
    except OSError:
        return False
    return True


def part_name(prefix: str, part: Path) -> str:
    """What a partition's file is called beside those of others.

    >>> part_name("web", Path("out/00003-ids.bin"))
    'web-00003'
    """
    return f"{prefix}-{part.name.partition('-')[0]}"


def finish_export(
    out: Path, resource: Opened, shards: Sequence[ShardInfo], files: Sequence[str], facts: Mapping[str, Any]
) -> None:
    """The tokenizer beside the files, and the manifest last.

    Args:
        out: the folder.
        resource: the tokenizer.
        shards: of all partitions.
        files: names of the files that readers open.
        facts: what the format has to say, `format` among it.
    """
    info = resource.info
    shutil.copyfile(resource.path, out / FILE_NAMES[info.kind])
    manifest = {
        **facts,
        "documents": sum(shard.rows for shard in shards),
        "files": [
            {"file": name, "bytes": (out / name).stat().st_size, "sha256": file_sha256(out / name)}
            for name in files
        ],
        "tokenizer": asdict(info),
        "run": address_of([shard.unit for shard in shards]),
    }
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    temporary = out / f".{MANIFEST}.tmp"
    temporary.write_text(text, "utf-8")
    temporary.replace(out / MANIFEST)


def address_of(units: Sequence[str]) -> str | None:
    """One address for all the units whose files these are; None outside of a run."""
    if not all(units):
        return None
    return hashlib.blake2b(" ".join(units).encode(), digest_size=16).hexdigest()


def remove(files: Iterable[Path]) -> None:
    """Files that the merged ones replace."""
    for file in files:
        file.unlink(missing_ok=True)
