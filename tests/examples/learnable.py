"""Shards with something to learn: in each document every id follows from the one before."""

from pathlib import Path

from tests.shards.plain import write_plain

IDS = 97


def learnable_shards(folder: Path, shards: int = 3, rows: int = 40, seq_len: int = 32) -> Path:
    def document(start: int, size: int) -> list[int]:
        found = [start % IDS]
        while len(found) < size:
            found.append((found[-1] * 5 + 7) % IDS)
        return found

    made = []
    for shard in range(shards):
        made.append([])
        for row in range(rows):
            cut = 5 + (shard * 31 + row * 7) % (seq_len - 10)
            made[-1].append([document(row, cut), document(row * 3 + shard, seq_len - cut)])
    return write_plain(folder, made, seq_len=seq_len, vocab_size=IDS)
