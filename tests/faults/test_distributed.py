"""Training in two processes of which one fails: the other says so and ends soon."""

import itertools
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppcjax.runs import checkpoint
from tests.faults.held import Fault, all_held, cycled, sizes, some_break

ROOT = Path(__file__).parents[2]
SOON = 60.0  # seconds within which the others have ended
STEPS = 60

# What happens to one -> its exit code, and words of the lines of it and of the other.
FAULTS = {
    "photo": (1, "photo 12.jpg is truncated", "ended: photo 12.jpg"),
    "memory": (1, "out of memory while training", "ended: out of memory"),
    "kill": (-9, "ended without a word", "was lost: killed"),
    "segv": (-11, "ended without a word", "was lost: killed"),
    "abort": (134, "a library has crashed", "a library has crashed"),
    "stop": (-9, "", "was lost: no sign of life"),
    "poison": (1, "not finite at step", "not finite at step"),
    "int": (130, "Ctrl-C", "ended: stopped by Ctrl-C"),
    "term": (143, "", "ended: stopped by SIGTERM"),
    "hup": (129, "SIGHUP", "ended: stopped by SIGHUP"),
}
# Batches at which it happens: while the step is compiled, between, beside a checkpoint.
WHEN = (0, 7, 10)


class Pair:
    """Tries faults on two processes, each in a folder of its own."""

    def __init__(self, root: Path, *options: str):
        self._root = root
        self._options = options
        self._count = itertools.count()

    def start(self, folder: Path, *options: str) -> list[subprocess.Popen]:
        """Both processes of a run."""
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        return [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.faults.training", str(folder)),
                    *(f"--steps={STEPS}", *options),
                ],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "JAX_PLATFORMS": "cpu",
                    "JAX_NUM_CPU_DEVICES": "1",
                    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
                    "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
                    "JAX_NUM_PROCESSES": "2",
                    "JAX_PROCESS_ID": str(index),
                },
                stdout=subprocess.DEVNULL,
                stderr=(folder.parent / f"{folder.name}.{index}").open("w"),
            )
            for index in range(2)
        ]

    def __call__(self, value: tuple[str, int, int]) -> None:
        fault, index, at = value
        folder = self._root / f"run{next(self._count)}"
        processes = self.start(
            folder,
            *(f"--fault={fault}", f"--process={index}", f"--at={at}"),
            *self._options,
        )
        try:
            first = processes[1 - index] if fault == "stop" else None
            apart = _wait(processes, first)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        texts = [(self._root / f"{folder.name}.{i}").read_text() for i in range(2)]
        code, own, other = FAULTS[fault]
        shown = "\n".join(texts)
        assert apart < SOON, f"{apart:.0f} s later\n{shown}"
        assert processes[index].returncode == code, shown
        lines = [[x for x in t.splitlines() if x.startswith("error")] for t in texts]
        assert own in texts[index] and len(lines[index]) <= 1, shown
        assert "Traceback" not in shown and "*** Check failure" not in shown, shown
        saved = checkpoint.newest_step(folder)
        if "stopped" in other and saved:  # all of them have, at the same step
            assert processes[1 - index].returncode == 143, shown
            assert f"after step {saved} of" in texts[0], shown
            return
        assert processes[1 - index].returncode in (1, code), shown
        assert len(lines[1 - index]) == 1 and other in lines[1 - index][0], shown
        if "ended" in other or "lost" in other:
            named = f"process {index} (pid {processes[index].pid} on"
            assert named in lines[1 - index][0], shown


def _wait(
    processes: list[subprocess.Popen], only: subprocess.Popen | None = None
) -> float:
    """Seconds from the end of the first process to that of the last."""
    end = time.monotonic() + 240
    waited = [only] if only else processes
    ended: dict[int, float] = {}
    while len(ended) < len(waited) and time.monotonic() < end:
        for process in waited:
            if process.pid not in ended and process.poll() is not None:
                ended[process.pid] = time.monotonic()
        if ended and time.monotonic() - min(ended.values()) > SOON:
            return SOON
        time.sleep(0.02)
    assert ended, "none ends"
    return max(ended.values()) - min(ended.values())


def _faults() -> list[Fault]:
    return [
        Fault(f"{fault} in process {index} at batch {at}", (fault, index, at))
        for fault, index, at in itertools.product(FAULTS, (0, 1), WHEN)
    ]


@sizes(quick=0, slow=3, long=60)
def test_the_others_end_with_a_line(count, tmp_path, record_property):
    pair = Pair(tmp_path)
    all_held("processes, distributed", cycled(_faults(), count), pair, record_property)


@pytest.mark.slow
@pytest.mark.long
def test_without_the_connections_it_shows(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SOON", 20.0)
    faults = [Fault("photo", ("photo", 1, 7))]
    some_break(faults, Pair(tmp_path, "--apart"), "what passes the word on")
