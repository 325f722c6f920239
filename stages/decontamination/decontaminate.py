"""Find benchmark items in documents, by any number of definitions, and reject, cut or mark what has them.

Sources of the definitions: see `_definitions.py`. Cutting: Brown et al. 2020 (GPT-3, arXiv:2005.14165, appendix C).
Protected sources: Radford et al. 2019 (GPT-2) left Wikipedia out of WebText, as benchmarks are built from it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.schema import CONTAMINATION, MESSAGES, SOURCE, TEXT, URL
from pipeline.stage import MapStage, Marks
from stages.decontamination._classes import CLASSES
from stages.decontamination._definitions import (
    Definition,
    NgramDefinition,
    RareNgramsDefinition,
    ShortDefinition,
)
from stages.decontamination._find import Reader, find_leaks, open_reader
from stages.decontamination._index import BenchmarkIndex, read_index
from stages.decontamination._leaks import Leaks, Verdict, in_characters, weigh, write_column
from stages.decontamination._splice import split_text
from stages.decontamination._verdicts import (
    CONTAMINATED_ITEMS,
    REASONS,
    Contamination,
    ProtectedSource,
    Verdicts,
    from_sources,
    protect,
    replace_texts,
)
from stages.kernels.dialogue import dialogue_texts

ClassName = Literal["input_and_output", "input_only", "output_only"]


class Resource(NamedTuple):
    """What the stage works with."""

    items: BenchmarkIndex
    reader: Reader


class Decontaminate(MapStage[Resource]):
    """Search documents for the items of a benchmark index, by several definitions at once, and act on some of them.

    Every item found is told by each definition that finds it, with its class: input and output (the question and
    its answer), input only, output only. `decide` and `classes` say which of these decide about a document.
    Matching takes no notice of case, punctuation, accents, spacing and HTML entities. It finds copies, not
    paraphrases. `cut` joins what is left with a blank line; `mark` only writes the columns and the evidence.
    """

    version: ClassVar[int] = 2
    reasons = Contamination
    sides: ClassVar[Mapping[str, str]] = {
        "index": "a build_ngram_index node over benchmark items",
        "counts": "a count_ngram_hits node over the corpus, for definitions with max_documents",
    }
    summarize: ClassVar[Mapping[str, Literal["sum", "values"]]] = {"contaminated_items": "sum"}

    definitions: list[Definition] = Field(
        [NgramDefinition(n=13), ShortDefinition()],
        min_length=1,
        description="what counts as contamination; all are searched for in one pass, and all are written down",
    )
    decide: list[str] | None = Field(
        None, min_length=1, description="names of the definitions that decide about documents; null: all"
    )
    classes: list[ClassName] = Field(
        ["input_and_output", "input_only", "output_only"],
        min_length=1,
        description="classes that decide about documents",
    )
    on: Literal["text", "messages"] = Field(
        "text",
        description="where to look: the text, or the contents of a dialogue's turns, joined by a blank line "
        "(places in the results count in that)",
    )
    action: Literal["reject", "cut", "mark"] = Field(
        "reject", description="reject the document, cut the matches out of it, or only mark it"
    )
    answer_words: int = Field(
        30,
        ge=1,
        description="words before and after a question in which an answer too short to be found by itself is "
        "looked for",
    )
    window_chars: int = Field(
        200, ge=0, description="cut: characters removed on both sides of a match (GPT-3: 200)"
    )
    min_piece_chars: int = Field(
        200, ge=1, description="cut: shorter pieces are removed as well (GPT-3: 200)"
    )
    max_pieces: int | None = Field(
        10,
        ge=1,
        description="cut: a document that falls into more pieces is rejected (GPT-3: 10); null: never",
    )
    protect: list[ProtectedSource] = Field(
        [], description="sources that benchmarks were built from: their documents are rejected whole"
    )
    only_mark_sources: list[str] = Field(
        [], description="sources of the corpus whose documents are never removed or cut, only marked"
    )

    def reads(self) -> pa.Schema:
        """The text or the dialogue; source and URL where rules need them."""
        wanted = [MESSAGES if self.on == "messages" else TEXT]
        if self.only_mark_sources or any(rule.sources for rule in self.protect):
            wanted.append(SOURCE)
        if any(rule.domains for rule in self.protect):
            wanted.append(URL)
        return pa.schema(wanted)

    def writes(self) -> pa.Schema:
        """The leaks and the number of items that decide; the text too, where it is cut."""
        return pa.schema([CONTAMINATION, CONTAMINATED_ITEMS, *([TEXT] if self.action == "cut" else [])])

    def problems(self) -> Sequence[str]:
        """Names that clash or do not exist; dialogues that would be cut; rules that contradict each other."""
        titles = [definition.title for definition in self.definitions]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        found = [f"two definitions are called {title!r}; give one of them another `name`" for title in twice]
        found += [
            f"decide names {title!r}, but the definitions are {', '.join(titles)}"
            for title in self.decide or []
            if title not in titles
        ]
        if self.on == "messages" and self.action == "cut":
            found.append(
                "action is 'cut', which would leave half a dialogue; with on: messages, use reject or mark"
            )
        for rule in self.protect:
            if not rule.sources and not rule.domains:
                found.append(
                    f"protect: the rule for {rule.benchmark!r} names nothing; give it sources or domains"
                )
            found += [
                f"source {name!r} stands in both protect and only_mark_sources; leave one"
                for name in sorted(set(rule.sources) & set(self.only_mark_sources))
            ]
        return found

    def needs_side(self) -> Sequence[str]:
        """The index; counts where a definition leaves frequent n-grams out."""
        counting = any(isinstance(d, NgramDefinition) and d.max_documents for d in self.definitions)
        return ["index", "counts"] if counting else ["index"]

    def describe(self) -> Sequence[str]:
        """Which definitions decide, and which only say what they find."""
        titles = [definition.title for definition in self.definitions]
        deciding = titles if self.decide is None else [title for title in titles if title in self.decide]
        silent = [title for title in titles if title not in deciding]
        lines = [f"{', '.join(deciding)} decide: {', '.join(self.classes)}"]
        return [*lines, f"{', '.join(silent)} only say what they find"] if silent else lines

    def open(self, side: Mapping[str, Path]) -> Resource:
        """Map the index, and check that the params fit it.

        Raises:
            ValueError: a definition that the index cannot serve; a protected benchmark that it does not have.
        """
        index = read_index(side["index"])
        problems = self._misfits(index)
        if problems:
            raise ValueError("decontaminate: " + "; ".join(problems))
        return Resource(index, open_reader(index, side.get("counts")))

    def _misfits(self, index: BenchmarkIndex) -> list[str]:
        found = []
        for definition in self.definitions:
            n = getattr(definition, "n", None) or getattr(definition, "min_words", None)
            if n is not None and n < index.seed_words:
                found.append(
                    f"{definition.title} asks for runs of {n} words, but the index finds none under "
                    f"{index.seed_words}; build it with seed_words: {n}, or ask for {index.seed_words}"
                )
            if isinstance(definition, RareNgramsDefinition) and index.rare is None:
                found.append(
                    f"{definition.title} needs rare n-grams, which the index does not have; build it with rare_words: 5"
                )
        known = sorted(set(index.items["benchmark"].unique().to_pylist()))
        found += [
            f"protect names the benchmark {rule.benchmark!r}, but the index has {', '.join(known)}"
            for rule in self.protect
            if rule.benchmark not in known
        ]
        return found

    def annotate(self, batch: pa.RecordBatch, resource: Resource) -> Marks:
        """Leaks of each row; verdict and evidence for those where some decide."""
        texts = dialogue_texts(batch["messages"]) if self.on == "messages" else batch["text"]
        leaks = find_leaks(
            texts, resource.items, resource.reader, self.definitions, self._decides(), self.answer_words
        )
        verdicts = Verdicts(batch.num_rows)
        column = pa.nulls(batch.num_rows, CONTAMINATION.type)
        if leaks is not None:
            marked = from_sources(batch, self.only_mark_sources)
            column = self._decide(texts, leaks, resource.items, marked, verdicts)
        protect(verdicts, batch, self.protect)
        columns = {"contamination": column, "contaminated_items": pa.array(verdicts.items)}
        if self.action == "cut":
            columns["text"] = replace_texts(texts, verdicts.cleaned)
        return Marks(columns, verdicts.reject_column(), verdicts.evidence_column())

    def _decides(self) -> list[list[bool]]:
        """For each definition, whether it decides with each of CLASSES."""
        classes = [name in self.classes for name in CLASSES]
        none = [False] * len(CLASSES)
        deciding = {d.title for d in self.definitions} if self.decide is None else set(self.decide)
        return [classes if d.title in deciding else none for d in self.definitions]

    def _decide(
        self, texts: pa.Array, leaks: Leaks, index: BenchmarkIndex, marked: np.ndarray, verdicts: Verdicts
    ) -> pa.Array:
        """Verdicts of the rows with leaks; returns the column of all leaks."""
        rows = np.unique(leaks.row)
        strings = texts.take(pa.array(rows)).to_pylist()
        leaks = in_characters(leaks, rows, strings)
        names = pa.array([definition.title for definition in self.definitions], pa.string())
        column = write_column(leaks, rows, strings, len(texts), names, index.items)
        for row, text in zip(rows.tolist(), strings, strict=True):
            low, high = np.searchsorted(leaks.row, [row, row + 1]).tolist()
            verdict = weigh(leaks, low, high)
            if verdict is not None:
                removed = 0
                if not marked[row]:
                    removed = self._act(verdicts, row, text, verdict)
                leak = column[row][verdict.worst - low].as_py()
                verdicts.note(row, verdict, leak, removed)
        return column

    def _act(self, verdicts: Verdicts, row: int, text: str, verdict: Verdict) -> int:
        """Reject or cut one document, as the action says; returns the characters removed."""
        if self.action == "reject":
            verdicts.reject[row] = REASONS[verdict.kind]
        elif self.action == "cut":
            pieces = split_text(text, verdict.spans, self.window_chars)
            left = [piece for piece in pieces if len(piece) >= self.min_piece_chars]
            if self.max_pieces is not None and len(pieces) > self.max_pieces:
                verdicts.reject[row] = Contamination.TOO_MANY_CONTAMINATED_SPANS
            elif not left:
                verdicts.reject[row] = Contamination.TOO_LITTLE_LEFT
            else:
                verdicts.cleaned[row] = "\n\n".join(left)
                return len(text) - len(verdicts.cleaned[row])
        return 0
