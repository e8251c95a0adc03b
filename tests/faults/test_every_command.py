"""Every command there is writes only where it says; all that writes is known."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ppcjax import fields, program
from ppcjax.evaluate import EVALUATIONS
from ppcjax.evaluate.exporting import EXPORTS
from ppcjax.evaluate.predicting import Options as PredictOptions
from ppcjax.evaluate.protocol import Request
from ppcjax.program.label import Options as LabelOptions
from ppcjax.program.score import Options as ScoreOptions
from tests.faults import every_command
from tests.faults.held import Fault, all_held
from tests.faults.owners import WRITERS, snapshot

ROOT = Path(__file__).parents[2]

# What they may leave in the current folder: runs, and what was named.
_HERE = {"runs", "found", "model", "predicted", "scores", "scores.json"}
_HERE |= {f"{option}.safetensors" for option in EXPORTS}


@pytest.mark.slow
def test_every_command_writes_only_where_it_says(tmp_path, record_property):
    every_command.write(tmp_path)
    typed = every_command.commands(tmp_path / "data")
    assert set(typed) == set(program.COMMANDS)
    data = snapshot(tmp_path / "data")
    places = {"HOME": "home", "TMPDIR": "temporary"}
    environment = {
        **{k: v for k, v in os.environ.items() if k not in _OF_CACHES},
        **{name: str(tmp_path / folder) for name, folder in places.items()},
        "PYTHONPATH": str(ROOT),
        "JAX_NUM_CPU_DEVICES": "1",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.every_command", str(tmp_path)],
        cwd=tmp_path / "here",
        env=environment,
        capture_output=True,
        text=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
    assert len(told) == sum(map(len, typed.values())), done.stderr[-2000:]

    def attempt(one):
        # The toy's backbone has no published names, which is said.
        right = int("export_backbone" in one["command"][-1])
        assert one["code"] == right, done.stderr[-2000:]
        assert not one["changed"], one["changed"]

    faults = [Fault(" ".join(one["command"]), one) for one in told]
    all_held("every command", faults, attempt, record_property)
    assert snapshot(tmp_path / "data") == data
    caches = tmp_path / "home/.cache/ppcjax"
    assert not [p for p in _files(tmp_path / "home") if caches not in p.parents]
    assert {p.name for p in (tmp_path / "here").iterdir()} <= _HERE
    assert not _files(tmp_path / "temporary")


def test_what_becomes_of_a_folder_is_noticed(tmp_path):
    """Else the comparison would show nothing."""
    file = tmp_path / "a/photo.jpg"
    file.parent.mkdir()
    file.write_bytes(b"photo")
    changes = (
        lambda: os.utime(file, ns=(1, 1)),
        lambda: file.chmod(0o640),
        lambda: file.write_bytes(b"other"),
        lambda: (file.parent / ".cache").touch(),
        lambda: file.rename(file.with_name("b.jpg")),
    )
    for change in changes:
        before = snapshot(tmp_path)
        change()
        assert snapshot(tmp_path) != before


_OF_CACHES = ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME")


def _files(root):
    return [place for place in root.rglob("*") if not place.is_dir()]


# Options that name a place and write nothing there which they did not find missing.
# tests/label/test_serving.py tries the other.
_HARMLESS = {"eval plans", "label labels"}


def test_every_option_that_writes_is_tried():
    """Told by the words with which it is declared."""
    declared = {
        "predict": [fields.fields_of(PredictOptions)],
        "score": [fields.fields_of(ScoreOptions)],
        "label": [fields.fields_of(LabelOptions)],
        "eval": [
            fields.fields_of(Request),
            *(fields.fields_of(entry.settings) for entry in EVALUATIONS.values()),
            *(fields.fields_of(one, without=("run",)) for one in EXPORTS.values()),
        ],
    }
    assert set(declared) | {"train", "inspect", "weights"} == set(program.COMMANDS)
    found = {
        f"{word} {name}"
        for word, groups in declared.items()
        for group in groups
        for name, field in group.items()
        if field.hint is str and re.search(r"\b(written|gets|results)\b", field.text)
    }
    assert {f"eval {option}" for option in EXPORTS} <= found
    known = {writer.option for writer in WRITERS.values()} | _HARMLESS
    assert found <= known, found - known


# Modules that write files by themselves, and where.
_WRITE = {
    "runs": "the one writer, and what it is told of",
    "train": "the run folder, which `ours.check` has looked at",
    "console/writing.py": "the one writer, where it is told to",
    "frozen/cache.py": "the cache that config.frozen.cache names",
    "frozen/kept.py": "the run folder",
    "cli/kept.py": "the cache of compiled programs",
    "console/raw.py": "a temporary file, and the log of a run",
    "weights/download.py": "the cache that PPCJAX_WEIGHTS names",
    "weights/fetch.py": "the same",
    "evaluate/masks/started.py": "the note of a folder that was looked at",
    "evaluate/masks/thresholds.py": "the run folder, unless another file is there",
    "evaluate/episodes/choice.py": "the run folder",
    "evaluate/episodes/plans.py": "plans that are missing",
    "evaluate/scoring/scoring.py": "a temporary folder",
    "predict/masks.py": "a temporary folder",
    "label": "the folder of labels, which `serving` has looked at",
}
_WRITES = re.compile(
    r"\bwrite_(file|json|text|bytes)\(|\.(mkdir|makedirs|unlink|rmdir|rename|touch)\("
    r"|rmtree\(|copyfile\(|copytree\(|os\.(replace|remove|open)\(|symlink"
    r"|np\.save\w*\((?!\s*content)|open\([^)]*[\"'](w|a|x|r\+|wb|ab|xb|rb\+)[\"']"
)


_DATA_WRITES = {
    "episodes/plans.py": "counts and plans that are missing",
    "regular.py": "opens for reading only",
}


@pytest.mark.parametrize(
    ("root", "known"), [("ppcjax", _WRITE), ("data_pipelines", _DATA_WRITES)]
)
def test_nobody_goes_round(root, known):
    base = ROOT / root
    found = {
        file.relative_to(base).as_posix()
        for file in base.rglob("*.py")
        if _WRITES.search(file.read_text())
    }
    unknown = {
        name
        for name in found
        if name not in known and name.partition("/")[0] not in known
    }
    assert not unknown
