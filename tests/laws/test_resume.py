"""P3: work is reused only if what decides its bytes is the same, and then always."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.api import parse
from pipeline.errors import Interrupted
from tests.support.corpora import digests, full_config, run_here, write_corpus

CHAIN = """
version: 1
run: {{output: {out}, max_error_ratio: 1}}
nodes:
  a: {{stage: read_lines, params: {{folder: {folder}}}}}
  b: {{stage: shout, inputs: [a], checkpoint: true}}
  c: {{stage: measure, inputs: [b], params: {{min_length: {min}}}}}
  d: {{stage: dedup, inputs: [c]}}
  e: {{stage: write_rows, inputs: [d]}}
"""


def chain(tmp_path, min_length=3):
    return parse(CHAIN.format(out=tmp_path / "out", folder=tmp_path / "in", min=min_length))


def test_a_second_run_does_nothing(tmp_path):
    first = run_here(full_config(tmp_path))
    second = run_here(full_config(tmp_path))
    assert second.executed == 0
    assert second.reused == first.executed
    assert digests(second) == digests(first)


def test_a_threshold_redoes_only_what_is_behind_it(tmp_path):
    write_corpus(tmp_path / "in", files=3)
    first = run_here(chain(tmp_path))
    second = run_here(chain(tmp_path, min_length=10))
    assert second.folder != first.folder
    assert second.reused == 3  # the three partitions up to the checkpoint
    assert run_here(chain(tmp_path)).executed == 0  # and the old work is still there


def test_a_new_file_redoes_only_itself_before_the_exchange(tmp_path):
    write_corpus(tmp_path / "in", files=3)
    run_here(chain(tmp_path))
    (tmp_path / "in" / "part00.txt").write_text("a line that is new\n")  # sorts before the others
    again = run_here(chain(tmp_path))
    # levels 0 and 1 of the three old files are reused; so is level 2 where the verdicts stayed the same
    assert again.reused == 9
    assert (
        again.executed == 2 + 1 + 1 + 1
    )  # the new file's two levels, the exchange, its last level, the commit


def test_changed_bytes_are_read_again(tmp_path):
    folder = write_corpus(tmp_path / "in", files=2)
    run_here(chain(tmp_path))
    file = folder / "part0.txt"
    text = file.read_text()
    file.write_text(text.replace("elder", "ELDER"))
    assert run_here(chain(tmp_path)).executed > 0
    file.write_text(text)
    assert run_here(chain(tmp_path)).executed == 0


def test_a_touched_file_is_not_a_changed_file(tmp_path):
    folder = write_corpus(tmp_path / "in", files=2)
    run_here(chain(tmp_path))
    for file in folder.iterdir():
        file.touch()
    assert run_here(chain(tmp_path)).executed == 0


def test_a_stage_version_redoes_its_work(tmp_path, monkeypatch):
    from tests.support.toy import Measure

    write_corpus(tmp_path / "in", files=2)
    run_here(chain(tmp_path))
    monkeypatch.setattr(Measure, "version", 2)
    again = run_here(chain(tmp_path))
    assert again.reused == 2
    assert again.executed > 0


def test_missing_and_truncated_files_are_made_again(tmp_path):
    write_corpus(tmp_path / "in", files=2)
    first = run_here(chain(tmp_path))
    before = digests(first)
    stored = sorted((tmp_path / "out" / "store" / "units").glob("*/*/d.in.arrow"))
    stored[0].unlink()
    stored[1].write_bytes(stored[1].read_bytes()[:-10])
    again = run_here(chain(tmp_path))
    assert again.executed == 2
    assert digests(again) == before


def test_a_commit_record_cut_short_is_named(tmp_path):
    write_corpus(tmp_path / "in", files=1)
    run_here(chain(tmp_path))
    record = next((tmp_path / "out" / "store" / "units").glob("*/*/commit.json"))
    record.write_text(record.read_text()[:20])
    from pipeline.errors import CheckpointError

    with pytest.raises(CheckpointError, match=r"commit\.json: is not JSON"):
        run_here(chain(tmp_path))


@pytest.mark.parametrize("after", [0, 1, 3, 6, 10, 15, 20, 24])
def test_stopped_anywhere_and_continued(tmp_path, after):
    reference = digests(run_here(full_config(tmp_path, out="reference")))
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        run_here(full_config(tmp_path), stop=lambda: next(asked) >= after)
    assert not (tmp_path / "out" / "LATEST").exists()
    result = run_here(full_config(tmp_path))
    assert result.reused >= after
    assert digests(result) == reference


def test_moving_the_output_loses_nothing(tmp_path):
    first = run_here(full_config(tmp_path))
    shutil.move(tmp_path / "out", tmp_path / "moved")
    second = run_here(full_config(tmp_path, out="moved"))
    assert second.executed == 0
    assert digests(second) == digests_at(tmp_path / "moved", first)


def digests_at(output: Path, result):
    return digests(result.__class__(str(output / Path(result.folder).name), {}, 0, 0))


def test_report_of_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = json.loads(Path(run_here(full_config(tmp_path, out="a")).folder, "report.json").read_text())
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        run_here(full_config(tmp_path, out="b"), stop=lambda: next(asked) >= 7)
    resumed = json.loads(Path(run_here(full_config(tmp_path, out="b")).folder, "report.json").read_text())
    assert resumed == whole
