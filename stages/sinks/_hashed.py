"""A file that knows the checksum of what was written to it, so that nobody has to read it again."""

import hashlib
from pathlib import Path
from typing import Any


class HashedFile:
    """A file opened for writing, with the sha256 of its bytes; to be written from its start to its end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Write bytes, or any contiguous buffer of them."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        written = 0
        while written < len(view):  # an unbuffered file may take less at a time
            written += self._file.write(view[written:])
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        """How many bytes were written."""
        return self.size

    def flush(self) -> None:
        """Nothing waits."""

    def writable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is not."""
        return False

    def seekable(self) -> bool:
        """It is not."""
        return False

    def close(self) -> None:
        """Close the file; the checksum stays."""
        self._file.close()
        self.closed = True

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def sha256(self) -> str:
        """Of all that was written."""
        return self._hash.hexdigest()
