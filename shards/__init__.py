"""The contract with the training package: shard format, verification and loader. numpy and pyarrow only.

format.py     what a folder of shards holds: the row, the manifest, names of files
tokenizer.py  facts about a tokenizer's file: its hash, full size and special ids
verify.py     is a folder what its manifest says?
loader.py     rows in a seeded order that is the same for any number of ranks
order.py      that order
"""
