"""The day that a page gives for its publication, in the spellings that machines and people write."""

import re
from datetime import UTC, date, datetime

# What is outside is a typing error or a placeholder (1970-01-01); fixed, since a run must not ask the clock.
FIRST_YEAR, LAST_YEAR = 1990, 2099
MAX_CHARS = 100

_ISO = re.compile(r"(?<!\d)(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
_COMPACT = re.compile(r"^(\d{4})(\d{2})(\d{2})(?:T?\d{0,6}(?:Z|[+-]\d{4})?)?$")
_EPOCH = re.compile(r"^(\d{10})(\d{3})?$")
_DAY_FIRST = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[\s.-]{1,3}([a-z]{3,9})[\s.,-]{1,3}(\d{4})(?!\d)", re.IGNORECASE
)
_MONTH_FIRST = re.compile(r"\b([a-z]{3,9})\.?\s(\d{1,2})(?:st|nd|rd|th)?,?\s(\d{4})(?!\d)", re.IGNORECASE)
_NUMBERS = re.compile(r"^(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?:\s.*)?$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = re.compile(
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|(?:nov|dec)(?:ember)?)",
    re.IGNORECASE,
)


def iso_day(text: str) -> str | None:
    """The day that a date says, as written (no time zone is applied); None if that is not certain.

    Two numbers that can each be the month are taken for day and month only with dots (12.03.2014), which
    nobody writes month first; 12/03/2014 is two days.

    >>> iso_day("2014-03-12T23:10:00-05:00"), iso_day("Wed, 12 Mar 2014 08:00"), iso_day("March 12, 2014")
    ('2014-03-12', '2014-03-12', '2014-03-12')
    >>> iso_day("12/03/2014"), iso_day("31/03/2014"), iso_day("1394582400")
    (None, '2014-03-31', '2014-03-12')
    """
    text = text[:MAX_CHARS].strip()
    if found := _COMPACT.match(text) or None:
        day = _day(found[1], found[2], found[3])
        if day:
            return day
    if found := _EPOCH.match(text):
        moment = datetime.fromtimestamp(int(found[1]), UTC)
        return _day(str(moment.year), str(moment.month), str(moment.day))
    if found := _ISO.search(text):
        return _day(found[1], found[3], found[4])
    if found := _DAY_FIRST.search(text):
        return _named(found[3], found[2], found[1])
    if found := _MONTH_FIRST.search(text):
        return _named(found[3], found[1], found[2])
    if found := _NUMBERS.match(text):
        return _numbers(found[4], found[1], found[3], found[2] == ".")
    return None


def _day(year: str, month: str, day: str) -> str | None:
    if not FIRST_YEAR <= int(year) <= LAST_YEAR:
        return None
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:  # 31 February
        return None


def _named(year: str, month: str, day: str) -> str | None:
    return _day(year, str(_MONTHS.index(month[:3].lower()) + 1), day) if _NAMES.fullmatch(month) else None


def _numbers(year: str, first: str, second: str, day_first: bool) -> str | None:
    if day_first or int(first) > 12:
        return _day(year, second, first)
    if int(second) > 12 or first == second:
        return _day(year, first, second)
    return None
