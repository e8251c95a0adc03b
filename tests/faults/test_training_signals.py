"""Signals to training at any moment: nothing is lost."""

import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from ppcjax.runs import checkpoint
from ppcjax.train.watch import Watch
from tests.faults import processes
from tests.faults.held import Fault, all_held, drawn, sizes
from tests.train import toy

STEPS = 60

# Signals at moments of a training run, in parts of a second after what was said.
MOMENTS = ("starting of", "step 5/", "step 15/", "step 40/")


class Training:
    """Tries signals on training, which goes on as if nothing had been."""

    def __init__(self, root: Path):
        self._root = root
        self._count = 0
        toy.fit(root / "unbroken", steps=STEPS, eval_every=7, checkpoint_every=5)

    def start(self, folder: Path, *options: str) -> subprocess.Popen:
        """A process that trains in a folder."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults.training", str(folder)),
                *(f"--steps={STEPS}", "--eval_every=7", "--delay=0.05", *options),
            ],
            cwd=processes.ROOT,
            env=processes.environment(JAX_NUM_CPU_DEVICES="2"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, value: tuple[str, str, float, float]) -> None:
        name, moment, pause, scoring = value
        self._count += 1
        folder = self._root / f"run{self._count}"
        process = self.start(folder, f"--scoring={scoring}")
        said = []
        while not said or moment not in said[-1]:
            line = process.stderr.readline()
            assert line, said
            said.append(line)
        time.sleep(pause)
        ended = processes.end(process, (name,), 0)
        text = "".join(said) + "\n".join(ended.lines)
        assert "Traceback" not in text, text
        done = checkpoint.newest_step(folder)
        if f"finished: {STEPS} steps" in text:
            assert ended.code == 0, text
        else:
            assert ended.code == processes.CODES[name], text
            assert f"stopped by {processes.ENDS[name]}" in ended.lines[-1], text
            assert done or "after step" not in text, text
        assert ended.seconds < 20, ended.seconds
        # It goes on, and ends where it would have without a signal.
        watch = Watch(toy.score, 7, keep_best=True)
        toy.fit(folder, steps=STEPS, watch=watch, checkpoint_every=5)
        restored = [checkpoint.restore(self._root / x) for x in (folder, "unbroken")]
        trees = [(x.params, x.model_state) for x in restored]
        jax.tree.map(np.testing.assert_array_equal, *trees)
        scores = [x.meta["scores"] for x in restored]
        assert scores[0] == scores[1], scores
        rows = [toy.recorded(self._root / x) for x in (folder, "unbroken")]
        assert rows[0] == rows[1], rows


def _draw_training(rng: np.random.Generator) -> Fault:
    name = str(rng.choice(list(processes.CODES)))
    moment = MOMENTS[int(rng.integers(len(MOMENTS)))]
    value = (name, moment, float(rng.uniform(0, 1)), float(rng.choice([0.0, 0.5])))
    return Fault(
        f"{name} {value[2]:.2f} s after {moment!r}, {value[3]} s a score", value
    )


@sizes(quick=0, slow=3, long=60)
def test_training_goes_on_after_a_signal(count, tmp_path, record_property):
    training = Training(tmp_path)
    faults = drawn(_draw_training, count)
    all_held("processes, signals to training", faults, training, record_property)
