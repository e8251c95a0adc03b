"""Disks: what is refused is one line at once, nothing is lost, and it goes on equal."""

import contextlib
import io
import json
import logging
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import jax
import numpy as np
import pytest

from ppcjax.console import disk, writing
from ppcjax.runs import checkpoint, messages
from ppcjax.types import UserError
from tests.faults import disks
from tests.faults.held import Fault, all_held, drawn, sizes, some_break
from tests.train import toy

STEPS, EVERY, LOG_EVERY = 16, 4, 2
AHEAD = 4  # batches that are read before the step that they are for
SAFE = re.compile(
    r"the checkpoint of step (\d+) is kept|no checkpoint was saved before"
)
ADVICE = re.compile(
    r"free some space|raise the limit|put it back|mount it|see wh|end other"
)


class Trouble(NamedTuple):
    """What happens to the disk of a run.

    kind: which trouble.
    step: number of the batch at which it begins.
    value: bytes left, the limit, or the code.
    """

    kind: str
    step: int
    value: int


KINDS = ("full", "file size", "code", "removed", "moved", "replaced", "no files")


def draw(rng) -> Fault:
    kind = KINDS[rng.integers(len(KINDS))]
    step = int(rng.integers(1, STEPS - 1))
    value = {
        "full": lambda: int(rng.choice([0, 0, 4096, 16384, 65536])),
        "file size": lambda: int(rng.choice([0, 100, 1000, 4000])),
        "code": lambda: int(rng.choice(list(disks.CODES.values()))),
        "no files": lambda: int(rng.integers(0, 6)),
    }.get(kind, lambda: 0)()
    return Fault(f"{kind} {value} at batch {step}", Trouble(kind, step, value))


def begun(trouble: Trouble, place: Path):
    """The trouble, over the run folder place/run."""
    run = place / "run"
    return {
        "full": lambda: disks.full(place, trouble.value),
        "file size": lambda: disks.limited(resource.RLIMIT_FSIZE, trouble.value),
        "code": lambda: disks.refusing(run, trouble.value),
        "removed": lambda: disks.removed(run),
        "moved": lambda: disks.moved(run, replaced=False),
        "replaced": lambda: disks.moved(run, replaced=True),
        "no files": lambda: disks.limited(
            resource.RLIMIT_NOFILE, disks.files_open() + trouble.value
        ),
    }[trouble.kind]()


def train(
    run: Path, trouble: Trouble | None = None, *, delay: float = 0, **more
) -> tuple[str, int]:
    """Trains the toy; what was said of the trouble, and batches read after it began."""
    after = -1

    with contextlib.ExitStack() as stack:

        def batches_from(step):
            nonlocal after
            for number, batch in enumerate(toy.batches_from(step, delay=delay), step):
                if after >= 0:
                    after += 1
                elif trouble is not None and number == trouble.step:
                    stack.enter_context(begun(trouble, run.parent))
                    after = 0
                yield batch

        told = {"steps": STEPS, "log_every": LOG_EVERY, "checkpoint_every": EVERY}
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                toy.loop.fit(
                    toy.method(),
                    toy.optimizer(STEPS),
                    batches_from,
                    workdir=run,
                    seed=0,
                    **told | more,
                )
            except UserError as error:
                return str(error), after
    return "", after


def end(run: Path):
    """What a run comes to."""
    found = checkpoint.restore(run)
    assert found.step == STEPS
    return found.params, found.model_state


def steps_told(run: Path) -> list[int]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = tmp_path_factory.mktemp("unbroken") / "run"
    assert train(run) == ("", -1)
    return end(run)


@pytest.fixture
def place(tmp_path):
    with disks.small(tmp_path / "disk") as folder:
        yield folder


def tried(trouble: Trouble, place: Path, unbroken) -> None:
    """Trains, meets the trouble, trains again when it is over."""
    run = place / "run"
    disks.remove(run)
    said, after = train(run, trouble)
    if said:
        assert "\n" not in said, said
        assert ADVICE.search(said), f"no advice: {said}"
        # What is read ahead, and the steps until the next line or save is written.
        assert after <= AHEAD + LOG_EVERY + EVERY, f"said {after} batches later"
    else:
        # Little was left, and it was enough; nobody took the folder away unnoticed.
        assert trouble.kind in ("full", "file size", "no files"), "not a word"
        assert trouble.value, "not a word"
    if trouble.kind in ("removed", "moved", "replaced"):
        assert "was removed or moved" in said and after <= AHEAD, (said, after)
    elif said:
        found = SAFE.search(said)
        assert found, f"what is safe is not said: {said}"
        newest = checkpoint.newest_step(run)
        assert found[1] == (None if newest is None else str(newest)), (said, newest)
    assert train(run) == ("", -1)
    jax.tree.map(np.testing.assert_array_equal, end(run), unbroken)
    told = list(range(LOG_EVERY, STEPS + 1, LOG_EVERY))
    found = steps_told(run)
    # A checkpoint that is written while all is removed may be there again.
    assert found == (told[-len(found) :] if trouble.kind == "removed" else told), found


@sizes(quick=3, slow=50, long=300)
def test_training(count, place, unbroken, record_property):
    all_held(
        "disk, training",
        drawn(draw, count),
        lambda trouble: tried(trouble, place, unbroken),
        record_property,
    )


def test_a_run_folder_that_nobody_looks_after_breaks(place, unbroken):
    taken = [Fault(kind, Trouble(kind, 5, 0)) for kind in ("moved", "replaced")]
    with mock.patch.object(disk.Place, "check", lambda self: None):
        some_break(
            taken, lambda one: tried(one, place, unbroken), "a look at the run folder"
        )


# A run whose disk makes no folder any more, in a process of its own.
COMMAND = """
import contextlib, errno, sys
from pathlib import Path
from ppcjax import cli
from ppcjax.console import signals
from tests.faults import disks
from tests.train import toy

signals.GRACE = 0.5
run = Path(sys.argv[1])

def batches_from(step):
    for number, batch in enumerate(toy.batches_from(step), step):
        if number == 6:
            stack.enter_context(disks.refusing(run, errno.EIO, calls=["mkdir"]))
        yield batch

def main():
    how = {"steps": 16, "checkpoint_every": 4, "log_every": 2}
    made = toy.method(), toy.optimizer(16), batches_from
    toy.loop.fit(*made, workdir=run, seed=0, **how)

signals.as_program()
with contextlib.ExitStack() as stack:
    cli.one_line(main)
"""


def test_a_command_does_not_wait_for_what_orbax_left(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "run")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,  # Orbax waits for five minutes
    )
    assert ended.returncode == 1, ended.stderr
    assert "the disk fails while saving to" in ended.stderr.splitlines()[-1]


def noticed_after(place: Path) -> int:
    """Batches that a run reads after a save failed in the background, with no log."""
    steps = {"log_every": 1000, "checkpoint_every": 20, "steps": 60, "delay": 0.01}
    said, after = train(place / "run", Trouble("full", 18, 0), **steps)
    assert "no checkpoint was saved before" in said, said
    disks.shutil.rmtree(place / "run")
    return after


def test_a_save_that_failed_is_noticed_at_the_next_steps(place):
    assert noticed_after(place) < 20
    with mock.patch.object(checkpoint.Checkpoints, "check", lambda self: None):
        assert noticed_after(place) >= 20, "it is noticed without being looked for"


def test_writes_that_fail_beside_the_one_that_is_raised_say_nothing(caplog):
    messages.quieten_orbax()
    log = logging.getLogger("asyncio")
    log.error("Task exception was never retrieved\nfuture: <coro at /x/orbax/y.py:1>")
    log.error("something else")
    frame = compile("raise OSError(28, 'full')", "/x/orbax/y.py", "exec")
    try:
        exec(frame)
    except OSError as error:
        log.error("Future exception was never retrieved", exc_info=error)
    assert [record.getMessage() for record in caplog.records] == ["something else"]


def test_a_finished_run_on_a_read_only_disk_is_finished(place, capfd):
    assert train(place / "run") == ("", -1)
    with disks.read_only(place):
        assert toy.fit(place / "run", steps=STEPS, checkpoint_every=EVERY) == STEPS
        said = capfd.readouterr().err
        assert f"is finished: {STEPS} of {STEPS} steps are made" in said
        with pytest.raises(UserError, match="read-only disk while.*step 16 is kept"):
            toy.fit(place / "run", steps=STEPS + 1)
        assert not said.count("error")


def test_what_a_save_makes_again_of_a_removed_folder_is_no_folder_of_others(place):
    left = place / "run" / "checkpoints"
    for step in ("4.orbax-checkpoint-tmp/state", ""):
        (left / step).mkdir(parents=True)
        assert toy.fit(place / "run", steps=1) == 1
        disks.shutil.rmtree(place / "run")
    (left / "my models").mkdir(parents=True)
    with pytest.raises(UserError, match="holds checkpoints and is no run"):
        toy.fit(place / "run", steps=1)
    assert [*left.iterdir()] == [left / "my models"]


def test_a_disk_without_room_for_a_checkpoint_is_said_before_the_first_step(place):
    with pytest.raises(UserError, match="takes 30.5 MiB: no checkpoint was saved"):
        toy.fit(place / "run", steps=2, ballast=4_000_000)


def test_nothing_is_added_in_a_folder_that_took_the_place(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    appending = writing.Appending(folder / "log")
    folder.rename(tmp_path / "away")
    for now in ("it is gone", "another folder"):
        with pytest.raises(UserError, match=now):
            appending.write(b"new")
        folder.mkdir(exist_ok=True)
    assert not [*folder.iterdir()]
