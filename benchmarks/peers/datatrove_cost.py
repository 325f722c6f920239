"""CPU seconds that datatrove's filters take over a JSON list of documents; benchmarks/filters.py calls it.

    /path/to/peer/python benchmarks/peers/datatrove_cost.py documents.json

"default" has datatrove's own words and sentences (spaCy's); "split" has str.split for words and one sentence for
each full stop, the least that the filters can cost.
"""

import json
import sys
import time
from importlib import metadata
from pathlib import Path

import datatrove.pipeline.filters.c4_filters as c4
import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as gopher
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document
from datatrove.utils.text import split_into_parts

FILTERS = {
    "gopher_repetition": repetition.GopherRepetitionFilter(),
    "gopher_quality": gopher.GopherQualityFilter(),
    "c4": c4.C4QualityFilter(),
    "fineweb": fineweb.FineWebQualityFilter(),
}
CHAIN = [
    repetition.GopherRepetitionFilter(),
    gopher.GopherQualityFilter(),
    c4.C4QualityFilter(filter_no_terminal_punct=False),
    fineweb.FineWebQualityFilter(),
]


def seconds_of(filters, texts):
    """All filters on every document, whatever an earlier one said of it."""
    split_into_parts.cache_clear()
    rows = [Document(text=text, id=str(k)) for k, text in enumerate(texts)]
    start = time.process_time()
    for row in rows:
        for rule in filters:
            rule.filter(row)
    return time.process_time() - start


def measure(texts):
    for rule in CHAIN:
        rule.filter(Document(text="A warm start. It loads the tokenizer.", id="0"))
    found = {name: seconds_of([rule], texts) for name, rule in FILTERS.items()}
    return found | {"chain": seconds_of(CHAIN, texts)}


def main():
    texts = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    report = {"default": measure(texts)}
    for module in (fineweb, gopher, repetition):
        module.split_into_words = lambda text, language=None: text.split()  # noqa: ARG005
    c4.split_into_sentences = lambda text, language=None: text.split(".")  # noqa: ARG005
    report["split"] = measure(texts)
    report["versions"] = {name: metadata.version(name) for name in ("datatrove", "spacy")}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
