"""Fills the made-up web, one function a kind of content; the order of calls is part of the result."""

from . import noise, planting
from .articles import Article
from .evals import N, leaks, read_items
from .grammar import Draw
from .pages import forum, render
from .warc import Page
from .world import BOOKS, FORUM, LIBRARY, LINKED, PLAIN, SITE_A, SITE_B, WORLD, World

A, B = "https://www.harrow-notes.example", "https://magazine.quernside.example"
MIRROR = "https://mirror.quernside.example"
LAYOUT_CYCLE = ("modern", "soup", "modern", "reference", "nineties", "modern", "xhtml")
CHARSETS = {
    "de": "windows-1252",
    "fr": "windows-1252",
    "es": "iso-8859-1",
    "no": "windows-1252",
    "pl": "iso-8859-2",
    "ja": "shift_jis",
    "zh": "gb18030",
    "ru": "koi8-r",
}
DECLARED = ("header", "meta", "neither", "utf-8", "utf-8")
STATUSES = (
    "404 Not Found",
    "301 Moved Permanently",
    "500 Internal Server Error",
    "403 Forbidden",
    "302 Found",
    "410 Gone",
    "503 Service Unavailable",
    "404 Not Found",
)
MARK = {"de": "für", "fr": "é", "es": "ñ", "no": "å", "pl": "ł", "ja": "の", "zh": "的", "ru": "и"}


def layout(number: int) -> str:
    """The layout of the n-th page."""
    return LAYOUT_CYCLE[number % len(LAYOUT_CYCLE)]


def clean_articles(world: World) -> None:
    """Ordinary pages and rows in English."""
    topics = world.library.english
    for i in range(110):
        article = world.library.article(f"a/{i}", topics[i % len(topics)], 9 + i * 7 % 19)
        world.clean([world.page(SITE_A, f"{A}/{article.topic}/{i:03}", article, layout(i))])
    for i in range(24):
        article = world.library.article(f"b/{i}", topics[(i * 4 + 1) % len(topics)], 12 + i % 9)
        world.clean([world.page(SITE_B, f"{B}/issue-{i % 6}/{article.topic}-{i}", article, layout(i + 2))])
    for i in range(18):
        article = world.library.article(f"rows/{i}", topics[(i * 2 + 3) % len(topics)], 11 + i % 7)
        score = (None, 0.5, 2.99, 3.0, 4.25, 7.0)[i % 6]
        url = world.row((LINKED, LIBRARY)[i % 2], f"https://linked.example/{i:02}", article, score=score)
        if score is not None and score >= 3:
            world.clean([url])
    for i in range(8):
        article = world.library.article(f"book/{i}", topics[(i * 3) % len(topics)], 28)
        world.clean([world.row(BOOKS, f"https://books.example/{i}", article, score=5.0)])
    for i in range(12):
        article = world.library.article(f"plain/{i}", topics[(i * 5 + 2) % len(topics)], 10 + i)
        url = f"https://plain.example/text/{i}"
        kind = "conversion" if i % 4 else "response"
        world.add(PLAIN, Page(url, article.text.encode(), "text/plain; charset=utf-8", kind=kind))
        world.clean([world.say(url, PLAIN, "plain text", article)])


def other_languages(world: World) -> None:
    """German, French and Spanish that stay; Japanese, Chinese, Russian, Norwegian and Polish that go."""
    for lang, count in {"de": 13, "fr": 13, "es": 13, "ja": 5, "zh": 5, "ru": 5, "no": 5, "pl": 4}.items():
        size = 10 if lang in ("de", "fr", "es") else 5
        for i in range(count):
            article = world.library.foreign(f"{lang}/{i}", lang, size + (i % 4 if size == 10 else 0))
            declared = DECLARED[i % len(DECLARED)]
            charset = "utf-8" if declared == "utf-8" else CHARSETS[lang]
            where = ("header", "neither")[i % 2] if declared == "utf-8" else declared
            url = f"https://{lang}.weltweit.example/{i}"
            shape = ("modern", "soup", "modern", "xhtml")[i % 4]
            world.page(WORLD, url, article, shape, charset=charset, declared=where)
            if charset != "utf-8" or where != "header":
                about = {
                    "url": url,
                    "charset": charset,
                    "declared": where,
                    "contains": around(article, MARK[lang]),
                }
                world.expect("charsets", "pages", about)
            if size == 10:
                world.clean([url])
            else:
                world.expected["other_languages"].setdefault("urls", {})[url] = lang  # type: ignore[index]


def around(article: Article, mark: str) -> str:
    """A piece of the text around a letter that only the right charset gives."""
    line = next((x for x in article.lines if mark in x), None)
    if line is None:  # another letter then: some line has one
        line, mark = next((x, c) for x in article.lines for c in x if c > "\x7f")
    at = line.find(mark)
    return line[max(0, at - 6) : at + 8].strip()


def copies(world: World) -> None:
    """Exact copies, near copies, borderline ones, and pairs that only look alike."""
    topics = world.library.english
    for i in range(12):
        article = world.library.article(f"copy/{i}", topics[i], 11 + i % 6)
        urls = [world.page(SITE_A, f"{A}/copied/{i}", article, "modern", kind="copy")]
        how = ("same page on another host", "same text, other page furniture", "same text in a row")[i % 3]
        if i % 3 < 2:
            shape = ("modern", "soup")[i % 3]
            urls.append(world.page(SITE_B, f"{MIRROR}/copied/{i}?from=rss", article, shape, kind="copy"))
        else:
            text = article.text.replace("\n", "\r\n") + " \n" if i % 2 else article.text
            urls.append(
                world.row(
                    LINKED, f"https://linked.example/copy/{i}", article, score=4.0, text=text, kind="copy"
                )
            )
        if i % 4 == 3:
            urls.append(world.page(SITE_B, f"{B}/again/{i}", article, "modern", kind="copy"))
        world.expect("exact_duplicates", "groups", {"urls": urls, "how": how})
    for i in range(4):
        article = world.library.article(f"rowcopy/{i}", topics[i + 3], 12)
        urls = [
            world.row(file, f"https://{host}.example/twin/{i}", article, score=3.5, kind="copy")
            for file, host in ((LINKED, "linked"), (LIBRARY, "librar"))
        ]
        world.expect("exact_duplicates", "groups", {"urls": urls, "how": "same text in two files"})
    near_copies(world)
    for i in range(8):
        first = world.library.article(f"like/{i}", topics[i + 5], 18)
        second, similarity = planting.lookalike(first, world.library, f"alike/{i}", 1 + i % 2)
        urls = [
            world.page(SITE_A, f"{A}/alike/{i}", first, "modern"),
            world.page(SITE_B, f"{B}/alike/{i}", second, "modern"),
        ]
        world.expect("lookalikes", "pairs", {"urls": urls, "jaccard": round(similarity, 4)})
        world.clean(urls)


def near_copies(world: World) -> None:
    """Pairs with one sentence replaced (near) or two to three (borderline)."""
    for i in range(20):
        key, low, high = ("near_duplicates", 0.85, 0.97) if i < 15 else ("borderline_duplicates", 0.75, 0.85)
        replaced = 1 if i < 15 else 2
        first = world.library.article(f"near/{i}", world.library.english[i % 15], 21 + i % 6)
        for salt in range(40):
            second, similarity = planting.edited(first, world.library, f"near/{i}/{salt}", replaced)
            edits = planting.word_edits(first, second)
            if low <= similarity < high and edits >= 0.03:
                break
        else:
            raise ValueError(f"no edit of near/{i} gives a Jaccard of {low}-{high}")
        in_rows = i % 5 == 4 and i < 15
        urls = [world.page(SITE_A, f"{A}/near/{i}", first, "modern", kind="near copy")]
        if in_rows:
            urls.append(
                world.row(LIBRARY, f"https://library.example/near/{i}", second, score=6.0, kind="near copy")
            )
        else:
            urls.append(world.page(SITE_B, f"{MIRROR}/near/{i}", second, "modern", kind="near copy"))
        world.expect(
            key, "pairs", {"urls": urls, "jaccard": round(similarity, 4), "edited_words": round(edits, 4)}
        )


def personal_data(world: World) -> None:
    """Pages with personal data, and pages with strings that only look like it."""
    for i, (article, found) in enumerate(planting.with_plants(world.library, "pii")):
        url = world.page(SITE_B, f"{B}/contact/{i}", article, ("modern", "reference")[i % 2], kind="pii")
        world.expect("pii", "values", *({"url": url, "entity": p.entity, "value": p.value} for p in found))
    for i, (article, found) in enumerate(planting.with_plants(world.library, "keep")):
        url = world.page(SITE_B, f"{B}/numbers/{i}", article, "modern")
        world.expect("not_pii", "values", *({"url": url, "kind": p.entity, "value": p.value} for p in found))
        world.clean([url])


def bad_words(world: World) -> None:
    """Rude pages, mild ones, and innocent ones."""
    for i, article in enumerate(planting.with_bad_words(world.library)):
        url = world.page(SITE_B, f"{B}/comments/{i}", article, "modern", kind="bad words")
        count = planting.count_bad_words(article.text)
        if count == 1:
            world.expect("one_bad_word", "urls", url)
        else:
            world.expect("bad_words", "documents", {"url": url, "count": count})
    for i, article in enumerate(planting.with_innocent_words(world.library)):
        url = world.page(SITE_B, f"{B}/people/{i}", article, "modern")
        world.expect("not_bad_words", "urls", url)
        world.clean([url])


def leaked_items(world: World) -> None:
    """Pages with benchmark text, and pages about the same subjects."""
    for i, (article, about) in enumerate(leaks(world.library, read_items())):
        url = world.page(SITE_B, f"{B}/puzzles/{i}", article, "modern", kind="leak")
        key = "contaminated" if int(str(about["words"])) >= N else "contaminated_short"
        world.expect(key, "items", {"url": url, **about})
    for i, sentence in enumerate(planting.lines_of("talk")):
        draw = Draw(f"discussed/{i}")
        article = world.library.article(f"discussed/{i}", draw.choice(world.library.english), 12).insert(
            sentence, draw
        )
        url = world.page(SITE_B, f"{B}/talk/{i}", article, "modern")
        world.expect("not_contaminated", "urls", url)
        world.clean([url])


def domains(world: World) -> None:
    """Blocked hosts and hosts that only look blocked, all with decent articles."""
    blocked, free = (
        planting.BLOCKED,
        ("my-casino-blorg.example", "casino-blorg.example.org.example", "pills.example"),
    )
    hosts = [blocked[0], f"www.{blocked[0]}", f"{blocked[1]}:8080", f"a.b.{blocked[2]}", blocked[2].upper()]
    for i, host in enumerate((*hosts, *free)):
        article = world.library.article(f"host/{i}", world.library.english[i], 12)
        url = world.page(
            FORUM, f"http://{host}/story/{i}", article, "modern", kind="blocked" if i < 5 else "article"
        )
        world.expect("blocked" if i < 5 else "not_blocked", "urls", url)
        if i >= 5:
            world.clean([url])


def threads(world: World) -> None:
    """Forum threads of three to eight posts."""
    lib = world.library
    for i in range(26):
        draw = Draw(f"thread/{i}")
        source = lib.article(f"thread/{i}", lib.english[i % 15], 12 + i % 8)
        said = [s for p in source.paragraphs for s in p]
        posts = [
            (draw.choice(lib.grammar.lists["first"]), " ".join(said[j : j + 3]))
            for j in range(0, len(said), 3)
        ]
        url = f"https://forum.saltley.example/t/{i}?page=1"
        world.add(
            FORUM, Page(url, forum(source.title, posts, "forum.saltley.example"), coding=("", "gzip")[i % 2])
        )
        world.say(url, FORUM, "forum", source)
        world.expect("forum", "threads", {"url": url, "posts": [text[:60] for _, text in posts]})


def noisy_pages(world: World) -> None:
    """What must not come through, by kind."""
    kinds = {
        "too_short": noise.short_pages(),
        "repetitive": noise.repetitive_pages(),
        "symbols": noise.symbol_pages(),
        "lorem": noise.lorem_pages(),
        "link_farms": noise.link_farms(world.library),
        "price_lists": noise.price_lists(world.library),
    }
    for kind, bodies in kinds.items():
        for i, body in enumerate(bodies):
            url = f"http://{kind.replace('_', '-')}.example/{i}"
            world.add(FORUM, Page(url, body))
            world.expect(kind, "urls", world.say(url, FORUM, kind))
    for name, body, media in noise.not_text():
        url = f"{B}/files/{name}"
        world.add(SITE_B, Page(url, body, media))
        world.say(url, SITE_B, "file")
        if media == "text/html":
            world.expect("mislabelled", "urls", url)
        else:
            world.expected["not_pages"].setdefault("urls", {})[url] = f"media type {media}"  # type: ignore[index]


def answers(world: World) -> None:
    """Errors and redirections, one of them with an article as its body."""
    article = world.library.article("error", "weather", 12)
    for i, status in enumerate(STATUSES):
        url = f"{A}/gone/{i}"
        body = b"" if status[0] == "3" else noise.bare(status, f"<p>{status}: the page is not here.</p>")
        headers = {"Location": f"{A}/bread/000"} if status[0] == "3" else {}
        if i == 7:
            body = render(article, "modern", "www.harrow-notes.example")
        world.add(SITE_A, Page(url, body, status=status, headers=headers))
        world.say(url, SITE_A, "status")
        world.expected["not_pages"].setdefault("urls", {})[url] = f"status {status[:3]}"  # type: ignore[index]


def long_page(world: World) -> None:
    """One page of about 60,000 words."""
    chapters = world.library.everything("almanac", 14)
    paragraphs = tuple(p for c in chapters for p in c.paragraphs)
    article = Article("The complete almanac", paragraphs)
    url = world.page(SITE_A, f"{A}/almanac/complete", article, "xhtml", kind="long")
    world.expect(
        "long", "documents", {"url": url, "words": world.documents[url]["words"], "chapters": len(chapters)}
    )


def html_folder(world: World) -> None:
    """Files in sub-folders, as a person would keep them."""
    plan = [("en", "utf-8"), ("en", "windows-1252"), ("en", "utf-8"), ("de", "windows-1252"), ("de", "utf-8"),
            ("fr", "iso-8859-15"), ("es", "utf-8"), ("ru", "koi8-r"), ("ja", "shift_jis"), ("zh", "gb18030"),
            ("pl", "iso-8859-2"), ("en", "utf-16")]  # fmt: skip
    files: dict[str, object] = {}
    for i, (lang, charset) in enumerate(plan):
        make = world.library.article if lang == "en" else world.library.foreign
        topic = world.library.english[i] if lang == "en" else lang
        article = make(f"html/{i}", topic, 12 if lang in ("en", "de", "fr", "es") else 5)
        path = f"html/{lang}/{('notes', 'archive/old')[i % 2]}/page-{i}.{('html', 'htm')[i % 2]}"
        world.files[path] = render(
            article, ("modern", "soup", "xhtml")[i % 3], "localhost", charset, meta=i % 4 != 2
        )
        files[path] = {"lang": lang, "charset": charset, "declared": "meta" if i % 4 != 2 else "neither"}
        files[path] |= {"first": article.lines[0][:60]}  # type: ignore[operator]
    world.expected["html_files"]["files"] = files


STEPS = (
    clean_articles,
    other_languages,
    copies,
    personal_data,
    bad_words,
    leaked_items,
    domains,
    threads,
    noisy_pages,
    answers,
    long_page,
    html_folder,
)


def fill(world: World) -> None:
    """Everything, in a fixed order."""
    for step in STEPS:
        step(world)
