"""Texts to train and judge machine-text marks with: who wrote them is known, no prompt or book is in two parts.

Human texts come in slices, so that a rate over all does not hide who is accused. OCR noise is made here, from
real texts, with one table of confusions for training and another for tests. No text is copied into the repository.
"""

import gzip
import hashlib
import itertools
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

PIECE_CHARS = 2600
TEST_BOOKS = (
    *("austen-persuasion", "chesterton-thursday", "blake-poems", "milton-paradise"),
    *("shakespeare-caesar", "shakespeare-hamlet", "shakespeare-macbeth"),
)
BOOKS_1600S = ("shakespeare-caesar", "shakespeare-hamlet", "shakespeare-macbeth", "milton-paradise")
POETRY = ("milton-paradise", "blake-poems", "whitman-leaves")


class Text(NamedTuple):
    """A text, who wrote it ("human", or a kind of machine text) and where it belongs."""

    text: str
    label: str
    slice: str
    group: str  # texts of one prompt or book share it and stay on one side
    test: bool


def bucket(key: str, buckets: int) -> int:
    """A number below `buckets` that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % buckets


def rows_of(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def pieces(text: str, size: int = PIECE_CHARS, limit: int = 40) -> list[str]:
    """Cuts of about `size` characters at white space, evenly spread over a long text."""
    bounds = [m.end() for m in re.finditer(r"\S+\s+", text)]
    if len(text) <= size or not bounds:
        return [text]
    cuts, last = [0], 0
    for bound in bounds:
        if bound - last >= size:
            cuts.append(bound)
            last = bound
    parts = [text[a:b] for a, b in itertools.pairwise(cuts)]
    step = max(len(parts) // limit, 1)
    return parts[::step][:limit]


# --- text of language models -----------------------------------------------------------------------


def machine_pairs(data: Path) -> list[Text]:
    """Fast-DetectGPT's pairs: human and machine continuations of one prompt, human ones once each.

    Prompts repeat over models: the group is the source set and the first words of the prompt. All white space
    is made one blank, because the machine half has blank lines where the human half was flattened.
    """
    seen: set[str] = set()
    found: list[Text] = []
    written: set[str] = set()
    for row in rows_of(data / "mgt" / "fast_detect_gpt_dev.jsonl.gz"):
        text = " ".join(row["text"].split())
        if row["dataset"] == "pubmed":  # "Question: ... Answer: ...": the question is the human's in both
            question, _, text = text.partition(" Answer: ")
            start = question
        else:
            start = " ".join(text.split()[:12])
        if text in seen or not text:
            continue
        seen.add(text)
        group = f"{row['dataset']}/{start}"
        name = f"{row['dataset']}/{row['model'] or 'human'}"
        label = "human" if row["label"] == "human" else "language_model"
        if label == "human":
            if group in written:  # one text, cut at another place for each model
                continue
            written.add(group)
        found.append(Text(text, label, name, group, bucket(group, 3) == 0))
    return found


# --- human texts, by slice ---------------------------------------------------------------------------


def is_test(name: str, identity: str) -> bool:
    """Books are held out by name, the rest by a hash of their id."""
    if name.startswith("eltec"):
        return False  # library_texts() holds out each language's last novel
    if name == "nltk_gutenberg":
        return any(book in identity for book in TEST_BOOKS)
    return bucket(identity, 3) == 0


def text_slice(name: str, identity: str) -> str:
    """What a file of data/text counts as."""
    if name == "nltk_gutenberg":
        if any(book in identity for book in BOOKS_1600S):
            return "en_1600s"
        return "en_poetry" if any(book in identity for book in POETRY) else "en_novels"
    return {
        "nltk_inaugural": "en_speeches",
        "nltk_state_union": "en_speeches",
        "eltec_deu_sample": "de_novels_1800s",
        "eltec_fra_sample": "fr_novels_1800s",
        "eltec_spa_sample": "es_novels_1800s",
        "gesetze_de_sample": "de_laws",
        "rust_rfcs_sample": "en_code_and_prose",
        "aozora_ja_pd_sample": "ja_books",
        "poetry_zh_sample": "zh_poetry",
    }[name]


def library_texts(data: Path, size: int = PIECE_CHARS) -> list[Text]:
    """Books, speeches, laws, RFCs and poems of data/text."""
    found = []
    for path in sorted((data / "text").glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        documents = list(rows_of(path))
        if name.startswith("eltec"):
            last = max(d["id"] for d in documents)
        for n, row in enumerate(documents):
            if name == "poetry_zh_sample" and n >= 600:
                break
            test = row["id"] == last if name.startswith("eltec") else is_test(name, row["id"])
            few = 12 if len(documents) > 30 else 120
            where = (text_slice(name, row["id"]), f"{name}/{row['id']}", test)
            found += [Text(piece, "human", *where) for piece in pieces(row["text"], size, few)]
    return found


NON_ENGLISH_TLDS = re.compile(
    r"\.(de|fr|it|es|nl|se|no|dk|fi|pl|cz|ru|jp|cn|tw|kr|br|pt|gr|hu|ro|at|be|tr|il|in|mx|ar|th|sk|si|ee|lt|lv|is|my|sg|hk)$"
)


def mail_body(raw: str) -> tuple[str, str]:
    """The sender's domain and the mail's own words: no headers, quotations, signature or attached parts."""
    head, _, body = raw.partition("\n\n")
    sender = re.search(r"^From:.*?([\w.+-]+)@([\w.-]+)", head, re.M | re.I)
    if "multipart" in head or "base64" in head.lower() or "<html" in body.lower():
        body = ""
    body = re.split(r"^(-- ?|_{5,}|-{5,}.*)$", body, maxsplit=1, flags=re.M)[0]
    quoted = re.compile(r"\s*[>|:%]|.*(wrote|writes|écrit|schrieb):?\s*$")
    lines = [line for line in body.split("\n") if not quoted.match(line)]
    return (sender.group(2).lower() if sender else ""), "\n".join(lines).strip()


def mail_texts(data: Path) -> list[Text]:
    """Ham mail of 2002 by two slices.

    `mail_non_native_proxy`: the sender's domain ends in a country whose main language is not English. A proxy:
    such a writer may be a native speaker, and writers in `mail` may not be one.
    """
    found = []
    for row in rows_of(data / "spam" / "spamassassin_dev.jsonl.gz"):
        if row["label"] != "ham":
            continue
        domain, body = mail_body(row["text"])
        if len(body.split()) < 40:
            continue
        proxy = bool(NON_ENGLISH_TLDS.search(domain))
        name = "mail_non_native_proxy" if proxy else "mail"
        found.append(Text(body, "human", name, f"mail/{row['id']}", proxy or bucket(row["id"], 3) == 0))
    return found


def web_texts(data: Path) -> list[Text]:
    """Gold main text of real pages (articles of the 2010s), LibreOffice's help in five languages: tests only."""
    found = []
    for name, slice_ in (("aeb_dev", "web_articles"), ("readability", "web_pages_mixed")):
        for row in rows_of(data / "html" / f"{name}.jsonl.gz"):
            found += [
                Text(p, "human", slice_, f"{name}/{row['id']}", True)
                for p in pieces(row["gold_text"], limit=4)
            ]
    for language in ("de", "en-us", "ja", "ru", "zh-cn"):
        for row in rows_of(data / "html" / f"libreoffice_help_{language}.jsonl.gz"):
            text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", row.get("html") or "", flags=re.S)
            text = re.sub(r"\s+", " ", text)
            name = "manual_en" if language == "en-us" else f"manual_translated_{language}"
            if len(text) > 400:
                found.append(Text(text[: 2 * PIECE_CHARS], "human", name, f"libreoffice/{row['id']}", True))
    return found


def declaration_texts(data: Path) -> list[Text]:
    """The Universal Declaration of Human Rights in some 380 languages (UTF-8 files of udhr2), split by language."""
    found = []
    with zipfile.ZipFile(data / "lang" / "udhr2.zip") as archive:
        for name in sorted(archive.namelist()):
            text = archive.read(name).decode("utf-8", "replace") if name.endswith(".txt") else ""
            if len(text) > 400:
                test = bucket(name, 2) == 0
                found += [
                    Text(p, "human", "declaration_380_languages", name, test)
                    for p in pieces(text, 1300, limit=4)
                ]
    return found


def sentence_texts(data: Path) -> list[Text]:
    """Ten parallel sentences of PUD at a time, by language: news and wiki, translated by people."""
    by_language: dict[str, list[str]] = {}
    for row in rows_of(data / "lang" / "pud_dev.jsonl.gz"):
        by_language.setdefault(row.get("lang") or row["language"], []).append(row["text"])
    return [
        Text(" ".join(texts[k : k + 10]), "human", f"sentences_{language}", f"pud/{language}/{k}", True)
        for language, texts in sorted(by_language.items())
        for k in range(0, len(texts), 10)
    ]


# --- OCR noise -----------------------------------------------------------------------------------------

TRAIN_CONFUSIONS = "m>rn rn>m d>cl h>b e>c c>e i>l l>1 o>0 t>l l>i u>n n>u s>5 h>li w>vv f>t b>h a>o"
TEST_CONFUSIONS = (
    "m>rn m>nn n>ri n>u u>ii u>n e>c e>o c>e o>c h>li h>b b>6 l>1 l>I i>1 i>j t>f f>t s>f s>8 g>9 g>q y>v v>y "
    "k>lc a>u r>i r>v d>cl cl>d p>j, w>iv I>l O>0 S>5 B>8 T>1"
)


def add_noise(text: str, rate: float, seed: int, confusions: str) -> str:
    """Misread about `rate` of the letters: mostly confusions, else lost or added blanks, symbols, case, letters."""
    table: dict[str, list[str]] = {}
    for pair in confusions.split():
        printed, read = pair.split(">")
        table.setdefault(printed, []).append(read)
    rng = np.random.default_rng(seed)
    out, i = [], 0
    while i < len(text):
        char = text[i]
        if char.isspace() or rng.random() >= rate:
            out.append(char)
            i += 1
            continue
        what = rng.random()
        two = text[i : i + 2]
        if what < 0.62 and (two in table or char in table or char.lower() in table):
            seen = two if two in table else char if char in table else char.lower()
            out.append(table[seen][rng.integers(len(table[seen]))])
            i += len(seen)
            continue
        if what < 0.76:
            out.append(char + " ")
        elif what < 0.84:
            out.append(char)
            while i + 1 < len(text) and text[i + 1] == " ":
                i += 1
        elif what < 0.90:
            out.append(char + "|~^.'°•¬"[rng.integers(8)])
        elif what < 0.94:
            out.append(char.swapcase())
        elif what < 0.97:
            out.append("il.,1"[rng.integers(5)])
        i += 1
    return "".join(out)


def noisy(texts: Sequence[Text], rate: float, seed: int, confusions: str) -> list[Text]:
    """The same texts as a scanner would give them."""
    return [
        t._replace(
            text=add_noise(t.text, rate, seed + bucket(t.group + t.text[:40], 1 << 30), confusions),
            label="ocr_noise",
        )
        for t in texts
    ]
