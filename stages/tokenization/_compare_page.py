"""A comparison of tokenizers as one HTML page with bars; nothing is fetched, no script runs."""

import html
from collections.abc import Callable, Sequence

from stages.tokenization._compare import COLUMNS, Score, cells_of

_COLOURS = ("#3b6ea5", "#c7722c", "#4d8f57", "#8a5aa3", "#a33b48", "#6b6b6b")
_BAR, _GAP, _LABEL, _WIDTH = 14, 10, 150, 520
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-size:14px}td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd}
td:nth-child(-n+2),th:nth-child(-n+2){text-align:left}figure{margin:1.5rem 0}"""


def draw_bars(scores: Sequence[Score], value: Callable[[Score], float], title: str) -> str:
    """An SVG picture: for each group a bar a tokenizer, with its number."""
    groups = list(dict.fromkeys(score.group for score in scores))
    names = list(dict.fromkeys(score.tokenizer for score in scores))
    most = max((value(score) for score in scores), default=0.0) or 1.0
    parts, y = [], 0
    for group in groups:
        mine = [score for score in scores if score.group == group]
        middle = y + len(mine) * _BAR / 2 + 4
        parts.append(f'<text x="{_LABEL - 8}" y="{middle:.1f}" text-anchor="end">{html.escape(group)}</text>')
        for score in mine:
            colour = _COLOURS[names.index(score.tokenizer) % len(_COLOURS)]
            width = _WIDTH * value(score) / most
            label = f"{score.tokenizer}: {value(score):.2f}"
            parts.append(
                f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{colour}">'
                f"<title>{html.escape(label)}</title></rect>"
                f'<text x="{_LABEL + width + 4:.1f}" y="{y + _BAR - 4}" font-size="11">{value(score):.2f}</text>'
            )
            y += _BAR
        y += _GAP
    keys = "".join(
        f'<span style="color:{_COLOURS[k % len(_COLOURS)]}">&#9632;</span> {html.escape(name)}&ensp;'
        for k, name in enumerate(names)
    )
    svg = (
        f'<svg viewBox="0 0 {_LABEL + _WIDTH + 60} {y}" role="img" aria-label="{html.escape(title)}" '
        f'font-size="13" font-family="system-ui,sans-serif">{"".join(parts)}</svg>'
    )
    return f"<figure><figcaption><b>{html.escape(title)}</b><br>{keys}</figcaption>{svg}</figure>"


def render_page(scores: Sequence[Score]) -> str:
    """The whole page: pictures, then the table."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells_of(score)) + "</tr>"
        for score in scores
    )
    pictures = draw_bars(scores, lambda s: s.bytes_per_token, "Bytes per token: more is shorter sequences")
    pictures += draw_bars(scores, lambda s: s.tokens_per_word, "Tokens per word: fewer is less cut up")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tokenizers compared</title>'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style><h1>Tokenizers compared</h1>{pictures}<table><tr>{head}</tr>{rows}</table></html>\n"
    )
