"""The command `corpusmill tokenizers`."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import DataError, PipelineError

tokenizers = typer.Typer(no_args_is_help=True, help="Compare tokenizers on your own texts.")


@tokenizers.callback()
def _group() -> None:
    """So that `compare` stays a command of its own while it is the only one."""


@tokenizers.command()
def compare(
    files: Annotated[
        list[Path], typer.Argument(help="texts: Parquet, Arrow, JSON lines (.gz too)", show_default=False)
    ],
    tokenizer: Annotated[
        list[str],
        typer.Option(help="file, or name in `corpusmill models`; NAME=FILE names it; repeat", show_default=False),
    ],
    text: Annotated[str, typer.Option(help="column of the text")] = "text",
    by: Annotated[str | None, typer.Option(help="column whose values are told apart: lang, source")] = None,
    documents: Annotated[int, typer.Option(min=1, help="documents of each group, the first ones")] = 1000,
    html: Annotated[Path | None, typer.Option(help="write a page with a plot")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of the table")] = False,
) -> None:  # fmt: skip
    """Bytes per token, tokens per word, unknown tokens, broken round trips and speed, by group."""
    from pipeline.models import model_path
    from stages.tokenization._compare import compare as compare_all
    from stages.tokenization._compare import open_subject, table_of
    from stages.tokenization._compare_page import render_page

    groups = read_groups(files, text, by, documents)
    try:
        subjects = [open_subject(name, model_path(file)) for name, file in map(_named, tokenizer)]
        scores = compare_all(subjects, groups)
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise PipelineError(f"tokenizers compare: {error}") from error
    if as_json:
        typer.echo(json.dumps([score._asdict() for score in scores], indent=1, ensure_ascii=False))
    else:
        typer.echo(table_of(scores))
    if html is not None:
        html.write_text(render_page(scores), "utf-8")
        typer.echo(f"wrote {html}", err=True)


def _named(given: str) -> tuple[str, str]:
    """Name and file; a tokenizer.json is called after its folder.

    >>> _named("ours=out/tokenizer.json"), _named("out/tokenizer.json"), _named("cl100k.tiktoken")
    (('ours', 'out/tokenizer.json'), ('out', 'out/tokenizer.json'), ('cl100k', 'cl100k.tiktoken'))
    """
    name, equals, file = given.partition("=")
    if equals:
        return name, file
    path = Path(given)
    return (path.parent.name if path.stem == "tokenizer" and path.parent.name else path.stem), given


def read_groups(files: list[Path], text: str, by: str | None, documents: int) -> dict[str, list[str]]:
    """The first texts of each group, groups by name; null and empty texts are left out.

    Raises:
        DataError: a file cannot be read, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    from stages.tokenization._compare import ALL

    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        kind = next((k for end, k in _FORMATS.items() if file.name.removesuffix(".gz").endswith(end)), None)
        if kind is None:
            raise DataError(f"{file}: unknown kind of file; give one of {', '.join(_FORMATS)}")
        columns = [text] if by is None else [text, by]
        try:
            data = ds.dataset(str(file), format=kind)
            missing = [name for name in columns if name not in data.schema.names]
            if missing:
                raise DataError(f"{file}: has no column '{missing[0]}', but {', '.join(data.schema.names)}")
            for batch in data.to_batches(columns=columns):
                names = [ALL] * batch.num_rows if by is None else batch[by].cast(pa.string()).to_pylist()
                for name, value in zip(names, batch[text].to_pylist(), strict=True):
                    if value and len(groups[str(name)]) < documents:
                        groups[str(name)].append(value)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{file}: cannot be read ({str(error).splitlines()[0]})") from error
    if not groups:
        raise DataError(f"{', '.join(map(str, files))}: no text in column '{text}'; name another with --text")
    return dict(sorted(groups.items()))


_FORMATS = {".parquet": "parquet", ".arrow": "ipc", ".jsonl": "json", ".json": "json"}
