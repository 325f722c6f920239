"""Dialogues in three formats, and the faults planted in them."""

import json
from collections.abc import Callable
from typing import NamedTuple

from .articles import HERE, Library
from .grammar import Draw, read_grammar

SUBJECTS = {
    "bread": "baking bread", "garden": "a kitchen garden", "tide": "tides", "bicycle": "bicycle repair",
    "history": "local history", "astronomy": "stargazing", "river": "river life", "chess": "chess",
    "sailing": "small boats", "programming": "programming", "bees": "beekeeping", "travel": "slow travel",
    "weather": "weather watching", "pottery": "pottery", "birds": "birdwatching",
}  # fmt: skip
PHONE, MAIL, CARD = "+44 20 7946 0123", "ruth.pellow@example.org", "4012 8888 8888 1881"
Turn = tuple[str, str]


class Dialogue(NamedTuple):
    """Turns of (role, content), with OpenAI's role names."""

    id: str
    turns: list[Turn]


class Fault(NamedTuple):
    """A fault of one dialogue; `same_as` for copies, `value` for personal data."""

    id: str
    fault: str
    about: dict[str, str]


def dialogue(library: Library, seed: str, turns: int, *, system: bool) -> Dialogue:
    """A sound dialogue: maybe a system turn, then user and assistant in turns."""
    grammar = read_grammar(HERE / "dialogues.txt")
    draw = Draw(seed)
    topic = draw.choice(sorted(SUBJECTS))

    def say(kind: str) -> str:
        return grammar.expand(draw.choice(grammar.topics[kind].sentences), draw).replace(
            "%s", SUBJECTS[topic]
        )

    out: list[Turn] = [("system", say("system"))] if system else []
    told = draw.sample(library.grammar.topics[topic].sentences, 12)
    for i in range(turns):
        out.append(("user", say("follow" if i else "opening")))
        answer = [library.grammar.expand(told.pop(), draw) for _ in range(draw.between(2, 3))]
        out.append(("assistant", " ".join(answer)))
    return Dialogue(seed, out)


def add_to(turns: list[Turn], at: int, text: str) -> list[Turn]:
    """The turns with a sentence added to one of them."""
    role, content = turns[at]
    return [*turns[:at], (role, f"{content} {text}".strip()), *turns[at + 1 :]] if at >= 0 else turns


BREAK: dict[str, Callable[[list[Turn]], list[Turn]]] = {
    "empty_turn": lambda t: [*t[:-1], (t[-1][0], "")],
    "blank_turn": lambda t: [(t[0][0], " \n\t"), *t[1:]],
    "same_role_twice": lambda t: [t[0], (t[0][0], "Are you still there?"), *t[1:]],
    "ends_with_user": lambda t: t[:-1] if len(t) > 2 else [*t, ("user", "And then?")],
    "unknown_role": lambda t: [("narrator", "It was a dark evening."), *t],
    "no_assistant": lambda t: [turn for turn in t if turn[0] != "assistant"][:1],
    "no_turns": lambda _: [],
    "starts_with_assistant": lambda t: t[1:],
    "pii": lambda t: add_to(add_to(t, 0, f"My address is {MAIL}."), 1, f"Call {PHONE}, the card is {CARD}."),
    "bad_words": lambda t: add_to(
        t, 1, "You zarkwit, go and tell those blorgfangs of crap elsewhere, snivvelgob."
    ),
}


def collection(library: Library, name: str, count: int) -> tuple[list[Dialogue], list[Fault]]:
    """`count` dialogues, of which every fault of BREAK has one and two are copies."""
    good = [
        dialogue(library, f"{name}-{i:03}", 1 + i % 3, system=i % 4 == 0 and i >= 20) for i in range(count)
    ]
    faults = []
    for i, (fault, spoil) in enumerate(BREAK.items()):
        at = 2 * i + 1  # these have no system turn
        good[at] = good[at]._replace(turns=spoil(good[at].turns))
        values = {"EMAIL_ADDRESS": MAIL, "PHONE_NUMBER": PHONE, "CREDIT_CARD": CARD} if fault == "pii" else {}
        faults.append(Fault(good[at].id, fault, values))
    for to, source in ((count - 1, 22), (count - 2, 26)):
        good[to] = good[to]._replace(turns=good[source].turns)
        faults.append(Fault(good[to].id, "exact_duplicate", {"same_as": good[source].id}))
    return good, faults


def sharegpt(dialogues: list[Dialogue]) -> bytes:
    """ShareGPT lines: {"id", "conversations": [{"from", "value"}]}."""
    names = {"user": "human", "assistant": "gpt"}
    rows = [
        {"id": d.id, "conversations": [{"from": names.get(r, r), "value": c} for r, c in d.turns]}
        for d in dialogues
    ]
    return dump(rows)


def messages(dialogues: list[Dialogue]) -> bytes:
    """OpenAI lines: {"id", "messages": [...]}; a few sound ones get a tool call and its answer."""
    rows = []
    for i, d in enumerate(dialogues):
        turns: list[dict[str, object]] = [{"role": r, "content": c} for r, c in d.turns]
        row: dict[str, object] = {"id": d.id, "messages": turns}
        if i >= 20 and i % 6 == 5 and i < len(dialogues) - 2:
            call = {"name": "look_up", "arguments": json.dumps({"page": i})}
            turns[-1:-1] = [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": f"call_{i}", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": f"call_{i}", "content": f"page {i}: see the almanac"},
            ]
            parameters = {"type": "object", "properties": {"page": {"type": "integer"}}}
            row["tools"] = [{"type": "function", "function": {"name": "look_up", "parameters": parameters}}]
        rows.append(row)
    return dump(rows)


def alpaca(library: Library, count: int) -> tuple[bytes, list[Fault]]:
    """Alpaca lines: {"id", "instruction", "input", "output"}, a third with an input."""
    rows = []
    for i in range(count):
        d = dialogue(library, f"alpaca-{i:03}", 1, system=False)
        given = library.sentence(f"alpaca-input-{i}", "any") if i % 3 == 0 else ""
        rows.append({"id": d.id, "instruction": d.turns[0][1], "input": given, "output": d.turns[1][1]})
    rows[1]["output"] = ""
    rows[2]["instruction"] = "  "
    rows[4]["output"] += f" Write to {MAIL} or pay with {CARD}."
    rows[5]["output"] += " You zarkwit, go and tell those blorgfangs of crap elsewhere, snivvelgob."
    faults = [Fault(rows[1]["id"], "empty_turn", {}), Fault(rows[2]["id"], "blank_turn", {})]
    faults += [Fault(rows[4]["id"], "pii", {"EMAIL_ADDRESS": MAIL, "CREDIT_CARD": CARD})]
    faults += [Fault(rows[5]["id"], "bad_words", {})]
    for to, source in ((count - 1, 10), (count - 2, 11)):
        rows[to] = {**rows[source], "id": rows[to]["id"]}
        faults.append(Fault(rows[to]["id"], "exact_duplicate", {"same_as": rows[source]["id"]}))
    del rows[7]["output"]
    return dump(rows), [*faults, Fault(rows[7]["id"], "missing_field", {})]


def dump(rows: list[dict[str, object]]) -> bytes:
    """JSON lines, UTF-8."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
