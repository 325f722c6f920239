"""`corpusmill train-machine-text`: weights for `mark_machine_text` from labelled texts of your own.

One JSON object a line: `text`; `label`, "human" or a kind of machine text; and, where texts belong together (one
book, one prompt, one site), a `group`: a group is never split between fitting and calibration. Further numbers on
a line, such as `perplexity`, become features if they are named; the stage then reads the column of that name.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

LEAST_TEXTS = 20  # of each class: below, held-out scores say nothing


def train_machine_text(
    labelled: Annotated[
        Path, typer.Argument(help="JSONL: text, label (human or a kind), group, further numbers")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="the weights file to write")],
    extra: Annotated[
        list[str] | None,
        typer.Option("--extra", help="a number on each line to use as a feature: perplexity"),
    ] = None,
    max_fpr: Annotated[
        float,
        typer.Option(
            help="share of held-out human texts of any group of `slice` that may be marked", min=0, max=0.5
        ),
    ] = 0.01,
    l2: Annotated[float, typer.Option(help="penalty on the weights", min=1e-6)] = 30.0,
    min_words: Annotated[int, typer.Option(help="shorter texts are not judged", min=1)] = 40,
) -> None:
    """Train `mark_machine_text` on labelled texts: one calibrated model for each kind of machine text in them."""
    from stages.signals._machine_model import to_json

    rows = read_labelled(labelled, extra or [])
    models = fit_kinds(rows, extra or [], max_fpr, l2, {"style_words": float(min_words)})
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(to_json(models), encoding="utf-8")
    for kind, model in models.items():
        typer.echo(f"{kind}: {model.card['summary']}")
    typer.echo(f"wrote {output}; use it as `model: {output}` of mark_machine_text")


def read_labelled(path: Path, extra: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of a labelled file, checked.

    Raises:
        DataError: the file cannot be read, or a line is not as it must be.
    """
    from pipeline.errors import DataError
    from stages.signals._machine_model import KINDS

    rows = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON ({error}); write one object a line") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise DataError(
                f"{path}:{number}: has no string `text`; write one object a line with text and label"
            )
        if row.get("label") not in ("human", *KINDS):
            raise DataError(
                f"{path}:{number}: label is {row.get('label')!r}; write 'human' or one of {', '.join(KINDS)}"
            )
        for name in extra:
            if isinstance(row.get(name), bool) or not isinstance(row.get(name), int | float | None):
                raise DataError(f"{path}:{number}: {name} is {row[name]!r}; write a number or null")
        rows.append(row)
    return rows


def fit_kinds(
    rows: Sequence[Mapping[str, Any]],
    extra: Sequence[str],
    max_fpr: float,
    l2: float,
    needs: Mapping[str, float],
) -> dict[str, Any]:
    """A model (LinearModel) for each kind that the rows have, against their human texts.

    Raises:
        DataError: too few texts of a class that the model would apply to.
    """
    import pyarrow as pa

    from pipeline.errors import DataError
    from stages.signals._machine_model import KINDS
    from stages.signals._machine_reference import load_tables
    from stages.signals.machine_text import machine_text_signals

    texts = pa.array([row["text"] for row in rows], pa.large_string())
    columns = machine_text_signals(texts, load_tables())
    for name in extra:
        columns[name] = pa.array([row.get(name) for row in rows], pa.float64())
    kinds = [kind for kind in KINDS if any(row["label"] == kind for row in rows)]
    if not kinds:
        raise DataError(f"no text is labelled as machine text; label some as one of {', '.join(KINDS)}")
    return {kind: _fit_kind(kind, rows, columns, extra, max_fpr, l2, needs) for kind in kinds}


def default_features(kind: str) -> list[str]:
    """The signals that a kind is judged by.

    Style for what a machine wrote; misreadings for OCR noise, for which no style is to blame. The document's
    length is never one, and neither are the phrases that mark a text by themselves.
    """
    from stages.signals.machine_text import OTHERS, RATIOS

    names = [*RATIOS, *OTHERS]
    if kind == "ocr_noise":
        chosen = [name for name in names if name.startswith("ocr_") and name != "ocr_judged_words"]
        return [*chosen, "style_upper_words", "style_digit_words"]
    own = {
        "language_model": ("lm_stock_phrases",),
        "machine_translation": tuple(n for n in names if n[:3] == "mt_"),
    }
    return [*(name for name in names if name.startswith("style_")), *own.get(kind, ())]


def _fit_kind(
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Any],
    extra: Sequence[str],
    max_fpr: float,
    l2: float,
    needs: Mapping[str, float],
) -> Any:
    import numpy as np

    from pipeline.errors import DataError
    from stages.signals._machine_fit import fit_model, rank_auc, set_threshold
    from stages.signals._machine_model import LinearModel, applies, feature_matrix

    nothing = np.zeros(0)
    least = LinearModel((), nothing, nothing, nothing, 0.0, (1.0, 0.0), 1.0, needs, {})
    wanted = np.array([row["label"] in ("human", kind) for row in rows]) & applies(least, columns)
    chosen = np.flatnonzero(wanted).tolist()
    y = np.array([float(rows[i]["label"] != "human") for i in chosen])
    groups = [str(rows[i].get("group", i)) for i in chosen]
    human, machine = int((y == 0).sum()), int(y.sum())
    if min(human, machine) < LEAST_TEXTS or len(set(groups)) < LEAST_TEXTS:
        raise DataError(
            f"{kind}: {machine} texts of it and {human} human ones, in {len(set(groups))} groups, have at least "
            f"{needs['style_words']:.0f} words; give at least {LEAST_TEXTS} of each"
        )
    features = [*default_features(kind), *extra]
    values = feature_matrix(columns, tuple(features))[chosen]
    model, held_out = fit_model(values, y, groups, features, l2, needs)
    slices = [str(rows[i].get("slice", "all")) for i in chosen]
    threshold, summary = set_threshold(y, held_out, slices, max_fpr)
    card = {
        "summary": summary,
        "texts": {"human": human, kind: machine},
        "held_out_auc": round(rank_auc(y, held_out), 4),
        "max_fpr_of_a_slice": max_fpr,
    }
    return model._replace(threshold=threshold, card=card)
