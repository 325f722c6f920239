"""HTML around an article: navigation, advertising, banners, and the markup people really write.

Each layout is a function (article, host, draw) -> HTML; `{META}` marks the place of a charset declaration.
"""

import html
from collections.abc import Callable

from .articles import Article
from .grammar import Draw

BOILERPLATE = (
    "Accept all cookies",
    "Subscribe to our newsletter",
    "Skip to main content",
    "All rights reserved by the webmaster",
    "ADVERTISEMENT: Buy two garden gnomes",
    "Share on Fediverse",
)
MENU = ("Home", "Latest", "Archive", "About us", "Contact", "Search")
RELATED = ("Ten sheds we liked", "Readers' letters", "From the archive", "Our calendar", "The annual quiz")
META = "{META}"
Layout = Callable[[Article, str, Draw], str]


def esc(text: str) -> str:
    """Text as HTML, quotes left alone."""
    return html.escape(text, quote=False)


def menu(host: str) -> str:
    """A navigation list."""
    items = "".join(f'<li><a href="//{host}/{m.split()[0].lower()}">{m}</a></li>' for m in MENU)
    return f'<ul class="menu">{items}</ul>'


def related(host: str, draw: Draw) -> str:
    """A list of links to other pages."""
    items = "".join(
        f'<li><a href="//{host}/r/{draw.below(900)}">{esc(r)}</a></li>' for r in draw.sample(RELATED, 3)
    )
    return f'<ul class="related-links">{items}</ul>'


def modern(article: Article, host: str, draw: Draw) -> str:
    """HTML5 with landmarks."""
    body = "\n".join(f"<p>{esc(line)}</p>" for line in article.lines)
    return f"""<!DOCTYPE html>
<html lang="{article.lang}"><head>{META}<title>{esc(article.title)} | {host}</title>
<style>body {{ font: 16px serif }} .ad {{ float: right }}</style></head>
<body><a class="skip" href="#main">Skip to main content</a>
<div id="cookie-banner" class="cookie-consent"><button>Accept all cookies</button></div>
<header><nav>{menu(host)}</nav></header>
<main id="main"><article><h1>{esc(article.title)}</h1>
{body}
</article></main>
<aside class="ad advertisement">ADVERTISEMENT: Buy two garden gnomes</aside>
<aside class="sidebar related"><h3>Related</h3>{related(host, draw)}</aside>
<section class="newsletter-signup"><form><label>Subscribe to our newsletter</label><input></form></section>
<div class="share social-share"><a href="#">Share on Fediverse</a></div>
<footer><p>All rights reserved by the webmaster</p>{menu(host)}</footer>
<script>window.track = function (x) {{ return "<p>never text</p>"; }};</script></body></html>"""


def soup(article: Article, host: str, draw: Draw) -> str:
    """Nested divs with broken markup: unclosed paragraphs, stray ends, bare ampersands, no quotes."""
    breaks = ("\n<p>", "</p>\n<p class=entry-text>", "</b></p></p>\n<p>", "\n<p align=left>")
    body = "".join(draw.choice(breaks) + esc(line) for line in article.lines)
    return f"""<html><head>{META}<title>{esc(article.title)}</title><meta name=generator content=handmade>
<body bgcolor=#ffffff><div id=wrapper><div id=header class=header>{menu(host)}</div>
<div class="cookie-notice banner"><a href=#>Accept all cookies</a></div>
<div id=content class="post-content"><div class=post><h2 class=post-title>{esc(article.title)}</h2>
<div class=entry-content>{body}
</div></div></div></div>
<div id=sidebar class=sidebar><div class=ad>ADVERTISEMENT: Buy two garden gnomes</div>{related(host, draw)}
<form class=newsletter>Subscribe to our newsletter <input name=mail></form></div>
<div id=footer class=footer>All rights reserved by the webmaster &copy 2026 Q&A
<a href=#>Share on Fediverse</a></div>"""


def reference(article: Article, host: str, draw: Draw) -> str:
    """A wiki-like page: headings, a table of facts, a list and a code block among the text."""
    lines = [f"<p>{esc(line)}</p>" for line in article.lines]
    rows = "".join(
        f"<tr><td>{place}</td><td>{draw.between(3, 90)}</td><td>{draw.between(1, 12)}</td></tr>"
        for place in ("North field", "Old quay", "Mill lane", "Upper weir")
    )
    table = f"<table class=facts><tr><th>Site</th><th>Count</th><th>Month</th></tr>{rows}</table>"
    code = "<pre><code>total = 0\nfor row in rows:\n    total += row.count\nprint(total)</code></pre>"
    lines.insert(1, "<h2>Figures</h2>" + table)
    if article.topic == "programming":
        lines.insert(3, code)
    return f"""<!DOCTYPE html>
<html lang="{article.lang}"><head>{META}<title>{esc(article.title)}</title></head>
<body class="mediawiki"><div id="nav" role="navigation" class="nav">{menu(host)}</div>
<div class="cookie-consent"><button>Accept all cookies</button></div>
<div id="mw-content" role="main"><article><h1>{esc(article.title)}</h1>{"".join(lines)}</article></div>
<div role="complementary" class="related-posts sidebar">{related(host, draw)}</div>
<footer id="footer" class="footer">All rights reserved by the webmaster. Share on Fediverse</footer>
</body></html>"""


def nineties(article: Article, host: str, draw: Draw) -> str:
    """Tables for layout, nested and not all closed, upper-case tags, <BR><BR> for paragraphs."""
    body = "".join(f"<P><FONT FACE=Arial>{esc(line)}</FONT>" for line in article.lines)
    links = "<BR>".join(f'<A HREF="//{host}/{m[:4].lower()}.htm">{m}</A>' for m in draw.sample(MENU, 5))
    return f"""<HTML><HEAD>{META}<TITLE>{esc(article.title)}</TITLE></HEAD>
<BODY><TABLE BORDER=0 WIDTH=100%><TR><TD WIDTH=120 CLASS=menu VALIGN=TOP>{links}
<TD VALIGN=TOP><H1>{esc(article.title)}</H1>
{body}
<TABLE CLASS=footer><TR><TD><A HREF="/">All rights reserved by the webmaster</A><TD></TR></TABLE>
</TABLE></BODY></HTML>"""


def xhtml(article: Article, host: str, draw: Draw) -> str:
    """XHTML 1.0 Strict, as it should be."""
    body = "\n".join(f"<p>{esc(line)}</p>" for line in article.lines)
    return f"""<?xml version="1.0"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="{article.lang}">
<head>{META}<title>{esc(article.title)}</title></head>
<body><div class="navigation">{menu(host)}</div>
<div class="article"><h1>{esc(article.title)}</h1>
{body}</div>
<div class="related">{related(host, draw)}</div>
<div class="footer"><p>All rights reserved by the webmaster</p></div>
</body></html>"""


LAYOUTS: dict[str, Layout] = {
    "modern": modern,
    "soup": soup,
    "reference": reference,
    "nineties": nineties,
    "xhtml": xhtml,
}


def render(article: Article, layout: str, host: str, charset: str = "utf-8", *, meta: bool = True) -> bytes:
    """The page in its charset; with `meta`, the head names the charset."""
    text = LAYOUTS[layout](article, host, Draw(host + article.title))
    declared = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}" />' if meta else ""
    return text.replace(META, declared).encode(charset, "xmlcharrefreplace")


def forum(title: str, posts: list[tuple[str, str]], host: str) -> bytes:
    """A thread: each post a (user, text), with signatures and buttons around it."""
    cells = "\n".join(
        f'<div class="post" id="p{i}"><div class="user">{esc(user)}<br>Posts: {i * 37 % 400 + 3}</div>'
        f'<div class="message post-body"><p>{esc(text)}</p></div>'
        f'<div class="buttons"><a href="#">Quote</a> <a href="#">Report</a></div></div>'
        for i, (user, text) in enumerate(posts)
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{esc(title)} - forum</title></head>
<body><nav>{menu(host)}</nav><div class="cookie-consent">Accept all cookies</div>
<main class="thread"><h1>{esc(title)}</h1>{cells}</main>
<footer>All rights reserved by the webmaster</footer></body></html>""".encode()


def bare(title: str, inside: str, lang: str = "en") -> bytes:
    """A page with nothing around its content."""
    return (
        f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8"><title>{esc(title)}</title></head>'
        f"<body><h1>{esc(title)}</h1>{inside}</body></html>"
    ).encode()
