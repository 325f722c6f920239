"""Places on the web whose text is machine translation, or was read off scanned pages by machine.

Domains as for `filter_url` (with all below them), and RE2 patterns over the whole URL for sites that have other
text too. Conservative: a site is listed if nearly all that matches is of that kind. Collections of scans mix
proofread text with raw character recognition, so their label says where to look, not what is wrong.
"""

from typing import NamedTuple


class Known(NamedTuple):
    """One label's domains and patterns."""

    domains: tuple[str, ...]
    patterns: tuple[str, ...]


KNOWN_SOURCES = {
    "machine_translated": Known(
        domains=(
            "translate.goog",  # <host with dashes>.translate.goog
            "translate.googleusercontent.com",
            "translatetheweb.com",
            "microsofttranslator.com",
            "translated.turbopages.org",
            "translate.yandex.net",
            "worldlingo.com",
        ),
        patterns=(
            r"(?i)^https?://translate\.google\.[a-z.]{2,6}/",
            r"(?i)^https?://(?:www\.)?bing\.com/translator",
            r"(?i)^https?://fanyi\.(?:baidu|youdao|sogou)\.com/",
            r"(?i)^https?://translate\.yandex\.[a-z.]{2,6}/",
            r"(?i)^https?://[^/?#]*/translate_c\?",
        ),
    ),
    "scanned": Known(
        domains=(
            "babel.hathitrust.org",
            "chroniclingamerica.loc.gov",
            "trove.nla.gov.au",
            "britishnewspaperarchive.co.uk",
            "newspapers.com",
            "newspaperarchive.com",
            "delpher.nl",
            "digi.kansalliskirjasto.fi",
            "paperspast.natlib.govt.nz",
            "anno.onb.ac.at",
            "hemerotecadigital.bne.es",
        ),
        patterns=(
            r"(?i)^https?://(?:www\.)?archive\.org/(?:stream|download)/[^?#]*_djvu\.txt",
            r"(?i)^https?://gallica\.bnf\.fr/ark:/[^?#]*\.texte",
            r"(?i)^https?://(?:books|news)\.google\.[a-z.]{2,6}/(?:books|newspapers)\?",
            r"(?i)^https?://[^?#]*[/_.-]ocr\.(?:txt|html?)(?:$|[?#])",
        ),
    ),
}
