"""Groups of linked documents: merged in memory, or by stars through the exchange; against plain union-find."""

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.api import parse, run
from pipeline.components import (
    LINKS,
    components,
    distinct,
    large_star,
    mixed,
    read_groups,
    small_star,
    spread,
    unmixed,
)
from pipeline.exchanges import FAN_IN, Verdicts, pack
from pipeline.executors.local import LocalExecutor
from pipeline.regroup import reduce_range
from pipeline.stage import GlobalStage, Marks, StageRef
from tests.support.corpora import rows as rows_of
from tests.support.toy import TOYS


def union_find(links):
    root = {a: a for pair in links for a in pair}

    def top(a):
        while root[a] != a:
            a = root[a]
        return a

    for a, b in links:
        a, b = top(a), top(b)
        root[max(a, b)] = min(a, b)
    return {a: top(a) for a in root}


def table(links):
    left, right = ([pair[k] for pair in links] for k in (0, 1))
    return pa.table({"doc": np.array(left, np.uint64), "group": np.array(right, np.uint64)}, schema=LINKS)


def as_dict(groups):
    docs = groups["doc"].to_pylist()
    assert len(docs) == len(set(docs))
    return dict(zip(docs, groups["group"].to_pylist(), strict=True))


LINKED = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30)


@settings(deadline=None)
@given(LINKED, st.integers(0, 30))
def test_merging_in_parts_is_merging_at_once(links, cut):
    at_once = components(table(links))
    assert as_dict(at_once) == union_find([(a, b) for a, b in links if a != b])
    parts = [components(table(links[cut:])), table(links[:cut])]
    assert components(pa.concat_tables(parts)).equals(at_once)


def by_stars(links, max_group=1000):
    """All steps in memory; how many rounds it took."""

    def step(pairs, reduce):
        given = [pairs] if len(pairs) else []
        return list(reduce_range(lambda: iter(given), reduce, (), Path(), 1 << 30, max_group, once=True))

    def joined(made, empty):
        return pa.concat_tables([s.pairs for s in made]) if made else empty

    columns = [table(links)[name].to_numpy() for name in ("doc", "group")]
    pairs = spread(*columns)
    seen, rounds = None, 0
    while rounds < 50:
        large = step(pairs, large_star)
        now = (sum(s.links for s in large), sum(s.digest for s in large) % 2**64)
        if now == seen:
            return as_dict(
                distinct(pa.concat_tables([*step(pairs, read_groups), LINKS.empty_table()]))
            ), rounds
        seen, rounds = now, rounds + 1
        pairs = joined(step(joined(large, pairs[:0]), small_star), pairs[:0])
    raise AssertionError("no end in sight")


@settings(deadline=None)
@given(LINKED, st.sampled_from([2, 3, 1000]))
def test_stars_find_the_same_groups(links, max_group):
    apart = [(a, b) for a, b in links if a != b]
    assert by_stars(links, max_group)[0] == union_find(apart)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_chain_takes_few_rounds(seed):
    numbers = list(range(5000))
    random.Random(seed).shuffle(numbers)
    groups, rounds = by_stars(list(itertools.pairwise(numbers)))
    assert set(groups.values()) == {0}
    assert rounds < 20


def test_mixing_can_be_undone():
    numbers = np.random.default_rng(0).integers(0, 2**64, 1000, np.uint64)
    assert (unmixed(mixed(numbers)) == numbers).all()


def test_packing_takes_neighbours_up_to_the_fan_in():
    sizes = [[f.rows for f in g] for g in pack([Verdicts("", 1)] * 20, rows=100)]
    assert sizes == [[1] * FAN_IN, [1] * FAN_IN, [1] * 4]
    assert pack([], 5) == []


# --- in the engine ----------------------------------------------------------------------------------------


class LinkNumbers(GlobalStage[None]):
    """Lines hold numbers; documents that share one belong together. Round 1 tells everyone its group's size."""

    rounds = 2

    def emit(self, batch, resource, round, verdicts):
        if round:
            some = verdicts.num_rows > 0
            groups = verdicts["group"].to_numpy() if some else np.zeros(0, np.uint64)
            rows = verdicts["row"].cast(pa.int32()) if some else pa.array([], pa.int32())
            return pa.table({"key": mixed(groups), "row": rows})
        found = [
            (i, int(n))
            for i, text in enumerate(batch["text"].to_pylist())
            for n in dict.fromkeys(text.split())
        ]
        return pa.table(
            {
                "key": mixed(np.array([n for _, n in found], np.uint64)),
                "row": pa.array([i for i, _ in found], pa.int32()),
            }
        )

    def links(self, round):
        return round == 0

    def reduce(self, bucket, round):
        keys, docs = bucket["key"].to_numpy(), bucket["doc"].to_numpy()
        _, first, back, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        if round:
            return pa.table({"doc": docs, "size": counts[back]})
        return pa.table({"doc": docs, "group": docs[first[back]]})

    def annotate(self, batch, verdicts):
        sizes = dict(zip(verdicts["row"].to_pylist(), verdicts["size"].to_pylist(), strict=True))
        made = pa.array([sizes.get(i, 0) for i in range(batch.num_rows)], pa.int64())
        return Marks({"group_size": made})

    def reads(self):
        return pa.schema([("text", pa.large_string())])

    def writes(self):
        return pa.schema([("group_size", pa.int64())])


STAGES = {**TOYS, "link_numbers": StageRef("tests.pipeline.test_components:LinkNumbers")}
CONFIG = """
version: 1
run: {{name: links, output: {out}, bucket_bytes: {bucket_bytes}, buckets: 16, max_group_rows: {max_group}}}
nodes:
  lines: {{stage: read_lines, params: {{folder: {folder}}}}}
  groups: {{stage: link_numbers, inputs: [lines]}}
  out: {{stage: write_rows, inputs: [groups], params: {{columns: [id, text, group_size]}}}}
"""


def write_lines(folder: Path, lines: Sequence[str], files: int = 4) -> None:
    folder.mkdir()
    for part in range(files):
        (folder / f"{part}.txt").write_text("\n".join(lines[part::files]) + "\n")


@pytest.mark.parametrize("max_group", [100_000, 50])
def test_links_that_do_not_fit_in_memory_make_the_same_groups(tmp_path, max_group):
    rng = random.Random(5)
    chain = [f"{i} {i + 1}" for i in range(1500)]  # one group of 1,500
    star = [f"5000 {6000 + i}" for i in range(1700)]
    pairs = [f"{10_000 + rng.randrange(900)} {10_000 + rng.randrange(900)}" for _ in range(500)]
    lines = [*chain, *star, *pairs]
    rng.shuffle(lines)
    write_lines(tmp_path / "lines", lines)
    kinds, sizes = {}, {}
    for bucket_bytes in (1 << 28, 1 << 16):
        text = CONFIG.format(
            out=tmp_path / str(bucket_bytes),
            folder=tmp_path / "lines",
            bucket_bytes=bucket_bytes,
            max_group=max_group,
        )
        result = run(parse(text, "links.yaml"), registry=STAGES, executor=LocalExecutor())
        records = (tmp_path / str(bucket_bytes)).rglob("commit.json")
        kinds[bucket_bytes] = {json.loads(r.read_text())["kind"] for r in records}
        folders = {p.parent for p in Path(result.folder).rglob("*.arrow") if p.parent.name == "out"}
        sizes[bucket_bytes] = {r["text"]: r["group_size"] for f in folders for r in rows_of(f)}
    assert "star" in kinds[1 << 16]
    assert "star" not in kinds[1 << 28]
    assert sizes[1 << 16] == sizes[1 << 28]
    if max_group == 100_000:
        assert sizes[1 << 16]["7 8"] == 1500
        assert sizes[1 << 16]["5000 6003"] == 1700
