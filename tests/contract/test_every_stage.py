"""One contract for every stage in the registry, whatever it does: what a config and the engine rely on.

Nothing here says what a stage should find; the tests of its family do.
"""

import importlib.util
import pickle
import re
from enum import StrEnum
from importlib.metadata import version

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline import schema
from pipeline.arrange import check_places
from pipeline.errors import PipelineError
from pipeline.graph import kind_of
from pipeline.stage import ANY_TYPE, GlobalStage, NoReason, Stage
from stages.registry import STAGES
from tests.contract.cases import CASES, SIDES, hostile_documents
from tests.contract.harness import (
    annotate,
    buffers_digest,
    build,
    committed,
    copied,
    cut,
    digests,
    expand,
    globally,
    read_split,
    stage_class,
    variants,
    written,
)
from tests.support.exchange import NO_VERDICTS, check_schemas

SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
CANONICAL = {f.name: f.type for f in vars(schema).values() if isinstance(f, pa.Field)}
ENGINE_OWNS = {f.name for f in (*schema.IDENTITY, schema.REJECTED_BY, schema.EVIDENCE)}

# Packages whose release may change what a stage makes of the same bytes: what they judge, render or encode.
# Arithmetic of numpy, pyarrow and numba, and formats that are read to the letter, are not among them.
LIBRARIES = {
    "read_warc": {"fastwarc", "orjson", "zstandard"},
    "read_jsonl": {"orjson", "zstandard"},
    "read_parquet": {"orjson", "pyarrow"},
    "read_arrow": {"orjson", "pyarrow"},
    "read_html": {"zstandard"},
    "read_text": {"zstandard"},
    "read_benchmark": {"datasets", "orjson", "pyarrow", "zstandard"},
    "read_lm_eval": {"datasets", "lm-eval"},
    "extract_html": {"trafilatura", "justext", "resiliparse", "lxml", "htmldate"},
    "repair_text": {"ftfy"},
    "convert_chinese": {"opencc", "pyarrow", "google-re2"},
    "classify_text": {"pyarrow"},
    "train_quality_classifier": {"fasttext-community", "pyarrow"},
    "filter_column": {"pyarrow"},  # RE2
    "filter_url": {"pyahocorasick", "pyarrow"},
    "tag_url": {"pyarrow"},
    "filter_metadata": {"orjson"},
    "exact_dedup": {"pyarrow"},  # Unicode tables
    "scrub_pii": {"presidio-analyzer", "phonenumbers", "tldextract", "google-re2"},
    "bad_words": {"pyahocorasick"},
    "tokenize_dialogue": {"tokenizers", "jinja2"},
    "tokenize": {"tokenizers", "sentencepiece", "fastokens", "gigatoken"},
    "train_tokenizer": {"tokenizers", "sentencepiece"},
    "write_token_shards": {"pyarrow"},
    "write_mds": {"zstandard"},
    "write_webdataset": {"numpy"},
    "write_plain_text": {"pyarrow"},
    "write_benchmark_lists": {"orjson"},
    "write_jsonl": {"orjson", "zstandard"},
    "write_parquet": {"pyarrow"},
    "write_arrow": {"pyarrow"},
}


# Stages that work only with a package that the tests do without.
ABSENT = {
    name for name, package in {"read_lm_eval": "lm_eval"}.items() if importlib.util.find_spec(package) is None
}
# Sources that refuse what is not whole, before work starts, rather than name what they could not read.
WHOLE_OR_NOT_AT_ALL = {"read_benchmark", "read_lm_eval"}


def every(*kinds):
    keys = [key for key in variants(*kinds) if key[0] not in ABSENT]
    return pytest.mark.parametrize("key", keys, ids=[f"{name}-{k}" for name, k in keys])


each_class = pytest.mark.parametrize("name", STAGES)


# --- what a class says of itself ---------------------------------------------------------------------


def test_no_stage_is_forgotten():
    assert list(CASES) == list(STAGES)
    assert all(CASES.values())
    assert SIDES.keys() <= CASES.keys()
    assert LIBRARIES.keys() <= CASES.keys()


# What cannot be made of no document, with the error: an index of nothing would find nothing, silently.
NOTHING_FROM_NOTHING = {
    "build_ngram_index": "there are no items",
    "build_item_vectors": "none of 0 items",
    "train_quality_classifier": "both kinds are needed",
    "train_language_model": "no word occurs",
    "build_bloom_filter": "no n-gram came",
    "train_clusters": "none was sampled",
    "train_tokenizer-2": "the sample has no text, and model unigram needs some",  # byte_bpe makes do with the bytes
}


@each_class
def test_it_says_what_it_does(name):
    cls = stage_class(name)
    assert SNAKE.fullmatch(name)
    assert issubclass(cls, Stage)
    first = " ".join((cls.__dict__.get("__doc__") or "").partition("\n\n")[0].split())
    assert re.fullmatch(r"[A-Z].{10,150}\.", first), f"the docstring of {cls.__name__} begins with {first!r}"
    assert not re.search(r"[a-z]\. [A-Z]", first), "one sentence"
    assert type(cls.version) is int
    assert cls.version >= 1


@each_class
def test_params_are_described(name):
    for param, info in stage_class(name).model_fields.items():
        assert SNAKE.fullmatch(param)
        assert info.description, f"{name}.{param} has no description"
        assert info.description == info.description.strip()
        assert re.search(r"[^.]$|\.\.\.$", info.description), f"{name}.{param}: a phrase, not a sentence"
    assert stage_class(name).model_json_schema()["type"] == "object"


@each_class
def test_reasons_are_distinct_words(name):
    reasons = stage_class(name).reasons
    assert issubclass(reasons, StrEnum)
    assert all(SNAKE.fullmatch(reason) for reason in reasons)
    assert len(reasons.__members__) == len(set(reasons)), "an alias hides a reason"


@each_class
def test_libraries_that_its_output_depends_on(name):
    libraries = stage_class(name).libraries
    assert set(libraries) == LIBRARIES.get(name, set())
    assert len(set(libraries)) == len(libraries)
    if name not in ABSENT:
        assert all(version(library) for library in libraries)  # a name that is not installed raises


# --- params --------------------------------------------------------------------------------------------


@every()
def test_params_are_frozen_and_known(world, key):
    stage = build(world, key)
    for param in type(stage).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(stage, param, getattr(stage, param))
    with pytest.raises(ValidationError, match="no_such_param"):
        type(stage).model_validate_json('{"no_such_param": 1}')


@every()
def test_params_survive_json_and_pickle(world, key):
    stage = build(world, key)
    again = type(stage).model_validate_json(stage.model_dump_json())
    assert again == stage
    assert again.model_dump_json() == stage.model_dump_json()
    assert pickle.loads(pickle.dumps(stage)) == stage


@every()
def test_declarations(world, key):
    stage = build(world, key)
    reads, writes = stage.reads(), stage.writes()
    for declared in (reads, writes):
        assert len(set(declared.names)) == len(declared.names)
        for field in declared:
            known = field.type == ANY_TYPE or field.name not in CANONICAL
            assert known or field.type == CANONICAL[field.name], f"{field.name} is {field.type}"
    assert ANY_TYPE not in writes.types
    assert not set(writes.names) & ENGINE_OWNS
    assert set(stage.drops()) <= {*reads.names, *writes.names}
    assert set(stage.needs_side()) <= set(stage.sides)
    assert set(stage.needs_side()) <= set(world.side(key[0]))
    assert set(stage.summarize.values()) <= {"sum", "values"}
    assert list(stage.problems()) == []
    assert all(isinstance(line, str) and line for line in stage.describe())
    assert all(path.exists() for path in stage.resources())
    assert stage.reads().equals(reads)
    assert stage.writes().equals(writes)


# --- map and expand: one row in, one row's worth out ---------------------------------------------------


def place(world, key, stage, resource, batch):
    """The place of each row."""
    placed = stage.place(batch, resource)
    check_places(key[0], placed, batch.num_rows)
    return list(zip(*(column.to_pylist() for column in placed.columns), strict=True))


RUNS = {"map": annotate, "expand": expand, "arrange": place}


def run_rows(world, key, stage, batch):
    run = RUNS[kind_of(type(stage))]
    return run(world, key, stage, stage.open(world.side(key[0])), batch)


@every("map", "expand", "arrange")
def test_a_row_depends_on_itself_alone(world, key):
    stage, batch = build(world, key), world.batch
    whole = run_rows(world, key, stage, batch)
    assert [run_rows(world, key, stage, batch.slice(i, 1))[0] for i in range(len(whole))] == whole
    assert run_rows(world, key, stage, batch.slice(0, 0)) == []
    order = [(i * 5 + 3) % len(whole) for i in range(len(whole))]
    assert run_rows(world, key, stage, batch.take(pa.array(order))) == [whole[i] for i in order]
    twice = pa.concat_batches([batch, batch])
    assert run_rows(world, key, stage, twice) == whole * 2
    part = batch.slice(3, 5)
    assert run_rows(world, key, stage, part) == run_rows(world, key, stage, copied(part)) == whole[3:8]


@every("map", "expand")
def test_rows_with_nothing_in_them(world, key):
    stage = build(world, key)
    kept = {f.name for f in (*schema.IDENTITY, schema.ORIGIN)} - {"source"}
    columns = {
        field.name: world.batch[field.name].slice(0, 3) if field.name in kept else pa.nulls(3, field.type)
        for field in world.batch.schema
    }
    batch = pa.RecordBatch.from_pydict(columns)
    assert len(set(run_rows(world, key, stage, batch))) == 1


@every("map", "expand", "arrange")
def test_nothing_is_kept_or_changed(world, key):
    stage, batch = build(world, key), world.batch
    before, kept = buffers_digest(batch), stage.__dict__ | {}
    first = run_rows(world, key, stage, batch)
    assert buffers_digest(batch) == before, "the input was changed in place"
    assert stage.__dict__ == kept, "open or annotate left something on the stage"
    resource = stage.open(world.side(key[0]))
    run = RUNS[kind_of(type(stage))]
    assert [run(world, key, stage, resource, batch) for _ in range(2)] == [first] * 2
    assert run_rows(world, key, pickle.loads(pickle.dumps(stage)), batch) == first


@every("map", "expand", "arrange")
def test_texts_that_nobody_thought_of(world, key):
    stage = build(world, key)
    batch = hostile_documents()
    assert len(run_rows(world, key, stage, batch)) == batch.num_rows


@pytest.mark.parametrize(
    "name", [n for n, cls in ((n, stage_class(n)) for n in STAGES) if cls.reasons is not NoReason]
)
def test_the_case_rejects_some_and_keeps_some(world, name):
    """A contract that was only tried on rows of one fate has not been tried."""
    found = set()
    for k in range(len(CASES[name])):
        stage = build(world, (name, k))
        if isinstance(stage, GlobalStage):
            rows = globally(world, (name, k), stage, [world.batch], 0)
        else:
            rows = run_rows(world, (name, k), stage, world.batch)
        found |= {row.startswith("(None,") for row in rows}
    assert found == {True, False}


# --- global stages ---------------------------------------------------------------------------------------


@every("global")
def test_partitions_and_order_of_arrival_do_not_matter(world, key):
    stage, batch = build(world, key), world.batch
    before, kept = buffers_digest(batch), stage.__dict__ | {}
    whole = globally(world, key, stage, [batch], 0)
    for seed, places in enumerate([(), (7,), (0, 3, 3, 8), tuple(range(1, batch.num_rows))]):
        assert globally(world, key, stage, cut(batch, *places), seed) == whole
    assert globally(world, key, stage, [batch.slice(0, 0)], 0) == []
    order = [(i * 9 + 4) % len(whole) for i in range(len(whole))]  # copies change places
    mixed = batch.take(pa.array(order))
    assert globally(world, key, stage, cut(mixed, 6), 9) == [whole[i] for i in order]
    assert buffers_digest(batch) == before
    assert stage.__dict__ == kept


@every("global")
def test_what_is_emitted_has_one_schema(world, key):
    stage, batch = build(world, key), world.batch
    resource = stage.open(world.side(key[0]))
    ways = (batch, batch.slice(0, 0), batch.slice(3, 2))
    tables = [stage.emit(b, resource, 0, NO_VERDICTS) for b in ways]
    check_schemas(tables)
    rows = tables[0]["row"].to_pylist()
    assert all(0 <= row < batch.num_rows for row in rows)
    assert rows or key[1] > 0  # the least params send something; others may leave nothing to exchange
    assert tables[1].num_rows == 0
    assert {*stage.order(0)} <= {*tables[0].schema.names}


@every("global")
def test_hostile_texts_across_documents(world, key):
    stage, batch = build(world, key), hostile_documents()
    assert globally(world, key, stage, cut(batch, 4), 1) == globally(world, key, stage, [batch], 0)


# --- sinks -----------------------------------------------------------------------------------------------


@every("sink")
def test_equal_rows_make_equal_bytes(world, key, tmp_path):
    stage, batch = build(world, key), world.batch
    before, kept = buffers_digest(batch), stage.__dict__ | {}
    resource = stage.open(world.side(key[0]))
    ways = [
        [batch],
        [batch],
        cut(batch, 4),
        cut(batch, 0, 5, 5, 14),
        cut(batch, *range(1, 14)),
        [copied(batch)],
    ]
    infos = [written(stage, resource, way, tmp_path / str(k)) for k, way in enumerate(ways)]
    assert infos == [infos[0]] * len(ways)
    assert infos[0].files
    assert infos[0].rows == batch.num_rows
    made = [digests(tmp_path / str(k)) for k in range(len(ways))]
    assert made == [made[0]] * len(ways)
    for k in (0, 4):
        committed(stage, resource, [(tmp_path / str(k), infos[k])], tmp_path / f"out{k}")
    assert digests(tmp_path / "out0") == digests(tmp_path / "out4")
    assert {"manifest.json", "meta.json"} & {p.name for p in (tmp_path / "out0").iterdir()}
    assert buffers_digest(batch) == before
    assert stage.__dict__ == kept


@every("sink")
def test_partitions_without_rows(world, key, tmp_path):
    stage, batch = build(world, key), world.batch
    resource = stage.open(world.side(key[0]))
    none = written(stage, resource, [], tmp_path / "none")
    empty = written(stage, resource, [batch.slice(0, 0)] * 2, tmp_path / "empty")
    some = written(stage, resource, [batch], tmp_path / "some")
    assert (none.rows, empty.rows) == (0, 0)
    assert none == empty
    parts = [(tmp_path / "none", none), (tmp_path / "some", some), (tmp_path / "empty", empty)]
    committed(stage, resource, parts, tmp_path / "out")
    assert (tmp_path / "out").is_dir()


@every("sink")
def test_no_partition_at_all(world, key, tmp_path):
    stage = build(world, key)
    resource = stage.open(world.side(key[0]))
    refusal = NOTHING_FROM_NOTHING.get(key[0]) or NOTHING_FROM_NOTHING.get(f"{key[0]}-{key[1]}")
    if refusal is not None:
        with pytest.raises(ValueError, match=refusal):
            committed(stage, resource, [], tmp_path / "out")
        return
    for out in ("out", "again"):
        committed(stage, resource, [], tmp_path / out)
    assert digests(tmp_path / "out") == digests(tmp_path / "again") != {}


# --- sources ---------------------------------------------------------------------------------------------


@every("source")
def test_reading_twice_is_reading_the_same(world, key):
    source = build(world, key)
    kept = source.__dict__ | {}
    splits = sorted(source.split())
    assert splits == sorted(build(world, key).split())
    assert len(set(splits)) == len(splits) > 0
    first = [read_split(source, split) for split in splits]
    assert [read_split(build(world, key), split) for split in splits] == first
    assert any(rows for rows, _ in first)
    assert source.__dict__ == kept
    for split in splits:
        assert list(source.files(split)) == list(build(world, key).files(split)) != []


@every("source")
def test_what_cannot_be_read_is_named(world, key):
    if key[0] in WHOLE_OR_NOT_AT_ALL:
        return
    source = build(world, key)
    damages = [damage for split in source.split() for damage in read_split(source, split)[1]]
    assert damages, "the case has no fault in it"
    for damage in damages:
        assert SNAKE.fullmatch(damage.reason)
        assert not damage.file.startswith("/"), "names are relative to the source"
        assert damage.key
        assert damage.offset >= -1
        assert damage.detail
        assert "\n" not in damage.detail


@every("source")
def test_origins_tell_documents_apart(world, key):
    source = build(world, key)
    origins = [
        (row["file"], row["key"])
        for split in source.split()
        for batch in source.read(split, source.open({}))
        if isinstance(batch, pa.RecordBatch)
        for row in batch["origin"].to_pylist()
    ]
    assert len(set(origins)) == len(origins) > 0
    assert not any(file.startswith("/") or str(world.root) in file for file, _ in origins)


WITH_PATHS = [
    n for n in STAGES if kind_of(stage_class(n)) == "source" and "paths" in stage_class(n).model_fields
]


@pytest.mark.parametrize("name", WITH_PATHS)
def test_an_empty_file(world, name):
    """No rows, or Damage, or a clear error; nothing else."""
    file = next((world.root / name.removeprefix("read_")).glob("empty.*"))
    source = stage_class(name)(paths=str(file))
    if name in WHOLE_OR_NOT_AT_ALL:
        (problem,) = source.problems()
        assert f"{file.name}: the file is empty" in problem
        return
    assert list(source.problems()) == []
    for split in source.split():
        try:
            rows, damages = read_split(source, split)
        except PipelineError as refused:
            rows, damages, error = [], [], str(refused)
        else:
            error = file.name
        assert file.name in error
        assert len(rows) <= 1
        assert all(d.file == file.name for d in damages)


@pytest.mark.parametrize("name", WITH_PATHS)
def test_a_path_that_matches_nothing_is_a_problem(world, name):
    source = stage_class(name)(paths=str(world.root / "nowhere" / "*.x"))
    assert list(source.split()) == []
    (problem,) = source.problems()
    assert "nothing matches" in problem
