"""Ready maps: the benchmarks at hand have all their items, and the published layouts of the others are read."""

import csv
import io
import json
from collections import Counter

import pytest

from stages.sources._benchmark_maps import MAPS
from stages.sources.benchmark import ReadBenchmark
from tests.support.data import real_data

MC = ("choice", "choice", "choice", "choice")

# Of each: items, and how many parts of each kind they have in all.
REAL = {
    "gsm8k/test.jsonl": ("gsm8k", 1319, {"question": 1319, "solution": 2620, "answer": 1319}),
    "gsm8k/train.jsonl.gz": ("gsm8k", 7473, {"question": 7473, "solution": 14851, "answer": 7473}),
    "humaneval/HumanEval.jsonl.gz": ("humaneval", 164, {"question": 164, "solution": 164}),
    "mbpp/mbpp.jsonl": ("mbpp", 974, {"question": 1948, "solution": 974}),
    "mmlu": ("mmlu", 4202, {"question": 4202, "choice": 16808, "answer": 4202}),
    "truthfulqa/TruthfulQA.csv": ("truthfulqa", 790, {"question": 790, "choice": 4041, "answer": 2775}),
    "bbh": ("bbh", 3083, {"question": 3083, "choice": 10434, "answer": 3083}),
    "llmfoundry/arc_easy.jsonl": ("arc", 2376, {"question": 2376, "choice": 9504, "answer": 2376}),
    "llmfoundry/commonsense_qa.jsonl": (
        "commonsense_qa",
        1221,
        {"question": 1221, "choice": 4884, "answer": 1221},
    ),
    "llmfoundry/openbook_qa.jsonl": ("openbookqa", 500, {"question": 500, "choice": 2000, "answer": 500}),
}
# Items whose published answer is none of their choices; their answers stay as they are.
STRAYS = {"Monsters, Inc", "dearth, wind, & fire", "rita, sue and bob poo"}


@pytest.mark.real_data
@pytest.mark.parametrize("path", REAL)
def test_published_files_are_whole(path):
    name, count, parts = REAL[path]
    source = ReadBenchmark(paths=str(real_data(f"bench/{path}")), benchmark=name)
    assert list(source.problems()) == []
    items = [item for _, item in source.items()]
    assert len(items) == count
    assert Counter(part for item in items for part, _ in item.parts) == parts
    assert len({(item.benchmark, item.item) for item in items}) == count
    strays = set()
    for item in items:
        by_part = of(item)
        assert all(text.strip() for text in by_part["question"])
        assert "answer" in by_part or "solution" in by_part
        if "choice" in by_part and by_part["answer"][0] not in by_part["choice"]:
            strays.add(by_part["answer"][0])
    assert strays == (STRAYS if name == "bbh" else set())


def of(item):
    found = {}
    for part, text in item.parts:
        found.setdefault(part, []).append(text)
    return found


@pytest.mark.real_data
def test_families_are_named_by_file():
    source = ReadBenchmark(paths=str(real_data("bench/mmlu")), benchmark="mmlu")
    names = Counter(item.benchmark for _, item in source.items())
    assert (len(names), names["mmlu/astronomy"], names["mmlu/us_foreign_policy"]) == (19, 152, 100)
    bbh = Counter(
        item.benchmark
        for _, item in ReadBenchmark(paths=str(real_data("bench/bbh")), benchmark="bbh").items()
    )
    assert (len(bbh), bbh["bbh/navigate"], bbh["bbh/causal_judgement"]) == (13, 250, 187)


@pytest.mark.real_data
def test_answers_are_those_of_the_files_themselves():
    """Against a reading in a few lines of plain Python."""
    path = real_data("bench/mmlu/test/formal_logic_test.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    items = [of(item) for _, item in ReadBenchmark(paths=str(path), benchmark="mmlu").items()]
    assert [one["answer"] for one in items] == [[row[1 + int(row[5])].strip()] for row in rows]
    path = real_data("bench/bbh/disambiguation_qa.json")
    examples = json.loads(path.read_text("utf-8"))["examples"]
    wanted = [
        e["input"].split(e["target"] + " ")[1].split("\n")[0] for e in examples
    ]  # the line of the right letter
    assert [
        of(item)["answer"][0] for _, item in ReadBenchmark(paths=str(path), benchmark="bbh").items()
    ] == wanted


def table(*rows, delimiter=","):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def q(*alternatives):
    return [("question", text) for text in alternatives]


def mc(*choices, right=None, others=()):
    answers = [] if right is None else [right, *others]
    return [("choice", c) for c in choices] + [("answer", a) for a in answers]


ABCD = ["red", "green", "blue", "grey"]
STEM = {
    "id": "x7",
    "question": {
        "stem": "Which lamp?",
        "choices": [{"text": t, "label": label} for t, label in zip(ABCD, "1234", strict=True)],
    },
    "answerKey": "3",
}
HUB = {
    "id": "x7",
    "question": "Which lamp?",
    "choices": {"text": ABCD, "label": ["A", "B", "C", "D"]},
    "answerKey": "C",
}
LAMP = q("Which lamp?") + mc(*ABCD, right="blue")
SQUAD_QA = {
    "id": "s1",
    "question": "Who lit it?",
    "answers": [{"text": "Ada", "answer_start": 1}, {"text": "Ada L.", "answer_start": 1}],
}
ADA = [
    ("passage", "Ada lit it."),
    *q("Who lit it?"),
    ("answer", "Ada"),
    ("answer", "Ada L."),
]

# (map, file name, content, what becomes of the first record: name in the benchmark, id, parts)
LAYOUTS = [
    ("gsm8k", "a.jsonl", {"question": "How many?", "answer": "1+1=<<1+1=2>>2 eggs\n#### 2"}, "gsm8k", "0",
     [*q("How many?"), ("solution", "1+1=2 eggs"), ("solution", "1+1=<<1+1=2>>2 eggs"), ("answer", "2")]),
    ("gsm_hard", "a.jsonl", {"input": "How many?", "code": "def f(): ...", "target": 2.0}, "gsm_hard", "0",
     [*q("How many?"), ("solution", "def f(): ..."), ("answer", "2")]),
    ("mgsm", "mgsm_de.tsv", '"Wie viele?" fragt sie.\t18\n', "mgsm", "0", [*q('"Wie viele?" fragt sie.'), ("answer", "18")]),
    ("mgsm", "a.jsonl", {"question": "Wie viele?", "answer": None, "answer_number": 18, "equation_solution": None}, "mgsm", "0",
     [*q("Wie viele?"), ("answer", "18")]),
    ("math", "algebra/17.json", {"problem": "Find x.", "level": "Level 1", "type": "Algebra", "solution": r"So $x=\boxed{\frac{1}{2}}$."},
     "math", "0", [*q("Find x."), ("solution", r"So $x=\boxed{\frac{1}{2}}$."), ("answer", r"\frac{1}{2}")]),
    ("math", "a.jsonl", {"problem": "Find x.", "solution": "So 3.", "answer": "3", "unique_id": "t/1"}, "math", "0",
     [*q("Find x."), ("solution", "So 3."), ("answer", "3")]),
    ("math", "aime.jsonl", {"ID": "2024-I-1", "Problem": "Find x.", "Solution": "So.", "Answer": 33}, "math", "0",
     [*q("Find x."), ("solution", "So."), ("answer", "33")]),
    ("aqua_rat", "a.jsonl", {"question": "Which?", "options": ["A)red", "B)green"], "rationale": "It is.", "correct": "B"}, "aqua_rat", "0",
     [*q("Which?"), ("choice", "red"), ("choice", "green"), ("solution", "It is."), ("answer", "green")]),
    ("mathqa", "a.json", [{"Problem": "Which?", "Rationale": "Thus.", "options": "a ) 24 , b ) 120 , c ) 625", "correct": "b"}], "mathqa", "0",
     [*q("Which?"), ("choice", "24"), ("choice", "120"), ("choice", "625"), ("solution", "Thus."), ("answer", "120")]),
    ("svamp", "a.json", [{"ID": "chal-1", "Body": "Two lamps.", "Question": "How many?", "Equation": "( 1 + 1 )", "Answer": 2.0}] * 1, "svamp", "chal-1",
     [*q("Two lamps.\nHow many?"), ("solution", "( 1 + 1 )"), ("answer", "2")]),
    ("mmlu", "astronomy_test.csv", table(["Which lamp?", *ABCD, "C"]), "mmlu/astronomy", "0", LAMP),
    ("mmlu", "astronomy_val.csv", table(["question", "choice0", "choice1", "choice2", "choice3", "answer"], ["Which lamp?", *ABCD, "2"]),
     "mmlu/astronomy", "0", LAMP),
    ("mmlu", "test.jsonl", {"question": "Which lamp?", "subject": "anatomy", "choices": ABCD, "answer": 2}, "mmlu/anatomy", "0", LAMP),
    ("mmlu_pro", "a.jsonl", {"question_id": 70, "question": "Which lamp?", "options": ABCD, "answer": "C", "answer_index": 2, "cot_content": ""},
     "mmlu_pro", "70", LAMP),
    ("arc", "ARC-Easy-Test.jsonl", STEM, "arc", "x7", LAMP),
    ("arc", "a.jsonl", HUB, "arc", "x7", LAMP),
    ("arc", "a.jsonl", {"query": "Question: Which lamp?", "choices": ABCD, "gold": 2}, "arc", "0", LAMP),
    ("openbookqa", "a.jsonl", STEM, "openbookqa", "x7", LAMP),
    ("openbookqa", "a.jsonl", {"id": "x7", "question_stem": "Which lamp?", "choices": HUB["choices"], "answerKey": "C"}, "openbookqa", "x7", LAMP),
    ("sciq", "test.json", [{"question": "Which?", "distractor1": "b", "distractor2": "c", "distractor3": "d", "correct_answer": "a", "support": "Because."}],
     "sciq", "0", [*q("Which?"), *mc("a", "b", "c", "d"), ("solution", "Because."), ("answer", "a")]),
    ("gpqa", "gpqa_main.csv", table(["Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Explanation", "Record ID"],
                                    ["Which?", "a", "b", "c", "d", "Because,\nthus.", "rec1"]),
     "gpqa", "rec1", [*q("Which?"), *mc("a", "b", "c", "d"), ("solution", "Because,\nthus."), ("answer", "a")]),
    ("medqa", "a.jsonl", {"question": "Which lamp?", "answer": "blue", "options": dict(zip("ABCD", ABCD, strict=True)), "answer_idx": "C"}, "medqa", "0", LAMP),
    ("medmcqa", "a.jsonl", [{"id": "m1", "question": "Which lamp?", "opa": "red", "opb": "green", "opc": "blue", "opd": "grey", "cop": 2, "exp": None},
                            {"id": "m2", "question": "And now?", "opa": "red", "opb": "green", "opc": "blue", "opd": "grey", "cop": 0, "exp": "So."}],
     "medmcqa", "m1", LAMP),
    ("pubmedqa", "ori_pqal.json", {"21645374": {"QUESTION": "Do lamps?", "CONTEXTS": ["One.", "Two."], "final_decision": "yes", "LONG_ANSWER": "They do."}},
     "pubmedqa", "21645374", [("passage", "One."), ("passage", "Two."), *q("Do lamps?"), ("solution", "They do."), ("answer", "yes")]),
    ("pubmedqa", "a.jsonl", {"pubid": 1, "question": "Do lamps?", "context": {"contexts": ["One."], "labels": ["A"]}, "long_answer": "They do.", "final_decision": "no"},
     "pubmedqa", "1", [("passage", "One."), *q("Do lamps?"), ("solution", "They do."), ("answer", "no")]),
    ("ceval", "law_val.csv", table(["id", "question", "A", "B", "C", "D", "answer"], ["0", "哪一盏灯？", *ABCD, "C"]), "ceval/law", "0",
     q("哪一盏灯？") + mc(*ABCD, right="blue")),
    ("ceval", "law_test.csv", table(["id", "question", "A", "B", "C", "D"], ["0", "哪一盏灯？", *ABCD]), "ceval/law", "0", q("哪一盏灯？") + mc(*ABCD)),
    ("cmmlu", "anatomy.csv", table(["", "Question", "A", "B", "C", "D", "Answer"], ["0", "哪一盏灯？", *ABCD, "C"]), "cmmlu/anatomy", "0",
     q("哪一盏灯？") + mc(*ABCD, right="blue")),
    ("agieval", "lsat-lr.jsonl", {"passage": "A lamp.", "question": "Which lamp?", "options": ["(A)red", "(B)green"], "label": "B", "other": None},
     "agieval/lsat-lr", "0", [("passage", "A lamp."), *q("Which lamp?"), *mc("red", "green", right="green")]),
    ("agieval", "sat.jsonl", {"query": "Q: Which lamp? Answer Choices: (A)red (B)green\nA: Among A through B, the answer is", "choices": ["(A)red", "(B)green"], "gold": [1]},
     "agieval/sat", "0", [*q("Which lamp?"), *mc("red", "green", right="green")]),
    ("truthfulqa", "TruthfulQA.csv", table(["Type", "Question", "Best Answer", "Correct Answers", "Incorrect Answers"], ["Adv", "Which?", "Nothing", "No lamp; Nothing", "Red; Green"]),
     "truthfulqa", "0", [*q("Which?"), *mc("Nothing", "Red", "Green", right="Nothing", others=["No lamp"])]),
    ("truthfulqa", "a.jsonl", {"question": "Which?", "best_answer": "Nothing", "correct_answers": ["Nothing", "No lamp"], "incorrect_answers": ["Red"]},
     "truthfulqa", "0", [*q("Which?"), *mc("Nothing", "Red", right="Nothing", others=["No lamp"])]),
    ("truthfulqa", "a.jsonl", {"question": "Which?", "mc1_targets": {"choices": ["Red", "Nothing"], "labels": [0, 1]}, "mc2_targets": {"choices": [], "labels": []}},
     "truthfulqa", "0", [*q("Which?"), *mc("Red", "Nothing", right="Nothing")]),
    ("triviaqa", "verified.json", {"Data": [{"Question": "Who?", "QuestionId": "t1", "Answer": {"Value": "Ada", "Aliases": ["Ada", "Ada L."]}}], "Version": 1.0},
     "triviaqa", "t1", [*q("Who?"), ("answer", "Ada"), ("answer", "Ada L.")]),
    ("triviaqa", "a.jsonl", {"question": "Who?", "question_id": "t1", "answer": {"value": "Ada", "aliases": ["Ada L."]}, "entity_pages": {}},
     "triviaqa", "t1", [*q("Who?"), ("answer", "Ada"), ("answer", "Ada L.")]),
    ("nq_open", "a.jsonl", {"question": "who lit it", "answer": ["Ada", "Ada L."]}, "nq_open", "0", [*q("who lit it"), ("answer", "Ada"), ("answer", "Ada L.")]),
    ("simpleqa", "a.csv", table(["metadata", "problem", "answer"], ["{}", "Who?", "Ada"]), "simpleqa", "0", [*q("Who?"), ("answer", "Ada")]),
    ("hellaswag", "a.jsonl", {"ind": 4, "ctx": "[header] How to [title] Light it. He", "endings": ["sings. [step] On.", "lights it."], "label": "1"},
     "hellaswag", "0", [*q("How to. Light it. He", "[header] How to [title] Light it. He"), *mc("sings. On.", "lights it.", right="lights it.")]),
    ("hellaswag", "a.jsonl", {"ind": 4, "ctx": "He", "endings": ["sings.", "lights it."], "label": ""}, "hellaswag", "0", [*q("He"), *mc("sings.", "lights it.")]),
    ("hellaswag", "a.jsonl", {"query": "He", "choices": ["sings.", "lights it."], "gold": 1}, "hellaswag", "0", [*q("He"), *mc("sings.", "lights it.", right="lights it.")]),
    ("winogrande", "dev.jsonl", {"qID": "w-1", "sentence": "The lamp beat the torch as the _ was lit.", "option1": "lamp", "option2": "torch", "answer": "1"},
     "winogrande", "0", [*q("The lamp beat the torch as the _ was lit."), ("choice", "lamp"), ("choice", "torch"),
                         ("solution", "The lamp beat the torch as the lamp was lit."), ("answer", "lamp")]),
    ("winogrande", "test.jsonl", {"qID": "w-1", "sentence": "The _ was lit.", "option1": "lamp", "option2": "torch"}, "winogrande", "0",
     [*q("The _ was lit."), *mc("lamp", "torch")]),
    ("piqa", "valid.jsonl", {"id": "p", "goal": "Light it.", "sol1": "Rub.", "sol2": "Blow."}, "piqa", "0", [*q("Light it."), *mc("Rub.", "Blow.")]),
    ("piqa", "a.jsonl", {"goal": "Light it.", "sol1": "Rub.", "sol2": "Blow.", "label": 0}, "piqa", "0", [*q("Light it."), *mc("Rub.", "Blow.", right="Rub.")]),
    ("piqa", "a.jsonl", {"goal": "Light it.", "sol1": "Rub.", "sol2": "Blow.", "label": -1}, "piqa", "0", [*q("Light it."), *mc("Rub.", "Blow.")]),
    ("social_iqa", "dev.jsonl", {"context": "Ada lit it.", "question": "Why?", "answerA": "a dare", "answerB": "darkness", "answerC": "play", "correct": "B"},
     "social_iqa", "0", [("passage", "Ada lit it."), *q("Why?"), *mc("a dare", "darkness", "play", right="darkness")]),
    ("social_iqa", "a.jsonl", {"context": "Ada lit it.", "question": "Why?", "answerA": "a dare", "answerB": "darkness", "answerC": "play", "label": "3"},
     "social_iqa", "0", [("passage", "Ada lit it."), *q("Why?"), *mc("a dare", "darkness", "play", right="play")]),
    ("commonsense_qa", "dev.jsonl", STEM, "commonsense_qa", "x7", LAMP),
    ("commonsense_qa", "a.jsonl", HUB, "commonsense_qa", "x7", LAMP),
    ("commonsense_qa", "a.jsonl", {"query": "Question: Which lamp?\nChoices:\nA. red\nB. green\nC. blue\nD. grey\nAnswer:", "choices": ["A", "B", "C", "D"], "gold": 2},
     "commonsense_qa", "0", LAMP),
    ("copa", "val.jsonl", {"premise": "The lamp went out.", "choice1": "It rained.", "choice2": "She sang.", "question": "cause", "label": 0, "idx": 0},
     "copa", "0", [*q("The lamp went out."), *mc("It rained.", "She sang.", right="It rained.")]),
    ("story_cloze", "a.csv", table(["InputStoryid", "InputSentence1", "InputSentence2", "InputSentence3", "InputSentence4", "RandomFifthSentenceQuiz1",
                                    "RandomFifthSentenceQuiz2", "AnswerRightEnding"], ["s", "One.", "Two.", "Three.", "Four.", "Five.", "Six.", "2"]),
     "story_cloze", "0", [*q("One.\nTwo.\nThree.\nFour."), *mc("Five.", "Six.", right="Six.")]),
    ("bbh", "navigate.json", {"canary": "x", "examples": [{"input": "Do you?\nOptions:\n- Yes\n- No", "target": "No"}]}, "bbh/navigate", "0",
     [*q("Do you?"), *mc("Yes", "No", right="No")]),
    ("bbh", "hub.jsonl", {"input": "Which?\nOptions:\n(A) red\n(B) green", "target": "(B)"}, "bbh/hub", "0", [*q("Which?"), *mc("red", "green", right="green")]),
    ("logiqa", "a.jsonl", {"label": "b", "context": "A lamp.", "question": "Which?", "options": ["red", "green"]}, "logiqa", "0",
     [("passage", "A lamp."), *q("Which?"), *mc("red", "green", right="green")]),
    ("strategyqa", "train.json", [{"qid": "s", "question": "Do lamps?", "answer": True, "facts": ["They do."]}], "strategyqa", "s",
     [*q("Do lamps?"), ("solution", "They do."), ("answer", "yes")]),
    ("squad", "dev-v1.1.json", {"data": [{"title": "t", "paragraphs": [{"context": "Ada lit it.", "qas": [SQUAD_QA]}]}], "version": "1.1"}, "squad", "s1", ADA),
    ("squad", "a.jsonl", {"id": "s1", "title": "t", "context": "Ada lit it.", "question": "Who lit it?", "answers": {"text": ["Ada", "Ada L."], "answer_start": [0, 0]}},
     "squad", "s1", ADA),
    ("squad", "dev-v2.0.json", {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "Ada lit it.", "qas": [{**SQUAD_QA, "answers": [], "is_impossible": True}]}]}]},
     "squad", "s1", ADA[:2]),
    ("drop", "drop_dataset_dev.json", {"nfl_1": {"passage": "A game.", "qa_pairs": [
        {"question": "How many?", "query_id": "d1", "answer": {"number": "3", "date": {"day": "", "month": "", "year": ""}, "spans": []},
         "validated_answers": [{"number": "", "date": {"day": "1", "month": "May", "year": ""}, "spans": []}]}]}},
     "drop", "d1", [("passage", "A game."), *q("How many?"), ("answer", "3"), ("answer", "1 May")]),
    ("drop", "a.jsonl", {"section_id": "n", "query_id": "d1", "passage": "A game.", "question": "Who?", "answers_spans": {"spans": ["Ada"], "types": ["span"]}},
     "drop", "d1", [("passage", "A game."), *q("Who?"), ("answer", "Ada")]),
    ("boolq", "dev.jsonl", {"question": "do lamps", "title": "Lamp", "answer": False, "passage": "Lamps."}, "boolq", "0",
     [("passage", "Lamps."), *q("do lamps"), ("answer", "no")]),
    ("boolq", "a.jsonl", {"question": "do lamps", "passage": "Lamps.", "idx": 0, "label": 1}, "boolq", "0", [("passage", "Lamps."), *q("do lamps"), ("answer", "yes")]),
    ("race", "high/1.json", {"article": "Lamps.", "questions": ["Which lamp?", "Why?"], "options": [ABCD, ABCD], "answers": ["C", "A"], "id": "high1.txt"},
     "race", "0", [("passage", "Lamps."), *LAMP]),
    ("race", "a.jsonl", {"example_id": "high1.txt", "article": "Lamps.", "question": "Which lamp?", "options": ABCD, "answer": "C"}, "race", "0", [("passage", "Lamps."), *LAMP]),
    ("race", "a.jsonl", {"article": "Lamps.", "problems": str([{"question": "Which lamp?", "options": ABCD, "answer": "C"}])}, "race", "0", [("passage", "Lamps."), *LAMP]),
    ("lambada", "a.jsonl", {"text": "She lit the old lamp"}, "lambada", "0", [*q("She lit the old"), ("answer", "lamp")]),
    ("nli", "xnli.jsonl", {"premise": "It burns.", "hypothesis": "It is lit.", "label": 0}, "nli", "0", [("passage", "It burns."), *q("It is lit."), ("answer", "entailment")]),
    ("nli", "anli.jsonl", {"uid": "u", "context": "It burns.", "hypothesis": "It is lit.", "label": "e", "reason": "r"}, "nli", "0",
     [("passage", "It burns."), *q("It is lit."), ("answer", "entailment")]),
    ("humaneval", "a.jsonl", {"task_id": "HumanEval/0", "prompt": "def f():\n", "entry_point": "f", "canonical_solution": "    return 1\n", "test": "def check(c): ..."},
     "humaneval", "HumanEval/0", [*q("def f():"), ("solution", "    return 1")]),
    ("mbpp", "mbpp.jsonl", {"text": "Write f.", "code": "def f(): ...", "task_id": 1, "test_list": ["assert f()", "assert g()"]}, "mbpp", "1",
     [*q("Write f.", "Write f.\nassert f()\nassert g()"), ("solution", "def f(): ...")]),
    ("mbpp", "sanitized-mbpp.json", [{"source_file": "b", "task_id": 2, "prompt": "Write f.", "code": "def f(): ...", "test_list": []}], "mbpp", "2",
     [*q("Write f."), ("solution", "def f(): ...")]),
    ("ifeval", "input_data.jsonl", {"key": 1000, "prompt": "Write two lamps.", "instruction_id_list": [], "kwargs": []}, "ifeval", "1000", q("Write two lamps.")),
]  # fmt: skip


@pytest.mark.parametrize(("benchmark", "file", "content", "name", "item", "parts"), LAYOUTS)
def test_layouts(tmp_path, benchmark, file, content, name, item, parts):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    if not isinstance(content, str):
        as_lines = file.endswith(".jsonl") and isinstance(content, list)
        content = (
            "\n".join(json.dumps(record) for record in content) if as_lines else json.dumps(content)
        ) + "\n"
    path.write_text(content, "utf-8")
    source = ReadBenchmark(paths=str(path), benchmark=benchmark)
    assert list(source.problems()) == []
    found = source.items()[0][1]
    assert (found.benchmark, found.item) == (name, item)
    assert found.parts == parts


def test_a_problem_a_file_is_called_by_its_file(tmp_path):
    for name in ("algebra/17", "algebra/2", "geometry/17"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.json").write_text(json.dumps({"problem": name, "solution": "So."}), "utf-8")
    items = ReadBenchmark(paths=str(tmp_path), benchmark="math").items()
    assert [(item.item, of(item)["question"]) for _, item in items] == [
        (name, [name]) for name in ("algebra/17", "algebra/2", "geometry/17")
    ]
    passage = {"article": "Lamps.", "questions": ["Q1", "Q2"], "options": [ABCD] * 2, "answers": ["C", "A"]}
    for name in ("high/1", "high/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(json.dumps(passage), "utf-8")
    items = ReadBenchmark(paths=str(tmp_path / "high" / "*.txt"), benchmark="race").items()
    assert [item.item for _, item in items] == ["1.txt/0", "1.txt/1", "2.txt/0", "2.txt/1"]


def test_every_map_is_tried_and_says_whose_layout_it_is():
    assert {row[0] for row in LAYOUTS} == set(MAPS)
    assert all(len(one.about) > 20 and len(one.about) < 120 for one in MAPS.values())
