"""Keep what finding near-duplicates of this corpus needs, for later runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from pipeline.schema import ID
from pipeline.stage import ShardInfo, Sink
from stages.dedup._minhash import MinhashParams, bad_params, identity_of
from stages.dedup._minhash_index import merge_parts, part_files, write_part


class BuildMinhashIndex(MinhashParams, Sink[None]):
    """Write band keys and shingle sets of documents as an index that `minhash_against` looks into.

    Give it what a run kept: every document in it is a survivor to all later ones. Its size is about 12 bytes a band
    and 8 a distinct shingle, so 3.6 kB for a document of 2.7 kB with 14 bands.
    """

    version: ClassVar[int] = 1

    def reads(self) -> pa.Schema:
        """The id and the text."""
        return pa.schema([ID, self.column()])

    def problems(self) -> Sequence[str]:
        """As of minhash_dedup."""
        return bad_params(self)

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: None) -> ShardInfo:  # noqa: ARG002
        """One partition's part."""

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray, pa.Array, pa.Array]]:
            for batch in batches:
                texts = self.texts(batch)
                yield (*self.band_keys(texts), batch["id"], self.sets(texts))

        rows = write_part(out, parts())
        return ShardInfo(part_files(), rows)

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: None) -> None:  # noqa: ARG002
        """All parts as one."""
        parts = [dict(zip(part_files(), (out / f for f in s.files), strict=True)) for s in shards if s.files]
        merge_parts(parts, out, {**identity_of(self), "threshold": self.threshold})
