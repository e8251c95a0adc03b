"""Each attempt changes what it says, and nothing once it is over."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import attempts, race
from ppcjax.console import allocator
from ppcjax.nn import convolution
from ppcjax.nn.convolution import Window
from ppcjax.train import step
from ppcjax.types import UserError

WINDOW = Window(3, 1, 1, (1, 1))
# Large enough that the model of costs takes tiles.
LARGE = [
    jax.ShapeDtypeStruct(shape, jnp.float32)
    for shape in ((2, 28, 28, 512), (3, 3, 512, 512))
]


def _traced(function=None):
    """The program of a convolution and its gradients, not computed."""

    def both(x, kernel):
        y, backward = jax.vjp(lambda *a: convolution.convolve(*a, WINDOW), x, kernel)
        return y, backward(y)

    def value(x, kernel):
        return convolution.convolve(x, kernel, WINDOW)

    return str(jax.make_jaxpr({"value": value}.get(function, both))(*LARGE))


def test_forward_tiles_are_products_and_only_in_the_attempt():
    before = _traced("value")
    assert "conv_general_dilated" in before and "dot_general" not in before
    with attempts.find("forward_tiles").changes():
        inside = _traced("value")
    assert "dot_general" in inside
    assert _traced("value") == before


@pytest.mark.parametrize("dilation", [1, 2])
def test_forward_tiles_compute_the_convolution(dilation, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 9, 7, 5)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 5, 6)).astype(np.float32)
    window = Window(3, 1, dilation, (dilation, dilation))
    expected = convolution.convolve(x, kernel, window)
    monkeypatch.setattr(convolution, "map_form", lambda *_: "by_tiles")
    with attempts.find("forward_tiles").changes():
        program = jax.make_jaxpr(lambda *a: convolution.convolve(*a, window))
        assert "dot_general" in str(program(x, kernel))
        found = convolution.convolve(x, kernel, window)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_xla_forwards_are_convolutions():
    def learnt():
        return str(jax.make_jaxpr(lambda *a: convolution.learning(*a, WINDOW))(*LARGE))

    before = learnt()
    with attempts.find("xla_forwards").changes():
        inside = learnt()
    assert "dot_general" in before and "dot_general" not in inside


def test_xla_convolutions_have_no_form_of_ours():
    before = _traced()
    with attempts.find("xla_convolutions").changes():
        inside = _traced()
    assert "dot_general" in before and "dot_general" not in inside
    assert _traced() == before


def test_concurrent_schedule_leaves_out_one_option_of_the_compiler():
    before = step.cpu_options()
    assert attempts.SCHEDULE in before
    with attempts.find("concurrent_schedule").changes():
        inside = step.cpu_options()
    assert inside == {k: v for k, v in before.items() if k != attempts.SCHEDULE}
    assert step.cpu_options() == before


def test_async_dispatch_leaves_a_setting_of_jax_as_it_is(monkeypatch):
    changed = []
    monkeypatch.setattr(jax.config, "update", lambda *words: changed.append(words))
    with attempts.find("async_dispatch").changes():
        step.inline_on_cpus()
    assert not changed
    step.inline_on_cpus()
    assert changed == [("jax_cpu_enable_async_dispatch", False)]


def test_one_arena_is_in_the_environment_of_our_side_alone():
    argv = ["--attempt", "one_arena"]
    ours, theirs = race.make_sides(race.arguments().parse_args(argv), argv, {}, 2)
    arena = f"{allocator.SETTINGS}:glibc.malloc.arena_max=1"
    assert ours.environment[allocator.TUNABLES] == arena
    assert theirs.environment == race.ALLOCATOR
    assert all(argv == side.command[3:5] for side in (ours, theirs))


@pytest.mark.parametrize("name", attempts.ALL)
def test_what_an_attempt_changes_is_one_line_and_named_first(name):
    assert "\n" not in attempts.ALL[name].says
    options = race.arguments().parse_args(["--attempt", name])
    title = race.title(options, {"batch_size": 2, "crop": 64}, "a machine")
    assert title == f"pixpro, float32, 2 x 64, a machine; attempt: {name}"


@pytest.mark.parametrize(
    "words, said",
    [
        (["--attempt", "tiles"], "--attempt tiles: there is no such attempt; take f"),
        (["--attempt", "one_arena", "--device", "gpu"], "are for --device cpu"),
        (["--attempt", "one_arena", "--only", "torch"], "leave --only torch out"),
    ],
)
def test_attempts_that_change_nothing_are_refused_in_one_line(words, said):
    with pytest.raises(UserError, match=said) as error:
        race.main(words)
    assert "\n" not in str(error.value)
