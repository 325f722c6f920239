"""What stands around a question decides whether its answer leaked with it, and whether a short question is an item."""

import numpy as np
import pytest

from stages.decontamination._context import MARKERS, Anchor, Heads
from stages.decontamination._definitions import NgramDefinition, ShortDefinition
from stages.decontamination._facts import put_in_order, read_facts
from stages.decontamination._index import read_index
from stages.decontamination._matches import hash_text
from stages.decontamination._short import stands_alone
from tests.stages.decontamination.indexes import build_items, classes, item

FILLER = "Nothing in these plain sentences is about anything, and so they go on and on for a good while. " * 4
JANET = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her friends "
    "with four. She sells the remainder for $2 per egg. How much does she make every day at the market?"
)
SOLUTION = (
    "Janet sells 16 - 3 - 4 = 9 duck eggs a day, so that she makes 9 * 2 dollars at the farmer's market."
)
PLANET = "Which of the planets in our own solar system is known to everybody by the name of the red planet?"
CHOICES = ["Venus", "Mars", "the moon of Mars", "Saturn"]
LISTED = "A. Venus\nB. Mars\nC. the moon of Mars\nD. Saturn"
TRUE = "Is it true or false that every even number above two is the sum of two prime numbers, as one guessed?"
SHORT = "Which planet is called red?"
RED = "Who wrote it?"
VIEWS = [
    "the party that has the power must answer for it, " * 4 + "to the people",
    "the power of the state is bound by its treaties, " * 4 + "and by custom",
    "no state has to keep what its own courts reject, " * 4 + "as they may judge",
]
VIEW = (
    "Which of these views of the state and its duties do most of the writers of that time hold to be right?"
)
HAIR = "What happens to you if you go outdoors in cold weather with wet hair?"
WET = [
    f"If you go outdoors in cold weather with wet hair, you {end}"
    for end in ("may feel cold", "catch a cold", "get ill")
]
PREY = "Upon which of these animals is a red-tailed hawk in search of prey most likely to swoop down?"
ANIMALS = ["an eagle", "a cow", "a gecko", "a deer"]
OWLS = "On a branch there are three birds. The owl is the second from the left. Which bird is where?"
CODE = 'def last(number: float) -> float:\n    """Return the part of a number that is behind its decimal point."""\n'

BOTH, ASKED, TOLD = "input_and_output", "input_only", "output_only"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return build_items(
        tmp_path_factory.mktemp("index"),
        [
            item("gsm8k", "janet", question=JANET, solution=SOLUTION, answer="18"),
            item("mmlu", "planet", question=PLANET, choice=CHOICES, answer="Mars"),
            item("boolq", "goldbach", question=TRUE, answer="true"),
            item("arc", "short", question=SHORT, choice=["Venus", "Mars", "Saturn"], answer="Mars"),
            item("nq", "author", question=RED, answer=["Astrid Lindgren"]),
            item("views", "view", question=VIEW, choice=VIEWS, answer=VIEWS[1]),
            item("truthfulqa", "hair", question=HAIR, choice=WET, answer=WET[0]),
            item("openbookqa", "prey", question=PREY, choice=ANIMALS, answer="a gecko"),
            item(
                "bbh",
                "owl",
                question=OWLS,
                choice=["The owl is the second from the left", "The crow is the second from the left"],
                answer="The owl is the second from the left",
            ),
            item("humaneval", "last", question=CODE, solution="    return number % 1.0\n"),
        ],
    )


ANSWERS = {
    "the question": (JANET, ASKED),
    "in a text": (f"{FILLER}{JANET} {FILLER}", ASKED),
    "the answer after it": (f"{JANET} 18", BOTH),
    "with a full stop": (f"{JANET}\n18.\n{FILLER}", BOTH),
    "with a currency": (f"{JANET} It is $18 in all.", BOTH),
    "with zeros": (f"{JANET} She makes 18.00 dollars.", BOTH),
    "marked": (f"{JANET}\nAnswer: 18", BOTH),
    "marked by signs": (
        f"{JANET}\nFirst we take away what is eaten. Then we multiply what is left.\n#### 18",
        BOTH,
    ),
    "boxed": (rf"{JANET} One finds \boxed{{18}}.", BOTH),
    "before it": (f"The answer is 18. Here is the question: {JANET}", BOTH),
    "a line before it": (f"18\n{JANET}", BOTH),
    "a number before it": (
        f"{FILLER} There were 18 people in the room, and one of them asked: {JANET}",
        ASKED,
    ),
    "part of a number": (f"{JANET} 1800", ASKED),
    "part of a number with a comma": (f"{JANET} 18,000", ASKED),
    "part of a decimal": (f"{JANET} 18.5", ASKED),
    "behind a point": (f"{JANET} 2.18", ASKED),
    "far away": (f"{JANET} {FILLER * 2} 18", ASKED),
    "the solution": (SOLUTION, TOLD),
    "the solution after it": (f"{JANET} {SOLUTION}", BOTH),
    "the solution far away": (f"{JANET} {FILLER * 9} {SOLUTION}", BOTH),
    "the solution far before it": (f"{SOLUTION} {FILLER * 9} {JANET}", BOTH),
    "other digits": (f"{JANET} Answer: १८", BOTH),
    "part of the question, then the answer": (f"{JANET[:90]} and all that. Answer: 18", BOTH),
    "the answer alone": ("18", None),
    "another question's answer": (f"{JANET}\n{TRUE} 18", ASKED),
    "everyday word": (f"{TRUE} It may well be that nobody knows, but it rings true to most people.", ASKED),
    "everyday word, marked": (f"{TRUE} It may well be that nobody knows. Answer: true", BOTH),
    "everyday word next to it": (f"{TRUE} True.", BOTH),
    "everyday word in its line": (f"{TRUE} One has looked for it long and hard.\n\nTrue\n\n{FILLER}", BOTH),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_too_short_to_be_found_alone(index, name):
    text, expected = ANSWERS[name]
    found = {
        leak
        for leak in classes_by_item(index, text).items()
        if leak[0] == ("goldbach" if text.startswith(TRUE) else "janet")
    }
    assert {kind for _, kind in found} == ({expected} if expected else set())


def classes_by_item(index, text, **params):
    from stages.decontamination.decontaminate import Decontaminate
    from tests.stages.decontamination.indexes import annotate

    (found,) = annotate(Decontaminate(**params), index, [text])
    return {leak["item"]: leak["class"] for leak in found["leaks"]}


RIGHT = {
    "the question": (PLANET, ASKED),
    "all choices": (f"{PLANET}\n{LISTED}", ASKED),
    "all choices, text goes on": (f"{PLANET}\n{LISTED}\n{FILLER}", ASKED),
    "choices without labels": (f"{PLANET}\nVenus\nMars\nthe moon of Mars\nSaturn", ASKED),
    "answered by label": (f"{PLANET}\n{LISTED}\nAnswer: B", BOTH),
    "answered by a small label": (f"{PLANET}\n{LISTED}\nanswer: b", BOTH),
    "answered in brackets": (f"{PLANET}\n{LISTED}\nThe correct answer is (B).", BOTH),
    "answered by option": (f"{PLANET}\n{LISTED}\nAnswer: option B", BOTH),
    "answered by label and text": (f"{PLANET}\n{LISTED}\nAnswer: B. Mars", BOTH),
    "answered by text": (f"{PLANET}\n{LISTED}\nCorrect answer: Mars", BOTH),
    "answered in Chinese": (f"{PLANET}\n{LISTED}\n答案：B", BOTH),
    "answered in German": (f"{PLANET}\n{LISTED}\nAntwort: B", BOTH),
    "answered in French": (f"{PLANET}\n{LISTED}\nRéponse : B", BOTH),
    "answered before": (f"Answer: B\n{PLANET}\n{LISTED}", BOTH),
    "another answer": (f"{PLANET}\n{LISTED}\nAnswer: C", ASKED),
    "another answer in words": (f"{PLANET}\n{LISTED}\nAnswer: the moon of Mars", ASKED),
    "an article, no label": (f"{PLANET}\n{LISTED}\nAnswer: a thing nobody knows", ASKED),
    "only the right choice": (f"{PLANET} Mars", BOTH),
    "the right choice in a sentence": (f"{PLANET} As far as anybody can tell, it must be Mars.", BOTH),
    "the right choice, then a wrong one": (f"{PLANET} Mars, not Venus", BOTH),
    "only a wrong choice": (f"{PLANET} Venus", ASKED),
    "a wrong choice with the right one in it": (f"{PLANET} The moon of Mars", ASKED),
    "a wrong choice first": (f"{PLANET} Venus or Mars", ASKED),
    "far away": (f"{PLANET} {FILLER * 2} Mars", ASKED),
    "only the choices": (LISTED, None),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_choice_counts_where_it_is_singled_out(index, name):
    text, expected = RIGHT[name]
    assert classes_by_item(index, text).get("planet") == expected


def _listed(choices):
    return "\n".join(f"{'ABCD'[k]}. {choice}" for k, choice in enumerate(choices))


def _wide(text):
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in text)


PREY_A = f"{PREY}\n{_listed(ANIMALS)}\nAnswer: a gecko"
SINGLED_OUT = {
    "an answer of more words than are looked at": (
        "view",
        f"{VIEW}\n{_listed(VIEWS)}\nAnswer: {VIEWS[1]}",
        BOTH,
    ),
    "another long answer": ("view", f"{VIEW}\n{_listed(VIEWS)}\nAnswer: {VIEWS[0]}", ASKED),
    "a long answer before it": ("view", f"Answer: {VIEWS[1]}\n\n{VIEW}\n{_listed(VIEWS)}", BOTH),
    "an answer that begins as the question": ("hair", f"{HAIR}\n{_listed(WET)}\nAnswer: {WET[0]}", BOTH),
    "another one that does": ("hair", f"{HAIR}\n{_listed(WET)}\nAnswer: {WET[1]}", ASKED),
    "a sentence of the question": ("owl", f"{OWLS}\nAnswer: The owl is the second from the left", BOTH),
    "the question alone, with that sentence": ("owl", OWLS, ASKED),
    "an article that looks like a label": ("prey", PREY_A, BOTH),
    "in full width": ("prey", _wide(PREY_A), BOTH),
    "in capitals": ("prey", PREY_A.upper(), BOTH),
    "after no-break spaces": ("prey", PREY_A.replace(" ", "\u00a0"), BOTH),
    "after many blanks": ("prey", PREY_A.replace(" ", "     "), BOTH),
    "wrapped behind the article": ("prey", PREY_A.replace("a gecko", "a\n> gecko"), BOTH),
    "another animal": ("prey", PREY_A.replace("Answer: a gecko", "Answer: a cow"), ASKED),
    "a label that an article looks like": ("prey", f"{PREY}\n{_listed(ANIMALS)}\nAnswer: A", ASKED),
    "a label and its text": ("prey", f"{PREY}\n{_listed(ANIMALS)}\nAnswer: C a gecko", BOTH),
    "a short solution in code": ("last", f"{CODE}\nAnswer:\n    return number % 1.0", BOTH),
    "another solution in code": ("last", f"{CODE}\nAnswer:\n    return math.modf(number)[0]", ASKED),
}


@pytest.mark.parametrize("name", SINGLED_OUT)
def test_answers_that_look_like_something_else(index, name):
    own, text, expected = SINGLED_OUT[name]
    assert classes_by_item(index, text).get(own) == expected


SHORTS = {
    "a line": (SHORT, ASKED),
    "lower case, no mark": (f"{FILLER}\nwhich planet is called red\n{FILLER}", ASKED),
    "after Question": (f"Question: {SHORT}\n", ASKED),
    "after Q and a number": (f"{FILLER}\nQ12. {SHORT}\n{FILLER}", ASKED),
    "after a bullet": (f"{FILLER}\n- {SHORT}\n", ASKED),
    "in a table": (f"| 3 | {SHORT} | easy |", ASKED),
    "a sentence": (f"{FILLER}{SHORT} {FILLER}", ASKED),
    "quoted": (f'{FILLER}He asked: "{SHORT}" {FILLER}', ASKED),
    "within a sentence": (f"{FILLER}Do you know which planet is called red by the people? {FILLER}", None),
    "within a sentence, with the answer": (
        f"I know which planet is called red, and it is Mars. {FILLER}",
        BOTH,
    ),
    "with choices": (f"So which planet is called red then, Venus or Saturn? {FILLER}", ASKED),
    "with its answer": (f"{SHORT} Mars", BOTH),
    "marked answer": (f"{FILLER}{SHORT}\nA: Venus\nB: Mars\nC: Saturn\nAnswer: B", BOTH),
    "part of it": ("planet is called red?", None),
}


@pytest.mark.parametrize("name", SHORTS)
def test_short_questions_count_in_context(index, name):
    """T34: items with few words are found, and a text that happens to have the words is not."""
    text, expected = SHORTS[name]
    found = classes_by_item(index, text, definitions=[ShortDefinition()])
    assert found.get("short") == expected


def test_very_short_questions_never_count_alone(index):
    short = [ShortDefinition()]
    assert classes_by_item(index, f"{RED}\n", definitions=short) == {}
    assert classes_by_item(index, f"{RED} Astrid Lindgren", definitions=short) == {"author": BOTH}
    assert classes_by_item(index, f"{RED}\n", definitions=[ShortDefinition(alone_words=3)]) == {
        "author": ASKED
    }
    assert classes_by_item(index, SHORT, definitions=[ShortDefinition(alone_words=None)]) == {}


def test_context_words_of_a_short_question(index):
    text = f"Say who wrote it, {'and so on ' * 6} Astrid Lindgren"
    for words, expected in ((18, {}), (19, {"author": BOTH})):  # an answer begins within them
        assert classes_by_item(index, text, definitions=[ShortDefinition(context_words=words)]) == expected


def test_answer_words(index):
    text = f"{JANET} {'and so on ' * 6} 18"
    for words, kind in ((18, ASKED), (19, BOTH)):
        assert classes_by_item(index, text, answer_words=words)["janet"] == kind


def test_short_questions_of_unspaced_scripts(tmp_path):
    """Eight characters of Han are a seed, but only four words: too few to count without context."""
    index = build_items(tmp_path, [item(question="世界上最高的山是哪座", answer="珠穆朗玛峰")])
    assert classes(index, "世界上最高的山是哪座？") == {"short": ASKED}
    assert classes(index, "世界上最高的山是哪座？ 答案：珠穆朗玛峰")["short"] == BOTH
    assert classes(index, "我想知道世界上最高的山是哪座城市旁边的那一座山") == {}


def test_a_passage_has_many_answers_and_leaks_none(tmp_path):
    passage = "The Norman dynasty had a great impact on mediaeval Europe; in 1066 it came to rule over England as well."
    question = "In which year did the dynasty of the Normans come to rule over the kingdom of England?"
    index = build_items(tmp_path, [item("squad", passage=passage, question=question, answer="1066")])
    for text, kind in (
        (passage, ASKED),
        (f"{passage}\n{question}", ASKED),
        (f"{question}\n{passage}", ASKED),
        (f"{passage}\n{question}\n1066", BOTH),
    ):
        assert classes(index, text) == {"ngram_13": kind}, text


def test_a_solution_that_repeats_the_question_is_no_output_by_that(tmp_path):
    question = "How many clips did the girl called Natalia sell altogether in the months of April and May?"
    solution = "The girl called Natalia sell altogether in the months of April and May 72 clips."
    index = build_items(tmp_path, [item(question=question, solution=solution, answer="72")])
    eight = [NgramDefinition(n=8)]
    assert classes(index, question, definitions=eight) == {"ngram_8": ASKED}
    assert classes(index, f"{question} {FILLER} {solution}", definitions=eight) == {"ngram_8": BOTH}


def test_numbers_with_and_without_commas(tmp_path):
    index = build_items(
        tmp_path, [item(question=JANET, answer="1800"), item(question=PLANET, answer="2,125")]
    )
    for question, answer in ((JANET, "1,800"), (JANET, "1800"), (PLANET, "2125"), (PLANET, "$2,125")):
        assert set(classes(index, f"{question} {answer}").values()) == {BOTH}, answer


def test_long_choices_are_told_apart_wherever_they_stand(tmp_path):
    start = "A man is sitting on the roof of a small house in the country. He"
    endings = [
        "starts pulling up roofing on a roof and throws the old tiles down into the garden.",
        "is using wrap to wrap a pair of skis that he has carried up the ladder before.",
        "is ripping level tiles off with both of his hands while a dog looks on from below.",
    ]
    index = build_items(tmp_path, [item("hellaswag", question=start, choice=endings, answer=endings[0])])
    assert classes(index, f"{start} {endings[0]}") == {"ngram_13": BOTH}
    assert classes(index, f"{start} {FILLER * 3} {endings[0]}") == {"ngram_13": BOTH}
    assert classes(index, endings[0]) == {"ngram_13": TOLD}
    assert classes(index, f"{start} {endings[1]}") == {"ngram_13": ASKED}
    assert classes(index, f"{start}\n" + "\n".join(endings)) == {"ngram_13": ASKED}
    assert classes(index, f"{start}\n" + "\n".join(endings) + "\nAnswer: A") == {"ngram_13": BOTH}


def test_words_of_choices_are_no_markers_and_no_other_questions(tmp_path):
    choices = ["a mixture", "a solution", "a compound", "Earth revolves around the sun"]
    other = item("other", question="Earth revolves around the sun", answer="yes")
    index = build_items(
        tmp_path, [item("arc", "x", question=PLANET, choice=choices, answer="a compound"), other]
    )
    listed = "\n".join(f"{label}. {choice}" for label, choice in zip("ABCD", choices, strict=True))
    assert classes_by_item(index, f"{PLANET}\n{listed}")["x"] == ASKED
    assert classes_by_item(index, f"{PLANET}\n{listed}\nAnswer: C")["x"] == BOTH
    assert classes_by_item(index, f"{PLANET}\n{listed}\nSolution: C")["x"] == BOTH


def test_numbers_of_the_question_are_no_answer(tmp_path):
    question = (
        "For each truck tire that is repaired, the mechanic will charge $60 and for each truck tire that is "
        "repaired, the mechanic will charge $40. How much more does the one with six tires have to pay?"
    )
    index = build_items(tmp_path, [item(question=question, answer="40")])
    assert classes(index, question) == {"ngram_13": ASKED}
    assert classes(index, f"{question} 40") == {"ngram_13": BOTH}


@pytest.mark.parametrize(
    "choices",
    [
        ["Venus", "Mars", "Mars"],
        ["b", "a"],
        ["a b", "b", "a b c", "c"],
        ["Saturn", "Jupiter", "Saturn and Jupiter"],
        ["one"],
    ],
)
def test_choices_are_read_in_their_order(tmp_path, choices):
    first = item("x", "0", question=PLANET, choice=sorted(choices), answer=choices[-1])
    second = item("x", "1", question=f"{JANET} So?", choice=choices, answer=choices[0])
    index = read_index(build_items(tmp_path, [first, second]))
    labels = [int(hash_text(chr(65 + k), index)[0]) for k in range(26)]
    facts = read_facts(1, index, labels)
    assert [own.tobytes() for own in facts.choices] == [hash_text(c, index).tobytes() for c in choices]
    assert facts.right == {k for k, choice in enumerate(choices) if choice == choices[0]}


def test_words_that_are_no_list_of_choices_are_not_read_as_one():
    words = np.arange(20, dtype=np.uint64)
    assert put_in_order([words[1:3]], words, [0, 3]) is None
    assert put_in_order([], words, [0, 3]) is None


@pytest.mark.parametrize(
    ("before", "question", "behind", "alone"),
    [
        ("", "who is it", "", True),
        ("Oh! ", "who is it", "? I", True),
        ("。", "是谁", "？我", True),
        ("and ", "who is it", "? I", False),
        ("Oh! ", "who is it", " that I", False),
        ("<td>", "who is it", "</td>", True),
        ("\n  #7) ", "who is it", "\n", True),
        ("x" * 200 + "\nProblem 7: ", "who is it", "?", True),
        ("a" * 200, "who is it", "", False),
        ("Вопрос: ", "кто это", "?", True),
    ],
)
def test_standing_alone(before, question, behind, alone):
    raw = f"{before}{question}{behind}".encode()
    start = len(before.encode())
    assert stands_alone(raw, start, start + len(question.encode())) is alone


def test_markers_are_found_in_every_language(index):
    for marker in MARKERS:
        assert classes_by_item(index, f"{PLANET}\n{LISTED}\n{marker}: B")["planet"] == BOTH, marker


def test_questions_of_other_items_end_a_window():
    heads = Heads([(3, 0), (10, 1), (10, 2), (20, 0)], [(5, 0), (15, 1)])
    assert heads.next(4, 0, [], 99) == 10
    assert heads.next(4, 0, [], 9) == 9
    assert heads.next(4, 0, [(10, 12)], 99) == 99
    assert heads.next(4, 1, [], 99) == 10
    assert heads.next(11, 0, [], 99) == 99
    assert heads.last(15, 0, [], -1) == 15
    assert heads.last(15, 0, [(13, 15)], -1) == -1
    assert heads.last(14, 0, [], -1) == -1
    assert heads.last(20, 1, [], -1) == 5
    assert heads.last(20, 1, [], 6) == 6
    assert Anchor(1, 2, 3).missing == 3
