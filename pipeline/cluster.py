"""Where Dask runs: this machine, a running cluster's address, SLURM, or any cluster class by a YAML file.

`--cluster` takes an address (tcp://host:8786), a file such as configs/clusters/slurm.yaml, or nothing for
processes on this machine.
"""

import importlib
import logging
import multiprocessing
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipeline.config import Problem, locate, validate
from pipeline.errors import ConfigError, PipelineError
from pipeline.executors import Executor
from pipeline.executors.local import LocalExecutor
from pipeline.yaml12 import load

CONNECT_S = 30
DEATHS_ALLOWED = (
    20  # a row that kills its worker is found after a few deaths (quarantine.py); others ride along
)


class ClusterConfig(BaseModel):
    """A cluster file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["local", "address", "slurm", "in-process"] = "local"
    workers: int | None = Field(None, ge=1, description="processes; null means one a core (local)")
    memory: str | None = Field(None, description="of one worker, such as 4GB; null leaves it to the machine")
    address: str | None = Field(None, description="of a running scheduler; $DASK_SCHEDULER_ADDRESS when null")
    dashboard: bool = Field(
        False, description="serve Dask's dashboard on 127.0.0.1 (needs the extra 'dashboard')"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="passed to the cluster class as they are"
    )


def load_cluster(spec: str | None, workers: int | None) -> ClusterConfig:
    """The cluster that `--cluster` and `--workers` mean.

    Raises:
        ConfigError: the file is missing or says what it cannot say.
    """
    if spec is None:
        return ClusterConfig(workers=workers)
    if "://" in spec:
        return ClusterConfig(kind="address", address=spec)
    try:
        document = load(Path(spec).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{spec}: cannot be read as a cluster file: {error}") from error
    data = document.data or {}
    if workers is not None:
        data["workers"] = workers
    config, problems = validate(ClusterConfig, data, ())
    if problems:
        raise ConfigError(locate(problems, document.lines, spec))
    if config.kind == "address" and not (config.address or os.environ.get("DASK_SCHEDULER_ADDRESS")):
        message = "address: is missing; write tcp://host:8786 or set DASK_SCHEDULER_ADDRESS"
        raise ConfigError(locate([Problem(("address",), message)], document.lines, spec))
    return config  # type: ignore[no-any-return]


def connect(config: ClusterConfig) -> Executor:
    """An executor on that cluster; starts workers where the kind says so.

    Raises:
        PipelineError: the scheduler does not answer, or a package is missing.
    """
    if config.kind == "in-process":
        return LocalExecutor()
    import dask
    from distributed import Client

    from pipeline.executors.dask import DaskExecutor, IgnoreInterrupt

    logging.getLogger("distributed").setLevel(logging.ERROR)
    dask.config.set({"distributed.scheduler.allowed-failures": DEATHS_ALLOWED})
    for name in ("TOKENIZERS_PARALLELISM", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"):  # one core a worker
        value = "false" if name == "TOKENIZERS_PARALLELISM" else "1"
        dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": value})
    if config.kind == "address":
        address = config.address or os.environ["DASK_SCHEDULER_ADDRESS"]
        try:
            return DaskExecutor(Client(address, timeout=CONNECT_S, set_as_default=False))
        except OSError as error:
            raise PipelineError(f"no Dask scheduler answers at {address}: {error}") from error
    cluster = _local(config) if config.kind == "local" else _slurm(config)
    client = Client(cluster, set_as_default=False)
    if config.kind == "local":
        client.register_plugin(IgnoreInterrupt())
    return DaskExecutor(client, cluster)


def _local(config: ClusterConfig) -> Any:
    from distributed import LocalCluster

    if getattr(
        multiprocessing.current_process(), "_inheriting", False
    ):  # a worker importing the user's script
        raise PipelineError("a script that starts a run must do so under: if __name__ == '__main__':")

    return LocalCluster(
        n_workers=config.workers or os.cpu_count() or 1,
        threads_per_worker=1,
        processes=True,
        memory_limit=config.memory or "auto",
        dashboard_address="127.0.0.1:0",  # a free port: two runs on one machine must not meet on 8787
        scheduler_kwargs={"dashboard": config.dashboard},
        silence_logs=logging.CRITICAL,  # a worker that closes says so at length, in tracebacks
        **config.options,
    )


def _slurm(config: ClusterConfig) -> Any:
    try:
        module = importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise PipelineError(
            "SLURM needs the package 'dask-jobqueue'; install it with: pip install '.[cluster]'"
        ) from error
    cluster = module.SLURMCluster(**config.options)
    cluster.scale(jobs=config.workers or 1)
    return cluster
