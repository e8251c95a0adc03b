"""Compiled programs that cannot be kept cost no run; limits on open files are named."""

import resource
import warnings
from unittest import mock

import pytest

from ppcjax.cli import kept, limits
from ppcjax.types import UserError
from tests.faults import disks


@pytest.fixture
def settings(monkeypatch):
    """What JAX is told, which it is not."""
    told = {}
    monkeypatch.setattr("jax.config.update", told.__setitem__)
    monkeypatch.setattr(warnings, "showwarning", lambda *_, **__: told.update(other=1))
    return told


def test_a_folder_that_takes_none_is_one_line(tmp_path, monkeypatch, settings, capfd):
    folder = tmp_path / "cache"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    kept.keep_compiled_programs()
    assert settings["jax_compilation_cache_dir"] == str(folder)
    assert capfd.readouterr().err == ""
    (tmp_path / "file").write_text("")
    for code in disks.CODES.values():
        with disks.refusing(tmp_path, code):
            kept.keep_compiled_programs()
        said = capfd.readouterr().err
        assert said.count("\n") == 1 and "are not kept in" in said
        assert settings["jax_compilation_cache_dir"] is None
    folder.mkdir()  # with programs of earlier runs, which are read
    with disks.refusing(tmp_path, code):
        kept.keep_compiled_programs()
    assert settings["jax_compilation_cache_dir"] == str(folder)
    assert settings["jax_persistent_cache_min_compile_time_secs"] > 1e6
    assert settings["jax_persistent_cache_enable_xla_caches"] == "none"


def test_half_a_program_is_removed_and_said_once(
    tmp_path, monkeypatch, settings, capfd
):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    kept.keep_compiled_programs()
    warning = "Error %s persistent compilation cache entry for 'jit_f': %s"
    full = "OSError: [Errno 28] No space left on device"
    for what, why in (("writing", full), ("writing", full), ("reading", "zlib.error")):
        for name in ("jit_f-1-cache", "jit_fg-1-cache"):
            (tmp_path / name).write_text("half")
        warnings.showwarning(warning % (what, why), UserWarning, "f.py", 1)
        assert [path.name for path in tmp_path.iterdir()] == ["jit_fg-1-cache"]
    first, second = capfd.readouterr().err.splitlines()
    assert "(disk full)" in first and "is damaged" in second
    assert "other" not in settings
    warnings.showwarning("something else", UserWarning, "f.py", 1)
    assert settings["other"]


@pytest.mark.parametrize(
    ("soft", "hard", "is_enough"), [(16, 16, False), (16, 4096, True), (64, 64, True)]
)
def test_files_that_may_be_open_are_enough_or_it_is_said(soft, hard, is_enough):
    with (
        mock.patch.object(resource, "getrlimit", lambda _: (soft, hard)),
        mock.patch.object(resource, "setrlimit") as lifted,
    ):
        if is_enough:
            limits.raise_open_files()
        else:
            with pytest.raises(UserError, match="only 16 files may be open.*ulimit -n"):
                limits.raise_open_files()
    lifted.assert_called_once_with(resource.RLIMIT_NOFILE, (hard, hard))


def test_many_runs_in_a_process_say_it_once(tmp_path, monkeypatch, settings, capfd):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    for _ in range(2000):
        kept.keep_compiled_programs()
    warnings.showwarning(
        "Error reading persistent compilation cache entry for 'jit_f': zlib.error",
        UserWarning,
        "f.py",
        1,
    )
    assert capfd.readouterr().err.count("is damaged") == 1
    warnings.showwarning("something else", UserWarning, "f.py", 1)
    assert settings["other"]
