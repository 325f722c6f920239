"""The books of a run: what went into each node and what became of it, kept so that any two add up.

Books are a monoid: `merge` is associative and commutative, so units may finish in any order on any number of
workers and the sum is the same. Samples are the rows with the smallest hash of their id, which is such a sum
too; so are the histograms and the largest clusters of `pipeline.clusters`, and what `pipeline.contamination` counts.
Everything is plain JSON data.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.clusters import bin_counts, count_clusters, field_of, lowest, merge_clusters, new_clusters
from pipeline.contamination import count_leaks, merge_leaks, new_leaks
from pipeline.errors import BooksError, StageError
from pipeline.graph import Node
from pipeline.stage import Stage
from pipeline.sums import add_counts

EXCERPT_CHARS = 400
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
COUNTERS = (
    "in",  # rows that came to the node
    "gathered",  # rows a Global node put away until its verdicts are known ...
    "resumed",  # ... and took back, at the next level
    "passed",  # rows that were neither rejected nor failed
    "made",  # rows an expanding node made beyond those that passed
    "kept",  # rows put out
    "written",  # rows a sink took
    "unread",  # rows put out that no reader's `where` chose
    "edited",
    "bytes_in",
    "bytes_kept",
    "tokens_kept",
)


def text_bytes(batch: pa.RecordBatch) -> int:
    """UTF-8 bytes of a batch's text, without reading it; raw page bytes where there is no text yet."""
    total = 0
    for name in ("text", "content"):
        index = batch.schema.get_field_index(name)
        if index >= 0 and len(batch):
            total += pc.sum(pc.binary_length(batch.column(index))).as_py() or 0
    return int(total)


class Books:
    """Counts by node and source; samples by node and reason; measures, clusters, leaks by node. All plain JSON."""

    def __init__(self, samples: int, data: dict[str, Any] | None = None) -> None:
        self.samples = samples
        self.data = data or {"nodes": {}, "samples": {}, "measures": {}, "clusters": {}, "leaks": {}}

    def account(self, node: str, source: str) -> dict[str, Any]:
        """The counters of a node for one source's documents."""
        sources = self.data["nodes"].setdefault(node, {})
        if source not in sources:
            sources[source] = dict.fromkeys(COUNTERS, 0) | {
                "rejected": {},
                "marked": {},
                "failed": {},
                "sums": {},
                "values": {},
            }
        return sources[source]  # type: ignore[no-any-return]

    def add(self, node: str, source: str, counter: str, amount: int) -> None:
        """Add to one of COUNTERS."""
        self.account(node, source)[counter] += amount

    def count(self, node: str, source: str, kind: str, names: pa.Array) -> None:
        """Add one for each non-null name, under `rejected`, `marked` or `failed`."""
        group = self.account(node, source)[kind]
        for entry in pc.value_counts(names.drop_null()).to_pylist():
            group[entry["values"]] = group.get(entry["values"], 0) + entry["counts"]

    def summarize(self, node: str, source: str, stage: Stage[Any], batch: pa.RecordBatch) -> None:
        """Add up the columns that a stage asks the report to show."""
        account = self.account(node, source)
        for column, how in type(stage).summarize.items():
            if column not in batch.schema.names:
                continue
            values = batch.column(column)
            if how == "sum":
                account["sums"][column] = account["sums"].get(column, 0) + (pc.sum(values).as_py() or 0)
                continue
            group = account["values"].setdefault(column, {})
            for entry in pc.value_counts(pc.cast(values, pa.string())).to_pylist():
                name = "null" if entry["values"] is None else entry["values"]
                group[name] = group.get(name, 0) + entry["counts"]

    def sample(self, node: str, reasons: pa.Array, batch: pa.RecordBatch, evidence: pa.Array) -> None:
        """Offer rejected rows as samples of their reasons."""
        group = self.data["samples"].setdefault(node, {})
        for reason in pc.unique(reasons).to_pylist():
            rows = pc.indices_nonzero(pc.equal(reasons, reason))
            hashes = pc.take(batch.column("id_hash"), rows)
            best = pc.take(rows, pc.sort_indices(hashes)[: self.samples]).to_pylist()
            offered = [_sample(batch, evidence, i) for i in best]
            group[reason] = lowest([*group.get(reason, []), *offered], self.samples)

    def offer(self, node: str, reason: str, sample: dict[str, Any]) -> None:
        """Offer one sample that is no row, such as a stretch of input that could not be read."""
        group = self.data["samples"].setdefault(node, {})
        group[reason] = lowest([*group.get(reason, []), sample], self.samples)

    def explain(
        self, node: str, source: str, stage: Stage[Any], batch: pa.RecordBatch, evidence: pa.Array | None
    ) -> None:
        """Count what the evidence of rows that a verdict met measures, and the clusters that they belong to.

        Args:
            node: its name.
            source: of all rows.
            stage: its `measures` are counted.
            batch: the rows.
            evidence: struct, one a row; rows without it count for nothing.

        Raises:
            StageError: what is to be measured is no number.
        """
        for name, edges in type(stage).measures.items():
            if (values := field_of(evidence, name)) is None:
                continue
            if not any(is_kind(values.type) for is_kind in _NUMBERS):
                raise StageError(
                    f"node '{node}': evidence '{name}' is {values.type}; `measures` takes numbers"
                )
            counted = self.data["measures"].setdefault(node, {}).setdefault(name, {})
            add_counts(counted, bin_counts(values, edges))
        if field_of(evidence, "cluster_size") is not None:
            clusters = self.data["clusters"].setdefault(node, new_clusters())
            count_clusters(clusters, source, batch, evidence, self.samples)

    def leaked(self, node: str, source: str, batch: pa.RecordBatch, leaks: pa.Array) -> None:
        """Count the benchmark items that a node found in rows of one source."""
        count_leaks(self.data["leaks"].setdefault(node, new_leaks()), source, batch, leaks, self.samples)

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add another unit's books to these."""
        for node, sources in other["nodes"].items():
            for source, account in sources.items():
                add_counts(self.account(node, source), account)
        for node, measures in other.get("measures", {}).items():
            add_counts(self.data["measures"].setdefault(node, {}), measures)
        for node, clusters in other.get("clusters", {}).items():
            merge_clusters(self.data["clusters"].setdefault(node, new_clusters()), clusters, self.samples)
        for node, leaks in other.get("leaks", {}).items():
            merge_leaks(self.data["leaks"].setdefault(node, new_leaks()), leaks)
        for node, reasons in other["samples"].items():
            group = self.data["samples"].setdefault(node, {})
            for reason, offered in reasons.items():
                group[reason] = lowest([*group.get(reason, []), *offered], self.samples)


def _sample(batch: pa.RecordBatch, evidence: pa.Array, row: int) -> dict[str, Any]:
    def value(name: str) -> Any:
        index = batch.schema.get_field_index(name)
        return None if index < 0 else batch.column(index)[row].as_py()

    text = batch.column("text")[row].as_py() if "text" in batch.schema.names else None
    return {
        "hash": batch.column("id_hash")[row].as_py().hex(),
        "id": value("id"),
        "url": value("url"),
        "excerpt": (text or "")[:EXCERPT_CHARS],
        "evidence": evidence[row].as_py(),
    }


def check_unit(books: Books, where: str) -> None:
    """Every node of a unit: rows in + resumed = passed + gathered + rejected + failed, and what passed was put out.

    Raises:
        BooksError: they differ.
    """
    for node, sources in books.data["nodes"].items():
        for source, a in sources.items():
            gone = sum(a["rejected"].values()) + sum(a["failed"].values())
            came, went = a["in"] + a["resumed"], a["passed"] + a["gathered"] + gone
            if came != went:
                raise BooksError(
                    f"{where}, node '{node}', source '{source}': {came} rows in, but {went} accounted for "
                    f"({a['passed']} passed, {gone} rejected or failed); this is a defect, please report it"
                )
            if a["kept"] + a["written"] != a["passed"] + a["made"]:
                raise BooksError(
                    f"{where}, node '{node}', source '{source}': {a['passed']} rows passed and {a['made']} were made "
                    f"of them, but {a['kept']} were kept and {a['written']} written; this is a defect, please report it"
                )


def check_run(nodes: Mapping[str, Node], books: Books) -> None:
    """The whole run: every node's law over all units, nothing left gathered, and nothing lost between nodes.

    Raises:
        BooksError: the books do not balance.
    """
    check_unit(books, "the whole run")
    for node, accounts in books.data["nodes"].items():
        for source, a in _exchanged(nodes[node], accounts).items():
            if a["gathered"] != a["resumed"]:
                raise BooksError(
                    f"node '{node}', source '{source}': {a['gathered']} rows were gathered, but {a['resumed']} came "
                    "back from the exchange; this is a defect, please report it"
                )
    check_flow(nodes, books)


def _exchanged(node: Node, accounts: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node's accounts as far as rows that it put away must come back under the same source.

    An arranging node takes the rows of all sources back under its own name.
    """
    if node.kind != "arrange":
        return accounts
    return {"(all)": {k: sum(a[k] for a in accounts.values()) for k in ("gathered", "resumed")}}


def rows_out(account: Mapping[str, Any], port: str) -> int:
    """Rows that an account's node put out at a port."""
    return int(account["kept"] if port == "kept" else sum(account["rejected"].values()))


def check_flow(nodes: Mapping[str, Node], books: Books) -> None:
    """Across nodes: what one node put out is what its unconditional readers took in.

    Raises:
        BooksError: rows were lost or doubled between two nodes.
    """
    accounts = books.data["nodes"]
    for node in nodes.values():
        if not node.inputs or any(e.where for e in node.inputs):
            continue
        sources = {s for e in node.inputs for s in accounts.get(e.node, {})} | set(
            accounts.get(node.name, {})
        )
        for source in sources:
            sent = sum(
                rows_out(accounts[e.node][source], e.port)
                for e in node.inputs
                if source in accounts.get(e.node, {})
            )
            got = accounts.get(node.name, {}).get(source, {"in": 0})["in"]
            if sent != got:
                raise BooksError(
                    f"node '{node.name}', source '{source}': its inputs put out {sent} rows, but it took in {got}; "
                    "this is a defect, please report it"
                )
