"""What can be made again lies in one folder, which a user may move."""

import os
import warnings
from pathlib import Path

import pytest

from ppcjax import checkout
from ppcjax.cli import kept
from ppcjax.console import caches
from ppcjax.weights import fetch
from tests.frozen.networks import network

OTHERS = ("JAX_COMPILATION_CACHE_DIR", "PPCJAX_WEIGHTS", "KERAS_HOME")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's home, in which nothing is set."""
    for name in ("XDG_CACHE_HOME", *OTHERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def found(monkeypatch):
    """Asks each part of the program for its folder."""

    def ask():
        told = {}
        with monkeypatch.context() as patch:
            patch.setattr("jax.config.update", told.__setitem__)
            patch.setattr(warnings, "showwarning", warnings.showwarning)
            kept.keep_compiled_programs()
        with checkout.keras_elsewhere():
            keras = os.environ["KERAS_HOME"]
        return {
            "programs": Path(told["jax_compilation_cache_dir"]),
            "features": network(cache="").cache.folder.parent,
            "weights": fetch.cache_dir(),
            "keras": Path(keras),
        }

    return ask


@pytest.mark.parametrize("given", [None, "", "relative", "~/moved", "{home}/moved"])
def test_all_lie_in_one_folder(home, monkeypatch, found, given):
    if given is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", given.format(home=home))
    root = home / ("moved" if given and "moved" in given else ".cache") / "ppcjax"
    below = {name: root / name for name in ("features", "weights", "keras")}
    assert found() == {"programs": root, **below}
    assert caches.folder() == root and caches.folder("a", "b") == root / "a" / "b"


def test_what_is_named_by_itself_goes_before_it(home, monkeypatch, found):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "moved"))
    for name in OTHERS:
        monkeypatch.setenv(name, str(home / name))
    there = found()
    assert [there.pop(name) for name in ("programs", "weights", "keras")] == [
        home / name for name in OTHERS
    ]
    assert there == {"features": home / "moved/ppcjax/features"}
