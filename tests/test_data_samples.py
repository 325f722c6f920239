"""data_samples/: the committed files are what assemble.py makes, and what expected.json says is true."""

import gzip
import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import combinations, pairwise

import phonenumbers
import pyarrow.parquet as pq
import pytest
import trafilatura
import zstandard
from warcio.archiveiterator import ArchiveIterator

from tests.support.data import SAMPLES

EXPECTED = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
FILES = sorted(p for p in SAMPLES.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
STOP = {
    "en": "the be to of and that have with",
    "de": "der die und in den von zu das mit sich auf für",
    "fr": "le la les de et un une des dans pour que qui",
    "es": "el la los de y que en un una con por se",
}
NOISE = ("too_short", "repetitive", "symbols", "lorem", "link_farms", "price_lists")
ROWS = {"docs/linked.jsonl.zst": 17, "docs/library.jsonl.gz": 16, "docs/books.parquet": 8}


@pytest.fixture(scope="module")
def assemble():
    sys.path.insert(0, str(SAMPLES))
    try:
        yield importlib.import_module("assemble")
    finally:
        sys.path.remove(str(SAMPLES))


@pytest.fixture(scope="module")
def made(assemble):
    return assemble.build()


@cache
def records():
    """(file, type, url, status, content type, body) of every record; warcio verifies the digests."""
    out = []
    for path in sorted(SAMPLES.glob("web/*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, check_digests="raise"):
                http = record.http_headers if record.rec_type == "response" else None
                url = record.rec_headers.get_header("WARC-Target-URI")
                status = http.get_statuscode() if http else ""
                media = (http.get_header("Content-Type") or "") if http else ""
                body = record.content_stream().read()
                out.append((f"web/{path.name}", record.rec_type, url, status, media, body))
    return out


@cache
def rows(name):
    data = (SAMPLES / name).read_bytes()
    if name.endswith(".parquet"):
        return pq.read_table(io.BytesIO(data)).to_pylist()
    raw = zstandard.ZstdDecompressor().decompress(data) if name.endswith(".zst") else gzip.decompress(data)
    return [json.loads(line) for line in raw.decode().splitlines()]


@cache
def texts():
    """URL -> text: extracted with trafilatura from HTML, as stored for the rest."""
    out = {row["url"]: row["text"] for name in ROWS for row in rows(name)}
    for _, kind, url, status, media, body in records():
        if kind == "conversion" or (kind == "response" and media.startswith("text/plain")):
            out[url] = body.decode()
        elif kind == "response" and status == "200" and "html" in media:
            charset = media.partition("charset=")[2]
            page = body.decode(charset) if charset else body
            page = re.sub(r"^<\?xml[^>]*>\s*", "", page) if isinstance(page, str) else page
            out[url] = trafilatura.extract(page) or ""
    return out


def words(text):
    return re.findall(r"[\w'’-]+", text.lower())


@cache
def shingles(text, n=5):
    found = words(text)
    return frozenset(tuple(found[i : i + n]) for i in range(len(found) - n + 1))


def jaccard(a, b):
    a, b = shingles(a), shingles(b)
    return len(a & b) / (len(a | b) or 1)


def luhn(number):
    digits = [int(d) for d in re.sub(r"\D", "", number)][::-1]
    return sum(digits[::2] + [sum(divmod(2 * d, 10)) for d in digits[1::2]]) % 10 == 0


# --- the files -------------------------------------------------------------------------------------


def test_committed_files_hold_what_the_script_makes(assemble, made):
    assert assemble.problems(SAMPLES, made) == []


def test_another_process_with_another_hash_seed_makes_the_same_bytes(made):
    code = "import sys, assemble; sys.stdout.buffer.write(assemble.build()['SHA256SUMS'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "4321", "TZ": "Asia/Tokyo", "PYTHONPATH": str(SAMPLES)},
        capture_output=True,
        check=True,
    )
    assert done.stdout == made["SHA256SUMS"]


def test_check_names_a_file_that_was_changed_and_one_that_is_missing(assemble, made, tmp_path):
    for name, data in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert assemble.problems(tmp_path, made) == []
    (tmp_path / "evals/quiz.jsonl").write_bytes(b"{}\n")
    (tmp_path / "lists/bad_words.txt").unlink()
    found = "\n".join(assemble.problems(tmp_path, made))
    assert "evals/quiz.jsonl: differs" in found
    assert "lists/bad_words.txt: missing" in found
    assert "SHA256SUMS: does not match" in found


def test_no_generated_file_is_forgotten_or_left_over(made):
    ours = {
        "README.md",
        ".gitattributes",
        "assemble.py",
        *(f"_content/{p.name}" for p in (SAMPLES / "_content").glob("*.*")),
    }
    assert {p.relative_to(SAMPLES).as_posix() for p in FILES} == set(made) | ours


def test_all_is_small():
    assert sum(p.stat().st_size for p in FILES) < 5_000_000


def test_no_path_of_a_machine_is_inside():
    machine = re.compile(rb"/(?:home|root|Users|tmp|work|mnt)/")
    for path in FILES:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        assert not machine.search(data), path.name


def test_record_counts_are_as_told():
    counted = {}
    for file, kind, *_ in records():
        counted.setdefault(file, Counter())[kind] += 1
    for file, told in EXPECTED["counts"].items():
        if file in ROWS:
            assert len(rows(file)) == told, file
        else:
            assert counted[file] == Counter(told), file  # a Counter's missing key is 0
    assert {f: n for f, n in EXPECTED["counts"].items() if f in ROWS} == ROWS


def test_every_named_url_exists_in_the_named_file():
    where = {url: file for file, kind, url, *_ in records() if kind in ("response", "conversion")}
    where |= {row["url"]: name for name in ROWS for row in rows(name)}
    assert where == {url: about["file"] for url, about in EXPECTED["documents"].items()}
    sections = {k: v for k, v in EXPECTED.items() if k not in ("documents", "counts", "_about", "html_files")}
    named = set(re.findall(r'"(https?://[^"]+)"', json.dumps(sections)))
    assert len(named) > 400
    assert named <= set(where)


def test_every_section_says_what_it_is_and_holds_something():
    for key, section in EXPECTED.items():
        if key not in ("_about", "counts", "documents"):
            assert section["_about"].endswith("."), key
            assert len(section) > 1, key
            assert all(section.values()), key


# --- clean documents -------------------------------------------------------------------------------


def test_clean_documents_are_in_no_other_list():
    guilty = [
        k for k in EXPECTED if re.search("duplicates|bad_word|contaminated|blocked", k) and k[:3] != "not"
    ]
    guilty += ["pii", "other_languages", "not_pages", "mislabelled", "forum", "long", *NOISE]
    clean = EXPECTED["clean"]["urls"]
    assert len(clean) == len(set(clean)) > 200
    for key in guilty:
        assert not set(re.findall(r'"(https?://[^"]+)"', json.dumps(EXPECTED[key]))) & set(clean), key


def test_clean_articles_are_not_near_copies_of_one_another():
    told = {frozenset(p["urls"]) for p in EXPECTED["lookalikes"]["pairs"]}
    clean = [(u, shingles(texts()[u])) for u in EXPECTED["clean"]["urls"]]
    for (a, x), (b, y) in combinations(clean, 2):
        if frozenset((a, b)) not in told:
            assert len(x & y) < 0.2 * len(x | y), (a, b)


@pytest.mark.parametrize("lang", STOP)
def test_clean_articles_pass_gopher_rules(lang):
    urls = [u for u in EXPECTED["clean"]["urls"] if EXPECTED["documents"][u]["lang"] == lang]
    assert len(urls) >= 13
    for url in urls:
        assert gopher_faults(texts()[url], STOP[lang]) == [], url


@pytest.mark.parametrize("key", NOISE)
def test_noise_fails_gopher_rules(key):
    for url in EXPECTED[key]["urls"]:
        assert gopher_faults(texts()[url], STOP["en"]), url


def gopher_faults(text, stop):
    """Rae et al. 2021, tables A1 and A2, the slow way."""
    found, split = words(text), text.split()
    lines, paragraphs = re.split(r"\n+", text), re.split(r"\n{2,}", text)
    shares = {
        "symbols": (sum(text.count(s) for s in ("#", "...", "…")) / max(len(split), 1), 0.1),
        "bullets": (sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines), 0.9),
        "ellipses": (sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines), 0.3),
        "no letters": (sum(not re.search(r"[^\W\d_]", w) for w in split) / max(len(split), 1), 0.2),
        "lines": (1 - len(set(lines)) / len(lines), 0.3),
        "paragraphs": (1 - len(set(paragraphs)) / len(paragraphs), 0.3),
    }
    for n, limit in {2: 0.20, 3: 0.18, 4: 0.16}.items():
        grams = Counter(zip(*(found[i:] for i in range(n)), strict=False))
        top = max(((c, sum(map(len, g))) for g, c in grams.items()), default=(0, 0))
        shares[f"top {n}-gram"] = (top[0] * top[1] / max(1, sum(map(len, found))) if top[0] > 1 else 0, limit)
    for n in range(5, 11):
        seen, inside = set(), set()
        for i in range(len(found) - n + 1):
            gram = tuple(found[i : i + n])
            if gram in seen:
                inside.update(range(i, i + n))
            seen.add(gram)
        share = sum(len(found[i]) for i in inside) / max(1, sum(map(len, found)))
        shares[f"repeated {n}-grams"] = (share, 0.20 - n / 100)
    faults = [name for name, (value, limit) in shares.items() if value > limit]
    if not 50 <= len(split) <= 100_000:
        faults.append("words")
    if not 3 <= sum(map(len, split)) / max(1, len(split)) <= 10:
        faults.append("word length")
    if len(set(found) & set(stop.split())) < 2:
        faults.append("stop words")
    return faults


def test_extraction_finds_the_beginning_and_the_end_of_clean_pages():
    for url in EXPECTED["clean"]["urls"]:
        if (url, "neither") not in {(p["url"], p["declared"]) for p in EXPECTED["charsets"]["pages"]}:
            about, text = EXPECTED["documents"][url], texts()[url]
            assert about["first"].strip() in text, url
            assert about["last"].strip() in text, url


def test_boilerplate_is_in_the_pages_and_not_in_their_text():
    pages = {url: body for _, kind, url, _, _, body in records() if kind == "response"}
    for url in EXPECTED["boilerplate"]["urls"]:
        assert any(s.encode() in pages[url] for s in EXPECTED["boilerplate"]["strings"]), url
        assert not [s for s in EXPECTED["boilerplate"]["strings"] if s in texts()[url]], url


def test_charsets_decode_to_the_words_told():
    pages = {url: (media, body) for _, kind, url, _, media, body in records() if kind == "response"}
    seen = set()
    for page in EXPECTED["charsets"]["pages"]:
        media, body = pages[page["url"]]
        assert page["contains"] in body.decode(page["charset"])
        in_meta = f'charset={page["charset"]}"'.encode() in body
        assert ("charset=" in media, in_meta) == (page["declared"] == "header", page["declared"] == "meta")
        seen.add((page["charset"], page["declared"]))
    for charset in ("windows-1252", "iso-8859-2", "shift_jis", "gb18030", "koi8-r"):
        assert {d for c, d in seen if c == charset} == {"header", "meta", "neither"}, charset


def test_html_files_decode_as_told():
    assert len(EXPECTED["html_files"]["files"]) == 12
    for path, about in EXPECTED["html_files"]["files"].items():
        assert about["first"] in (SAMPLES / path).read_bytes().decode(about["charset"]), path


# --- planted cases ---------------------------------------------------------------------------------


def test_exact_duplicates_have_the_same_text():
    for group in EXPECTED["exact_duplicates"]["groups"]:
        seen = {" ".join(words(texts()[u]))[-600:] for u in group["urls"]}
        assert len(group["urls"]) >= 2
        assert len(seen) == 1, group


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [("near_duplicates", 0.85, 0.97), ("borderline_duplicates", 0.75, 0.85), ("lookalikes", 0.1, 0.5)],
)
def test_similarities_are_as_told(key, low, high):
    for pair in EXPECTED[key]["pairs"]:
        a, b = pair["urls"]
        assert low <= pair["jaccard"] <= high
        assert jaccard(texts()[a], texts()[b]) == pytest.approx(pair["jaccard"], abs=0.02), pair
        assert 0.03 <= pair.get("edited_words", 0.05) <= 0.1


def test_no_other_pair_of_good_pages_is_a_near_copy():
    told = [g["urls"] for g in EXPECTED["exact_duplicates"]["groups"]]
    told += [
        p["urls"]
        for k in ("near_duplicates", "borderline_duplicates", "lookalikes")
        for p in EXPECTED[k]["pairs"]
    ]
    pairs = {frozenset(p) for urls in told for p in combinations(urls, 2)}
    kinds = ("article", "copy", "near copy", "pii", "bad words", "leak", "blocked", "plain text", "forum")
    urls = [u for u, d in EXPECTED["documents"].items() if d["kind"] in kinds and d["lang"] in STOP]
    for a, b in combinations(urls, 2):
        if frozenset((a, b)) not in pairs:
            assert jaccard(texts()[a], texts()[b]) < 0.5, (a, b)


def test_personal_data_is_there_and_valid():
    seen = Counter(v["entity"] for v in EXPECTED["pii"]["values"])
    assert set(seen) == {"EMAIL_ADDRESS", "IP_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD"}
    for v in EXPECTED["pii"]["values"]:
        assert v["value"] in texts()[v["url"]], v
        if v["entity"] == "CREDIT_CARD":
            assert luhn(v["value"]), v
        if v["entity"] == "PHONE_NUMBER":
            assert phonenumbers.is_valid_number(phonenumbers.parse(v["value"])), v


def test_what_only_looks_personal_is_there_and_is_not():
    for v in EXPECTED["not_pii"]["values"]:
        assert v["value"] in texts()[v["url"]], v
        if v["kind"] == "not_luhn":
            assert not luhn(v["value"]), v


def test_clean_documents_hold_nothing_that_looks_personal():
    told = {v["url"] for v in EXPECTED["not_pii"]["values"]}
    looks = re.compile(r"\S@\S|\d+\.\d+\.\d+\.\d+|[0-9a-f]*::|\+\d|\d(?:[ -]?\d){9,}")
    for url in set(EXPECTED["clean"]["urls"]) - told:
        assert not looks.search(texts()[url]), url


def test_bad_words_are_counted_by_whole_words():
    listed = set((SAMPLES / "lists/bad_words.txt").read_text().splitlines()[1:])
    counts = {d["url"]: d["count"] for d in EXPECTED["bad_words"]["documents"]}
    counts |= dict.fromkeys(EXPECTED["one_bad_word"]["urls"], 1) | dict.fromkeys(EXPECTED["clean"]["urls"], 0)
    for url, count in counts.items():
        assert sum(w in listed for w in re.findall(r"\w+", texts()[url].lower())) == count, url
    assert min(d["count"] for d in EXPECTED["bad_words"]["documents"]) >= 3


def test_contaminated_pages_share_13_words_with_their_item_and_others_share_none():
    items = {}
    for name in ("quiz", "reading"):
        for line in (SAMPLES / f"evals/{name}.jsonl").read_text("utf-8").splitlines():
            item = json.loads(line)
            items[item["id"]] = re.findall(
                r"\w+", (item.get("passage") or item["question"]).lower().replace("’", "'")
            )
    assert sum(len(i) < 13 for i in items.values()) >= 8
    grams = {k: {tuple(w[i : i + 13]) for i in range(len(w) - 12)} for k, w in items.items()}
    told = {c["url"]: c["item"] for c in EXPECTED["contaminated"]["items"]}
    short = {c["url"] for c in EXPECTED["contaminated_short"]["items"]}
    assert Counter(c["how"] for c in EXPECTED["contaminated"]["items"]).keys() == {
        "verbatim",
        "recased",
        "repunctuated",
    }
    for url, text in texts().items():
        found = re.findall(r"\w+", text.lower().replace("’", "'"))
        inside = {tuple(found[i : i + 13]) for i in range(len(found) - 12)}
        hits = [k for k, g in grams.items() if g & inside]
        assert hits == ([told[url]] if url in told else []), url
        if url in short:
            item = items[next(c["item"] for c in EXPECTED["contaminated_short"]["items"] if c["url"] == url)]
            assert " ".join(item) in " ".join(found), url


def test_blocked_hosts_end_in_a_listed_domain_and_others_do_not():
    listed = (SAMPLES / "lists/blocked_domains.txt").read_text().splitlines()[1:]
    for key, want in (("blocked", True), ("not_blocked", False)):
        for url in EXPECTED[key]["urls"]:
            host = re.match(r"https?://([^/:]+)", url)[1].lower()
            assert any(host == d or host.endswith("." + d) for d in listed) is want, url


def test_long_document_is_long_and_scores_are_as_told():
    (long,) = EXPECTED["long"]["documents"]
    assert 50_000 < len(texts()[long["url"]].split()) < 70_000
    scores = {row["url"]: row["score"] for name in ROWS for row in rows(name)}
    for side, test in {
        "missing": lambda s: s is None,
        "below_3": lambda s: s < 3,
        "at_least_3": lambda s: s >= 3,
    }.items():
        assert all(test(scores[url]) for url in EXPECTED["scores"][side])


# --- dialogues -------------------------------------------------------------------------------------


def turns_of(row):
    if "conversations" in row:
        return [
            ({"human": "user", "gpt": "assistant"}.get(t["from"], t["from"]), t["value"])
            for t in row["conversations"]
        ]
    if "messages" in row:
        return [
            (t["role"], t["content"])
            for t in row["messages"]
            if t["role"] != "tool" and not t.get("tool_calls")
        ]
    asked = f"{row.get('instruction', '')}\n{row.get('input', '')}" if row["instruction"].strip() else " "
    return [("user", asked), *([("assistant", row["output"])] if "output" in row else [])]


def dialogue_faults(row):
    """What is wrong with a dialogue by structure, the slow way."""
    turns = turns_of(row)
    said = [r for r, _ in turns if r != "system"]
    return {
        "empty": any(not c.strip() for _, c in turns),
        "order": any(a == b for a, b in pairwise(said)) or said[:1] != ["user"],
        "end": said[-1:] != ["assistant"],
        "role": any(r not in ("system", "user", "assistant") for r, _ in turns),
    }


@pytest.mark.parametrize("name", ["sharegpt", "messages", "alpaca"])
def test_dialogues_have_the_faults_told_and_no_others(name):
    lines = (SAMPLES / f"dialogues/{name}.jsonl").read_text("utf-8").splitlines()
    loaded = {row["id"]: row for row in map(json.loads, lines)}
    assert len(loaded) == len(lines) == EXPECTED["dialogues"]["counts"][name]
    told = {f["id"]: f for f in EXPECTED["dialogues"]["faults"] if f["file"] == f"dialogues/{name}.jsonl"}
    same = {i: f["same_as"] for i, f in told.items() if f["fault"] == "exact_duplicate"}
    assert len(same) == 2
    seen = {}
    for key, row in loaded.items():
        turns = turns_of(row)
        fault = told.get(key, {}).get("fault")
        sound = fault in (None, "exact_duplicate", "pii", "bad_words")
        assert any(dialogue_faults(row).values()) is not sound, (key, fault)
        assert seen.setdefault(str(turns), key) == same.get(key, key), key
        text = " ".join(c for _, c in turns)
        assert ("zarkwit" in text) is (fault == "bad_words"), key
        assert bool(re.search(r"\S@\S", text)) is (fault == "pii"), key
        assert all(v in text for v in told.get(key, {}).get("values", {}).values()), key
