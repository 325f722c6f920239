"""What a stage returned, held against what it declared. A breach is the stage's fault: StageError."""

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import StageError
from pipeline.graph import Node
from pipeline.stage import Expansion, Marks


def check_marks(node: Node, marks: Marks, rows: int) -> None:
    """Columns, verdicts and evidence of a map or global stage.

    Raises:
        StageError: names, types, lengths or reasons differ from the declaration.
    """
    check_columns(node, marks.columns, rows)
    check_verdicts(node, marks.reject, marks.evidence, rows)


def check_expansion(node: Node, made: Expansion, rows: int) -> None:
    """The same for an expand stage, and that every parent is accounted for.

    Raises:
        StageError: as above, or parents out of order, or a childless parent without a reason.
    """
    where = f"node '{node.name}'"
    parents = made.parents.to_numpy(zero_copy_only=False)
    check_columns(node, made.columns, len(parents))
    check_verdicts(node, made.reject, made.evidence, rows)
    if len(parents) and (parents[0] < 0 or parents[-1] >= rows or (parents[1:] < parents[:-1]).any()):
        raise StageError(f"{where}: parents must be ascending indices below {rows}")
    alone = rows - len(set(parents.tolist()))
    rejected = 0 if made.reject is None else rows - made.reject.null_count
    if alone != rejected:
        raise StageError(
            f"{where}: {alone} rows have no children, but {rejected} have a reason; each needs one of the two"
        )


def check_columns(node: Node, columns: Mapping[str, pa.Array], rows: int) -> None:
    """Written columns have exactly the declared names, types and length."""
    where = f"node '{node.name}'"
    declared = {f.name: f.type for f in node.stage.writes()}
    for name in declared.keys() - columns.keys():
        raise StageError(f"{where}: column '{name}' is declared in writes() but was not returned")
    for name, array in columns.items():
        if name not in declared:
            raise StageError(f"{where}: column '{name}' was returned but is not declared in writes()")
        if len(array) != rows:
            raise StageError(f"{where}: column '{name}' has {len(array)} rows for a batch of {rows}")
        if array.type != declared[name]:
            raise StageError(f"{where}: column '{name}' is {array.type}, declared as {declared[name]}")


def check_verdicts(node: Node, reject: pa.Array | None, evidence: pa.Array | None, rows: int) -> None:
    """Reasons are declared ones, and there is one entry for each row."""
    where = f"node '{node.name}'"
    for name, array in (("reject", reject), ("evidence", evidence)):
        if array is not None and len(array) != rows:
            raise StageError(f"{where}: {name} has {len(array)} entries for a batch of {rows}")
    if reject is not None and reject.null_count < rows:
        known = {str(r) for r in type(node.stage).reasons}
        unknown = sorted(set(pc.unique(reject.drop_null()).to_pylist()) - known)
        if unknown:
            raise StageError(
                f"{where}: reasons {unknown} are not members of {type(node.stage).reasons.__name__}"
            )


def evidence_json(evidence: pa.Array | None, rows: int) -> pa.Array:
    """Evidence as JSON text, null where there is none.

    >>> evidence_json(pa.array([{"words": 3}, None]), 2).to_pylist()
    ['{"words":3}', None]
    """
    if evidence is None:
        return pa.nulls(rows, pa.large_string())
    told = evidence.to_pylist()
    dumped = [None if e is None else orjson.dumps(_plain(e), default=str).decode() for e in told]
    return pa.array(dumped, pa.large_string())


def _plain(value: Any) -> Any:
    """Evidence without its nulls: a struct array has all its fields in every row."""
    if type(value) in (str, int, float):  # most are, and there are many
        return value
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    return [_plain(v) for v in value] if isinstance(value, list) else value
