"""Benchmark items in the corpus: an index of their n-grams, and what to do where a document has them."""
