"""The engines by name: each a pure function of a page's markup and the same options."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, cast

from stages.extraction._best import extract_best
from stages.extraction._justext import extract_justext
from stages.extraction._metadata import page_metadata
from stages.extraction._resiliparse import extract_resiliparse
from stages.extraction._stop_words import StopLists, chooser
from stages.extraction._trafilatura import extract_trafilatura
from stages.extraction._union import union_texts

Engine = Literal["best", "trafilatura", "resiliparse", "justext"]
Favour = Literal["precision", "balanced", "recall", "fast"]


class Options(NamedTuple):
    """What an engine is asked for."""

    favour: Favour = "precision"
    tables: bool = True
    links: bool = False
    comments: bool = False
    markdown: bool = False


class Found(NamedTuple):
    """Main text; empty if there is none. None where nothing was extracted."""

    text: str | None
    extractor: (
        str | None
    )  # who made it: "trafilatura"; "trafilatura+resiliparse" where a union took from both
    doubt: float | None = None  # 0..1, of `best` alone


def _trafilatura(markup: str, options: Options, stop_lists: StopLists | None) -> Found:  # noqa: ARG001
    return Found(extract_trafilatura(markup, *options), "trafilatura")


def _resiliparse(markup: str, options: Options, stop_lists: StopLists | None) -> Found:  # noqa: ARG001
    favour = cast("Literal['precision', 'balanced', 'recall']", options.favour)
    return Found(extract_resiliparse(markup, favour, *options[1:]), "resiliparse")


def _justext(markup: str, options: Options, stop_lists: StopLists | None) -> Found:
    favour = cast("Literal['precision', 'balanced', 'recall']", options.favour)
    assert stop_lists is not None  # the stage opens them for this engine
    hint = page_metadata(markup, dates=None).lang_hint
    return Found(extract_justext(markup, favour, chooser(stop_lists, hint), options.tables), "justext")


def _best(markup: str, options: Options, stop_lists: StopLists | None) -> Found:  # noqa: ARG001
    best = extract_best(markup, options.tables, options.links, options.comments)
    return Found(best.text, best.extractor, best.doubt)


ENGINES: Mapping[str, Callable[[str, Options, StopLists | None], Found]] = {
    "best": _best,
    "trafilatura": _trafilatura,
    "resiliparse": _resiliparse,
    "justext": _justext,
}


def extract_union(
    markup: str, engines: list[Engine], options: Options, stop_lists: StopLists | None
) -> Found:
    """Text of the first engine, and what only the others found; see union_texts()."""
    found = [ENGINES[name](markup, options, stop_lists) for name in engines]
    text, gave = union_texts([one.text or "" for one in found])
    return Found(text, "+".join(found[index].extractor or "" for index in gave) or found[0].extractor)
