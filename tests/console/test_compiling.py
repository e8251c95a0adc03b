"""What is said while a program is compiled."""

import time

import jax
import jax.numpy as jnp
import pytest

from ppcjax.console import compiling, loops, screen


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(compiling, "PATIENCE", 0.0)
    monkeypatch.setattr(compiling, "LEAST", 0.0)


def test_compiling_is_announced_once_and_timed(impatient, capsys):
    calls = []

    def work(x):
        calls.append(x)
        return jnp.sin(x) * 3.25

    step = compiling.at_first_call(jax.jit(work), "the training step")
    before = compiling.seconds()
    assert float(step(jnp.float32(0))) == 0 and len(calls) == 1
    assert compiling.seconds() > before
    said = capsys.readouterr().err
    assert "the training step: compiled in 0 s" in said
    step(jnp.float32(1))
    assert capsys.readouterr().err == "" and len(calls) == 1


def test_a_program_of_an_earlier_run_is_no_alarm(monkeypatch, impatient, capsys):
    monkeypatch.setattr(compiling, "LEAST", 1.0)
    with compiling.announced("the network"):
        compiling._counter().add_event(compiling.FOUND)
        compiling._counter().add_seconds(compiling.COMPILED, 30.0)
    said = capsys.readouterr().err
    assert "the network: compiled by an earlier run, ready in 0 s" in said
    assert "compiled in" not in said


def test_what_is_compiled_inside_of_a_trace_counts_once(monkeypatch):
    """As where a constant of a program is computed while the program is traced."""
    counter, now = compiling._Counter(), iter((3.0, 8.0, 10.0, 20.0))
    monkeypatch.setattr(compiling.time, "monotonic", lambda: next(now))
    counter.add_seconds(compiling.TRACED, 1.0)  # from 2 to 3
    counter.add_seconds(compiling.COMPILED, 5.0)  # from 3 to 8
    counter.add_seconds(compiling.TRACED, 9.0)  # from 1 to 10: of which 3 are its own
    assert counter.counted == (5.0, 0.0, 4.0)
    counter.add_seconds(compiling.COMPILED, 10.0)
    assert counter.counted == (15.0, 0.0, 4.0)


def test_no_rate_is_said_where_threads_compile_more_than_the_time_there_was(capsys):
    with pytest.MonkeyPatch.context() as patch:
        seconds = iter(range(0, 10**6, 1000))
        patch.setattr(compiling, "seconds", lambda: next(seconds))
        list(loops.show_progress(range(3), 3, "val"))
    assert capsys.readouterr().err == "val: 3/3 images\n"


def test_rates_leave_compiling_out(monkeypatch):
    now = iter(float(t) for t in range(0, 10_000, 10))
    monkeypatch.setattr(loops.time, "monotonic", lambda: next(now))
    compiled = iter([0.0, 0.0, 90.0])
    monkeypatch.setattr(compiling, "seconds", lambda: next(compiled, 90.0))
    monkeypatch.setattr(screen, "is_drawn", lambda: False)
    monkeypatch.setattr(screen, "line", lambda text: None)
    progress = loops.Progress("val", 10)
    progress.done = 5
    next(compiled)
    for _ in range(9):
        next(now)
    assert progress._pace() == "0.5 images/s  ETA 0:00:10"


@pytest.mark.parametrize("home", ["/home/me", "/home/me2"])
def test_where_programs_are_kept_is_said_shortly(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", "/home/me/.cache/ppcjax")
        short = {"/home/me": "~/.cache/ppcjax"}.get(home, "/home/me/.cache/ppcjax")
        assert compiling.note().endswith(f"kept in {short}")
        jax.config.update("jax_compilation_cache_dir", None)
        assert "kept in" not in compiling.note()
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_tracing_counts_once_also_inside_of_another():
    compiling.counted()

    @jax.jit
    def inner(x):
        time.sleep(0.1)
        return x + 1

    @jax.jit
    def outer(x):
        time.sleep(0.1)
        return inner(x) * 2

    before, begun = compiling.seconds(), time.monotonic()
    outer(1.0)
    assert 0.2 <= compiling.seconds() - before <= time.monotonic() - begun + 0.01
