"""What a run of a shipped config says where it begins."""

import importlib

import pytest

from ppcjax import checkout
from ppcjax.configs import ppc
from ppcjax.program import train
from ppcjax.train import settings


def _config(named):
    name, _, variant = named.partition(":")
    module = importlib.import_module(f"ppcjax.configs.{name}")
    return module.get_config(variant) if variant else module.get_config()


def _file(named):
    name, colon, variant = named.partition(":")
    return f"{checkout.CONFIGS / name}.py{colon}{variant}"


@pytest.fixture(scope="module")
def named():
    """All shipped configs, and the variants of PPC."""
    whole = [f"ppc_folder:{variant}" for variant in ppc.VARIANTS if variant]
    return [*checkout.shipped(), *whole]


def test_a_folder_config_names_the_one_on_a_frozen_network(named):
    found = {name: checkout.on_frozen(_file(name)) for name in named}
    found = {name: other for name, other in found.items() if other}
    assert {"ppc_folder", "ppc_folder:cam", "segment_folder"} <= set(found)
    for name, other in found.items():
        plain, frozen = _config(name), _config(other)
        assert "frozen" not in plain and frozen.frozen.backbone
        assert frozen.data.source == plain.data.source == "folder"
        assert frozen.method.name == plain.method.name
        assert settings.reads_of(frozen.method) == settings.reads_of(plain.method)
        (line,) = train.hints(_file(name))
        assert f"--config {other} " in line and "\n" not in line
        # Which has none itself.
        assert train.hints(_file(other)) == []


def test_none_is_missed():
    """Where names follow the rule there is a line, whatever configs are shipped."""
    for other in checkout.shipped():
        plain = other.replace("_dino_folder", "_folder")
        if plain != other:
            assert checkout.on_frozen(_file(plain)) == other


def test_a_config_of_ones_own_is_told_nothing(tmp_path):
    assert train.hints(str(tmp_path / "ppc_folder.py")) == []
    assert train.hints("configs/ppc_folder.json") == []
