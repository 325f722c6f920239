"""Write documents as plain text, a document or a line of it to a line, for trainers that tokenize by themselves.

OpenNMT-py, Marian and SentencePiece's own trainer read such files. A document's line breaks would end the line, so they
become blanks, or the document becomes several lines; which of the two is written in the manifest.
"""

import gzip
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from pipeline.models import model_path
from pipeline.schema import TEXT
from pipeline.stage import ShardInfo, Sink, Summary
from shards.format import file_sha256
from shards.tokenizer import FILE_NAMES
from stages.kernels.manifest import files_table
from stages.sinks._merge import MANIFEST, address_of

# All that some reader takes for the end of a line: LF, CR, VT, FF, FS, GS, RS, NEL, LS, PS.
BREAKS = r"[\n\r\x0b\x0c\x1c-\x1e\x{85}\x{2028}\x{2029}]+"


def lines_of(text: pa.Array, unit: str) -> pa.Array:
    """Lines without their ends; null and empty ones are left out.

    >>> text = pa.array([f"a{chr(10)}b ", None, ""])
    >>> lines_of(text, "document").to_pylist()
    ['a b']
    >>> lines_of(text, "line").to_pylist()
    ['a', 'b']
    """
    if unit == "document":
        lines = pc.replace_substring_regex(text, BREAKS, " ")
    else:
        lines = pc.list_flatten(pc.split_pattern_regex(text, BREAKS))
    lines = pc.utf8_trim_whitespace(lines)
    return lines.filter(pc.fill_null(pc.not_equal(lines, ""), False))


class WritePlainText(Sink[Path | None]):
    """Write one text file a partition, a document or a line to a line, with the tokenizer's file beside them."""

    sides: ClassVar[Mapping[str, str]] = {"tokenizer": "folder of train_tokenizer"}
    libraries: ClassVar[Sequence[str]] = ("pyarrow",)

    unit: Literal["document", "line"] = Field(
        "document",
        description="what a line of the files is: a document, its line breaks as blanks, or a line of it",
    )
    compression: Literal["none", "gz"] = Field("none", description="of the files; gz adds .gz to their names")
    tokenizer: str | None = Field(
        None,
        description="a tokenizer's file, or a name in `corpusmill models`, to copy beside the text, such as a "
        "SentencePiece model; null: that of the side input, if there is one",
    )

    def reads(self) -> pa.Schema:
        """The text."""
        return pa.schema([TEXT])

    def resources(self) -> Sequence[Path]:
        """The tokenizer's file."""
        return () if self.tokenizer is None else (model_path(self.tokenizer),)

    def open(self, side: Mapping[str, Path]) -> Path | None:
        """The tokenizer's file, if there is one."""
        if self.tokenizer is not None:
            return model_path(self.tokenizer)
        if "tokenizer" not in side:
            return None
        return next((p for name in FILE_NAMES.values() if (p := side["tokenizer"] / name).is_file()), None)

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: Path | None) -> ShardInfo:  # noqa: ARG002
        """Lines of one partition's documents."""
        name = "text.txt" if self.compression == "none" else "text.txt.gz"
        documents = lines = 0
        with (out / name).open("wb") as raw:
            file = raw if self.compression == "none" else gzip.GzipFile("", "wb", 6, raw, mtime=0)
            for batch in batches:
                found = lines_of(batch.column("text"), self.unit)
                if len(found):
                    file.write(("\n".join(found.to_pylist()) + "\n").encode())
                documents += batch.num_rows
                lines += len(found)
            if self.compression != "none":
                file.close()
        if not lines:
            (out / name).unlink()
            return ShardInfo(rows=documents)
        return ShardInfo((name,), documents, {"lines": lines})

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: Path | None) -> None:
        """The tokenizer's file, and the manifest last."""
        if resource is not None:
            shutil.copyfile(resource, out / resource.name)
        files = [name for shard in shards for name in shard.files]
        manifest = {
            "format": "plain_text",
            "unit": self.unit,
            "run": address_of([shard.unit for shard in shards]),
            "documents": sum(shard.rows for shard in shards),
            "lines": sum(int(str(shard.meta.get("lines", 0))) for shard in shards),
            "files": [
                {"file": name, "bytes": (out / name).stat().st_size, "sha256": file_sha256(out / name)}
                for name in files
            ],
            "tokenizer": None
            if resource is None
            else {"file": resource.name, "sha256": file_sha256(resource)},
        }
        text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
        (out / f".{MANIFEST}.tmp").write_text(text, "utf-8")
        (out / f".{MANIFEST}.tmp").replace(out / MANIFEST)

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """The files and what is in them."""
        return [files_table(out / MANIFEST)]
