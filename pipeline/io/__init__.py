"""Where work is kept: files on any fsspec filesystem, Arrow in and out, atomic publishing."""
