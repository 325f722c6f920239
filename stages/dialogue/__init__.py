"""Dialogues: read from their many shapes, checked, and rendered to tokens with a loss mask."""
