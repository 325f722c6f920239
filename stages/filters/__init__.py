"""Rules on columns that are there: each rejects a document with its reason and the value it measured."""
