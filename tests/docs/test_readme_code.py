"""The README's Python: run in order, on small shards that lie where its first command puts them."""

import sys
import types

import pyarrow as pa
import pytest

from tests.docs.support import README, blocks
from tests.shards.make import small_shards


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the README's blocks define."""
    run = tmp_path / "runs/web/0123456789ab"
    run.mkdir(parents=True)
    (run.parent / "LATEST").write_text("0123456789ab\n")
    small_shards(tmp_path, seq_len=1024).rename(run / "shards")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    module = types.ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)  # pydantic looks a class's module up
    for block in blocks(README):
        if block.language == "python":
            exec(compile(block.body, "README.md", "exec"), vars(module))
    return vars(module)


def test_the_shards_open_in_all_the_ways_it_shows(names):
    rows = len(names["data"])
    assert rows > 0
    assert len(names["everything"]) == rows
    assert 0 < names["one"].num_rows == names["table"].num_rows <= rows
    assert names["state"]


def test_its_stage_marks_what_it_says(names):
    batch = pa.record_batch({"text": pa.array(["Buy now" + "!" * 21, "Oh!" * 20, None], pa.large_string())})
    marks = names["FilterLoud"]().annotate(batch, None)
    assert marks.reject.to_pylist() == ["too_loud", None, None]
    assert marks.evidence.to_pylist() == [{"exclamations": 21}, None, None]
    assert names["FilterLoud"](max_exclamations=None).annotate(batch, None).reject.null_count == 3
