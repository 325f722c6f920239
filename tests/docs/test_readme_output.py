"""What the README quotes is what the samples give: its first command, run here in one process, then a change."""

import pytest

from pipeline.api import load_config, open_run, run
from pipeline.diff import diff_text
from pipeline.executors.local import LocalExecutor
from pipeline.report import funnel_text
from pipeline.trace import trace
from tests.docs.support import README, blocks
from tests.support.data import ROOT

ASKED = ("https://magazine.quernside.example/puzzles/0", "shards/00003-shard.arrow:1:500")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Every line that the quoted commands print."""
    output = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        lines = []
        results = []
        for change in ([], ["nodes.near.params.threshold=0.9"]):
            config = load_config("configs/web.yaml", [f"run.output={output}", *change])
            results.append(result := run(config, executor=LocalExecutor()))
            lines += [
                *funnel_text(result.report).split("\n"),
                f"tasks: {result.executed} run, {result.reused} done before",
            ]
        first, second = (open_run(result.folder) for result in results)
        lines += diff_text(first, second).split("\n")
        for what in ASKED:
            lines += trace(second, what)
        return lines


def test_every_quoted_line_is_printed(printed):
    """Lines with an ellipsis stand for what is left out."""
    quoted = [line for b in blocks(README) if b.language == "text" for line in b.body.split("\n")]
    assert len(quoted) > 20
    assert not {q.rstrip() for q in quoted if "…" not in q} - {p.rstrip() for p in printed} - {""}


def test_what_it_asks_about_is_on_the_page():
    text = README.read_text("utf-8")
    assert all(f"corpusmill trace runs/web {what}" in text for what in ASKED)
