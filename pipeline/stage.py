"""The contract between the engine and what is done to documents. Needs pyarrow and pydantic only.

A stage is a pure function with declared columns: its YAML params are its fields, it keeps no other state,
and it never counts, drops or writes by itself. The engine keeps the books from what a stage returns.

    Source ── read ──▶ Map ── annotate ──▶ Expand ── expand ──▶ Global ── emit/reduce/resolve, annotate ──▶ Sink
                                                               Arrange ── place ──▶ new partitions

What every kind shares: `reads()` and `writes()` are Arrow schemas that the engine checks before any data is
read and again on each batch; `resources()` are the files whose bytes enter the fingerprint; `open()` loads
them once a worker, and what it returns is passed to every call, never stored on the stage.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

R = TypeVar("R")
EMPTY = pa.schema([])
ANY_TYPE = pa.null()  # in `reads()`: a column of whatever type


class NoReason(StrEnum):
    """The reasons of a stage that rejects nothing."""


class StageRef(NamedTuple):
    """Where a stage lives, for a registry: loaded only when a config names it."""

    target: str  # "stages.filters.gopher:GopherRules"
    extra: str | None = None  # the optional dependency group it needs: pip install 'corpusmill[extra]'


class Marks(NamedTuple):
    """What a map stage says about its batch. Every array has batch.num_rows entries."""

    columns: Mapping[str, pa.Array] = {}  # exactly the names and types in writes()
    reject: pa.Array | None = None  # string; null = keep, else a member of `reasons`
    evidence: pa.Array | None = None  # struct or null; on a kept row it says what was edited and why


class Expansion(NamedTuple):
    """What an expand stage makes of its batch: children inherit their parent's columns, then `columns`."""

    parents: pa.Array  # int64, one a child, ascending: the parent's index in the batch
    columns: Mapping[str, pa.Array] = {}  # exactly writes(), one entry a child
    reject: pa.Array | None = None  # one a *parent*; a parent without children must have a reason
    evidence: pa.Array | None = None  # one a parent


class Damage(NamedTuple):
    """A stretch of input that a source could not read; it is counted as failed, named and kept in view."""

    file: str  # relative to the source, as in `origin.file`
    key: str  # the record's key, or "@<offset>" when the record has none to give
    offset: int  # bytes from the start of the file as stored, -1 if unknown
    reason: str  # a short snake_case word: "truncated_gzip", "bad_content_length"
    detail: str  # one sentence for a person


class ShardInfo(NamedTuple):
    """What a sink wrote for one partition."""

    files: Sequence[str] = ()  # names inside the folder it was given
    rows: int = 0
    meta: Mapping[str, object] = {}  # JSON; handed to commit() unchanged
    unit: str = ""  # address of the unit that wrote them; the engine fills it in for commit()


class Summary(NamedTuple):
    """A table that the report shows of what a sink wrote."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]  # one cell a column; the first names the row
    bar: str | None = None  # the column that the page draws as bars


class Stage(BaseModel, Generic[R]):
    """What every kind of stage has. Subclass one of the six kinds below, not this."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: ClassVar[int] = 1  # bump when the same params and input give another output
    reasons: ClassVar[type[StrEnum]] = NoReason
    sides: ClassVar[Mapping[str, str]] = {}  # side inputs it can take: name -> what it should be
    libraries: ClassVar[Sequence[str]] = ()  # packages whose version may change the output: "trafilatura"
    checkpoint: ClassVar[bool] = False  # costly: store the output, so a later change does not redo it
    summarize: ClassVar[
        Mapping[str, Literal["sum", "values"]]
    ] = {}  # columns the report adds up or counts by value
    measures: ClassVar[
        Mapping[str, Sequence[float]]
    ] = {}  # numbers in the evidence of rejected rows that the report draws: name -> ascending edges of bins

    def reads(self) -> pa.Schema:
        """Columns it needs, with their types. It may look at others if they are there."""
        return EMPTY

    def writes(self) -> pa.Schema:
        """Columns it adds or replaces."""
        return EMPTY

    def drops(self) -> Sequence[str]:
        """Columns that do not go further than this node, such as raw page bytes after extraction."""
        return ()

    def needs_side(self) -> Sequence[str]:
        """Side inputs that these params cannot do without."""
        return ()

    def resources(self) -> Sequence[Path]:
        """Files that `open` loads; their bytes enter the fingerprint. Must exist before a run starts."""
        return ()

    def problems(self) -> Sequence[str]:
        """What is wrong with these params beyond their types, one sentence each; asked before any work."""
        return ()

    def describe(self) -> Sequence[str]:
        """Lines worth reading in `corpusmill plan`, such as the S-curve of a MinHash setting."""
        return ()

    def open(self, side: Mapping[str, Path]) -> R:  # noqa: ARG002
        """Load models and indexes, once a worker. `side` maps each side input to a local folder."""
        return None  # type: ignore[return-value]


class Source(Stage[R]):
    """Reads documents from outside. One split is one partition from here to the end of the run."""

    def split(self) -> Sequence[str]:
        """Names of the partitions, cut from the input alone; the engine sorts them."""
        raise NotImplementedError

    def files(self, split: str) -> Sequence[str]:
        """URLs (fsspec) whose bytes this split reads; they enter the unit's address."""
        raise NotImplementedError

    def label(self, split: str) -> str:
        """The split's name wherever the data lies, as document ids have it; it enters the unit's address."""
        return split

    def read(self, split: str, resource: R) -> Iterator[pa.RecordBatch | Damage]:
        """Batches with exactly writes() (ORIGIN among them), and Damage for what cannot be read.

        The engine adds id, id_hash and source. Raise only when nothing of the split can be trusted.
        """
        raise NotImplementedError


class MapStage(Stage[R]):
    """Row i out is about row i in: it cannot drop, reorder or look across rows."""

    def annotate(self, batch: pa.RecordBatch, resource: R) -> Marks:
        """Signals, verdicts and evidence for each row of the batch."""
        raise NotImplementedError


class ExpandStage(Stage[R]):
    """One row becomes 0..n rows, each with its parent."""

    def expand(self, batch: pa.RecordBatch, resource: R) -> Expansion:
        """Children of every row; one only child keeps its parent's id, several get `#1`, `#2`, ..."""
        raise NotImplementedError


class GlobalStage(Stage[R]):
    """Looks across all documents through one or more exchanges, then marks them row by row.

    Each round: `emit` on every batch of every partition -> the exchange brings all rows of a key together ->
    `reduce` -> `resolve` (optional) -> verdicts go back to the partition of each document. After the last
    round, `annotate` marks the same batches with their verdicts.
    """

    rounds: ClassVar[int] = 1
    remembers: ClassVar[Sequence[int]] = ()  # rounds before the last whose verdicts `annotate` sees as well
    singles: ClassVar[bool] = True  # does `reduce` want the keys that one row alone has

    def order(self, round: int) -> Sequence[str]:  # noqa: ARG002
        """Payload columns that sort the rows of a key, ascending, before `reduce` sees them."""
        return ()

    def links(self, round: int) -> bool:  # noqa: ARG002
        """Whether a round's reductions are links: `doc`, and in `group` another document that it belongs with.

        The engine merges links that meet, however many there are: the next round's verdicts have, for every
        document with a link, its group's smallest document in `group`. Documents without links have none.
        """
        return False

    def resolves(self, round: int) -> bool:  # noqa: ARG002
        """Whether a round's reductions must be merged; by default all rounds of a stage that has `resolve`."""
        return type(self).resolve is not GlobalStage.resolve

    def emit(self, batch: pa.RecordBatch, resource: R, round: int, verdicts: pa.Table) -> pa.Table:
        """Rows for the exchange: `key`, `row` and payload columns; any number of rows a document.

        `key` is uint64 or binary(16) and a *uniform hash*; `row` is the int32 index in the batch. The schema must
        not depend on the batch. `verdicts` holds what the round before said about this batch (`row` and its
        columns); it is an empty table in round 0.
        """
        raise NotImplementedError

    def reduce(self, bucket: pa.Table, round: int) -> pa.Table:
        """Whole groups, sorted by (key, order): columns `key`, `doc` (uint64 reference) and the payload.

        Returns a table with `doc` (whom the row is about) and any payload; or, without `doc`, a table that
        is broadcast to every partition. A key with more than the run's `max_group_rows` rows arrives as
        several groups, each headed by the key's first row, so write reductions that stay right then.
        """
        raise NotImplementedError

    def resolve(self, tables: Sequence[pa.Table], round: int, final: bool) -> pa.Table:
        """Optional: merge reductions, in a tree of any shape; `final` marks the last call.

        Must be associative: resolve([resolve([a, b]), c]) == resolve([a, b, c]).
        """
        raise NotImplementedError

    def annotate(self, batch: pa.RecordBatch, verdicts: pa.Table) -> Marks:
        """Marks for each row, from the last round's verdicts (`row` = index in this batch, ascending).

        Verdicts of rounds in `remembers` are among them, with nulls where a round has no such column; a column is
        missing where none of these rounds said anything.
        """
        raise NotImplementedError


class ArrangeStage(Stage[R]):
    """Puts all documents in one order and cuts it into new partitions; it looks at each row alone.

    The engine sorts by what `place` says, ascending, and equal places by the hash of the document's id. No row is
    changed or lost. The books of what follows are kept under this node's name, as rows of all sources are mixed.
    """

    def place(self, batch: pa.RecordBatch, resource: R) -> pa.RecordBatch:
        """Where rows belong: columns of uint64 without null, the first of which counts most; one row a row."""
        raise NotImplementedError

    def parts(self) -> int | None:
        """How many partitions to cut; None: as many as brought rows."""
        return None


class Sink(Stage[R]):
    """Writes documents out. Readers see all of it or nothing: the manifest comes last, in `commit`."""

    def write(self, batches: Iterator[pa.RecordBatch], out: Path, resource: R) -> ShardInfo:
        """Write one partition's rows into the empty folder `out`. May write no file for no rows."""
        raise NotImplementedError

    def commit(self, shards: Sequence[ShardInfo], out: Path, resource: R) -> None:
        """All partitions' files lie in `out` (names in `shards`, in partition order): write the manifest."""

    def summary(self, shards: Sequence[ShardInfo], out: Path) -> Sequence[Summary]:  # noqa: ARG002
        """What the report shows of it, asked after `commit` with the same shards and folder."""
        return ()
