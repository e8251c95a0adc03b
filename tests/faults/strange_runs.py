"""Runs as strangers might send them: notes that lie, and checkpoints that ask."""

import json
import math
import os
import shutil
import struct

import jax
import numpy as np
import tensorstore

from ppcjax.runs import digests
from ppcjax.runs.checkpoint import Checkpoints
from ppcjax.types import TrainState
from tests.faults.held import Fault

CONFIG = {
    "name": "some",
    "seed": 0,
    "steps": 7,
    "method": {"name": "segment", "backbone": "small_resnet"},
    "data": {"crop": 32, "eval_split": "test", "val_split": None, "batch_size": 2},
    "eval": {"scales": [1.0]},
    "init_from": "",
}
CLASSES = ("background", "cat", "dog")


def make(folder, state=None):
    """A run of one checkpoint, of arrays that no network has; returns where."""
    params = {"head": {"kernel": np.arange(600, dtype=np.float32).reshape(200, 3)}}
    state = state or TrainState(np.int32(7), params, {"mean": np.ones(3)}, {})
    saver = Checkpoints(folder, keep=1, config=CONFIG, classes=CLASSES)
    saver.save(jax.device_put(state), 7)
    saver.close()
    return folder


def copy(sound, target):
    """A copy of a run, in the place of whatever was there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(sound, target)
    return target


def seal(run):
    """Digests of what is there, as whoever changed it would write them, too."""
    step = run / "checkpoints" / "7"
    digests.write(step, digests.read(step).run, 7)


ODD = (
    *(None, True, -1, 0, 1.5, "x", "", [], {}, [None], {"a": None}, 10**400, 1 << 62),
    *(math.nan, math.inf, "../../x", "/etc/passwd", "\x1b[2J", "a\nb", ["a"] * 999),
    *([[]], [10**9], "http://127.0.0.1:1/x", "x" * 9999, -(10**18), "\ud800"),
)


def _paths(tree, above=()):
    for name, value in tree.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from _paths(value, (*above, name))


def lie(rng):
    """One entry of the meta that is something else, or is not there."""
    meta = json.loads(json.dumps({"step": 7, "config": CONFIG, "classes": CLASSES}))
    meta["scores"] = {"7": {"val/mean_iou": 0.5}}
    meta["window"] = {"steps": 2, "sums": {"loss/total": 1.5}}
    paths = list(_paths(meta))
    *above, name = paths[rng.integers(len(paths))]
    part = meta
    for one in above:
        part = part[one]
    value = ODD[rng.integers(len(ODD))]
    if rng.integers(9):
        part[name] = value
    else:
        del part[name]
    where = ".".join((*above, name))
    return Fault(f"meta: {where} = {str(value)[:40]!r}", json.dumps(meta).encode())


def no_json(rng):
    """Bytes that are no note."""
    kinds = (
        *(b"", b"{", b"[1]", b"3", b"null", b"\xff\xfe", b"\0" * 99, b"[" * 99_999),
        *(b'{"a":' * 9_999, b'{"step": 1e999}', b"{" + b" " * (17 << 20) + b"}"),
        *(b'{"step": ' + b"9" * 9_999 + b"}", b'{"a": NaN}', b"<html>", b"{}\n{}"),
    )
    which = int(rng.integers(len(kinds)))
    return Fault(f"bytes {kinds[which][:20]!r}", kinds[which])


# ---- checkpoints that ask for memory
def _store(run):
    base = {"driver": "file", "path": f"{run}/checkpoints/7/state/"}
    return tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()


def _declared(**changes):
    def change(run):
        store = _store(run)
        key = "params.head.kernel/.zarray"
        note = json.loads(store.read(key).result().value) | changes
        store.write(key, json.dumps(note)).result()

    return change


def gigabyte(run):
    """An array of zeros of 1 GiB, stored in 32 KiB."""
    _declared(shape=[1 << 14, 1 << 14], chunks=[1 << 14, 1 << 14])(run)
    _packed(frame(8192))(run)


def frame(blocks, size=None):
    """A part of zstd that unpacks to blocks of 128 KiB of zeros."""
    flags = b"\x00\x58" if size is None else b"\xe0" + struct.pack("<Q", size)
    heads = [struct.pack("<I", (128 << 10) << 3 | 2)[:3] + b"\0"] * (blocks - 1)
    last = struct.pack("<I", (128 << 10) << 3 | 3)[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd" + flags + b"".join(heads) + last


def _packed(content):
    def change(run):
        _store(run).write("params.head.kernel/0.0", content).result()

    return change


def _replace(name, act):
    def change(run):
        file = run / "checkpoints" / "7" / name
        if file.exists():
            file.unlink()
        act(file)

    return change


def _sparse(size):
    def act(file):
        with file.open("wb") as stream:
            stream.truncate(size)

    return act


ASKING = {
    "60 GB": _declared(shape=[5_000_000_000, 3], chunks=[5_000_000_000, 3]),
    "60 GB in small chunks": _declared(shape=[5_000_000_000, 3]),
    "chunks of 60 GB": _declared(chunks=[5_000_000_000, 3]),
    "a product that wraps": _declared(shape=[1 << 40, 1 << 40]),
    "a negative shape": _declared(shape=[-200, 3]),
    "a shape of texts": _declared(shape=["200", "3"]),
    "more than any number": _declared(shape=[10**30, 3]),
    "another packing": _declared(compressor={"id": "blosc", "cname": "lz4"}),
    "packed twice": _declared(compressor={"id": "bz2", "level": 1}),
    "a filter": _declared(filters=[{"id": "delta"}]),
    "no numbers": _declared(dtype="|O"),
    "structures": _declared(dtype=[["a", "<f4"]]),
    "a bomb of 4 GB": _packed(frame(32_768)),
    "a bomb of 60 GB": _packed(frame(491_520)),
    "a part that claims 60 GB": _packed(frame(1, 60 << 30)),
    "many small bombs": _packed(frame(128) * 512),
    "a bomb behind a sound part": _packed(frame(1) + b"x" + frame(32_768)),
    "a file of holes": _replace("state/d/hole", _sparse(60 << 30)),
    "a list of holes": _replace("state/_METADATA", _sparse(60 << 30)),
    "a pipe for a list": _replace("state/_METADATA", os.mkfifo),
    "a pipe for the meta": _replace("meta/metadata", os.mkfifo),
    "a pipe among the arrays": _replace("state/d/pipe", os.mkfifo),
    "a device": _replace("state/d/zero", lambda file: file.symlink_to("/dev/zero")),
    "a link to itself": _replace("state/d/loop", lambda file: file.symlink_to(file)),
    "a large list": _replace(
        "state/_sharding", lambda file: file.write_bytes(b"[" * (17 << 20))
    ),
}
