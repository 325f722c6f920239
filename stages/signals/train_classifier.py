"""Train a fastText classifier from labelled texts, measure it on texts held out, and say how it was made.

The same texts and settings give the same bytes, in whatever order they come: duplicates are removed, rows are
ordered and split by a hash of their text, and fastText runs on one thread. Whoever holds out by position holds
out duplicates of what was trained on. Source: Joulin et al. 2016 (arXiv:1607.01759); recipe: Li et al. 2024
(DataComp-LM, arXiv:2406.11794), word bigrams of reference data against web pages.
"""

import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple, cast

import fasttext
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
import zstandard

from stages.kernels.fasttext import FastTextClassifier
from stages.kernels.fasttext_file import read_fasttext
from stages.signals._classifier_metrics import measure_model
from stages.signals.classify import PREFIX, prepare_text

FEW, UNBALANCED = 50, 20  # warn below so many documents of a label, and above this ratio of most to least


class Settings(NamedTuple):
    """How to train; names as fastText's where it has them."""

    epochs: int = 5
    dim: int = 64
    word_ngrams: int = 2
    lr: float = 0.5
    min_count: int = 2
    bucket: int = 200_000
    minn: int = 0
    maxn: int = 0
    seed: int = 0
    valid_fraction: float = 0.1
    quantize: bool = False
    lowercase: bool = False
    max_chars: int | None = None


class Row(NamedTuple):
    """One labelled text, prepared."""

    digest: bytes  # of the text: where it stands, and on which side of the split
    label: str  # with the prefix
    text: str


class Trained(NamedTuple):
    """A model's file and its card."""

    model: bytes
    card: Mapping[str, Any]


def read_labelled(path: Path, text: str, label: str) -> Iterator[tuple[str, str]]:
    """(label, text) of each line of a JSONL file, plain, .gz or .zst; a text that is null is empty.

    Raises:
        ValueError: a line that is no object, or lacks a field; names file and line.
    """
    with path.open("rb") as raw, _unpacked(raw, path.suffix) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise ValueError(f"{path}:{number}: not JSON: {error}") from error
                yield _fields(row, text, label, f"{path}:{number}")


def _unpacked(raw: BinaryIO, suffix: str) -> BinaryIO:
    if suffix in (".gz", ".gzip"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    if suffix in (".zst", ".zstd"):
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw))
    return raw


def _fields(row: object, text: str, label: str, where: str) -> tuple[str, str]:
    if not isinstance(row, dict):
        raise ValueError(f"{where}: a line must be an object, such as {{{text!r}: ..., {label!r}: ...}}")
    for option, name in (("--text", text), ("--label", label)):
        if name not in row:
            raise ValueError(f"{where}: no field {name!r}; it has {sorted(row)}; name another with {option}")
    value, content = row[label], row[text]
    if not isinstance(value, str | bool | int) or value == "":
        raise ValueError(f"{where}: the label is {value!r}; write a string, a whole number or true/false")
    if not isinstance(content, str | None):
        raise ValueError(f"{where}: {text!r} is {type(content).__name__}, not a string")
    return (str(value).lower() if isinstance(value, bool) else str(value)), content or ""


def prepared(pairs: Iterable[tuple[str, str]], settings: Settings) -> list[Row]:
    """Rows ready for fastText, in order of their digests: one line, no token that it takes for a label or an end."""
    listed = list(pairs)
    text = pa.array([content for _, content in listed], pa.large_string())
    if settings.max_chars is not None:
        text = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(text), 0, settings.max_chars)
    text = prepare_text(text, settings.lowercase)
    text = pc.replace_substring_regex(text, r"__label__|</s>", " ")
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"[\x00\s]+", " "))
    rows = [
        Row(xxhash.xxh3_128_digest(content.encode()), PREFIX + "-".join(label.split()), content)
        for (label, _), content in zip(listed, text.to_pylist(), strict=True)
    ]
    return sorted(rows)


def distinct(rows: Sequence[Row]) -> tuple[list[Row], int, int]:
    """(rows with each text once, duplicate and empty rows left out, texts left out because their labels differ)."""
    labels: dict[bytes, set[str]] = {}
    for row in rows:
        labels.setdefault(row.digest, set()).add(row.label)
    kept = {row.digest: row for row in reversed(rows) if row.text and len(labels[row.digest]) == 1}
    conflicts = sum(len(found) > 1 for found in labels.values())
    of_conflicts = sum(len(labels[row.digest]) > 1 for row in rows)
    return sorted(kept.values()), len(rows) - len(kept) - of_conflicts, conflicts


def split_rows(rows: Sequence[Row], fraction: float) -> tuple[list[Row], list[Row]]:
    """(train, held out): of each label the share `fraction` with the lowest digests, at least one, is held out."""
    taken: Counter[str] = Counter()
    counts = Counter(row.label for row in rows)
    wanted = {label: max(1, round(count * fraction)) if fraction else 0 for label, count in counts.items()}
    train: list[Row] = []
    held_out: list[Row] = []
    for row in rows:
        taken[row.label] += 1
        (held_out if taken[row.label] <= wanted[row.label] else train).append(row)
    return train, held_out


def warnings_of(counts: Mapping[str, int]) -> list[str]:
    """What to think of before trusting a model trained on so many documents of each label."""
    found = [
        f"label {label!r} has {count} documents to train on; a few hundred are the least that is useful"
        for label, count in sorted(counts.items())
        if count < FEW
    ]
    most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    if counts[most] > UNBALANCED * counts[least]:
        found.append(
            f"{counts[most]} documents of {most!r} against {counts[least]} of {least!r}: scores will lean to "
            f"{most!r}; take fewer of it"
        )
    return found


def fit(rows: Sequence[Row], settings: Settings) -> bytes:
    """The file of a model trained on the rows, in their order, on one thread."""
    with TemporaryDirectory(prefix="corpusmill-") as folder:
        source, target = Path(folder) / "train.txt", Path(folder) / "model.bin"
        with source.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{row.label} {row.text}\n" for row in rows)
        try:
            model = fasttext.train_supervised(
                input=str(source), epoch=settings.epochs, dim=settings.dim, wordNgrams=settings.word_ngrams,
                lr=settings.lr, minCount=settings.min_count, bucket=settings.bucket, minn=settings.minn,
                maxn=settings.maxn, seed=settings.seed, thread=1, verbose=0, loss="softmax",
            )  # fmt: skip
            if settings.quantize:
                model.quantize(input=str(source), qnorm=True, thread=1, verbose=0)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"fastText could not train: {error}") from error
        model.save_model(str(target))
        return target.read_bytes()


def train_classifier(
    pairs: Iterable[tuple[str, str]], settings: Settings, positive: str | None = None
) -> Trained:
    """Train on labelled texts and measure on those held out.

    Args:
        pairs: (label, text).
        settings: how to train.
        positive: the label that a score is of; None takes the last of two in order of name, and none of more.

    Raises:
        ValueError: no texts, a single label, an unknown positive label, or nothing that fastText can train on.
    """
    rows, duplicates, conflicts = distinct(prepared(pairs, settings))
    labels = sorted({row.label.removeprefix(PREFIX) for row in rows})
    if len(labels) < 2:
        raise ValueError(
            f"{len(rows)} different texts with {f'the one label {labels[0]!r}' if labels else 'no label'}; "
            "a classifier needs texts of two labels at least"
        )
    if positive is None and len(labels) == 2:
        positive = labels[1]
    if positive is not None and positive not in labels:
        raise ValueError(f"positive: no text has the label {positive!r}; the labels are {labels}")
    train, held_out = split_rows(rows, settings.valid_fraction)
    counts = {label: sum(row.label == PREFIX + label for row in train) for label in labels}
    if not all(counts.values()):
        raise ValueError(f"of each label some texts must remain to train on, but there are {counts}")
    data = fit(train, settings)
    with TemporaryDirectory(prefix="corpusmill-") as folder:
        path = Path(folder) / "model.bin"
        path.write_bytes(data)
        file = read_fasttext(path)
    if file.words < 2:  # the line's end is always one
        raise ValueError(f"no word occurs {settings.min_count} times in {len(train)} texts; lower min_count")
    model = FastTextClassifier(file)
    number = None if positive is None else model.labels.index(PREFIX + positive)
    card = {
        "about": "fastText classifier trained by corpusmill",
        "model_sha256": hashlib.sha256(data).hexdigest(),
        "positive": positive,
        "lowercase": settings.lowercase,
        "max_chars": settings.max_chars,
        "trained_on": counts,
        "held_out": {label: sum(row.label == PREFIX + label for row in held_out) for label in labels},
        "duplicates_left_out": duplicates,
        "conflicting_left_out": conflicts,
        "warnings": warnings_of(counts),
        "settings": settings._asdict(),
        "metrics": measure_model(
            model, file, [r.text for r in held_out], [r.label for r in held_out], number
        ),
        "versions": {name: metadata.version(name) for name in ("fasttext-community", "pyarrow")},
    }
    return Trained(data, card)


def write_model(trained: Trained, path: Path, extra: Mapping[str, Any] | None = None) -> None:
    """The model's file, and its card beside it as `<name>.json`; both whole or not there."""
    card = orjson.dumps(
        {**trained.card, **(extra or {})},
        option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, data in ((path.with_name(path.name + ".json"), card), (path, trained.model)):
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.write_bytes(data)
        temporary.replace(target)
