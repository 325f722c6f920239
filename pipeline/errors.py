"""Every error that corpusmill raises on purpose.

    PipelineError
    ├── ConfigError       the user's file or command is wrong; carries *all* problems found, exit code 2
    ├── StageError        a stage broke the contract: names node, partition and row
    ├── DataError         an input file cannot be read at all, or the documents do not allow what a node asks
    ├── CheckpointError   the store holds something that its commit record does not vouch for
    ├── BooksError        rows in and rows accounted for differ: a bug, never to be ignored
    ├── TooManyErrors     more rows failed than `max_error_ratio` allows
    ├── SourceBrake       a node rejected more of a source than its `max_source_loss` allows
    ├── RunLocked         another job is writing this run
    └── Interrupted       the run was asked to stop (SIGTERM, Ctrl-C); what is committed stays

Messages read *where: what is wrong, with the value; what to write instead.*
"""

from collections.abc import Sequence
from typing import Any


class PipelineError(Exception):
    """Anything corpusmill refuses or cannot do; `except PipelineError` is the one catch a caller needs."""


class ConfigError(PipelineError):
    """The configuration cannot run. `problems` lists every fault found, each with its place."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        self.partial: Any = None  # what of the config can still be checked, if anything
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str]]]:
        return type(self), (self.problems,)


class StageError(PipelineError):
    """A stage returned what the contract forbids, or raised where no single row is to blame."""


class DataError(PipelineError):
    """An input cannot be read at all, or what a node asks cannot be had of the documents: a quota, a vocabulary."""


class CheckpointError(PipelineError):
    """Stored work differs from its commit record: a truncated or altered file."""


class BooksError(PipelineError):
    """Rows in differ from rows kept, rejected and failed. Always a defect; the run stops."""


class TooManyErrors(PipelineError):
    """More rows failed at a node than `run.max_error_ratio` allows."""


class SourceBrake(PipelineError):
    """A node rejected a larger share of one source than `max_source_loss`: whole sources must not vanish unseen."""


class RunLocked(PipelineError):
    """Another job holds the lock of this run's folder."""


class Interrupted(PipelineError):
    """The run was asked to stop; units committed so far are kept and the same command continues."""
