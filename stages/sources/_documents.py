"""Reading a small file whole, within a budget."""

from contextlib import closing

from pipeline.stage import Damage
from stages.sources._files import open_file
from stages.sources._streams import Fault, codec_of_name, read_pieces

KEY = "1"  # a file is one document; its name is the id


def read_whole(url: str, file: str, limit: int) -> bytes | Damage:
    """A file's bytes, decompressed by the ending of its name."""
    parts: list[bytes] = []
    size = 0
    with closing(open_file(url)) as raw:
        for piece in read_pieces(raw, codec_of_name(url)):
            if isinstance(piece, Fault):
                return Damage(file, KEY, piece.offset, piece.reason, piece.detail)
            parts.append(piece.data)
            size += len(piece.data)
            if size > limit:
                return Damage(file, KEY, 0, "record_too_large", f"the file has more than {limit} bytes")
    return b"".join(parts)
