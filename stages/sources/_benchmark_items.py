"""Records made into items: parts in reading order, each answer resolved to text, every fault named."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stages.sources._benchmark_answers import Form, Forms, Written, infer_form, is_hidden, resolve
from stages.sources._benchmark_fields import (
    SHOWN,
    BenchmarkFields,
    Choices,
    ItemError,
    choices_at,
    look_through,
    names_in,
    parse_path,
    texts_at,
)
from stages.sources._benchmark_records import Record, matches
from stages.sources._benchmark_text import common_prefix, strip_before, strip_ends, unpack_options
from stages.sources._benchmark_unpack import Unpack

BARE_LABEL = re.compile(r"\(?[A-Za-z]\)?[.:]?")
FAULTS_SHOWN = 5


class Reading(NamedTuple):
    """How a benchmark's records become items."""

    name: str
    layouts: Sequence[BenchmarkFields]  # the first that a file's first record fits
    forms: Forms = ("text",)
    unpack: Unpack | None = None
    lenient: bool = False
    words: Mapping[str, str] = {}
    where: Mapping[str, Sequence[str]] = {}
    by_file: bool = False
    options: bool = False
    before: Sequence[str] = ()
    prefixes: Sequence[str] = ()
    suffixes: Sequence[str] = ()
    common: bool = False


class Item(NamedTuple):
    """One item."""

    benchmark: str
    item: str
    record: int  # its number in the file, from 0
    parts: list[tuple[str, str]]  # (part, text) in reading order


class Draft(NamedTuple):
    """An item before what only the whole file shows: a common prefix, the form of answers."""

    record: int
    id: str | None
    group: str | None
    passages: list[str]
    questions: list[str]
    written: Written
    solutions: list[str]


class Made(NamedTuple):
    """What a file gave."""

    items: list[Item]
    faults: list[str]
    records: int  # in the file, those that `where` leaves out among them


def fits(has: Callable[[str], bool], fields: BenchmarkFields) -> bool:
    """Whether there is everything that a layout cannot do without, given which names there are."""
    paths = [parse_path(spec) for spec in _specs(fields)]
    return all(any(map(has, names)) for path in paths if not path.optional for names in path.joined)


def _specs(fields: BenchmarkFields) -> list[str]:
    given = [getattr(fields, part) for part in type(fields).model_fields]
    return [spec for one in given if one is not None for spec in ([one] if isinstance(one, str) else one)]


class FilePlace(NamedTuple):
    """What of a file goes into the names of its items."""

    part: str  # its name in benchmarks that have a part a file
    first: int = 0  # number of records before this file
    alone: str | None = None  # a file that is one record: what its items are called

    def name_of(self, record: int, records: int, by_file: bool) -> str:
        """An item without an id of its own."""
        if by_file:
            return str(record)
        if self.alone is not None:
            return self.alone if records == 1 else f"{self.alone}/{record}"
        return str(self.first + record)


def make_items(records: Sequence[Record], reading: Reading, place: FilePlace) -> Made:
    """The items of one file, or what is wrong with them."""
    faults: list[str] = []
    unpacked = _unpack(records, reading.unpack, faults)
    chosen = [(n, record) for n, record in enumerate(unpacked) if matches(record, reading.where)]
    if not chosen:
        return Made([], faults or [_nothing_chosen(unpacked, reading.where)], len(unpacked))
    drafts = _drafts(chosen, reading, faults)
    items = []
    try:
        form = infer_form([draft.written for draft in drafts], reading.forms)
        for draft in _without_prefix(drafts) if reading.common else drafts:
            name = draft.id or place.name_of(draft.record, len(unpacked), reading.by_file)
            try:
                items.append(_finish(draft, name, form, reading, place.part))
            except ItemError as error:
                faults.append(f"record {draft.record}: {error}")
    except ItemError as error:
        faults.append(str(error))
    return Made(items, _first_faults(faults), len(unpacked))


def _unpack(records: Sequence[Record], unpack: Unpack | None, faults: list[str]) -> list[Record]:
    if unpack is None:
        return list(records)
    found: list[Record] = []
    for number, record in enumerate(records):
        try:
            found += unpack(record)
        except (ValueError, TypeError, AttributeError, SyntaxError) as error:
            faults.append(
                f"record {number}: not in the published layout: {error}; mend it, or write `fields`"
            )
    return found


def _drafts(chosen: Sequence[tuple[int, Record]], reading: Reading, faults: list[str]) -> list[Draft]:
    layout = _layout(chosen[0][1], reading.layouts)
    found = []
    for number, record in chosen:
        try:
            found.append(_draft(number, record, layout, reading))
        except ItemError as error:
            faults.append(f"record {number}: {error}")
    return found


def _first_faults(faults: list[str]) -> list[str]:
    more = len(faults) - FAULTS_SHOWN
    return [*faults[:FAULTS_SHOWN], f"{more} more records like these"] if more > 0 else faults


def _nothing_chosen(records: Sequence[Record], where: Mapping[str, Sequence[str]]) -> str:
    name = next(iter(where))
    values = sorted({str(record.get(name)) for record in records})
    return f"where: no record has {name} in {list(where[name])}; its values are: {', '.join(values[:SHOWN])}"


def _layout(record: Record, layouts: Sequence[BenchmarkFields]) -> BenchmarkFields:
    def has(name: str) -> bool:
        return look_through(record, name)[0]

    return next((layout for layout in layouts if fits(has, layout)), layouts[0])


def _draft(number: int, record: Record, layout: BenchmarkFields, reading: Reading) -> Draft:
    questions = [_plain(text, reading) for text in texts_at(record, layout.question, "question")]
    choices = choices_at(record, layout.choices)
    answers = texts_at(record, layout.answer, "answer")
    if _may_lack(layout.answer) and is_hidden(answers):
        answers = []
    answers = [reading.words.get(answer, answer) for answer in answers]
    bare = bool(choices.texts) and all(BARE_LABEL.fullmatch(text) for text in choices.texts)
    if bare or (reading.options and not choices.texts):
        questions, choices = _options(questions, choices)
    if not any(questions):
        raise ItemError(f"no question in {' or '.join(names_in(layout.question))}; fill it, or drop the item")
    _check_choices(choices)
    group = texts_at(record, layout.group, "group")
    ids = texts_at(record, layout.id, "id")
    return Draft(
        number,
        ids[0] if ids else None,
        group[0] if group else None,
        texts_at(record, layout.passage, "passage"),
        list(dict.fromkeys(filter(None, questions))),
        Written(answers, choices),
        texts_at(record, layout.solution, "solution"),
    )


def _plain(text: str, reading: Reading) -> str:
    return strip_ends(strip_before(text, reading.before), reading.prefixes, reading.suffixes)


def _may_lack(spec: str | Sequence[str] | None) -> bool:
    specs = [spec] if isinstance(spec, str) else spec or []
    return all(parse_path(one).optional for one in specs)


def _options(questions: list[str], choices: Choices) -> tuple[list[str], Choices]:
    """Questions without the choices that stand in them, and these; of bare labels the texts."""
    found = [unpack_options(question) for question in questions]
    if not found or found[0] is None:
        return questions, choices
    bare = [options.question if options else text for options, text in zip(found, questions, strict=True)]
    return bare, Choices(found[0].choices, found[0].labels)


def _check_choices(choices: Choices) -> None:
    empty = [number for number, text in enumerate(choices.texts) if not text]
    if empty and len(empty) == len(choices.texts):
        raise ItemError("all of its choices are empty; fill them, or drop the item")


def _without_prefix(drafts: list[Draft]) -> list[Draft]:
    prefix = common_prefix([draft.questions[0] for draft in drafts])
    return [
        draft._replace(questions=[question.removeprefix(prefix).strip() for question in draft.questions])
        for draft in drafts
    ]


def _finish(draft: Draft, item: str, form: Form, reading: Reading, file_part: str) -> Item:
    answers = resolve(draft.written, form, reading.lenient)
    parts = [
        *(("passage", text) for text in draft.passages),
        *(("question", text) for text in draft.questions),
        *(("choice", text) for text in draft.written.choices.texts if text),
        *(("solution", text) for text in draft.solutions),
        *(("answer", text) for text in answers),
    ]
    part = draft.group or (file_part if reading.by_file else None)
    return Item(f"{reading.name}/{part}" if part else reading.name, item, draft.record, parts)


def twice(items: Sequence[tuple[str, Item]]) -> list[str]:
    """What to say of ids that two items of a benchmark have, given each with its file."""
    seen: dict[tuple[str, str], tuple[str, int]] = {}
    faults = []
    for file, item in items:
        there = seen.setdefault((item.benchmark, item.item), (file, item.record))
        if there != (file, item.record):
            faults.append(
                f"{file}: record {item.record}: the id '{item.item}' of {item.benchmark} is also that of record "
                f"{there[1]} of {there[0]}; make ids unique, or name another field in `fields: {{id: ...}}`"
            )
    return _first_faults(faults)
