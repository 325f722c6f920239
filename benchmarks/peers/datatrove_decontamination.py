"""What datatrove's n-gram decontamination costs and finds: run by benchmarks/decontamination.py.

    python benchmarks/peers/datatrove_decontamination.py FOLDER

FOLDER has items.jsonl (task, query, labels), texts.jsonl and planted.jsonl (a string a line). It gets an index for each
way; a later call finds it there. Prints JSON: megabytes (UTF-8) of texts a CPU second, index building apart; which
planted texts are found, the first time; how many of the other texts are; versions.

- `datatrove`: NGramsDecontFilter as shipped: 12-grams of the answer and across question and answer, English (spaCy)
  words; `datatrove split`: with str.split in place of its words.
- `datatrove queries`: as shipped, with find_query_ngrams, which takes the question's own 12-grams as well.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.decont import NGramsDecontConfig, NGramsDecontFilter, NGramsDecontIndexer
from loguru import logger

SPLIT_TIMES = 4  # more texts for the faster words are not needed; the same ones are read so often
WAYS = {"datatrove": (False, False), "datatrove split": (False, True), "datatrove queries": (True, False)}


class Split:
    """Words between white space."""

    def word_tokenize(self, text):
        """One call is all that it needs."""
        return text.split()


class Indexer(NGramsDecontIndexer):
    """Its own hashes, without lighteval, which only its tasks need."""

    def __new__(cls, *args, **kwargs):  # noqa: ARG004
        """Skip the look for lighteval."""
        return object.__new__(cls)


def read_lines(path):
    """One JSON value a line."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def build(folder, config, split, items):
    """An index file for each task, as its run() writes them."""
    indexer = Indexer(output_folder=str(folder), config=config)
    if split:
        indexer.tokenizer = Split()
    tasks = {}
    for item in items:
        own = tasks.setdefault(item["task"].replace("/", ":"), set())
        for label in item["labels"]:
            own.update(indexer.compute_hashes(label, item["query"]))
    folder.mkdir()
    for task, hashes in tasks.items():
        own = config.hash_config.np_dtype
        (folder / f"{task}.index.hashes").write_bytes(b"".join(own(h).tobytes() for h in hashes))
    return sum(len(hashes) for hashes in tasks.values())


def flagged(rule, texts):
    """True where a text is contaminated."""
    return [rule.filter(Document(text=text, id=str(k))) is not True for k, text in enumerate(texts)]


def measure(folder, name, texts):
    """What one way costs and finds."""
    queries, split = WAYS[name]
    config = NGramsDecontConfig(find_query_ngrams=queries)
    index, told = folder / f"index of {name}", {}
    first = not index.exists()
    if first:
        start = time.process_time()
        told["hashes"] = build(index, config, split, read_lines(folder / "items.jsonl"))
        told["build_cpu_s"] = round(time.process_time() - start, 1)
    rule = NGramsDecontFilter(index_folder=str(index), config=config)
    if split:
        rule.tokenizer = Split()
    flagged(rule, texts[:2])
    rounds = SPLIT_TIMES if split else 1
    start = time.process_time()
    for _ in range(rounds):
        found = flagged(rule, texts)
    seconds = time.process_time() - start
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    told |= {"mb_per_cpu_s": rounds * megabytes / seconds, "flagged": sum(found)}
    if first:
        told["planted"] = flagged(rule, read_lines(folder / "planted.jsonl"))
    return told


def main(folder):
    """Each way in turn."""
    logger.remove()
    texts = read_lines(folder / "texts.jsonl")
    ways = {name: measure(folder, name, texts) for name in WAYS}
    print(json.dumps({"ways": ways, "versions": {name: version(name) for name in ("datatrove", "spacy")}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
