"""The renderer against published renderings, and our templates against what they promise."""

import json
import re

import jinja2
import pytest

from stages.dialogue._render import BREAK, compile_template, render, template_names, template_path
from tests.support.data import real_data

DATE = "2025-07-10"  # the day on which the published renderings were made


@pytest.mark.real_data
def test_published_renderings_are_reproduced():
    lines = real_data("chat_templates/hf_jinja_goldens_dev.jsonl").read_text(encoding="utf-8").splitlines()
    goldens = [json.loads(line) for line in lines]
    assert len(goldens) == 22
    wrong = [
        golden["name"]
        for golden in goldens
        if render(compile_template(golden["chat_template"], DATE), golden["data"], None).text
        != golden["target"]
    ]
    assert wrong == []


@pytest.mark.real_data
def test_published_templates_compile_and_quoting_does_not_change_what_they_write():
    special = re.compile("great|chat")
    for path in sorted(real_data("chat_templates/chujiezheng").glob("*.jinja")):
        template = compile_template(path.read_text(encoding="utf-8"), DATE)
        messages = [{"role": "user", "content": "a great chat"}, {"role": "assistant", "content": "great"}]
        variables = {"messages": messages, "bos_token": "<s>", "eos_token": "</s>"}
        quoted = render(template, variables, special)
        assert quoted.text == render(template, variables, None).text
        assert len(quoted.quoted) >= 3


MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "See you."},
]
OURS = {
    "chatml": (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n"
        "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\nSee you.<|im_end|>\n",
        ["Hello!<|im_end|>", "See you.<|im_end|>"],
    ),
    "llama3": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nSee you.<|eot_id|>",
        ["Hello!<|eot_id|>", "See you.<|eot_id|>"],
    ),
    "mistral": (
        "<s>[INST] Be kind.\n\nHi [/INST] Hello!</s>[INST] Bye [/INST] See you.</s>",
        [" Hello!</s>", " See you.</s>"],
    ),
    "zephyr": (
        "<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello!</s>\n<|user|>\nBye</s>\n<|assistant|>\nSee you.</s>\n",
        ["Hello!</s>", "See you.</s>"],
    ),
    "vicuna": (
        "<s>Be kind. USER: Hi ASSISTANT: Hello!</s>USER: Bye ASSISTANT: See you.</s>",
        [" Hello!</s>", " See you.</s>"],
    ),
    "alpaca": (
        "<s>Be kind.\n\n### Instruction:\nHi\n\n### Response:\nHello!</s>\n\n### Instruction:\nBye\n\n### Response:\nSee you.</s>",
        ["Hello!</s>", "See you.</s>"],
    ),
}


def ours(name, messages, tools=None, **more):
    variables = {"messages": messages, "tools": tools, "bos_token": "<s>", "eos_token": "</s>", **more}
    return render(compile_template(template_path(name).read_text(encoding="utf-8"), DATE), variables, None)


def test_every_template_of_ours_is_written_down_here():
    assert template_names() == sorted(OURS)


@pytest.mark.parametrize("name", OURS)
def test_our_templates_write_what_they_promise(name):
    rendering = ours(name, MESSAGES)
    text, spans = OURS[name]
    assert rendering.text == text
    assert [text[start:end] for start, end in rendering.spans] == spans


TURNS = {
    "one": ["user", "assistant"],
    "three": ["user", "assistant"] * 3,
    "consecutive answers": ["user", "assistant", "assistant"],
    "assistant first": ["assistant", "user", "assistant"],
    "unanswered": ["user", "assistant", "user"],
    "system": ["system", "user", "assistant"],
}


@pytest.mark.parametrize("turns", TURNS.values(), ids=TURNS)
@pytest.mark.parametrize("name", OURS)
def test_a_beginning_renders_to_a_prefix_and_every_answer_ends_alike(name, turns):
    messages = [{"role": role, "content": f"say {i}"} for i, role in enumerate(turns)]
    whole = ours(name, messages)
    answers = [whole.text[start:end] for start, end in whole.spans]
    assert len(answers) == turns.count("assistant")
    terminators = {re.sub(r"^ ?say \d+", "", answer) for answer in answers}
    assert len(terminators) == 1  # the same at every turn, the last one too
    assert terminators != {""}
    for k, role in enumerate(turns):
        if role == "assistant":
            assert whole.text.startswith(ours(name, messages[: k + 1]).text.rstrip("\n"))


CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": "ä", "b": 2}}}
TOOL = {"type": "function", "function": {"name": "add", "description": "Sum"}}
TOOL_TURNS = [
    {"role": "user", "content": "add"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "3"},
    {"role": "assistant", "content": "It is 3."},
]


@pytest.mark.parametrize("name", ["chatml", "llama3"])
def test_tool_calls_are_the_assistants_words_and_results_are_not(name):
    rendering = ours(name, TOOL_TURNS, [TOOL])
    said = [rendering.text[start:end] for start, end in rendering.spans]
    assert len(said) == 2
    assert '"name": "add"' in said[0]
    assert '{"a": "ä", "b": 2}' in said[0]
    assert said[1].startswith("It is 3.")
    assert rendering.text.count('"description": "Sum"') == 1
    assert ours(name, TOOL_TURNS).text.count("Sum") == 0


@pytest.mark.parametrize("name", ["mistral", "zephyr", "vicuna", "alpaca"])
def test_templates_without_a_place_for_tools_say_so(name):
    with pytest.raises(jinja2.TemplateError, match="no place for"):
        ours(name, TOOL_TURNS)


def test_a_generation_block_inside_a_trim_and_a_loop_control_keeps_its_place():
    source = "{% for m in messages %}{% if m.content == 'skip' %}{% continue %}{% endif %}{% generation %}{{ m.content }}!{% endgeneration %}|{% endfor %}"
    rendering = render(
        compile_template(source, DATE), {"messages": [{"content": c} for c in ("a", "skip", "", "b")]}, None
    )
    assert rendering.text == "a!|!|b!|"
    assert rendering.spans == [(0, 2), (3, 4), (5, 7)]


def test_quoted_positions_are_those_of_the_final_text():
    template = compile_template(
        "{{ tools | tojson }}<x>{% generation %}{{ messages[0].content | trim }}<x>{% endgeneration %}", DATE
    )
    rendering = render(
        template, {"tools": [{"<x>": "é<x>"}], "messages": [{"content": " <x><x> "}]}, re.compile("<x>")
    )
    assert rendering.text == '[{"<x>": "é<x>"}]<x><x><x><x>'
    markup = [m.start() for m in re.finditer("<x>", rendering.text) if m.start() not in rendering.quoted]
    assert markup == [17, 26]
    assert rendering.spans == [(20, 29)]


def test_marks_in_the_data_are_refused():
    with pytest.raises(ValueError, match="noncharacter"):
        render(compile_template("{{ messages }}", DATE), {"messages": [{"content": BREAK}]}, None)


def test_the_sandbox_holds():
    with pytest.raises(jinja2.TemplateError):
        render(compile_template("{{ ''.__class__.__mro__[1].__subclasses__() }}", DATE), {}, None)
