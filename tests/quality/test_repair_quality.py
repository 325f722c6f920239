"""Is text repair as good as it was? Mojibake repaired to the gold, and clean text left as it is.

`gold` is ftfy's own collection of mojibake, most of it found in the wild, its known failures among it: the share of
texts that come out exactly as a person says they should, with all of ftfy's habits on (as the gold was written)
and with our defaults (against the gold's encoding alone, where it gives one). `clean` is what must not change:
the collection's look-alikes and its repaired texts. `made` takes the Declaration of Human Rights in every
language that NLTK has it in, decodes its UTF-8 with a wrong charset, paragraph by paragraph, and asks for the
paragraph back; `untouched` asks that the same paragraphs, undamaged, stay as they are. Shares are of texts that
hold anything but ASCII.

    python -m tests.quality.test_repair_quality            # prints shares beside floors
    python -m tests.quality.test_repair_quality --update   # raises floors; refuses to lower one
"""

import hashlib
import json
import os
import re
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ftfy  # noqa: F401  registers the codecs that decode undefined bytes as browsers do
import pyarrow as pa
import pytest

from stages.normalization.unicode import RepairText
from tests.support.data import real_data

FLOORS = Path(__file__).with_name("floors_repair.json")
DATA = {
    "in-the-wild": "enc/ftfy/in-the-wild.json",
    "known-failures": "enc/ftfy/known-failures.json",
    "language-names": "enc/ftfy/language-names.json",
    "negative": "enc/ftfy/negative.json",
    "synthetic": "enc/ftfy/synthetic.json",
    "udhr": "lang/udhr2.zip",
}
COLLECTION = [name for name in DATA if name != "udhr"]
AS_IT_IS = {"strip": False, "strip_line_ends": False, "max_blank_lines": None, "remove_invisible": ()}
HABITS = {
    "unescape_html": True,
    "uncurl_quotes": True,
    "fix_latin_ligatures": True,
    "fix_character_width": True,
}
WRONG = ("sloppy-windows-1252", "latin-1", "macroman", "sloppy-windows-1251", "sloppy-windows-1250")
DAMAGED = re.compile("[\x80-\x9f\ufffd]")  # three paragraphs of the archive are mojibake themselves
PARAGRAPHS = range(10, 30, 4)  # of each language: five, from the preamble and the first articles
SHARES = ("gold_habits", "gold_default", "clean", "untouched", *(f"made_{codec}" for codec in WRONG))


class Case(NamedTuple):
    broken: str
    wanted: str


def repair(texts: list[str], **params: object) -> list[str]:
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    return RepairText(**AS_IT_IS, **params).annotate(batch, None).columns["text"].to_pylist()


def collection(paths: dict[str, Path]) -> Iterator[tuple[str, dict[str, str]]]:
    for name in COLLECTION:
        for row in json.loads(paths[name].read_text(encoding="utf-8")):
            yield name, row


def encoding(row: dict[str, str]) -> str:
    """What a text should become if nothing but its encoding is repaired."""
    return row.get("fixed-encoding", row["fixed"])


def paragraphs(path: Path) -> list[str]:
    found = []
    with zipfile.ZipFile(path) as files:
        for name in sorted(files.namelist()):
            if name.endswith(".txt"):
                lines = [line.strip() for line in files.read(name).decode("utf-8", "replace").split("\n")]
                lines = [unicodedata.normalize("NFC", line) for line in lines if line]
                found += [lines[i] for i in PARAGRAPHS if i < len(lines) and not lines[i].isascii()]
    return [text for text in found if not DAMAGED.search(text)]


def cases(share: str, paths: dict[str, Path]) -> list[Case]:
    """Texts and what they should become."""
    if share == "gold_habits":
        return [Case(row["original"], row["fixed"]) for name, row in collection(paths) if name != "negative"]
    if share == "gold_default":
        return [Case(row["original"], encoding(row)) for name, row in collection(paths) if name != "negative"]
    if share == "clean":
        rows = list(collection(paths))
        alike = [
            row["original"] for name, row in rows if name == "negative" and row["original"] == encoding(row)
        ]
        return [
            Case(text, text) for text in alike + [row["fixed"] for name, row in rows if name != "negative"]
        ]
    if share == "untouched":
        return [Case(text, text) for text in paragraphs(paths["udhr"])]
    return list(damaged(paragraphs(paths["udhr"]), share.removeprefix("made_")))


def damaged(texts: list[str], codec: str) -> Iterator[Case]:
    for text in texts:
        try:
            yield Case(text.encode().decode(codec), text)
        except UnicodeDecodeError:
            continue


def share_right(share: str, paths: dict[str, Path]) -> tuple[float, list[str]]:
    """The share that comes out as wanted, and the first of those that do not."""
    found = cases(share, paths)
    texts = repair([case.broken for case in found], **(HABITS if share == "gold_habits" else {}))
    wrong = [
        f"{case.broken[:60]!a} gave {text[:60]!a}, not {case.wanted[:60]!a}"
        for case, text in zip(found, texts, strict=True)
        if text != case.wanted
    ]
    return round(1 - len(wrong) / len(found), 4), [f"{len(wrong)} of {len(found)}", *wrong[:40]]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def paths() -> dict[str, Path]:
    found = {name: real_data(relative) for name, relative in DATA.items()}
    known = json.loads(FLOORS.read_text())["data"]
    for name, path in found.items():
        assert digest(path) == known[name], (
            f"{path}: other data than the floors were measured on; run with --update"
        )
    return found


@pytest.mark.real_data
@pytest.mark.parametrize("share", SHARES)
def test_as_many_texts_come_out_right_as_before(share, paths):
    found, wrong = share_right(share, paths)
    assert found >= json.loads(FLOORS.read_text())["floors"][share], wrong


def test_damage_is_undone_by_hand():
    [case] = damaged(["schöne Grüße"], "sloppy-windows-1252")
    assert case.broken == "schÃ¶ne GrÃ¼ÃŸe"
    assert repair([case.broken, "plain"]) == [case.wanted, "plain"]


def main(update: bool) -> None:
    root = Path(os.environ.get("CORPUSMILL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    paths = {name: root / relative for name, relative in DATA.items()}
    old = json.loads(FLOORS.read_text())["floors"] if FLOORS.exists() else {}
    new = {}
    for share in SHARES:
        new[share], wrong = share_right(share, paths)
        print(
            share,
            new[share],
            "floor",
            old.get(share),
            *(wrong if "-v" in sys.argv else wrong[:1]),
            sep="\n  ",
        )
        if update and new[share] < old.get(share, 0.0):
            sys.exit(f"{share} is worse than its floor: lower a floor by hand, and say why")
    if update:
        digests = {name: digest(path) for name, path in paths.items()}
        FLOORS.write_text(json.dumps({"data": digests, "floors": new}, indent=2) + "\n")


if __name__ == "__main__":
    main("--update" in sys.argv)
