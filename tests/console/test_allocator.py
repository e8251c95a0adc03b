"""Who starts anew for memory in huge pages, who does not, and what it is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ppcjax.console import allocator
from ppcjax.types import UserError

ROOT = Path(__file__).parents[2]
HERE = allocator.variables({"JAX_PLATFORMS": "cpu"})  # what this machine gains from


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Linux with huge pages on request, glibc 2.36 and no accelerator."""

    def make(*, system="linux", libc="glibc 2.36", pages="[madvise]", **accelerator):
        file = tmp_path / "enabled"
        file.write_text(f"always {pages} never\n")
        devices, plugins = (accelerator.get(x, ()) for x in ("devices", "plugins"))
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr(allocator, "_PAGES", file if pages else tmp_path / "none")
        monkeypatch.setattr(os, "confstr", lambda name: libc)
        monkeypatch.setattr(allocator.glob, "glob", lambda x: [x] * (x in devices))
        monkeypatch.setattr(
            allocator.importlib.util, "find_spec", lambda x: x in plugins or None
        )

    make()
    return make


GPU = {"devices": ("/dev/nvidia[0-9]*",), "plugins": ("jax_plugins",)}


@pytest.mark.parametrize(
    ("facts", "environment", "gains"),
    [
        ({}, {}, True),
        ({"libc": "glibc 2.35"}, {}, True),
        ({"libc": "glibc 2.34"}, {}, False),
        ({"libc": "musl 1.2"}, {}, False),
        ({"libc": None}, {}, False),
        ({"system": "darwin"}, {}, False),
        ({"pages": "[never]"}, {}, False),
        ({"pages": "[always]"}, {}, True),
        ({"pages": ""}, {}, False),
        (GPU, {}, False),
        (GPU, {"JAX_PLATFORMS": "cpu"}, True),
        ({**GPU, "plugins": ()}, {}, True),
        ({**GPU, "devices": ()}, {}, True),
        ({"devices": ("/dev/accel*",), "plugins": ("libtpu",)}, {}, False),
        ({}, {"JAX_PLATFORMS": "cuda,cpu"}, False),
        ({}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}, False),
        ({}, {"MALLOC_ARENA_MAX": "2"}, False),
        ({}, {"LD_PRELOAD": "/usr/lib/libjemalloc.so.2"}, False),
        ({}, {"PPCJAX_ALLOCATOR": "system"}, False),
        ({}, {"PPCJAX_ALLOCATOR": ""}, True),
    ],
)
def test_it_is_for_cpus_where_nobody_has_chosen(machine, facts, environment, gains):
    machine(**facts)
    found = allocator.variables(environment)
    assert found == ({"GLIBC_TUNABLES": allocator.SETTINGS} if gains else {})


def test_other_settings_of_the_user_are_kept(machine):
    given = "glibc.pthread.rseq=0"
    found = allocator.variables({"GLIBC_TUNABLES": given})["GLIBC_TUNABLES"]
    assert found == f"{given}:{allocator.SETTINGS}"


def test_the_variable_has_one_value(monkeypatch):
    for value in ("", "system"):
        monkeypatch.setenv("PPCJAX_ALLOCATOR", value)
        allocator.check()
    monkeypatch.setenv("PPCJAX_ALLOCATOR", "jemalloc")
    with pytest.raises(UserError, match="PPCJAX_ALLOCATOR=jemalloc: the only value"):
        allocator.check()


TRAIN, MODULE = str(ROOT / "train.py"), str(ROOT / "ppcjax" / "__main__.py")


@pytest.mark.parametrize(
    ("typed", "argv", "is_command"),
    [
        (["python", TRAIN, "a"], [TRAIN, "a"], True),
        (["python", "-X", "dev", "-u", TRAIN], [TRAIN], True),
        (["python", "-m", "ppcjax", "train", "a"], [MODULE, "train", "a"], True),
        (["python3", "/usr/bin/ppcjax", "eval"], ["/usr/bin/ppcjax", "eval"], True),
        (["python", "/elsewhere/train.py"], ["/elsewhere/train.py"], False),
        (["python", "-m", "pdb", TRAIN, "a"], [TRAIN, "a"], False),
        (["python", "launcher.py", TRAIN], [TRAIN], False),
        (["python", "-c", "main()"], ["-c"], False),
        (["python", "-"], ["-"], False),
        (["python", "-m", "pytest", "a"], ["/pytest/__main__.py", "a"], False),
        (["python", "mine.py"], ["ppcjax", "train"], False),
        ([], [], False),
    ],
)
def test_only_a_command_of_ours_is_started_anew(typed, argv, is_command):
    assert allocator._is_command(typed, argv) == is_command


@pytest.mark.parametrize("stays", ["STARTED", "tracing", "in a thread", "refused"])
def test_none_starts_twice_or_under_a_debugger(machine, monkeypatch, stays):
    calls = []

    def execve(*arguments):
        calls.append(arguments)
        raise PermissionError

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.delenv("PPCJAX_STARTED_ANEW", raising=False)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-u", TRAIN, "--config=a b"])
    monkeypatch.setattr(sys, "argv", [TRAIN, "--config=a b"])
    monkeypatch.setattr(allocator, "_is_watched", lambda: stays == "tracing")
    count = 2 if stays == "in a thread" else 1
    monkeypatch.setattr(allocator.threading, "active_count", lambda: count)
    if stays == "STARTED":
        monkeypatch.setenv("PPCJAX_STARTED_ANEW", "1")
    allocator.start_anew()
    if stays != "refused":
        assert not calls
        return
    ((program, words, environment),) = calls
    assert program == sys.executable
    assert words == [sys.executable, "-u", TRAIN, "--config=a b"]
    assert environment.items() >= {
        ("GLIBC_TUNABLES", allocator.SETTINGS),
        ("PPCJAX_STARTED_ANEW", str(os.getpid())),
    }
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_process_that_has_started_anew_hears_ctrl_c_again(monkeypatch):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        monkeypatch.setenv("PPCJAX_STARTED_ANEW", "1")  # as a child of one has it
        allocator.start_anew()
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        monkeypatch.setenv("PPCJAX_STARTED_ANEW", str(os.getpid()))
        allocator.start_anew()
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# Python runs it first: which process starts, and whether its allocator maps large
# pieces apart, which it does unless it is told otherwise.
PROBE = """
import ctypes, os
class Mallinfo(ctypes.Structure):
    names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", *"abcde")
    _fields_ = [(name, ctypes.c_size_t) for name in names] 
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo
libc.malloc.restype = ctypes.c_void_p
libc.malloc(ctypes.c_size_t(9_000_000))
with open(os.environ["PROBE"], "a") as file:
    print(os.getpid(), int(libc.mallinfo2().hblks > 0), file=file)
"""


@pytest.mark.skipif(not HERE, reason="nothing is gained here")
@pytest.mark.parametrize(
    ("forbidden", "words"),
    [
        (False, ("-m", "ppcjax", "predict", "none", "none")),
        (True, ("eval.py", "--ckpt=none")),
    ],
)
def test_a_command_runs_with_it_unless_forbidden(tmp_path, words, forbidden):
    (tmp_path / "sitecustomize.py").write_text(PROBE)
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "PROBE": str(tmp_path / "starts"),
            "PPCJAX_ALLOCATOR": "system" if forbidden else "",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    starts = (tmp_path / "starts").read_text().splitlines()
    starts = [line.split() for line in starts]
    of_it = [int(apart) for pid, apart in starts if int(pid) == process.pid]
    assert of_it == ([1] if forbidden else [1, 0])
    assert errors.startswith("error: "), errors  # a mistake is the one line
