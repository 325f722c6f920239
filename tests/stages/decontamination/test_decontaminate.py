"""Copies are found whatever their dress, told by item and class, cut cleanly, and everything else is left alone."""

import json

import pyarrow as pa
import pytest

from pipeline.schema import CONTAMINATION
from stages.decontamination._definitions import (
    CoverageDefinition,
    LongestSpanDefinition,
    NgramDefinition,
    RareNgramsDefinition,
    ShortDefinition,
)
from stages.decontamination._verdicts import EVIDENCE_TYPE, ProtectedSource
from stages.decontamination.decontaminate import Decontaminate
from tests.stages.decontamination.indexes import annotate, build_items, item, reasons

ITEM = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
SOLUTION = "In May she sold 48/2 = 24 of them to others, so that makes 48 + 24 = 72 clips in all these weeks."
SHORT = "Which planet is called the red one?"  # 7 words
FILLER = "".join(f"Plain sentence {i} is about nothing in particular. " for i in range(60))  # 3 KB
EVERY = [
    NgramDefinition(),
    NgramDefinition(n=8),
    CoverageDefinition(),
    CoverageDefinition(of="ngrams", name="palm"),
    LongestSpanDefinition(skip_words=1),
    RareNgramsDefinition(),
    ShortDefinition(),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return build_items(
        tmp_path_factory.mktemp("index"),
        [
            item("gsm8k", "natalia", question=ITEM, solution=SOLUTION, answer="72"),
            item("arc", "red", question=SHORT, choice=["Venus", "Mars"], answer="Mars"),
        ],
        rare_words=5,
    )


# --- what is found --------------------------------------------------------------------------------------------

DRESSES = {
    "verbatim": ITEM,
    "upper case": ITEM.upper(),
    "no punctuation": ITEM.replace(",", "").replace(".", "").replace("?", ""),
    "a dash on its own": ITEM.replace(", and", " - and"),
    "dashes": ITEM.replace(" ", "\u2014"),
    "no-break spaces": ITEM.replace(" ", "\u00a0"),
    "narrow and wide spaces": ITEM.replace(" ", "\u202f\u3000"),
    "line breaks": ITEM.replace(" ", "\r\n> "),
    "curly quotes": ITEM.replace("clips", "\u201cclips\u201d"),
    "emphasis": ITEM.replace("clips", "**clips**"),
    "soft hyphens": ITEM.replace("Natalia", "Na\u00adta\u00adlia"),
    "zero-width joiners": ITEM.replace("sold", "so\u200dld"),
    "markup": "<p>" + ITEM.replace(". ", ".</p><p>") + "</p>",
    "entities": ITEM.replace(",", "&#44;").replace("?", "&quest;").replace("48", "&#52;8"),
    "other digits": ITEM.replace("48", "٤٨"),
    "full width": ITEM.replace("48", "４８").replace("Natalia", "Ｎａｔａｌｉａ"),
    "accents": ITEM.replace("Natalia", "Natália").replace("clips", "clips\u0301"),
    "a table": "| 1 | " + ITEM.replace(". ", ". | ") + " | 72 |",
    "first 13 words": " ".join(ITEM.split()[:13]),
    "last 13 words": " ".join(ITEM.split()[-13:]),
}


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("place", ["start", "middle", "end", "alone"])
def test_a_copy_is_found(index, dress, place):
    """T31: no dash, quote, space or entity hides a match."""
    text = DRESSES[dress]
    if place != "alone":
        at = {"start": 0, "middle": FILLER.index("Plain sentence 30"), "end": len(FILLER)}[place]
        text = f"{FILLER[:at]}{text} {FILLER[at:]}"
    (reason,) = reasons(index, [text])
    assert reason == ("contaminated_input_and_output" if dress == "a table" else "contaminated_input")


@pytest.mark.parametrize(
    "text",
    [
        FILLER,
        " ".join(ITEM.split()[:12]),
        ITEM.replace("48", "75").replace("half", "twice").replace("clips", "pens"),
        " ".join(ITEM.split()[::-1]),
        " ".join(f"{word} and" for word in ITEM.split()),
        "",
        None,
        "word",
        "...",
        "橋は三本ある。" * 20,
        "Do you know which planet is called the red one by those who live there?",
    ],
)
def test_what_is_no_copy_is_left_alone(index, text):
    (found,) = annotate(Decontaminate(), index, [text])
    assert (found["reason"], found["evidence"], found["items"], found["leaks"]) == (None, None, 0, [])


def test_upper_case_beyond_ascii(tmp_path):
    """T33, and accents: a copy without them is a copy."""
    text = "Où était l'école élémentaire de l'île, et combien d'élèves y étudiaient à l'été dernier ?"
    index = build_items(tmp_path, [item(question=text)])
    assert (
        reasons(index, [text.upper(), text.replace("É", "E").replace("é", "e")]) == ["contaminated_input"] * 2
    )


def test_scripts_without_spaces(tmp_path):
    text = "太郎は四月に友達四十八人に髪留めを売り、五月にはその半分の数の髪留めを売りました。"
    index = build_items(tmp_path, [item(question=text)])
    assert reasons(index, [f"問題: {text[:-1]}!", text[:12], "太郎は五月に本を買いました。"]) == [
        "contaminated_input",
        None,
        None,
    ]


def test_short_items_match_as_a_whole(index):
    """T34: a question with fewer words than a seed is found whole, in context."""
    said = annotate(
        Decontaminate(), index, [f"He asked: {SHORT.lower()} Nobody knew.", SHORT[:-5], f"{SHORT} Mars"]
    )
    assert said[0]["evidence"]["matched"] == SHORT.lower()[:-1]
    assert [s["reason"] for s in said] == ["contaminated_input", None, "contaminated_input_and_output"]


def test_the_most_leaked_item_is_found(index):
    """T35: no n-gram is too common to count."""
    assert reasons(index, [ITEM] * 1000 + [ITEM * 100]) == ["contaminated_input"] * 1001


def test_every_item_of_a_document_is_found(tmp_path):
    """T36: nothing limits how many items one document can have."""
    questions = [" ".join(f"w{k}x{i}" for i in range(15 + k % 7)) for k in range(700)]
    index = build_items(tmp_path, [item(question=question) for question in questions])
    (found,) = annotate(Decontaminate(), index, [f"{FILLER} " + "\n".join(questions)])
    assert {leak["item"] for leak in found["leaks"]} == {str(k) for k in range(700)}
    assert [leak["matched"] for leak in found["leaks"]] == questions
    assert (found["items"], found["evidence"]["leaks"], found["evidence"]["spans"]) == (700, 700, 700)


def test_a_huge_document(index):
    (found,) = annotate(Decontaminate(), index, [FILLER * 400 + ITEM + FILLER * 400])
    assert found["evidence"]["start"] == len(FILLER) * 400


@pytest.mark.parametrize("action", ["reject", "cut", "mark"])
def test_batches_without_rows(index, action):
    assert annotate(Decontaminate(action=action, definitions=EVERY), index, []) == []


# --- what is said about it ------------------------------------------------------------------------------------


def test_evidence_names_the_item_and_the_span(index):
    before = "Größe ist 橋 🎉 nicht alles: "
    (found,) = annotate(Decontaminate(), index, [f"{before}{ITEM} So it is."])
    leak = {
        "benchmark": "gsm8k",
        "item": "natalia",
        "class": "input_only",
        "part": "input",
        "definition": "ngram_13",
        "score": 31.0,
        "matched": ITEM[:-1],
        "start": len(before),
        "end": len(before) + len(ITEM) - 1,
    }
    assert found["evidence"] == {**leak, "items": 1, "leaks": 1, "spans": 1, "removed_chars": 0}
    assert found["leaks"] == [{**leak, "decides": True}]
    assert set(found["evidence"]) == {field.name for field in EVIDENCE_TYPE}


def test_spans_are_those_of_the_text_as_given(index):
    dressed = DRESSES["entities"]
    (found,) = annotate(Decontaminate(), index, [f"&lt;b&gt; {dressed} &amp; so on"])
    assert found["evidence"]["matched"] == dressed.removesuffix("&quest;")


def test_the_most_telling_leak_is_shown(tmp_path):
    long, short = (
        " ".join(f"{word}{i}" for i in range(count)) for word, count in (("left", 40), ("right", 15))
    )
    index = build_items(
        tmp_path, [item("mmlu", "long", question=long), item("gsm8k", "both", question=short, answer="7")]
    )
    (found,) = annotate(Decontaminate(), index, [f"{long}. Then: {short} Answer: 7. End."])
    assert (found["evidence"]["benchmark"], found["evidence"]["item"]) == ("gsm8k", "both")
    assert found["reason"] == "contaminated_input_and_output"
    assert (found["items"], found["evidence"]["items"], found["evidence"]["spans"]) == (2, 2, 3)
    (found,) = annotate(Decontaminate(), index, [f"{short}. Then: {long}. End."])
    assert found["evidence"]["matched"] == long
    assert [leak["item"] for leak in found["leaks"]] == ["both", "long"]


def test_long_matches_are_quoted_in_part(tmp_path):
    text = " ".join(f"word{i}" for i in range(500))
    (found,) = annotate(Decontaminate(), build_items(tmp_path, [item(question=text)]), [text])
    assert found["evidence"]["matched"] == text[:500]
    assert found["evidence"]["end"] == len(text)


def test_reasons_tell_the_worst_class(index):
    texts = [ITEM, f"{ITEM} 72", SOLUTION, f"{SOLUTION} {FILLER} {SHORT}", FILLER]
    expected = [
        "contaminated_input",
        "contaminated_input_and_output",
        "contaminated_output",
        "contaminated_input",
        None,
    ]
    assert reasons(index, texts) == expected


def test_only_some_definitions_and_classes_decide(index):
    texts = [ITEM, " ".join(ITEM.split()[:9]), f"{ITEM} 72", SOLUTION]
    made = [
        NgramDefinition(),
        NgramDefinition(n=8),
        LongestSpanDefinition(),
        RareNgramsDefinition(min_score=0.1),
    ]
    said = annotate(Decontaminate(definitions=made, decide=["ngram_13"]), index, texts)
    assert [each["reason"] is None for each in said] == [False, True, False, False]
    assert {leak["definition"] for leak in said[1]["leaks"]} == {"ngram_8", "rare_ngrams"}
    assert not any(leak["decides"] for leak in said[1]["leaks"])
    assert [leak["decides"] for leak in said[0]["leaks"]] == [True, False, False, False]
    assert said[0]["evidence"]["leaks"] == 1
    said = annotate(Decontaminate(classes=["input_and_output"]), index, texts)
    assert [each["reason"] for each in said] == [None, None, "contaminated_input_and_output", None]
    assert [len(each["leaks"]) for each in said] == [1, 0, 1, 1]
    assert reasons(index, texts, classes=["output_only"]) == [None, None, None, "contaminated_output"]


# --- actions --------------------------------------------------------------------------------------------------


def test_mark_only_says_so(index):
    (found,) = annotate(Decontaminate(action="mark"), index, [f"{FILLER}{ITEM}"])
    assert found["reason"] is None
    assert found["evidence"]["item"] == "natalia"
    assert found["items"] == 1
    assert found["text"] == f"{FILLER}{ITEM}"


def test_cut_takes_the_match_and_its_surroundings(index):
    (found,) = annotate(Decontaminate(action="cut"), index, [f"{FILLER}{ITEM} {FILLER}"])
    assert found["reason"] is None
    left, right = found["text"].split("\n\n")
    assert FILLER.startswith(left)
    assert FILLER.strip().endswith(right)
    assert 200 <= len(FILLER) - len(left) <= 221
    assert 200 <= len(FILLER.strip()) - len(right) <= 221
    assert found["evidence"]["removed_chars"] == 2 * len(FILLER) + len(ITEM) + 1 - len(found["text"])
    assert reasons(index, [found["text"]]) == [None]


def test_cut_takes_everything_that_decides(index):
    """Every stretch of an item, and an answer that is found by its context alone."""
    text = f"{FILLER}{ITEM} They knew it at once, it was seventy and two more: 72 {FILLER}{SHORT} {FILLER}"
    (found,) = annotate(Decontaminate(action="cut", window_chars=0), index, [text])
    assert found["evidence"]["spans"] == 3
    assert "72" not in found["text"]
    assert found["text"].count("\n\n") == 2  # what lies between question and answer is too short to stay
    assert reasons(index, [found["text"]]) == [None]
    made = [NgramDefinition(), LongestSpanDefinition()]
    stage = Decontaminate(action="cut", definitions=made, decide=["longest_span"], classes=["output_only"])
    (found,) = annotate(stage, index, [f"{FILLER}{SOLUTION} {FILLER}"])
    assert found["evidence"]["definition"] == "longest_span"
    assert len(found["text"].split("\n\n")) == 2


def test_one_long_match_is_one_splice(tmp_path):
    """T32: neither its length nor the number of n-grams or definitions makes a long copy many."""
    text = " ".join(f"word{i}" for i in range(400))
    index = build_items(tmp_path, [item(question=text)])
    stage = Decontaminate(
        action="cut", max_pieces=2, definitions=[d for d in EVERY if d.kind != "rare_ngrams"]
    )
    (found,) = annotate(stage, index, [f"{FILLER}{text}. {FILLER}"])
    assert found["reason"] is None
    assert (found["evidence"]["spans"], found["items"]) == (1, 1)
    assert found["evidence"]["leaks"] == 5
    assert len(found["text"].split("\n\n")) == 2


def test_too_many_pieces(index):
    for copies, reason in ((9, None), (10, "too_many_contaminated_spans")):
        text = FILLER + f"{ITEM} {FILLER}" * copies  # copies + 1 pieces
        (found,) = annotate(Decontaminate(action="cut"), index, [text])
        assert found["reason"] == reason
        assert found["evidence"]["spans"] == copies
    assert reasons(index, [text], action="cut", max_pieces=None) == [None]


def test_too_little_left(index):
    for text in (ITEM, f"{FILLER[:150]} {ITEM} {FILLER[:150]}", f"{FILLER[:390]} {ITEM}"):
        (found,) = annotate(Decontaminate(action="cut"), index, [text])
        assert (found["reason"], found["text"]) == ("too_little_left", text)


def test_short_pieces_go(index):
    text = f"{FILLER[:300]} {ITEM} {FILLER}"
    (found,) = annotate(Decontaminate(action="cut"), index, [text])
    assert FILLER.strip().endswith(found["text"])
    (found,) = annotate(Decontaminate(action="cut", min_piece_chars=50), index, [text])
    assert len(found["text"].split("\n\n")[0]) in range(50, 101)


def test_cut_leaves_other_rows_as_they_are(index):
    texts = ["clean", None, "", f"{FILLER}{ITEM}", ITEM, "clean too"]
    found = annotate(Decontaminate(action="cut"), index, texts)
    assert [f["text"] for f in found[:3] + found[4:]] == texts[:3] + texts[4:]
    assert FILLER.startswith(found[3]["text"])


def test_cutting_counts_characters_not_bytes(tmp_path):
    """T20."""
    text = " ".join(f"слово{i}" for i in range(20))
    filler = "Ещё одно простое предложение — ни о чём. " * 20
    index = build_items(tmp_path, [item(question=text)])
    (found,) = annotate(Decontaminate(action="cut"), index, [f"{filler}{text} {filler}"])
    left, right = found["text"].split("\n\n")
    assert filler.startswith(left)
    assert filler.strip().endswith(right)
    assert 200 <= len(filler) - len(left) <= 221


def test_dialogues_are_searched_turn_by_turn(index):
    stage = Decontaminate(on="messages")
    rows = [[{"role": "user", "content": ITEM}, {"role": "assistant", "content": "72"}], [], None]
    batch = pa.record_batch({"messages": pa.array(rows)})
    marks = stage.annotate(batch, stage.open({"index": index}))
    assert marks.reject.to_pylist() == ["contaminated_input_and_output", None, None]
    assert marks.evidence[0]["start"].as_py() == 0
    assert stage.reads().names == ["messages"]
    assert not stage.problems()


# --- sources --------------------------------------------------------------------------------------------------


def sources(*names):
    return pa.array(names, pa.string()).dictionary_encode()


def test_protected_sources_are_rejected_whole(index):
    rules = [
        ProtectedSource(benchmark="gsm8k", sources=["wiki"], domains=["wikipedia.org", "BÜCHER.example"]),
        ProtectedSource(benchmark="arc", domains=["en.wikipedia.org"]),
    ]
    urls = {
        None: False,
        "https://en.wikipedia.org/wiki/Mars": "en.wikipedia.org",
        "http://me@WIKIPEDIA.org:80/x": "wikipedia.org",
        "https://notwikipedia.org/": False,
        "https://wikipedia.org.example/": False,
        "https://www.xn--bcher-kva.example/": "www.xn--bcher-kva.example",
        "/wikipedia.org": False,
        "": False,
    }
    for action in ("reject", "cut", "mark"):
        stage = Decontaminate(protect=rules, action=action)
        assert stage.reads().names == ["text", "source", "url"]
        found = annotate(
            stage, index, ["clean"] * 8, source=sources(*["web"] * 8), url=pa.array(list(urls), pa.string())
        )
        assert [each["evidence"] and each["evidence"]["matched"] for each in found] == [
            name or None for name in urls.values()
        ]
        assert {each["evidence"]["benchmark"] for each in found if each["evidence"]} == {"gsm8k"}
        assert {each["reason"] for each in found if each["evidence"]} == {"protected_source"}
    rows = {"source": sources("wiki", "web"), "url": pa.nulls(2, pa.string())}
    found = annotate_protected(
        Decontaminate(protect=rules, action="cut"), index, [f"{FILLER}{ITEM}"] * 2, rows
    )
    assert [reason for reason, _ in found] == ["protected_source", None]
    assert found[0][1] == f"{FILLER}{ITEM}" != found[1][1]


def annotate_protected(stage, index, texts, columns):
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string()), **columns})
    marks = stage.annotate(batch, stage.open({"index": index}))
    return list(zip(marks.reject.to_pylist(), marks.columns["text"].to_pylist(), strict=True))


@pytest.mark.parametrize("action", ["reject", "cut"])
def test_some_sources_are_only_marked(index, action):
    stage = Decontaminate(only_mark_sources=["books", "other"], action=action)
    assert stage.reads().names == ["text", "source"]
    texts = [f"{FILLER}{ITEM}"] * 3
    found = annotate(stage, index, texts, source=sources("books", "web", None))
    assert found[0]["reason"] is None
    assert found[0]["text"] == texts[0]
    assert found[0]["leaks"] == found[1]["leaks"] != []
    assert found[0]["evidence"] == {**found[1]["evidence"], "removed_chars": 0}
    for other in found[1:]:
        assert other["reason"] is not None or other["text"] != texts[0]


# --- the stage ------------------------------------------------------------------------------------------------


def test_declarations():
    assert Decontaminate().needs_side() == ["index"]
    assert set(Decontaminate().sides) == {"index", "counts"}
    assert Decontaminate().reads().names == ["text"]
    assert Decontaminate().writes().names == ["contamination", "contaminated_items"]
    assert Decontaminate().writes().field("contamination").type == CONTAMINATION.type
    assert Decontaminate(action="cut").writes().field("text").type == pa.large_string()
    assert [one.title for one in Decontaminate().definitions] == ["ngram_13", "short"]


def test_params_are_read_from_json():
    params = {
        "definitions": [{"kind": "ngram", "n": 8}, {"kind": "rare_ngrams", "min_score": 1}],
        "decide": ["ngram_8"],
        "protect": [{"benchmark": "squad", "domains": ["wikipedia.org"]}],
    }
    stage = Decontaminate.model_validate_json(json.dumps(params))
    assert stage == Decontaminate.model_validate_json(stage.model_dump_json())
    assert stage.describe() == [
        "ngram_8 decide: input_and_output, input_only, output_only",
        "rare_ngrams only say what they find",
    ]


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        (
            {"definitions": [NgramDefinition(), NgramDefinition(min_hits=2)]},
            "two definitions are called 'ngram_13'",
        ),
        ({"decide": ["ngram_8"]}, "decide names 'ngram_8', but the definitions are ngram_13, short"),
        ({"on": "messages", "action": "cut"}, "with on: messages, use reject or mark"),
        ({"protect": [ProtectedSource(benchmark="arc")]}, "the rule for 'arc' names nothing"),
        (
            {"protect": [ProtectedSource(benchmark="arc", sources=["wiki"])], "only_mark_sources": ["wiki"]},
            "'wiki' stands in both",
        ),
    ],
)
def test_problems(params, problem):
    (found,) = Decontaminate(**params).problems()
    assert problem in found
    assert not Decontaminate().problems()


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"definitions": [NgramDefinition(n=5)]}, "build it with seed_words: 5, or ask for 8"),
        ({"definitions": [CoverageDefinition(n=7)]}, "coverage_7 asks for runs of 7 words"),
        ({"definitions": [LongestSpanDefinition(min_words=3)]}, "longest_span asks for runs of 3 words"),
        ({"definitions": [RareNgramsDefinition()]}, "build it with rare_words: 5"),
        (
            {"protect": [ProtectedSource(benchmark="squad", sources=["wiki"])]},
            "'squad', but the index has gsm8k, mmlu",
        ),
    ],
)
def test_params_that_the_index_cannot_serve(tmp_path, params, problem):
    index = build_items(tmp_path, [item("mmlu", question=ITEM), item("gsm8k", question=SOLUTION)])
    with pytest.raises(ValueError, match=problem):
        Decontaminate(**params).open({"index": index})


@pytest.mark.parametrize("action", ["reject", "cut", "mark"])
def test_a_batch_gives_what_its_rows_give(index, action):
    """However the rows are cut into batches, each gets the same."""
    texts = [
        f"{FILLER[:i]}{ITEM if i % 3 else SHORT} {SOLUTION if i % 2 else 72} {FILLER}"
        for i in range(0, 300, 17)
    ]
    texts = [*texts[:7], None, FILLER, "", *texts[7:], f"{ITEM}\n{SHORT} Mars"]
    stage = Decontaminate(action=action, definitions=EVERY)
    whole = annotate(stage, index, texts)
    assert sum(each["items"] for each in whole) >= 18
    assert whole == [annotate(stage, index, [text])[0] for text in texts]
    assert whole == [
        each for k in range(0, len(texts), 4) for each in annotate(stage, index, texts[k : k + 4])
    ]


def test_slices_of_a_batch(index):
    texts = pa.array(["clean", ITEM, f"{ITEM} 72", None, FILLER], pa.large_string())
    stage = Decontaminate()
    resource = stage.open({"index": index})
    sliced = stage.annotate(pa.record_batch({"text": texts.slice(1, 3)}), resource)
    assert sliced.reject.to_pylist() == ["contaminated_input", "contaminated_input_and_output", None]
