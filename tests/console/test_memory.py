"""Lack of memory in the words of each device and library, and one that is real."""

import jax
import numpy as np
import pytest

from ppcjax.console import memory
from ppcjax.types import UserError

# What was said, by whom; bytes asked for; bytes that there are.
SAID = (
    # Recorded on a GPU with jax 0.11.2: an array, and a program that needs as much.
    (
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 3.64TiB with "
        "allocator GPU_0_bfc on device 0. [executable_name='jit_broadcast_in_dim'] "
        "[tf-allocator-allocation-error='']",
        int(3.64 * 2**40),
        None,
    ),
    (
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 335.29GiB with "
        "allocator GPU_0_bfc on device 0. [tf-allocator-allocation-error='']",
        int(335.29 * 2**30),
        None,
    ),
    ("RESOURCE_EXHAUSTED: Out of memory allocating 4000 bytes.", 4000, None),
    (
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12345678 bytes.",
        12345678,
        None,
    ),
    (
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1.50GiB.\n"
        "BufferAssignment OOM Debugging.",
        3 * 2**29,
        None,
    ),
    (
        "RESOURCE_EXHAUSTED: Failed to allocate request for 2.00MiB (2097152B) on "
        "device ordinal 0",
        2**21,
        None,
    ),
    (
        "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in "
        "memory space hbm. Used 20.00G of 15.75G hbm. Exceeded hbm capacity by 4.25G.",
        20 * 2**30,
        int(15.75 * 2**30),
    ),
    (
        "RESOURCE_EXHAUSTED: Error loading program: Attempting to reserve 3.00G at the "
        "bottom of memory. That was not possible.",
        3 * 2**30,
        None,
    ),
    ("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory", None, None),
    ("std::bad_alloc", None, None),
    ("[Errno 12] Cannot allocate memory", None, None),
)
OTHERS = (
    "RESOURCE_EXHAUSTED: Error writing x: Failed [os_error_code='28']",
    "INVALID_ARGUMENT: Cannot allocate a slot for photo 3",
    "the memory of the contrast holds 12 slots",
)


@pytest.mark.parametrize(("text", "asked", "held"), SAID)
def test_every_way_to_say_it_is_one_line(text, asked, held):
    with (
        pytest.raises(UserError) as caught,
        memory.guarded("training", ["lower config.data.batch_size (8)"]),
    ):
        raise RuntimeError(text)
    line = str(caught.value)
    assert "\n" not in line and line.startswith("out of memory while training")
    assert "lower config.data.batch_size (8)" in line
    assert memory.bytes_asked(text) == asked and memory.bytes_held(text) == held
    assert ("asked for" in line) == (asked is not None)


def test_the_inner_guard_says_what_and_the_outer_one_what_to_lower():
    with (
        pytest.raises(UserError) as caught,
        memory.guarded("working", ["take less at a time"]),
        memory.guarded("evaluating", ["lower --batch_size (8)"]),
        memory.guarded("predicting 8 photos"),
    ):
        raise MemoryError
    assert str(caught.value) == (
        "out of memory while predicting 8 photos; lower --batch_size (8)"
    )


@pytest.mark.parametrize("text", OTHERS)
def test_other_errors_stay_what_they_are(text):
    with pytest.raises(RuntimeError, match=".*"), memory.guarded("training"):
        raise RuntimeError(text)


def _of_a_device():
    return jax.numpy.zeros(10**14).block_until_ready()


@pytest.mark.parametrize(
    ("ask", "size"),
    [(_of_a_device, "364 TiB"), (lambda: np.zeros(10**14), "728 TiB")],
    ids=["jax", "numpy"],
)
def test_what_jax_and_numpy_really_say(ask, size):
    with (
        pytest.raises(UserError, match=f"{size} asked for"),
        memory.guarded("predicting"),
    ):
        ask()
    with pytest.raises(UserError), memory.guarded("working"):
        raise MemoryError


def test_inner_advice_wins():
    with (
        pytest.raises(UserError, match="while scoring.*lower this"),
        memory.guarded("working"),
        memory.guarded("scoring", ["lower this"]),
    ):
        raise MemoryError


@pytest.mark.parametrize(
    ("value", "falls"),
    [(8, True), (1, False), (True, True), (False, False), (None, False)]
    + [((0.5, 1.0), True), ((1.0,), False), ((2.0,), True), ("x", False), ((), False)],
)
def test_only_what_can_fall_is_named(value, falls):
    named = memory.to_lower({"a": value}, {"a": "lower", "b": "lower"}, "eval.")
    assert bool(named) == falls and all("lower eval.a (" in one for one in named)


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 bytes"), (2**20, "1 MiB"), (3 * 2**39, "1.5 TiB")]
)
def test_bytes_for_people(count, text):
    assert memory.as_text(count) == text
