"""From a document to its fate, and from a token back to its document."""

import json

import pyarrow as pa
import pytest

from pipeline.api import open_run
from pipeline.errors import DataError
from pipeline.pieces import Piece, piece_line, pieces_of
from pipeline.terminal import printable
from pipeline.trace import stories, trace, trace_data
from pipeline.whereabouts import find
from tests.support.corpora import full_config, run_here
from tests.support.small import TEXT, small_run, write_documents


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(small_run(tmp_path_factory.mktemp("trace")).folder)


def only(run, what):
    (story,) = stories(run, what)
    return story


@pytest.mark.parametrize(
    "what", ["docs/a.jsonl#short", "a.jsonl#short", "short", "docs/a.jsonl#sho", "http://a.example/short"]
)
def test_a_document_can_be_named_in_many_ways(run, what):
    assert list(find(run, what)) == ["docs/a.jsonl#short"]


def test_a_rejected_document_tells_rule_value_and_text(run):
    story = only(run, "docs/a.jsonl#short")
    assert [(e.event, e.node) for e in story.events] == [
        ("read", "docs"),
        ("rejected", "length"),
        ("written", "why"),
    ]
    rejected = story.events[1]
    assert rejected.reason == "length.too_few_words"
    assert (rejected.evidence["value"], rejected.evidence["min"]) == (2, 5)
    lines = trace(run, "short")
    assert "  rejected length  length.too_few_words" in lines
    assert "            value: 2.0" in lines
    assert "            text: 'Too <b>short</b>'" in lines


def test_a_duplicate_leads_to_the_document_that_stayed(run):
    story = only(run, "copy")
    assert story.events[-2].reason == "exact.exact_duplicate"
    assert story.survivor is not None
    assert story.survivor.id == "docs/a.jsonl#d0"
    assert story.survivor.places
    lines = trace(run, "copy")
    assert lines[lines.index("the document that stayed:") + 1] == "docs/a.jsonl#d0"


def test_a_divided_document_leads_to_its_pieces_and_back(run):
    story = only(run, "docs/b.jsonl#long")
    assert story.children == [f"docs/b.jsonl#long#{i}" for i in range(1, len(story.children) + 1)]
    assert len(story.children) > 2
    piece = only(run, "docs/b.jsonl#long#2")
    assert piece.parent == "docs/b.jsonl#long"
    assert [(e.event, e.node) for e in piece.events] == [
        ("read", "docs"),
        ("expanded", "pieces"),
        ("written", "vocab"),
        ("written", "shards"),
    ]
    assert piece.places[0].startswith("shards/00001-shard.arrow row")


def test_every_token_leads_to_its_document(run):
    """Row by row, as an oracle reads the shard: pieces cover the row, and their documents know these rows."""
    for number in (0, 1):
        file = f"shards/0000{number}-shard.arrow"
        with pa.ipc.open_stream(run.output.path(f"{run.identifier}/{file}")) as reader:
            rows = reader.read_all().to_pylist()
        for row, expected in enumerate(rows):
            pieces = pieces_of(run, file, row)
            assert [p.id for p in pieces] == [p["id"] for p in expected["pieces"]]
            assert pieces[-1].tokens[1] == len(expected["input_ids"])
            for token in range(len(expected["input_ids"])):
                (piece,) = pieces_of(run, file, row, token)
                assert piece.tokens[0] <= token < piece.tokens[1]


def test_a_row_of_a_shard(run):
    lines = trace(run, "shards/00000-shard.arrow:0:0")
    first = pieces_of(run, "00000-shard.arrow", 0, 0)[0]
    assert lines[0] == piece_line(first)
    assert f"{first.tokens[1]} tokens from {first.id}, characters 0-" in lines[0]
    assert first.id in lines
    assert f"  in       {run.manifest['partitions'][0][2]}" in lines
    assert TEXT.startswith(TEXT[first.start : first.end][:20])
    whole = run.output.path(f"{run.identifier}/shards/00000-shard.arrow")
    assert pieces_of(run, whole, 0, 0) == [first]


def test_places_are_the_rows_that_name_the_document(run):
    for name in ("docs/a.jsonl#d0", "docs/a.jsonl#d1", "docs/b.jsonl#long#1"):
        story = only(run, name)
        (place,) = story.places
        file, _, rows = place.partition(" ")
        first = int(rows.split()[1].rstrip(","))
        assert name in {p.id for p in pieces_of(run, file, first)}
        assert first == 0 or name not in {p.id for p in pieces_of(run, file, first - 1)}


def test_damage_has_a_fate_too(run):
    lines = trace(run, "docs/b.jsonl#3")
    assert "  failed   docs  bad_json" in lines


def test_as_json(run):
    data = trace_data(run, "shards/00000-shard.arrow:0:0")
    assert data["pieces"][0]["id"] == data["documents"][0]["id"]
    assert trace_data(run, "copy")["documents"][0]["survivor"]["id"] == "docs/a.jsonl#d0"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("docs/a.jsonl#shrot", r"has no document 'docs/a.jsonl#shrot'; nearest are\n  docs/a.jsonl#short"),
        ("zzz", r"has no document 'zzz'$"),
        ("http://nowhere.example/", "has no document"),
        ("docs/", r"'docs/' could be \d+ documents; write more"),
        ("shards/00000-shard.arrow:99999", r"has \d+ rows, counted from 0, so there is no row 99999"),
        ("shards/00000-shard.arrow:0:99999", r"has \d+ tokens, counted from 0, so there is no token 99999"),
        ("nowhere/x.arrow:0", r"nowhere/x.arrow: is not below the run's folder .*; its sinks are "),
    ],
)
def test_what_cannot_be_found(run, what, message):
    with pytest.raises(DataError, match=message):
        trace(run, what)


def test_no_store_no_story(run, tmp_path):
    from pipeline.io.store import Store

    lonely = type(run)(Store(str(tmp_path)), run.identifier, run.manifest)
    with pytest.raises(DataError, match="store: is gone, and with it the fate of every document"):
        stories(lonely, "short")


def test_a_survivor_in_another_partition_is_found(tmp_path):
    """Over the toy run: each duplicate's survivor was kept by the same node."""
    run = open_run(run_here(full_config(tmp_path)).folder)
    samples = run.read_json("report.json")["samples"]["unique"]["exact_duplicate"]
    assert samples
    for sample in samples:
        story = only(run, sample["id"])
        assert story.survivor is not None
        assert "unique.exact_duplicate" not in [e.reason for e in story.survivor.events]
        assert story.survivor.id < story.id


def test_text_of_the_web_does_not_steer_the_terminal():
    assert printable("a\x1b]0;owned\x07b\u202e") == r"a\x1b]0;owned\x07b\u202e"


def test_ids_do_not_steer_the_terminal_either():
    """An id is what an archive says: whoever wrote the archive chose it."""
    piece = Piece("web/a.warc#\x1b[2J", 0, 9, (0, 3))
    assert piece_line(piece) == r"3 tokens from web/a.warc#\x1b[2J, characters 0-9"
    assert piece_line(Piece("a", -1, -1, (3, 5))) == "2 tokens from a, span not recorded"


def test_an_id_in_a_message_is_harmless_too(tmp_path):
    folder = write_documents(tmp_path / "docs")
    lines = [json.dumps({"id": f"evil\x1b[2J{i}", "text": TEXT}) for i in range(12)]
    (folder / "a.jsonl").write_text("\n".join(lines), "utf-8")
    run = open_run(small_run(tmp_path).folder)
    for what in ("evil", "docs/a.jsonl#evil\x1b[2Jx"):
        with pytest.raises(DataError) as caught:
            trace(run, what)
        assert r"docs/a.jsonl#evil\x1b[2J" in str(caught.value).partition("\n")[2]
        assert "\x1b" not in str(caught.value).partition("\n")[2]


def test_documents_that_a_word_fits_are_told_apart(run):
    both = trace(run, "docs/a.jsonl#d")
    heads = [i for i, line in enumerate(both) if not line.startswith(" ") and line]
    assert [both[i] for i in heads] == [f"docs/a.jsonl#d{i}" for i in range(3)]
    assert all(both[i - 1] == "" for i in heads[1:])


@pytest.mark.parametrize(
    ("what", "nearest"),
    [
        ("docs/a.jsonl#d7", "docs/a.jsonl#d0"),
        ("a.jsonl#shrt", "docs/a.jsonl#short"),
        ("dcs/a.jsonl#short", "docs/a.jsonl#short"),
    ],
)
def test_the_nearest_is_found_by_key_and_by_file(run, what, nearest):
    with pytest.raises(DataError) as caught:
        trace(run, what)
    assert f"\n  {nearest}" in str(caught.value)
