"""The contract with the training package: shard format, verification and loader. numpy and pyarrow only.

format.py     what a folder of shards holds: the row, the manifest, names of files
index.py      which shards it has: a list in the manifest or, for many, a mapped file
tokenizer.py  facts about a tokenizer's file: its hash, full size and special ids
verify.py     is a folder what its manifest says?
loader.py     rows in a seeded order that is the same for any number of ranks and workers
mixture.py    several folders as one stream, by weight
collate.py    bounds, masks and shifted targets of a batch
bert.py       pairs and masked tokens
pytorch.py    worker processes with an exact state, map-style data sets; needs torch

Behind them: stream.py (steps, workers, state), order.py (the permutation), schedule.py (which component when),
mapped.py (shards in memory), gather.py (rows as arrays), cache.py (object storage).
"""
