"""From what a benchmark writes for an answer, an index, a letter or a text, to the text of the right choice."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

from stages.sources._benchmark_fields import HIDDEN, Choices, ItemError
from stages.sources._benchmark_text import plain_letter

Form = Literal["text", "index0", "index1", "letter"]
FORMS: tuple[Form, ...] = get_args(Form)
Forms = tuple[Form, ...]


class Written(NamedTuple):
    """What a record says."""

    answers: list[str]
    choices: Choices


def resolve(written: Written, form: Form, lenient: bool = False) -> list[str]:
    """The acceptable answers as texts; of a multiple-choice item, the right choice's first.

    Args:
        written: what the record says.
        form: how it says it; without choices every answer is text.
        lenient: an answer that fits no choice is kept as it is.

    Raises:
        ItemError: an answer that means none of the choices.
    """
    answers, choices = written
    if not choices.texts or not answers:
        return answers
    places = [place_of(answer, choices, form) for answer in answers]
    if all(place is None for place in places) and not lenient:
        raise ItemError(_no_choice(answers[0], choices, form))
    right = [choices.texts[place] for place in places if place is not None]
    others = [answer for answer, place in zip(answers, places, strict=True) if place is None]
    return list(dict.fromkeys([*right, *others]))


def place_of(answer: str, choices: Choices, form: Form) -> int | None:
    """Which choice an answer means, from 0; None if none.

    >>> abc = Choices(["one", "two"], None)
    >>> place_of("(B)", abc, "letter"), place_of("2", abc, "index1"), place_of("2", abc, "index0")
    (1, 1, None)
    """
    return PLACES[form](answer.strip(), choices)


def _by_text(answer: str, choices: Choices) -> int | None:
    return choices.texts.index(answer) if answer in choices.texts else None


def _by_letter(answer: str, choices: Choices) -> int | None:
    letter = plain_letter(answer)
    labels = choices.labels or [chr(ord("A") + i) for i in range(len(choices.texts))]
    upper = [plain_letter(label) for label in labels]
    return upper.index(letter) if letter in upper else None


def _by_index(first: int) -> Callable[[str, Choices], int | None]:
    def place(answer: str, choices: Choices) -> int | None:
        digits = answer.removesuffix(".0")
        number = int(digits) - first if digits.lstrip("-").isdecimal() else -1
        return number if 0 <= number < len(choices.texts) else None

    return place


PLACES: dict[Form, Callable[[str, Choices], int | None]] = {
    "text": _by_text,
    "letter": _by_letter,
    "index0": _by_index(0),
    "index1": _by_index(1),
}


def is_hidden(answers: Sequence[str]) -> bool:
    """Whether a test set keeps its answer to itself."""
    return all(answer in HIDDEN for answer in answers)


def infer_form(items: Sequence[Written], allowed: Forms) -> Form:
    """The one form that fits the answers of all items; the best fitting one if none fits all.

    Raises:
        ItemError: several fit, and they do not mean the same choices.
    """
    some = [item for item in items if item.answers and item.choices.texts]
    if not some or len(allowed) == 1:
        return allowed[0]
    placed = {
        form: [[place_of(a, item.choices, form) for a in item.answers] for item in some] for form in allowed
    }
    fits = [form for form in allowed if all(_any(places) for places in placed[form])]
    if "letter" in fits and all(item.choices.labels for item in some):
        return "letter"  # choices that come with labels are meant by them, numbers or not
    if len(fits) > 1 and any(placed[form] != placed[fits[0]] for form in fits[1:]):
        raise ItemError(
            f"answers such as '{some[0].answers[0]}' may be {' or '.join(fits)}; write answer_form: {fits[0]} (or "
            f"{fits[1]})"
        )
    return fits[0] if fits else max(allowed, key=lambda form: sum(map(_any, placed[form])))


def _any(places: Sequence[int | None]) -> bool:
    return any(place is not None for place in places)


def _no_choice(answer: str, choices: Choices, form: Form) -> str:
    count = len(choices.texts)
    shown = ", ".join(f"'{text[:40]}'" for text in choices.texts[:6])
    ranges = {
        "index0": f"an index from 0 to {count - 1}",
        "index1": f"a number from 1 to {count}",
        "letter": f"a label from {(choices.labels or ['A'])[0]} to {(choices.labels or [chr(64 + count)])[-1]}",
        "text": "the text of a choice",
    }
    other = ", ".join(f for f in FORMS if f != form)
    return (
        f"answer '{answer[:80]}' is not {ranges[form]} (choices: {shown}); mend the record, or write another "
        f"answer_form: {other}"
    )
