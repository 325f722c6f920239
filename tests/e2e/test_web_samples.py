"""configs/web.yaml on data_samples: every planted case is found, nothing else of that kind, and it reads back."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from pipeline.api import open_node
from shards.loader import TokenShards
from shards.verify import verify
from tests.e2e.conftest import read_jsonl
from tests.support.data import SAMPLES

pytestmark = pytest.mark.dask


@pytest.fixture(scope="module")
def kept(web):
    by_url = defaultdict(list)
    for row in read_jsonl(web.result.sink("documents")):
        by_url[row["url"]].append(row)
    return by_url


@pytest.fixture(scope="module")
def lost(web):
    by_url = defaultdict(list)
    for row in read_jsonl(web.result.sink("why")):
        by_url[row["url"]].append(row)
    return by_url


def reasons(lost, url):
    return {row["rejected_by"] for row in lost[url]}


def by_reason(lost, prefix):
    return {url for url, rows in lost.items() for row in rows if row["rejected_by"].startswith(prefix)}


def test_every_record_is_accounted_for(web, expected):
    counts = expected["counts"]
    records = sum(c["response"] + c["conversion"] for f, c in counts.items() if f.endswith(".warc.gz"))
    assert web.total("crawl", "in") == web.total("crawl", "kept") == records
    taken_out = sum(
        sum(web.rejected(n).values()) for n in web.nodes if web.nodes[n]["kind"] in ("map", "global")
    )
    assert web.total("why", "written") == taken_out
    assert not any(a["failed"] for n in web.nodes.values() for a in n["sources"].values())
    assert all(a["unread"] == 0 for n in web.nodes.values() for a in n["sources"].values())


@pytest.mark.parametrize(
    "kind", ["clean", "one_bad_word", "not_bad_words", "not_contaminated", "not_blocked"]
)
def test_what_must_survive_does(expected, kept, lost, kind):
    gone = {url: reasons(lost, url) for url in expected[kind]["urls"] if url not in kept}
    assert gone == {}


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("blocked", "allowed.blocked_domain"),
        ("too_short", ""),
        ("repetitive", ""),
        ("symbols", ""),
        ("lorem", ""),
        ("link_farms", ""),
        ("price_lists", ""),
        ("mislabelled", "pages."),
        ("not_pages", "pages."),
        ("other_languages", "lang."),
    ],
)
def test_what_must_go_does(expected, kept, lost, kind, by):
    for url in expected[kind]["urls"]:
        assert url not in kept
        assert any(r.startswith(by) for r in reasons(lost, url)), (url, reasons(lost, url))


def test_only_blocked_domains_are_blocked(expected, lost):
    assert by_reason(lost, "allowed.") == set(expected["blocked"]["urls"])


def test_of_every_group_of_copies_one_stays(expected, kept, lost):
    for group in expected["exact_duplicates"]["groups"]:
        assert sum(url in kept for url in group["urls"]) == 1, group
    for pair in expected["near_duplicates"]["pairs"]:
        assert sum(url in kept for url in pair["urls"]) == 1, pair
    for pair in expected["lookalikes"]["pairs"]:
        assert all(url in kept for url in pair["urls"]), pair


def test_no_other_document_falls_as_a_duplicate(expected, lost):
    groups = [set(g["urls"]) for g in expected["exact_duplicates"]["groups"]]
    groups += [
        set(p["urls"]) for k in ("near_duplicates", "borderline_duplicates") for p in expected[k]["pairs"]
    ]
    planted = set().union(*groups)
    assert by_reason(lost, "exact.") | by_reason(lost, "near.") <= planted


def test_duplicates_name_a_survivor_that_survives(web, expected, kept, lost):
    """The evidence of a near-duplicate is a verified similarity to a document that was not rejected there."""
    by_id = {
        row["id"]
        for rows in lost.values()
        for row in rows
        if row["rejected_by"].startswith(("near.", "exact."))
    }
    seen = 0
    for rows in lost.values():
        for row in rows:
            if row["rejected_by"].startswith("near."):
                evidence = json.loads(row["evidence"])
                assert evidence["similarity"] >= 0.75
                assert evidence["survivor"] not in by_id
                seen += 1
    assert seen == web.rejected("near")["near_duplicate"] > 0


def test_planted_personal_data_is_gone_and_the_rest_untouched(expected, kept):
    for planted in expected["pii"]["values"]:
        texts = [row["text"] for row in kept[planted["url"]]]
        assert texts, planted
        assert not any(planted["value"] in text for text in texts), planted
        assert any(f"<{planted['entity']}>" in text for text in texts), planted
    for innocent in expected["not_pii"]["values"]:
        assert any(innocent["value"] in row["text"] for row in kept[innocent["url"]]), innocent


def test_no_other_document_is_scrubbed(expected, kept):
    scrubbed = {
        url for url, rows in kept.items() for row in rows for mark in PLACEHOLDERS if mark in row["text"]
    }
    assert scrubbed == {v["url"] for v in expected["pii"]["values"]}


PLACEHOLDERS = ("<EMAIL_ADDRESS>", "<IP_ADDRESS>", "<PHONE_NUMBER>", "<CREDIT_CARD>")


def test_bad_words(expected, lost):
    assert by_reason(lost, "polite.") == {d["url"] for d in expected["bad_words"]["documents"]}


def test_contaminated_pages_and_no_others(expected, kept, lost):
    planted = {i["url"] for i in expected["contaminated"]["items"]}
    short = {i["url"] for i in expected["contaminated_short"]["items"]}
    found = by_reason(lost, "clean.")
    assert found == planted | short
    for item in expected["contaminated"]["items"] + expected["contaminated_short"]["items"]:
        evidence = json.loads(
            next(r for r in lost[item["url"]] if r["rejected_by"].startswith("clean."))["evidence"]
        )
        assert item["item"] in json.dumps(evidence), evidence


def test_boilerplate_is_not_in_the_text(expected, kept):
    for url in expected["boilerplate"]["urls"]:
        for row in kept.get(url, []):
            assert not [s for s in expected["boilerplate"]["strings"] if s in row["text"]], url


def test_charsets(expected, kept, lost):
    for page in expected["charsets"]["pages"]:
        texts = [row["text"] or "" for row in kept[page["url"]] + lost[page["url"]]]
        assert any(page["contains"] in text for text in texts), page


def test_the_long_page_comes_in_pieces_that_join_up(expected, kept):
    for document in expected["long"]["documents"]:
        pieces = kept[document["url"]]
        assert len(pieces) > 4
        assert [p["id"].rpartition("#")[2] for p in pieces] == [str(k + 1) for k in range(len(pieces))]
        assert sum(len(p["text"].split()) for p in pieces) > 0.9 * document["words"]


def test_link_scores(expected, kept):
    assert not [u for u in expected["scores"]["below_3"] + expected["scores"]["missing"] if u in kept]


# --- the shards -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shards(web):
    return Path(web.result.sink("shards"))


def shard_rows(folder):
    for file in sorted(folder.glob("*.arrow")):
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                yield from batch.to_pylist()


def test_shards_are_sound(shards):
    assert verify(str(shards)) == []
    manifest = json.loads((shards / "manifest.json").read_text())
    assert manifest["rows"] == sum(1 for _ in shard_rows(shards))


def test_every_sequence_maps_to_documents_and_decodes_to_their_text(web, shards, kept):
    tokenizer = Tokenizer.from_file(str(shards / "tokenizer.json"))
    texts = {row["id"]: row["text"] for rows in kept.values() for row in rows}
    rebuilt = defaultdict(str)
    for row in shard_rows(shards):
        at = 0
        assert sum(p["tokens"] for p in row["pieces"]) == len(row["input_ids"]) == sum(row["seq_lengths"])
        for piece in row["pieces"]:
            ids = row["input_ids"][at : at + piece["tokens"]]
            at += piece["tokens"]
            text = texts[piece["id"]]
            rebuilt[piece["id"]] += tokenizer.decode(ids, skip_special_tokens=True)
            assert 0 <= piece["start"] <= piece["end"] <= len(text)
    assert set(rebuilt) == set(texts)
    whole = sum(rebuilt[i] == texts[i] for i in texts)
    assert whole >= 0.97 * len(texts)  # a character cut by a sequence's end decodes in two halves


def test_a_sequence_leads_back_to_its_warc_record(web, shards):
    """Token span -> document id -> origin (archive, record, offset) -> the bytes of the crawl."""
    import gzip

    piece = next(p for row in shard_rows(shards) for p in row["pieces"] if p["id"].startswith("crawl/"))
    pages = open_node(web.result.folder, "pages", view="dataset").to_table().to_pylist()
    row = next(r for r in pages if piece["id"].split("#")[:2] == r["id"].split("#")[:2])
    with (SAMPLES / "web" / row["origin"]["file"]).open("rb") as archive:
        archive.seek(row["origin"]["offset"])
        head = gzip.GzipFile(fileobj=archive).read(2000).decode("latin-1")
    assert head.startswith("WARC/1.")
    assert row["origin"]["key"] in head
    assert row["url"] in head


def test_loader_pyarrow_and_datasets_read_the_same(shards, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    plain = [row["input_ids"] for row in shard_rows(shards)]
    files = [str(f) for f in sorted(shards.glob("*.arrow"))]
    mapped = [ids for f in files for ids in datasets.Dataset.from_file(f)["input_ids"]]
    loaded = datasets.load_dataset("arrow", data_files=files, split="train", cache_dir=str(tmp_path))[
        "input_ids"
    ]
    ours = TokenShards(str(shards), shuffle=False)
    own = [np.asarray(ours[i]["input_ids"])[: len(plain[i])].tolist() for i in range(len(ours))]
    assert plain == list(mapped) == list(loaded) == own


def test_report_files(web):
    folder = Path(web.result.folder)
    page = (folder / "report.html").read_text("utf-8")
    assert "<html" in page
    assert 'src="http' not in page
    report = json.loads((folder / "report.json").read_text())
    assert report["run"] == folder.name
    assert "near_duplicate" in page
    assert (folder.parent / "LATEST").read_text().strip() == folder.name


def test_a_second_run_does_nothing_and_a_threshold_little(web):
    from pipeline.api import load_config, run
    from pipeline.executors.local import LocalExecutor
    from tests.support.data import ROOT

    output = Path(web.result.folder).parent
    config = load_config(ROOT / "configs" / "web.yaml", [f"run.output={output}"])
    assert run(config, executor=LocalExecutor()).executed == 0
    changed = load_config(
        ROOT / "configs" / "web.yaml", [f"run.output={output}", "nodes.near.params.threshold=0.9"]
    )
    again = run(changed, executor=LocalExecutor())
    assert again.reused >= 8  # nothing was extracted again
    near = sum(
        sum(a["rejected"].values())
        for n in again.report["nodes"]
        if n["node"] == "near"
        for a in n["sources"].values()
    )
    assert near < web.rejected("near")["near_duplicate"]
