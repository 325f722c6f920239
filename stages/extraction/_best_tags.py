"""What the block scan knows about HTML: elements, words in class names, character references.

Everything here is a table for a compiled scan, built once at import.
"""

import html.entities
from collections.abc import Mapping

import numpy as np

from stages.extraction._kernels import name_hash


def split_names(text: str) -> list[str]:
    """Names set apart by blanks; a table of many reads best so."""
    return text.split()


# Elements by what they do to text. The number of an element is its place in NAMES; 0 is any other.
BLOCKS = split_names(
    "p div li td th h1 h2 h3 h4 h5 h6 pre blockquote figcaption dt dd ul ol dl table tr thead tbody "
    "tfoot caption section article main aside nav header footer form fieldset legend figure details "
    "summary address center menu dir hgroup dialog body html button hr br label"
)
INLINE = ["a", "span", "time"]  # kept on the stack for their attributes or for being links
RAW = split_names("script style textarea title xmp iframe noembed noframes noscript")  # content is not markup
SKIPPED = split_names("select svg template object canvas audio video math")  # content is markup, not text
IGNORED = split_names(
    "b i em strong font u s small big sub sup tt code abbr cite q mark kbd var samp ins del wbr bdi "
    "bdo strike area base col colgroup embed img input link meta param source track frame keygen "
    "acronym dfn nobr ruby rb head option optgroup"
)  # neither breaks a line nor says anything

NAMES = list(dict.fromkeys(["", *BLOCKS, *INLINE, *RAW, *SKIPPED, *IGNORED]))
CODE: Mapping[str, int] = {name: code for code, name in enumerate(NAMES)}
OTHER, BLOCK, INLINE_KEPT, RAW_TEXT, SKIP, IGNORE = range(6)

KIND = np.zeros(len(NAMES), np.uint8)
for _kind, _members in (
    (BLOCK, BLOCKS),
    (INLINE_KEPT, INLINE),
    (RAW_TEXT, RAW),
    (SKIP, SKIPPED),
    (IGNORE, IGNORED),
):
    KIND[[CODE[name] for name in _members]] = _kind

# Inherited facts: an element of this name is above. Bits 0..31 of a node; class words have bits 32 and up.
FACTS = split_names(
    "nav footer header aside article main form figure figcaption table li blockquote pre a button label"
)
FACT_OF = np.zeros(len(NAMES), np.int64)
for _bit, _name in enumerate(FACTS):
    FACT_OF[CODE[_name]] |= 1 << _bit
for _name, _as in (("ul", "li"), ("ol", "li"), ("dl", "li")):
    FACT_OF[CODE[_name]] |= 1 << FACTS.index(_as)
HIDDEN_BIT = 1 << len(FACTS)
SKIP_BIT = HIDDEN_BIT << 1
N_FACTS = len(FACTS) + 1  # SKIP never reaches a block

# Words in class, id, role and itemprop. "." is any boundary: a character that is no letter, or an upper-case
# letter after a lower-case one. Without a boundary a word matches inside of another.
CLASS_WORDS: Mapping[str, str] = {
    "body": "articlebody articlecontent articletext storybody storycontent postbody postcontent entrycontent "
    "article.body article.content article.text story.body story.content post.body post.content entry.content "
    "post.entry content.body body.content bodytext body.text maintext main.text page.content text.content "
    "mw.parser .prose. markdown richtext rich.text",
    "article": "article story .post. .posts. .entry. hentry blog.post",
    "content": "content .main. maincol .text. .copy.",
    "paragraph": "paragraph .para. .body. .lede. .lead. .intro. .standfirst. .dek.",
    "comment": "comment disqus .reply. .replies. respond discussion livefyre .reactions.",
    "share": "share sharing social .tweet. twitter facebook pinterest linkedin whatsapp addthis addtoany followus "
    ".follow. .like. .likes. reddit",
    "related": "related recommend read.more readmore also more.from morefrom .more. trending popular mostread "
    "most.read latest outbrain taboola recirc suggested similar .next. .prev. .previous. upnext .teaser. .teasers. "
    ".card. .cards. .promo. .tease. headline.list",
    "aside": "sidebar side.bar .aside. complementary .rail. rightcol leftcol .right. .left. .widget. widget .module.",
    "nav": ".nav. navbar navigation .menu. menu breadcrumb pagination pager .toc. toolbar tabs .tab. .sitemap. "
    ".skip. .links. linklist",
    "edge": "footer header masthead .foot. .head. .top. .bottom. copyright .legal. disclaimer banner .logo.",
    "ad": ".ad. .ads. .adv. advert adsense sponsor .dfp. .gpt. .mpu. adslot adunit ad.container promotion .dfp",
    "signup": "newsletter subscribe subscription signup sign.up signin sign.in login register paywall donate "
    ".cta. calltoaction .offer. membership",
    "byline": "byline author .by. .date. .time. timestamp published dateline .meta. .info. postmeta postedon "
    "pubdate .bio. contributor",
    "caption": "caption credit .wp.caption. .photo. gallery slideshow carousel .image. .media. .video. player "
    ".embed. thumb lightbox",
    "popup": "cookie consent .gdpr. modal popup tooltip .toast. lightbox dropdown dialog",
    "tags": ".tag. .tags. taglist category categories .topics. .topic. keywords .label. .labels. .kicker.",
    "note": "reference footnote citation reflist infobox navbox hatnote editsection .edit. metadata .note. noprint "
    "printfriendly print.only .source. .sources. .correction.",
    "figures": "rating .stars. .price. .product. .score. .poll. .quiz. .form. .search. searchform .result. stock "
    ".ticker. weather",
    "quote": "pullquote pull.quote blockquote .quote. .summary. highlights .keypoints. .key.points. .factbox.",
    "hidden": ".hidden. .hide. visuallyhidden visually.hidden screenreader screen.reader sr.only .invisible. "
    ".offscreen. .collapse. .collapsed. nodisplay",
}
N_WORDS = len(CLASS_WORDS)
WORD_SHIFT = 32
BOUNDARY = 26


def _slots(size: int, keys: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An open-addressed table from 64-bit hash to number; 0 is an empty slot."""
    hashes, numbers = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for key, number in keys.items():
        slot = key % size
        while hashes[slot]:
            slot = (slot + 1) % size
        hashes[slot], numbers[slot] = key, number
    return hashes, numbers


TAG_HASHES, TAG_CODES = _slots(1024, {name_hash(name): code for name, code in CODE.items() if name})


def _references() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Named character references: hash of the name -> its UTF-8 in a row of REFERENCE_BYTES, and its length.

    Names keep their case, so the hash is over the bytes as they are, without the semicolon.
    """
    texts: dict[str, bytes] = {}
    for name, text in html.entities.html5.items():
        texts[name.rstrip(";")] = text.encode()
    rows = np.zeros((len(texts) + 1, 8), np.uint8)
    keys: dict[int, int] = {}
    for number, (name, data) in enumerate(sorted(texts.items()), 1):
        rows[number, 0] = len(data)
        rows[number, 1 : 1 + len(data)] = np.frombuffer(data, np.uint8)
        keys[name_hash(name)] = number
    return *_slots(8192, keys), rows


REFERENCE_HASHES, REFERENCE_NUMBERS, REFERENCE_BYTES = _references()
MAX_REFERENCE = max(len(name) for name in html.entities.html5)


def _letter(char: str) -> int:
    return BOUNDARY if char == "." else ord(char) - ord("a")


def _automaton() -> tuple[np.ndarray, np.ndarray]:
    """Aho-Corasick over CLASS_WORDS: next state [state, letter], and the word bits that end in a state."""
    steps: list[dict[int, int]] = [{}]
    ends = [0]
    for bit, words in enumerate(CLASS_WORDS.values()):
        for word in words.split():
            state = 0
            for char in word:
                state = steps[state].setdefault(_letter(char), len(steps))
                if state == len(steps):
                    steps.append({})
                    ends.append(0)
            ends[state] |= 1 << (WORD_SHIFT + bit)
    table = np.zeros((len(steps), BOUNDARY + 1), np.int16)
    queue = list(steps[0].items())
    fail = [0] * len(steps)
    for letter, state in queue:
        table[0, letter] = state
    order = [state for _, state in queue]
    for state in order:  # grows: breadth first
        ends[state] |= ends[fail[state]]
        table[state] = table[fail[state]]
        for letter, child in steps[state].items():
            fail[child] = int(table[fail[state], letter])
            table[state, letter] = child
            order.append(child)
    return table, np.array(ends, np.int64)


WORD_STEPS, WORD_ENDS = _automaton()
