"""Signals at any moment: one line, and the code that is promised."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults import processes
from tests.faults.held import Fault, all_held, cycled, sizes, some_break

# What a command may be doing. None of it imports JAX, so that a try takes no second.
DOING = {
    "counts": "while True: sum(range(1000))",
    "sleeps": "time.sleep(60)",
    "is deaf": "while True: sum(range(20_000_000))",  # signals come together
    "is in C": "import ctypes; ctypes.CDLL(None).sleep(60)",
    "swallows": """
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
""",
    "waits for threads": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    list(pool.map(time.sleep, [60, 60]))
""",
    "waits for processes": """
from ppcjax.refine import pool
list(pool.ordered_map(time.sleep, [60.0] * 9, 2))
""",
    "makes another error of it": """
try:
    time.sleep(60)
except KeyboardInterrupt:
    raise ImportError("initialization failed")
""",
    "tells nobody": """
class Odd:
    def __del__(self):
        time.sleep(60)
Odd()
""",
    "leaves threads": """
import threading
threading.Thread(target=time.sleep, args=(60,)).start()
time.sleep(60)
""",
    "imports": "import jax.numpy; time.sleep(60)",
    "imports more": "import tensorflow; time.sleep(60)",
    "draws": """
from ppcjax.console import screen
with screen.Row("training", 10) as row:
    while True:
        row.show(3)
        time.sleep(0.001)
""",
    "writes": """
from pathlib import Path
from ppcjax.runs.files import write_file
while True:
    write_file(Path(sys.argv[1]), bytes(10_000))
""",
}


class Commands:
    """Tries signals on commands that have nothing to save."""

    def __init__(self, root: Path):
        self._root = root

    def __call__(self, value: tuple[str, Sequence[str]]) -> None:
        doing, signals = value
        file = self._root / "program.py"
        body = DOING[doing].strip().replace("\n", "\n    ")
        file.write_text(processes.PROGRAM.format(doing=body))
        process = subprocess.Popen(
            [sys.executable, str(file), str(self._root / "written")],
            env=processes.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.05)
        ended = processes.end(process, signals, 0.2)
        assert ended.code == processes.CODES[signals[0]], ended
        assert len(ended.lines) == 1, ended
        assert processes.ENDS[signals[0]] in ended.lines[0], ended


def _command_faults() -> list[Fault]:
    once = [(doing, (name,)) for doing in DOING for name in processes.CODES]
    twice = [(doing, ("SIGINT", "SIGINT")) for doing in DOING]
    mixed = [(doing, ("SIGTERM", "SIGHUP")) for doing in DOING]
    return [
        Fault(f"{' '.join(signals)} while it {doing}", (doing, signals))
        for doing, signals in (*once, *twice, *mixed)
    ]


@sizes(quick=4, slow=70)
def test_a_command_ends_with_one_line(count, tmp_path, record_property):
    faults = cycled(_command_faults(), count)
    all_held("processes, signals", faults, Commands(tmp_path), record_property)


def test_without_the_thread_it_shows(tmp_path, monkeypatch):
    patched = processes.PROGRAM.replace("GRACE = 0.5", "GRACE = 600")
    monkeypatch.setattr(processes, "PROGRAM", patched)
    monkeypatch.setattr(processes, "LONGEST", 2.0)
    faults = [Fault("in C", ("swallows", ("SIGTERM",)))]
    some_break(faults, Commands(tmp_path), "the thread that ends what hears nothing")


FAILS = {
    "the user's mistake": "from ppcjax.errors import UserError; raise UserError('it')",
    "the system's": "open('/nowhere/at all')",
    "a bug": "raise ValueError('it')",
    "its own end": "sys.exit('it')",
}


class Failing:
    """Tries commands that fail, and leave a thread behind for a minute."""

    def __init__(self, root: Path, longest: float, *, ignored: bool = False):
        self._file, self._longest = root / "program.py", longest
        self._ignored = ignored

    def __call__(self, failing: str) -> None:
        threads = "import threading; threading.Thread(target=time.sleep, args=(60,))"
        doing = f"{threads}.start()\n    {failing}"
        program = processes.PROGRAM.format(doing=doing)
        if self._ignored:  # as a script begins what it leaves behind with `&`
            begins = "signals.as_program()"
            ignores = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
            program = program.replace(begins, f"{ignores}; {begins}")
        self._file.write_text(program)
        ended = subprocess.run(
            [sys.executable, str(self._file)],
            env=processes.environment(),
            capture_output=True,
            text=True,
            timeout=self._longest,
        )
        assert ended.returncode == 1
        assert ended.stderr.strip().endswith("it") or "/nowhere" in ended.stderr


def _failing() -> list[Fault]:
    return [Fault(*item) for item in FAILS.items()]


@pytest.mark.parametrize("ignored", [False, True])
def test_a_command_that_fails_ends_although_threads_remain(
    ignored, tmp_path, record_property
):
    failing = Failing(tmp_path, longest=30, ignored=ignored)
    all_held("processes, failing", _failing(), failing, record_property)


def test_without_a_limit_on_the_end_it_shows(tmp_path, monkeypatch):
    patched = processes.PROGRAM.replace("GRACE = 0.5", "GRACE = 600")
    monkeypatch.setattr(processes, "PROGRAM", patched)
    failing = Failing(tmp_path, longest=4)
    some_break(_failing()[:1], failing, "the limit on the end of a command")
