"""Peers' own code at work, each run in an environment of its own; nothing here needs corpusmill installed."""
