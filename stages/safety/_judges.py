"""Whether a candidate is personal data: presidio's recognizers, imported one by one, with no spaCy model.

Each judge gets the candidate (a telephone number with what stands around it) and says which part of it is the
entity and how sure presidio is, from 0 to 1. Presidio's patterns are slow on whole texts, and fine on 20
chars.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import re2
import tldextract
from presidio_analyzer import Pattern, PatternRecognizer
from presidio_analyzer.predefined_recognizers.country_specific.us.us_ssn_recognizer import UsSsnRecognizer
from presidio_analyzer.predefined_recognizers.generic.credit_card_recognizer import CreditCardRecognizer
from presidio_analyzer.predefined_recognizers.generic.email_recognizer import EmailRecognizer
from presidio_analyzer.predefined_recognizers.generic.iban_recognizer import IbanRecognizer
from presidio_analyzer.predefined_recognizers.generic.ip_recognizer import IpRecognizer
from presidio_analyzer.predefined_recognizers.generic.phone_recognizer import PhoneRecognizer

from stages.safety._candidates import Candidate, Entity, find_candidates, is_local_ip

CONTEXT_BONUS = 0.35  # presidio's context similarity factor (LemmaContextAwareEnhancer)
BARE_PENALTY = 0.2  # digits alone, no "+", no separator: an id far more often than a number to call
MAX_PHONE_DIGITS = 17  # E.164: 15, and 00 for the plus
MAX_BARE_DIGITS = 12  # unseparated: an IMEI has 15, and stands next to "phone"
_CONTEXT_CHARS = 40

# One pattern for presidio's Luhn check: its own stops at 17 digits and knows no 2-series Mastercard.
_ANY_DIGITS = [Pattern("12 to 19 digits", r"^\d{12,19}$", 0.3)]
# ISO/IEC 7812 issuer ranges with the lengths they are issued in.
_CARD = re2.compile(
    r"^(?:4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|"
    r"3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12,15}|35[0-9]{14,17}|"
    r"(?:2131|1800)[0-9]{11}|"
    r"(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{8,15}|(?:50|5[6-8]|6[0-9])[0-9]{14})$"
)
_PHONE_WORDS = re2.compile(
    r"(?i)\b(?:phones?|tel|tele|telephone|cell|cellphone|mobile|mob|call|calls|calling|dial|fax|sms|text|whatsapp|hotline|contact|"
    r"reach|ring|voicemail|telefon|tel\.|handy|mobil|rufnummer|anruf|téléphone|tél|appel\w*|portable|teléfono|telefono|móvil|"
    r"llam\w+|celular|telefone|phone number|ph)\b|电话|手机|電話|携帯|전화|телефон"
)


class Span(NamedTuple):
    """Personal data found in a text: offsets in code points."""

    entity: str
    start: int
    end: int
    score: float


Judge = Callable[[str, Candidate], Iterator[Span]]


class _OfflineEmail(EmailRecognizer):
    """Presidio's, but for the public suffix list: from the package's snapshot, never from the network."""

    def __init__(self) -> None:
        super().__init__()
        self._suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    def validate_result(self, pattern_text: str) -> bool:
        """Does the domain end in a public suffix?"""
        return bool(self._suffixes(pattern_text).fqdn)


def _whole(recognizer: PatternRecognizer, entity: Entity, clean: Callable[[str], str] = str) -> Judge:
    """Judge a candidate as a whole: presidio must agree on all of it (after `clean`)."""

    def judge(text: str, found: Candidate) -> Iterator[Span]:
        value = clean(text[found.start : found.end])
        results = recognizer.analyze(value, [entity.value])
        scores = [r.score for r in results if r.start == 0 and r.end == len(value)]
        if scores:
            yield Span(entity.value, found.start, found.end, round(float(max(scores)), 3))

    return judge


def _ip_judge(keep_local: bool) -> Judge:
    judge = _whole(IpRecognizer(), Entity.IP_ADDRESS)

    def judged(text: str, found: Candidate) -> Iterator[Span]:
        for span in judge(text, found):
            if not (keep_local and is_local_ip(text[span.start : span.end])):
                yield span

    return judged


def _card_judge() -> Judge:
    judge = _whole(CreditCardRecognizer(patterns=_ANY_DIGITS), Entity.CREDIT_CARD, _digits)

    def judged(text: str, found: Candidate) -> Iterator[Span]:
        value = text[found.start : found.end]
        digits = _digits(value)
        if len(set(value) - set(digits)) <= 1 and len(set(digits)) > 1 and _CARD.search(digits):
            yield from judge(text, found)

    return judged


def _iban_judge() -> Judge:
    """Longest valid prefix first: in capitals, the words after an IBAN look like more of it."""
    recognizer = IbanRecognizer()

    def judged(text: str, found: Candidate) -> Iterator[Span]:
        value = text[found.start : found.end].upper()
        best = max(recognizer.analyze(value, ["IBAN_CODE"]), key=lambda r: r.end, default=None)
        if best is not None and best.start == 0:
            yield Span("IBAN_CODE", found.start, found.start + best.end, round(float(best.score), 3))

    return judged


def _phone_judge(regions: Sequence[str]) -> Judge:
    """A number that some region's plan knows; with "+" or a word for telephone, one of a possible length."""
    valid = [PhoneRecognizer(supported_regions=(region,), leniency=1) for region in regions]
    possible = [PhoneRecognizer(supported_regions=(region,), leniency=0) for region in regions]

    def judged(text: str, found: Candidate) -> Iterator[Span]:
        low, high = max(0, found.start - 1), found.end + 1  # phonenumbers looks at the neighbours too
        window, value = text[low:high], text[found.start : found.end]
        international, named = value.startswith("+"), _is_named_phone(text, found.start)
        if value.isdigit() and len(value) > MAX_BARE_DIGITS:
            return
        spans = _phone_results(valid[:1] if international else valid, window)
        bonus = CONTEXT_BONUS if named or international else 0.0
        if not spans and (named or international):
            spans, bonus = _phone_results(possible, window), 0.0
        digits = sum(c.isdigit() for c in value)
        if spans and (named or value[0] in "+0") and digits <= MAX_PHONE_DIGITS:
            # phonenumbers may split what it cannot parse as one; a rest of four digits would stay behind
            spans = [(found.start - low, found.end - low, spans[0][2])]
        for start, end, score in spans:
            bare = BARE_PENALTY if not bonus and text[low + start : low + end].isdigit() else 0.0
            yield Span("PHONE_NUMBER", low + start, low + end, round(score + bonus - bare, 3))

    return judged


def _is_named_phone(text: str, start: int) -> bool:
    return bool(_PHONE_WORDS.search(text[max(0, start - _CONTEXT_CHARS) : start]))


def _phone_results(recognizers: Sequence[PhoneRecognizer], window: str) -> list[tuple[int, int, float]]:
    """What the first region that knows any number here makes of it: (start, end, score), left to right."""
    for recognizer in recognizers:
        results = recognizer.analyze(window, ["PHONE_NUMBER"])
        if results:
            return sorted((r.start, r.end, float(r.score)) for r in results)
    return []


def _digits(value: str) -> str:
    return "".join([c for c in value if c.isdigit()])


def load_judges(
    entities: Sequence[Entity], phone_regions: Sequence[str], keep_local_ips: bool
) -> dict[Entity, Judge]:
    """A judge for each entity, in the order that settles overlaps. Takes about a second the first time."""
    makers: Mapping[Entity, Callable[[], Judge]] = {
        Entity.EMAIL_ADDRESS: lambda: _whole(_OfflineEmail(), Entity.EMAIL_ADDRESS),
        Entity.IBAN_CODE: _iban_judge,
        Entity.CREDIT_CARD: _card_judge,
        Entity.US_SSN: lambda: _whole(UsSsnRecognizer(), Entity.US_SSN),
        Entity.IP_ADDRESS: lambda: _ip_judge(keep_local_ips),
        Entity.PHONE_NUMBER: lambda: _phone_judge(phone_regions),
    }
    return {entity: makers[entity]() for entity in Entity if entity in entities}


def _touches(found: Candidate | Span, taken: Sequence[Span]) -> bool:
    return any(span.start < found.end and found.start < span.end for span in taken)


def find_pii(text: str, judges: Mapping[Entity, Judge], min_score: float) -> list[Span]:
    """Personal data in a text, left to right, not overlapping; the surer kind gets what two kinds claim."""
    taken: list[Span] = []
    for entity, judge in judges.items():
        for candidate in find_candidates(text, entity):
            if not _touches(candidate, taken):  # telephone judges are slow: no card number goes to them
                spans = [span for span in judge(text, candidate) if span.score >= min_score]
                taken += [span for span in spans if not _touches(span, taken)]
    return sorted(taken, key=lambda span: span.start)
