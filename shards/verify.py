"""Is a folder of token shards what its manifest says? Every byte is read once.

python -m shards.verify FOLDER [FOLDER ...]     # one sentence for each problem; exit status 1 if there is one
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards.format import Manifest, ShardError, ShardFile, file_sha256, row_schema
from shards.index import ShardIndex, digest_of, row_starts


def verify(path: str | Path) -> list[str]:
    """All that is wrong with a folder of shards, one sentence each; an empty list means that it is whole."""
    folder = Path(path)
    try:
        manifest = Manifest.load(folder)
    except ShardError as error:
        return [str(error)]
    found = [problem for shard in manifest.shards for problem in _shard_problems(folder, manifest, shard)]
    for name, said, summed in (
        ("rows", manifest.rows, sum(shard.rows for shard in manifest.shards)),
        ("tokens", manifest.tokens, sum(shard.tokens for shard in manifest.shards)),
    ):
        if said != summed:
            found.append(f"{folder}: the manifest says {said} {name}, but its shards have {summed}")
    return [*found, *_index_problems(folder, manifest), *_tokenizer_problems(folder, manifest)]


def check(path: str | Path) -> Manifest:
    """The manifest of a folder that is whole.

    Raises:
        ShardError: it is not; the message holds every problem.
    """
    problems = verify(path)
    if problems:
        raise ShardError("\n".join(problems))
    return Manifest.load(Path(path))


def _index_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    if manifest.index is None or not isinstance(manifest.shards, ShardIndex):
        return
    path = folder / manifest.index.file
    if path.stat().st_size != manifest.index.bytes or file_sha256(path) != manifest.index.sha256:
        yield f"{path}: was altered: its sha256 is not the manifest's"
    if not np.array_equal(manifest.shards.first_rows, row_starts([s.rows for s in manifest.shards])[:-1]):
        yield f"{path}: first_row is not the sum of the rows before; write the shards again"
    if digest_of(manifest.tokenizer.sha256, manifest.shards) != manifest.digest:
        yield f"{folder}: the manifest's data_digest is not that of its shards; write the shards again"


def _tokenizer_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    name = manifest.tokenizer.file
    if name is None:
        return
    if not (folder / name).is_file():
        yield f"{folder / name}: is missing; it is the tokenizer that made the ids"
    elif file_sha256(folder / name) != manifest.tokenizer.sha256:
        yield f"{folder / name}: is not the tokenizer that made the ids: its sha256 is not the manifest's"


def _shard_problems(folder: Path, manifest: Manifest, shard: ShardFile) -> Iterator[str]:
    path = folder / shard.file
    if not path.is_file():
        yield f"{path}: is missing; write the shards again"
        return
    size = path.stat().st_size
    if size != shard.bytes:
        yield f"{path}: has {size} bytes, but the manifest says {shard.bytes}; it is cut off or was altered"
        return
    if file_sha256(path) != shard.sha256:
        yield f"{path}: was altered: its sha256 is not the manifest's"
        return
    try:
        yield from _content_problems(path, manifest, shard)
    except (pa.ArrowInvalid, OSError) as error:
        yield f"{path}: is not an Arrow stream ({error})"


def _content_problems(path: Path, manifest: Manifest, shard: ShardFile) -> Iterator[str]:
    rows = tokens = 0
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        expected = row_schema(manifest.dtype, manifest.labels)
        if not reader.schema.equals(expected):
            yield f"{path}: has columns {reader.schema}, but the format says {expected}".replace("\n", ", ")
            return
        for batch in reader:
            yield from (f"{path}: from row {rows}: {problem}" for problem in _batch_problems(batch, manifest))
            rows += batch.num_rows
            tokens += len(batch.column("input_ids").flatten())
    for name, said, counted in (("rows", shard.rows, rows), ("tokens", shard.tokens, tokens)):
        if said != counted:
            yield f"{path}: has {counted} {name}, but the manifest says {said}"


def _batch_problems(batch: pa.RecordBatch, manifest: Manifest) -> Iterator[str]:
    ids, sequences, pieces = (batch.column(name) for name in ("input_ids", "seq_lengths", "pieces"))
    lengths = _lengths(ids)
    top = int(ids.values.to_numpy().max(initial=0))
    if top >= manifest.tokenizer.vocab_size:
        yield f"id {top} is beyond the tokenizer's {manifest.tokenizer.vocab_size} entries"
    if manifest.seq_len is not None and int(lengths.max(initial=0)) > manifest.seq_len:
        yield f"a row has {int(lengths.max())} tokens, more than seq_len {manifest.seq_len}"
    bounds = np.concatenate([[0], np.cumsum(sequences.values.to_numpy(), dtype=np.int64)])
    summed = np.diff(bounds[sequences.offsets.to_numpy()])
    if not np.array_equal(summed, lengths):
        yield "seq_lengths do not add up to the length of the row"
    same_shape = np.array_equal(pieces.offsets.to_numpy(), sequences.offsets.to_numpy())
    if not same_shape or not pieces.values.field("tokens").equals(sequences.values):
        yield "pieces do not match seq_lengths"
    if manifest.labels and not np.array_equal(_lengths(batch.column("labels")), lengths):
        yield "labels are not as long as input_ids"


def _lengths(column: pa.Array) -> np.ndarray:
    return np.diff(column.offsets.to_numpy().astype(np.int64))


def main(arguments: list[str]) -> int:
    """Check folders; what is wrong goes to standard output, one sentence a line."""
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m shards.verify FOLDER [FOLDER ...]\n")
        return 2
    wrong = 0
    for folder in arguments:
        problems = verify(folder)
        wrong += len(problems)
        for problem in problems:
            sys.stdout.write(f"{problem}\n")
        if not problems:
            manifest = Manifest.load(Path(folder))
            held = f"{len(manifest.shards)} shards, {manifest.rows} rows, {manifest.tokens} tokens"
            sys.stdout.write(f"{folder}: whole ({held})\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
