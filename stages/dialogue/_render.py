"""Chat templates rendered once, with the places that carry the loss and the strings that are not markup.

Three noncharacters of Unicode (U+FDD0 and on, which no text may interchange) travel through the template: a
pair around what a `{% generation %}` block writes, and one before each special token's string that stands in
somebody's words, so that `<|im_end|>` typed by a user is not the `<|im_end|>` that the template writes. They
are taken out of the rendering; what remains is the text, the spans and the positions.
"""

import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATES = Path(__file__).parent / "templates"
OPEN, CLOSE, BREAK = "\ufdd0", "\ufdd1", "\ufdd2"
_MARKS = re.compile(f"[{OPEN}{CLOSE}{BREAK}]")


class Rendering(NamedTuple):
    """A dialogue as its template writes it; all positions in code points of `text`."""

    text: str
    spans: list[tuple[int, int]]  # what the assistant says, in order, as the generation blocks enclose it
    quoted: frozenset[int]  # where a special token's string stands that the template did not write


class Generation(Extension):
    """`{% generation %} ... {% endgeneration %}`: what is inside is what a model learns to say."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        """A block whose output gets the marks."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Callable[[], str]) -> str:
        return f"{OPEN}{caller()}{CLOSE}"


def template_path(name_or_path: str) -> Path:
    """The file of one of our templates by its name, or the path as written."""
    ours = TEMPLATES / f"{name_or_path}.jinja"
    return ours if ours.is_file() else Path(name_or_path)


def template_names() -> list[str]:
    """The templates that come with us."""
    return sorted(path.stem for path in TEMPLATES.glob("*.jinja"))


def compile_template(source: str, date: str) -> jinja2.Template:
    """A chat template as model publishers write them: sandboxed jinja2 with the functions they expect.

    Args:
        source: the template.
        date: ISO date that `strftime_now` tells, so that the same input renders to the same text on any day.

    Raises:
        jinja2.TemplateSyntaxError: it is not a template.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    now = datetime.datetime.fromisoformat(date)
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = now.strftime
    return environment.from_string(source)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    if isinstance(value, jinja2.Undefined):
        # json would raise a TypeError, which is no fault of the dialogue's to be rejected for
        raise jinja2.UndefinedError("the template prints a field as JSON that the dialogue does not have")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def render(
    template: jinja2.Template, variables: Mapping[str, object], specials: re.Pattern[str] | None
) -> Rendering:
    """Render a dialogue.

    Args:
        template: from `compile_template`.
        variables: `messages`, `tools` and what else the template reads; strings in those two are data.
        specials: matches the strings of the tokenizer's special tokens, None if it has none.

    Raises:
        jinja2.TemplateError: the template refuses the dialogue.
        ValueError: the dialogue holds one of the noncharacters that mark places.
    """
    data = ("messages", "tools", "documents")
    quoted = {key: _quote(value, specials) if key in data else value for key, value in variables.items()}
    return _read_marks(template.render(**quoted))


def _quote(value: Any, specials: re.Pattern[str] | None) -> Any:
    """The same data with a mark before each special token's string, keys and roles included."""
    if isinstance(value, str):
        if _MARKS.search(value):
            raise ValueError("a message holds a noncharacter (U+FDD0 to U+FDD2); remove it before this stage")
        return value if specials is None else specials.sub(lambda m: BREAK + m[0], value)
    if isinstance(value, Mapping):
        return {_quote(key, specials): _quote(item, specials) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_quote(item, specials) for item in value]
    return value


def _read_marks(marked: str) -> Rendering:
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    quoted: set[int] = set()
    opened: list[int] = []
    read = written = 0
    for mark in _MARKS.finditer(marked):
        pieces.append(marked[read : mark.start()])
        written += mark.start() - read
        read = mark.end()
        if mark[0] == OPEN:
            opened.append(written)
        elif mark[0] == CLOSE:
            spans.append((opened.pop(), written))
        else:
            quoted.add(written)
    pieces.append(marked[read:])
    return Rendering("".join(pieces), sorted(span for span in spans if span[1] > span[0]), frozenset(quoted))
