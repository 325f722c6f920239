"""Compiled loops over the bytes of an Arrow text column, shared by every family of stages."""
