"""Makes the files of data_samples/ from _content/: `python data_samples/assemble.py [--check]`.

Without a clock, an RNG or a network, so the same packages give the same bytes. Compressors of another version
may pack the same content into other bytes; `--check` therefore compares contents, and the checksums of
SHA256SUMS tell whether the committed bytes are whole.
"""

import argparse
import gzip
import hashlib
import io
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from _content import dialogues, planting
from _content.evals import jsonl, read_items
from _content.fill import fill
from _content.warc import gzip_member, write_warc
from _content.world import BOOKS, LIBRARY, LINKED, World

HERE = Path(__file__).resolve().parent
SUMS = "SHA256SUMS"


def build() -> dict[str, bytes]:
    """Every generated file by its path in data_samples/, SHA256SUMS included."""
    world = World()
    fill(world)
    files = {name: write_warc(name.split("/")[1], pages) for name, pages in world.pages.items()}
    files |= world.files
    files[LINKED] = zstandard.ZstdCompressor(level=19).compress(dialogues.dump(world.rows[LINKED]))
    files[LIBRARY] = gzip_member(dialogues.dump(world.rows[LIBRARY]))
    files[BOOKS] = parquet(world.rows[BOOKS])
    files |= {f"evals/{b}.jsonl": jsonl(read_items(), b) for b in ("quiz", "reading")}
    files |= chats(world)
    files["lists/bad_words.txt"] = listed("Invented and mild bad words; one a line.", planting.BAD_WORDS)
    files["lists/blocked_domains.txt"] = listed("Domains whose pages are dropped.", planting.BLOCKED)
    files["expected.json"] = (json.dumps(world.finished(), ensure_ascii=False, indent=1) + "\n").encode()
    files[SUMS] = sums(files)
    return dict(sorted(files.items()))


def chats(world: World) -> dict[str, bytes]:
    """The dialogue files; writes their faults into the world's expectations."""
    share, faults_a = dialogues.collection(world.library, "sharegpt", 60)
    chat, faults_b = dialogues.collection(world.library, "messages", 60)
    alpaca, faults_c = dialogues.alpaca(world.library, 80)
    named = {"sharegpt": faults_a, "messages": faults_b, "alpaca": faults_c}
    faults = [
        {"file": f"dialogues/{name}.jsonl", "id": f.id, "fault": f.fault}
        | (
            {"same_as": f.about["same_as"]}
            if "same_as" in f.about
            else {"values": f.about}
            if f.about
            else {}
        )
        for name, found in named.items()
        for f in found
    ]
    world.expect("dialogues", "faults", *faults)
    world.expected["dialogues"]["counts"] = {"sharegpt": 60, "messages": 60, "alpaca": 80}
    return {
        "dialogues/sharegpt.jsonl": dialogues.sharegpt(share),
        "dialogues/messages.jsonl": dialogues.messages(chat),
        "dialogues/alpaca.jsonl": alpaca,
    }


def parquet(rows: list[dict[str, object]]) -> bytes:
    """Rows as one Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, compression="zstd", row_group_size=4)
    return out.getvalue()


def listed(about: str, values: tuple[str, ...]) -> bytes:
    """A list file with a comment on top."""
    return ("\n".join([f"# {about}", *values]) + "\n").encode()


def sums(files: dict[str, bytes]) -> bytes:
    """Checksums as `sha256sum -c` reads them."""
    rows = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items())]
    return ("\n".join(rows) + "\n").encode()


def content(name: str, data: bytes) -> object:
    """What a file holds, whatever packed it."""
    if name.endswith(".gz"):
        return gzip.decompress(data)
    if name.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompress(data)
    if name.endswith(".parquet"):
        return pq.read_table(io.BytesIO(data)).to_pylist()
    return data


def problems(folder: Path, made: dict[str, bytes]) -> list[str]:
    """What differs between the files in `folder` and those that `build` made; empty if all is well."""
    found = []
    for name, data in made.items():
        path = folder / name
        if not path.exists():
            found.append(f"{name}: missing; run data_samples/assemble.py")
        elif name != SUMS and content(name, path.read_bytes()) != content(name, data):
            found.append(f"{name}: differs from what assemble.py makes; run data_samples/assemble.py")
    on_disk = {n: (folder / n).read_bytes() for n in made if n != SUMS and (folder / n).exists()}
    if (folder / SUMS).exists() and (folder / SUMS).read_bytes() != sums(on_disk):
        found.append(f"{SUMS}: does not match the files beside it; run data_samples/assemble.py")
    return found


def main() -> int:
    """Writes the files, or with --check compares them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the files with what would be made")
    if parser.parse_args().check:
        found = problems(HERE, build())
        print("\n".join(found) or "data_samples is what assemble.py makes")
        return 1 if found else 0
    files = build()
    for name, data in files.items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(data)
    print(f"{len(files)} files, {sum(map(len, files.values())):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
