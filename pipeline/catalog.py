"""Stages as text for a person, and the config's JSON schema for an editor."""

import inspect
import textwrap
from typing import Any

from pipeline.config import PipelineConfig, did_you_mean
from pipeline.errors import ConfigError
from pipeline.graph import kind_of
from pipeline.registry import discover, load_class
from pipeline.stage import Stage


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
    order = ("source", "map", "expand", "global", "sink", "not installed")
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
    cls = load_class(registry[name].target)
    blocks = [f"{name}  ({kind_of(cls)})", textwrap.indent(inspect.getdoc(cls) or "", "  "), _params(cls)]
    reasons = [str(r) for r in cls.reasons]
    if reasons:
        blocks.append(
            "rejects for\n"
            + textwrap.fill(", ".join(reasons), 100, initial_indent="  ", subsequent_indent="  ")
        )
    blocks += [_columns(cls), _sides(cls)]
    return "\n\n".join(block for block in blocks if block)


def _params(cls: type[Stage[Any]]) -> str:
    lines = []
    for param, field in cls.model_fields.items():
        default = (
            "required"
            if field.is_required()
            else f"default {_yaml(field.get_default(call_default_factory=True))}"
        )
        kind = (
            str(field.annotation).replace("typing.", "")
            if not isinstance(field.annotation, type)
            else field.annotation.__name__
        )
        bounds = ", ".join(str(m) for m in field.metadata)
        lines.append(f"  {param}: {kind}{f' [{bounds}]' if bounds else ''}, {default}")
        lines += textwrap.wrap(
            field.description or "", 94, initial_indent="      ", subsequent_indent="      "
        )
    return "params\n" + "\n".join(lines) if lines else "params\n  none"


def _yaml(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)


def _columns(cls: type[Stage[Any]]) -> str:
    """Columns with the default params; some depend on them."""
    if any(field.is_required() for field in cls.model_fields.values()):
        return ""
    try:
        stage = cls()
        parts = [("reads", stage.reads()), ("writes", stage.writes())]
    except ValueError:
        return ""
    lines = [
        f"{verb} (with the defaults)\n" + "\n".join(f"  {f.name}: {f.type}" for f in s)
        for verb, s in parts
        if len(s)
    ]
    dropped = list(stage.drops())
    return "\n\n".join([*lines, *(["drops\n  " + ", ".join(dropped)] if dropped else [])])


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
        cases.append(
            {
                "if": {"properties": {"stage": {"const": name}}},
                "then": {"properties": {"params": {"$ref": f"#/$defs/params.{name}"}}},
            }
        )
    node = definitions["NodeConfig"]
    node["properties"]["stage"]["enum"] = list(discover())
    node["allOf"] = cases
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "corpusmill pipeline",
        **schema,
    }


def _requalified(value: Any, name: str) -> Any:
    """A schema whose references point to definitions that carry the stage's name."""
    if isinstance(value, dict):
        return {
            k: v.replace("#/$defs/", f"#/$defs/{name}.") if k == "$ref" else _requalified(v, name)
            for k, v in value.items()
        }
    return [_requalified(v, name) for v in value] if isinstance(value, list) else value
