"""Settings and options that mean nothing are refused in one line before anything runs.

All settings of all shipped configs and their variants, of all modules, and all options
of all commands; the wrong values come from the declarations.
"""

import contextlib
import functools
import importlib
import inspect
import io
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest

import ppcjax
from ppcjax import cli, data_pipelines, fields
from ppcjax.configs import base
from ppcjax.evaluate import declared, training
from ppcjax.fields import options, values
from ppcjax.nn import modules
from ppcjax.program import train
from ppcjax.train import loop, settings
from ppcjax.types import UserError
from tests import every_setting
from tests.faults import held
from tests.wrong_values import allows, right_values, wrong_values

# What somebody types; each is wrong for most settings, and right for some.
TYPED = (
    *("nan", "inf", "-inf", "-1", "-0.1", "0", "1", "0.5", "1.5", "1e300", "-1e300"),
    *("1e13", str(2**70), str(-(2**70)), str(10**400), "1000000000", "1e400", "0x10"),
    *("", "None", "True", "abc", "x" * 5000, "a\nb", "\x1b[31m", "../x", "é", '"', "("),
    *("()", "(1,)", "(1,2)", "(1,2,3,4,5,6,7)", "(nan,nan)", "('a','b')", "{}"),
    *("{'a':1}", "[[1]]", "1_0", "--", "=", "%s", "1e-320"),
)


class Reached(Exception):
    """All settings were taken: the data would be opened now."""


class Setting(NamedTuple):
    """A setting of a shipped config, or of what an option or a module declares.

    config: name of the config, with its variant.
    path: where it stands there.
    hint: its annotation.
    """

    config: str
    path: str
    hint: object


@functools.cache
def names():
    """All shipped configs and their variants."""
    found = []
    for path in sorted(Path(base.__file__).parent.glob("*.py")):
        module = importlib.import_module(f"ppcjax.configs.{path.stem}")
        if path.stem == "base" or not hasattr(module, "get_config"):
            continue
        variants = [""]
        if inspect.signature(module.get_config).parameters:
            with pytest.raises(ValueError) as caught:
                module.get_config("no such variant")
            variants += str(caught.value).partition("; there are ")[2].split(", ")
        # A config of what has nothing to train is refused before its settings are read.
        for variant in variants:
            config = module.get_config(*filter(None, [variant]))
            if settings.trains(config.method):
                found.append(":".join(filter(None, [path.stem, variant])))
    return found


@functools.cache
def shipped(name):
    """The settings that a config holds, with their declarations."""
    config = config_of(name)
    return [
        Setting(name, where, field.hint)
        for where, _, field in declared.settings_of(config.to_dict())
        if has(config, where)
    ]


def has(config, path):
    *parts, name = path.split(".")[1:]
    for part in parts:
        config = config.get(part) or {}
    return name in config


def config_of(name):
    stem, _, variant = name.partition(":")
    module = importlib.import_module(f"ppcjax.configs.{stem}")
    return module.get_config(*filter(None, [variant]))


def got(config, path):
    for part in path.split(".")[1:]:
        config = config[part]
    return config.to_dict() if hasattr(config, "to_dict") else config


def started(call):
    """What was said, and the config.data and all with which data would be opened."""
    said = io.StringIO()
    reached = mock.patch.object(data_pipelines, "make_source", side_effect=Reached)
    devices = mock.patch("jax.device_count", lambda: 1)
    with reached, devices, contextlib.redirect_stderr(said):
        try:
            call()
        except Reached:
            return True, said.getvalue()
        except UserError as error:
            return False, f"error: {error}\n"
        except SystemExit as stop:
            assert stop.code == 1, stop.code
    return False, said.getvalue()


def one_line(said, name):
    assert said.count("\n") == 1 and said.startswith("error: "), said
    assert said[:-1].isprintable() and len(said) < 1200, said
    assert name in said, f"{name} is not named: {said}"


def typed(fault):
    """A value as it is typed: refused in a line, or what the config holds is right."""
    setting, text = fault
    kept = {}
    whole = loop.train

    def keep(config, *arguments, **more):
        kept["config"] = config
        return whole(config, *arguments, **more)

    argv = [f"--config={setting.config}", f"--{setting.path}={text}"]
    with mock.patch.object(loop, "train", keep):
        ran, said = started(lambda: cli.one_line(train.main, argv))
    if not ran:
        one_line(said, setting.path.rpartition(".")[2])
        return
    value = got(kept["config"], setting.path)
    assert allows(setting.hint, value), f"{setting.path}={value!r} trains"


def written(fault):
    """A value that a config of one's own holds: refused where it is not allowed."""
    setting, value = fault
    config = config_of(setting.config)
    *parts, name = setting.path.split(".")[1:]
    place = config
    for part in parts:
        place = place[part]
    try:
        with place.ignore_type(), place.unlocked():
            place[name] = value
    except (OverflowError, TypeError):
        return  # a config cannot hold it
    value = got(config, setting.path)  # a number of another type became one
    ran, said = started(lambda: loop.train(config, "runs/x", check=training.check))
    right = allows(setting.hint, value)
    assert right or not ran, f"{setting.path}={value!r} trains"
    if not ran:
        one_line(said, name)
    if right:  # others may not go with it
        assert f"{setting.path}={fields.shown(value)}: give" not in said, said


def of_module(fault):
    """A field of a module that a config holds."""
    setting, value = fault
    given = {"num_classes": 3} if "head" in setting.config else {}
    make = every_setting.MODULES[setting.config]
    try:
        modules.build(make, {setting.path: value}, where="x", **given)
    except UserError as error:
        one_line(f"error: {error}\n", f"config.method.x.{setting.path}")
        return
    raise AssertionError(f"{setting.path}={value!r} is taken")


def of_option(fault):
    """An option of a command: refused, or read as something that is allowed."""
    setting, text = fault
    known = fields.fields_of(
        every_setting.OPTIONS[setting.config], without=every_setting.OTHERS
    )
    try:
        found = options.read(
            [f"--{setting.path}={text}"], known, what=setting.config
        ).values
    except UserError as error:
        one_line(f"error: {error}\n", f"--{setting.path}=")
        return
    value = found[setting.path]
    assert allows(setting.hint, value), f"--{setting.path}={value!r} is taken"


TRIED = {"typed": typed, "written": written, "module": of_module, "option": of_option}


def draw(rng):
    """A setting, and a value: mostly one that it does not allow."""
    kind = rng.choice(["typed", "written", "module", "option"], p=[0.4, 0.4, 0.1, 0.1])
    if kind in ("typed", "written"):
        known = shipped(names()[rng.integers(len(names()))])
    else:
        of = {"module": every_setting.of_modules, "option": every_setting.of_options}
        known = [Setting(*one) for one in of[kind]()]
    setting = known[rng.integers(len(known))]
    if kind in ("typed", "option"):
        texts = [*TYPED, *map(str, wrong_values(setting.hint)[:60])]
        value = texts[rng.integers(len(texts))]
    else:
        right = right_values(setting.hint) if kind == "written" else []
        some = right if right and rng.random() < 0.2 else wrong_values(setting.hint)
        value = some[rng.integers(len(some))]
    shown = f"{kind} {setting.config} {setting.path}={fields.shown(value)}"
    return held.Fault(shown, (kind, (setting, value)))


def attempt(fault):
    kind, value = fault
    TRIED[kind](value)


@held.sizes(quick=60, slow=1000, long=10_000)
def test_what_means_nothing_is_refused(count, record_property):
    held.all_held("settings", held.drawn(draw, count), attempt, record_property)


def test_a_check_that_is_lost_is_noticed(monkeypatch):
    monkeypatch.setattr(values, "_checked_scalar", lambda kind, marks, value: value)
    held.some_break(held.drawn(draw, 20), attempt, "the check of numbers and texts")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"data.batch_size": 65536, "data.crop": 16384},
            "lower config.data.batch_size",
        ),
        ({"data.eval_split": "tset"}, "config.data.eval_split='tset': source shapes"),
        ({"data.val_split": "x/../.."}, "config.data.val_split='x/../..': give"),
        ({"optim.lr": 1e4}, "config.optim.lr=10000.0: give a number above 0"),
        ({"method.projection": 10**9}, "config.method.projection=1000000000: give"),
        ({"eval.threshold": 1.0}, "config.eval.threshold=1.0: give"),
        ({"eval_every": 1000, "keep_best": True}, "config.eval_every=1000 is above"),
        ({"method.mining_shares": (0.6, 0.1)}, "in ascending order"),
    ],
)
def test_what_is_too_much_together_is_refused(given, words):
    config = config_of("ppc_shapes")
    config.update_from_flattened_dict(given)
    ran, said = started(lambda: loop.train(config, "runs/x", check=training.check))
    assert not ran and words in said
    assert said.count("\n") == 1


def test_what_other_settings_are_computed_from_is_named():
    for name in names():
        steps = next(s for s in shipped(name) if s.path == "config.steps")
        written((steps, "many"))


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "0.5", True, 10**400])
def test_arguments_of_python_are_refused(value):
    with pytest.raises(UserError, match="ppcjax.load: threshold=.*: give a number"):
        ppcjax.load("nowhere", threshold=value)
    mask = np.zeros((8, 8), np.uint8)
    for name, wrong in (("size", -1), ("max_shot", 0), ("none_of_these", 2 * value)):
        if wrong == -0.2:
            continue  # a cosine
        with pytest.raises(UserError, match=f"ppcjax.fewshot: {name}=.*: give"):
            ppcjax.fewshot([mask], [mask], **{name: wrong})


def test_values_as_papers_have_them_are_taken():
    rng = np.random.default_rng(0)
    for name in ("ppc_shapes", "pixpro_imagenet", "panet_voc"):
        config = config_of(name)
        config.optim.weight_decay = 0.0
        config.optim.lr = float(rng.choice([1e-8, 4.8, 32.0]))
        config.keep_checkpoints = 1
        assert started(lambda c=config: loop.train(c, "runs/x"))[0], name
