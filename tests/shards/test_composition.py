"""What rows are made of adds up to the shards, in the order in which the loader takes them."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from shards.composition import composition
from shards.loader import TokenShards
from tests.shards.make import documents, texts, tokenized, tokenizer_folder, write_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("composition")
    tok = tokenizer_folder(tmp / "tok")
    parts = [
        [tokenized(documents(texts(30, seed=p), f"{name}/{p}#"), tok)]
        for p, name in enumerate(["web", "books"])
    ]
    return write_shards(tmp, parts, seq_len=16)


@pytest.mark.parametrize(("seed", "shuffle", "epoch"), [(0, False, 0), (17, True, 0), (17, True, 2)])
def test_parts_are_what_the_loader_gives(folder, seed, shuffle, epoch):
    data = TokenShards(folder, seed=seed, shuffle=shuffle, epoch=epoch)
    parts = list(composition(data, 7, epoch))
    rows = [int(row) for batch in data for row in batch["rows"]]
    assert [part.first for part in parts] == list(range(0, len(rows), 7))
    for part in parts:
        mine = [piece for row in rows[part.first : part.first + 7] for piece in data.pieces(row)]
        sources = Counter()
        for piece in mine:
            sources[piece["id"].split("/")[0]] += piece["tokens"]
        assert dict(part.sources) == dict(sources)
        assert part.tokens == sum(sources.values())
        assert (part.rows, part.documents) == (len(rows[part.first : part.first + 7]), len(mine))
        assert part.mean_document == pytest.approx(part.tokens / len(mine))
        tokens = Counter()
        for piece in mine:
            tokens[piece["id"]] += piece["tokens"]
        assert max(part.largest.values()) == max(tokens.values())
        assert all(tokens[name] == n for name, n in part.largest.items())
    assert sum(part.tokens for part in parts) == data.manifest.tokens


def test_scores_weigh_by_tokens(folder):
    data = TokenShards(folder, shuffle=False)
    (part,) = composition(data, 10_000, scores={"web/0#3": 1.0, "books/1#4": 4.0, "none": 9.0})
    tokens = Counter()
    for row in range(len(data)):
        for piece in data.pieces(row):
            tokens[piece["id"]] += piece["tokens"]
    web, books = tokens["web/0#3"], tokens["books/1#4"]
    assert part.mean_score == pytest.approx((web + 4 * books) / (web + books))
    (bare,) = composition(data, 10_000)
    assert bare.mean_score is None


def test_no_rows(tmp_path):
    assert list(composition(TokenShards(write_shards(tmp_path, [])))) == []


def test_every_is_a_number_of_rows(folder):
    with pytest.raises(ValueError, match="every is 0; give 1 or more rows"):
        next(composition(TokenShards(folder), 0))


def invoke(*arguments):
    return CliRunner().invoke(app, ["composition", *map(str, arguments)])


def test_the_command(folder, tmp_path):
    lines = invoke(folder, "--every", 20).stdout.splitlines()
    parts = list(composition(TokenShards(folder, shuffle=False), 20))
    assert len(lines) == len(parts)
    assert lines[0].startswith(f"rows 0 to 19  {parts[0].tokens} tokens  ")
    assert "web 100.0 %" in lines[0]
    pq.write_table(pa.table({"id": ["web/0#3"], "grade": [2.5]}), tmp_path / "s.parquet")
    found = [
        json.loads(line)
        for line in invoke(
            folder, "--seed", 3, "--json", "--scores", tmp_path / "s.parquet", "--score", "grade"
        ).stdout.splitlines()
    ]
    assert [part["mean_score"] for part in found] == [2.5]
    assert found[0]["largest"]


def test_what_is_wrong_is_said(folder, tmp_path):
    assert "has no manifest.json" in invoke(tmp_path).output.replace("\n", " ")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "s.parquet")
    result = invoke(folder, "--scores", tmp_path / "s.parquet")
    assert result.exit_code != 0
    assert "score" in result.output
