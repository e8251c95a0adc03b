"""What is no exported predictor is one line, and nothing of it runs."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import ppcjax
from ppcjax.evaluate import command
from ppcjax.types import UserError
from ppcjax.weights.exported import open_exported
from ppcjax.weights.opening import open_model
from tests.weights.exports import exported, folder_of, run_of  # noqa: F401


@pytest.fixture(scope="module")
def good(exported):  # noqa: F811
    """Bytes of both files of a predictor."""
    folder = exported("segment")
    return [(folder / name).read_bytes() for name in ("model.jaxexp", "model.json")]


def write(folder, program, note):
    """Both files; `note` is bytes or what replaces parts of the good one."""
    (folder / "model.jaxexp").write_bytes(program)
    (folder / "model.json").write_bytes(note)
    return folder


def described(good, program, **changes):
    """The good note, changed, with the checksum of another program."""
    note = json.loads(good[1])
    digest = hashlib.sha256(program).hexdigest()
    note["program"] |= {"bytes": len(program), "sha256": digest}
    return json.dumps(note | changes).encode()


def refused(folder, *words):
    with pytest.raises(UserError) as caught:
        open_exported(folder)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600 and str(folder) in message
    assert all(word in message for word in words), message


def test_damaged_programs(good, tmp_path):
    program, note = good
    for damaged in (program[:-100], program[:10], b"", program + b"x", b"\0" * 99):
        refused(write(tmp_path, damaged, note), "is not the program", "again")
    flipped = bytearray(program)
    flipped[len(flipped) // 2] ^= 1
    refused(write(tmp_path, bytes(flipped), note), "is not the program")
    (tmp_path / "model.jaxexp").unlink()
    refused(tmp_path, "cannot read", "model.jaxexp")


@pytest.mark.parametrize("part", range(12))
def test_programs_that_the_description_agrees_with_and_jax_does_not(
    good, tmp_path, part
):
    """Truncated anywhere, other files, and zeros."""
    program = good[0]
    others = [b"", b"PK\3\4" + b"x" * 200, b"<html>", b"\0" * 4096, b"\xff" * 999]
    cut = program[: len(program) * (part + 1) // 14] if part < 7 else others[part - 8]
    folder = write(tmp_path, cut or b"x", described(good, cut or b"x"))
    refused(folder, "JAX")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": "another"}, "does not describe"),
        ({"version": 2}, "use a newer ppcjax"),
        ({"version": None}, "use a newer ppcjax"),
        ({"gives": "episodes"}, "gives='episodes': give one of maps, logits"),
        ({"gives": "maps"}, "does not take images and give maps"),
        ({"classes": ["background", "a"]}, "of the 2 classes"),
        ({"classes": "background"}, "classes="),
        ({"classes": [1, 2, 3]}, "classes"),
        ({"threshold": 7}, "threshold=7"),
        ({"threshold": None}, "threshold"),
        ({"step": -1}, "step=-1"),
        ({"program": None}, "program"),
        ({"program": {"bytes": 1e99, "sha256": "x", "jax": "1"}}, "program_bytes"),
        ({"config": None}, "config is not that of a run"),
        ({"config": {"name": "x", "method": "ppc", "data": {}}}, "config is not"),
        ({"config": {"name": 3, "method": {"name": "ppc"}, "data": {}}}, "config is"),
    ],
)
def test_descriptions_that_lie(good, tmp_path, changes, word):
    note = json.dumps(json.loads(good[1]) | changes).encode()
    refused(write(tmp_path, good[0], note), word)


def test_descriptions_that_are_none(good, tmp_path):
    for note in (b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, good[1][:-9]):
        refused(write(tmp_path, good[0], note), "model.json")
    (tmp_path / "model.json").unlink()
    with pytest.raises(UserError, match="model.json is missing"):
        open_exported(tmp_path / "model.jaxexp")


@pytest.mark.parametrize("kind", ["call", "shape", "structure"])
def test_programs_that_are_no_predictor(good, tmp_path, kind):
    """One that calls what is not in it, and two that give something else."""

    def program(image, size):
        x = jnp.zeros((*image.shape[:3], 6)) + image.sum()
        if kind == "call":
            x = jax.ffi.ffi_call("a_callback", x)(x)
        if kind == "shape":
            x = x[..., :5]
        return x if kind == "structure" else {"scores": x, "network": {"logits": x}}

    target = export.DisabledSafetyCheck.custom_call("a_callback")
    make = export.export(jax.jit(program), platforms=("cpu",), disabled_checks=[target])
    image = jax.ShapeDtypeStruct((1, 8, 8, 3), np.uint8)
    made = make(image, jax.ShapeDtypeStruct((1, 2), np.int32))
    content = bytes(made.serialize())
    word = "a_callback" if kind == "call" else "does not take images and give"
    refused(write(tmp_path, content, described(good, content)), word)


def test_a_length_that_lies_costs_no_memory(good, tmp_path):
    """Ten gigabytes that are not there."""
    folder = write(tmp_path, good[0], good[1])
    with (folder / "model.jaxexp").open("r+b") as stream:
        stream.truncate(10_000_000_000)
    refused(folder, "is not the program")


def test_what_belongs_to_files_of_weights_is_refused(exported, folder_of):  # noqa: F811
    for path in (exported("segment"), folder_of("segment")):
        with pytest.raises(UserError, match="has its own config"):
            open_model(path, {"method": {"name": "segment"}}, ("background", "a"))
    run = open_model(exported("segment"))
    with pytest.raises(UserError, match="train from its run"):
        run.method.loss({}, {}, {}, None, 0)
    with pytest.raises(UserError, match="no backbone"):
        command.main(
            [f"--ckpt={exported('segment')}", "--export_backbone=x.safetensors"]
        )
    with pytest.raises(UserError, match="model.json is missing"):
        ppcjax.load(folder_of("segment") / "model.jaxexp")
