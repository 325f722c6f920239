"""Commands that belong to stages: entry points of the group `corpusmill.commands`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import DataError, PipelineError


def train_classifier(
    files: Annotated[list[Path], typer.Argument(help="labelled texts: JSONL, plain, .gz or .zst", show_default=False)],
    output: Annotated[Path, typer.Option(help="the model's file; its card is written beside it, .json added")],
    text: Annotated[str, typer.Option(help="field of the text")] = "text",
    label: Annotated[str, typer.Option(help="field of the label: a string, a whole number or true/false")] = "label",
    positive: Annotated[
        str | None, typer.Option(help="label that scores are of; default: of two, the last by name")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="times that each text is seen")] = 5,
    dim: Annotated[int, typer.Option(min=1, help="width of the hidden layer")] = 64,
    word_ngrams: Annotated[int, typer.Option(min=1, help="longest run of words that is a feature")] = 2,
    lr: Annotated[float, typer.Option(min=1e-6, help="learning rate")] = 0.5,
    min_count: Annotated[int, typer.Option(min=1, help="how often a word must occur")] = 2,
    bucket: Annotated[int, typer.Option(min=1, help="n-gram buckets; dim * 4 bytes each in the file")] = 200_000,
    minn: Annotated[int, typer.Option(min=0, help="shortest character n-gram")] = 0,
    maxn: Annotated[int, typer.Option(min=0, help="longest character n-gram; 0 for none")] = 0,
    seed: Annotated[int, typer.Option(help="another seed, another start")] = 0,
    valid_fraction: Annotated[float, typer.Option(min=0.0, max=0.5, help="share of each label held out")] = 0.1,
    max_chars: Annotated[int | None, typer.Option(min=1, help="characters read from the start of a text")] = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="lower-case texts; so must classify_text")] = False,
    quantize: Annotated[bool, typer.Option("--quantize", help="compress the model, about sixfold")] = False,
) -> None:  # fmt: skip
    """Train a fastText classifier for `classify_text` from labelled texts, and measure it on texts held out."""
    import hashlib

    from stages.signals.train_classifier import Settings, read_labelled, write_model
    from stages.signals.train_classifier import train_classifier as train

    settings = Settings(
        epochs=epochs, dim=dim, word_ngrams=word_ngrams, lr=lr, min_count=min_count, bucket=bucket, minn=minn,
        maxn=maxn, seed=seed, valid_fraction=valid_fraction, quantize=quantize, lowercase=lowercase,
        max_chars=max_chars,
    )  # fmt: skip
    try:
        pairs, data = [], []
        for path in files:
            found = list(read_labelled(path, text, label))
            pairs += found
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            data.append({"file": path.name, "sha256": digest, "rows": len(found)})
        trained = train(pairs, settings, positive)
        write_model(trained, output, {"data": data})
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise PipelineError(f"train-classifier: {error}") from error
    _show(trained.card, output)


def _show(card: Any, output: Path) -> None:
    """What was trained and how good it is, for a person."""
    for warning in card["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    metrics = card["metrics"]
    typer.echo(
        f"trained on {sum(card['trained_on'].values())} texts; left out: {card['duplicates_left_out']} duplicate"
    )
    typer.echo(f"  or empty rows, {card['conflicting_left_out']} texts that have two labels")
    typer.echo(f"held out {metrics['documents']}: accuracy {_number(metrics['accuracy'])}")
    for label, scores in metrics["labels"].items():
        values = "  ".join(f"{what} {_number(scores[what])}" for what in ("precision", "recall", "f1"))
        typer.echo(f"  {label}: {values}  ({scores['documents']} documents)")
    if "calibration" in metrics:
        typer.echo(f"score of {card['positive']!r}: ROC AUC {_number(metrics['roc_auc'])}")
        for part in metrics["calibration"]:
            if part["documents"]:
                rate = _number(part["positive_rate"])
                typer.echo(
                    f"  {part['from']:.1f} to {part['to']:.1f}: {part['documents']} documents, {rate} positive"
                )
    for label, words in metrics["telling_words"].items():
        typer.echo(f"words for {label!r}: {' '.join(words[:10])}")
    typer.echo(f"wrote {output} and {output}.json")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def composition(
    shards: Annotated[Path, typer.Argument(help="folder of token shards", show_default=False)],
    every: Annotated[int, typer.Option(min=1, help="rows that are counted together")] = 1000,
    seed: Annotated[int | None, typer.Option(help="the trainer's seed; none: the stored order")] = None,
    epoch: Annotated[int, typer.Option(min=0, help="whose order")] = 0,
    scores: Annotated[Path | None, typer.Option(help="Parquet with id and a score of documents")] = None,
    score: Annotated[str, typer.Option(help="column of the score")] = "score",
    as_json: Annotated[bool, typer.Option("--json", help="a JSON object a line, with the largest documents")] = False,
) -> None:  # fmt: skip
    """Sources, lengths and scores of every thousand rows, in the order in which a trainer takes them."""
    import json

    from shards.composition import composition as parts_of
    from shards.format import ShardError
    from shards.loader import TokenShards

    try:
        data = TokenShards(shards, seed=seed or 0, shuffle=seed is not None)
        known = None if scores is None else _read_scores(scores, score)
        for part in parts_of(data, every, epoch, known):
            if as_json:
                typer.echo(json.dumps(part._asdict(), ensure_ascii=False))
                continue
            shares = "  ".join(f"{name} {100 * n / part.tokens:.1f} %" for name, n in part.sources.items())
            scored = "" if part.mean_score is None else f"  score {part.mean_score:.3f}"
            typer.echo(f"rows {part.first} to {part.first + part.rows - 1}  {part.tokens} tokens  "
                       f"{part.mean_document:.0f} a document{scored}  {shares}")  # fmt: skip
    except ShardError as error:
        raise DataError(str(error)) from error


def _read_scores(path: Path, column: str) -> dict[str, float]:
    """Scores by document id.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["id", column])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
    if column not in table.column_names or "id" not in table.column_names:
        raise DataError(f"{path}: needs the columns id and {column}, but has {', '.join(table.column_names)}")
    return dict(zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True))
