"""Every declared setting of every config refuses what it does not allow, in one line.

The cases come from the declarations: a new field, source, stream, optimizer or
schedule is tested without a line here.
"""

import copy
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ppcjax import fields
from ppcjax.configs import base
from ppcjax.data_pipelines import READERS, SOURCES, SourceSettings, SplitSettings
from ppcjax.train import optim, schedules
from ppcjax.train.settings import PARTS, RunSettings, check, reads_of, trains
from ppcjax.types import UserError
from tests.wrong_values import is_checked, required, right_values, wrong_values

ROOT = Path(__file__).resolve().parents[1]
RUN = fields.fields_of(RunSettings)
OPTIMIZERS = {name: fields.fields_of(f) for name, f in optim.OPTIMIZERS.items()}
SCHEDULES = {name: fields.fields_of(f) for name, f in schedules.SCHEDULES.items()}
STREAMS = {name: fields.fields_of(r.settings) for name, r in READERS.items()}
SOURCE_FIELDS = {name: fields.fields_of(f) for name, f in SOURCES.items()}
SHARED = {d.__name__: fields.fields_of(d) for d in (SourceSettings, SplitSettings)}
# What settings that have a default need, too.
TOGETHER = {"dense": {"long_side": [8, 16]}}


def config(*, reads="dense", source="shapes", optimizer="sgd", schedule=None):
    """A right config of the fields that must be given, and few others."""
    data = {"source": source, "batch_size": 8} | TOGETHER.get(reads, {})
    for declared in (STREAMS[reads], SOURCE_FIELDS[source], *SHARED.values()):
        data = required(declared) | data
    if source == "shapes":  # which knows its splits
        data |= {name: "train" for name in data if name.endswith("_split")}
    rule = required(OPTIMIZERS[optimizer]) | {"name": optimizer}
    if schedule is None:
        rule["power"] = 0.9
    else:
        rule["schedule"] = required(SCHEDULES[schedule]) | {"name": schedule}
    return {"method": {}, "data": data, "optim": rule, "eval": {}, "eval_every": 1}


OWN_CONFIG = """
from configs import base, ppc_shapes

def get_config():
    c = ppc_shapes.get_config()
    assert set(base.get_config()) < set(c)
    return c
"""


class Case(NamedTuple):
    """A declared field: what a config has around it, and where it stands there."""

    config: dict[str, Any]
    reads: str
    path: tuple[str, ...]
    field: fields.Field

    def having(self, value):
        changed = copy.deepcopy(self.config)
        *parts, name = self.path
        place = changed
        for part in parts:
            place = place[part]
        place[name] = value
        return changed

    def without(self):
        changed = self.having(None)
        place = changed
        for part in self.path[:-1]:
            place = place[part]
        del place[self.path[-1]]
        return changed


def _cases():
    for name, field in RUN.items():
        yield f"run-{name}", Case(config(), "dense", (name,), field)
    for kind, declared in OPTIMIZERS.items():
        for name, field in declared.items():
            around = config(optimizer=kind)
            yield f"{kind}-{name}", Case(around, "dense", ("optim", name), field)
    for kind, declared in SCHEDULES.items():
        for name, field in declared.items():
            path = ("optim", "schedule", name)
            yield f"{kind}-{name}", Case(config(schedule=kind), "dense", path, field)
    for reads, declared in STREAMS.items():
        for name, field in declared.items():
            around = config(reads=reads)
            yield f"{reads}-{name}", Case(around, reads, ("data", name), field)
    for source, declared in SOURCE_FIELDS.items():
        for name, field in declared.items():
            around = config(source=source)
            yield f"{source}-{name}", Case(around, "dense", ("data", name), field)
    for group, declared in SHARED.items():
        for name, field in declared.items():
            yield f"{group}-{name}", Case(config(), "dense", ("data", name), field)


CASES = dict(_cases())
REQUIRED = [
    name for name, c in CASES.items() if c.field.default is inspect.Parameter.empty
]


def refused(settings, reads):
    with pytest.raises(UserError) as caught:
        check(settings, reads)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000, message
    return message


@pytest.mark.parametrize("name", CASES)
def test_what_a_field_does_not_allow_is_refused_in_one_line(name):
    case = CASES[name]
    path = ".".join(("config", *case.path))
    allowed = fields.describe(case.field.hint)
    wrong = wrong_values(case.field.hint)
    assert len(wrong) > 5
    for value in wrong:
        message = refused(case.having(value), case.reads)
        assert message.startswith(f"{path}="), (value, message)
        assert allowed in message, (value, message)


@pytest.mark.parametrize("name", CASES)
def test_what_a_field_allows_is_kept(name):
    field = CASES[name].field
    right = right_values(field.hint)
    if field.default is not inspect.Parameter.empty:
        right.append(field.default)
    assert right
    for value in right:
        kept = fields.check(field.hint, value, name)
        assert _with_tuples(kept) == _with_tuples(value)


def _with_tuples(value):
    is_list = isinstance(value, list | tuple)
    return tuple(map(_with_tuples, value)) if is_list else value


@pytest.mark.parametrize("name", CASES)
def test_a_field_is_described_and_its_type_is_checked(name):
    field = CASES[name].field
    assert is_checked(field.hint), field
    assert field.text and fields.describe(field.hint) not in ("", "a value")
    assert not re.match(r"(of|as|see|likewise)\b", field.text, re.IGNORECASE), field


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_field_is_named(name):
    case = CASES[name]
    path = ".".join(("config", *case.path))
    assert f"{path} is missing" in refused(case.without(), case.reads)


def test_arguments_that_no_config_gives_are_not_keyword_only():
    """So that what a function declares are its settings, and no more."""
    declared = (*SOURCES.values(), *optim.OPTIMIZERS.values())
    for function in (*declared, *schedules.SCHEDULES.values()):
        extra = set(fields.fields_of(function)) & {"split", "steps", "tagged"}
        assert not extra, function


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("reads", READERS)
def test_every_source_goes_with_every_stream(source, reads):
    run = check(config(source=source, reads=reads), reads)
    assert run == RunSettings(eval_every=1)


@pytest.mark.parametrize("optimizer", optim.OPTIMIZERS)
@pytest.mark.parametrize("schedule", [None, *schedules.SCHEDULES])
def test_every_optimizer_goes_with_every_schedule(optimizer, schedule):
    check(config(optimizer=optimizer, schedule=schedule), "dense")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("step",), "config.step is not a setting; those of a config are name, seed,"),
        (("data", "crp"), "config.data.crp is not a setting of source shapes, nor of"),
        (("data", "ratio"), "config.data.ratio is not a setting of .* on photos; the"),
        (("data", "tags"), "config.data.tags is not a setting of source shapes"),
        (("optim", "momentun"), "config.optim.momentun is not a setting of optimizer"),
    ],
)
def test_a_field_that_nobody_reads_is_named(path, message):
    right = config()
    place = right if len(path) == 1 else right[path[0]]
    place[path[-1]] = 1
    assert re.match(message, refused(right, "dense"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("value", [3, None, "word", [], {1: 2}])
def test_a_part_holds_settings_by_name(part, value):
    message = refused(config() | {part: value}, "dense")
    assert message.startswith(f"config.{part}=") and "settings by name" in message


@pytest.mark.parametrize("part", ["method", "data", "optim"])
def test_a_missing_part_is_named(part):
    right = config()
    del right[part]
    assert f"config.{part} is missing" in refused(right, "dense")


@pytest.mark.parametrize(
    ("change", "reads", "message"),
    [
        ({"patience": 2, "eval_every": 0}, "dense", "config.patience=2 needs"),
        ({"keep_best": True, "eval_every": 0}, "dense", "config.keep_best=True needs"),
        ({"data.shot": 2, "data.least_shot": 3}, "episodes", "least_shot=3 is above"),
        ({"data.fit": "crop"}, "episodes", "fit='crop' needs one of"),
        ({"data.scale": (1.0, 2.0)}, "dense", "give one of them"),
        (
            {"optim.schedule": {"name": "warmup_cosine"}},
            "dense",
            "optim.power and conf",
        ),
        ({"optim.power": None}, "dense", "config.optim.power is missing; 0 keeps"),
    ],
)
def test_settings_that_do_not_go_together(change, reads, message):
    right = config(reads=reads)
    for path, value in change.items():
        *parts, name = path.split(".")
        (right[parts[0]] if parts else right)[name] = value
    assert message in refused(right, reads)


def test_devices_share_a_batch(monkeypatch):
    monkeypatch.setattr("jax.device_count", lambda: 3)
    assert "give a multiple of the 3 devices" in refused(config(), "dense")


def _shipped():
    """Configs of a training, each with its variants, as its own error names them."""
    for name in sorted(path.stem for path in Path(base.__file__).parent.glob("*.py")):
        module = importlib.import_module(f"ppcjax.configs.{name}")
        is_config = name != "base" and hasattr(module, "get_config")
        if not is_config or not trains(module.get_config().method):
            continue
        yield name, ""
        if inspect.signature(module.get_config).parameters:
            with pytest.raises(ValueError, match="there are (.*)") as caught:
                module.get_config("no such variant")
            known = str(caught.value).partition("; there are ")[2].split(", ")
            known = [v for v in known if trains(module.get_config(v).method)]
            yield from ((name, variant) for variant in known)


@pytest.mark.parametrize(("name", "variant"), list(_shipped()))
def test_shipped_configs_are_right_and_stay_what_they_are(name, variant, monkeypatch):
    monkeypatch.setattr("jax.device_count", lambda: 1)
    module = importlib.import_module(f"ppcjax.configs.{name}")
    shipped = module.get_config(variant) if variant else module.get_config()
    before = copy.deepcopy(shipped.to_dict())
    reads = reads_of(shipped.method)
    check(shipped.lock(), reads)
    assert shipped.to_dict() == before
    # As a checkpoint keeps them, with lists for tuples.
    check(json.loads(json.dumps(before)), reads)


def test_base_fields_are_those_of_a_run():
    assert base.get_config().to_dict() == {k: f.default for k, f in RUN.items()}


def test_a_config_of_ones_own_is_checked_at_launch(tmp_path):
    """Outside the checkout, which alone is on the path."""
    (tmp_path / "mine.py").write_text(OWN_CONFIG)
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", "--config=mine.py", "--config.seed=-1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    line = "config.seed=-1: give a whole number of at least 0"
    assert done.stderr.strip().splitlines()[-1].endswith(line), done.stderr
    assert not (tmp_path / "runs").exists()
