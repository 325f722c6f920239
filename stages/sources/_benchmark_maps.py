"""Ready maps: where the published files of known benchmarks keep the parts of their items.

A map has a layout for each form in which the benchmark is spread: the authors' files, the data set on the hub, a
copy in another project. The first whose fields a file's first record has is the file's.
"""

from collections.abc import Mapping
from typing import NamedTuple

from stages.sources._benchmark_answers import Forms
from stages.sources._benchmark_fields import BenchmarkFields as F
from stages.sources._benchmark_unpack import (
    Unpack,
    agieval,
    drop,
    gsm8k,
    hellaswag,
    lambada,
    mathqa,
    pubmedqa,
    race,
    truthfulqa,
    winogrande,
    with_boxed,
)


class BenchmarkMap(NamedTuple):
    """How a benchmark's published files are read."""

    about: str  # what it is, and whose layouts these are
    layouts: tuple[F, ...]
    forms: Forms = ("text",)  # of answers to multiple choice; of several, the one that fits the file
    unpack: Unpack | None = None  # before the fields are looked up
    records: str | None = None  # where a JSON object keeps its items
    columns: tuple[str, ...] = ()  # of CSV and TSV files without a header
    by_file: bool = False  # each file is a part of the benchmark: mmlu/astronomy
    lenient: bool = False  # known to hold answers that are none of the choices
    common_prefix: bool = False  # an instruction before each question of a file is taken off
    options: bool = False  # choices stand in the question
    words: Mapping[str, str] = {}  # answers that are codes, in words


# Without a map and without fields, names that most benchmarks have are tried.
USUAL = F(
    question="question | query | prompt | problem | input",
    choices="choices | options?",
    answer="answer | target | label | gold",
    passage="passage | context?",
    solution="solution | explanation?",
    id="id?",
)

# llm-foundry (MosaicML) keeps every multiple-choice set so, and copies of lm-eval do.
FOUNDRY = F(question="query", choices="choices", answer="gold")
STEM = F(question="question.stem", choices="question.choices", answer="answerKey?", id="id")
LETTERS = ["A", "B", "C", "D"]
NLI_WORDS = {"0": "entailment", "1": "neutral", "2": "contradiction"}
SQUAD = F(passage="context", question="question", answer="answers.text?", id="id")
YES_NO = {"true": "yes", "false": "no", "1": "yes", "0": "no"}

MAPS: dict[str, BenchmarkMap] = {
    # mathematics
    "gsm8k": BenchmarkMap(
        "Grade-school word problems (Cobbe et al. 2021): openai/grade-school-math's JSON lines, openai/gsm8k",
        (F(question="question", solution="solution?", answer="answer"),),
        unpack=gsm8k,
    ),
    "gsm_hard": BenchmarkMap(
        "GSM8K with large numbers (Gao et al. 2022): the authors' JSON lines, reasoning-machines/gsm-hard",
        (F(question="input", solution="code?", answer="target"),),
    ),
    "mgsm": BenchmarkMap(
        "GSM8K in ten languages (Shi et al. 2022): the authors' TSV, juletxara/mgsm",
        (
            F(question="question", solution="answer?", answer="answer_number"),
            F(question="question", answer="answer"),
        ),
        columns=("question", "answer"),
    ),
    "math": BenchmarkMap(
        "MATH (Hendrycks et al. 2021): a JSON file a problem, the hub's tables, MATH-500 and AIME of the same form",
        (F(question="problem | Problem", solution="solution | Solution?", answer="answer | Answer?"),),
        unpack=with_boxed,
    ),
    "aqua_rat": BenchmarkMap(
        "Algebra with rationales (Ling et al. 2017): deepmind's JSON lines",
        (F(question="question", choices="options", solution="rationale?", answer="correct"),),
        forms=("letter",),
    ),
    "mathqa": BenchmarkMap(
        "MathQA (Amini et al. 2019): the authors' JSON, regisss/math_qa",
        (F(question="Problem", choices="options", solution="Rationale?", answer="correct"),),
        forms=("letter",),
        unpack=mathqa,
        lenient=True,
    ),
    "svamp": BenchmarkMap(
        "SVAMP (Patel et al. 2021): the authors' JSON",
        (F(question="Body + Question", solution="Equation?", answer="Answer", id="ID"),),
    ),
    # knowledge
    "mmlu": BenchmarkMap(
        "MMLU (Hendrycks et al. 2021): CSV files without a header, one a subject; cais/mmlu; CSV with choice0 ...",
        (
            F(question="question", choices="choices", answer="answer", group="subject?"),
            F(question="question", choices=LETTERS, answer="answer"),
            F(question="question", choices=["choice0", "choice1", "choice2", "choice3"], answer="answer"),
        ),
        forms=("letter", "index0"),
        columns=("question", *LETTERS, "answer"),
        by_file=True,
    ),
    "mmlu_pro": BenchmarkMap(
        "MMLU-Pro (Wang et al. 2024): TIGER-Lab/MMLU-Pro",
        (
            F(
                question="question",
                choices="options",
                solution="cot_content?",
                answer="answer",
                id="question_id",
            ),
        ),
        forms=("letter",),
    ),
    "arc": BenchmarkMap(
        "ARC easy and challenge (Clark et al. 2018): AI2's JSON lines, allenai/ai2_arc, llm-foundry",
        (STEM, F(question="question", choices="choices", answer="answerKey?", id="id"), FOUNDRY),
        forms=("letter", "index0"),
    ),
    "openbookqa": BenchmarkMap(
        "OpenBookQA (Mihaylov et al. 2018): AI2's JSON lines, allenai/openbookqa, llm-foundry",
        (STEM, F(question="question_stem", choices="choices", answer="answerKey?", id="id"), FOUNDRY),
        forms=("letter", "index0"),
    ),
    "sciq": BenchmarkMap(
        "SciQ (Welbl et al. 2017): AI2's JSON, allenai/sciq",
        (
            F(
                question="question",
                choices=["correct_answer", "distractor1", "distractor2", "distractor3"],
                solution="support?",
                answer="correct_answer",
            ),
        ),
    ),
    "gpqa": BenchmarkMap(
        "GPQA (Rein et al. 2023): the authors' CSV, Idavidrein/gpqa",
        (
            F(
                question="Question",
                choices=[
                    "Correct Answer",
                    "Incorrect Answer 1",
                    "Incorrect Answer 2",
                    "Incorrect Answer 3",
                ],
                solution="Explanation?",
                answer="Correct Answer",
                id="Record ID",
            ),
        ),
    ),
    "medqa": BenchmarkMap(
        "MedQA (Jin et al. 2020): the authors' JSON lines, GBaker/MedQA-USMLE-4-options",
        (F(question="question", choices="options", answer="answer_idx | answer"),),
        forms=("letter", "text"),
    ),
    "medmcqa": BenchmarkMap(
        "MedMCQA (Pal et al. 2022): openlifescienceai/medmcqa (answers from 0), the authors' JSON lines (from 1)",
        (
            F(
                question="question",
                choices=["opa", "opb", "opc", "opd"],
                solution="exp?",
                answer="cop?",
                id="id",
            ),
        ),
        forms=("index0", "index1"),
    ),
    "pubmedqa": BenchmarkMap(
        "PubMedQA (Jin et al. 2019): the authors' JSON by article, qiaojin/PubMedQA",
        (
            F(
                passage="CONTEXTS",
                question="QUESTION | question",
                solution="LONG_ANSWER | long_answer?",
                answer="final_decision?",
                id="* | pubid?",
            ),
        ),
        unpack=pubmedqa,
        records="*",
    ),
    "ceval": BenchmarkMap(
        "C-Eval (Huang et al. 2023): the authors' CSV files, one a subject; ceval/ceval-exam",
        (F(question="question", choices=LETTERS, solution="explanation?", answer="answer?", id="id"),),
        forms=("letter",),
        by_file=True,
    ),
    "cmmlu": BenchmarkMap(
        "CMMLU (Li et al. 2023): the authors' CSV files, one a subject; haonan-li/cmmlu",
        (F(question="Question", choices=LETTERS, answer="Answer"),),
        forms=("letter",),
        by_file=True,
    ),
    "agieval": BenchmarkMap(
        "AGIEval (Zhong et al. 2023): the authors' JSON lines, one a task; hails/agieval-*",
        (
            F(
                passage="passage?",
                question="question",
                choices="options?",
                solution="explanation | other.solution?",
                answer="label | answer",
            ),
            FOUNDRY,
        ),
        forms=("letter", "index0"),
        unpack=agieval,
        by_file=True,
        lenient=True,
    ),
    "truthfulqa": BenchmarkMap(
        "TruthfulQA (Lin et al. 2021): the authors' CSV, truthfulqa/truthful_qa (generation and multiple_choice)",
        (
            F(question="Question | question", choices="choices", answer="right"),
            F(question="question", choices="mc1_targets.choices", answer="mc1"),
        ),
        unpack=truthfulqa,
    ),
    "triviaqa": BenchmarkMap(
        "TriviaQA (Joshi et al. 2017): the authors' JSON, mandarjoshi/trivia_qa",
        (
            F(question="question", answer=["answer.value", "answer.aliases?"], id="question_id"),
            F(question="Question", answer=["Answer.Value?", "Answer.Aliases?"], id="QuestionId"),
        ),
        records="Data",
    ),
    "nq_open": BenchmarkMap(
        "Natural Questions, open (Lee et al. 2019): the authors' JSON lines, google-research-datasets/nq_open",
        (F(question="question", answer="answer"),),
    ),
    "simpleqa": BenchmarkMap(
        "SimpleQA (Wei et al. 2024): openai/simple-evals' CSV",
        (F(question="problem", answer="answer"),),
    ),
    # common sense and reasoning
    "hellaswag": BenchmarkMap(
        "HellaSwag (Zellers et al. 2019): the authors' JSON lines, Rowan/hellaswag, llm-foundry",
        (F(question="ctx", choices="endings", answer="label | gold?"),),
        forms=("index0",),
        unpack=hellaswag,
    ),
    "winogrande": BenchmarkMap(
        "WinoGrande (Sakaguchi et al. 2019): AI2's JSON lines, allenai/winogrande; XWinograd of the same form",
        (F(question="sentence", choices=["option1", "option2"], solution="filled?", answer="answer?"),),
        forms=("index1",),
        unpack=winogrande,
    ),
    "piqa": BenchmarkMap(
        "PIQA (Bisk et al. 2019): the authors' JSON lines (answers in a file apart), baber/piqa, llm-foundry",
        (F(question="goal", choices=["sol1", "sol2"], answer="label?"), FOUNDRY),
        forms=("index0",),
    ),
    "social_iqa": BenchmarkMap(
        "Social IQa (Sap et al. 2019): the authors' JSON lines (correct: A), allenai/social_i_qa (label: 1)",
        (
            F(
                passage="context",
                question="question",
                choices=["answerA", "answerB", "answerC"],
                answer="label | correct",
            ),
        ),
        forms=("letter", "index1"),
    ),
    "commonsense_qa": BenchmarkMap(
        "CommonsenseQA (Talmor et al. 2018): the authors' JSON lines, tau/commonsense_qa, llm-foundry's flat prompts",
        (STEM, F(question="question", choices="choices", answer="answerKey?", id="id"), FOUNDRY),
        forms=("letter", "index0"),
    ),
    "copa": BenchmarkMap(
        "COPA (Roemmele et al. 2011) as in SuperGLUE: JSON lines, aps/super_glue; XCOPA of the same form",
        (F(question="premise", choices=["choice1", "choice2"], answer="label?"),),
        forms=("index0",),
    ),
    "story_cloze": BenchmarkMap(
        "StoryCloze (Mostafazadeh et al. 2016): the authors' CSV",
        (
            F(
                question="InputSentence1 | input_sentence_1 + InputSentence2 | input_sentence_2 + "
                "InputSentence3 | input_sentence_3 + InputSentence4 | input_sentence_4",
                choices=[
                    "RandomFifthSentenceQuiz1 | sentence_quiz1",
                    "RandomFifthSentenceQuiz2 | sentence_quiz2",
                ],
                answer="AnswerRightEnding | answer_right_ending?",
            ),
        ),
        forms=("index1",),
    ),
    "bbh": BenchmarkMap(
        "BIG-Bench Hard (Suzgun et al. 2022): the authors' JSON, one a task; copies on the hub of the same fields",
        (F(question="input", answer="target"),),
        forms=("letter", "text"),
        records="examples",
        by_file=True,
        lenient=True,
        common_prefix=True,
        options=True,
    ),
    "logiqa": BenchmarkMap(
        "LogiQA (Liu et al. 2020): EleutherAI/logiqa and its JSON lines",
        (
            F(
                passage="context",
                question="question",
                choices="options | answers",
                answer="label | correct_option",
            ),
        ),
        forms=("letter", "index0"),
    ),
    "strategyqa": BenchmarkMap(
        "StrategyQA (Geva et al. 2021): the authors' JSON",
        (F(question="question", solution="facts?", answer="answer", id="qid?"),),
        words=YES_NO,
    ),
    # reading
    "squad": BenchmarkMap(
        "SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018): the authors' JSON, rajpurkar/squad; MLQA, XQuAD, TyDiQA",
        (SQUAD,),
        records="data.paragraphs.qas",
    ),
    "drop": BenchmarkMap(
        "DROP (Dua et al. 2019): the authors' JSON by passage, ucinlp/drop, EleutherAI/drop",
        (
            F(
                passage="passage",
                question="question",
                answer="answers_spans.spans | answer",
                id="query_id",
            ),
        ),
        unpack=drop,
        records="*.qa_pairs",
    ),
    "boolq": BenchmarkMap(
        "BoolQ (Clark et al. 2019): the authors' JSON lines, google/boolq, aps/super_glue",
        (F(passage="passage", question="question", answer="answer | label?"),),
        words=YES_NO,
    ),
    "race": BenchmarkMap(
        "RACE (Lai et al. 2017): the authors' .txt files of JSON, ehovy/race, EleutherAI/race",
        (F(passage="article", question="question", choices="options", answer="answer"),),
        forms=("letter",),
        unpack=race,
    ),
    "lambada": BenchmarkMap(
        "LAMBADA (Paperno et al. 2016): OpenAI's JSON lines, EleutherAI/lambada_openai",
        (F(question="question", answer="answer"),),
        unpack=lambada,
    ),
    "nli": BenchmarkMap(
        "Inference with labels 0, 1, 2: facebook/xnli, ANLI (label e, n, c in the authors' JSON lines), SNLI, MNLI",
        (
            F(
                passage="premise | context | sentence1",
                question="hypothesis | sentence2",
                answer="label | gold_label?",
            ),
        ),
        words={**NLI_WORDS, "e": "entailment", "n": "neutral", "c": "contradiction"},
    ),
    # code
    "humaneval": BenchmarkMap(
        "HumanEval (Chen et al. 2021): openai/human-eval's JSON lines, openai/openai_humaneval; HumanEval+, MultiPL-E",
        (F(question="prompt", solution="canonical_solution?", id="task_id | name"),),
    ),
    "mbpp": BenchmarkMap(
        "MBPP (Austin et al. 2021): google-research's JSON lines and the sanitized JSON, google-research-datasets/mbpp",
        (
            F(
                question=["text | prompt", "text | prompt + test_list?"],
                solution="code",
                id="task_id",
            ),
        ),
    ),
    # instructions
    "ifeval": BenchmarkMap(
        "IFEval (Zhou et al. 2023): google-research's JSON lines, google/IFEval",
        (F(question="prompt", id="key"),),
    ),
}
