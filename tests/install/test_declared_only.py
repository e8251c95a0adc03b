"""Every setting that fits a config can be typed, whether the config holds it or not."""

import inspect
import json

import pytest

from ppcjax import program
from ppcjax.cli import config_args
from ppcjax.evaluate import declared
from ppcjax.types import UserError
from tests.faults.test_settings import config_of, got, has, names


def read(name, words):
    argv = config_args.with_config_first([f"--config={name}", *words])
    return config_args.parse(config_args.define(argv), declared.hints)


def typed(value):
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize("name", names())
def test_what_a_config_does_not_hold_is_set(name):
    config = config_of(name)
    absent = {
        path: field
        for path, _, field in declared.settings_of(config.to_dict())
        if not has(config, path) and field.default is not inspect.Parameter.empty
    }
    words = [f"--{path}={typed(field.default)}" for path, field in absent.items()]
    assert words
    found = read(name, words)
    for path, field in absent.items():
        default = field.default
        kind = type(default) if default is not None else object
        value = got(found, path)
        assert isinstance(value, kind) and value == default, path
    for path in list(absent)[:2]:
        with pytest.raises(UserError, match=f"{path}.*(give|no such)"):
            read(name, [f"--{path}=a\tb"])


@pytest.mark.parametrize("name", ["neighbours", "neighbours:frozen", "panet_dino"])
def test_configs_of_what_learns_nothing_are_whole(name):
    assert read(name, ["--config.data.limit=3"]).data.limit == 3
    assert "config.eval.gallery" in declared.hints(config_of(name).to_dict())


def test_none_takes_a_setting_out(capsys):
    words = ["--config.method.pooling=attention"]
    out = "--config.method.pooling_sharpness"
    for more in ([f"{out}=None"], [out, "None"]):
        assert read("ppc_dino:cam", words + more).method.pooling_sharpness is None
    with pytest.raises(UserError, match="steps='None': give a whole number"):
        read("ppc_dino:cam", ["--config.steps=None"])
    assert read("ppc_dino:cam", ["--config.frozen.whole_cells"]).frozen.whole_cells


def test_what_belongs_to_what_is_named_beside_it_is_set():
    words = ["--config.method.scale=3", "--config.method.name=panet"]
    assert read("ppc_shapes", words).method.scale == 3.0
    with pytest.raises(UserError, match="the config has no such field"):
        read("ppc_shapes", words[:1])


def test_what_is_not_declared_is_named(capsys):
    with pytest.raises(SystemExit):
        program.main("train", "--config=ppc_shapes", "--config.method.poling=mean")
    said = capsys.readouterr().err
    assert "--config.method.poling=mean: the config has no such field" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("part", ["method", "data", "optim"])
def test_help_on_half_a_config_says_what_is_missing(part, tmp_path, capsys):
    file = tmp_path / "half.py"
    file.write_text(
        "from ppcjax.configs import ppc_shapes\n"
        "def get_config():\n"
        f"    c = ppc_shapes.get_config()\n    del c.{part}\n    return c\n"
    )
    with pytest.raises(SystemExit):
        program.main("train", f"--config={file}", "--help")
    assert f"error: config.{part} is missing" in capsys.readouterr().err
