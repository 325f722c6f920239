"""Items of the tasks of lm-evaluation-harness, as it puts them to a model (the extra `lm-eval`).

A task's own functions say what is asked and what is right (`doc_to_text`, `doc_to_choice`, `doc_to_target`), so what
is looked for is what is evaluated. Few-shot examples and the task's description are not part of `doc_to_text`. An
item is called by its number, the harness' `doc_id`, so that lists of clean items can be laid beside its results.
"""

import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field

from pipeline.errors import DataError
from pipeline.stage import Damage, Source
from stages.sources._benchmark_fields import BenchmarkFields
from stages.sources._benchmark_items import FilePlace, Item, Reading, make_items
from stages.sources._benchmark_rows import COLUMNS, SPLIT, batches_of
from stages.sources._benchmark_text import PREFIXES, SUFFIXES
from stages.sources._benchmark_unpack import gsm8k

Docs = Literal["evaluated", "test", "validation", "training"]
NEEDED = "read_lm_eval: needs the package lm_eval; install it with: pip install 'corpusmill[lm-eval]'"
RECORD = BenchmarkFields(
    question="question?", choices="choices?", answer="answer?", solution="solution?", passage=None
)


class Chosen(NamedTuple):
    """Which tasks, and which of their documents."""

    tasks: tuple[str, ...]
    include_path: str | None
    docs: Docs


def manager_of(include_path: str | None) -> Any:
    """The harness' register of tasks.

    Raises:
        DataError: the package is not installed.
    """
    try:
        tasks = importlib.import_module("lm_eval.tasks")
    except ImportError as error:
        raise DataError(NEEDED) from error
    return tasks.TaskManager(include_path=include_path)


@functools.lru_cache(maxsize=4)
def load_tasks(chosen: Chosen) -> Mapping[str, Any]:
    """The tasks by name, groups and tags replaced by what is in them; loads their data.

    Raises:
        DataError: the package is not installed, or a task cannot be loaded.
    """
    manager = manager_of(chosen.include_path)
    names = manager.match_tasks(list(chosen.tasks))
    found: dict[str, Any] = {}
    for name in sorted(names):
        try:
            found |= manager.load([name])["tasks"]
        except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
            # whatever `datasets` or a task's own code raises
            raise DataError(
                f"lm-eval task '{name}': cannot be loaded ({type(error).__name__}: {error}); check the network, or "
                "the task's files"
            ) from error
    return dict(sorted(found.items()))


def documents_of(name: str, task: Any, docs: Docs) -> Sequence[Any]:
    """A task's documents.

    Raises:
        DataError: it has none of that kind.
    """
    if docs == "evaluated":
        docs = "test" if task.has_test_docs() else "validation"
    if not getattr(task, f"has_{docs}_docs")():
        raise DataError(f"lm-eval task '{name}': it has no {docs} documents; write another `docs`")
    return list(getattr(task, f"{docs}_docs")())


def record_of(task: Any, doc: Any) -> dict[str, Any]:
    """What a task makes of a document, with the names of a benchmark's parts."""
    text, target = task.doc_to_text(doc), task.doc_to_target(doc)
    choices = list(map(str, task.doc_to_choice(doc))) if _has_choices(task) else []
    if isinstance(text, int) and choices:
        return _several_inputs(task, doc, choices[text], str(target))
    targets = [
        choices[one] if isinstance(one, int) and 0 <= one < len(choices) else str(one)
        for one in (target if isinstance(target, list | tuple) else [target])
    ]
    if choices:
        return {"question": text, "choices": [choice.strip() for choice in choices], "answer": targets}
    question = text if str(text).strip() else targets[0]  # of perplexity tasks the target is all there is
    long = [one for one in targets if "\n" in one.strip()]
    short = [one for one in targets if "\n" not in one.strip()]
    if len(long) == 1 and "####" in long[0]:
        return gsm8k({"question": question, "answer": long[0]})[0]
    return {"question": question, "solution": long, "answer": short}


def _has_choices(task: Any) -> bool:
    config = getattr(task, "config", None)
    return getattr(config, "doc_to_choice", None) is not None or (
        config is None and hasattr(task, "doc_to_choice")
    )


def _several_inputs(task: Any, doc: Any, right: str, rest: str) -> dict[str, Any]:
    """Of tasks such as WinoGrande's, whose choices are beginnings and whose target is the end of all of them."""
    whole = f"{right} {rest.strip()}"
    query = task.doc_to_decontamination_query(doc) if task.should_decontaminate() else None
    return {"question": query or whole, "solution": whole if query else None}


class ReadLmEval(Source[None]):
    """Read the items of lm-evaluation-harness tasks: one row an item, as `read_benchmark` writes them.

    Needs `pip install 'corpusmill[lm-eval]'`, and the network for tasks whose data is not in the cache of `datasets`.
    Labels such as `Question:` and `Answer:` around a question are taken off; choices that stand in it, lettered,
    become choices.
    """

    libraries = ("datasets", "lm-eval")

    tasks: list[str] = Field(
        min_length=1, description="tasks, groups or tags, or globs of these: arc_easy, mmlu, bbh_zeroshot_*"
    )
    include_path: str | None = Field(None, description="folder of your own task files (YAML)")
    docs: Docs = Field(
        "evaluated",
        description="which documents; evaluated: those that the harness scores, test if there are any, else validation",
    )
    batch_rows: int = Field(1024, ge=1, description="items in a batch, at most; 32 MB bounds it too")

    def writes(self) -> pa.Schema:
        """Origin, a readable text, the benchmark (the task), the item's id (the doc_id) and its parts."""
        return COLUMNS

    def resources(self) -> Sequence[Path]:
        """The task files of one's own."""
        return [] if self.include_path is None else [Path(self.include_path)]

    def problems(self) -> Sequence[str]:
        """The package is missing, or has no such task."""
        if self.include_path is not None and not Path(self.include_path).is_dir():
            return []  # the engine says which resource is missing
        try:
            manager = manager_of(self.include_path)
        except DataError as error:
            return [str(error)]
        return [
            f"tasks: lm-eval has no task, group or tag '{name}'; `lm-eval ls tasks` lists them"
            for name in self.tasks
            if not manager.match_tasks([name])
        ]

    def split(self) -> Sequence[str]:
        """One partition; the tasks are loaded and checked here, before work starts.

        Raises:
            DataError: a task cannot be loaded, or a document of it is no item.
        """
        load_tasks.cache_clear()  # a run begins: what an earlier one loaded may be old
        self.items()
        return [SPLIT]

    def files(self, split: str) -> Sequence[str]:  # noqa: ARG002
        """The files of the cache of `datasets` that hold the tasks' data."""
        sets = [getattr(task, "dataset", None) or {} for task in load_tasks(self._chosen()).values()]
        parts = [part for one in sets for part in one.values()]
        files = {str(file["filename"]) for part in parts for file in getattr(part, "cache_files", None) or []}
        return sorted(files)

    def label(self, split: str) -> str:  # noqa: ARG002
        """The tasks and which of their documents."""
        return f"{','.join(load_tasks(self._chosen()))} [{self.docs}]"

    def read(self, split: str, resource: None) -> Iterator[pa.RecordBatch | Damage]:  # noqa: ARG002
        """All items, task by task.

        Raises:
            DataError: as for `split`.
        """
        yield from batches_of(self.items(), self.batch_rows)

    def items(self) -> list[tuple[str, Item]]:
        """Every item, with its task.

        Raises:
            DataError: with all faults.
        """
        found: list[tuple[str, Item]] = []
        faults: list[str] = []
        for name, task in load_tasks(self._chosen()).items():
            records = [record_of(task, doc) for doc in documents_of(name, task, self.docs)]
            reading = Reading(
                name, (RECORD,), ("text", "letter"), lenient=True, prefixes=PREFIXES, suffixes=SUFFIXES
            )
            made = make_items(records, reading, FilePlace(name))
            faults += [f"lm-eval task '{name}': {fault}" for fault in made.faults]
            found += [(name, item) for item in made.items]
        if faults:
            raise DataError("\n".join(faults))
        return found

    def _chosen(self) -> Chosen:
        return Chosen(tuple(self.tasks), self.include_path, self.docs)
