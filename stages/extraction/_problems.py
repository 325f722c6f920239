"""Params of extract_html that cannot work together, each said in one sentence."""

from collections.abc import Collection, Sequence

from stages.extraction._engines import Options
from stages.extraction._justext import languages

MAX_JUSTEXT_DEPTH = 200  # it walks the tree recursively, and a table counts once for its four levels


def find_problems(
    engine: str,
    engines: Sequence[str],
    options: Options,
    language: str,
    max_depth: int | None,
    given: Collection[str],
) -> list[str]:
    """What is wrong with the params of extract_html; `given` are those that were written down."""
    used = list(engines) if engine == "union" else [engine]
    found = _of_union(engine, engines, given)
    if options.favour == "fast" and any(name != "trafilatura" for name in used if name != "best"):
        found.append(
            f"favour: only trafilatura has 'fast'; with {engine} write precision, balanced or recall"
        )
    if options.favour != "precision" and "best" in used:
        found.append("favour: best decides by itself; leave favour out, or write engine: trafilatura")
    if options.markdown and (engine == "union" or engine not in ("trafilatura", "resiliparse")):
        found.append(f"format: {engine} has no markdown; write engine: trafilatura or resiliparse")
    if "justext" in used:
        found.extend(_of_justext(options, language, max_depth))
    elif "language" in given:
        found.append("language: only justext has stop words; write engine: justext, or leave it out")
    return found


def _of_union(engine: str, engines: Sequence[str], given: Collection[str]) -> list[str]:
    if engine != "union":
        return ["engines: only a union has several; write engine: union"] if "engines" in given else []
    if len(set(engines)) != len(engines) or len(engines) < 2:
        return [f"engines: a union needs two or more different ones, not {list(engines)}"]
    return []


def _of_justext(options: Options, language: str, max_depth: int | None) -> list[str]:
    found = []
    if language != "auto" and language not in languages():
        found.append(
            f"language: justext has no stop words for {language!r}; write one such as 'German', or auto"
        )
    if options.links or options.comments:
        found.append("include_links, include_comments: justext has neither; leave them out")
    if max_depth is None or max_depth > MAX_JUSTEXT_DEPTH:
        found.append(f"max_depth: justext is recursive; write {MAX_JUSTEXT_DEPTH} or less")
    return found
