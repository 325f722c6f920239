"""The user's YAML file as strict models, and every problem in it with file and line.

Nothing here looks at data or at a stage's meaning: `graph.build` turns a Config into nodes, `checks` judges
the graph. Values are validated in pydantic's strict JSON mode, so `"5"` is no integer and a list is a tuple.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import yaml12
from pipeline.errors import ConfigError

Scalar = str | int | float | bool | None


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RunConfig(_Model):
    """Settings of the whole run; none but `audit`, `max_group_rows` and `keep_rejected` can change the data."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the output folder")
    output: str | None = Field(None, description="folder or fsspec URL; null means runs/<name>")
    seed: int = Field(0, ge=0, description="salts every choice the engine makes by hash, such as the audit")
    batch_rows: int = Field(
        1024, ge=1, description="rows a stage sees at once at most; never changes results"
    )
    batch_bytes: int = Field(
        32 << 20, ge=1, description="bytes a stage sees at once, unless one row is larger"
    )
    max_error_ratio: float = Field(
        0.01, ge=0, le=1, description="rows of a node that may fail before the run stops"
    )
    error_allowance: int = Field(20, ge=0, description="failed rows of a node that are always forgiven")
    keep_rejected: bool = Field(
        True, description="store rejected rows whole, not only their fate and an excerpt"
    )
    audit: float | None = Field(
        None, gt=0, lt=1, description="share of documents that pass all rules, marked"
    )
    buckets: int = Field(256, ge=2, le=65536, description="finest division of an exchange's keys")
    bucket_bytes: int = Field(256 << 20, ge=1 << 16, description="an exchange's rows one task may hold")
    max_group_rows: int = Field(100_000, ge=2, description="rows of one key that a reduction sees together")
    store_compression: Literal["lz4", "zstd", "none"] = Field(
        "lz4", description="of rows kept between levels: less disk, or less CPU"
    )
    watchdog_s: float | None = Field(600.0, gt=0, description="seconds after which a stuck batch is cut off")
    samples: int = Field(5, ge=0, le=1000, description="sample documents kept for each reason")


class EdgeConfig(_Model):
    """An input with a condition: only rows whose columns have these values."""

    node: str
    port: Literal["kept", "rejected"] = "kept"
    where: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)


class NodeConfig(_Model):
    """One named use of a stage."""

    stage: str
    inputs: list[str | EdgeConfig] = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
    side: dict[str, str] = Field(default_factory=dict)
    annotate_only: bool = Field(False, description="mark what would be rejected, but keep it")
    checkpoint: bool | None = Field(None, description="store the output; null leaves it to the stage")
    max_source_loss: float | None = Field(
        None, ge=0, le=1, description="stop the run when the node rejects a larger share of any source"
    )


class PipelineConfig(_Model):
    """The whole file."""

    version: Literal[1]
    run: RunConfig = Field(default_factory=RunConfig)
    nodes: dict[str, NodeConfig] = Field(min_length=1)


class Problem(NamedTuple):
    """A fault in the user's file: the path of the value it is about, and what to say."""

    path: yaml12.Path
    message: str


class Config(NamedTuple):
    """A config that is well-formed; `data` is what was read, `lines` where."""

    model: PipelineConfig
    data: dict[str, Any]
    lines: Mapping[yaml12.Path, int]
    file: str

    def located(self, problems: Iterable[Problem]) -> list[str]:
        """Problems as messages with file and line, in the order of their lines."""
        return locate(problems, self.lines, self.file)


def locate(problems: Iterable[Problem], lines: Mapping[yaml12.Path, int], file: str) -> list[str]:
    """`file:line: message` for each problem, sorted by line; the nearest known parent gives the line."""

    def line(path: yaml12.Path) -> int:
        while path and path not in lines:
            path = path[:-1]
        return lines.get(path, 1)

    numbered = sorted({(line(p.path), p.message) for p in problems})
    return [f"{file}:{number}: {message}" if number else f"--set: {message}" for number, message in numbered]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or the list of them.

    >>> did_you_mean("word_coutn", ["word_count", "text"])
    "did you mean 'word_count'?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return "known: " + (", ".join(known) if known else "none")


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it.

    >>> dotted(("nodes", "web", "inputs", 0))
    'nodes.web.inputs[0]'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def validate(model: type[BaseModel], data: Any, prefix: yaml12.Path) -> tuple[Any, list[Problem]]:
    """The model made from plain data, or None and one problem for each fault in it."""
    try:
        return model.model_validate_json(json.dumps(data)), []
    except ValidationError as error:
        return None, [_problem(model, fault, prefix) for fault in error.errors(include_url=False)]
    except TypeError as error:  # json.dumps: a value that JSON cannot say
        return None, [Problem(prefix, f"{dotted(prefix)}: {error}; write plain YAML values")]


def _problem(model: type[BaseModel], fault: Any, prefix: yaml12.Path) -> Problem:
    union_tags = {"str", "EdgeConfig", "int", "float", "bool"}
    own = tuple(part for part in fault["loc"] if part not in union_tags and not str(part).startswith("list["))
    path = (*prefix, *own)
    if fault["type"] == "extra_forbidden":
        known = _fields_at(model, own[:-1])
        return Problem(path, f"{dotted(path)}: unknown name; {did_you_mean(str(own[-1]), known)}")
    if fault["type"] == "missing":
        return Problem(path, f"{dotted(path)}: is missing; write a value for it")
    got = "" if fault["type"] == "json_invalid" else f", got {_short(fault['input'])}"
    return Problem(path, f"{dotted(path)}: {fault['msg']}{got}")


def _fields_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    if not path:
        return list(model.model_fields)
    inner: dict[str, type[BaseModel]] = {"run": RunConfig}
    return list(inner[str(path[0])].model_fields) if path[0] in inner else list(NodeConfig.model_fields)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse(text: str, file: str = "<config>", overrides: Sequence[str] = ()) -> Config:
    """A Config from YAML text.

    Args:
        text: YAML 1.2.
        file: the name that messages use.
        overrides: `path.to.value=yaml`, as given with --set; parents are made as needed.

    Raises:
        ConfigError: with every problem of the file's form.
    """
    try:
        document = yaml12.load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{file}:{line}: this is not YAML: {getattr(error, 'problem', error)}") from error
    problems = [f"{file}:{line}: {message}" for line, message in document.problems]
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError([*problems, f"{file}:1: the file must hold a mapping with version, run and nodes"])
    for override in overrides:
        _override(data, document.lines, override)
    model, faults = validate(PipelineConfig, data, ())
    problems += locate(faults, document.lines, file)
    if problems:
        refusal = ConfigError(problems)
        refusal.partial = _nodes_alone(data, faults, document.lines, file)
        raise refusal
    return Config(model, data, document.lines, file)


def _nodes_alone(
    data: dict[str, Any], faults: Sequence[Problem], lines: Mapping[yaml12.Path, int], file: str
) -> Config | None:
    """The config with default settings, where only its settings are at fault: its nodes can still be checked."""
    if any(fault.path[:1] == ("nodes",) for fault in faults):
        return None
    rest = {"version": 1, "nodes": data.get("nodes")}
    model, more = validate(PipelineConfig, rest, ())
    return None if more else Config(model, rest, lines, file)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file; see `parse`.

    Raises:
        ConfigError: the file is missing or ill-formed.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    return parse(text, str(path), overrides)


def _override(data: dict[str, Any], lines: dict[yaml12.Path, int], override: str) -> None:
    name, equals, value = override.partition("=")
    keys = name.split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override}: write a path and a value, like run.name=test")
    here: Any = data
    for depth, key in enumerate(keys[:-1]):
        if isinstance(here, dict) and here.get(key) is None:
            here[key] = {}
        here = here.get(key) if isinstance(here, dict) else None
        if not isinstance(here, dict):
            raise ConfigError(f"--set {override}: '{'.'.join(keys[: depth + 1])}' holds no names to set")
    here[keys[-1]] = yaml12.load(value).data
    for path in [p for p in lines if p[: len(keys)] == tuple(keys)]:
        del lines[path]
    lines[tuple(keys)] = 0
