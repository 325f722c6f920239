"""A document beside the one that it fell to, and a survivor with those that fell to it."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.api import open_run
from pipeline.survivors import SHOWN, _as_text, fallen, text_at
from pipeline.terminal import columns_of
from pipeline.trace import stories, trace, trace_data
from tests.support.copies import copies_run

TALE = "counted the sacks twice, and twice the number came out odd, so she began again from the door to the wheel"
EVIL = "evil \x1b[2J\u202e one two three four"
LINES = [f"mill {TALE}", f"mill {TALE} at noon", "lone words here", EVIL]
MORE = [
    f"mill {TALE.replace('sacks', 'bags')}",
    f"mill {TALE}",
    f"mill  {TALE}",
    *(f"mill {TALE} {'and so on ' * i}{i}" for i in range(12)),
    f"{EVIL} five",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(copies_run(tmp_path_factory.mktemp("survivors"), LINES, MORE, files=2).folder)


@pytest.fixture(scope="module")
def ids(run):
    """The first id of each text."""
    found = {}
    for source in ("lines", "more"):
        for name, text in stories_of(run, source):
            found.setdefault(text, name)
    return found


def stories_of(run, source):
    """(id, text) of a source's documents, from what the node took in."""
    found = []
    for node, port, level in run.manifest["stored"]:
        if (node, port) == ("near", "in"):
            for _, _, folder in run.units(level):
                with pa.ipc.open_file(run.output.path(f"{folder}/near.in.arrow")) as reader:
                    table = reader.read_all()
                mine = table.filter(pc.equal(table["source"].cast(pa.string()), source))
                found += zip(mine["id"].to_pylist(), mine["text"].to_pylist(), strict=True)
    return found


def of(run, ids, text):
    (story,) = stories(run, ids[text])
    return story


def test_a_copy_in_another_partition_is_shown_beside_its_survivor(run, ids):
    story = of(run, ids, MORE[0])
    assert story.survivor is not None
    assert story.survivor.id == ids[LINES[0]]
    assert story.survivor.split != story.split
    found = story.compared
    assert (found.node, found.texts, found.equal) == ("near", "stored", False)
    assert found.similarity == story.events[1].evidence["similarity"]
    changed = [s for s in found.stretches if s.kind == "changed"]
    assert [([w.text for w in s.left], [w.text for w in s.right]) for s in changed] == [(["bags"], ["sacks"])]
    lines = trace(run, story.id)
    at = lines.index(
        f"what differs, at near, similarity {found.similarity:.4g} (white space is not compared):"
    )
    assert lines[at + 1].split() == [story.id, "|", story.survivor.id]
    assert any("[-bags-]" in line and "{+sacks+}" in line for line in lines[at:])
    assert at < lines.index("the document that stayed:")


def test_widths_and_colours(run, ids):
    name = ids[MORE[0]]
    for width in (60, 100, 140):
        shown = [line for line in trace(run, name, width) if " | " in line]
        assert width / 2 < max(map(columns_of, shown)) <= width
    assert "\x1b" not in "\n".join(trace(run, name))
    assert "\x1b[31mbags\x1b[0m" in "\n".join(trace(run, name, colour=True))


def test_equal_texts_and_white_space(run, ids):
    same = [name for name, text in stories_of(run, "more") if text == MORE[1]]
    assert "at near its text and the survivor's are equal" in trace(run, same[0])
    spaced = "at near its text and the survivor's differ in white space only"
    assert spaced in trace(run, ids[MORE[2]])


def test_a_survivor_tells_who_fell_to_it(run, ids):
    story = of(run, ids, LINES[0])
    assert story.survivor is story.compared is None
    count = 1 + 15
    assert story.fallen.nodes == {"near": count}
    assert len(story.fallen.least) == SHOWN
    similarities = [row["similarity"] for row in story.fallen.least]
    assert similarities == sorted(similarities)
    everyone = [e for e in rejected(run) if e["survivor"] == story.id]
    assert len(everyone) == count
    assert similarities == sorted(e["similarity"] for e in everyone)[:SHOWN]
    lines = trace(run, story.id)
    assert f"  survivor of {count} documents: {count} at near" in lines
    assert f"            and {count - SHOWN} more" in lines


def rejected(run):
    """Evidence of all rejected documents, the slow way."""
    found = []
    for _, _, folder in run.units():
        with pa.ipc.open_file(run.output.path(f"{folder}/fates.arrow")) as reader:
            table = reader.read_all()
        found += table.filter(pc.equal(table["event"], "rejected"))["evidence"].to_pylist()
    return [json.loads(evidence) for evidence in found]


def test_who_is_no_survivor_says_nothing(run, ids):
    assert of(run, ids, LINES[2]).fallen is None
    assert not [line for line in trace(run, ids[LINES[2]]) if "survivor of" in line]
    assert fallen(run, ids[LINES[0]][:-1]) is None  # the beginning of an id is not the id
    assert fallen(run, 'a"b') is None


def test_hostile_text_does_not_steer_the_terminal(run, ids):
    for text in (LINES[3], MORE[-1]):
        said = "\n".join(trace(run, ids[text]))
        assert all(c.isprintable() or c == "\n" for c in said)
    assert r"evil \x1b[2J\u202e one two three four [-five-]" in said.replace(" |", " ").replace("  ", " ")


def test_as_json(run, ids):
    (document,) = json.loads(json.dumps(trace_data(run, ids[MORE[0]])))["documents"]
    compared = document["compared"]
    assert (compared["node"], compared["survivor"]) == ("near", ids[LINES[0]])
    assert [s["kind"] for s in compared["stretches"]] == ["equal", "changed", "equal"]
    assert compared["stretches"][1] == {"kind": "changed", "left": "bags", "right": "sacks"}
    whole = " ".join(s.get("text", s.get("left")) for s in compared["stretches"])
    assert whole == MORE[0]
    assert compared["stretches"][2]["words"] == len(compared["stretches"][2]["text"].split())
    assert document["survivor"]["compared"] is None
    (survivor,) = trace_data(run, ids[LINES[0]])["documents"]
    assert survivor["fallen"]["nodes"] == {"near": 16}
    assert survivor["compared"] is None


def test_texts_are_read_as_they_came(run, ids):
    for source in ("lines", "more"):
        for name, text in stories_of(run, source):
            folder = {p[0] for p in run.manifest["partitions"] if p[1] == source}
            texts = {number: text_at(run, "near", name, number) for number in range(4)}
            assert {t for number, t in texts.items() if number in folder} == {text, None}
            assert not any(t for number, t in texts.items() if number not in folder)
    assert text_at(run, "out", name, 0) is None


def test_dialogues_and_pages_have_texts_too():
    turns = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": None}]
    assert _as_text({"text": None, "messages": turns}) == "user: Hello?\n\nassistant: "
    assert _as_text({"content": b"caf\xe9"}) == "caf\ufffd"
    assert _as_text({"text": "", "messages": [], "content": None}) is None


def test_a_survivor_that_is_none_of_the_run_is_named(run, ids, monkeypatch):
    from pipeline import trace as module

    monkeypatch.setattr(module, "_survivor", lambda *_: None)
    lines = trace(run, ids[MORE[0]])
    assert lines[-1] == f"the document that stayed is none of this run: {ids[LINES[0]]}"
