"""Pages that a cleaner should turn away: spam, links, prices, symbols, stubs, and what is no text."""

from .articles import Library
from .grammar import Draw
from .pages import bare, esc
from .planting import lines_of

SHORT = (
    "Click here to continue.",
    "Page moved.",
    "Under construction, come back soon.",
    "Your cart is empty.",
    "No results were found.",
    "Log in to see this photo.",
    "OK",
    "Thanks for voting!",
)
GOODS = "{steel|brass|oak|glazed} {hook|hinge|bowl|gear} {#10-99}mm"
LOREM = lines_of("lorem")[0].split()
SPAM = lines_of("spam")


def short_pages() -> list[bytes]:
    """Pages with a handful of words."""
    return [bare("Notice", f"<p>{esc(s)}</p>") for s in SHORT]


def repetitive_pages() -> list[bytes]:
    """The same line or phrase again and again: whole lines, paragraphs, and n-grams inside one paragraph."""
    pages = []
    for i, line in enumerate(SPAM):
        pages.append(bare(f"Offer {i}", f"<p>{esc(line)}</p>" * 40))
        pages.append(bare(f"Deal {i}", "<p>" + esc(" ".join([line] * 30)) + "</p>"))
        body = "<br>".join(f"{esc(line)} Offer {n % 4}." for n in range(48))
        pages.append(bare(f"Bargain {i}", f"<div>{body}</div>"))
    return pages


def symbol_pages() -> list[bytes]:
    """Hash signs, ellipses and bullets in place of prose."""
    draw = Draw("symbols")
    tags = " ".join(f"#tag{draw.below(400)} #the #and" for _ in range(90))
    dots = "".join(
        f"<p>and then we have to wait for the {draw.below(90)}th part of it ...</p>" for _ in range(40)
    )
    bullets = "".join(f"<p>• the item that we have in shed {draw.below(900)}</p>" for _ in range(60))
    digits = " ".join(f"{draw.below(10**5)}|{draw.below(99)}%" for _ in range(200))
    return [
        bare("Tags", f"<p>{tags}</p>"),
        bare("To be continued", dots),
        bare("Stock", bullets),
        bare("Table dump", f"<p>{digits}</p>"),
    ]


def lorem_pages() -> list[bytes]:
    """Printer's Latin, in several orders."""
    pages = []
    for i in range(3):
        draw = Draw(f"lorem/{i}")
        lines = [" ".join(draw.sample(LOREM, 30)).capitalize() + "." for _ in range(8)]
        pages.append(bare(f"Template {i}", "".join(f"<p>{line}</p>" for line in lines)))
    return pages


def link_farms(library: Library) -> list[bytes]:
    """Nothing but links."""
    pages = []
    for i in range(4):
        draw = Draw(f"links/{i}")
        items = "".join(
            f'<li><a href="//{draw.choice(library.english)}-{draw.below(9999)}.example/">'
            f"best {draw.choice(library.english)} {draw.choice(('shop', 'deals', 'forum'))} "
            f"{draw.below(99)}</a></li>"
            for _ in range(120)
        )
        pages.append(bare(f"Link directory {i}", f"<ul>{items}</ul>"))
    return pages


def price_lists(library: Library) -> list[bytes]:
    """Tables of goods and prices."""
    pages = []
    for i in range(4):
        draw = Draw(f"prices/{i}")
        rows = "".join(
            f"<tr><td>{library.grammar.expand(GOODS, draw)}</td>"
            f"<td>{draw.between(1, 80)}.{draw.below(90) + 10} EUR</td><td>{draw.below(40)} in stock</td></tr>"
            for _ in range(80)
        )
        pages.append(bare(f"Price list {i}", f"<table>{rows}</table>"))
    return pages


def not_text() -> list[tuple[str, bytes, str]]:
    """(name, body, content type) of answers that hold no page."""
    draw = Draw("binary")
    noise = bytes(draw.below(256) for _ in range(900))
    return [
        (
            "leaflet.pdf",
            b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\n" + noise + b"\n%%EOF",
            "application/pdf",
        ),
        ("logo.png", b"\x89PNG\r\n\x1a\n" + noise[:300], "image/png"),
        ("api/points.json", b'{"points": [1, 2, 3], "text": "not a page"}', "application/json"),
        ("style.css", b"body { color: black } p { margin: 1em }", "text/css"),
        ("backup.bin", noise, "application/octet-stream"),
        ("mislabelled", b"\x89PNG\r\n\x1a\n" + noise[300:700], "text/html"),
    ]
