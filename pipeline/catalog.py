"""Stages as text for a person, and the config's JSON schema for an editor."""

import inspect
import json
import textwrap
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.config import PipelineConfig, did_you_mean
from pipeline.errors import ConfigError
from pipeline.graph import kind_of
from pipeline.registry import discover, load_class
from pipeline.stage import Stage

WIDTH = 100
NULL = ", or null"


def first_sentence(cls: type[Stage[Any]]) -> str:
    """What the class's docstring begins with."""
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")


def list_stages() -> str:
    """All stages by kind, each with its first sentence."""
    kinds: dict[str, list[str]] = {}
    for name, ref in discover().items():
        try:
            cls = load_class(ref.target)
        except ImportError as error:
            kinds.setdefault("not installed", []).append(
                f"  {name:<22} needs '{error.name}': extra '{ref.extra}'"
            )
            continue
        kinds.setdefault(kind_of(cls), []).append(f"  {name:<22} {first_sentence(cls)}")
    order = ("source", "map", "expand", "global", "arrange", "sink", "not installed")
    blocks = [f"{kind}\n" + "\n".join(kinds[kind]) for kind in order if kind in kinds]
    return "\n\n".join(blocks) + "\n\ncorpusmill stages NAME explains one."


def explain_stage(name: str) -> str:
    """Everything about one stage.

    Raises:
        ConfigError: no stage is called so.
    """
    registry = discover()
    if name not in registry:
        raise ConfigError(f"no stage is called '{name}'; {did_you_mean(name, registry)}")
    ref = registry[name]
    try:
        cls = load_class(ref.target)
    except ImportError as error:
        if ref.extra is None:
            raise
        raise ConfigError(
            f"stage '{name}' needs the package '{error.name}'; install it with: pip install '.[{ref.extra}]'"
        ) from error
    blocks = [f"{name}  ({kind_of(cls)})", textwrap.indent(inspect.getdoc(cls) or "", "  "), _params(cls)]
    reasons = [str(r) for r in cls.reasons]
    if reasons:
        blocks.append(
            "rejects for\n"
            + textwrap.fill(", ".join(reasons), 100, initial_indent="  ", subsequent_indent="  ")
        )
    if cls.summarize:
        blocks.append(f"the report adds up or counts\n  {', '.join(cls.summarize)}")
    blocks += [_columns(cls), _sides(cls)]
    return "\n\n".join(block for block in blocks if block)


def _params(cls: type[BaseModel], indent: str = "  ") -> str:
    lines = [line for name, info in cls.model_fields.items() for line in _param(name, info, indent)]
    return "params\n" + "\n".join(lines or [f"{indent}none"])


def _param(name: str, info: FieldInfo, indent: str) -> list[str]:
    """A param's type, bounds, default and meaning; then the same of the model that it holds, if it holds one."""
    kind, null, _ = type_text(info.annotation).partition(NULL)
    bounds = " and".join(f" {_bound(mark)}" for mark in info.metadata)
    default = (
        "required" if info.is_required() else f"default {_json(info.get_default(call_default_factory=True))}"
    )
    lines = [f"{indent}{name}: {kind}{bounds}{null}, {default}"]
    lines += textwrap.wrap(
        info.description or "", WIDTH, initial_indent=f"{indent}    ", subsequent_indent=f"{indent}    "
    )
    for inner in _models_in(info.annotation):
        lines += [
            line
            for key, below in inner.model_fields.items()
            for line in _param(key, below, f"{indent}      ")
        ]
    return lines


def type_text(annotation: Any) -> str:
    """A type as a person writes it.

    >>> type_text(tuple[int, ...] | None), type_text(Literal["a", "b"]), type_text(list[str])
    ('list of int, or null', 'a | b', 'list of str')
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(value) for value in inner)
    if origin in (list, tuple):
        return f"list of {type_text(inner[0])}"
    if origin is dict:
        return f"mapping of {type_text(inner[0])} to {type_text(inner[1])}"
    if origin in (Union, UnionType):
        some = [type_text(part) for part in inner if part is not type(None)]
        return " or ".join(some) + (NULL if type(None) in inner else "")
    if origin is Annotated:
        return type_text(inner[0])
    return getattr(annotation, "__name__", str(annotation))


def _bound(mark: Any) -> str:
    """A limit that pydantic keeps, such as Ge(ge=1).

    >>> from annotated_types import Ge, MinLen
    >>> _bound(Ge(1)), _bound(MinLen(1))
    ('>= 1', 'with at least 1')
    """
    words = {
        "ge": ">=",
        "gt": ">",
        "le": "<=",
        "lt": "<",
        "min_length": "with at least",
        "max_length": "with at most",
    }
    return " ".join(
        f"{word} {value}" for name, word in words.items() if (value := getattr(mark, name, None)) is not None
    )


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _columns(cls: type[Stage[Any]]) -> str:
    """Columns with the default params; where a param has no default, with its name in angle brackets."""
    required = {name: info for name, info in cls.model_fields.items() if info.is_required()}
    try:
        stage = cls.model_construct(**{name: _stand_in(name, info) for name, info in required.items()})
        parts = [("reads", stage.reads()), ("writes", stage.writes())]
        dropped = list(stage.drops())
    except Exception:  # noqa: BLE001  (a stage may look into params that only stand in for real ones)
        return "columns depend on the params"
    how = f" ({', '.join(required)} as given)" if required else ""
    lines = [
        f"{verb} with the default params{how}\n" + "\n".join(f"  {f.name}: {_column(f.type)}" for f in schema)
        for verb, schema in parts
        if len(schema)
    ]
    return "\n\n".join([*lines, *([f"drops\n  {', '.join(dropped)}"] if dropped else [])])


def _column(kind: pa.DataType) -> str:
    """A column's type; of a dictionary only what is in it, which is what a reader of the column sees."""
    return f"dictionary of {kind.value_type}" if pa.types.is_dictionary(kind) else str(kind)


def _stand_in(name: str, info: FieldInfo) -> Any:
    kind = type_text(info.annotation)
    return [] if kind.startswith("list") else f"<{name}>"


def _sides(cls: type[Stage[Any]]) -> str:
    lines = [f"  {side}: {meaning}" for side, meaning in cls.sides.items()]
    return "side inputs\n" + "\n".join(lines) if lines else ""


def config_schema() -> dict[str, Any]:
    """JSON schema of a config file: each node's params follow from its stage."""
    schema = PipelineConfig.model_json_schema()
    definitions = schema["$defs"]
    cases = []
    for name, ref in discover().items():
        try:
            cls = load_class(ref.target)
        except ImportError:
            continue
        params = cls.model_json_schema()
        definitions |= {f"{name}.{key}": value for key, value in params.pop("$defs", {}).items()}
        definitions[f"params.{name}"] = _requalified(params, name)
        needed = {"required": ["params"]} if params.get("required") else {}
        cases.append(
            {
                "if": {"properties": {"stage": {"const": name}}, "required": ["stage"]},
                "then": {"properties": {"params": {"$ref": f"#/$defs/params.{name}"}}, **needed},
            }
        )
    node = definitions["NodeConfig"]
    node["properties"]["stage"]["enum"] = list(discover())
    node["allOf"] = cases
    return {
        **schema,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "corpusmill pipeline",
    }


def _requalified(value: Any, name: str) -> Any:
    """A schema whose references point to definitions that carry the stage's name.

    `discriminator` is OpenAPI's, not JSON Schema's, and would keep the old names.
    """
    if isinstance(value, dict):
        return {
            k: v.replace("#/$defs/", f"#/$defs/{name}.") if k == "$ref" else _requalified(v, name)
            for k, v in value.items()
            if k != "discriminator" or not isinstance(v, dict) or "propertyName" not in v
        }
    return [_requalified(v, name) for v in value] if isinstance(value, list) else value
