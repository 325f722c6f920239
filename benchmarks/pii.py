"""Documents a CPU second of scrub_pii, beside presidio's recognizers run on whole texts.

    python -m benchmarks.pii            # JSON on stdout, under a minute

Three corpora made here from fixed words, about 2 KB a document: `clean` has no digits and no "@"; `digits` has
years, prices and versions in every sentence and nothing personal; `dirty` has ten e-mail addresses, IPs,
telephone and card numbers a document. Both sides look for the same four entities in one process, on one core;
the peer is given fewer documents, as it needs milliseconds for each.
"""

import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

import pyarrow as pa
import tldextract
from presidio_analyzer.predefined_recognizers.generic.credit_card_recognizer import CreditCardRecognizer
from presidio_analyzer.predefined_recognizers.generic.email_recognizer import EmailRecognizer
from presidio_analyzer.predefined_recognizers.generic.ip_recognizer import IpRecognizer
from presidio_analyzer.predefined_recognizers.generic.phone_recognizer import PhoneRecognizer

from pipeline.schema import TEXT
from stages.safety.pii import ScrubPii

WORDS = ["the", "river", "runs", "past", "old", "mills", "and", "quiet", "fields", "while", "people", "talk"]
DIGITS = [
    "in 1987",
    "for $1,250.99",
    "version 2.1.3.4",
    "on 2004-05-06",
    "at 12:34:56",
    "ISBN 978-0-306-40615-7",
]
PII = ["anna.smith@example.com", "81.2.69.160", "(905) 674-3793", "4111 1111 1111 1111", "+44 20 7946 0958"]
OURS, THEIRS = 20_000, 60


def document(seed: int, extras: list[str], every: int) -> str:
    """About 2 KB; every `every`-th word is followed by one of the extras."""
    words = []
    for i in range(380):
        words.append(WORDS[(seed * 31 + i * i * 7 + i) % len(WORDS)])
        if extras and i % every == every - 1:
            words.append(extras[(seed + i // every) % len(extras)])
    return " ".join(words)


CORPORA = {"clean": ([], 1), "digits": (DIGITS, 12), "dirty": (PII, 38)}


def rate(work: Callable[[], object], documents: int, size: int) -> dict[str, float]:
    start = time.process_time()
    work()
    spent = time.process_time() - start
    return {"documents_per_cpu_s": round(documents / spent, 1), "mb_per_cpu_s": round(size / spent / 1e6, 2)}


def main() -> None:
    # The peer must not look for the public suffix list on the network either.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    peers = [EmailRecognizer(), IpRecognizer(), PhoneRecognizer(), CreditCardRecognizer()]
    stage = ScrubPii()
    judges = stage.open({})
    results = {}
    for name, (extras, every) in CORPORA.items():
        texts = [document(seed, extras, every) for seed in range(OURS if name == "clean" else OURS // 10)]
        batch = pa.record_batch([pa.array(texts, pa.large_string())], schema=pa.schema([TEXT]))
        stage.annotate(batch.slice(0, 10), judges)
        sizes = [len(text.encode()) for text in texts]
        few = texts[:THEIRS]
        ours = rate(lambda b=batch: stage.annotate(b, judges), len(texts), sum(sizes))
        theirs = rate(
            lambda t=few: [p.analyze(x, p.supported_entities) for x in t for p in peers],
            THEIRS,
            sum(sizes[:THEIRS]),
        )
        ratio = ours["documents_per_cpu_s"] / theirs["documents_per_cpu_s"]
        results[name] = {"scrub_pii": ours, "presidio": theirs, "ratio": round(ratio, 1)}
    packages = ("presidio-analyzer", "phonenumbers", "google-re2", "pyarrow")
    versions = {package: version(package) for package in packages}
    machine = {"python": platform.python_version(), "cpu": platform.machine()}
    print(json.dumps({"results": results, "versions": versions, "machine": machine}, indent=2))


if __name__ == "__main__":
    main()
