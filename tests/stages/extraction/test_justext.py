"""jusText: our linear pass against the library's, and whose stop words a page gets."""

import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from justext.core import revise_paragraph_classification

from stages.extraction._justext import in_context, languages
from stages.extraction._stop_words import BY_CODE, DEFAULT, MAX_WORDS, choose_language, load_stop_lists
from tests.stages.extraction.test_html import STORY, page, text_of
from tests.support.data import real_data


class Paragraph:
    """What the library's pass looks at."""

    def __init__(self, kind, heading, length):
        self.cf_class, self.heading, self.text, self.class_type = kind, heading, "x" * length, ""


KINDS = st.sampled_from(["good", "neargood", "short", "bad"])


@given(st.lists(st.tuples(KINDS, st.booleans(), st.integers(1, 9)), max_size=25), st.integers(0, 30))
def test_in_context_is_the_librarys_second_pass(paragraphs, max_distance):
    theirs = [Paragraph(*paragraph) for paragraph in paragraphs]
    revise_paragraph_classification(theirs, max_distance)
    columns = list(zip(*paragraphs, strict=True)) or [(), (), ()]
    assert in_context(*columns, max_distance) == [p.class_type == "good" for p in theirs]


def test_in_context_is_linear():
    n = 300_000
    assert not any(in_context(["short"] * n, [True] * n, [1] * n, 200))
    assert all(in_context(["neargood", *["short"] * n, "good"], [False] * (n + 2), [1] * (n + 2), 200))


@pytest.fixture(scope="module")
def lists():
    return load_stop_lists()


GERMAN = "Die Brücke ist seit dem Morgen gesperrt und wir sind im Regen am Ufer nach Hause gegangen"


@pytest.mark.parametrize(
    ("hint", "paragraphs", "language"),
    [
        (None, [GERMAN], "German"),
        ("de-AT", [GERMAN], "German"),
        ("en", [GERMAN], "German"),  # a label that the words contradict
        ("xx", [GERMAN], "German"),
        (None, [STORY[0]], "English"),
        (None, ["Home", "About us", GERMAN], "German"),  # navigation does not count beside prose
        (None, ["der die das"], "German"),  # but it does where there is nothing else
        ("fr", [], "French"),
        (None, [], DEFAULT),
        (None, ["橋は通行止めだった"], DEFAULT),
        ("hr", ["Most je zatvoren od jutra i mi smo po kiši išli kući uz rijeku sve do crkve"], "Croatian"),
    ],
)
def test_the_language_of_a_page(lists, hint, paragraphs, language):
    assert choose_language(lists, hint, paragraphs) == language


def test_a_long_page_is_judged_by_its_beginning(lists):
    assert choose_language(lists, None, [GERMAN] * (MAX_WORDS // 10) + [STORY[0]] * 10_000) == "German"


def test_one_list_is_no_choice():
    assert choose_language(load_stop_lists("Swahili"), "de", [GERMAN]) == "Swahili"


def test_every_code_has_its_list():
    assert set(BY_CODE.values()) <= languages()


def test_auto_finds_text_in_each_language():
    german = (
        GERMAN + ", und keiner wusste, wie lange das noch so gehen würde, denn der Fluss war hoch. "
    ) * 2
    assert german.strip() in text_of(page(german), engine="justext")
    assert STORY[0] in text_of(page(*STORY), engine="justext")


@pytest.mark.real_data
def test_declarations_of_human_rights(lists):
    """Each language that has a list, without a label, with its own and with a wrong one."""
    codes = {"deu": "de", "eng": "en", "fra": "fr", "spa": "es", "ita": "it", "nld": "nl", "pol": "pl", "rus": "ru",
             "ukr": "uk", "ces": "cs", "slk": "sk", "hun": "hu", "fin": "fi", "swe": "sv", "dan": "da", "tur": "tr",
             "kor": "ko", "hin": "hi", "ben": "bn", "tam": "ta", "vie": "vi", "ind": "id", "swh": "sw", "heb": "he",
             "arb": "ar", "pes_1": "fa", "urd": "ur", "kat": "ka", "hye": "hy", "isl": "is"}  # fmt: skip
    with zipfile.ZipFile(real_data("lang/udhr2.zip")) as archive:
        for name, code in codes.items():
            lines = archive.read(f"udhr2/{name}.txt").decode().split("\n")
            paragraphs = [line for line in lines if line.strip()][5:40]
            for hint in (None, code, "en" if code != "en" else "de"):
                assert choose_language(lists, hint, paragraphs) == BY_CODE[code], (name, hint)
