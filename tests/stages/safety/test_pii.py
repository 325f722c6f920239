"""scrub_pii: what it finds, what it leaves alone, and that it changes nothing else."""

import json
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.schema import MESSAGES, TEXT
from stages.safety import pii
from stages.safety.pii import ScrubPii, find_all, replace_spans, scrub_json

ALL = ["EMAIL_ADDRESS", "IP_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN"]


@pytest.fixture(scope="module")
def judges():
    return ScrubPii(entities=ALL).open({})


def batch(*texts):
    return pa.record_batch([pa.array(texts, pa.large_string())], schema=pa.schema([TEXT]))


def scrub(judges, text, **params):
    marks = ScrubPii(entities=ALL, **params).annotate(batch(text), judges)
    return marks.columns["text"][0].as_py()


def found(judges, text):
    marks = ScrubPii(entities=ALL).annotate(batch(text), judges)
    evidence = marks.evidence[0].as_py()
    return [(s["entity"], text[s["start"] : s["end"]]) for s in evidence["spans"]] if evidence else []


FOUND = [
    ("Write to a@b.io", "EMAIL_ADDRESS", "a@b.io"),  # at the end of the text
    ("a@b.io, please", "EMAIL_ADDRESS", "a@b.io"),
    ("(First.Last+tag@Mail.Example.CO.UK).", "EMAIL_ADDRESS", "First.Last+tag@Mail.Example.CO.UK"),
    ("an müller@web.de", "EMAIL_ADDRESS", "müller@web.de"),
    ("info@münchen.de", "EMAIL_ADDRESS", "info@münchen.de"),
    ("почта иван@почта.рф сегодня", "EMAIL_ADDRESS", "иван@почта.рф"),
    ("联系我foo@bar.com谢谢", "EMAIL_ADDRESS", "foo@bar.com"),
    ("mailto:foo@bar.com?subject=x", "EMAIL_ADDRESS", "foo@bar.com"),
    ("x = 'foo@bar.com'", "EMAIL_ADDRESS", "foo@bar.com"),
    ("FOO@BAR.COM", "EMAIL_ADDRESS", "FOO@BAR.COM"),
    ("from 81.2.69.160.", "IP_ADDRESS", "81.2.69.160"),
    ("http://81.2.69.160:8080/x", "IP_ADDRESS", "81.2.69.160"),
    ("?ip=81.2.69.160&x", "IP_ADDRESS", "81.2.69.160"),
    ("client 2001:db8:85a3::8a2e:370:7334 said", "IP_ADDRESS", "2001:db8:85a3::8a2e:370:7334"),
    ("[2a02:8109:9a40:1778:c4cc:6aef:9f59:7b34]", "IP_ADDRESS", "2a02:8109:9a40:1778:c4cc:6aef:9f59:7b34"),
    ("card 4111 1111 1111 1111 12/29", "CREDIT_CARD", "4111 1111 1111 1111"),
    ("5555-5555-5555-4444", "CREDIT_CARD", "5555-5555-5555-4444"),
    ("amex 3782 822463 10005", "CREDIT_CARD", "3782 822463 10005"),
    ("2223003122003222", "CREDIT_CARD", "2223003122003222"),  # Mastercard's 2-series
    ("call (905) 674-3793 now", "PHONE_NUMBER", "(905) 674-3793"),
    ("+1 905-674-3793", "PHONE_NUMBER", "+1 905-674-3793"),
    ("Tel.: 030 901820", "PHONE_NUMBER", "030 901820"),
    ("appelez le 01 42 68 53 00", "PHONE_NUMBER", "01 42 68 53 00"),
    ("电话：010-62751407", "PHONE_NUMBER", "010-62751407"),
    ("phone: 01238 762 624-6872 or", "PHONE_NUMBER", "01238 762 624-6872"),  # in no plan, and whole
    ("ring +05-46 589.8630", "PHONE_NUMBER", "+05-46 589.8630"),
    ("pay DE89 3704 0044 0532 0130 00 today", "IBAN_CODE", "DE89 3704 0044 0532 0130 00"),
    ("SSN 460-89-9847", "US_SSN", "460-89-9847"),
]


@pytest.mark.parametrize(("text", "entity", "value"), FOUND)
def test_finds_the_exact_span_and_leaves_the_rest(judges, text, entity, value):
    assert found(judges, text) == [(entity, value)]
    assert scrub(judges, text) == text.replace(value, f"<{entity}>")  # each value occurs once


CLEAN = [
    "",
    "word",
    "version 2.1.3.4 and v10.20.30.41, build 1.22.33.44",
    "OID 1.3.6.1.4.1.311.21 and 2.16.840.1.113883",
    "between sections 4.12.7.1 and 4.12.7.3, versions 10.1.2.30, 10.1.2.31 or 10.1.2.32",
    "npm i types/node@18.0.1 react@18.2.0-rc.1",
    "Chrome/91.0.44.124 rv:1.9.0.20) pkg-1.10.2.45.tar.gz pkg==1.10.2.45",
    "127.0.0.1, 192.168.1.7, 10.0.0.1/8, ::1, fe80::1%eth0, 255.255.255.0",
    "std::vector<int> dead::beef f1::<u32>() at 12:34:56.789012",
    "00:1A:2B:3C:4D:5E and 550e8400-e29b-41d4-a716-446655440000",
    "ISBN 978-0-306-40615-7, ISBN 0-306-40615-2, doi 10.1000/182",
    "4111 1111 1111 1112 and 4111111111111112 fail the checksum",
    "3.141592653589793238 1700000000000 1,234,567,890.00",
    "on 2004-05-06 12:00, 06.05.2004, 1914-1918, 1999/2000",
    "5035 7 0 15 24\n5033 4 6 15 26",
    "@someone wrote user@localhost and a@b",
    "$1 234 567, 50 000 000 people, #1234567890",
    "phone IMEI 577753326857684, id 817503310447731",
    "漢字だけの文章。한국어 문장입니다. ไม่มีข้อมูล",
    "SSN 078-05-1120 is the one printed in wallets",
]


@pytest.mark.parametrize("text", CLEAN)
def test_leaves_what_only_looks_like_it(judges, text):
    assert found(judges, text) == []
    assert scrub(judges, text) == text


def test_null_stays_null_and_clean_columns_are_not_copied(judges):
    given_batch = batch(None, "", "nothing here")
    marks = ScrubPii().annotate(given_batch, judges)
    assert marks.columns["text"] is given_batch["text"] or marks.columns["text"].equals(given_batch["text"])
    assert marks.columns["text"].buffers()[2].address == given_batch["text"].buffers()[2].address
    assert marks.columns["pii_email_address"].to_pylist() == [0, 0, 0]
    assert marks.evidence.null_count == 3


@pytest.mark.parametrize("action", ["replace", "reject", "mark"])
@pytest.mark.parametrize("column", ["text", "messages"])
def test_empty_batch_keeps_the_schema(judges, action, column):
    stage = ScrubPii(entities=ALL, action=action, column=column)
    empty = pa.schema([TEXT, MESSAGES]).empty_table().to_batches() or [
        pa.record_batch(
            [pa.array([], TEXT.type), pa.array([], MESSAGES.type)], schema=pa.schema([TEXT, MESSAGES])
        )
    ]
    marks = stage.annotate(empty[0], judges)
    assert {name: array.type for name, array in marks.columns.items()} == {
        f.name: f.type for f in stage.writes()
    }


def test_rows_keep_their_place(judges):
    marks = ScrubPii().annotate(batch("x", "a@b.io", "y", "c@d.io z"), judges)
    assert marks.columns["text"].to_pylist() == ["x", "<EMAIL_ADDRESS>", "y", "<EMAIL_ADDRESS> z"]
    assert marks.columns["pii_email_address"].to_pylist() == [0, 1, 0, 1]


def test_a_sliced_batch_is_read_from_its_own_rows(judges):
    marks = ScrubPii().annotate(batch("a@b.io", "c@d.io", "x").slice(1), judges)
    assert marks.columns["text"].to_pylist() == ["<EMAIL_ADDRESS>", "x"]


def test_equal_text_elsewhere_is_not_touched(judges):
    # 4111111111111111 in a longer number is not the card: str.replace would have hit it
    text = "4111111111111111 is not 00004111111111111111000"
    assert scrub(judges, text) == "<CREDIT_CARD> is not 00004111111111111111000"


def test_reject_and_mark_leave_the_text(judges):
    rejected = ScrubPii(action="reject").annotate(batch("a@b.io", "x"), judges)
    assert rejected.reject.to_pylist() == ["contains_pii", None]
    assert "text" not in rejected.columns
    marked = ScrubPii(action="mark").annotate(batch("a@b.io", "x"), judges)
    assert marked.reject is None
    assert marked.columns["pii_email_address"].to_pylist() == [1, 0]


def test_evidence_never_holds_the_value(judges):
    marks = ScrubPii(entities=ALL).annotate(batch(" ".join(text for text, _, _ in FOUND)), judges)
    shown = json.dumps(marks.evidence.to_pylist())
    assert all(value not in shown for _, _, value in FOUND)


def test_a_failing_judge_fails_the_batch_and_passes_nothing_as_clean():
    def broken(text, candidate):
        raise RuntimeError("no verdict")

    judges = {pii.Entity.EMAIL_ADDRESS: broken}
    with pytest.raises(RuntimeError, match="no verdict"):
        ScrubPii(entities=["EMAIL_ADDRESS"]).annotate(batch("a@b.io"), judges)


def test_order_of_entities_does_not_matter(judges):
    text = " | ".join(text for text, _, _ in FOUND)
    one, other = ScrubPii(entities=ALL), ScrubPii(entities=ALL[::-1])
    first, second = one.annotate(batch(text), one.open({})), other.annotate(batch(text), other.open({}))
    assert first.columns["text"].equals(second.columns["text"])
    assert first.evidence.equals(second.evidence)


def test_min_score_and_private_addresses_are_params(judges):
    assert (
        ScrubPii(min_score=0.5).annotate(batch("905-674-3793"), judges).columns["text"][0].as_py()
        == "905-674-3793"
    )
    stage = ScrubPii(keep_private_ips=False)
    assert (
        stage.annotate(batch("at 192.168.1.7"), stage.open({})).columns["text"][0].as_py()
        == "at <IP_ADDRESS>"
    )


PIECES = [value for _, _, value in FOUND] + [
    " ",
    ", ",
    ".",
    "-",
    "@",
    ":",
    "1",
    "a",
    "ü",
    "漢",
    "\n",
    "+",
    "(",
    "/",
    "call ",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_scrubbing_twice_is_scrubbing_once(pieces):
    judges = _module_judges()
    once = scrub(judges, "".join(pieces))
    assert scrub(judges, once) == once
    # and what is left outside placeholders is the text, in order
    rest = re.split("|".join(f"<{name}>" for name in ALL), once)
    at = 0
    for piece in rest:
        at = "".join(pieces).index(piece, at) + len(piece)


_CACHE = {}


def _module_judges():
    if not _CACHE:
        _CACHE.update(ScrubPii(entities=ALL).open({}))
    return _CACHE


def test_a_span_that_a_placeholder_uncovers_goes_too_with_offsets_of_the_input():
    def find(text):  # "b" counts only at the start of the text or after a bracket
        return [pii.Span("X", m.start(), m.end(), 1.0) for m in re.finditer(r"(?<![^>])b", text)] or [
            pii.Span("LONG", m.start(), m.end(), 1.0) for m in re.finditer("aaaaaa", text)
        ]

    text = "aaaaaab"
    spans = find_all(text, find, "<{entity}>")
    assert [(s.start, s.end) for s in spans] == [(0, 6), (6, 7)]
    assert replace_spans(text, spans, "<{entity}>") == "<LONG><X>"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"replacement": "EMAIL"}, "'EMAIL' could be read as part of a word"),
        ({"replacement": "<{name}>"}, "no field but {entity}"),
        ({"replacement": "<x@y.io>"}, "could be read as part"),
        ({"phone_regions": ["US", "XX"]}, "XX is no region"),
    ],
)
def test_params_that_cannot_work_are_told(params, message):
    assert any(message in problem for problem in ScrubPii(**params).problems())


def messages_batch(*dialogues):
    texts = ["; ".join(m["content"] or "" for m in d) if d else None for d in dialogues]
    return pa.record_batch(
        [pa.array(texts, TEXT.type), pa.array(dialogues, MESSAGES.type)], schema=pa.schema([TEXT, MESSAGES])
    )


def test_messages_are_scrubbed_with_their_calls_and_their_text(judges):
    call = json.dumps(
        [{"function": {"name": "pay", "arguments": {"card": 4111111111111111, "to": "a@b.io"}}}]
    )
    given_batch = messages_batch(
        [
            {"role": "user", "content": "I am a@b.io"},
            {"role": "assistant", "content": None, "tool_calls": call},
        ],
        None,
        [],
        [{"role": "user", "content": "hello", "weight": 0.0}],
    )
    marks = ScrubPii(column="messages").annotate(given_batch, judges)
    out = marks.columns["messages"].to_pylist()
    assert out[0][0]["content"] == "I am <EMAIL_ADDRESS>"
    arguments = json.loads(out[0][1]["tool_calls"])[0]["function"]["arguments"]
    assert arguments == {"card": "<CREDIT_CARD>", "to": "<EMAIL_ADDRESS>"}
    assert out[1:] == given_batch["messages"].to_pylist()[1:]
    assert marks.columns["text"][0].as_py() == "I am <EMAIL_ADDRESS>; "
    assert marks.columns["pii_email_address"].to_pylist() == [2, 0, 0, 0]
    assert [s["message"] for s in marks.evidence[0].as_py()["spans"]] == [0, 1, 1]


def test_json_without_findings_keeps_its_bytes():
    value = '{"a" :  [1.50, true, null, "x"]}'
    assert scrub_json(value, lambda text: [], "<{entity}>") == (value, 0)


def test_a_huge_text_of_near_misses_is_scanned_in_linear_time(judges):
    # 2 MB that a backtracking engine would chew on for minutes; the suite's timeout is the limit
    text = "a." * 400_000 + "@" + "1-" * 300_000 + "::" * 100_000
    assert scrub(judges, text) == text
