"""What datatrove's quality filters cost: CPU seconds of its Gopher, C4 and FineWeb filters on documents.

    /path/to/peer/python benchmarks/peers/datatrove_chain.py < documents.jsonl

Reads one JSON string a line. Every filter sees every document, as each has its own verdict to find; C4 edits a copy.
Runs the chain twice: with datatrove's default words, and with str.split's put in their place. Prints JSON.
"""

import json
import sys
import time
from importlib import metadata

import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as gopher
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

FILTERS = (GopherRepetitionFilter, GopherQualityFilter, C4QualityFilter, FineWebQualityFilter)


def cpu_seconds(texts):
    seconds = {}
    for kind in FILTERS:
        rule = kind()
        rows = [Document(text=text, id=str(k)) for k, text in enumerate(texts)]
        rule.filter(Document(text="One sentence to load what is loaded once.", id="first"))
        start = time.process_time()
        for row in rows:
            rule.filter(row)
        seconds[kind.__name__] = time.process_time() - start
    return seconds | {"total": sum(seconds.values())}


def main():
    texts = [json.loads(line) for line in sys.stdin]
    found = {"documents": len(texts), "default_words": cpu_seconds(texts)}
    for module in (fineweb, gopher, repetition):
        module.split_into_words = lambda text, language=None: text.split()  # noqa: ARG005
    found["split_words"] = cpu_seconds(texts)
    found["versions"] = {name: metadata.version(name) for name in ("datatrove", "spacy", "nltk")}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
