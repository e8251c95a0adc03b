"""Memory in huge pages, kept between two steps: settings of glibc for CPUs.

A step on a CPU asks for its working memory anew, and the kernel hands that out, zeroed,
4 KiB at a time, which takes half of the step. glibc asks for huge pages and keeps what
it has where its settings say so, and reads them only when a process starts: so the
commands that compute start themselves anew, before anything else is loaded.
"""

import glob
import importlib.util
import os
import re
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ppcjax import checkout
from ppcjax.errors import UserError

FORBIDS = "PPCJAX_ALLOCATOR"  # the user's word: "system", or nothing
# In a process that has, its number, or "1" where Ctrl-C was blocked before; in its
# children, too.
STARTED = "PPCJAX_STARTED_ANEW"
TUNABLES = "GLIBC_TUNABLES"
# Several arenas stay: with one, other objects settle where a step's memory was, so that
# the next step's does not fit there, and a process grows to three times of it.
SETTINGS = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:"
    "glibc.malloc.trim_threshold=100000000000"
)
_SINCE = (2, 35)  # of glibc that knows huge pages
_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# GPUs of NVIDIA, also under WSL, and of AMD; TPUs.
_DEVICES = (
    "/dev/nvidia[0-9]*",
    "/dev/dxg",
    "/dev/kfd",
    "/dev/accel*",
    "/dev/vfio/[0-9]*",
)
_PLUGINS = ("jax_plugins", "libtpu")  # what JAX needs to use one of them
_OTHERS = re.compile("malloc|hoard", re.IGNORECASE)  # in LD_PRELOAD: not glibc's


def variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a process of JAX gains from in its environment when it starts.

    Args:
        environment: what is set already; other settings of glibc in it are kept.

    Returns:
        Names and values; none where nothing is gained. It takes Linux, glibc 2.35 or
        newer, huge pages, no GPU or TPU to compute on, and an environment that neither
        forbids it nor has settings of an allocator.
    """
    given = environment.get(TUNABLES, "")
    if (
        environment.get(FORBIDS)
        or ".malloc." in given
        or any(name.startswith("MALLOC_") for name in environment)
        or _OTHERS.search(environment.get("LD_PRELOAD", ""))
        or not (_knows_huge_pages() and _has_huge_pages() and _is_cpu(environment))
    ):
        return {}
    return {TUNABLES: f"{given}:{SETTINGS}" if given else SETTINGS}


def start_anew() -> None:
    """Starts this process anew where it gains; returns where it does not, or has.

    The process keeps its number, its arguments, its open standard streams and which
    signals it ignores. Only the commands themselves do it: no program that calls them,
    and no debugger, profiler or launcher around them.
    """
    if STARTED in os.environ:
        if os.environ[STARTED] == str(os.getpid()):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return
    more = variables()
    if not more or _is_watched():
        return
    if not _is_command(sys.orig_argv, sys.argv) or threading.active_count() > 1:
        return
    # While Python begins once more, Ctrl-C would end in a traceback: it waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    more[STARTED] = "1" if signal.SIGINT in before else str(os.getpid())
    words = [sys.executable, *sys.orig_argv[1:]]
    try:
        os.execve(sys.executable, words, {**os.environ, **more})
    except OSError:  # then it goes on as it is
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check() -> None:
    """Raises UserError where the variable that forbids it has another value."""
    word = os.environ.get(FORBIDS, "")
    if word not in ("", "system"):
        raise UserError(
            f"{FORBIDS}={word}: the only value is system, which leaves the allocator "
            "as it is; unset it otherwise"
        )


def said() -> str | None:
    """A line about it in a process that has these settings; None in others."""
    if STARTED not in os.environ or SETTINGS not in os.environ.get(TUNABLES, ""):
        return None
    return f"memory in huge pages, kept between steps; {FORBIDS}=system forbids it"


def _knows_huge_pages() -> bool:
    if sys.platform != "linux":
        return False
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return name == "glibc" and tuple(map(int, version.split("."))) >= _SINCE
    except (OSError, ValueError):  # another library of C
        return False


def _has_huge_pages() -> bool:
    try:
        return "[never]" not in _PAGES.read_text()
    except OSError:
        return False


def _is_cpu(environment: Mapping[str, str]) -> bool:
    """Whether JAX, which is not loaded yet, will compute on the CPU."""
    named = environment.get("JAX_PLATFORMS", "").strip()
    if named:
        return named == "cpu"
    if not any(map(glob.glob, _DEVICES)):
        return True
    return not any(map(importlib.util.find_spec, _PLUGINS))


def _is_watched() -> bool:
    """Whether a debugger or profiler would lose the process."""
    if sys.gettrace() or sys.getprofile():
        return True
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    return monitoring is not None and any(map(monitoring.get_tool, range(6)))


def _is_command(typed: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether this process was started as a command of ours, and as nothing else.

    Args:
        typed: words with which Python was started, `sys.orig_argv`.
        argv: the script and its arguments, `sys.argv`.
    """
    own = len(typed) - len(argv)  # where the script stands, or the module behind -m
    if own < 1 or not sys.executable or list(typed[own + 1 :]) != list(argv[1:]):
        return False
    options = list(typed[1:own])
    if options and options[-1] == "-m":
        options.pop()
        is_own = typed[own] == "ppcjax"
    else:
        script = Path(argv[0])
        files = [checkout.PACKAGE.parent / f"{word}.py" for word in ("train", "eval")]
        is_own = typed[own] == argv[0] and (
            script.name == "ppcjax" or script.resolve() in files
        )
    return is_own and all(_is_option(options, i) for i in range(len(options)))


def _is_option(words: Sequence[str], at: int) -> bool:
    """Whether a word before the script is an option of Python, or its value."""
    if at and words[at - 1] in ("-X", "-W"):
        return True
    return words[at].startswith("-") and words[at] not in ("-", "-m", "-c")
