"""What datatrove's three stages of sentence deduplication cost: benchmarks/line_dedup.py runs it.

    python benchmarks/peers/datatrove_sentences.py PAGES.json WORK

Needs a Python that has datatrove and spaCy. Prints JSON: MB a CPU second of all three,
for lines compared one by one and for its default, three sentences.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import SentenceDedupFilter, SentenceDedupSignature, SentenceFindDedups
from datatrove.pipeline.dedup.sentence_dedup import SentDedupConfig


def main(pages: list[str], work: Path) -> None:
    """Run both settings."""
    megabytes = sum(len(page.encode()) for page in pages) / 1e6
    rates = {}
    for name, config in {
        "lines": SentDedupConfig(n_sentences=1, split_sentences=False, min_doc_words=0, min_num_sentences=0),
        "three sentences": SentDedupConfig(min_doc_words=0, min_num_sentences=0),
    }.items():
        folder = work / name.replace(" ", "_")
        sign = SentenceDedupSignature(str(folder / "signatures"), config=config)
        sign.tokenizer.sent_tokenize("Warm up. Twice.")  # its model loads once
        documents = [Document(text=page, id=str(i)) for i, page in enumerate(pages)]
        before = time.process_time()
        sign.run(iter(documents))
        SentenceFindDedups(str(folder / "signatures"), str(folder / "found"), config=config).run()
        left = list(SentenceDedupFilter(str(folder / "found"), config=config).run(iter(documents)))
        seconds = time.process_time() - before
        rates[name] = {"mb_per_cpu_s": round(megabytes / seconds, 3), "documents_left": len(left)}
    print(json.dumps({"documents": len(pages), **rates, "version": version("datatrove")}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
