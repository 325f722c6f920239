"""CPU seconds that datatrove's tokenizer block takes over a JSON list of texts; benchmarks/tokenization.py calls it.

    /path/to/peer/python benchmarks/peers/datatrove_tokenize.py texts.json tokenizer.json

It encodes, adds the EOS and writes ids and an index, without its shuffle, which would read and write them again.
"""

import json
import os
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from datatrove.data import Document
from datatrove.pipeline.tokens import DocumentTokenizer


def main():
    texts = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        block = DocumentTokenizer(
            folder, sys.argv[2], eos_token="<|endoftext|>", shuffle_documents=False, save_final_metadata=False
        )
        assert block.tokenizer.get_vocab_size() > 0  # loads it
        documents = [Document(text=text, id=str(k)) for k, text in enumerate(texts)]
        start = time.process_time()
        block.run(documents)
        seconds = time.process_time() - start
        size = sum(path.stat().st_size for path in Path(folder).glob("*.ds"))
    versions = {name: metadata.version(name) for name in ("datatrove", "tokenizers")}
    print(json.dumps({"seconds": seconds, "tokens": size // block.token_size, "versions": versions}))


if __name__ == "__main__":
    main()
