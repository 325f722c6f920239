"""The contract test is run on stages that break it: a rule that finds nothing there is no rule."""

import pytest

from pipeline.errors import PipelineError
from pipeline.stage import StageRef
from stages.registry import STAGES
from tests.contract import test_every_stage as contract
from tests.contract.cases import CASES

KEY = ("broken", 0)
ROWS = contract.test_a_row_depends_on_itself_alone
KEPT = contract.test_nothing_is_kept_or_changed
NOTHING = contract.test_rows_with_nothing_in_them


@pytest.fixture
def register(monkeypatch):
    def put(name):
        monkeypatch.setitem(STAGES, "broken", StageRef(f"tests.contract.broken:{name}"))
        monkeypatch.setitem(CASES, "broken", [{}])

    return put


def test_a_sound_stage_passes(world, register):
    register("Sized")
    for rule in (ROWS, KEPT, NOTHING, contract.test_declarations, contract.test_texts_that_nobody_thought_of):
        rule(world, KEY)
    contract.test_it_says_what_it_does("broken")
    contract.test_libraries_that_its_output_depends_on("broken")


@pytest.mark.parametrize(
    ("name", "rule", "error"),
    [
        ("LooksAcrossRows", ROWS, AssertionError),
        ("ReadsPastTheSlice", ROWS, AssertionError),
        ("Remembers", KEPT, AssertionError),
        ("FearsNull", NOTHING, TypeError),
        ("WrongType", ROWS, PipelineError),
        ("UnknownReason", ROWS, PipelineError),
        ("DropsParents", ROWS, PipelineError),
        ("FirstComeFirstKept", contract.test_partitions_and_order_of_arrival_do_not_matter, AssertionError),
    ],
)
def test_it_is_found(world, register, name, rule, error):
    register(name)
    with pytest.raises(error):
        rule(world, KEY)


@pytest.mark.parametrize("name", ["CountsBatches", "LeavesRows"])
def test_a_bad_sink_is_found(world, register, tmp_path, name):
    register(name)
    with pytest.raises(AssertionError):
        contract.test_equal_rows_make_equal_bytes(world, KEY, tmp_path)


@pytest.mark.parametrize(
    "rule",
    [
        contract.test_it_says_what_it_does,
        contract.test_params_are_described,
        contract.test_reasons_are_distinct_words,
        contract.test_libraries_that_its_output_depends_on,
    ],
)
def test_what_a_class_leaves_out_is_found(register, rule):
    register("Undescribed")
    with pytest.raises(AssertionError):
        rule("broken")
